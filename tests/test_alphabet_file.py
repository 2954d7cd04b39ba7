"""Files of characters as they circulate give the characters that were meant, or say which line is
wrong.
"""

from __future__ import annotations

from pathlib import Path
from typing import Dict, Tuple

import pytest

from crnn.alphabet_file import alphabet_of, read_alphabet_file
from crnn.cli.main import main
from crnn.errors import InputError
from crnn.training.recipe import load_recipe

READ: Dict[str, Tuple[bytes, str]] = {
    "one line": (b"0123456789", "0123456789"),
    "several lines of several": (b"01234\nabcde\n", "01234abcde"),
    "one a line": (b"0\n1\na\n", "01a"),
    "one a line, CRLF, BOM": ("\ufeff0\r\n1\r\n路\r\n".encode(), "01路"),
    "blank first": ("blank\n0\nb\n路\n".encode(), "0b路"),
    "blank first, as a token": (b"<BLANK>\nx\ny\n", "xy"),
    "blank before one line": (b"blank\nabcklmn\n", "abcklmn"),
    "GBK, blank first": ("blank\n京\n沪\nA\n".encode("gbk"), "京沪A"),
    "GB18030": ("京沪㐀𠀀".encode("gb18030"), "京沪㐀𠀀"),
    "UTF-16": ("京\n沪\n".encode("utf-16"), "京沪"),
    "a space among them": (b"a\n \nb\n", "a b"),
    "an ideographic space": ("a\n\u3000\nb\n".encode(), "a\u3000b"),
    "Python's list": (b"chars = ['0', '1', '\\'', '#']\n", "01'#"),
    "Python's string": ('# Chinese\nalphabet = """京\n沪\\\\"""\n'.encode(), "京沪\\"),
    "JSON's list, blank first": (b'["[blank]", "a", "b", "\\u8def"]', "ab路"),
    "a tuple": (b"CHARS: tuple = ('x', 'y')", "xy"),
    "brackets that are characters": (b"[](){}=", "[](){}="),
    "only the word": (b"blank", "blank"),
}


@pytest.mark.parametrize("kind", READ)
def test_what_circulates_is_read(tmp_path: Path, kind: str) -> None:
    content, characters = READ[kind]
    (tmp_path / "list.txt").write_bytes(content)
    assert read_alphabet_file(tmp_path / "list.txt").characters == characters


def test_what_was_done_is_said(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes("blank\n京\n".encode("gbk"))
    assert read_alphabet_file(path).notes == (
        f"{path} is not UTF-8: read as GB18030",
        f"{path}: its first line, 'blank', taken for the blank",
    )


REFUSED = {
    "a word in the list": (b"blank\na\nb\nspace\nc\n", r"line 4, 'space', has 5 characters; .* 3$"),
    "blank at the end": (b"a\nb\nc\nblank\n", "line 4, 'blank', has 5 characters"),
    "spaces behind": (b"a\nb \nc\nd \ne\n", "line 2, 'b ', has 2 characters, and so have 1 more"),
    "an entry of two": (b"x = ['a', 'bc', 'd']", "entry 2, 'bc', has 2 characters"),
    "two lists": (b"a = 'xy'\nb = ['x', 'y']\n", "holds 2 lists of characters: a, b; expected one"),
    "neither encoding": (b"\xff\xff\x80", "is neither UTF-8 nor GB18030"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_meant_is_named(tmp_path: Path, kind: str) -> None:
    content, message = REFUSED[kind]
    (tmp_path / "list.txt").write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_alphabet_file(tmp_path / "list.txt")
    import re

    assert re.search(message, caught.value.message), caught.value.message


@pytest.mark.parametrize("name", ["alphabet.txt", "lists/cn", "zz"])
def test_a_file_named_without_its_sign_is_asked_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("abc")
    with pytest.raises(InputError, match=f"did you mean @{name}"):
        alphabet_of(name)
    assert alphabet_of(f"@{name}").characters == "abc"


def test_characters_that_are_a_files_name_too_stay_characters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "abc").write_text("xyz")
    assert alphabet_of("abc").characters == "abc"
    assert alphabet_of("@").characters == "@"
    assert alphabet_of("a" * 5000).characters == "a" * 5000


@pytest.mark.parametrize("content", ["01\n路", "blank\n0\n1\n路\n", "x = ['0', '1', '路']"])
def test_recipes_take_files_of_characters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.txt").write_text(content, encoding="utf-8")
    (tmp_path / "r.yaml").write_text("base: synthetic\nalphabet: '@c.txt'\n")
    assert load_recipe("r.yaml").alphabet == "01路"
    assert load_recipe("synthetic", ["alphabet=@c.txt"]).alphabet == "01路"
    assert load_recipe("synthetic", ["start_alphabet=@c.txt"]).start_alphabet == "01路"


def test_a_recipe_without_quotes_says_so(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text("alphabet: @c.txt\n")
    with pytest.raises(InputError) as caught:
        load_recipe(str(tmp_path / "r.yaml"))
    assert "quotes around it" in caught.value.hint


def test_the_command_says_what_it_did_to_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "c.txt"
    path.write_bytes("blank\n京\n".encode("gbk"))
    assert main(["train", "synthetic", f"alphabet=@{path}", "--show"]) == 0
    said = capsys.readouterr()
    assert "alphabet: 京" in said.out
    assert "read as GB18030" in said.err
    assert "taken for the blank" in said.err
