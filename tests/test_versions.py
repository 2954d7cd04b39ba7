"""What a result says of the libraries and the processor it was made with."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Dict

import numpy as np
import PIL
import pytest
from PIL import features

from tests.conftest import ROOT


def found_after(imports: str) -> Dict[str, str]:
    """What a process of its own says after it imported something."""
    code = f"import json{imports}; from crnn.machine import versions; print(json.dumps(versions()))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=str(ROOT), capture_output=True, text=True, check=True
    )
    found: Dict[str, str] = json.loads(done.stdout)
    return found


def test_what_took_no_part_is_not_named() -> None:
    found = found_after("")

    assert set(found) - {"processor"} == {"crnn", "numpy", "python"}
    assert found["numpy"] == np.__version__


def test_pillow_comes_with_its_decoders() -> None:
    found = found_after(", PIL.Image, lmdb")

    assert found["pillow"] == PIL.__version__
    assert str(features.version("jpg")) in found["libjpeg"] or "turbo" in found["libjpeg"]
    assert found["zlib"] == features.version("zlib")
    assert found["lmdb"].startswith(__import__("lmdb").__version__)


@pytest.mark.parametrize(
    ("module", "name"),
    [("onnxruntime", "onnxruntime"), ("cv2", "opencv"), ("simplejpeg", "simplejpeg")],
)
def test_other_libraries(module: str, name: str) -> None:
    library = pytest.importorskip(module)

    assert found_after(f", {module}")[name] == library.__version__
