"""Lexicons, allow-lists, patterns and alternatives, as a decoder has them; and bad lexicons."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, List, Sequence

import numpy as np
import pytest

from crnn import ctc
from crnn.decoding import choosers, lexicon
from crnn.decoding.choosers import METHODS, chooser_of
from crnn.decoding.decoder import Decoded, Decoder, DecodingOptions, NoLexiconError
from crnn.decoding.lexicon import lexicon_of, read_words
from crnn.decoding.nearest import words_within
from crnn.errors import InputError, UsageError
from crnn.limits import PREFIX
from crnn.spec import ModelSpec

SPEC = ModelSpec.default()
FEW = ["good", "Food", "god", "wood", "goods", "hood"]


def logits_of(texts: Sequence[str], sure: float = 5.0) -> np.ndarray:
    """Return logits (26, n, 37) that read these texts."""
    logits = np.zeros((26, len(texts), 37), dtype=np.float32)
    logits[:, :, 0] = 1
    for row, text in enumerate(texts):
        for position, character in enumerate(text):
            logits[2 * position, row, SPEC.alphabet.table.index(character)] = sure
    return logits


def noise(rows: int, seed: int = 0) -> np.ndarray:
    logits: np.ndarray = np.random.default_rng(seed).normal(scale=4, size=(26, rows, 37))
    return logits.astype(np.float32)


def decode(logits: np.ndarray, **options: object) -> Decoded:
    keys = [f"test_{number}" for number in range(1, logits.shape[1] + 1)]
    return Decoder(SPEC, DecodingOptions(**options)).decode(logits, keys)  # type: ignore[arg-type]


def many(count: int, seed: int = 1) -> List[str]:
    """Return distinct words of 2 to 9 letters."""
    rng = np.random.default_rng(seed)
    words: Dict[str, None] = {}
    while len(words) < count:
        letters = rng.integers(ord("a"), ord("h"), rng.integers(2, 10))
        words["".join(map(chr, letters))] = None
    return list(words)


def test_without_options_it_is_greedy_and_nothing_else() -> None:
    logits = noise(20)
    decoded = Decoder(SPEC).decode(logits, [""] * 20)
    assert decoded == Decoded(ctc.greedy(logits, SPEC.alphabet))


def test_a_lexicon_gives_its_likeliest_word_as_the_model_spells_it() -> None:
    decoded = decode(logits_of(["fodd", "goods", "xxhood"]), lexicon=FEW)
    assert list(decoded.texts) == ["food", "goods", "hood"]


def test_probability_and_posterior_are_of_the_printed_word() -> None:
    logits = logits_of(["goodz", "hood"], sure=2) + noise(2) / 10
    decoded = decode(logits, lexicon=FEW, alternatives=len(FEW))
    assert decoded.probabilities is not None and decoded.posteriors is not None
    for row, text in enumerate(decoded.texts):
        chances = {}
        for word in FEW:
            alone = decode(logits[:, [row]], lexicon=[word])
            chances[word.lower()] = float(alone.probabilities[0])  # type: ignore[index]
            assert alone.posteriors == pytest.approx([1.0])
        assert text == max(chances, key=chances.__getitem__)
        assert decoded.probabilities[row] == pytest.approx(chances[text])
        assert decoded.posteriors[row] == pytest.approx(chances[text] / sum(chances.values()))
        named = decoded.alternatives[row]  # type: ignore[index]
        assert [one.text for one in named] == sorted(chances, key=lambda word: -chances[word])
        assert [one.probability for one in named] == pytest.approx(
            sorted(chances.values(), reverse=True)
        )


@pytest.mark.parametrize("method", METHODS)
def test_no_method_leaves_a_row_without_a_word(method: str) -> None:
    words = many(1500)
    decoded = decode(noise(30), lexicon=words, method=method, beam=1)
    assert set(decoded.texts) <= set(words)
    assert np.isfinite(decoded.posteriors).all()  # type: ignore[arg-type]


def test_a_beam_that_loses_all_words_is_doubled_and_then_all_are_scored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    widths: List[int] = []
    real = choosers.search

    def nothing(graph, scaled, blank, width):
        widths.append(width)
        kept = real(graph, scaled, blank, width)
        none = np.zeros(0, dtype=np.int64)
        return choosers.Survivors(none, none, kept.spelled[:0], none)

    monkeypatch.setattr(choosers, "search", nothing)
    words = many(1200)
    logits = noise(3)
    decoded = decode(logits, lexicon=words, beam=200)
    assert widths == [200, 200, 400, 400]  # from both ends of the words
    assert decoded.texts == decode(logits, lexicon=words, method="exact").texts


def test_a_wide_beam_agrees_with_the_exact_scores() -> None:
    words = many(1000)
    logits = logits_of(words[:200], sure=6) + noise(200, seed=3) / 4
    exact = decode(logits, lexicon=words, method="exact")
    same = []
    for beam in (2, 10, 40):
        found = decode(logits, lexicon=words, method="beam", beam=beam)
        same.append(sum(one == other for one, other in zip(found.texts, exact.texts)))
    # The noise is as loud as the letters: real words are far easier.
    assert same[0] < 100 and same[1] >= 140 and same[2] >= 180


def test_a_word_that_is_lost_at_its_beginning_is_found_from_its_end() -> None:
    words = [*many(1200), "qzabcd"]
    logits = logits_of(["xxabcd"], sure=9)
    logits[0, 0, SPEC.alphabet.table.index("q")] = -3
    assert list(decode(logits, lexicon=words, beam=1).texts) == ["qzabcd"]


def test_up_to_1000_words_are_scored_and_of_more_a_beam_searches() -> None:
    made = {}
    for count in (1000, 1001):
        chooser = chooser_of(SPEC, DecodingOptions(lexicon=many(count)), None)
        made[count] = chooser.described()
    assert made[1000] == {
        "lexicon": "the lexicon",
        "words": 1000,
        "left_out": 0,
        "method": "exact",
    }
    assert (made[1001]["method"], made[1001]["beam"]) == ("beam", 10)


def levenshtein(one: str, other: str) -> int:
    row = list(range(len(other) + 1))
    for count, character in enumerate(one, 1):
        before, row[0] = row[0], count
        for place, letter in enumerate(other, 1):
            change = before + (character != letter)
            before = row[place]
            row[place] = min(change, row[place] + 1, row[place - 1] + 1)
    return row[-1]


@pytest.mark.parametrize("text", ["abcd", "", "g", "fedcbaabcdef", "bbbbb"])
@pytest.mark.parametrize("most", [0, 1, 3])
def test_near_words_are_those_of_the_edit_distance(text: str, most: int) -> None:
    words = lexicon_of(many(600), SPEC, "test")
    classes, _ = lexicon.Speller(SPEC.alphabet).spell([text])
    found = [words.texts[number] for number in words_within(words.trie, classes, most)]
    assert found == [word for word in words.texts if levenshtein(word, text) <= most]


def test_the_papers_protocol_takes_the_best_of_the_near_words_else_any() -> None:
    words = ["abcdefgh", "zzzzzzzzz", *many(1100)]
    # "bcd" is within 3 of the greedy text; the best CTC score of all words is another's.
    logits = logits_of(["abcdefxh", "0123456789"])
    decoded = decode(logits, lexicon=words, method="paper")
    assert decoded.texts[0] == "abcdefgh"
    assert decoded.texts[1] == decode(logits, lexicon=words).texts[1]


def test_an_allow_list_leaves_other_characters_out() -> None:
    logits = noise(20)
    found = decode(logits, allow="0-9").texts
    masked = logits.copy()
    masked[:, :, 11:] = -np.inf
    assert list(found) == ctc.greedy(masked, SPEC.alphabet)
    assert list(decode(logits, allow="A-Z0-9").texts) == ctc.greedy(logits, SPEC.alphabet)


def test_a_character_that_the_model_lacks_is_named() -> None:
    decoder = Decoder(SPEC, DecodingOptions(allow="0-9A-Zé€"))
    assert decoder.notes() == ["--allow names 'é€', which the model's alphabet does not have"]
    assert Decoder(SPEC, DecodingOptions(allow="0-z")).notes() == []


def test_a_pattern_restricts_the_text_and_gives_its_probability() -> None:
    decoded = decode(logits_of(["ab1234", "0b123x", "zzz"]), pattern="[A-Z]{2}[0-9]{4}")
    assert decoded.texts[0] == "ab1234"
    for text in decoded.texts:
        assert text[:2].isalpha() and text[2:].isdigit() and len(text) == 6
    exact = decode(logits_of(["ab1234"]), lexicon=["ab1234"])
    assert decoded.probabilities[0] == pytest.approx(exact.probabilities[0])  # type: ignore[index]
    assert decoded.posteriors is None


def test_alternatives_without_a_lexicon_leave_the_text_as_it_is() -> None:
    logits = noise(10)
    decoded = decode(logits, alternatives=4)
    assert list(decoded.texts) == ctc.greedy(logits, SPEC.alphabet)
    for row, named in enumerate(decoded.alternatives):  # type: ignore[arg-type]
        values = [one.probability for one in named]
        assert len(values) == 4 and values == sorted(values, reverse=True)
        alone = decode(logits[:, [row]], lexicon=[named[0].text])
        assert alone.probabilities == pytest.approx([values[0]])
    assert decode(logits, alternatives=4, allow="0-9").alternatives is not None
    for named in decode(logits, alternatives=4, allow="0-9").alternatives:  # type: ignore[union-attr]
        assert all(one.text.isdigit() for one in named)


class Words:
    """Lists of words by sample."""

    def __init__(self, lists: Dict[str, List[List[str]]]) -> None:
        self.lists = lists

    def words(self, key: str, number: int) -> Sequence[str]:
        found = self.lists.get(key, [])
        if len(found) < number:
            return ()
        return found[number - 1]

    def require(self, number: int) -> None:
        if number > 2:
            raise NoLexiconError("two lists")

    def whole(self) -> Sequence[str]:
        return ["wood", "x"]


LISTS = Words({"test_1": [["Hoof", "xyz"], ["hood", "fooled"]], "test_2": [["é", "Ö"]]})


def test_each_sample_has_its_own_words() -> None:
    logits = logits_of(["hood", "hood", "hood"], sure=9)
    keys = ["test_1", "test_2", "test_3"]
    options = DecodingOptions(lexicon="per-sample", alternatives=2, probability=True)
    decoder = Decoder(SPEC, options, LISTS)
    decoded = decoder.decode(logits, keys)
    assert list(decoded.texts) == ["hoof", "hood", "hood"]
    second = decoded.reading(1, "test_2", None, None)
    assert second.posterior is None
    assert second.probability == pytest.approx(
        float(decode(logits[:, [1]], lexicon=["hood"]).probabilities[0])  # type: ignore[index]
    )
    assert decoder.notes() == [
        "2 of 3 samples have no list number 1 of words that the model can read: they were read"
        " without a lexicon",
        "the samples' lexicons: 2 of 4 words with characters outside the alphabet are left out"
        " (such as 'é', 'ö')",
    ]
    other = Decoder(SPEC, DecodingOptions(lexicon="per-sample:2"), LISTS)
    assert other.decode(logits, keys).texts[0] == "hood"
    whole = Decoder(SPEC, DecodingOptions(lexicon="full"), LISTS)
    assert list(whole.decode(logits, keys).texts) == ["wood"] * 3


def test_a_batch_without_a_finite_row_is_nothing() -> None:
    decoder = Decoder(SPEC, DecodingOptions(lexicon=FEW))
    assert list(decoder.decode(np.zeros((26, 0, 37), dtype=np.float32), []).texts) == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"lexicon": FEW, "pattern": "a"}, "--lexicon and --pattern contradict each other"),
        ({"allow": "a", "pattern": "a"}, "--pattern and --allow contradict each other"),
        ({"method": "paper"}, "--lexicon-method goes with --lexicon"),
        ({"lexicon": FEW, "beam": 0}, "--beam 0: expected 1 to 640"),
        ({"lexicon": FEW, "method": "best"}, "--lexicon-method best: expected auto, exact"),
        ({"lexicon": "per-sample"}, "here there is no LMDB"),
        ({"lexicon": "full"}, "here there is no LMDB"),
    ],
)
def test_options_that_contradict_each_other_are_refused(options, said: str) -> None:
    options.setdefault("alternatives", 1)
    with pytest.raises(UsageError, match=said):
        decode(noise(1), **options)


@pytest.mark.parametrize("given", ["per-sample:0", "per-sample:x", "per-sample:100"])
def test_which_list_of_a_sample_is_a_number(given: str) -> None:
    with pytest.raises(UsageError, match="the smallest list of each sample, or per-sample:2"):
        Decoder(SPEC, DecodingOptions(lexicon=given), LISTS)


def test_an_empty_list_of_words_is_not_no_lexicon() -> None:
    with pytest.raises(InputError, match="the lexicon holds no word"):
        decode(noise(1), lexicon=[])


def test_a_pattern_longer_than_the_model_reads_is_refused() -> None:
    with pytest.raises(InputError, match="shortest text has 27 characters; the model has 26"):
        decode(noise(1), pattern="a{27}")


def test_words_outside_the_alphabet_are_counted_and_named() -> None:
    words = ["good", "a b", "café", "naïve", "Ünder", "x" * 14]
    found = lexicon_of(words, SPEC, "w.txt")
    assert found.texts == ("good",)
    assert lexicon.left_out(found, "w.txt", 26) == [
        "w.txt: 4 words with characters outside the alphabet are left out (such as 'a b', 'café',"
        " 'naïve')",
        "w.txt: 1 words that need more than 26 time steps are left out",
    ]
    with pytest.raises(InputError) as caught:
        lexicon_of(["é", "x" * 14], SPEC, "w.txt")
    assert "the model can read none of its words (2): 1 have characters outside" in str(
        caught.value
    )
    assert "1 need more than 26 time steps" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty; expected a lexicon, a word a line"),
        (b"\n  \n\r\n", "holds no word; expected one a line"),
        (b"good\nba\x00d\n", "is not a text: its line 2 holds a byte 0"),
        (b"\x7fELF\x02\x01\x01\x00\x00", "is not a text: its line 1 holds a byte 0"),
        (b"good\ncaf\xe9\n", r"line 2: b'caf\\xe9\\n' is not UTF-8, though all before it is"),
        ("good\n".encode("utf-16"), "is UTF-16; expected UTF-8"),
        (b"a" * ((1 << 20) + 2), "line 1 has more than 1048576 bytes"),
    ],
)
def test_a_file_that_is_no_lexicon_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "words.txt"
    path.write_bytes(content)
    with pytest.raises(InputError, match=said):
        decode(noise(1), lexicon=path)


def test_a_lexicon_may_have_a_byte_order_mark_and_any_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_bytes(b"\xef\xbb\xbfgood\r\n  wood \n\nGOOD")
    assert read_words(path) == ["good", "wood", "GOOD"]
    assert lexicon_of(read_words(path), SPEC, "w").texts == ("good", "wood")


def test_a_huge_lexicon_is_refused_before_it_is_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"{PREFIX}LEXICON", "3")
    path = tmp_path / "words.txt"
    path.write_bytes(b"a\nb\nc\nd\n")
    with pytest.raises(InputError, match="holds more than 3 words") as caught:
        read_words(path)
    assert f"{PREFIX}LEXICON" in str(caught.value.hint)
    with pytest.raises(InputError, match="more than 3 words"):
        lexicon_of(["a", "b", "c", "d"], SPEC, "the lexicon")


def test_logits_of_another_alphabet_are_refused() -> None:
    with pytest.raises(InputError, match=r"\(26, 1, 12\); expected \(T, N, 37\)"):
        decode(np.zeros((26, 1, 12), dtype=np.float32), lexicon=FEW)
