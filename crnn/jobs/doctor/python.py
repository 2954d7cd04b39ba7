"""The Python that runs the kit, and its packages."""

from __future__ import annotations

import importlib
import importlib.util
import platform
import sys
from pathlib import Path
from typing import Iterator, Mapping, Tuple

from crnn.errors import DISTRIBUTIONS
from crnn.filekind import ONNX, TORCH
from crnn.interpreter import BOX, KIT
from crnn.jobs.doctor.check import CHIP, Check, looked
from crnn.python37 import installed_version

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


def python_check(asked: str) -> Check:
    """Look at the Python that runs this; ``asked`` is the path that it is needed for."""
    found = f"{platform.python_version()} at {sys.executable}"
    oldest = KIT
    if asked == CHIP:
        oldest = BOX
    ok = sys.version_info >= oldest
    remedy = f"Install Python {oldest[0]}.{oldest[1]} or later."
    return looked("Python", ok, found, remedy, needed=True)


def module_check(folder: Path) -> Iterator[Check]:
    """Look for a ``crnn.py`` in a folder, such as the historical kit's: Python takes it first.

    Args:
        folder: Where commands are typed.

    Yields:
        A line where there is one.
    """
    own = folder / "crnn" / "__init__.py"
    if (folder / "crnn.py").is_file() and not own.is_file():
        yield Check(
            "python -m crnn",
            False,
            "runs the crnn.py of this folder, not this kit",
            f"Say crnn, as the kit's installation has it: {_installed()}",
        )


def _installed() -> str:
    beside = Path(sys.executable).with_name("crnn")
    if beside.is_file():
        return str(beside)
    return "pip install -e . in its checkout, then .venv/bin/crnn or crnn"


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


def decoder_checks() -> Iterator[Check]:
    """Say which decoder each format's plain images go through; without Pillow nothing."""
    try:
        from crnn import image_decoders
    except ImportError:
        return

    for kind, used in image_decoders.used().items():
        found = used.decoder
        if used.why:
            found += f": {used.why}"
        remedy = f"pip install 'crnn-ascend[{image_decoders.EXTRA}]'   (only faster)"
        yield looked(f"{kind} decoder", not used.why, found, remedy)


def _version_of(distribution: str, module: str) -> str:
    # OpenCV comes under several names.
    for name in (distribution, distribution.replace("-headless", ""), module):
        version = installed_version(name)
        if version is not None:
            return version
    return "version unknown"
