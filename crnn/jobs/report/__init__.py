"""Saved results as one page: nothing is read by a model again."""
