"""ONNX's messages (ModelProto …) without the rest of the package `onnx`, whose import takes more
time than all that ``crnn read`` does with a graph.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any, List

_NAME = "onnx.onnx_ml_pb2"
"""The module that protobuf's compiler has made of ONNX's onnx-ml.proto."""


def onnx_messages() -> Any:
    """Return the module that holds ONNX's messages.

    They are the classes that ``import onnx`` gives, before and after: Python finds the module
    under its own name.

    Returns:
        ``onnx.onnx_ml_pb2``; ``onnx`` itself where the package keeps its messages elsewhere.

    Raises:
        ImportError: There is no onnx.
    """
    if _NAME in sys.modules:
        return sys.modules[_NAME]
    package = importlib.util.find_spec("onnx")
    folders: List[str] = []
    if package is not None:
        folders.extend(package.submodule_search_locations or ())
    for folder in folders:
        file = Path(folder) / "onnx_ml_pb2.py"
        if file.is_file():
            return _load(file)
    return importlib.import_module("onnx")


def _load(file: Path) -> Any:
    spec = importlib.util.spec_from_file_location(_NAME, file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Before it is run, as an import does.
    sys.modules[_NAME] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[_NAME]
        raise
    return module
