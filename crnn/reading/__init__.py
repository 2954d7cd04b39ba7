"""``crnn read``: words from wherever they are to lines, files and tables."""
