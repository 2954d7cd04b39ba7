"""The work of the verbs that stream words: prepare, evaluate, score, read, bench, and doctor."""
