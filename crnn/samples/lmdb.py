"""The usual LMDB of text recognition:

``num-samples``, ``image-%09d`` (encoded) and ``label-%09d`` (text), from 1.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import operator
import os
import re
import threading
import weakref
from array import array
from pathlib import Path
from typing import (
    Any,
    Dict,
    Iterable,
    Iterator,
    List,
    MutableMapping,
    Optional,
    Sequence,
    Set,
    Tuple,
)

from crnn.batch import MISSING_IMAGE, Problem, Sample
from crnn.errors import InputError, needs
from crnn.filekind import AN_IMAGE, AN_LMDB, foreign, refuse_lfs_pointer, require_file, starts_with
from crnn.files import natural_key
from crnn.samples.annotations import IMAGE_SUFFIXES, LIST_SUFFIXES
from crnn.samples.lexicons import LEXICON, decode_lexicons
from crnn.samples.lmdb_pages import require_sound_pages

DATA_FILE = "data.mdb"
LOCK_FILE = "lock.mdb"
DEEPEST = 6
"""Folders below folders that are looked into for LMDBs."""
MOST_BELOW = 1000
"""LMDBs below a folder."""
_WHAT = "an LMDB (a folder with data.mdb, or that file)"
_LOCK_MARK = b"\xde\xc0\xef\xbe"
WRONG_COUNT = "wrong num-samples"
NOT_UTF8 = "label not UTF-8"

_Status = Tuple[int, int, int, int]

_OPEN: MutableMapping[Tuple[int, int, int], Any] = weakref.WeakValueDictionary()
_OPENING = threading.Lock()
_SOUND: Set[_Status] = set()
"""The files whose pages were looked at, as they were."""
_DIGITS = re.compile(rb"[0-9]{9}\Z")


def name_of(index: int) -> str:
    """Return the name of an LMDB's sample.

    Args:
        index: The sample's number, from 1.

    Returns:
        Its name in bins, readings and results.
    """
    return f"test_{index}"


class LmdbSamples:
    """The samples of an LMDB in index order, streamed; nothing is written beside it, so read-only
    mounts will do.

    ``path`` is the folder or its ``data.mdb``. What counts are the keys that are there: ``len()``
    is the number of indices with an image or a label, `gaps` the number of indices between 1 (0
    where both an image and a label are there) and the last that have neither. Both come from
    ``num-samples`` where the number of keys and the ends of each kind bear it out; a full iteration
    sets them by what it saw. A sample without image has a problem, one without label has the label
    None; a label that is not UTF-8 is read with U+FFFD
    in the place of what cannot be. ``in_order`` False is for reading samples one by one from
    anywhere, without the system reading ahead. Raises `InputError` for what is no such LMDB.
    """

    def __init__(self, path: Path, *, in_order: bool = True) -> None:
        self.path = path
        self._in_order = in_order
        self._file = _data_file(path)
        self._environment: Any = None
        self._regular: Optional[bool] = None
        self._indices: Optional[array[int]] = None
        self._bad_labels: Dict[int, str] = {}
        with _errors(self._file), self._reading() as reading:
            self.declared, self._count_problem = _declared(reading)
            self._count, self.gaps = _survey(reading, self.declared)
            if not self._count:
                raise InputError(
                    f"{self._file} holds no samples: {_first_keys(reading)}",
                    hint=(
                        "Expected the keys num-samples, image-000000001, label-000000001 and so on."
                    ),
                )
            if next(_indices(reading, b"image-"), None) is None:
                label = reading.get(b"label-%09d" % next(_indices(reading, b"label-")))
                raise InputError(
                    f"{self._file} holds labels but no images; its first label is {_text(label)!r}",
                    hint=(
                        "Give the LMDB that holds the images, or the folder of images with its"
                        " annotation file."
                    ),
                )
        self.notes: Sequence[str] = ()

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Sample]:
        return map(operator.itemgetter(1), self.numbered())

    def numbered(self) -> Iterator[Tuple[int, Sample]]:
        """Yield each sample with its index."""
        tally = _Tally()
        with _errors(self._file), self._reading() as reading:
            for index in self._every(reading):
                sample = self._sample(reading, index)
                if sample.image is None and sample.label is None:
                    continue
                tally.add(index)
                yield index, sample
        self._count, self.gaps = tally.count, tally.gaps

    def numbers(self) -> Iterator[int]:
        """Yield the index of each sample, without reading it."""
        tally = _Tally()
        with _errors(self._file), self._reading() as reading:
            for index in _either(reading):
                tally.add(index)
                yield index
        self._count, self.gaps = tally.count, tally.gaps

    def sample(self, index: int) -> Sample:
        """Return the sample of an index, wherever in the file it stands."""
        with _errors(self._file), self._reading() as reading:
            return self._sample(reading, index)

    def several(self, numbers: Iterable[int]) -> Iterator[Sample]:
        """Yield the samples of indices, for less than `sample` takes for each."""
        with _errors(self._file), self._reading() as reading:
            for index in numbers:
                yield self._sample(reading, index)

    def part(self, begin: int, end: int) -> Iterator[Sample]:
        """Yield the samples from one position in their order, from 0, to before another."""
        with _errors(self._file), self._reading() as reading:
            for index in self._part(reading, begin, end):
                yield self._sample(reading, index)

    def _every(self, reading: Any) -> Iterable[int]:
        """Return each index with an image or a label, ascending; where the number of keys bears out
        that none is missing, without a walk over them, which takes longer than reading them.
        """
        if _is_regular(reading, self._count):
            return range(1, self._count + 1)
        return _either(reading)

    def _part(self, reading: Any, begin: int, end: int) -> Sequence[int]:
        if self._regular is None:
            self._regular = _is_regular(reading, self._count)
        if self._regular:
            return range(begin + 1, end + 1)
        if self._indices is None:
            # Where indices are missing, only a walk tells which ones.
            self._indices = array("q", _either(reading))
        return self._indices[begin:end]

    def labels(self) -> Iterator[Tuple[int, Optional[str]]]:
        """Yield the index and the label of each labelled sample, without reading its image."""
        with _errors(self._file), self._reading() as reading:
            for index in _indices(reading, b"label-"):
                yield index, self._label(index, reading.get(b"label-%09d" % index))

    def every_label(self) -> Iterator[Tuple[str, Optional[str]]]:
        """Yield each sample's name and its label, without reading its image; those without a label
        come last.
        """
        for index, label in self.labels():
            yield name_of(index), label
        for key in self.unlabelled():
            yield key, None

    def key_of(self, number: int) -> str:
        """Return the name of an index's sample."""
        return name_of(number)

    def unlabelled(self) -> Iterator[str]:
        """Yield the name of each image without a label."""
        with _errors(self._file), self._reading() as reading:
            if _is_regular(reading, len(self)):
                return
            for index in _indices(reading, b"image-"):
                if reading.get(b"label-%09d" % index) is None:
                    yield name_of(index)

    def lexicons(self, index: int) -> Tuple[Tuple[str, ...], ...]:
        """Return the lexicons of a sample, the smallest first."""
        return self._lexicons(b"lexicon-%09d" % index)

    def lexicon(self) -> Tuple[str, ...]:
        """Return the lexicon of the whole data set, empty where it has none."""
        return next(iter(self._lexicons(LEXICON)), ())

    def label_problem(self, index: int) -> Optional[Problem]:
        """Return what was wrong with the label of a sample that was read."""
        text = self._bad_labels.get(index)
        if text is None:
            return None
        return Problem(NOT_UTF8, text)

    def faults(self) -> List[Tuple[str, Problem]]:
        """Return what is wrong with the data set as a whole, with the key it is about."""
        if self.declared == self._count:
            return []
        what = self._count_problem or f"it says {self.declared}"
        return [("num-samples", Problem(WRONG_COUNT, f"{what}; found {self._count} samples"))]

    def extras(self) -> List[Tuple[str, Problem]]:
        """Return `faults`, and what is wrong with labels read so far."""
        labels = [
            (name_of(index), Problem(NOT_UTF8, text))
            for index, text in sorted(self._bad_labels.items())
        ]
        return self.faults() + labels

    def close(self) -> None:
        """Close the file unless others read it too; a later iteration opens it again."""
        self._environment = None

    def __getstate__(self) -> Dict[str, Any]:
        # An open LMDB belongs to one process.
        return {
            **self.__dict__,
            "_environment": None,
            "_indices": None,
            "_looked_at": _status(self._file),
        }

    def __setstate__(self, state: Dict[str, Any]) -> None:
        # Its pages were looked at where it comes from.
        _SOUND.add(state.pop("_looked_at"))
        self.__dict__.update(state)

    def _sample(self, reading: Any, index: int) -> Sample:
        image, label = reading.get(b"image-%09d" % index), reading.get(b"label-%09d" % index)
        if image is not None:
            problem = None
        else:
            problem = Problem(MISSING_IMAGE, f"no key image-{index:09d}")
        return Sample(name_of(index), image, self._label(index, label), problem, index)

    def _label(self, index: int, label: Optional[bytes]) -> Optional[str]:
        if label is None:
            return None
        try:
            return label.decode("utf-8")
        except UnicodeDecodeError:
            self._bad_labels[index] = repr(label)
            return label.decode("utf-8", errors="replace")

    def _lexicons(self, key: bytes) -> Tuple[Tuple[str, ...], ...]:
        with _errors(self._file), self._reading() as reading:
            value = reading.get(key)
        try:
            if value is None:
                return ()
            return decode_lexicons(value)
        except UnicodeDecodeError as error:
            raise InputError(f"{self._file}: {key.decode()} is not UTF-8: {error}") from error

    def _reading(self) -> Any:
        if self._environment is None:
            with _OPENING:
                self._environment = self._environment or _open(self._file, readahead=self._in_order)
        return self._environment.begin()


def _data_file(path: Path) -> Path:
    file = path
    if path.is_file():
        _refuse_other(path)
    if path.is_dir():
        file = path / DATA_FILE
        if not file.exists():
            raise InputError(f"{path} is not an LMDB: there is no {DATA_FILE} in it")
    require_file(file, _WHAT)
    refuse_lfs_pointer(file)
    return file


def _refuse_other(path: Path) -> None:
    """Refuse files that are often given in an LMDB's place."""
    if starts_with(path, _LOCK_MARK):
        raise InputError(
            f"{path} is the lock of an LMDB, not its data",
            hint=f"Give the folder, {path.parent}, or the {DATA_FILE} in it.",
        )
    other = foreign(path)
    if other is None or other == AN_LMDB:
        return
    hint = _advice_on_list(path)
    if other == AN_IMAGE:
        hint = (
            f"Read it by itself: crnn read MODEL {path}; several with their labels are a folder"
            " with an annotation file."
        )
    raise InputError(f"{path} is {other.what}; expected {_WHAT}", hint=hint)


def _status(file: Path) -> _Status:
    """Return which file it is, and what changes when it does."""
    try:
        status = file.stat()
    except OSError as error:
        raise InputError(f"{file}: {error.strerror}") from error
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _open(file: Path, *, readahead: bool) -> Any:
    with needs("lmdb"):
        import lmdb
    # LMDB opens a file once in a process: who asks for it again gets what is open.
    status = _status(file)
    key = (os.getpid(), *status[:2])
    environment = _OPEN.get(key)
    if environment is not None:
        return environment
    if status not in _SOUND:
        require_sound_pages(file)
        _SOUND.add(status)
    # Read-ahead suits reading in key order, which is the order that such files are written in.
    environment = lmdb.open(
        str(file), subdir=False, readonly=True, lock=False, readahead=readahead, max_dbs=0
    )
    _OPEN[key] = environment
    return environment


@contextlib.contextmanager
def _errors(file: Path) -> Iterator[None]:
    with needs("lmdb"):
        import lmdb
    try:
        yield
    except lmdb.Error as error:
        reason = str(error).replace(f"{file}: ", "")
        raise InputError(
            f"{file} cannot be read as an LMDB: {reason}", hint=_advice_on_list(file)
        ) from error


def _advice_on_list(file: Path) -> str:
    if file.suffix.lower() not in LIST_SUFFIXES:
        return ""
    return (
        f"A list of images goes with their folder: crnn evaluate MODEL FOLDER --label {file},"
        f" crnn prepare FOLDER OUT_DIR --annotation {file}."
    )


def _declared(reading: Any) -> Tuple[Optional[int], str]:
    """Return what ``num-samples`` says, or None and what is wrong with it."""
    value = reading.get(b"num-samples")
    if value is None:
        return None, "there is no such key"
    try:
        return int(value.decode("ascii")), ""
    except ValueError:
        return None, f"it says {_text(value)!r}"


def _survey(reading: Any, declared: Optional[int]) -> Tuple[int, int]:
    """Return how many indices have an image or a label, and how many before the last have none."""
    if declared and _is_regular(reading, declared):
        return declared, 0  # no need to walk over millions of keys
    tally = _Tally()
    for index in _either(reading):
        tally.add(index)
    return tally.count, tally.gaps


class _Tally:
    """Counts the indices of a walk."""

    def __init__(self) -> None:
        self.count = 0
        self._first: Optional[int] = None
        self._last = 0

    def add(self, index: int) -> None:
        if self._first is None:
            self._first = index
        self.count += 1
        self._last = index

    @property
    def gaps(self) -> int:
        """How many indices have neither image nor label: they are counted from 1, or from 0 where
        that is the first.
        """
        if self._first == 0:
            return self._last + 1 - self.count
        return self._last - self.count


def _is_regular(reading: Any, count: int) -> bool:
    """Say whether there are as many keys as so many samples have, and the ends of each kind stand
    where they should.
    """
    cursor = reading.cursor()
    return bool(
        reading.stat()["entries"] == 2 * count + 1
        and cursor.first()
        and cursor.key() == b"image-000000001"
        and cursor.set_range(b"label-")
        and cursor.key() == b"label-000000001"
        and cursor.prev()
        and cursor.key() == b"image-%09d" % count
        and cursor.last()
        and cursor.key() == b"num-samples"
        and cursor.prev()
        and cursor.key() == b"label-%09d" % count
    )


def _either(reading: Any) -> Iterator[int]:
    """Return each index with an image or a label, ascending."""
    merged = heapq.merge(_indices(reading, b"image-"), _indices(reading, b"label-"))
    return map(operator.itemgetter(0), itertools.groupby(merged))


def _indices(reading: Any, prefix: bytes) -> Iterator[int]:
    """Return each index that has a key of this prefix, ascending."""
    cursor = reading.cursor()
    if not cursor.set_range(prefix):
        return iter(())
    start = len(prefix)
    keys = cursor.iternext(keys=True, values=False)
    ours = itertools.takewhile(lambda key: key.startswith(prefix), keys)
    numbers = map(operator.itemgetter(slice(start, None)), ours)
    indices = map(int, filter(_DIGITS.match, numbers))
    if _begins_at_0(reading):
        return indices
    return filter(None, indices)


def _begins_at_0(reading: Any) -> bool:
    """Say whether there is a word of the index 0; a single key of it is another program's."""
    image, label = reading.get(b"image-000000000"), reading.get(b"label-000000000")
    return image is not None and label is not None


def _first_keys(reading: Any) -> str:
    keys = [
        _text(key)
        for key in itertools.islice(reading.cursor().iternext(keys=True, values=False), 3)
    ]
    if keys:
        return f"it has the keys {', '.join(map(repr, keys))} …"
    return "it is empty"


def _text(value: bytes) -> str:
    return value[:80].decode("utf-8", errors="replace")


def lmdbs_below(folder: Path) -> List[Path]:
    """Return the LMDBs below a folder that is not a data set itself.

    Args:
        folder: A folder; links below it are not followed.

    Returns:
        Their folders, or their files where they have another name than ``data.mdb``, in natural
        order; none where ``folder`` is an LMDB, or holds images or bins.
    """
    if not folder.is_dir() or (folder / DATA_FILE).exists():
        return []
    found: List[Path] = []
    for place, folders, files in os.walk(str(folder)):
        here = Path(place)
        if here == folder and any(_is_sample(name) for name in files):
            return []
        if DATA_FILE in files:
            found.append(here)
            folders.clear()
        else:
            found.extend(here / name for name in files if _is_lmdb(name))
        if len(here.relative_to(folder).parts) >= DEEPEST or len(found) >= MOST_BELOW:
            folders.clear()
    return sorted(found, key=lambda path: natural_key(str(path)))


def _is_sample(name: str) -> bool:
    return name.lower().endswith((*IMAGE_SUFFIXES, ".bin"))


def _is_lmdb(name: str) -> bool:
    return name.lower().endswith(".mdb") and name != LOCK_FILE
