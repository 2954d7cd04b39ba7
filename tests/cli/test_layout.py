"""Tables and lines fit a width, and nothing of them is lost."""

from __future__ import annotations

from typing import List

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crnn.cli.console import columns_of, pieces, table, wrapped

WORD = st.text(st.characters(codec="utf-8", categories=["L", "N", "P"]), min_size=1, max_size=12)
CELL = st.lists(WORD, max_size=8).map(" ".join)


@pytest.mark.parametrize(
    ("text", "columns"), [("", 0), ("abc", 3), ("é", 1), ("e\u0301", 1), ("字典", 4), ("a字", 3)]
)
def test_columns(text: str, columns: int) -> None:
    assert columns_of(text) == columns


@given(st.lists(WORD, min_size=1, max_size=20), st.integers(1, 60))
def test_a_wrapped_line_keeps_its_words_and_its_width(words: List[str], width: int) -> None:
    lines = wrapped(" ".join(words), width, "> ", "  ")
    assert lines[0].startswith("> ")
    assert " ".join(lines)[2:].split() == words
    for line in lines:
        one_word = len(pieces(line.strip("> "))) <= 1
        assert columns_of(line) <= width or one_word


@given(
    st.integers(1, 5).flatmap(
        lambda n: st.lists(st.lists(CELL, min_size=n, max_size=n), min_size=2, max_size=6)
    )
)
def test_no_table_is_wider_than_its_words_demand(rows: List[List[str]]) -> None:
    head, *body = rows
    width = 60
    lines = table(head, body, width)
    printed = sorted(word for line in lines for word in line.split() if set(word) != {"-"})
    given_words = [word for row in body for cell in row for word in cell.split()]
    for word in given_words:
        if set(word) != {"-"}:
            assert word in printed
    for line in lines:
        # A command is as whole as a word.
        names = [word.strip(" ") for word in pieces(line.strip(" "))][:-1]
        one_word = " ".join(names) in ["", *head]
        assert columns_of(line) <= width or one_word


@pytest.mark.parametrize(
    "command",
    [
        "pip install -e '.[plot]'",
        "pip install torch",
        "crnn dataset convert folder words/ words_lmdb --annotation labels.csv",
        "python -m crnn.simulator -- crnn compile MODEL.onnx NAME",
        "python -c 'import torch; print(torch.version.cuda, torch.cuda.is_available())'",
        "ls -t ~/ascend/log/debug/plog | head -1",
        "sudo usermod -a -G HwHiAiUser $USER",
        "export ASCEND_INSTALL_ROOT=/opt/Ascend",
    ],
)
def test_a_command_is_never_broken(command: str) -> None:
    text = f"It is not there: say {command}, then try again (or {command})."
    for width in range(20, 90):
        lines = wrapped(text, width)
        assert sum(line.count(command) for line in lines) == 2
        assert " ".join(lines) == text
    # A table goes by what cannot be broken, too.
    assert any(command in line for line in table(["a", "b"], [["x", f"do {command} now"]], 30))


@pytest.mark.parametrize(
    "sentence",
    ["crnn takes a trained model", "the source of the file", "./a.sh finds it where it is"],
)
def test_prose_is_no_command(sentence: str) -> None:
    longest = max(len(word.strip(" ").split(" ")) for word in pieces(sentence))
    assert longest <= 2


def test_a_table_that_fits_is_as_it_was() -> None:
    lines = table(["name", "n"], [["a", "1"], ["bcdefg", "22"]], 80)
    assert lines == ["name    n", "------  --", "a       1", "bcdefg  22"]


def test_the_widest_column_wraps() -> None:
    lines = table(["key", "what"], [["a", "one two three four"], ["b", "five"]], 14)
    assert lines == [
        "key  what",
        "---  ---------",
        "a    one two",
        "     three",
        "     four",
        "b    five",
    ]


def test_what_cannot_fit_is_a_list() -> None:
    path = "/a/path/that/is/long/and/stays/whole"
    lines = table(["file", "why"], [[path, "it is"], ["b", ""]], 20)
    assert lines == [f"file  {path}", "why   it is", "", "file  b"]


def test_chinese_cells_are_aligned() -> None:
    lines = table(["word", "n"], [["字典", "1"], ["abcd", "2"]], 80)
    assert lines[2:] == ["字典  1", "abcd  2"]
