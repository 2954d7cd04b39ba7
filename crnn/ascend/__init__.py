"""The way to Ascend: CANN's environment, ATC, the OM container, the typed pyACL binding."""
