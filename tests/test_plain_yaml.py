"""YAML of plain values: what is read, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from crnn.cli.main import main
from crnn.plain_yaml import Scalar, YamlError, load, parse

PLAIN = {
    "a: 1": {"a": 1},
    "a: -17": {"a": -17},
    "a: 1_000": {"a": 1000},
    "a: 0x1f": {"a": 31},
    "a: 1.5": {"a": 1.5},
    "a: .5": {"a": 0.5},
    "a: 1.5e+3": {"a": 1500.0},
    "a: .inf": {"a": float("inf")},
    "a: 1e-3": {"a": "1e-3"},
    "a: yes": {"a": True},
    "a: Off": {"a": False},
    "a: ~": {"a": None},
    "a:": {"a": None},
    "a: '1'": {"a": "1"},
    'a: "no"': {"a": "no"},
    "a: |\n  no\n": {"a": "no\n"},
    "1: x": {"1": "x"},
    "a: [1, b, [c]]": {"a": [1, "b", ["c"]]},
    "a: {b: {c: d}}": {"a": {"b": {"c": "d"}}},
    "- 1\n- x": [1, "x"],
    "": None,
    "x": "x",
    # What YAML 1.1 takes for something else, or ends in a traceback of its reader.
    "a: 2001-99-99": {"a": "2001-99-99"},
    "a: 2001-01-01": {"a": "2001-01-01"},
    "a: 0o9": {"a": "0o9"},
    "a: 012": {"a": "012"},
    "a: _": {"a": "_"},
    "a: 190:20:30": {"a": "190:20:30"},
    f"a: {'9' * 5000}": {"a": "9" * 5000},
}


@pytest.mark.parametrize("text", PLAIN, ids=lambda text: text[:20])
def test_plain_values(text: str) -> None:
    assert load(text) == PLAIN[text]


REFUSED = {
    "a: !!int x": "line 1, column 4: the tag .*int is not a plain value",
    "a: !!timestamp x": "the tag",
    "!!python/object/apply:os.system [id]": "the tag",
    "a: !mine x": "the tag !mine",
    "a: &b [1]": "the anchor &b",
    "a: *b": r"the alias \*b",
    "a: " + "[" * 30: "more than 20 deep",
    "[" * 100_000: "more than 20 deep",
    "? [a]\n: b": "a list or map is the key",
    "--- a\n--- b": "second document",
    "a: 'b": "found unexpected end",
    "a: \x07": "special characters",
    "a: " + "b" * (1 << 20): "more than 524288 characters",
}


@pytest.mark.parametrize("text", REFUSED, ids=lambda text: text[:20])
def test_what_is_not_plain(text: str) -> None:
    with pytest.raises(YamlError, match=REFUSED[text]):
        load(text)


def test_the_text_that_was_typed_is_kept() -> None:
    assert parse("a: 012345") == {"a": Scalar("012345", "012345")}
    assert parse("[0x10, no, 'no']") == [
        Scalar(16, "0x10"),
        Scalar(False, "no"),
        Scalar("no", "no", quoted=True),
    ]


def test_a_billion_laughs_are_refused_in_every_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = ["a0: &a0 [x, x]"]
    lines += [f"a{level}: &a{level} [{f'*a{level - 1}, ' * 9}]" for level in range(1, 10)]
    path = tmp_path / "laughs.yaml"
    path.write_text("\n".join(lines))
    assert main(["train", str(path), "--show"]) == 1
    assert "is not YAML: line 1, column 5: the anchor &a0" in capsys.readouterr().err
    assert main(["train", "modelzoo-1p", "train=&a [x]", "--show"]) == 2
    assert "the anchor &a" in capsys.readouterr().err


VALUES = {
    "hidden=1000000000": "a whole number from 1 to 16384",
    "channels=[1000000000,4,4,4,4,4,4]": "a whole number from 1 to 16384",
    "channels=[16384,16384,16384,16384,16384,16384,16384]": "at most 100000000",
    "learning_rate=1e39": "a number above 0 and at most 1e",
    "loss_scale=1e39": "from 1e-30 and at most 1e",
    "batch_size=1000000000000": "a whole number from 1 to",
    f"seed={'9' * 5000}": "a whole number from 0",
}


@pytest.mark.parametrize("pair", VALUES)
def test_absurd_values_of_training(pair: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "modelzoo-1p", pair, "--show"]) in (1, 2)
    told = capsys.readouterr().err
    assert VALUES[pair] in told
    assert len(told) < 1000
