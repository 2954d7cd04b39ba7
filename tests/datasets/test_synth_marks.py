"""What a rendered text shows and what of it is read: needs no font."""

from __future__ import annotations

import collections
import random

import pytest

from crnn.datasets.synth import marks
from crnn.datasets.synth.table import Effect, load_table
from crnn.datasets.synth.words import MAX_STEPS, Words, characters_of, load_words
from crnn.labels import DIGITS_AND_LETTERS, steps

LETTERS = characters_of(DIGITS_AND_LETTERS)
LISTED = {2: ["of"], 4: ["sale", "life"], 6: ["Hotels"], 9: ["clearance"]}


def quiet(**chances: float) -> dict:
    """The table without anything but what is asked for."""
    table = dict(load_table())
    for name, effect in table.items():
        if effect.chance < 1:
            table[name] = Effect(chances.get(name, 0.0), effect.ranges)
    return table


def texts(characters: str = LETTERS, count: int = 600, **chances: float) -> list:
    words, rng, table = Words(LISTED, characters), random.Random(4), quiet(**chances)
    return [words.draw(rng, table) for _ in range(count)]


@pytest.mark.parametrize("name", ["marks", "figures", "raised", "punctuation"])
def test_marks_are_drawn_and_not_read(name):
    found = texts(**{name: 1.0})
    for text in found:
        assert text.label == "".join(letter for letter in text.shown if letter.isalnum())
        assert 1 <= steps(text.label) <= MAX_STEPS
    assert sum(text.label != text.shown for text in found) > len(found) * 0.2


def test_marks_stand_before_inside_and_after():
    shown = [text.shown for text in texts(marks=1.0, count=2000)]
    for mark in "“”‘’\"'()[]#@&$+/-.,!?:;…*™":
        assert any(mark in text for text in shown), mark
    assert sum(not text[0].isalnum() for text in shown) > 300
    assert sum(not text[-1].isalnum() for text in shown) > 300
    inside = [text for text in shown if text[0].isalnum() and text[-1].isalnum()]
    assert sum(not text.isalnum() for text in inside) > 300
    assert any(text.startswith("www.") and text.endswith(".com") for text in shown)
    assert any("'s" in text for text in shown)


def test_figures_are_prices_times_numbers_and_plates():
    shown = " ".join(text.shown for text in texts(figures=1.0, count=3000))
    for sign in ("$", "£", "€", "%", ":", "/", "°", "#", "+", "am", "km", "(", "-", "¢"):
        assert sign in shown, sign


def test_what_an_alphabet_has_is_read():
    for text in texts(LETTERS + "-'.", marks=1.0, figures=0.5):
        read = "".join(letter for letter in text.shown if letter.isalnum() or letter in "-'.")
        assert text.label == read


def test_no_letter_or_digit_is_left_unread():
    """An alphabet without digits or without Latin letters gets no price and no web address."""
    for text in texts("abcdefghijklmnopqrstuvwxyz", marks=0.5, figures=0.5, raised=0.1):
        assert text.label == "".join(letter for letter in text.shown if letter.isalnum())


def test_what_is_raised_is_the_end():
    found = texts(raised=1.0)
    assert all(0 < text.raised < len(text.shown) for text in found)
    assert {"th", "st", "nd", "rd"} <= {text.shown[-text.raised :] for text in found}


def test_signs_are_capitals():
    for text in texts(signs=1.0):
        assert text.sign
        assert text.label == text.shown == text.label.upper()
    assert not any(text.sign for text in texts())


def test_capitals_reach_what_a_form_adds():
    shown = [text.shown for text in texts(marks=1.0, upper=1.0)]
    assert any(text.startswith("WWW.") for text in shown)
    assert all(text == text.upper() for text in shown)


def test_every_form_can_be_filled():
    rng = random.Random(1)
    forms = [form for _, kind in (*marks._DRESSES, *marks._FIGURES) for form in kind]
    forms += ["".join(pair) for pair in marks._RAISED]
    for form in forms:
        filled = marks.fill(form, ["one", "two"], rng)
        assert not set(filled) & {*marks.WORD, *marks.SECOND, *marks.CAPITAL, *marks.DIGIT}
        assert marks.FIRST not in filled
        assert any(letter.isalnum() for letter in filled), form


def test_a_word_listed_several_times_is_drawn_so_many_times_as_often(tmp_path):
    file = tmp_path / "words.txt"
    file.write_text("the\n" * 9 + "cat\n")
    words, rng, table = load_words(file, LETTERS), random.Random(2), quiet()
    count = collections.Counter(words.draw(rng, table).label for _ in range(2000))
    assert 0.87 < count["the"] / 2000 < 0.93
