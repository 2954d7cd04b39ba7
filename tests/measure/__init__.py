"""Figures of the code, counted: what `make measure` prints."""
