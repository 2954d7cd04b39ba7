"""Whoever searches the pages on coming from another system finds each name of its documents."""

from __future__ import annotations

import re
from pathlib import Path
from typing import List

import pytest

from tests.conftest import ROOT

NAMES = ROOT / "tests" / "data" / "documents_names.txt"
PAGES = ["migration.md", "migration.zh-CN.md"]


def names() -> List[str]:
    lines = NAMES.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def missing(page: Path) -> List[str]:
    # A row may wrap a name that has a blank in it.
    text = " ".join(page.read_text(encoding="utf-8").split())
    return [name for name in names() if name not in text]


@pytest.mark.parametrize("page", PAGES)
def test_every_name_of_the_documents_stands_on_the_page(page: str) -> None:
    assert missing(ROOT / "docs" / page) == []


def test_a_name_that_is_nowhere_is_found_missing(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("a page without names\n", encoding="utf-8")
    assert missing(page) == names()


def test_each_name_is_listed_once() -> None:
    assert len(names()) == len(set(names()))


def rows(page: str) -> List[List[str]]:
    """Return the commands, names and links of each row of a page's tables."""
    lines = (ROOT / "docs" / page).read_text(encoding="utf-8").splitlines()
    found = []
    for line in lines:
        if line.startswith("|"):
            line = line.replace(".zh-CN.md", ".md")
            found.append(sorted(re.findall(r"`[^`]+`|\]\([^)]+\)", line)))
    return found


def test_both_pages_have_the_same_rows() -> None:
    english, chinese = (rows(page) for page in PAGES)
    assert english == chinese
