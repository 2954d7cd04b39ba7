"""A source of any kind into an LMDB, or into a folder of images with an annotation file."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import itertools
import json
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import (
    IO,
    Callable,
    Counter,
    Dict,
    Iterable,
    Iterator,
    List,
    Mapping,
    Optional,
    Sequence,
    Tuple,
    Union,
)

from crnn.batch import MISSING_IMAGE
from crnn.datasets import iiit5k, lists, scenes, synth90k, synthtext, tfrecords
from crnn.datasets.folder_writer import FolderWriter, new_folder
from crnn.datasets.options import ConvertOptions, read_lexicon, read_lines
from crnn.datasets.parallel import ordered_map
from crnn.datasets.pictures import Dropped, Item, Lexicons, PictureSource, Tag, WordLoader
from crnn.errors import InputError
from crnn.files import atomic_file
from crnn.samples.annotations import IMAGE_SUFFIXES
from crnn.samples.folders import UNSAFE
from crnn.samples.lmdb_writer import LmdbWriter, new_lmdb

KINDS: Mapping[str, Callable[[Path, ConvertOptions], PictureSource]] = {
    "folder": lists.read_folder,
    "ic03": scenes.read_ic03,
    "ic13": lists.read_ic13,
    "ic15": lists.read_ic15,
    "iiit5k": iiit5k.read,
    "svt": scenes.read_svt,
    "synth90k": synth90k.read,
    "synthtext": synthtext.read,
    "tfrecord": tfrecords.read,
    "tsv": lists.read_tsv,
}


@dataclass(frozen=True)
class Report:
    """What a conversion wrote and dropped; ``examples`` are the first of the dropped, by name.

    ``unmatched`` are the names in the list of lexicons that are not an image's, or could be several
    images'. ``notes`` say how the source was read.
    """

    written: int
    dropped: Mapping[str, int]
    examples: Sequence[Dropped]
    unmatched: Sequence[str] = ()
    notes: Sequence[str] = ()


def convert(
    kind: str,
    source: Path,
    out: Path,
    options: ConvertOptions,
    *,
    form: str = "lmdb",
    force: bool = False,
    report_file: Optional[Path] = None,
    advance: Callable[[int], None] = lambda count: None,
) -> Report:
    """Convert a download into a data set.

    Nothing is written outside ``out`` and ``report_file``, and each appears whole or not at all.

    Args:
        kind: The source's form, one of `KINDS`.
        source: The download.
        out: The folder to write.
        options: What the form needs to be told.
        form: "lmdb", or a form of annotation beside images.
        force: Whether a data set that stands at ``out`` may be replaced.
        report_file: The file that lists what gave no word, a JSON object a line.
        advance: Called with a count of words that were written.

    Returns:
        Counts of words, and of losses by reason.

    Raises:
        InputError: The source cannot be read or gives no word, or another file stands in the
            report's place.
    """
    found = KINDS[kind](source, options)
    whole = found.lexicon
    if options.lexicon and kind != "synth90k":
        whole = read_lexicon(options.lexicon)
    with contextlib.ExitStack() as stack:
        writer: Union[LmdbWriter, FolderWriter] = (
            stack.enter_context(new_lmdb(out, force=force))
            if form == "lmdb"
            else stack.enter_context(new_folder(out, force=force))
        )
        tally = _Tally(stack.enter_context(_new_report(report_file, out)) if report_file else None)
        items = found.items
        unmatched: Tuple[str, ...] = ()
        if options.lexicons:
            # Which image a line is about shows only beside all other images' names: the source is
            # gone through twice.
            items, unmatched = _with_lexicons(
                found.items, KINDS[kind](source, options).items, options.lexicons
            )
        for word in itertools.chain.from_iterable(ordered_map(WordLoader(found.root), items)):
            if isinstance(word, Dropped):
                tally.count(word)
            else:
                writer.add(word.image, word.label, word.lexicons)
                tally.written += 1
                advance(1)
        if not tally.written:
            raise InputError(f"{source} gives no word: {tally.summary()}", hint=tally.first())
        if any(whole):
            writer.set_lexicon([word for word in whole if word])
        # What a full disk refuses shows here, before the report takes the place of an earlier one.
        writer.finish()
    notes = tuple(found.notes)
    return Report(tally.written, dict(tally.counts), tuple(tally.examples), unmatched, notes)


def read_lexicons(path: Path) -> Dict[str, Tuple[str, ...]]:
    """Return the lexicons by the images' names, as they are written; a line without words gives
    none.

    A line is ``image word,word``, as lists of SVT's come, or as `extract` writes it: a tab, and
    spaces between words. Raises `InputError` for a line of another form, and for a second line of
    one name.
    """
    found: Dict[str, Tuple[str, ...]] = {}
    for number, line in enumerate(
        read_lines(path, "images' lexicons, lines of: image word,word,…"), start=1
    ):
        if not line.strip():
            continue
        if "\t" in line:
            separator, between = ("\t", None)
        else:
            separator, between = (" ", ",")
        name, separated, words = line.lstrip().partition(separator)
        if not name or not separated:
            raise InputError(
                f"{path} line {number} is {line[:80]!r}; expected an image's name, a space,"
                " word,word,…"
            )
        if name in found:
            raise InputError(
                f"{path} line {number} is a second one for {name[:80]!r}; expected one line for"
                " each image",
                hint=(
                    "Where two images have one name, write their folders before it, as the"
                    " annotation does."
                ),
            )
        found[name] = tuple(word.strip() for word in words.split(between) if word.strip())
    return {name: words for name, words in found.items() if words}


def match_lexicons(names: Iterable[str], lexicons: Mapping[str, object]) -> Dict[str, str]:
    """Return, for the images of these names that have a lexicon, the name that the lexicons give
    the image.

    That is its name, its name without the image's suffix, or either without the folder; the first
    of these that is the image's alone. Where several images could be meant, it is that with the
    fullest agreement, or none if there are two.
    """
    claims = {key: _Claim() for key in lexicons}
    for name in names:
        for rank, form in enumerate(_forms(name)):
            if form in claims:
                claims[form].add(name, rank)
    ranked: List[Tuple[int, str, str]] = []
    for key, claim in claims.items():
        if claim.image is not None:
            ranked.append((claim.rank, claim.image, key))
    # An image may have claimed several: the best of them is the last to be put in.
    ranked.sort(reverse=True)
    return {name: key for _, name, key in ranked}


_NO_FORM = 4
"""A rank after those of all forms of `_forms`."""


class _Claim:
    """Which image a name of the lexicons' list is about: the one that agrees most fully with it.

    ``rank`` is the place, in `_forms`, of the fullest agreement so far; ``image`` is the image that
    agrees so, None where there is none, or more than one.
    """

    def __init__(self) -> None:
        self.rank = _NO_FORM
        self.image: Optional[str] = None

    def add(self, image: str, rank: int) -> None:
        """Count an image in."""
        if rank < self.rank:
            self.rank = rank
            self.image = image
        elif rank == self.rank and image != self.image:
            self.image = None


def _forms(name: str) -> Tuple[str, ...]:
    """Return what a list may call an image, the fullest form first."""
    base = PurePosixPath(name).name
    return name, _without_suffix(name), base, _without_suffix(base)


def _without_suffix(name: str) -> str:
    stem, dot, suffix = name.rpartition(".")
    if stem and (dot + suffix).lower() in IMAGE_SUFFIXES:
        return stem
    return name


def _with_lexicons(
    first: Iterable[Item], again: Iterable[Item], path: Path
) -> Tuple[Iterable[Item], Tuple[str, ...]]:
    """Return the items with the lexicons of a list, and the names in it that no image has;
    ``first`` is used up.
    """
    lexicons = read_lexicons(path)
    matches = match_lexicons(
        (item.name for item in first if not isinstance(item, Dropped)), lexicons
    )
    words = {name: lexicons[key] for name, key in matches.items()}
    return _replaced(again, words), tuple(sorted(set(lexicons) - set(matches.values())))


def _replaced(items: Iterable[Item], words: Mapping[str, Tuple[str, ...]]) -> Iterator[Item]:
    for item in items:
        if isinstance(item, Dropped) or item.name not in words:
            yield item
        else:
            own: Lexicons = (words[item.name],)
            yield dataclasses.replace(
                item, tags=[Tag(tag.label, tag.box, own) for tag in item.tags]
            )


class _Tally:
    """Counts what was dropped by reason, keeps the first few, lists all in a file if there is
    one.
    """

    def __init__(self, file: Optional[IO[bytes]]) -> None:
        self.written = 0
        self.counts: Counter[str] = collections.Counter()
        self.examples: List[Dropped] = []
        self._file = file

    def count(self, dropped: Dropped) -> None:
        self.counts[dropped.problem.reason] += 1
        if len(self.examples) < 10:
            self.examples.append(dropped)
        if self._file:
            entry = {
                "name": dropped.name,
                "reason": dropped.problem.reason,
                "detail": dropped.problem.detail,
            }
            self._file.write(json.dumps(entry).encode() + b"\n")

    def summary(self) -> str:
        return (
            ", ".join(f"{count} {reason}" for reason, count in self.counts.most_common())
            or "it is empty"
        )

    def first(self) -> str:
        elsewhere = ""
        if MISSING_IMAGE in self.counts or UNSAFE in self.counts:
            elsewhere = (
                ". If the images are elsewhere: --images DIR; of absolute paths the ends are looked"
                " for there."
            )
        first = itertools.islice(self.examples, 1)
        return "".join(f"The first: {one.name}: {one.problem.detail}{elsewhere}" for one in first)


@contextlib.contextmanager
def _new_report(path: Path, out: Path) -> Iterator[IO[bytes]]:
    """Give the report's file, which replaces nothing but an earlier report and an empty file."""
    place = path.resolve()
    if out.resolve() in (place, *place.parents):
        raise InputError(f"the report {path} would stand in {out}, which is written as a whole")
    if path.is_file() and not _is_report(path):
        raise InputError(
            f"{path} exists and is not a report of a conversion; it is not replaced",
            hint="Give --report the name of a file that does not exist yet.",
        )
    with atomic_file(path) as file:
        yield file


def _is_report(path: Path) -> bool:
    """Say whether a file is empty or begins with an entry of a report."""
    try:
        with open(path, "rb") as file:
            line = file.readline(1 << 20)
        return not line or set(json.loads(line)) == {"name", "reason", "detail"}
    except OSError as error:
        raise InputError(
            f"cannot read {path}, which the report would replace: {error.strerror}"
        ) from error
    except (ValueError, TypeError, RecursionError):
        return False
