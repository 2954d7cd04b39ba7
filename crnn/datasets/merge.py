"""Several LMDBs into one, or one into several, no word on both sides."""

from __future__ import annotations

import collections
import contextlib
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Counter, Dict, List, Mapping, Sequence, Set, Tuple

from crnn.datasets.check import digest
from crnn.datasets.extract import missing
from crnn.errors import InputError, UsageError
from crnn.samples.lmdb import LmdbSamples
from crnn.samples.lmdb_writer import LmdbWriter, new_lmdb

DUPLICATE = "same image and label, case included, as an earlier one"
BY = ("image", "label")


@dataclass(frozen=True)
class Written:
    """How many words each LMDB got, and how many were left out, by reason."""

    words: Mapping[str, int]
    skipped: Mapping[str, int]


def merge(
    sources: Sequence[Path],
    out: Path,
    *,
    drop_duplicates: bool = False,
    force: bool = False,
    advance: Callable[[int], None] = lambda count: None,
) -> Written:
    """Write the sources' words one after another, lexicons with them, numbered anew.

    Samples that are incomplete, or whose label is not UTF-8, are left out. The whole lexicons
    become one, without repetition.

    Args:
        sources: The data sets, in the order of their words.
        out: The LMDB to write.
        drop_duplicates: Whether an image that came before is left out.
        force: Whether an LMDB that stands at ``out`` may be replaced.
        advance: Called with a count of words that were written.

    Returns:
        Counts.

    Raises:
        InputError: A source cannot be read.
    """
    skipped: Counter[str] = collections.Counter()
    seen: Set[int] = set()
    whole: Dict[str, None] = {}
    with new_lmdb(out, force=force) as writer:
        for source in map(LmdbSamples, sources):
            for index, sample in source.numbered():
                advance(1)
                reason = missing(source, index, sample)
                if not reason and drop_duplicates:
                    mark = digest(
                        (sample.image or b"")
                        + b"\0"
                        + (sample.label or "").encode("utf-8", "replace")
                    )
                    reason = ""
                    if mark in seen:
                        reason = DUPLICATE
                    seen.add(mark)
                if reason:
                    skipped[reason] += 1
                    continue
                writer.add(sample.image or b"", sample.label or "", source.lexicons(index))
            whole.update(dict.fromkeys(source.lexicon()))
            source.close()
        if whole:
            writer.set_lexicon(list(whole))
        if not writer.count:
            raise InputError(
                f"there is no sample with image and label in {', '.join(map(str, sources))}"
            )
    return Written({str(out): writer.count}, skipped)


def split(
    path: Path,
    parts: Sequence[Tuple[Path, float]],
    *,
    seed: int,
    by: str = "image",
    force: bool = False,
    advance: Callable[[int], None] = lambda count: None,
) -> Written:
    """Split a data set into several by chance; each part keeps the source's order.

    Identical images always stay together, and so do words of one label where ``by`` says so: no
    part has seen another's words. A part may thus miss its fraction by the size of a group.

    Args:
        path: The data set.
        parts: Each LMDB to write, with its fraction of the whole.
        seed: Of the random choice.
        by: "image", or "label" to keep words of one label, folded, together.
        force: Whether LMDBs that stand there may be replaced.
        advance: Called with a count of words that were written.

    Returns:
        Counts.

    Raises:
        UsageError: The fractions do not add up to 1.
        InputError: A part would be empty.
    """
    if by not in BY:
        raise UsageError(f"split by {by!r}; expected one of {', '.join(BY)}")
    targets = [part for part, _ in parts]
    fractions = [fraction for _, fraction in parts]
    _require_whole(fractions)
    _require_apart(targets)
    source = LmdbSamples(path)
    skipped: Counter[str] = collections.Counter()
    indices, groups = _groups(source, by, skipped)
    part_of = _assign(groups, fractions, seed)
    for place, target in enumerate(targets):
        if place not in part_of:
            groups_there = len(set(groups))
            raise InputError(
                f"{target} would be empty: {path} has {groups_there} groups of words to share out"
            )
    place_of = dict(zip(indices, part_of))
    with contextlib.ExitStack() as stack:
        writers = [stack.enter_context(new_lmdb(target, force=force)) for target in targets]
        for index, sample in source.numbered():
            if index in place_of:
                writer = writers[place_of[index]]
                writer.add(sample.image or b"", sample.label or "", source.lexicons(index))
            advance(1)
        _finish(writers, source)
    counts = {str(target): writer.count for target, writer in zip(targets, writers)}
    return Written(counts, skipped)


def _finish(writers: Sequence[LmdbWriter], source: LmdbSamples) -> None:
    lexicon = source.lexicon()
    if lexicon:
        for writer in writers:
            writer.set_lexicon(lexicon)
    # All are whole before the first is put in its place: parts of two different splits must not
    # stand side by side.
    for writer in writers:
        writer.finish()


def _require_whole(fractions: Sequence[float]) -> None:
    odd = [fraction for fraction in fractions if not 0 < fraction < 1]
    if odd or abs(sum(fractions) - 1) > 1e-6:
        raise UsageError(f"the parts are {fractions} of the whole; expected a sum of 1")


def _require_apart(parts: Sequence[Path]) -> None:
    places = [part.resolve() for part in parts]
    if len(set(places)) < len(places):
        raise UsageError("two parts have the same path")
    for part, place in zip(parts, places):
        for other, inner in zip(parts, places):
            if place in inner.parents:
                raise UsageError(
                    f"the part {other} lies in the part {part}; expected folders apart from each"
                    " other"
                )


def _groups(source: LmdbSamples, by: str, skipped: Counter[str]) -> Tuple[List[int], List[int]]:
    """Return the indices of the samples, and for each the number of the group that must stay
    together.
    """
    parent: Dict[int, int] = {}

    def root(mark: int) -> int:
        parent.setdefault(mark, mark)
        while parent[mark] != mark:
            parent[mark] = mark = parent[parent[mark]]
        return mark

    indices, marks = [], []
    for index, sample in source.numbered():
        reason = missing(source, index, sample)
        if reason:
            skipped[reason] += 1
            continue
        mark = root(digest(b"image" + (sample.image or b"")))
        if by == "label":
            # One image under two labels ties their words together.
            parent[mark] = root(
                digest(b"label" + (sample.label or "").casefold().encode("utf-8", "replace"))
            )
        indices.append(index)
        marks.append(mark)
    return indices, [root(mark) for mark in marks]


def _assign(groups: Sequence[int], fractions: Sequence[float], seed: int) -> List[int]:
    """Return a part for each sample:

    groups in an order by chance, each to the part that lacks most.
    """
    sizes = collections.Counter(groups)
    order = list(sizes)
    random.Random(seed).shuffle(order)  # noqa: S311
    filled, place_of = [0.0] * len(fractions), {}
    for group in order:
        lacks = [fraction * len(groups) - got for fraction, got in zip(fractions, filled)]
        place = lacks.index(max(lacks))
        place_of[group] = place
        filled[place] += sizes[group]
    return [place_of[group] for group in groups]
