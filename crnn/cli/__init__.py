"""The command line: ``crnn VERB …`` and the historical scripts."""
