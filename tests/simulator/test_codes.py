"""The simulator gives out documented codes only."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Set

from crnn import cann
from crnn.cann import codes
from crnn.simulator import launcher
from tests.simulator.test_atc import CODES, GRAPHS
from tests.test_probe_simulated import OUT_NODES

SOURCES = sorted(Path(launcher.__file__).parent.glob("**/*.py"))


def test_every_return_code_is_documented() -> None:
    found: Set[int] = set()
    for path in SOURCES:
        text = path.read_text(encoding="utf-8")
        found |= {int(number) for number in re.findall(r"\b([1-5]\d{5})\b", text)}
        found |= {getattr(cann, name) for name in re.findall(r"cann\.(ACL_ERROR_\w+)", text)}
    assert len(found) > 30
    assert [number for number in sorted(found) if codes.code(number) is None] == []


def test_every_atc_code_is_documented_and_tested() -> None:
    found = {
        code
        for path in SOURCES
        for code in re.findall(r"\bE\d{5}\b", path.read_text(encoding="utf-8"))
    }
    assert [code for code in sorted(found) if codes.code(code) is None] == []
    tested = {row[-1] for row in (*CODES, *GRAPHS, *OUT_NODES)} | {"E10018", "E10034", "E10501"}
    assert found - tested == set()
