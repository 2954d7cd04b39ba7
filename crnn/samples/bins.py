"""Bins: one preprocessed image a file, ``test_{i}.bin``, raw pixels without header, and
``label.txt`` beside them.

A bin holds (C, H, W) in C order, little-endian float32 or, for models that normalise by themselves,
uint8. A line of the label file is ``test_{i}.bin:label``, split at its first colon; i is the
sample's index in its data set, and gaps are allowed. Needs only NumPy.
"""

from __future__ import annotations

import os
import re
import stat
from array import array
from pathlib import Path
from typing import Dict, Iterable, Iterator, List, Optional, Sequence, Tuple

import numpy as np

from crnn.batch import Batch, Problem
from crnn.errors import InputError
from crnn.files import natural_key, refuse_lfs_pointer, require_file, utf8_lines
from crnn.spec import ModelSpec

MISSING = "missing bin"
WRONG_SIZE = "wrong size"
UNREADABLE = "unreadable bin"
NO_LABEL = "bin without label"
MISNAMED = "misnamed bin"
REPEATED = "label given twice"

# No longer than an index can be: Python refuses to turn thousands of digits into a number.
_NAME = re.compile(r"test_(0|[1-9][0-9]{0,17})\.bin")


def bin_name(index: int) -> str:
    """Return the file name of a sample's bin.

    Args:
        index: The sample's number, from 1.

    Returns:
        ``test_{index}.bin``.
    """
    return f"test_{index}.bin"


def bin_index(name: str) -> Optional[int]:
    """Return the sample's number in a bin's file name.

    Args:
        name: A file's name.

    Returns:
        The number, None for any other name.
    """
    match = _NAME.fullmatch(name)
    if match:
        return int(match.group(1))
    return None


def bin_bytes(image: np.ndarray) -> bytes:
    """Return a bin's content.

    Args:
        image: One image, float32 or uint8 (C, H, W).

    Returns:
        The bytes, little-endian, row by row.
    """
    return image.astype(image.dtype.newbyteorder("<"), copy=False).tobytes()


def label_line(index: int, label: str) -> str:
    """Return a line of the label file.

    Args:
        index: The sample's number.
        label: A label of one line.

    Returns:
        The line with its line end.
    """
    return f"{bin_name(index)}:{label}\n"


def read_labels(path: Path) -> Tuple[Dict[int, str], List[int]]:
    """Read a label file.

    Args:
        path: The label file.

    Returns:
        The label of each number, and the numbers that are given twice (the last line of such
        counts).

    Raises:
        InputError: A line is not ``test_{i}.bin:label``; the message has its number.
    """
    labels: Dict[int, str] = {}
    repeated = []
    for index, label in label_lines(path):
        if index in labels:
            repeated.append(index)
        labels[index] = label
    return labels, repeated


def label_lines(path: Path) -> Iterator[Tuple[int, str]]:
    """Yield index and label of each line of a label file, as `read_labels` reads it."""
    require_file(path, "a label file with lines test_1.bin:label", stream=True)
    refuse_lfs_pointer(path)
    empty = True
    for number, line in _lines(path):
        name, colon, label = line.partition(":")
        if colon:
            index = bin_index(name)
        else:
            index = None
        if index is None:
            raise InputError(
                f"{path} line {number} is {line[:80]!r}; expected test_{{i}}.bin:label, as"
                " test_1.bin:house"
            )
        empty = False
        yield index, label
    if empty:
        raise InputError(f"{path} holds no labels; expected lines test_1.bin:label")


class LabelFile:
    """The labels of many bins in the order of their indices, in a few bytes each: there may be
    millions.

    Of an index that is given twice the last label counts; ``repeated`` names the index for each
    time too often.
    """

    def __init__(self, numbered: Iterable[Tuple[int, str]]) -> None:
        given, ends, text = _columns(numbered)
        order = np.argsort(given, kind="stable")
        ordered = given[order]
        counts = _is_last_of_its_kind(ordered)
        self.repeated: List[int] = ordered[~counts].tolist()
        self.indices = _narrow(ordered[counts])
        # The places, among all lines of the file, of those that count.
        lines = order[counts]
        lengths = np.diff(ends)[lines]
        bounds = np.append(0, np.cumsum(lengths))
        self._bounds = _narrow(bounds)
        if not np.array_equal(lines, np.arange(len(given))):
            text = _joined(text, ends[lines], lengths)
        self._text = text

    def __len__(self) -> int:
        return len(self.indices)

    def __iter__(self) -> Iterator[Tuple[int, str]]:
        return ((int(index), self.texts(row, row + 1)[0]) for row, index in enumerate(self.indices))

    def texts(self, start: int, end: int) -> List[str]:
        """Return the labels of these rows."""
        bounds = self._bounds[start : end + 1].tolist()
        return [self._text[first:last].decode("utf-8") for first, last in zip(bounds, bounds[1:])]

    def keys(self, start: int, end: int) -> List[str]:
        """Return the names of these rows' samples."""
        return [f"test_{index}" for index in self.indices[start:end].tolist()]


def _columns(numbered: Iterable[Tuple[int, str]]) -> Tuple[np.ndarray, np.ndarray, bytearray]:
    """Return the indices, in the order given, and all labels one after the other in UTF-8; label i
    stands from end i to end i + 1.
    """
    indices, ends, text = array("q"), array("q", [0]), bytearray()
    for index, label in numbered:
        indices.append(index)
        text += label.encode("utf-8")
        ends.append(len(text))
    return np.array(indices), np.array(ends), text


def _is_last_of_its_kind(ordered: np.ndarray) -> np.ndarray:
    """Return for each of some ascending numbers whether the next one is another, or none."""
    is_last = np.ones(len(ordered), dtype=bool)
    is_last[:-1] = ordered[1:] != ordered[:-1]
    return is_last


def _joined(text: bytearray, starts: np.ndarray, lengths: np.ndarray) -> bytearray:
    """Return pieces of a text one after the other.

    All at once, by the place that each byte comes from: an object for each label would take memory
    that does not come back.
    """
    new_starts = np.cumsum(lengths) - lengths
    moved_by = np.repeat(starts - new_starts, lengths)
    places = np.arange(len(moved_by)) + moved_by
    return bytearray(np.frombuffer(text, dtype=np.uint8)[places].tobytes())


def _narrow(values: np.ndarray) -> np.ndarray:
    """Return whole numbers from 0 in the narrowest type that holds them."""
    return values.astype(np.min_scalar_type(int(values.max(initial=0))))


class BinFolder:
    """A folder of bins and its labels, read in batches in the order of their indices.

    All bins of a folder have one type, that of the first labelled one with the size of either.
    Raises `InputError` where the folder or the label file cannot be used at all; what is wrong with
    single bins goes into the batches' problems, what belongs to no label into `extras`. Files that
    are no ``.bin`` do no harm.
    """

    def __init__(self, folder: Path, label_file: Path, spec: ModelSpec) -> None:
        self.folder = folder
        self.spec = spec
        self.notes: Sequence[str] = ()
        self.labels = LabelFile(label_lines(label_file))
        self._repeated = self.labels.repeated
        present, self._misnamed = _present(folder)
        strangers = np.setdiff1d(present, self.labels.indices)
        self._unlabelled = [bin_name(index) for index in strangers.tolist()]
        self._labelled = np.intersect1d(present, self.labels.indices).tolist()
        self.dtype = self._dtype(label_file)

    def __len__(self) -> int:
        return len(self.labels)

    def every_label(self) -> Iterator[Tuple[str, Optional[str]]]:
        """Yield each labelled bin's name and its label."""
        for index, label in self.labels:
            yield bin_name(index), label

    def extras(self) -> List[Tuple[str, Problem]]:
        """Return bins without label, misnamed bins and labels given twice, with their names."""
        problems = [(bin_name(index), Problem(REPEATED)) for index in self._repeated]
        problems += [(name, Problem(NO_LABEL)) for name in self._unlabelled]
        return problems + [
            (name, Problem(MISNAMED, "expected test_{i}.bin")) for name in self._misnamed
        ]

    def close(self) -> None:
        """Do nothing: no bin stays open."""

    def batches(self, size: int, *, keep: int = 1) -> Iterator[Batch]:
        """Yield batches of exactly ``size`` readable images, the last of fewer.

        Arrays are reused: the ``keep`` batches yielded last stay as they are while the next one is
        read.
        """
        shape = self.spec.image_shape
        count = int(np.prod(shape)) * self.dtype.itemsize
        # One byte more than a batch, since each read asks for one more than it should get.
        ring = [np.empty(size * count + 1, dtype=np.uint8) for _ in range(keep + 1)]
        folder = f"{self.folder}{os.sep}"
        start = turn = 0
        while start < len(self.labels):
            memory = ring[turn % len(ring)]
            keys, rows, problems = self._fill(memory.data, start, size, count, folder)
            end = start + len(keys)
            images = memory[: rows * count].view(self.dtype).reshape((rows, *shape))
            yield Batch(keys, self.labels.texts(start, end), images, problems)
            start, turn = end, turn + 1

    def _fill(
        self, memory: memoryview, start: int, size: int, count: int, folder: str
    ) -> Tuple[List[str], int, Dict[int, Problem]]:
        """Read from sample ``start`` on until ``size`` rows are full; return the samples'
        keys, rows and problems.
        """
        problems: Dict[int, Problem] = {}
        keys: List[str] = []
        rows = 0
        while rows < size and start + len(keys) < len(self.labels):
            # As many as are missing: one that cannot be read asks for another round.
            at = start + len(keys)
            more = self.labels.keys(at, at + size - rows)
            for row, key in enumerate(more, len(keys)):
                begin = rows * count
                problem = _read_exactly(f"{folder}{key}.bin", memory[begin : begin + count + 1])
                if problem is None:
                    rows += 1
                else:
                    problems[row] = problem
            keys.extend(more)
        return keys, rows, problems

    def _dtype(self, label_file: Path) -> np.dtype:
        values = int(np.prod(self.spec.image_shape))
        dtypes: Dict[int, np.dtype] = {values * 4: np.dtype("<f4"), values: np.dtype(np.uint8)}
        sizes: Dict[str, int] = {}
        for index in self._labelled:
            name = bin_name(index)
            try:
                size = (self.folder / name).stat().st_size
            except OSError:
                continue
            if size in dtypes:
                return dtypes[size]
            sizes.setdefault(name, size)
        if not sizes:
            raise InputError(
                f"none of the {len(self.labels)} bins that {label_file} names stands in"
                f" {self.folder}",
                hint=(
                    "Give the folder and the label file of one and the same run of"
                    " parse_testdata.py."
                ),
            )
        name = next(iter(sizes))
        raise InputError(
            f"no bin in {self.folder} has the model's size: {name} has {sizes[name]} bytes;"
            f" expected {values * 4} (float32) or {values} (uint8) for images"
            f" {self.spec.image_shape}",
            hint="Prepare the bins again, for this model.",
        )


def _read_exactly(path: str, memory: memoryview) -> Optional[Problem]:
    """Read a file into all but the last byte of ``memory``; return what is wrong where its size is
    another.
    """
    expected = len(memory) - 1
    try:
        # Three calls of the system, where a file object would ask for more. A pipe would not be
        # opened before somebody writes to it.
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            got = os.readv(file, [memory])
            while 0 < got < expected:
                # Network file systems may give less than is there.
                more = os.readv(file, [memory[got:]])
                if not more:
                    break
                got += more
            # A device gives as many bytes as are asked for; its size is 0.
            if got == expected:
                return None
            state = os.fstat(file)
        finally:
            os.close(file)
    except FileNotFoundError:
        return Problem(MISSING, path)
    except BlockingIOError:
        # A pipe whose writer has nothing yet.
        return Problem(UNREADABLE, f"{path}: not a plain file")
    except OSError as error:
        return Problem(UNREADABLE, f"{path}: {error.strerror}")
    if not stat.S_ISREG(state.st_mode):
        return Problem(UNREADABLE, f"{path}: not a plain file")
    return Problem(WRONG_SIZE, f"{path}: {state.st_size} bytes; expected {expected}")


def _present(folder: Path) -> Tuple[np.ndarray, Sequence[str]]:
    """Return the numbers of the folder's bins, and the names of its ``.bin`` files that are named
    otherwise.
    """
    found, misnamed = array("q"), []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.endswith(".bin"):
                    index = bin_index(entry.name)
                    if index is None:
                        misnamed.append(entry.name)
                    else:
                        found.append(index)
    except FileNotFoundError as error:
        raise InputError(f"{folder} does not exist; expected a folder of bins") from error
    except NotADirectoryError as error:
        raise InputError(f"{folder} is a file; expected a folder of bins") from error
    return np.array(found, np.int64), sorted(misnamed, key=natural_key)


def _lines(path: Path) -> Iterator[Tuple[int, str]]:
    """Yield the numbered lines of a UTF-8 file, without blank ones; only LF and CRLF end a line."""
    for number, line, raw in utf8_lines(path):
        if line is None:
            raise InputError(f"{path} line {number} is not UTF-8: {raw[:80]!r}")
        if line:
            yield number, line
