"""Each page in two languages says the same: headings, commands, figures and links."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import List, NamedTuple, Tuple

import pytest

from tests.conftest import ROOT

CHINESE = sorted([*ROOT.glob("*.zh-CN.md"), *(ROOT / "docs").glob("*.zh-CN.md")])
NEEDED = ("ReadMe", "ascend", "hardware", "library", "migration", "own-words")
FIGURE = re.compile(r"(?<![\w.])\d+(?:[.,\u00a0]?\d+)*(?![\w])")
LINK = re.compile(r"\]\(([^)\s]+)\)")


class Section(NamedTuple):
    """A heading's level, and what stands below it."""

    level: int
    title: str
    text: str
    code: Tuple[str, ...]


def english_of(page: Path) -> Path:
    return page.with_name(page.name.replace(".zh-CN", ""))


def sections(page: Path) -> List[Section]:
    """Cut a page at its headings; what is fenced is apart."""
    found = [Section(0, "", "", ())]
    fence: List[str] = []
    inside = False
    for line in page.read_text(encoding="utf-8").splitlines():
        last = found[-1]
        if line.startswith("```"):
            inside = not inside
            if not inside:
                found[-1] = last._replace(code=(*last.code, "\n".join(fence)))
                fence = []
        elif inside:
            fence.append(without_comment(line))
        elif re.match("#+ ", line):
            marks, _, title = line.partition(" ")
            found.append(Section(len(marks), title, "", ()))
        else:
            found[-1] = last._replace(text=last.text + line + "\n")
    return found


def without_comment(line: str) -> str:
    """Return a line of code without its comment, which each language has in its own words."""
    return re.sub(r"(^|\s)#\s.*$", "", line).rstrip()


def figures(text: str) -> Counter[str]:
    """Count the numbers of two digits and more; 10 月 is a month, which English has in letters."""
    text = re.sub(r"`[^`]*`|\]\([^)]*\)", " ", text)
    text = re.sub(r"\d+ ?月", " ", text)
    return Counter(number for number in FIGURE.findall(text) if len(number) > 1)


def spoken(text: str) -> Counter[str]:
    """Count what is in backticks."""
    return Counter(set(re.findall(r"`([^`]+)`", text.replace(".zh-CN.md", ".md"))))


def links(text: str) -> List[str]:
    """Return where a text leads, in whichever language, without places inside a page."""
    found = [target.partition("#")[0] for target in LINK.findall(text)]
    return sorted(target.replace(".zh-CN.md", ".md") for target in found)


def test_the_pages_that_are_promised_are_there() -> None:
    there = {page.name.replace(".zh-CN.md", "") for page in CHINESE}
    assert there >= set(NEEDED)


@pytest.mark.parametrize("page", CHINESE, ids=lambda page: page.name)
def test_both_languages_say_the_same(page: Path) -> None:
    chinese, english = sections(page), sections(english_of(page))
    levels = [[section.level for section in one] for one in (chinese, english)]
    assert levels[0] == levels[1]
    for here, there in zip(chinese, english):
        assert here.code == there.code, there.title
        assert figures(here.text) == figures(there.text), there.title
        assert spoken(here.text) == spoken(there.text), there.title
        if here.level != 1:
            assert links(here.text) == links(there.text), there.title


@pytest.mark.parametrize("page", CHINESE, ids=lambda page: page.name)
def test_each_language_leads_to_the_other(page: Path) -> None:
    english = english_of(page)
    assert f"]({english.name})" in page.read_text(encoding="utf-8")
    assert f"]({page.name})" in english.read_text(encoding="utf-8")


@pytest.mark.parametrize("page", CHINESE, ids=lambda page: page.name)
def test_chinese_pages_lead_to_chinese_pages(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in LINK.findall(text):
        file = (page.parent / target.partition("#")[0]).resolve()
        translated = file.with_name(file.name.replace(".zh-CN", "").replace(".md", ".zh-CN.md"))
        if file.name.endswith(".md") and file != english_of(page).resolve():
            assert translated == file or not translated.exists(), f"{page.name} leads to {target}"


@pytest.mark.parametrize("page", CHINESE, ids=lambda page: page.name)
def test_chinese_is_written_as_engineers_write_it(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    prose = re.sub(r"```.*?```", "", text, flags=re.S)
    assert re.findall(r"\d %", prose) == []
    # Accuracy is 准确率; this word is for float16 and float32 alone.
    assert re.findall(r"(?<!混合)精度(?!模式)", prose) == []
    for word in ("训练字典", "裸 state", "渲染", "延迟预算", "逐位", "门的次序", "配方"):
        assert word not in prose, word


def test_links_to_places_inside_a_page_find_them() -> None:
    for page in [*CHINESE, *map(english_of, CHINESE)]:
        for target in LINK.findall(page.read_text(encoding="utf-8")):
            name, hash_, place = target.partition("#")
            if hash_ and not target.startswith("https://"):
                file = page.parent / (name or page.name)
                titles = [slug(section.title) for section in sections(file)]
                assert place in titles, f"{page.name} leads to {target}"


def slug(title: str) -> str:
    """Return what the place of a heading is called in links."""
    kept = re.sub(r"[^\w\- ]", "", title.lower())
    return kept.replace(" ", "-")


@pytest.mark.parametrize(
    "change",
    [("## ", "### "), ("$ export", "$ setenv"), ("246", "247"), ("(simulator.md", "(formats.md")],
)
def test_a_page_that_is_not_in_step_is_found(tmp_path: Path, change: Tuple[str, str]) -> None:
    english = (ROOT / "docs" / "ascend.md").read_text(encoding="utf-8")
    (tmp_path / "ascend.md").write_text(english, encoding="utf-8")
    page = tmp_path / "ascend.zh-CN.md"
    page.write_text(english.replace(*change, 1), encoding="utf-8")
    with pytest.raises(AssertionError):
        test_both_languages_say_the_same(page)
