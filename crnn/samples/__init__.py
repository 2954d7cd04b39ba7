"""Where words come from and go to:

LMDBs, bins with their label.txt, folders of images, annotation files.
"""
