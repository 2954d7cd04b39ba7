"""What the user calls "the data", told apart by what it is: an LMDB, a folder of images or, for an
evaluation, a folder of bins or a pack of them.

Importing this needs only NumPy: what reads images is imported where images are read, and what reads
bins where there are some.
"""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING, Iterable, Iterator, List, Optional, Sequence, Tuple

from crnn.batch import Batch, Problem, Sample
from crnn.errors import InputError, UsageError
from crnn.filekind import is_pack
from crnn.python37 import Protocol
from crnn.samples.annotations import ListOptions
from crnn.spec import ModelSpec

if TYPE_CHECKING:
    from crnn.samples.batches import ViewMaker
    from crnn.samples.bins import Description, Range


class LabelledSource(Protocol):
    """Encoded images with their labels, each with a number; `pickle` takes it to another
    process.
    """

    path: Path
    gaps: int
    """Numbers, below the last one, that no sample has; known once all are read."""
    notes: Sequence[str]
    """What a user should be told of how the data are read, a line each."""

    def __len__(self) -> int:
        """Return the number of samples."""

    def __iter__(self) -> Iterator[Sample]:
        """Yield the samples in their order."""

    def numbered(self) -> Iterator[Tuple[int, Sample]]:
        """Yield each sample with its number."""

    def numbers(self) -> Iterator[int]:
        """Yield the numbers, without reading the samples."""

    def every_label(self) -> Iterator[Tuple[str, Optional[str]]]:
        """Yield each sample's name and its label, None where it has none, without its image."""

    def sample(self, number: int) -> Sample:
        """Return the sample of a number."""

    def several(self, numbers: Iterable[int]) -> Iterator[Sample]:
        """Yield the samples of numbers, in their order."""

    def part(self, begin: int, end: int) -> Iterator[Sample]:
        """Yield the samples from one position in their order, from 0, to before another."""

    def labels(self) -> Iterator[Tuple[int, Optional[str]]]:
        """Yield the number and the label of each labelled sample, without reading its image."""

    def key_of(self, number: int) -> str:
        """Return the name of a number's sample."""

    def unlabelled(self) -> Iterator[str]:
        """Yield the name of each image without a label."""

    def label_problem(self, number: int) -> Optional[Problem]:
        """Return what was wrong with the label of a sample that was read."""

    def faults(self) -> List[Tuple[str, Problem]]:
        """Return what is wrong with the data set as a whole, with the key it is about."""

    def extras(self) -> List[Tuple[str, Problem]]:
        """Return `faults`, and what belongs to no readable sample."""

    def close(self) -> None:
        """Let go of the data's files; a later iteration opens them again."""


class Rules(Protocol):
    """Which samples count, and by which label."""

    problems: List[Tuple[str, Problem]]
    """The samples that did not count, and why."""

    def apply(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        """Yield the samples that count."""


def open_labelled(
    path: Path,
    annotation_file: Optional[Path] = None,
    options: ListOptions = ListOptions(),  # noqa: B008  frozen
    *,
    in_order: bool = True,
) -> LabelledSource:
    """Open a data set of words.

    Args:
        path: An LMDB (its folder or ``data.mdb``), or a folder of images.
        annotation_file: The folder's annotation; its only text file where none is named.
        options: The form, columns and encoding of the annotation, where the content is not to
            decide.
        in_order: Whether an LMDB is read from its beginning to its end.

    Returns:
        The data set.

    Raises:
        InputError: There is no such data set.
    """
    from crnn.samples.folders import FolderSamples, find_annotation
    from crnn.samples.lmdb import DATA_FILE, LmdbSamples

    if is_pack(path):
        raise InputError(
            f"{path} is a pack of prepared bins (crnn prepare --pack); expected an LMDB or a folder"
            " of images",
            hint="Give what it was made of; crnn evaluate, bench and calibrate read packs.",
        )
    is_lmdb = path.is_file() or (path / DATA_FILE).exists()
    if not is_lmdb and path.is_dir():
        if annotation_file is None:
            _refuse_collection(path)
        return FolderSamples(path, annotation_file or find_annotation(path), options)
    if annotation_file or options != ListOptions():
        hint = ""
        if is_lmdb:
            hint = "An LMDB holds its labels: give it alone."
        raise InputError(
            f"{path} is not a folder of images; an annotation file goes with such a folder only",
            hint=hint,
        )
    return LmdbSamples(path, in_order=in_order)


def _refuse_collection(path: Path) -> None:
    from crnn.samples.lmdb import lmdbs_below

    found = lmdbs_below(path)
    if found:
        named = ", ".join(map(str, found[:5]))
        more = ""
        if len(found) > 5:
            more = f" and {len(found) - 5} more"
        raise InputError(
            f"{path} is not a data set itself: it holds {len(found)} LMDBs: {named}{more}",
            hint="Name one of them; crnn evaluate and crnn train take all at once.",
        )


class BatchSource(Protocol):
    """What gives batches to a model."""

    def batches(self, size: int, *, keep: int) -> Iterator[Batch]:
        """Yield batches of ``size`` readable rows, but for the last; the arrays of the last
        ``keep`` stay intact while the next one is made.
        """

    def close(self) -> None:
        """Let go of the data's files; a later call of `batches` opens them again."""


class WordSource(BatchSource, Protocol):
    """Samples of a data set, ready for a model."""

    notes: Sequence[str]
    """What a user should be told of how the data were read, a line each."""

    @property
    def description(self) -> Optional[Description]:
        """How bins were made; None of all others, and where nothing tells."""

    def __len__(self) -> int:
        """Return the number of samples."""

    def batches(
        self, size: int, *, keep: int, ranges: Optional[Iterable[Range]] = None
    ) -> Iterator[Batch]:
        """See `BatchSource`.

        The end of each of ``ranges`` ends a batch. They are asked for one by one, when the one
        before has been read; None for all of the data.
        """

    def every_label(self) -> Iterator[Tuple[str, Optional[str]]]:
        """Yield each sample's name and its label, None where it has none, without its image."""

    def extras(self) -> Sequence[Tuple[str, Problem]]:
        """Return problems that belong to no labelled sample; all are known once all batches are
        taken.
        """


def fitting_batch(size: int, source: WordSource) -> int:
    """Return the batch to read a source in: memory for more rows than it has would lie idle.

    Args:
        size: The batch that was asked for.
        source: Has one row a sample.

    Returns:
        At most the number of samples, and at least 1.
    """
    return max(1, min(size, len(source)))


class ImageSource:
    """Encoded images as a source.

    Args:
        samples: The images with their labels.
        spec: What the model takes.
        workers: Threads that decode; None for all usable processors.
        rules: Which samples count; None for all.
        views: Makes several images of a word, or says where they lie; None for the word as it is.
    """

    def __init__(
        self,
        samples: LabelledSource,
        spec: ModelSpec,
        workers: Optional[int] = None,
        rules: Optional[Rules] = None,
        views: Optional[ViewMaker] = None,
    ) -> None:
        self.samples = samples
        self.notes: Sequence[str] = samples.notes
        self.description: Optional[Description] = None
        self._spec = spec
        # A model that normalises by itself is spared the way to values and back.
        self.dtype = "float32"
        if spec.input_dtype == "uint8":
            self.dtype = "uint8"
        self.workers = workers
        self._rules = rules
        self._views = views

    def __len__(self) -> int:
        return len(self.samples)

    def batches(
        self, size: int, *, keep: int, ranges: Optional[Iterable[Range]] = None
    ) -> Iterator[Batch]:
        """See `WordSource`."""
        from crnn.samples.batches import image_batches

        return image_batches(
            self._taken(ranges),
            self._spec,
            size,
            dtype=self.dtype,
            keep=keep,
            workers=self.workers,
            views=self._views,
            again=self.samples,
        )

    def _taken(self, ranges: Optional[Iterable[Range]]) -> Iterator[Sample]:
        """Return the samples of `batches`."""
        if ranges is not None:
            return _parts(self.samples, ranges)
        if self._rules:
            return self._rules.apply(self.samples)
        return iter(self.samples)

    def close(self) -> None:
        """Close the data: LMDB lets a process open a file only once at a time."""
        self.samples.close()

    def every_label(self) -> Iterator[Tuple[str, Optional[str]]]:
        """See `WordSource`."""
        return self.samples.every_label()

    def extras(self) -> Sequence[Tuple[str, Problem]]:
        """See `WordSource`."""
        problems = list(self.samples.extras())
        if self._rules:
            problems.extend(self._rules.problems)
        return problems


def _parts(samples: LabelledSource, ranges: Iterable[Range]) -> Iterator[Sample]:
    for begin, end in ranges:
        for position, sample in enumerate(samples.part(begin, end), begin + 1):
            if position == end:
                sample = dataclasses.replace(sample, ends=True)
            yield sample


def open_source(
    data: Path,
    spec: ModelSpec,
    *,
    label: Optional[Path] = None,
    workers: Optional[int] = None,
    rules: Optional[Rules] = None,
    options: ListOptions = ListOptions(),  # noqa: B008  frozen
    views: Optional[ViewMaker] = None,
    prepared: Sequence[str] = (),
) -> WordSource:
    """Return the source for ``data``.

    Args:
        data: A folder of bins, a pack of them, an LMDB, or a folder of images.
        spec: What the model takes.
        label: The label file of bins, which a pack needs none of, or the annotation file of images.
        workers: Threads that decode images; None for all usable processors.
        rules: Which samples count; None for all.
        options: How the annotation of images is read.
        views: As of `ImageSource`; bins have no use for it.
        prepared: The views of bins to read, by name (`crnn.samples.bins.prepared_views`); none for
            the word as it is.

    Returns:
        The source, not yet opened where that is possible later.

    Raises:
        InputError: ``data`` does not exist, or is none of these.
        UsageError: Bins without their label file.
    """
    if not data.exists():
        raise InputError(
            f"{data} does not exist; expected a folder of bins, a pack of them, an LMDB or a folder"
            " of images"
        )
    if holds_bins(data):
        return _open_bins(data, spec, label, rules, prepared)
    return ImageSource(open_labelled(data, label, options), spec, workers, rules, views)


def _open_bins(
    data: Path,
    spec: ModelSpec,
    label: Optional[Path],
    rules: Optional[Rules],
    prepared: Sequence[str],
) -> WordSource:
    """Return the source for bins, of the arguments of `open_source`."""
    from crnn.samples.bins import BinFolder
    from crnn.samples.pack import PackedBins
    from crnn.samples.ruled_bins import RuledBins

    if is_pack(data):
        return PackedBins(data, spec, label, rules)
    if label is None:
        raise UsageError(f"{data} holds bins: give their label file too, with --label label.txt")
    if rules:
        return RuledBins(data, label, spec, rules, prepared)
    return BinFolder(data, label, spec, prepared)


def holds_bins(data: Path) -> bool:
    """Say whether data are bins.

    Args:
        data: A data set.

    Returns:
        True for a pack, a folder in which a file ends in ``.bin``, or which holds such folders by
        width.
    """
    if is_pack(data):
        return True
    if not data.is_dir():
        return False
    folders = False
    with os.scandir(data) as entries:
        for entry in entries:
            if os.path.splitext(entry.name)[1] == ".bin":  # noqa: PTH122  of a million names
                return True
            folders = folders or entry.is_dir()
    if not folders:
        return False
    from crnn.samples.bins import described, width_folders

    found = described(data)
    if found is None:
        return bool(width_folders(data))
    return found.per_width
