"""The streams: prepare, evaluate, read."""
