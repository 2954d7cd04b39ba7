"""Is a data set what training and evaluation take it for? What is wrong, what is suspicious, and a
verdict.
"""

from __future__ import annotations

import collections
import hashlib
from array import array
from dataclasses import dataclass, field
from pathlib import Path
from typing import (
    Any,
    Callable,
    Dict,
    Iterable,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
)

import numpy as np

from crnn import labels
from crnn.batch import Problem, Sample
from crnn.datasets.parallel import ordered_map
from crnn.errors import InputError
from crnn.image import ImageError, picture
from crnn.labels import Alphabet
from crnn.samples.lmdb import LmdbSamples, name_of
from crnn.samples.source import LabelledSource, open_labelled

GAP = "gap in the numbering"
DUPLICATE = "same image and label as an earlier one"
CONFLICT = "same image as an earlier one, another label"
OVERLAP = "image is in the other set too"

EXAMPLES = 10


@dataclass(frozen=True)
class CheckRules:
    """What labels must be:

    of these characters, case folded where the alphabet has no capitals, in so many steps.
    """

    alphabet: Alphabet
    time_steps: int = 26

    def fold(self, label: str) -> str:
        """Return a label as it is compared."""
        return labels.fold(label, folds_case=self.alphabet.folds_case)

    def problems(self, label: Optional[str]) -> List[Problem]:
        """Return what is wrong with a label."""
        if label is None:
            return [Problem(labels.NO_LABEL)]
        label = self.fold(label)
        if not label.strip():
            return [Problem(labels.EMPTY_LABEL, repr(label))]
        found = []
        outside = self.alphabet.outside(label)
        if outside:
            found.append(Problem(labels.OUTSIDE, f"{label!r} holds {outside!r}"))
        if labels.steps(label) > self.time_steps:
            why = (
                f"{label!r} has {len(label)} characters and {labels.repeats(label)} repeats; the"
                f" model has {self.time_steps} steps"
            )
            found.append(Problem(labels.TOO_LONG, why))
        return found


class Finding(NamedTuple):
    """Something wrong or suspicious, and the sample it is about."""

    key: str
    problem: Problem


@dataclass(frozen=True)
class Verdict:
    """What a check found:

    ``errors`` fail it, ``warnings`` only where strictness is asked for; counts by reason.
    """

    samples: int
    errors: Mapping[str, int]
    warnings: Mapping[str, int]
    examples: Mapping[str, Sequence[Finding]]

    def passed(self, *, strict: bool) -> bool:
        """Say whether nothing is wrong, nor suspicious if that counts."""
        return not self.errors and not (strict and self.warnings)


@dataclass
class _Findings:
    counts: Dict[str, int] = field(default_factory=lambda: collections.defaultdict(int))
    examples: Dict[str, List[Finding]] = field(
        default_factory=lambda: collections.defaultdict(list)
    )

    def add(self, key: str, problem: Problem, count: int = 1) -> None:
        self.counts[problem.reason] += count
        if len(self.examples[problem.reason]) < EXAMPLES:
            self.examples[problem.reason].append(Finding(key, problem))


class _Looked(NamedTuple):
    number: int
    key: str
    problems: List[Problem]
    image: int
    pair: int


def check(
    path: Path,
    rules: CheckRules,
    *,
    against: Sequence[Path] = (),
    advance: Callable[[int], None] = lambda count: None,
) -> Verdict:
    """Check a data set, every image decoded in full; sixteen bytes a sample are kept.

    Args:
        path: An LMDB, or a folder of images with its annotation file.
        rules: What labels and images are held to.
        against: Sets that must not share an image with it: the test's with the training's.
        advance: Called with a count of samples that were checked.

    Returns:
        Counts, and each problem.

    Raises:
        InputError: It is not a data set.
    """
    source = open_labelled(path)
    errors, warnings = _Findings(), _Findings()
    keys, images, pairs = array("Q"), array("Q"), array("Q")
    names: List[str] = []
    is_lmdb = isinstance(source, LmdbSamples)
    for seen in ordered_map(lambda numbered: _look(numbered, rules), source.numbered()):
        for problem in seen.problems:
            errors.add(seen.key, problem)
        keys.append(seen.number)
        images.append(seen.image)
        pairs.append(seen.pair)
        if not is_lmdb:
            names.append(seen.key)
        advance(1)
    if isinstance(source, LmdbSamples) and source.gaps:
        errors.add(
            "",
            Problem(GAP, f"{source.gaps} of the numbers 1 to {len(source) + source.gaps}"),
            source.gaps,
        )
    for key, problem in source.extras():
        errors.add(key, problem)

    if isinstance(source, LmdbSamples):
        source.close()  # LMDB opens a file once a process, and a set may be held against itself

    def name(row: int) -> str:
        if names:
            return names[row]
        return name_of(keys[row])

    _duplicates(_numbers(images), _numbers(pairs), name, warnings)
    for other in against:
        _overlap(_numbers(images), other, name, warnings)
    examples = {**errors.examples, **warnings.examples}
    return Verdict(len(keys), dict(errors.counts), dict(warnings.counts), examples)


def _look(numbered: Tuple[int, Sample], rules: CheckRules) -> _Looked:
    index, sample = numbered
    problems = rules.problems(sample.label)
    if sample.image is None:
        problems.append(sample.fault())
        return _Looked(index, sample.key, problems, _unique(index), _unique(index))
    try:
        picture(sample.image, "L")
    except ImageError as error:
        problems.append(error.problem)
    image = digest(sample.image)
    label = rules.fold(sample.label or "").encode("utf-8", "replace")
    return _Looked(index, sample.key, problems, image, digest(image.to_bytes(8, "little") + label))


def digest(data: bytes) -> int:
    """Return 63 bits that stand for the data; among ten million, a chance of 1 in 200 000 that any
    two are mistaken.
    """
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little") >> 1


def _unique(index: int) -> int:
    # The upper half of the range, where no digest is: no image is a duplicate.
    return (1 << 63) | index


def _numbers(values: Any) -> np.ndarray:
    if len(values):
        return np.frombuffer(values, dtype=np.uint64)
    return np.empty(0, dtype=np.uint64)


def _duplicates(
    images: np.ndarray, pairs: np.ndarray, name: Callable[[int], str], found: _Findings
) -> None:
    first_image, first_pair = _earlier(images), _earlier(pairs)
    for row in np.flatnonzero(first_image >= 0).tolist():
        same = int(first_pair[row])
        if same >= 0:
            reason = DUPLICATE
        else:
            reason = CONFLICT
        found.add(
            name(row), Problem(reason, f"as {name(same if same >= 0 else int(first_image[row]))}")
        )


def _earlier(values: np.ndarray) -> np.ndarray:
    """Return for each value the row of its first occurrence, -1 where that is its own."""
    _, first, inverse = np.unique(values, return_index=True, return_inverse=True)
    rows = first[inverse.reshape(-1)]
    return np.where(rows == np.arange(len(values)), -1, rows)


def _overlap(images: np.ndarray, other: Path, name: Callable[[int], str], found: _Findings) -> None:
    theirs = np.fromiter(_digests(open_labelled(other)), dtype=np.uint64)
    for row in np.flatnonzero(np.isin(images, theirs)).tolist():
        found.add(name(row), Problem(OVERLAP, f"in {other}"))


def _digests(source: LabelledSource) -> Iterable[int]:
    return (digest(sample.image) for sample in source if sample.image is not None)


def parse_rules(alphabet: str, time_steps: int) -> CheckRules:
    """Return the rules of an alphabet.

    Args:
        alphabet: The characters that labels may have.
        time_steps: The model's time steps.

    Returns:
        The rules.

    Raises:
        InputError: It is not an alphabet.
    """
    if time_steps < 1:
        raise InputError(f"{time_steps} time steps; expected 1 or more")
    return CheckRules(Alphabet(alphabet), time_steps)
