"""``crnn dataset synth --pattern``: labels of a pattern, the same that evaluate takes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from crnn.cli.main import main
from crnn.datasets.synth.render import Renderer
from crnn.datasets.synth.words import load_pattern
from crnn.errors import InputError
from crnn.samples.lmdb import LmdbSamples

PLATES = "[A-Z]{2}[0-9]{2}[A-Z]{3}"


def test_labels_have_the_pattern_and_follow_the_seed(tmp_path: Path) -> None:
    command = ["dataset", "synth", str(tmp_path / "plates"), "--count", "6", "--seed", "1"]
    assert main([*command, "--pattern", PLATES]) == 0
    labels = [sample.label for sample in LmdbSamples(tmp_path / "plates")]
    assert len(set(labels)) == 6
    assert all(re.fullmatch(PLATES, str(label)) for label in labels)
    again = Renderer.create(1, pattern=PLATES)
    assert [again.sample(number).label for number in range(1, 7)] == labels
    other = Renderer.create(1, pattern="[A-Z]{2}[0-9]{3}")
    assert other.fingerprint() != again.fingerprint()


def test_words_and_a_pattern_are_not_both_drawn(tmp_path: Path) -> None:
    command = ["dataset", "synth", str(tmp_path / "out"), "--count", "1", "--seed", "1"]
    assert main([*command, "--pattern", "a", "--words", "words.txt"]) == 2
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("a{40}", "shortest text has 40 characters; at most 25 fit"),
        ("(a|b)*a(a|b){20}", "the pattern is too large"),
        (r"\s", r"\\s is not supported"),
        ("é", "which the model cannot read"),
        ("a?b{26}?", "a repetition after a repetition"),
        ("", "the pattern is empty"),
    ],
)
def test_what_cannot_be_drawn_is_refused_before_anything_is_rendered(pattern, said) -> None:
    with pytest.raises(InputError, match=said):
        load_pattern(pattern, "0123456789abAB")
