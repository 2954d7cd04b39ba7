"""compare and report do not write over what they read."""

from __future__ import annotations

from pathlib import Path
from typing import List

import pytest

from crnn.cli.main import main

READING = '{"confidence": 0.5, "key": "a", "label": "a", "text": "a"}\n'


@pytest.mark.parametrize(
    "command",
    [
        ["compare", "a.jsonl", "b.jsonl", "--json", "b.jsonl"],
        ["compare", "a.jsonl", "float16:b.jsonl", "--json", "b.jsonl"],
        ["report", "a.jsonl", "b.jsonl", "--output", "b.jsonl"],
    ],
)
def test_what_is_read_is_not_written_over(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: List[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.jsonl", "b.jsonl"):
        Path(name).write_text(READING)
    assert main(command) == 1
    assert "b.jsonl is named twice" in capsys.readouterr().err
    assert Path("b.jsonl").read_text() == READING
