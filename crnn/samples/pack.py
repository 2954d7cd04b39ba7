"""A pack: all prepared samples in one file, and an index beside it.

The file begins with `HEAD_BYTES` that say what it is and which index belongs to it; what a bin
would hold (`crnn.samples.bins`) follows for each sample. The index is JSON, of which each line but
the first and the last is a sample, so that it is read without all of it in memory. Needs only
NumPy. What stands where: docs/formats.md.
"""

from __future__ import annotations

import json
import os
from array import array
from pathlib import Path
from typing import (
    IO,
    Any,
    Dict,
    Iterable,
    Iterator,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
)

import numpy as np

from crnn.batch import Batch, Problem, Sample
from crnn.errors import InputError
from crnn.files import json_text, require_file, utf8_lines
from crnn.limits import limit
from crnn.samples.bins import MISSING, LabelFile, bin_index, bin_name, label_lines
from crnn.spec import ModelSpec

PACK_FORMAT = "crnn-pack/1"
HEAD_BYTES = 64
_MARK = PACK_FORMAT.encode("ascii") + b" "
_OPENED = ', "samples": ['
_AGAIN = "Prepare the data again: crnn prepare DATA PACK --pack"


class PackedSample(NamedTuple):
    """A line of the index: a sample's number, where it begins in the pack (None: it has no usable
    image), its width in pixels, and its label.
    """

    number: int
    offset: Optional[int]
    width: int
    label: str


def index_path(pack: Path) -> Path:
    """Return the index's path, ``words.json`` beside ``words``.

    Args:
        pack: The pack.

    Returns:
        The path.
    """
    return pack.with_name(pack.name + ".json")


def is_pack(path: Path) -> bool:
    """Say whether a path is a pack's, by its first bytes.

    Args:
        path: Any path.

    Returns:
        False for what cannot be read too.
    """
    if not path.is_file():
        return False
    try:
        with open(path, "rb") as file:
            return file.read(len(_MARK)) == _MARK
    except OSError:
        return False


def head(identity: str) -> bytes:
    """Return the first bytes of a pack.

    Args:
        identity: 32 hexadecimal digits, the same in its index and in no other one.

    Returns:
        `HEAD_BYTES` bytes.
    """
    return (_MARK + identity.encode("ascii")).ljust(HEAD_BYTES - 1) + b"\n"


class IndexWriter:
    """Writes an index, a sample after the other.

    Args:
        file: Open for bytes.
        about: ``spec``, ``dtype``, ``shape`` and ``versions``.
        identity: As in the pack's head.
    """

    def __init__(self, file: IO[bytes], about: Mapping[str, Any], identity: str) -> None:
        self._file = file
        described = {"format": PACK_FORMAT, "id": identity, **about}
        file.write((json_text(described)[:-1] + _OPENED).encode("utf-8"))
        self._end = "\n"

    def add(self, sample: PackedSample) -> None:
        """Write a sample's line.

        Args:
            sample: The next one, in the order of the numbers.
        """
        name = bin_name(sample.number)[: -len(".bin")]
        line = json_text([name, sample.offset, sample.width, sample.label])
        self._file.write((self._end + line).encode("utf-8"))
        self._end = ",\n"

    def finish(self) -> None:
        """Write the end, without which the index is refused."""
        self._file.write(b"\n]}\n")


def is_index(path: Path) -> bool:
    """Say whether a file is a pack's index, by its first line.

    Args:
        path: A file that exists.

    Returns:
        False for what cannot be read too.
    """
    try:
        with open(path, "rb") as file:
            line = file.readline(limit("line"))
    except OSError:
        return False
    return PACK_FORMAT.encode("ascii") in line and line.rstrip().endswith(_OPENED.encode("ascii"))


class PackedBins:
    """A pack's samples, read in batches in the order of their numbers.

    Raises `InputError` where the pack and its index cannot be used at all: it is not whole, they
    are not of one run, or its samples are not of the model's size.

    Args:
        pack: The pack; its index stands beside it.
        spec: What the model takes.
        label_file: Labels in the place of the index's; None for those.
        rules: Which samples count (`crnn.samples.source.Rules`); None for all.
    """

    def __init__(
        self, pack: Path, spec: ModelSpec, label_file: Optional[Path] = None, rules: Any = None
    ) -> None:
        self.path = pack
        self.spec = spec
        self.notes: Sequence[str] = ()
        self._rules = rules
        self._file: Optional[int] = None
        index = _Index(index_path(pack))
        self.dtype = index.dtype
        self._offsets = index.offsets
        _check_size(index, spec, pack)
        _check_pack(index, pack)
        numbered: Iterable[Tuple[int, str]] = index.labels
        if label_file is not None:
            numbered = label_lines(label_file)
        if rules is not None:
            numbered = _counted(rules, numbered)
        self.labels = LabelFile(numbered)

    def __len__(self) -> int:
        return len(self.labels)

    def every_label(self) -> Iterator[Tuple[str, Optional[str]]]:
        """See `crnn.samples.source.WordSource`."""
        for number, label in self.labels:
            yield bin_name(number), label

    def extras(self) -> List[Tuple[str, Problem]]:
        """See `crnn.samples.source.WordSource`."""
        if self._rules is None:
            return []
        return list(self._rules.problems)

    def close(self) -> None:
        """Close the pack; a later call of `batches` opens it again."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def batches(self, size: int, *, keep: int = 1) -> Iterator[Batch]:
        """See `crnn.samples.source.BatchSource`."""
        shape = self.spec.image_shape
        ring = [np.empty((size, *shape), dtype=self.dtype) for _ in range(keep + 1)]
        self.close()
        self._file = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        start = turn = 0
        while start < len(self.labels):
            images = ring[turn % len(ring)]
            keys, problems, places = self._next(start, size)
            self._read(images, places)
            texts = self.labels.texts(start, start + len(keys))
            yield Batch(keys, texts, images[: len(places)], problems)
            start, turn = start + len(keys), turn + 1

    def _next(self, start: int, size: int) -> Tuple[List[str], Dict[int, Problem], List[int]]:
        """Return the next samples' keys, the problems of those without image, and where the images
        of the others begin.
        """
        numbers: List[int] = []
        problems: Dict[int, Problem] = {}
        places: List[int] = []
        while len(places) < size and start + len(numbers) < len(self.labels):
            # As many as are missing: one without image asks for another round.
            at = start + len(numbers)
            more = self.labels.indices[at : at + size - len(places)]
            for number, place in zip(more.tolist(), self._offsets.of(more).tolist()):
                if place < 0:
                    problems[len(numbers)] = Problem(MISSING, f"{self.path}: {bin_name(number)}")
                else:
                    places.append(place)
                numbers.append(number)
        return [f"test_{number}" for number in numbers], problems, places

    def _read(self, images: np.ndarray, places: Sequence[int]) -> None:
        """Read images, those that stand side by side at once."""
        assert self._file is not None
        memory = memoryview(images.data).cast("B")
        step = images[0].nbytes
        row = 0
        while row < len(places):
            end = row + 1
            while end < len(places) and places[end] == places[end - 1] + step:
                end += 1
            _read_all(self._file, memory[row * step : end * step], places[row], self.path)
            row = end


class _Index:
    """An index, read."""

    def __init__(self, path: Path) -> None:
        require_file(path, "the index of a pack, as crnn prepare --pack writes it")
        self.path = path
        lines = (text for _, text, _ in utf8_lines(path))
        self._about = self._head(next(lines, None))
        dtypes: Dict[Any, np.dtype] = {"float32": np.dtype("<f4"), "uint8": np.dtype(np.uint8)}
        if self._about.get("dtype") not in dtypes:
            raise self._error(f"its dtype is {self._about.get('dtype')!r}")
        self.dtype: np.dtype = dtypes[self._about["dtype"]]
        self.shape = tuple(self._about["shape"])
        self.identity = str(self._about.get("id"))
        self.offsets, self.labels = self._samples(lines)

    def _head(self, line: Optional[str]) -> Dict[str, Any]:
        text = line or ""
        try:
            about = json.loads(text[: -len(_OPENED)] + "}")
        except (ValueError, RecursionError):
            about = None
        if not text.endswith(_OPENED) or not isinstance(about, dict):
            raise self._error("its first line is something else")
        if about.get("format") != PACK_FORMAT or not isinstance(about.get("shape"), list):
            raise self._error(f"its format is {about.get('format')!r}")
        return about

    def _samples(self, lines: Iterator[Optional[str]]) -> Tuple[_Offsets, LabelFile]:
        numbers, offsets = array("q"), array("q")
        labels = LabelFile(self._numbered(lines, numbers, offsets))
        return _Offsets(np.array(numbers, np.int64), np.array(offsets, np.int64)), labels

    def _numbered(
        self, lines: Iterator[Optional[str]], numbers: array[int], offsets: array[int]
    ) -> Iterator[Tuple[int, str]]:
        for line in lines:
            if line == "]}":
                return
            sample = self._sample(line)
            if sample.offset is not None:
                numbers.append(sample.number)
                offsets.append(sample.offset)
            yield sample.number, sample.label
        raise self._error("its end is missing")

    def _sample(self, line: Optional[str]) -> PackedSample:
        try:
            name, offset, width, label = json.loads((line or "").rstrip(","))
            number = bin_index(f"{name}.bin")
        except (ValueError, TypeError, RecursionError):
            number = None
        if number is None or not isinstance(label, str):
            raise self._error(f"a line of it is {(line or '')[:80]!r}")
        if offset is not None and (not isinstance(offset, int) or offset < HEAD_BYTES):
            raise self._error(f"{name} begins at {offset!r}")
        return PackedSample(number, offset, width, label)

    def _error(self, what: str) -> InputError:
        return InputError(
            f"{self.path} is not the index of a pack ({PACK_FORMAT}): {what}", hint=_AGAIN
        )


class _Offsets:
    """Where the samples begin, by their numbers, in a few bytes each."""

    def __init__(self, numbers: np.ndarray, offsets: np.ndarray) -> None:
        order = np.argsort(numbers, kind="stable")
        self._numbers = numbers[order]
        self._offsets = offsets[order]

    def of(self, numbers: np.ndarray) -> np.ndarray:
        """Return where samples begin, -1 for those that have no image."""
        if not len(self._numbers):
            return np.full(len(numbers), -1)
        places = np.searchsorted(self._numbers, numbers).clip(max=len(self._numbers) - 1)
        found: np.ndarray = np.where(self._numbers[places] == numbers, self._offsets[places], -1)
        return found

    @property
    def last(self) -> int:
        """Where the last one begins; -1 without any."""
        return int(self._offsets.max(initial=-1))


def _check_size(index: _Index, spec: ModelSpec, pack: Path) -> None:
    if index.shape != spec.image_shape:
        raise InputError(
            f"{pack} holds images {index.shape}; expected {spec.image_shape}",
            hint=f"{_AGAIN} --spec MODEL",
        )


def _check_pack(index: _Index, pack: Path) -> None:
    """Refuse a pack of another run than its index, or one that is cut short."""
    with open(pack, "rb") as file:
        begin = file.read(HEAD_BYTES)
    if begin != head(index.identity):
        raise InputError(
            f"{pack} and {index.path} are not of one run: one of them was replaced", hint=_AGAIN
        )
    size = pack.stat().st_size
    needed = index.offsets.last + int(np.prod(index.shape)) * index.dtype.itemsize
    if size < needed:
        raise InputError(
            f"{pack} has {size} bytes; expected {needed}: it is cut short", hint=_AGAIN
        )


def _counted(rules: Any, numbered: Iterable[Tuple[int, str]]) -> Iterator[Tuple[int, str]]:
    samples = (Sample(f"test_{number}", None, label) for number, label in numbered)
    for sample in rules.apply(samples):
        yield int(sample.key.rpartition("_")[2]), sample.label or ""


def _read_all(file: int, memory: memoryview, place: int, path: Path) -> None:
    got = 0
    while got < len(memory):
        more = os.preadv(file, [memory[got:]], place + got)
        if not more:
            raise InputError(f"{path} has become shorter while it was read")
        got += more
