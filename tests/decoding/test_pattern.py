"""Patterns: the same texts as Python's expressions, and what is not supported is named."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crnn.decoding.automaton import compile_pattern
from crnn.decoding.pattern import drawn, parse_characters, parse_pattern
from crnn.errors import InputError
from crnn.labels import Alphabet

ABC = Alphabet("ab0-")

ATOMS = st.sampled_from(["a", "b", "0", ".", "[ab]", "[^a]", r"\d", r"\w", "[a0-]", r"\-"])
PATTERNS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda two: f"({two[0]}|{two[1]})"),
        st.tuples(inner, st.sampled_from("?*+")).map(lambda two: f"(?:{two[0]}){two[1]}"),
        inner.map(lambda one: f"({one}){{2}}"),
        inner.map(lambda one: f"({one}){{1,2}}"),
        inner.map(lambda one: f"({one}){{0,}}"),
    ),
    max_leaves=5,
)


def accepts(pattern: str, text: str) -> bool:
    automaton = compile_pattern(parse_pattern(pattern), ABC, folds_case=False)
    graph, state = automaton.graph, 0
    for character in text:
        edges = range(graph.first[state], graph.first[state] + graph.count[state])
        leads = {int(graph.label[edge]): int(graph.target[edge]) for edge in edges}
        if ABC.table.index(character) not in leads:
            return False
        state = leads[ABC.table.index(character)]
    return int(graph.needed[state]) == 0


@settings(max_examples=300, deadline=None)
@given(PATTERNS, st.text("ab0-", max_size=6))
def test_a_pattern_has_the_texts_that_python_says(pattern: str, text: str) -> None:
    assert accepts(pattern, text) == bool(re.fullmatch(pattern, text))


@settings(max_examples=100, deadline=None)
@given(PATTERNS, st.integers(0, 99))
def test_what_is_drawn_has_the_pattern(pattern: str, seed: int) -> None:
    text = drawn(parse_pattern(pattern), random.Random(seed), "ab0-")
    assert re.fullmatch(pattern, text)


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("(?=a)b", r"at character 1: '\(\?=a' is not supported"),
        (r"a\b", r"at character 2: \\b is not supported"),
        (r"(a)\1", r"at character 4: \\1 is not supported"),
        ("a*?", r"at character 2: '\*\?', a repetition after a repetition"),
        ("a{2", "at character 2: braces hold a number or two"),
        ("a{,2}", "at character 2: braces hold a number or two"),
        ("a{3,2}", "from 3 down to 2 times"),
        ("a{1001}", "more than 1000 times"),
        ("[b-a]", "the range 'b-a' runs backwards"),
        ("[a", "at character 1: the list is not closed"),
        ("[]", "the list is empty"),
        ("(a", "at character 1: the group is not closed"),
        ("a)", r"at character 2: '\)' without its opening one"),
        ("*a", r"at character 1: '\*' has no meaning here; for the character itself write \\\*"),
        ("a$b", r"\$ is only for the end"),
        ("a\\", "it ends after a backslash"),
        ("(" * 60, "more than 50 groups"),
        ("", "the pattern is empty"),
        ("a" * 1001, "1001 characters; at most 1000"),
    ],
)
def test_what_is_not_supported_is_named_with_its_place(pattern: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        parse_pattern(pattern)


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("((a{100}){100}){100}", "written out it has more than 20000 places"),
        ("(a|b)*a(a|b){20}", "compiled it has more than 10000 states"),
        ("(a?){1000}", "too much of it may stand at the same place"),
    ],
)
def test_a_pattern_that_explodes_is_refused(pattern: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        compile_pattern(parse_pattern(pattern), ABC, folds_case=False)


def test_case_counts_as_the_model_folds_it() -> None:
    letters = Alphabet("abc0123456789")
    folded = compile_pattern(parse_pattern("[A-B]C"), letters, folds_case=True)
    assert folded.graph.label.tolist() == [1, 2, 3]
    with pytest.raises(InputError, match=r"asks for \[A-B\], \[C\], which the model cannot read"):
        compile_pattern(parse_pattern("[A-B]C"), letters, folds_case=False)
    both = compile_pattern(parse_pattern("[Ab]"), Alphabet("abAB"), folds_case=False)
    assert both.graph.label.tolist() == [2, 3]


def test_lists_of_characters() -> None:
    assert parse_characters("0-9").among("a1b2-", folds_case=True) == "12"
    assert parse_characters("0-9-").among("a1b2-", folds_case=True) == "12-"
    assert parse_characters(r"A-B\-").among("ab-", folds_case=True) == "ab-"
    assert parse_characters(r"\d").among("a1", folds_case=True) == "1"
    with pytest.raises(InputError, match="the list of allowed characters is empty"):
        parse_characters("")
    with pytest.raises(InputError, match="the list of characters '9-0', at character 1"):
        parse_characters("9-0")
