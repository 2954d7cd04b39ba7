"""What may be read, by option: the words of a lexicon, the texts of a pattern, some characters.

Each chooser makes candidates for a batch of rows, gives all of them their exact probability, and
prints the likeliest:

- `LexiconChooser`: every word of a small lexicon, or those that beams over a large one keep. Two
  beams walk through the words, one from their beginnings and one from their ends: a prefix beam
  loses a word whose first characters are unclear, however clear its last ones are. With ten
  prefixes each they find more than one beam of twenty.
- `SampleChooser`: the words that a data set keeps for the sample.
- `PatternChooser`: the texts that a beam over the pattern's automaton keeps.
- `CharacterChooser`: what is read greedily among some characters. A beam names alternatives only:
  without a lexicon or a pattern it would change hardly a text.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np

from crnn import ctc
from crnn.decoding.automaton import compile_pattern
from crnn.decoding.beam import Survivors, search
from crnn.decoding.candidates import Candidates, decoded, likeliest, side_by_side
from crnn.decoding.decoder import FULL, Decoded, DecodingOptions, SampleWords
from crnn.decoding.exact import Emissions, emissions, grouped_logs, shared_logs
from crnn.decoding.graph import Graph, graph_of, graph_of_any
from crnn.decoding.lexicon import Lexicon, Speller, left_out, lexicon_of, read_words, shortened
from crnn.decoding.nearest import words_within
from crnn.decoding.pattern import Characters, parse_characters, parse_pattern, shown
from crnn.decoding.trie import build_trie, subset
from crnn.errors import InputError, UsageError
from crnn.labels import Alphabet
from crnn.python37 import Protocol
from crnn.spec import ModelSpec

EXACT_UP_TO = 1000
"""The most words that are all scored; of more the likeliest are searched for."""
WIDEST = 640
"""A beam in which nothing survives is doubled up to this width."""
PAPER_DISTANCE = 3
"""How far the words of the CRNN paper's protocol may be from the greedy text."""
FLOOR = 1e-70
"""The least emission of a beam, so that nothing becomes 0 between two rescalings."""
METHODS = ("auto", "exact", "beam", "paper")


class Chooser(Protocol):
    """Decodes by what may be read."""

    def decode(self, logits: np.ndarray, keys: Sequence[str]) -> Decoded:
        """Decode a batch.

        Args:
            logits: Scores (T, n, K), all finite, of at least one row.
            keys: The n samples' names.

        Returns:
            The texts, and what is known of them.
        """

    def notes(self) -> List[str]:
        """Return what a user should be told, a line each; complete once all is decoded."""

    def described(self) -> Dict[str, Any]:
        """Return what restricts the texts, as plain data."""


def chooser_of(
    spec: ModelSpec, options: DecodingOptions, samples: Optional[SampleWords]
) -> Chooser:
    """Return what decodes as some options say.

    Args:
        spec: The model's.
        options: With at least one option set that concerns the text.
        samples: Gives each sample's own words; None where there are none.

    Returns:
        The chooser.

    Raises:
        InputError: A lexicon, a pattern or a list of characters cannot be used.
        UsageError: Two options contradict each other.
    """
    _refuse_contradictions(options)
    if options.lexicon is not None:
        return _lexicon_chooser(spec, options, samples)
    if options.pattern is not None:
        return PatternChooser(spec, options)
    return CharacterChooser(spec, options)


def _refuse_contradictions(options: DecodingOptions) -> None:
    """Refuse options that say two things, or what cannot be done."""
    given: List[str] = []
    for name in ("lexicon", "pattern", "allow"):
        if getattr(options, name) is not None:
            given.append(f"--{name}")
    if len(given) > 1:
        raise UsageError(
            f"{' and '.join(given)} contradict each other: each says what may be read; give one"
        )
    if options.method not in METHODS:
        raise UsageError(f"--lexicon-method {options.method}: expected {', '.join(METHODS)}")
    if options.method != "auto" and options.lexicon is None:
        raise UsageError("--lexicon-method goes with --lexicon")
    if not 1 <= options.beam <= WIDEST:
        raise UsageError(f"--beam {options.beam}: expected 1 to {WIDEST}")
    if not 0 <= options.alternatives <= WIDEST:
        raise UsageError(f"--alternatives {options.alternatives}: expected 0 to {WIDEST}")


def _lexicon_chooser(
    spec: ModelSpec, options: DecodingOptions, samples: Optional[SampleWords]
) -> Chooser:
    """Return what reads by a lexicon, wherever its words are: given, an LMDB's, or a file's."""
    given = options.lexicon
    assert given is not None
    where = "the lexicon"
    words: Sequence[str]
    if options.of_samples:
        if samples is None:
            raise UsageError(
                f"--lexicon {given} takes the words that an LMDB keeps for its samples; here there"
                " is no LMDB",
                hint="Say where they are with --lexicons, or give one list with --lexicon FILE.",
            )
        if given != FULL:
            samples.require(list_number(str(given)))
            return SampleChooser(samples, spec, options)
        where = "the data set's lexicon"
        words = samples.whole()
    elif isinstance(given, (str, Path)):
        where = str(given)
        words = read_words(Path(given))
    else:
        words = given
    return LexiconChooser(lexicon_of(words, spec, where), spec, options, where)


class LexiconChooser:
    """Reads one of a lexicon's words.

    Args:
        lexicon: The words.
        spec: The model's.
        options: Method, width of the beam and number of alternatives.
        where: The lexicon's source.
    """

    def __init__(
        self, lexicon: Lexicon, spec: ModelSpec, options: DecodingOptions, where: str
    ) -> None:
        self._lexicon = lexicon
        self._spec = spec
        self._options = options
        self._where = where
        self._blank = spec.blank
        words = len(lexicon.texts)
        self._method = options.method
        if self._method == "auto":
            self._method = "exact"
            if words > EXACT_UP_TO:
                self._method = "beam"
        self._walks: Sequence[_Walk] = ()
        many = words > EXACT_UP_TO and self._method == "paper"
        if many or self._method == "beam":
            self._walks = (_forwards(lexicon), _backwards(lexicon, spec.alphabet))

    def decode(self, logits: np.ndarray, keys: Sequence[str]) -> Decoded:
        """See `Chooser`."""
        emitted = emissions(logits, self._spec.temperature)
        rows = logits.shape[1]
        if self._method == "exact":
            candidates = self._all(emitted)
        else:
            chosen: List[np.ndarray] = [np.zeros(0, dtype=np.int64)] * rows
            if self._method == "paper":
                chosen = self._near(logits)
            self._search(emitted, chosen)
            candidates = self._scored(emitted, chosen)
        return decoded(candidates, alternatives=self._options.alternatives, posterior=True)

    def notes(self) -> List[str]:
        """See `Chooser`."""
        return left_out(self._lexicon, self._where, self._spec.time_steps)

    def described(self) -> Dict[str, Any]:
        """See `Chooser`."""
        data: Dict[str, Any] = {
            "lexicon": Path(self._where).name,
            "words": len(self._lexicon.texts),
            "left_out": self._lexicon.outside + self._lexicon.too_long,
            "method": self._method,
        }
        if self._walks:
            data["beam"] = self._options.beam
        return data

    def _all(self, emitted: Emissions) -> Candidates:
        """Return every word for each row."""
        logs = shared_logs(self._lexicon.trie, emitted, self._blank)
        number = np.broadcast_to(np.arange(logs.shape[1]), logs.shape)
        return Candidates(self._lexicon.texts, number, logs)

    def _scored(self, emitted: Emissions, chosen: Sequence[np.ndarray]) -> Candidates:
        """Return some words of each row with their exact probabilities.

        Args:
            emitted: Of n rows.
            chosen: The numbers of each row's words, ascending.

        Returns:
            The candidates.
        """
        counts = [len(words) for words in chosen]
        trie = subset(self._lexicon.classes, self._lexicon.lengths, chosen)
        row_of = np.repeat(np.arange(len(chosen)), counts)
        logs = grouped_logs(trie, emitted, self._blank)
        number = np.concatenate(chosen)
        return side_by_side(self._lexicon.texts, row_of, number, logs, len(chosen))

    def _near(self, logits: np.ndarray) -> List[np.ndarray]:
        """Return the words that are near what is read without a lexicon.

        Args:
            logits: Scores (T, n, K).

        Returns:
            The numbers of each row's words, ascending; there may be none.
        """
        texts = ctc.greedy(logits, self._spec.alphabet)
        classes, lengths = Speller(self._spec.alphabet).spell(texts)
        found: List[np.ndarray] = []
        for text in np.split(classes, np.cumsum(lengths)[:-1]):
            found.append(words_within(self._lexicon.trie, text, PAPER_DISTANCE))
        return found

    def _search(self, emitted: Emissions, chosen: List[np.ndarray]) -> None:
        """Give each row that has no words yet those that a beam keeps.

        A row for which no beam keeps one, however wide, gets all words of the lexicon.

        Args:
            emitted: Of n rows.
            chosen: The numbers of each row's words; changed in place.
        """
        width = self._options.beam
        scaled = np.maximum(emitted.scaled, FLOOR)
        while self._walks and width <= WIDEST:
            empty = _without(chosen)
            if not len(empty):
                return
            for row, words in zip(empty, self._kept(scaled[:, empty], width)):
                chosen[row] = words
            width *= 2
        every = np.arange(len(self._lexicon.texts))
        for row in _without(chosen):
            chosen[row] = every

    def _kept(self, scaled: np.ndarray, width: int) -> List[np.ndarray]:
        """Return the words that the beams keep, each word once.

        Args:
            scaled: The emissions of some rows, (T, r, K).
            width: Of each beam.

        Returns:
            The numbers of each row's words, ascending; those of a row may be none.
        """
        words = len(self._lexicon.texts)
        rows = scaled.shape[1]
        keys: List[np.ndarray] = []
        for walk in self._walks:
            steps = scaled[:: walk.direction]
            found = search(walk.graph, steps, self._blank, width)
            keys.append(found.row * words + walk.word_at[found.state])
        both = np.unique(np.concatenate(keys))
        ends = np.searchsorted(both, np.arange(1, rows) * words)
        return [part % words for part in np.split(both, ends)]


class _Walk:
    """A lexicon's trie from one end of the words: what a beam walks through.

    ``word_at`` has the word that ends at each state, -1 where none does; ``direction`` is 1 where
    time runs forwards, and -1.
    """

    def __init__(self, graph: Graph, word_at: np.ndarray, direction: int) -> None:
        self.graph = graph
        self.word_at = word_at
        self.direction = direction


def _forwards(lexicon: Lexicon) -> _Walk:
    """Return the walk from the words' beginnings."""
    trie = lexicon.trie
    word_at = np.full(trie.nodes, -1, dtype=np.int64)
    word_at[trie.ends] = np.arange(len(lexicon.texts))
    return _Walk(graph_of(trie), word_at, 1)


def _backwards(lexicon: Lexicon, alphabet: Alphabet) -> _Walk:
    """Return the walk from the words' ends: a beam that has lost a word at its first character
    finds it there, if its last ones are clear.
    """
    turned = [text[::-1] for text in lexicon.texts]
    order = sorted(range(len(turned)), key=turned.__getitem__)
    classes, lengths = Speller(alphabet).spell([turned[number] for number in order])
    trie = build_trie(classes, lengths, np.zeros(len(order), dtype=np.int64), 1)
    word_at = np.full(trie.nodes, -1, dtype=np.int64)
    word_at[trie.ends] = order
    return _Walk(graph_of(trie), word_at, -1)


def _without(chosen: Sequence[np.ndarray]) -> List[int]:
    """Return the rows without a word."""
    return [row for row, words in enumerate(chosen) if not len(words)]


class SampleChooser:
    """Reads one of the words that a data set keeps for the sample.

    Args:
        samples: Gives them.
        spec: The model's.
        options: Which of a sample's lists, and the number of alternatives.
    """

    def __init__(self, samples: SampleWords, spec: ModelSpec, options: DecodingOptions) -> None:
        self._samples = samples
        self._spec = spec
        self._options = options
        self._list = list_number(str(options.lexicon))
        self._speller = Speller(spec.alphabet)
        self._rows = self._without = self._outside = self._total = 0
        self._named: Dict[str, None] = {}

    def decode(self, logits: np.ndarray, keys: Sequence[str]) -> Decoded:
        """See `Chooser`.

        All rows' words are one trie, each row's below a root of its own.
        """
        texts, row_of = self._texts(keys)
        classes, lengths = self._speller.spell(texts)
        # Words with a character outside the alphabet leave no trace in the trie.
        fits = np.ones(len(texts), dtype=bool)
        fits[np.repeat(np.arange(len(texts)), lengths)[classes < 0]] = False
        self._count(texts, fits)
        classes = classes[np.repeat(fits, lengths)]
        number = np.flatnonzero(fits)
        row_of = row_of[fits]
        rows = len(keys)
        self._rows += rows
        self._without += rows - len(np.unique(row_of))
        emitted = emissions(logits, self._spec.temperature)
        trie = build_trie(classes, lengths[fits], row_of, rows)
        logs = grouped_logs(trie, emitted, self._spec.blank)
        candidates = side_by_side(texts, row_of, number, logs, rows)
        found = decoded(candidates, alternatives=self._options.alternatives, posterior=True)
        without = np.flatnonzero(candidates.number[:, 0] < 0)
        if not len(without):
            return found
        return _read_without(found, without, logits, self._spec)

    def notes(self) -> List[str]:
        """See `Chooser`."""
        lines: List[str] = []
        if self._without:
            lines.append(
                f"{self._without} of {self._rows} samples have no list number {self._list} of words"
                " that the model can read: they were read without a lexicon"
            )
        if self._outside:
            named = ", ".join(repr(shortened(word)) for word in self._named)
            lines.append(
                f"the samples' lexicons: {self._outside} of {self._total} words with characters"
                f" outside the alphabet are left out (such as {named})"
            )
        return lines

    def described(self) -> Dict[str, Any]:
        """See `Chooser`."""
        return {
            "lexicon": str(self._options.lexicon),
            "words": self._total,
            "left_out": self._outside,
            "samples_without": self._without,
            "method": "exact",
        }

    def _texts(self, keys: Sequence[str]) -> Tuple[List[str], np.ndarray]:
        """Return the words of some samples.

        Args:
            keys: The samples' names, one a row.

        Returns:
            The words as labels are compared, ascending in each row, and the row of each word.
        """
        texts: List[str] = []
        counts: List[int] = []
        for key in keys:
            words = self._samples.words(key, self._list)
            folded = set(self._spec.fold("\n".join(words)).split("\n"))
            folded.discard("")
            texts.extend(sorted(folded))
            counts.append(len(folded))
        return texts, np.repeat(np.arange(len(keys)), counts)

    def _count(self, texts: Sequence[str], fits: np.ndarray) -> None:
        """Count the words, and those that the model cannot spell, of which some are remembered."""
        self._total += len(texts)
        outside = np.flatnonzero(~fits)
        self._outside += len(outside)
        for number in outside[:3].tolist():
            if len(self._named) < 3:
                self._named[texts[number]] = None


def _read_without(found: Decoded, rows: np.ndarray, logits: np.ndarray, spec: ModelSpec) -> Decoded:
    """Put greedy texts in the place of those of rows that have no lexicon."""
    assert found.probabilities is not None
    greedy = ctc.greedy(logits[:, rows], spec.alphabet)
    emitted = emissions(logits[:, rows], spec.temperature)
    scored = scored_texts([[text] for text in greedy], emitted, spec)
    texts = list(found.texts)
    for row, text in zip(rows.tolist(), greedy):
        texts[row] = text
    found.probabilities[rows] = np.exp(scored.logs[:, 0])
    return dataclasses.replace(found, texts=texts)


def list_number(given: str) -> int:
    """Return which of a sample's lists ``--lexicon per-sample:N`` asks for.

    Args:
        given: ``per-sample``, the smallest, or ``per-sample:N``.

    Returns:
        N, from 1.

    Raises:
        UsageError: N is not a number from 1.
    """
    number = given.partition(":")[2] or "1"
    is_number = number.isascii() and number.isdigit()
    if not is_number or not 1 <= int(number[:9]) <= 99:
        raise UsageError(
            f"--lexicon {given}: expected per-sample, the smallest list of each sample, or"
            " per-sample:2, the next one, and so on"
        )
    return int(number)


class PatternChooser:
    """Reads a text that has a pattern.

    Args:
        spec: The model's.
        options: The pattern, the beam's width and the number of alternatives.
    """

    def __init__(self, spec: ModelSpec, options: DecodingOptions) -> None:
        assert options.pattern is not None
        part = parse_pattern(options.pattern)
        self._spec = spec
        self._options = options
        self._automaton = compile_pattern(part, spec.alphabet, folds_case=spec.fold_case)
        needed = int(self._automaton.graph.needed[0])
        if spec.widths is None and needed > spec.time_steps:
            raise InputError(
                f"the pattern's shortest text has {needed} characters; the model has"
                f" {spec.time_steps} time steps"
            )

    def decode(self, logits: np.ndarray, keys: Sequence[str]) -> Decoded:
        """See `Chooser`.

        Where even the widest beam keeps nothing, a shortest text of the pattern is all there is.
        """
        emitted = emissions(logits, self._spec.temperature)
        spec = self._spec
        texts = beam_texts(self._automaton.graph, emitted, spec, self._options.width)
        table = spec.alphabet.table
        last_resort = "".join(table[number] for number in self._automaton.shortest)
        for found in texts:
            if not found:
                found.append(last_resort)
        candidates = scored_texts(texts, emitted, spec)
        return decoded(candidates, alternatives=self._options.alternatives, posterior=False)

    def notes(self) -> List[str]:
        """See `Chooser`."""
        if not self._automaton.outside:
            return []
        named = ", ".join(self._automaton.outside[:3])
        return [f"the pattern asks for {named}, which the model's alphabet does not have"]

    def described(self) -> Dict[str, Any]:
        """See `Chooser`."""
        return {"pattern": self._options.pattern, "beam": self._options.beam}


class CharacterChooser:
    """Reads greedily, some characters alone or all of them, and names alternatives.

    Args:
        spec: The model's.
        options: The characters, the beam's width and the number of alternatives.
    """

    def __init__(self, spec: ModelSpec, options: DecodingOptions) -> None:
        self._spec = spec
        self._options = options
        self._allowed: Optional[str] = None
        self._outside = ""
        characters = spec.characters
        if options.allow is not None:
            listed = parse_characters(options.allow)
            characters = listed.among(characters, folds_case=spec.fold_case)
            if not characters:
                raise InputError(
                    f"--allow {options.allow}: the model can read none of {shown(listed)}; its"
                    f" alphabet is {shortened(spec.characters)}"
                )
            self._allowed = characters
            self._outside = _single_ones_outside(listed, spec)
        classes, _ = Speller(spec.alphabet).spell([characters])
        self._classes = np.sort(np.append(classes, spec.blank))
        self._graph = graph_of_any(np.sort(classes))

    def decode(self, logits: np.ndarray, keys: Sequence[str]) -> Decoded:
        """See `Chooser`.

        The greedy text is one of the alternatives' candidates, whether a beam keeps it or not.
        """
        spec = self._spec
        texts = self._greedy(logits)
        if not self._options.alternatives:
            return Decoded(texts)
        emitted = emissions(logits, spec.temperature)
        found = beam_texts(self._graph, emitted, spec, self._options.width)
        for text, others in zip(texts, found):
            others.append(text)
        named = likeliest(scored_texts(found, emitted, spec), self._options.alternatives)
        return Decoded(texts, alternatives=named)

    def notes(self) -> List[str]:
        """See `Chooser`."""
        if not self._outside:
            return []
        return [f"--allow names {self._outside!r}, which the model's alphabet does not have"]

    def described(self) -> Dict[str, Any]:
        """See `Chooser`."""
        if self._allowed is None:
            return {}
        return {"allow": self._allowed}

    def _greedy(self, logits: np.ndarray) -> List[str]:
        """Return the text of the likeliest path among the allowed classes, for each row."""
        if self._allowed is None:
            return ctc.greedy(logits, self._spec.alphabet)
        kept = logits[:, :, self._classes].argmax(axis=2)
        path = np.ascontiguousarray(self._classes[kept].T)
        return ctc.decode(path, self._spec.alphabet)


def _single_ones_outside(listed: Characters, spec: ModelSpec) -> str:
    """Return the characters of a list that the model cannot read.

    A range such as 0-9A-Z is about what the model has of it; a character by itself is meant.

    Args:
        listed: The list.
        spec: The model's.

    Returns:
        The characters, in the list's order.
    """
    found: List[str] = []
    for low, high in listed.ranges:
        one = Characters(((low, high),))
        if low == high and not one.among(spec.characters, folds_case=spec.fold_case):
            found.append(chr(low))
    return "".join(found)


def beam_texts(graph: Graph, emitted: Emissions, spec: ModelSpec, width: int) -> List[List[str]]:
    """Return the texts that a beam keeps, of each row; where none survives it is doubled.

    Args:
        graph: What may follow what.
        emitted: Of n rows.
        spec: The model's.
        width: How many prefixes a row keeps.

    Returns:
        n lists; one is empty where nothing survives in the widest beam.
    """
    rows = emitted.scaled.shape[1]
    found: List[List[str]] = [[] for _ in range(rows)]
    scaled = np.maximum(emitted.scaled, FLOOR)
    todo = np.arange(rows)
    while len(todo) and width <= 2 * WIDEST:
        kept = search(graph, scaled[:, todo], spec.blank, width)
        for row, text in zip(todo[kept.row].tolist(), _spelled(kept, spec.alphabet)):
            found[row].append(text)
        todo = np.setdiff1d(todo, todo[kept.row])
        width *= 2
    return found


def _spelled(kept: Survivors, alphabet: Alphabet) -> List[str]:
    """Return the texts of prefixes; all characters become one string, which is then cut."""
    used = np.arange(kept.spelled.shape[1]) < kept.length[:, None]
    codes = np.frombuffer(alphabet.table.encode("utf-32-le"), dtype="<u4")
    text = codes[kept.spelled[used]].tobytes().decode("utf-32-le")
    ends = np.cumsum(kept.length).tolist()
    return [text[begin:end] for begin, end in zip([0, *ends], ends)]


def scored_texts(texts: Sequence[Sequence[str]], emitted: Emissions, spec: ModelSpec) -> Candidates:
    """Return some texts of each row with their exact probabilities.

    Args:
        texts: Of n rows; equal ones count once.
        emitted: Of n rows.
        spec: The model's.

    Returns:
        The candidates.
    """
    flat: List[str] = []
    counts: List[int] = []
    for row in texts:
        distinct = sorted(set(row))
        flat.extend(distinct)
        counts.append(len(distinct))
    row_of = np.repeat(np.arange(len(counts)), counts)
    classes, lengths = Speller(spec.alphabet).spell(flat)
    trie = build_trie(classes, lengths, row_of, len(counts))
    logs = grouped_logs(trie, emitted, spec.blank)
    return side_by_side(flat, row_of, np.arange(len(flat)), logs, len(counts))
