"""Sides of any kind, models and what runs have left, over the same words: `job` compares them."""
