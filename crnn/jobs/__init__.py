"""The work of the verbs that stream words: prepare, evaluate, score, bench; and doctor."""
