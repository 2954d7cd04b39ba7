"""Where an evaluation's batches come from: a folder of bins, an LMDB or a folder of images, told by
what is there.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Iterator, List, Optional, Protocol, Sequence, Tuple

from crnn.batch import Batch, Problem, Sample
from crnn.errors import InputError, UsageError
from crnn.jobs.protocol import AppliedProtocol
from crnn.samples.bins import BinFolder, LabelFile
from crnn.spec import ModelSpec

if TYPE_CHECKING:
    from crnn.samples.source import LabelledSource as LabelledImages


class WordSource(Protocol):
    """Samples of a data set, ready for a model."""

    def __len__(self) -> int:
        """Return the number of samples."""

    def batches(self, size: int, *, keep: int) -> Iterator[Batch]:
        """Yield batches of ``size`` readable rows, but for the last; the arrays of the last
        ``keep`` stay intact while the next one is made.
        """

    def close(self) -> None:
        """Let go of the data's files; a later call of `batches` opens them again."""

    notes: Sequence[str]
    """What a user should be told of how the data were read, a line each."""

    def extras(self) -> Sequence[Tuple[str, Problem]]:
        """Return problems that belong to no labelled sample; all are known once all batches are
        taken.
        """


class ImageSource:
    """Encoded images as a source.

    Args:
        samples: The images with their labels.
        spec: What the model takes.
        workers: Threads that decode; None for all usable processors.
        rules: Which samples count; None for all.
    """

    def __init__(
        self,
        samples: LabelledImages,
        spec: ModelSpec,
        workers: Optional[int] = None,
        rules: Optional[AppliedProtocol] = None,
    ) -> None:
        self.samples = samples
        self.notes: Sequence[str] = samples.notes
        self._spec = spec
        # A model that normalises by itself is spared the way to values and back.
        self.dtype = "float32"
        if spec.input_dtype == "uint8":
            self.dtype = "uint8"
        self.workers = workers
        self._rules = rules

    def __len__(self) -> int:
        return len(self.samples)

    def batches(self, size: int, *, keep: int) -> Iterator[Batch]:
        """See `WordSource`."""
        from crnn.samples.batches import image_batches

        counted = iter(self.samples)
        if self._rules:
            counted = self._rules.apply(self.samples)
        return image_batches(
            counted, self._spec, size, dtype=self.dtype, keep=keep, workers=self.workers
        )

    def close(self) -> None:
        """Close the data: LMDB lets a process open a file only once at a time."""
        self.samples.close()

    def extras(self) -> Sequence[Tuple[str, Problem]]:
        """See `WordSource`."""
        problems = list(self.samples.extras())
        if self._rules:
            problems.extend(self._rules.problems)
        return problems


class RuledBins(BinFolder):
    """A folder of bins of which a protocol leaves some out."""

    def __init__(
        self, folder: Path, label_file: Path, spec: ModelSpec, rules: AppliedProtocol
    ) -> None:
        super().__init__(folder, label_file, spec)
        self._rules = rules
        kept = rules.apply(Sample(f"test_{index}", None, label) for index, label in self.labels)
        self.labels = LabelFile(
            (int(sample.key.rpartition("_")[2]), sample.label or "") for sample in kept
        )

    def extras(self) -> List[Tuple[str, Problem]]:
        """See `WordSource`."""
        return [*super().extras(), *self._rules.problems]


def open_source(
    data: Path,
    spec: ModelSpec,
    *,
    label: Optional[Path] = None,
    workers: Optional[int] = None,
    rules: Optional[AppliedProtocol] = None,
    columns: Optional[Tuple[str, str]] = None,
    encoding: Optional[str] = None,
) -> WordSource:
    """Return the source for ``data``.

    Args:
        data: A folder of bins, an LMDB, or a folder of images.
        spec: What the model takes.
        label: The label file of bins, or the annotation file of images.
        workers: Threads that decode images; None for all usable processors.
        rules: Which samples count; None for all.
        columns: The annotation's columns of image and label.
        encoding: The annotation's encoding; None for UTF-8.

    Returns:
        The source, not yet opened where that is possible later.

    Raises:
        InputError: ``data`` does not exist, or is none of these.
        UsageError: Bins without their label file.
    """
    if not data.exists():
        raise InputError(
            f"{data} does not exist; expected a folder of bins, an LMDB or a folder of images"
        )
    if _holds_bins(data):
        if label is None:
            raise UsageError(
                f"{data} holds bins: give their label file too, with --label label.txt"
            )
        if rules:
            return RuledBins(data, label, spec, rules)
        return BinFolder(data, label, spec)
    from crnn.samples.annotations import ListOptions
    from crnn.samples.source import open_labelled

    options = ListOptions(None, columns, encoding)
    return ImageSource(open_labelled(data, label, options), spec, workers, rules)


def _holds_bins(data: Path) -> bool:
    return data.is_dir() and any(entry.suffix == ".bin" for entry in data.iterdir())
