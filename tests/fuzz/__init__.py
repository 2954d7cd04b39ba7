"""Throw damaged files at the parsers: whatever the bytes, they are read or refused, quickly.

``python -m tests.fuzz`` runs the long way; a short seeded run is one of the tests. A parser joins
by a `Target` in `tests.fuzz.targets`.
"""
