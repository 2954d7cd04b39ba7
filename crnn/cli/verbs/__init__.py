"""One module a verb of ``crnn``, as `crnn.cli.main` wants it."""
