"""Downloads of every shape into LMDBs, LMDBs looked at, merged and split, and words rendered where
there are none.
"""
