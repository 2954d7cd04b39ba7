"""The examples in docstrings are run; only modules that have one are imported for it."""

from __future__ import annotations

import doctest
import importlib
from typing import List

import pytest

from tests.real_data import ROOT


def modules() -> List[str]:
    """Return the names of the package's modules with examples."""
    names = []
    for path in sorted((ROOT / "crnn").rglob("*.py")):
        if ">>> " in path.read_text(encoding="utf-8"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            names.append(".".join(parts))
    return names


@pytest.mark.parametrize("name", modules())
def test_examples_in_docstrings_give_what_they_say(name: str) -> None:
    failed, _ = doctest.testmod(importlib.import_module(name))
    assert failed == 0


def test_the_package_has_examples() -> None:
    assert modules()
