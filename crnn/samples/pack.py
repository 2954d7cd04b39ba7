"""A pack: all prepared samples in one file, and an index beside it.

The file begins with `HEAD_BYTES` that say what it is and which index belongs to it; what a bin
would hold (`crnn.samples.bins`) follows for each sample. The index is JSON, of which each line but
the first and the last is a sample, so that it is read without all of it in memory. Needs only
NumPy. What stands where: docs/formats.md.
"""

from __future__ import annotations

import itertools
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
    Union,
)

import numpy as np

from crnn.batch import Batch, Problem, Sample, ring
from crnn.errors import InputError
from crnn.filekind import PACK_FORMAT, PACK_MARK, require_file
from crnn.files import json_text, utf8_lines
from crnn.fingerprint import parse_fingerprint
from crnn.limits import limit
from crnn.samples.bins import (
    MISSING,
    Description,
    LabelFile,
    Range,
    bin_index,
    bin_name,
    check_widths,
    description_path,
    label_lines,
    steps,
)
from crnn.samples.buckets import Row, bucketed
from crnn.spec import ModelSpec

HEAD_BYTES = 64
_OPENED = ', "samples": ['
_OF_FLOATS = 4
"""How many times the bytes of uint8 samples of float32 take."""
_AGAIN = "Prepare the data again: crnn prepare DATA PACK --pack"


class PackedSample(NamedTuple):
    """A line of the index: a sample's number, where it begins in the pack (None: it has no usable
    image), its width in pixels (0 without image), and its label.
    """

    number: int
    offset: Optional[int]
    width: int
    label: str


def head(identity: str) -> bytes:
    """Return the first bytes of a pack.

    Args:
        identity: 32 hexadecimal digits, the same in its index and in no other one.

    Returns:
        `HEAD_BYTES` bytes.
    """
    return (PACK_MARK + identity.encode("ascii")).ljust(HEAD_BYTES - 1) + b"\n"


class IndexWriter:
    """Writes an index, a sample after the other.

    Args:
        file: Open for bytes.
        about: ``spec``, ``dtype``, ``shape`` of a sample (C, H, W), ``versions`` and ``inputs``.
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
        index = _Index(description_path(pack))
        self.dtype = index.dtype
        self.description = index.description
        self._places = index.places
        _check_pack(index, pack, spec)
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

    def batches(
        self, size: int, *, keep: int = 1, ranges: Optional[Iterable[Range]] = None
    ) -> Iterator[Batch]:
        """See `crnn.samples.source.WordSource`."""
        self.close()
        try:
            self._file = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise InputError(f"{self.path} cannot be read: {error.strerror}") from error
        if ranges is None:
            ranges = [(0, len(self.labels))]
        if self.spec.widths is not None:
            yield from bucketed(self._rows(ranges), self.spec, size, dtype=self.dtype)
            return
        shape = self.spec.image_shape
        memories = itertools.cycle(ring(keep + 1, (size, *shape), self.dtype))
        for start, end in ranges:
            while start < end:
                images = next(memories)
                count, problems, offsets = self._next(range(start, end), size)
                self._read(images, offsets)
                keys = self.labels.keys(start, start + count)
                texts = self.labels.texts(start, start + count)
                yield Batch(keys, texts, images[: len(offsets)], problems)
                start += count

    def _next(self, places: range, size: int) -> Tuple[int, Dict[int, Problem], List[int]]:
        """Return how many samples the next batch has, the problems of those without image, and
        where the images of the others begin.
        """
        count = 0
        problems: Dict[int, Problem] = {}
        offsets: List[int] = []
        while len(offsets) < size and count < len(places):
            # As many as are missing: one without image asks for another round.
            at = places.start + count
            numbers = self.labels.indices[at : min(at + size - len(offsets), places.stop)]
            found, _ = self._places.of(numbers)
            for number, offset in zip(numbers.tolist(), found.tolist()):
                if offset < 0:
                    problems[count] = self._missing(number)
                else:
                    offsets.append(offset)
                count += 1
        return count, problems, offsets

    def _missing(self, number: int) -> Problem:
        return Problem(MISSING, f"{self.path}: {bin_name(number)}")

    def _rows(self, ranges: Iterable[Range]) -> Iterator[Row]:
        """Yield each sample with its width."""
        position = 0
        for start, end, last in steps(ranges):
            numbers = self.labels.indices[start:end]
            offsets, widths = self._places.of(numbers)
            keys, texts = self.labels.keys(start, end), self.labels.texts(start, end)
            for row, number in enumerate(numbers.tolist()):
                image: Union[np.ndarray, Problem] = self._missing(number)
                if offsets[row] >= 0:
                    image = self._image(int(offsets[row]), int(widths[row]))
                ends = last and row == len(keys) - 1
                yield Row(position, keys[row], texts[row], image, ends=ends)
                position += 1

    def _image(self, offset: int, width: int) -> np.ndarray:
        """Return the image (C, H, W) that begins at a place.

        It has memory of its own, since its batch may be made much later.
        """
        image = np.empty((self.spec.channels, self.spec.height, width), dtype=self.dtype)
        self._read(image[None], [offset])
        return image

    def _read(self, images: np.ndarray, offsets: Sequence[int]) -> None:
        """Read images, those that stand side by side at once."""
        assert self._file is not None
        memory = memoryview(images.data).cast("B")
        step = images[0].nbytes
        row = 0
        while row < len(offsets):
            end = row + 1
            while end < len(offsets) and offsets[end] == offsets[end - 1] + step:
                end += 1
            _read_all(self._file, memory[row * step : end * step], offsets[row], self.path)
            row = end


def described_pack(pack: Path) -> Optional[Description]:
    """Return what a pack's index says of all its samples, by its first line alone.

    Args:
        pack: The pack.

    Returns:
        None where there is no such index.
    """
    try:
        lines = (text for _, text, _ in utf8_lines(description_path(pack)))
        about = json.loads((next(lines, None) or "")[: -len(_OPENED)] + "}")
        spec = ModelSpec.from_dict(about["spec"])
        return Description(spec, str(about["dtype"]), inputs=parse_fingerprint(about.get("inputs")))
    except (InputError, OSError, ValueError, TypeError, KeyError, RecursionError):
        return None


class _Index:
    """An index, read line by line.

    What it says of the samples stands in a few columns, since there may be millions.

    Args:
        path: The index.

    Raises:
        InputError: It is not whole, or something in it is not as `IndexWriter` writes it.
    """

    def __init__(self, path: Path) -> None:
        require_file(path, "the index of a pack, as crnn prepare --pack writes it")
        self.path = path
        lines = (text for _, text, _ in utf8_lines(path))
        about = self._head(next(lines, None))
        dtypes: Dict[Any, np.dtype] = {"float32": np.dtype("<f4"), "uint8": np.dtype(np.uint8)}
        dtype = about.get("dtype")
        if not isinstance(dtype, str) or dtype not in dtypes:
            raise self._error(f"its dtype is {str(dtype)[:40]!r}")
        self.dtype = dtypes[dtype]
        if not isinstance(about.get("spec"), dict):
            raise self._error("it has no spec")
        spec = ModelSpec.from_dict(about["spec"], where=str(path))
        inputs = parse_fingerprint(about.get("inputs"))
        self.description = Description(spec, dtype, inputs=inputs)
        self.identity = str(about.get("id"))
        if not self.identity.isascii():
            raise self._error(f"its id is {self.identity[:40]!r}")
        self._widths = frozenset(spec.read_widths)
        self.places, self.labels = self._samples(lines)

    def _head(self, line: Optional[str]) -> Dict[str, Any]:
        """Return what the first line says of all samples.

        It ends where the list of samples begins, and is closed here to be JSON of its own.
        """
        text = line or ""
        try:
            about = json.loads(text[: -len(_OPENED)] + "}")
        except (ValueError, RecursionError):
            about = None
        if not text.endswith(_OPENED) or not isinstance(about, dict):
            raise self._error("its first line is something else")
        if about.get("format") != PACK_FORMAT:
            raise self._error(f"its format is {about.get('format')!r}")
        return about

    def _samples(self, lines: Iterator[Optional[str]]) -> Tuple[_Places, LabelFile]:
        columns = (array("q"), array("q"), array("q"))
        labels = LabelFile(self._numbered(lines, columns))
        return _Places(*(np.array(column, np.int64) for column in columns)), labels

    def _numbered(
        self, lines: Iterator[Optional[str]], columns: Sequence[array[int]]
    ) -> Iterator[Tuple[int, str]]:
        for line in lines:
            if line == "]}":
                if next(lines, None) is not None:
                    raise self._error("something stands behind its end")
                return
            sample = self._sample(line)
            if sample.offset is not None:
                for column, value in zip(columns, sample):
                    column.append(value)  # type: ignore[arg-type]
            yield sample.number, sample.label
        raise self._error("its end is missing")

    def _sample(self, line: Optional[str]) -> PackedSample:
        """Return what a line says of its sample.

        Places and widths are looked at closely: they say where in the pack is read, and how much.
        """
        text = line or ""
        try:
            name, offset, width, label = json.loads(text.rstrip(","))
        except (ValueError, TypeError, RecursionError):
            raise self._error(f"a line of it is {text[:80]!r}") from None
        number = bin_index(f"{name}.bin")
        if number is None or not isinstance(label, str) or not _is_text(label):
            raise self._error(f"a line of it is {text[:80]!r}")
        if offset is None:
            return PackedSample(number, None, 0, label)
        if type(offset) is not int or not HEAD_BYTES <= offset < 1 << 62:
            raise self._error(f"test_{number} begins at {str(offset)[:40]}")
        if type(width) is not int or width not in self._widths:
            raise self._error(f"test_{number} is {str(width)[:40]} wide")
        return PackedSample(number, offset, width, label)

    def _error(self, what: str) -> InputError:
        return InputError(
            f"{self.path} is not the index of a pack ({PACK_FORMAT}): {what}", hint=_AGAIN
        )


class _Places:
    """Where the samples begin and how wide they are, by their numbers, in a few bytes each."""

    def __init__(self, numbers: np.ndarray, offsets: np.ndarray, widths: np.ndarray) -> None:
        order = np.argsort(numbers, kind="stable")
        self._numbers = numbers[order]
        self._offsets = offsets[order]
        self._widths = widths[order].astype(np.uint16)

    def of(self, numbers: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
        """Return where samples begin, -1 for those that have no image, and their widths."""
        if not len(self._numbers):
            return np.full(len(numbers), -1), np.zeros(len(numbers), np.uint16)
        places = np.searchsorted(self._numbers, numbers).clip(max=len(self._numbers) - 1)
        is_there = self._numbers[places] == numbers
        return np.where(is_there, self._offsets[places], -1), self._widths[places]

    def end(self, column: int) -> int:
        """Return how long a pack is that holds all, by the bytes of a column."""
        return int(self._ends(column).max(initial=0))

    def overlapping(self, column: int) -> Optional[int]:
        """Return the number of a sample that begins before the one in front of it ends, or None."""
        order = np.argsort(self._offsets, kind="stable")
        ends = self._ends(column)[order]
        found = np.flatnonzero(self._offsets[order][1:] < ends[:-1])
        if not len(found):
            return None
        return int(self._numbers[order[found[0] + 1]])

    def least_room(self, column: int, end: int) -> float:
        """Return how many times its own bytes a sample has at least until the next one, or the end
        of the pack, begins: 1 where no sample without label stands between.
        """
        order = np.argsort(self._offsets, kind="stable")
        begins = self._offsets[order]
        room = np.append(begins[1:], end) - begins
        own = self._ends(column)[order] - begins
        return float((room / own).min(initial=np.inf))

    def _ends(self, column: int) -> np.ndarray:
        return self._offsets + column * self._widths.astype(np.int64)


def _is_text(label: str) -> bool:
    """Say whether a label can be written: JSON may hold halves of surrogate pairs."""
    try:
        label.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _check_pack(index: _Index, pack: Path, spec: ModelSpec) -> None:
    """Refuse a pack for another model, of another run than its index, or cut short."""
    check_widths(pack, index.description, spec)
    shape = index.description.spec.image_shape
    if shape != spec.image_shape:
        raise InputError(
            f"{pack} holds images {shape}; expected {spec.image_shape}",
            hint=f"{_AGAIN} --spec MODEL",
        )
    with open(pack, "rb") as file:
        begin = file.read(HEAD_BYTES)
    if begin != head(index.identity):
        raise InputError(
            f"{pack} and {index.path} are not of one run: one of them was replaced", hint=_AGAIN
        )
    size = pack.stat().st_size
    column = spec.channels * spec.height * index.dtype.itemsize
    needed = index.places.end(column)
    if size < needed:
        raise InputError(
            f"{pack} has {size} bytes; expected {needed}: it is cut short", hint=_AGAIN
        )
    room = index.places.least_room(column, size)
    if index.dtype.itemsize == 1 and _OF_FLOATS <= room < np.inf:
        raise InputError(
            f"{index.path} says uint8, and each sample in {pack} has {_OF_FLOATS} times the bytes"
            " of that: it holds float32, and the index was changed",
            hint=_AGAIN,
        )
    number = index.places.overlapping(column)
    if number is not None:
        raise InputError(
            f"{index.path}: test_{number} begins before the sample in front of it ends", hint=_AGAIN
        )


def _counted(rules: Any, numbered: Iterable[Tuple[int, str]]) -> Iterator[Tuple[int, str]]:
    """Yield the samples that count under a protocol, with the labels that they are compared with.

    The protocol sees them as it sees a folder's bins: by name and label, without image.
    """
    samples = (Sample(f"test_{number}", None, label) for number, label in numbered)
    for sample in rules.apply(samples):
        yield int(sample.key.rpartition("_")[2]), sample.label or ""


def _read_all(file: int, memory: memoryview, place: int, path: Path) -> None:
    """Fill memory from a place in a file on.

    Network file systems may give less at a time than is there.
    """
    got = 0
    while got < len(memory):
        more = os.preadv(file, [memory[got:]], place + got)
        if not more:
            raise InputError(f"{path} has become shorter while it was read")
        got += more
