"""What kind of machine the suite runs on: what its results hold for, and what they do not."""

from __future__ import annotations

import importlib
import os
import platform
import shutil
from importlib import metadata
from typing import FrozenSet, List

from crnn.machine import describe, instruction_sets, usable_cpus
from tests.real_data import real_data

# Distributions whose releases make a difference.
_DISTRIBUTIONS = ("numpy", "pillow", "lmdb", "onnx", "onnxruntime", "torch")


def lines() -> List[str]:
    """Return the lines that end the suite's report."""
    sets = instruction_sets()
    user = "root"
    if os.geteuid() != 0:
        user = "an ordinary user"
    parts = [f"{usable_cpus()} processors, {user}", _fonts(), _program("zsh"), _data()]
    return [
        f"tested on: {describe()['processor']}, {', '.join(arithmetic(sets))}",
        f"tested with: Python {platform.python_version()}, {', '.join(_releases())}",
        f"tested as: {', '.join(parts)}",
    ]


def arithmetic(sets: FrozenSet[str]) -> List[str]:
    """Say which way of computing the processor's instruction sets stand for."""
    if not sets:
        return ["instruction sets unknown"]
    vnni = "with VNNI"
    if not sets & {"AVX512_VNNI", "AVX_VNNI", "NEON_DOTPROD"}:
        vnni = "without VNNI"
    vectors = "no AVX2"
    for name in ("NEON", "AVX2", "AVX512F"):
        if name in sets:
            vectors = name
    bfloat16 = "with bfloat16"
    if not sets & {"AVX512_BF16", "AMX_BF16", "BF16"}:
        bfloat16 = "without bfloat16"
    return [vectors, f"int8 {vnni}", f"training {bfloat16}"]


def _releases() -> List[str]:
    found = []
    for name in _DISTRIBUTIONS:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            found.append(f"no {name}")
    return found


def _fonts() -> str:
    # The renderer needs more than a machine without the data sets' packages has.
    try:
        fonts = importlib.import_module("tests.fonts")
    except ImportError:
        return "no renderer"
    return f"{len(fonts.installed())} fonts"


def _program(name: str) -> str:
    if shutil.which(name) is None:
        return f"no {name}"
    return name


def _data() -> str:
    if real_data() is None:
        return "no real data"
    return "real data"
