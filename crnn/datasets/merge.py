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
from crnn.samples.lmdb_writer import new_lmdb

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
                    reason = DUPLICATE if mark in seen else ""
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
    """Share a data set's words out by chance, fractions of the whole; each part keeps the source's
    order.

    Identical images always stay together, and ``by="label"`` also keeps words of one label, folded,
    together, so that no part has seen another's words. A part may thus miss its fraction by the
    size of a group. Raises `UsageError` for fractions that do not add up to 1, `InputError` for a
    part that would be empty.
    """
    if by not in BY:
        raise UsageError(f"split by {by!r}; expected one of {', '.join(BY)}")
    if abs(sum(fraction for _, fraction in parts) - 1) > 1e-6 or any(
        not 0 < fraction < 1 for _, fraction in parts
    ):
        raise UsageError(
            f"the parts are {[fraction for _, fraction in parts]} of the whole; expected a sum of 1"
        )
    _require_apart([part for part, _ in parts])
    source = LmdbSamples(path)
    skipped: Counter[str] = collections.Counter()
    indices, groups = _groups(source, by, skipped)
    part_of = _assign(groups, [fraction for _, fraction in parts], seed)
    counts = [part_of.count(place) for place in range(len(parts))]
    if 0 in counts:
        empty = parts[counts.index(0)][0]
        raise InputError(
            f"{empty} would be empty: {path} has {len(set(groups))} groups of words to share out"
        )
    place_of = dict(zip(indices, part_of))
    with contextlib.ExitStack() as stack:
        writers = [stack.enter_context(new_lmdb(part, force=force)) for part, _ in parts]
        for index, sample in source.numbered():
            if index in place_of:
                writers[place_of[index]].add(
                    sample.image or b"", sample.label or "", source.lexicons(index)
                )
            advance(1)
        for writer in writers if source.lexicon() else ():
            writer.set_lexicon(source.lexicon())
        # All are whole before the first is put in its place: parts of two different splits must not
        # stand side by side.
        for writer in writers:
            writer.finish()
    return Written({str(part): writer.count for (part, _), writer in zip(parts, writers)}, skipped)


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
