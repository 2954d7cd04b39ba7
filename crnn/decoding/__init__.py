"""Logits to texts: greedily, which is the default, or as a lexicon or a pattern allows."""
