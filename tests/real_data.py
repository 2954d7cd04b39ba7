"""Real words and files that cannot be shipped: the one place that says where they are.

``CRNN_SHARED_DATA`` names the folder; empty, there is none. Unset, it is ``../shared/data`` beside
the checkout, where that exists.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Optional

ROOT = Path(__file__).resolve().parent.parent
NAME = "CRNN_SHARED_DATA"
DEFAULT = ROOT.parent / "shared" / "data"


def real_data() -> Optional[Path]:
    """Return the folder, or None where there is none.

    Raises:
        FileNotFoundError: ``CRNN_SHARED_DATA`` names a folder that is not there.
    """
    named = os.environ.get(NAME)
    if named is None:
        return DEFAULT if DEFAULT.is_dir() else None
    if not named:
        return None
    folder = Path(named).resolve()
    if not folder.is_dir():
        raise FileNotFoundError(f"{NAME} names {named}, which is not a folder")
    return folder
