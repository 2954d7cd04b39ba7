"""LMDBs in the folders below one, as collections of data sets are handed out."""

from __future__ import annotations

import os
from pathlib import Path
from typing import List

from crnn.files import natural_key
from crnn.samples.annotations import IMAGE_SUFFIXES

DEPTH = 6
"""Folders below folders that are looked into."""
MOST = 1000
_DATA, _LOCK = "data.mdb", "lock.mdb"


def lmdbs_below(folder: Path) -> List[Path]:
    """Return the LMDBs below a folder that is not a data set itself.

    Args:
        folder: A folder; links below it are not followed.

    Returns:
        Their folders, or their files where they have another name than ``data.mdb``, in natural
        order; none where ``folder`` is an LMDB, or holds images or bins.
    """
    if not folder.is_dir() or (folder / _DATA).exists():
        return []
    found: List[Path] = []
    for place, folders, files in os.walk(str(folder)):
        here = Path(place)
        if here == folder and any(_is_sample(name) for name in files):
            return []
        if _DATA in files:
            found.append(here)
            folders.clear()
        else:
            found.extend(here / name for name in files if _is_lmdb(name))
        if len(here.relative_to(folder).parts) >= DEPTH or len(found) >= MOST:
            folders.clear()
    return sorted(found, key=lambda path: natural_key(str(path)))


def _is_sample(name: str) -> bool:
    return name.lower().endswith((*IMAGE_SUFFIXES, ".bin"))


def _is_lmdb(name: str) -> bool:
    return name.lower().endswith(".mdb") and name != _LOCK
