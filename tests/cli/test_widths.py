"""Nothing that a verb prints is wider than 80 columns, but for what cannot be broken."""

from __future__ import annotations

from pathlib import Path

import pytest

from crnn.cli.main import VERBS
from tests.cli import widths
from tests.test_page_commands import every_parser


@pytest.mark.parametrize("how", ["here", "elsewhere"])
def test_no_line_of_any_verb_is_too_wide(how: str, tmp_path: Path) -> None:
    widths.lay_out(tmp_path)
    if how == "here":
        found = list(widths.printed_here(tmp_path))
    else:
        list(widths.printed_here(tmp_path, ["crnn export crnn_small.pth crnn.onnx", BINS]))
        found = list(widths.printed_elsewhere(tmp_path))
    for run in found:
        assert run.lines, run.command
        assert run.broken == [], run.command


BINS = "crnn prepare words_lmdb input_bin"


def test_there_is_a_run_of_every_verb() -> None:
    verbs = {run.split()[1] for run in widths.RUNS.strip().splitlines() if " " in run}
    assert set(VERBS) <= verbs


def test_no_help_is_too_wide() -> None:
    for words, parser in every_parser().items():
        for line in parser.format_help().splitlines():
            assert len(line) <= widths.WIDTH, words


@pytest.mark.parametrize(
    ("line", "broken"),
    [
        ("word " * 20, True),
        ("x" * 120, False),
        (f"sha256  {'0' * 90}", False),
        (f"  crnn evaluate {' '.join(['a_long_name.onnx'] * 8)}", False),
        (f"it is in {'/folder' * 12} and that is all there is to say about it", True),
        ("atc: " + "word " * 20, False),
    ],
)
def test_what_can_be_broken_is_told_from_what_cannot(line: str, broken: bool) -> None:
    assert (widths.Printed("", [line]).broken == [line]) is broken
