"""A source of any kind into an LMDB, or into a folder of images with an annotation file."""

from __future__ import annotations

import collections
import dataclasses
import itertools
import json
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Callable, Counter, Dict, Iterable, Iterator, List, Mapping, Optional, Sequence, Tuple

from crnn.datasets import iiit5k, lists, scenes, synth90k, synthtext, tfrecords
from crnn.datasets.folder_writer import new_folder
from crnn.datasets.options import Options, read_lexicon
from crnn.datasets.parallel import ordered_map
from crnn.datasets.pictures import Dropped, Item, Lexicons, Source, Tag, WordLoader
from crnn.errors import InputError
from crnn.samples.lmdb_writer import new_lmdb

KINDS: Mapping[str, Callable[[Path, Options], Source]] = {
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
    """What a conversion wrote and dropped; ``examples`` are the first of the dropped, by name."""

    written: int
    dropped: Mapping[str, int]
    examples: Sequence[Dropped]


def convert(
    kind: str,
    source: Path,
    out: Path,
    options: Options,
    *,
    form: str = "lmdb",
    force: bool = False,
    report_file: Optional[Path] = None,
    advance: Callable[[int], None] = lambda count: None,
) -> Report:
    """Convert a source; ``advance`` hears of each word written.

    What gives no word is counted by its reason and, with ``report_file``, listed there, a JSON object a line. Nothing
    is written outside ``out`` and ``report_file``, and ``out`` appears whole or not at all. Raises `InputError` for a
    source that cannot be read, and for one that gives no word.
    """
    found = KINDS[kind](source, options)
    whole = read_lexicon(options.lexicon) if options.lexicon and kind != "synth90k" else found.lexicon
    items = _with_lexicons(found.items, read_lexicons(options.lexicons)) if options.lexicons else found.items
    tally = _Tally(report_file)
    opened = new_lmdb(out, force=force) if form == "lmdb" else new_folder(out, force=force)
    with tally, opened as writer:
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
    return tally.report()


def read_lexicons(path: Path) -> Dict[str, Tuple[str, ...]]:
    """Return an image's lexicon by the stem of its name.

    A line is ``image word,word``, as lists of SVT's come, or as `extract` writes it: a tab, and spaces between words.
    """
    found = {}
    for number, line in enumerate(read_lexicon(path), start=1):
        separator, between = ("\t", None) if "\t" in line else (" ", ",")
        name, _, words = line.partition(separator)
        if line and not words:
            raise InputError(f"{path} line {number} is {line[:80]!r}; expected an image's name, a space, word,word,…")
        if line:
            found[PurePosixPath(name).stem] = tuple(word.strip() for word in words.split(between) if word.strip())
    return found


def _with_lexicons(items: Iterable[Item], lexicons: Mapping[str, Tuple[str, ...]]) -> Iterator[Item]:
    for item in items:
        words = None if isinstance(item, Dropped) else lexicons.get(PurePosixPath(item.name).stem)
        if isinstance(item, Dropped) or words is None:
            yield item
        else:
            own: Lexicons = (words,)
            yield dataclasses.replace(item, tags=[Tag(tag.label, tag.box, own) for tag in item.tags])


class _Tally:
    """Counts what was dropped by reason, keeps the first few, lists all in a file if asked."""

    def __init__(self, file: Optional[Path]) -> None:
        self.written = 0
        self._counts: Counter[str] = collections.Counter()
        self._examples: List[Dropped] = []
        try:
            self._file = open(file, "w", encoding="utf-8") if file else None  # noqa: SIM115
        except OSError as error:
            raise InputError(f"cannot write the report {file}: {error.strerror}") from error

    def __enter__(self) -> _Tally:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._file:
            self._file.close()

    def count(self, dropped: Dropped) -> None:
        self._counts[dropped.problem.reason] += 1
        if len(self._examples) < 10:
            self._examples.append(dropped)
        if self._file:
            entry = {"name": dropped.name, "reason": dropped.problem.reason, "detail": dropped.problem.detail}
            self._file.write(json.dumps(entry) + "\n")

    def summary(self) -> str:
        return ", ".join(f"{count} {reason}" for reason, count in self._counts.most_common()) or "it is empty"

    def first(self) -> str:
        return "".join(f"The first: {one.name}: {one.problem.detail}" for one in itertools.islice(self._examples, 1))

    def report(self) -> Report:
        return Report(self.written, dict(self._counts), tuple(self._examples))
