"""What a result depends on besides the model and the data: libraries, and the processor."""

from __future__ import annotations

import platform
import sys
from typing import Any, Dict

import numpy as np

from crnn import __version__
from crnn.machine import instruction_sets

# By their modules' names: the text they are known by.
_LIBRARIES = {"onnxruntime": "onnxruntime", "cv2": "opencv"}


def versions() -> Dict[str, str]:
    """Return the versions of what takes part in this process.

    Call it after the work: a library that nothing has imported takes no part, is not named, and is
    not imported for it.

    Returns:
        Texts by name: ``crnn``, ``numpy``, ``python`` and ``processor`` (the instruction sets,
        where the system tells them); ``pillow`` with its ``libjpeg`` and ``zlib``, ``opencv``,
        ``onnxruntime`` and ``lmdb`` where they were imported.
    """
    found = {
        "crnn": __version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }
    sets = instruction_sets()
    if sets:
        found["processor"] = " ".join(sorted(sets))
    for module_name, name in _LIBRARIES.items():
        module = sys.modules.get(module_name)
        if module is not None:
            found[name] = str(getattr(module, "__version__", "unknown"))
    if "lmdb" in sys.modules:
        found["lmdb"] = _lmdb(sys.modules["lmdb"])
    if "PIL.Image" in sys.modules:
        found.update(_pillow())
    return found


def _lmdb(module: Any) -> str:
    """Return the binding's version, and its library's."""
    library = ".".join(str(part) for part in module.version())
    return f"{module.__version__} (library {library})"


def _pillow() -> Dict[str, str]:
    """Return Pillow's version and those of its decoders, as far as it was built with them."""
    from PIL import __version__ as pillow
    from PIL import features

    found = {"pillow": str(pillow)}
    turbo = features.check("libjpeg_turbo") and features.version("libjpeg_turbo")
    jpeg = features.check("jpg") and features.version("jpg")
    if turbo:
        found["libjpeg"] = f"turbo {turbo}"
    elif jpeg:
        found["libjpeg"] = str(jpeg)
    zlib_version = features.check("zlib") and features.version("zlib")
    if zlib_version:
        found["zlib"] = str(zlib_version)
    return found
