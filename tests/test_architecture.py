"""docs/architecture.md names rooms and files that are there."""

from __future__ import annotations

import re
from typing import List

from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


def section(title: str) -> List[str]:
    """The rows of the table in a section, but for its head."""
    text = PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    return rows[1:]


def test_every_room_is_in_the_table() -> None:
    named = set()
    for row in section("Rooms"):
        named.update(re.findall(r"`(\w+)`", row.split("|")[1]))
    there = set()
    for entry in (ROOT / "crnn").iterdir():
        if not entry.name.startswith("_") and (entry.suffix == ".py" or entry.is_dir()):
            there.add(entry.stem)
    assert named == there


def test_the_files_to_change_are_there() -> None:
    rows = section("Where to change what")
    assert len(rows) > 10
    for row in rows:
        begin = re.findall(r"`([^`]+)`", row.split("|")[2])[0].replace("VERB", "evaluate")
        place = ROOT / "crnn" / begin
        assert place.exists(), row
        for name in re.findall(r"`([^`]+\.(?:py|yaml))`", row.split("|")[3]):
            beside = [*place.parent.glob(name), *(ROOT / "crnn").glob(name)]
            twins = [*(ROOT / "crnn" / "simulator" / "calls").glob(name)]
            assert beside or twins, (row, name)
