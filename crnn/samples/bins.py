"""Bins: one preprocessed image a file, ``test_{i}.bin``, raw pixels without header, and
``label.txt`` beside them.

A bin holds (C, H, W) in C order, little-endian float32 or, for models that normalise by themselves,
uint8. A line of the label file is ``test_{i}.bin:label``, split at its first colon; i is the
sample's index in its data set, and gaps are allowed. Bins of a model that reads at several widths
have several sizes; the file beside the folder tells their type, and the views of a word where there
are several (docs/formats.md). Needs only NumPy.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Dict,
    Iterable,
    Iterator,
    List,
    Mapping,
    Optional,
    Sequence,
    Set,
    Tuple,
    Union,
)

import numpy as np

from crnn.batch import Batch, Problem, ring
from crnn.errors import InputError, UsageError
from crnn.filekind import refuse_lfs_pointer, require_file
from crnn.files import natural_key, read_bounded, utf8_lines
from crnn.fingerprint import Fingerprint, parse_fingerprint
from crnn.samples.columns import Column, are_among, ascend, pieces
from crnn.spec import ModelSpec
from crnn.views import PLAIN, named, parsed

if TYPE_CHECKING:
    from crnn.samples.buckets import Row

BINS_FORMAT = "crnn-bins/1"
"""The format of the file beside a folder of bins that says how they were made (docs/formats.md)."""

MISSING = "missing bin"
WRONG_SIZE = "wrong size"
UNREADABLE = "unreadable bin"
NO_LABEL = "bin without label"
MISNAMED = "misnamed bin"
REPEATED = "label given twice"
LOST_VIEW = "view that cannot be read"
"""Of a word of which another view can."""

# No longer than an index can be: Python refuses to turn thousands of digits into a number.
_NAME = re.compile(r"test_(0|[1-9][0-9]{0,17})\.bin")
_NAME_OF_VIEW = re.compile(r"test_(0|[1-9][0-9]{0,17})\.([a-z][a-z0-9+._-]{0,60})\.bin")


_FOLDER = re.compile(r"w[1-9][0-9]{0,4}")
Range = Tuple[int, int]
"""Positions in the data, from 0: the first, and the one behind the last."""
_AGAIN = "Prepare the bins again, for this model: crnn prepare DATA OUT_DIR --spec MODEL."
_ASKED = 1000
"""How many samples are looked up at a time; how many bins' sizes are looked at where nothing tells
their type.
"""


@dataclass(frozen=True)
class Description:
    """How a folder of bins was made: by which spec, of which type, whether each width has a folder
    of its own in it, in which views, by name, where a word has several, and what the spec made of
    the built-in patterns there.
    """

    spec: ModelSpec
    dtype: str
    per_width: bool = False
    views: Sequence[str] = ()
    inputs: Optional[Fingerprint] = None


def description_path(out: Path) -> Path:
    """Return the file that describes a folder of bins: ``input_bin.json`` beside ``input_bin``.

    It is beside the folder, not in it, since tools take each file of the folder for a sample.

    Args:
        out: The folder.

    Returns:
        The file's path, whether it is there or not.
    """
    return out.with_name(out.name + ".json")


def width_folders(folder: Path) -> Sequence[str]:
    """Return the folders of single widths' bins in a folder.

    Args:
        folder: What may hold bins.

    Returns:
        Their names, of those that hold a ``.bin``.
    """
    found: List[str] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if is_width_folder(entry.name) and entry.is_dir():
                found.append(entry.name)
    holding: List[str] = []
    for name in sorted(found, key=natural_key):
        if next(_bins_in([folder / name]), None) is not None:
            holding.append(name)
    return holding


def described(folder: Path) -> Optional[Description]:
    """Return what the file beside a folder of bins says of them.

    Args:
        folder: The folder.

    Returns:
        None where there is no such file, or it is something else.
    """
    path = description_path(folder.resolve())
    try:
        data = json.loads(read_bounded(path))
        if data["format"] != BINS_FORMAT:
            return None
        spec = ModelSpec.from_dict(data["spec"], where=str(path))
        views = _views_told(data.get("views"))
        per_width = data.get("per_width") is True
        inputs = parse_fingerprint(data.get("inputs"))
        return Description(spec, str(data["dtype"]), per_width, views, inputs)
    except (InputError, UsageError, OSError, ValueError, TypeError, KeyError, RecursionError):
        return None


def _views_told(told: object) -> Sequence[str]:
    """Return the views that a description names, the word as it is first.

    Args:
        told: The names of the views' files, by the views' names; None where a word has one view.

    Returns:
        The views' names.

    Raises:
        UsageError: There is no such view.
        ValueError: The files are named otherwise than the kit names them.
    """
    if told is None:
        return ()
    if not isinstance(told, dict):
        raise ValueError("views: expected an object")
    names = [view.name for view in parsed(",".join(told))]
    if files_of_views(names) != told:
        raise ValueError("views: other names of files")
    return names


def files_of_views(views: Sequence[str]) -> Mapping[str, str]:
    """Return how the bins of each view are named.

    Args:
        views: Names of views.

    Returns:
        For each view the name of a bin, with ``{i}`` in the place of the sample's number.
    """
    return {view: f"test_{{i}}{_suffix(view)}" for view in views}


def prepared_views(folder: Path) -> Sequence[str]:
    """Return the views that a folder's bins were prepared in.

    Args:
        folder: Bins, or any other data set.

    Returns:
        The views' names, the word as it is first; none where a word has one bin.
    """
    if not folder.is_dir():
        return ()
    found = described(folder)
    if found is None:
        return ()
    return found.views


def width_folder(width: int) -> str:
    """Return the name of the folder with one width's bins, where each width has one.

    Args:
        width: In columns.

    Returns:
        ``w{width}``.
    """
    return f"w{width}"


def is_width_folder(name: str) -> bool:
    """Say whether a folder is named as that of one width's bins.

    Args:
        name: The folder's name.

    Returns:
        True for w80 and its like.
    """
    return _FOLDER.fullmatch(name) is not None


def bin_name(index: int, view: str = PLAIN) -> str:
    """Return the file name of a sample's bin.

    Args:
        index: The sample's number, from 1.
        view: Which view of the word it holds, by name.

    Returns:
        ``test_{index}.bin``; of another view than the word as it is ``test_{index}.{view}.bin``,
        with ``_`` for the view's ``/``.

    >>> bin_name(7), bin_name(7, "rot+3/near2")
    ('test_7.bin', 'test_7.rot+3_near2.bin')
    """
    return f"test_{index}{_suffix(view)}"


@functools.lru_cache(maxsize=256)
def _suffix(view: str) -> str:
    """Return how the names of a view's bins end."""
    if view == PLAIN:
        return ".bin"
    return f".{view.replace('/', '_')}.bin"


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


def bin_view(name: str) -> Optional[Tuple[int, str]]:
    """Return which sample, and which view of it, a bin holds by its file name.

    Args:
        name: A file's name.

    Returns:
        The sample's number and the view's name; None for the name of something else.
    """
    index = bin_index(name)
    if index is not None:
        return index, PLAIN
    match = _NAME_OF_VIEW.fullmatch(name)
    if match is None:
        return None
    view = _view_of(match.group(2))
    if view is None:
        return None
    return int(match.group(1)), view


@functools.lru_cache(maxsize=256)
def _view_of(middle: str) -> Optional[str]:
    """Return the view that a bin's name has after its number; None where it is not one, or the
    word as it is, whose bins have none.
    """
    try:
        view = named(middle.replace("_", "/")).name
    except UsageError:
        return None
    if view == PLAIN or _suffix(view) != f".{middle}.bin":
        return None
    return view


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
    """The labels of many bins in the order of their indices, in columns: there may be millions.

    Of an index that is given twice the last label counts; ``repeated`` names the index for each
    time too often.
    """

    def __init__(self, numbered: Iterable[Tuple[int, str]]) -> None:
        self.indices, self._bounds, self._text = _columns(numbered)
        self.repeated: List[int] = []
        # As the kit writes them nothing is to be put in order, and no memory is spent on it.
        if not ascend(self.indices):
            self._put_in_order()

    def _put_in_order(self) -> None:
        given, ends = self.indices, self._bounds
        order = np.argsort(given, kind="stable")
        ordered = given[order]
        counts = _is_last_of_its_kind(ordered)
        self.repeated = ordered[~counts].tolist()
        self.indices = _narrow(ordered[counts])
        # The places, among all lines of the file, of those that count.
        lines = order[counts]
        lengths = np.diff(ends)[lines]
        bounds = np.append(0, np.cumsum(lengths))
        self._bounds = _narrow(bounds)
        self._text = _joined(self._text, ends[lines], lengths)

    def __len__(self) -> int:
        return len(self.indices)

    def __iter__(self) -> Iterator[Tuple[int, str]]:
        for begin in range(0, len(self), _ASKED):
            end = min(begin + _ASKED, len(self))
            yield from zip(self.indices[begin:end].tolist(), self.texts(begin, end))

    def digest(self) -> str:
        """Return the SHA-256 of all indices and labels."""
        made = hashlib.sha256()
        for numbers in (self.indices, self._bounds):
            for piece in pieces(numbers):
                made.update(piece.astype("<u8").tobytes())
        made.update(self._text.data)
        return made.hexdigest()

    def texts(self, start: int, end: int) -> List[str]:
        """Return the labels of these rows."""
        bounds = self._bounds[start : end + 1]
        begin = int(bounds[0])
        text = self._text[begin : int(bounds[-1])].tobytes()
        places = (bounds - begin).tolist()
        return [text[first:last].decode("utf-8") for first, last in zip(places, places[1:])]

    def keys(self, start: int, end: int) -> List[str]:
        """Return the names of these rows' samples."""
        return [f"test_{index}" for index in self.indices[start:end].tolist()]


def _columns(numbered: Iterable[Tuple[int, str]]) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the indices, in the order given, and all labels one after the other in UTF-8; label i
    stands from end i to end i + 1.
    """
    indices, ends, text = Column("q"), Column("q"), Column("B")
    end = 0
    ends.append(end)
    for index, label in numbered:
        encoded = label.encode("utf-8")
        end += len(encoded)
        indices.append(index)
        text.extend(encoded)
        ends.append(end)
    return indices.values(), ends.values(), text.values()


def _is_last_of_its_kind(ordered: np.ndarray) -> np.ndarray:
    """Return for each of some ascending numbers whether the next one is another, or none."""
    is_last = np.ones(len(ordered), dtype=bool)
    is_last[:-1] = ordered[1:] != ordered[:-1]
    return is_last


def _joined(text: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return pieces of a text one after the other.

    All at once, by the place that each byte comes from: an object for each label would take memory
    that does not come back.
    """
    new_starts = np.cumsum(lengths) - lengths
    moved_by = np.repeat(starts - new_starts, lengths)
    places = np.arange(len(moved_by)) + moved_by
    joined: np.ndarray = text[places]
    return joined


def _narrow(values: np.ndarray) -> np.ndarray:
    """Return whole numbers from 0 in the narrowest type that holds them."""
    return values.astype(np.min_scalar_type(int(values.max(initial=0))))


class BinFolder:
    """A folder of bins and its labels, read in batches in the order of their indices.

    All bins of a folder have one type, that of the first labelled one with the size of either.
    Raises `InputError` where the folder or the label file cannot be used at all; what is wrong with
    single bins goes into the batches' problems, what belongs to no label into `extras`. Files that
    are no ``.bin`` do no harm.

    Args:
        folder: The bins.
        label_file: Their labels; None for all bins that are there, without labels.
        spec: What the model takes.
        views: Which of the prepared views are read, by name; none for the word as it is alone.
    """

    def __init__(
        self, folder: Path, label_file: Optional[Path], spec: ModelSpec, views: Sequence[str] = ()
    ) -> None:
        self.folder = folder
        self.spec = spec
        self.notes: Sequence[str] = ()
        self.labels = LabelFile(())
        if label_file is not None:
            self.labels = LabelFile(label_lines(label_file))
        self._repeated = self.labels.repeated
        found = described(folder)
        if found is None and folder.is_dir():
            _require_description(folder)
        check_widths(folder, found, spec)
        self.description = found
        self._folders = _folders_of(folder, found)
        self._views = views or (PLAIN,)
        self._lost: List[Tuple[str, Problem]] = []
        prepared: Sequence[str] = ()
        if found is not None:
            prepared = found.views
        present, self._misnamed = _present(self._folders, prepared or (PLAIN,))
        if label_file is None:
            self.labels = LabelFile((index, "") for index in map(int, present[PLAIN]))
        self._unlabelled = _strangers(present, self.labels.indices)
        self._present = present[PLAIN]
        if spec.widths is None:
            self.dtype = self._dtype(label_file)
        else:
            self.dtype = self._dtype_of_widths(found, label_file)
        self._columns = _width_by_size(spec, self.dtype)
        """The width of a bin by its size in bytes."""

    def __len__(self) -> int:
        return len(self.labels)

    def every_label(self) -> Iterator[Tuple[str, Optional[str]]]:
        """Yield each labelled bin's name and its label."""
        for index, label in self.labels:
            yield bin_name(index), label

    def extras(self) -> List[Tuple[str, Problem]]:
        """Return bins without label, misnamed bins, labels given twice, and the views that were
        lost of words that were read, with their names.
        """
        problems = [(bin_name(index), Problem(REPEATED)) for index in self._repeated]
        problems += [(name, Problem(NO_LABEL)) for name in self._unlabelled]
        return problems + self.misnamed() + self._lost

    def misnamed(self) -> List[Tuple[str, Problem]]:
        """Return the bins that no sample can be, by their names."""
        expected = Problem(MISNAMED, "expected test_{i}.bin")
        return [(name, expected) for name in self._misnamed]

    def close(self) -> None:
        """Do nothing: no bin stays open."""

    def batches(
        self, size: int, *, keep: int = 1, ranges: Optional[Iterable[Range]] = None
    ) -> Iterator[Batch]:
        """Yield batches of exactly ``size`` readable images, the last of fewer, and the last of
        each of ``ranges`` (`crnn.samples.source.BatchSource`).

        Arrays are reused: the ``keep`` batches yielded last stay as they are while the next one is
        read. Of a model with several widths a batch has one, and the rows of several views of a
        word are put together afterwards (`crnn.samples.buckets`).
        """
        if ranges is None:
            ranges = [(0, len(self.labels))]
        if self.spec.widths is not None or len(self._views) > 1:
            # Only models of several widths, and views, need it.
            from crnn.samples.buckets import bucketed

            yield from bucketed(self._rows(ranges), self.spec, size, dtype=self.dtype)
            return
        shape = self.spec.image_shape
        count = int(np.prod(shape)) * self.dtype.itemsize
        # One byte more than a batch, since each read asks for one more than it should get.
        memories = itertools.cycle(ring(keep + 1, (size * count + 1,), np.uint8))
        folder = f"{self.folder}{os.sep}"
        for start, last in ranges:
            while start < last:
                memory = next(memories)
                places = range(start, last)
                keys, rows, problems = self._fill(memory.data, places, size, count, folder)
                end = start + len(keys)
                images = memory[: rows * count].view(self.dtype).reshape((rows, *shape))
                yield Batch(keys, self.labels.texts(start, end), images, problems)
                start = end

    def _fill(
        self, memory: memoryview, places: range, size: int, count: int, folder: str
    ) -> Tuple[List[str], int, Dict[int, Problem]]:
        """Read the samples of ``places`` until ``size`` rows are full; return the samples' keys,
        rows and problems.
        """
        problems: Dict[int, Problem] = {}
        keys: List[str] = []
        rows = 0
        while rows < size and len(keys) < len(places):
            # As many as are missing: one that cannot be read asks for another round.
            at = places.start + len(keys)
            more = self.labels.keys(at, min(at + size - rows, places.stop))
            for row, key in enumerate(more, len(keys)):
                begin = rows * count
                problem = _read_exactly(f"{folder}{key}.bin", memory[begin : begin + count + 1])
                if problem is None:
                    rows += 1
                else:
                    problems[row] = problem
            keys.extend(more)
        return keys, rows, problems

    def _rows(self, ranges: Iterable[Range]) -> Iterator[Row]:
        """Yield each labelled bin with its width, the views of a word one after the other."""
        self._lost = []
        memory = bytearray(max(self._columns) + 1)
        position = 0
        for start, end, ends in steps(ranges):
            keys, texts = self.labels.keys(start, end), self.labels.texts(start, end)
            for place, (key, text) in enumerate(zip(keys, texts), start + 1):
                yield from self._word(position, key, text, memory, ends=ends and place == end)
                position += 1

    def _word(
        self, position: int, key: str, text: str, memory: bytearray, *, ends: bool
    ) -> Iterator[Row]:
        """Yield a word's views."""
        from crnn.samples.buckets import Row

        if len(self._views) == 1:
            yield Row(position, key, text, self._read(f"{key}.bin", memory), ends=ends)
            return
        lost: List[Tuple[str, Problem]] = []
        for number, view in enumerate(self._views, 1):
            name = f"{key}{_suffix(view)}"
            image = self._read(name, memory)
            if isinstance(image, Problem):
                lost.append((name, Problem(LOST_VIEW, f"{image.reason}: {image.detail}")))
            last = number == len(self._views)
            yield Row(position, key, text, image, view=view, last=last, ends=last and ends)
        # A word of which nothing could be read is a problem of its own.
        if len(lost) < len(self._views):
            self._lost.extend(lost)

    def _read(self, name: str, memory: bytearray) -> Union[np.ndarray, Problem]:
        """Return a bin's image, which stands in ``memory``, or what is wrong with it."""
        path, size = self._found(name)
        width = self._columns.get(size)
        if size >= 0 and width is None:
            expected = " or ".join(map(str, self._columns))
            return Problem(WRONG_SIZE, f"{path}: {size} bytes; expected {expected}")
        problem = _read_exactly(path, memoryview(memory)[: max(0, size) + 1])
        if problem is not None or width is None:
            return problem or Problem(UNREADABLE, path)
        channels, height, _ = self.spec.image_shape
        values = np.frombuffer(memory, dtype=self.dtype, count=channels * height * width)
        return values.reshape(channels, height, width)

    def _found(self, name: str) -> Tuple[str, int]:
        """Return a bin's path and its size in bytes; -1 where there is none."""
        path = ""
        for folder in self._folders:
            path = f"{folder}{os.sep}{name}"
            try:
                return path, Path(path).stat().st_size
            except OSError:
                continue
        return path, -1

    def _dtype_of_widths(
        self, found: Optional[Description], label_file: Optional[Path]
    ) -> np.dtype:
        """Return the bins' type: as the file beside them says, or the one that all sizes fit."""
        types: List[np.dtype] = [np.dtype("<f4"), np.dtype(np.uint8)]
        if found is not None:
            types = [each for each in types if each.name == found.dtype]
        sizes = self._sizes()
        if not sizes:
            raise self._none_there(label_file)
        known: Set[int] = set()
        for each in types:
            known.update(_width_by_size(self.spec, each))
        known.intersection_update(sizes)
        if not known:
            raise self._other_sizes(sizes)
        fitting = [each for each in types if known <= set(_width_by_size(self.spec, each))]
        if not fitting:
            raise self._other_sizes(sizes)
        if len(fitting) == 1:
            return fitting[0]
        size = min(known)
        float_width, byte_width = (_width_by_size(self.spec, each)[size] for each in types)
        raise InputError(
            f"{sizes[size]} has {size} bytes, which are {float_width} columns in float32 and"
            f" {byte_width} in uint8, and {description_path(self.folder)}, which would tell, is"
            " not there",
            hint="Keep that file beside the folder; or prepare the bins again.",
        )

    def _labelled(self) -> Iterator[int]:
        """Yield the numbers of the bins that have a label."""
        for piece in pieces(self._present):
            yield from piece[are_among(piece, self.labels.indices)].tolist()

    def _sizes(self) -> Dict[int, str]:
        """Return the sizes of the first labelled bins, each with a bin that has it."""
        sizes: Dict[int, str] = {}
        for index in itertools.islice(self._labelled(), _ASKED):
            path, size = self._found(bin_name(index))
            if size >= 0:
                sizes.setdefault(size, path)
        return sizes

    def _other_sizes(self, sizes: Mapping[int, str]) -> InputError:
        size = min(sizes)
        return InputError(
            f"the bins in {self.folder} do not have the model's sizes: {sizes[size]} has {size}"
            f" bytes; expected {self.spec.height} rows of {_shown(self.spec)} columns, all in"
            " float32 or all in uint8",
            hint=_AGAIN,
        )

    def _none_there(self, label_file: Optional[Path]) -> InputError:
        if label_file is None:
            return InputError(f"{self.folder} holds no bins; expected test_1.bin and so on")
        return InputError(
            f"none of the {len(self.labels)} bins that {label_file} names stands in {self.folder}",
            hint=(
                "Give the folder and the label file of one and the same run of parse_testdata.py."
            ),
        )

    def _dtype(self, label_file: Optional[Path]) -> np.dtype:
        values = int(np.prod(self.spec.image_shape))
        dtypes: Dict[int, np.dtype] = {values * 4: np.dtype("<f4"), values: np.dtype(np.uint8)}
        sizes: Dict[str, int] = {}
        for index in self._labelled():
            name = bin_name(index)
            try:
                size = (self.folder / name).stat().st_size
            except OSError:
                continue
            if size in dtypes:
                return dtypes[size]
            sizes.setdefault(name, size)
        if not sizes:
            raise self._none_there(label_file)
        name = next(iter(sizes))
        raise InputError(
            f"no bin in {self.folder} has the model's size: {name} has {sizes[name]} bytes;"
            f" expected {values * 4} (float32) or {values} (uint8) for images"
            f" {self.spec.image_shape}",
            hint=_AGAIN,
        )


def _folders_of(folder: Path, found: Optional[Description]) -> List[Path]:
    """Return the folders that hold the bins: one for each width, or the one."""
    if found is None or not found.per_width:
        return [folder]
    return [folder / width_folder(width) for width in found.spec.read_widths]


def steps(ranges: Iterable[Range]) -> Iterator[Tuple[int, int, bool]]:
    """Yield ranges of positions in steps that are read at once.

    Args:
        ranges: The positions.

    Yields:
        The first position of a step, the one behind its last, and whether its range ends there.
    """
    for begin, end in ranges:
        for start in range(begin, end, _ASKED):
            stop = min(start + _ASKED, end)
            yield start, stop, stop == end


def _width_by_size(spec: ModelSpec, dtype: np.dtype) -> Mapping[int, int]:
    """Return the width of a bin by its size in bytes."""
    column = spec.channels * spec.height * dtype.itemsize
    return {column * width: width for width in spec.read_widths}


def check_widths(folder: Path, found: Optional[Description], spec: ModelSpec) -> None:
    """Refuse bins whose widths were chosen otherwise than the model's rule would.

    Args:
        folder: The bins, for the message.
        found: What is known of how they were made; None where nothing is.
        spec: What the model takes.

    Raises:
        InputError: Their widths are others.
    """
    if found is None or found.spec.widths == spec.widths:
        return
    if found.spec.widths is None:
        raise InputError(
            f"{folder} was prepared at the one width {found.spec.width}, and the model reads each"
            f" word at that of {_shown(spec)} which fits it",
            hint="Prepare the bins again with --spec MODEL, or read all at one: --width-rule off.",
        )
    if spec.widths is None:
        raise InputError(
            f"{folder} was prepared at the widths {_shown(found.spec)}, and the model reads at the"
            f" one width {spec.width}",
            hint="Prepare the bins again with --spec MODEL, or name the widths in --spec.",
        )
    raise InputError(
        f"{folder} was prepared at the widths {_shown(found.spec)} by the factor"
        f" {found.spec.widths.factor:g}; the model reads at {_shown(spec)} by"
        f" {spec.widths.factor:g}",
        hint="Prepare the bins again with --spec MODEL.",
    )


def _require_description(folder: Path) -> None:
    """Refuse bins in a folder for each width without what tells which widths those are."""
    folders = width_folders(folder)
    if folders:
        raise InputError(
            f"{folder} holds bins in a folder for each width ({', '.join(folders)}), and"
            f" {description_path(folder)}, which tells how they were made, is missing or damaged",
            hint=(
                f"Put {description_path(folder).name} back beside it, as crnn prepare left it, or"
                " prepare the bins again."
            ),
        )


def _shown(spec: ModelSpec) -> str:
    return ", ".join(map(str, spec.read_widths))


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


def _present(
    folders: Sequence[Path], views: Sequence[str]
) -> Tuple[Mapping[str, np.ndarray], Sequence[str]]:
    """Return the numbers of the folders' bins of each view, ascending, and the names of their
    ``.bin`` files that are named otherwise.
    """
    found = {view: Column("q") for view in views}
    misnamed: List[str] = []
    for name in _bins_in(folders):
        known = bin_view(name)
        if known is None or known[1] not in found:
            misnamed.append(name)
            continue
        index, view = known
        found[view].append(index)
    numbers: Dict[str, np.ndarray] = {}
    for view, each in found.items():
        numbers[view] = each.values()
        numbers[view].sort()
    return numbers, sorted(misnamed, key=natural_key)


def _strangers(present: Mapping[str, np.ndarray], labelled: np.ndarray) -> List[str]:
    """Return the names of bins without a label; ``present`` has the numbers of each view's bins."""
    found: List[str] = []
    for view, numbers in present.items():
        for piece in pieces(numbers):
            strangers = piece[~are_among(piece, labelled)]
            found.extend(bin_name(index, view) for index in strangers.tolist())
    return found


def _bins_in(folders: Sequence[Path]) -> Iterator[str]:
    """Yield the names of the folders' ``.bin`` files."""
    for folder in folders:
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.name.endswith(".bin"):
                        yield entry.name
        except FileNotFoundError as error:
            raise InputError(f"{folder} does not exist; expected a folder of bins") from error
        except NotADirectoryError as error:
            raise InputError(f"{folder} is a file; expected a folder of bins") from error


def _lines(path: Path) -> Iterator[Tuple[int, str]]:
    """Yield the numbered lines of a UTF-8 file, without blank ones; only LF and CRLF end a line."""
    for number, line, raw in utf8_lines(path):
        if line is None:
            raise InputError(f"{path} line {number} is not UTF-8: {raw[:80]!r}")
        if line:
            yield number, line
