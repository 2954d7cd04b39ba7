"""The Python that runs the kit, and its packages."""

from __future__ import annotations

import importlib
import importlib.util
import platform
import sys
from typing import Iterator, Mapping, Tuple

from crnn.errors import DISTRIBUTIONS
from crnn.filekind import ONNX, TORCH
from crnn.jobs.doctor.check import CHIP, Check, looked

OLDEST_PYTHON = (3, 8)
NEEDED_BY: Mapping[str, Tuple[str, ...]] = {
    "numpy": (ONNX, CHIP, TORCH),
    "PIL": (ONNX, TORCH),
    "lmdb": (ONNX, TORCH),
    "onnx": (ONNX, TORCH),
    "onnxruntime": (ONNX, TORCH),
    "torch": (TORCH,),
    "rich": (),
    "cv2": (),
}
"""What cannot do without a package, by its module."""


def python_check() -> Check:
    """Look at the Python that runs this."""
    found = f"{platform.python_version()} at {sys.executable}"
    ok = sys.version_info >= OLDEST_PYTHON
    return looked("Python", ok, found, "Install Python 3.8 or later.", needed=True)


def package_checks(asked: str) -> Iterator[Check]:
    """Look for each package; ``asked`` is the path that it may be needed for."""
    for module, paths in NEEDED_BY.items():
        distribution = DISTRIBUTIONS[module]
        needed = asked in paths
        remedy = f"pip install {distribution}"
        if not needed:
            remedy += "   (only for some commands)"
        # What is needed is imported, since an installed package may still be broken; torch takes
        # seconds.
        try:
            if importlib.util.find_spec(module) is None:
                raise ImportError("not installed")
            if needed:
                importlib.import_module(module)
        except ImportError as error:
            yield Check(distribution, False, str(error), remedy, needed)
        else:
            yield Check(distribution, True, _version_of(distribution, module), needed=needed)


def _version_of(distribution: str, module: str) -> str:
    from importlib import metadata

    # OpenCV comes under several names.
    for name in (distribution, distribution.replace("-headless", ""), module):
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return "version unknown"
