"""Where an evaluation's batches come from:

a folder of bins, an LMDB or a folder of images, told by what is there.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Iterator, List, Optional, Protocol, Sequence, Tuple

from crnn.errors import InputError, UsageError
from crnn.jobs.protocol import Rules
from crnn.results import Batch, Problem, Sample
from crnn.samples.bins import BinFolder, Labels
from crnn.spec import ModelSpec

if TYPE_CHECKING:
    from crnn.samples.source import Source as LabelledImages


class Source(Protocol):
    """Samples of a data set, ready for a model."""

    def __len__(self) -> int:
        """Return the number of samples."""

    def batches(self, size: int, *, keep: int) -> Iterator[Batch]:
        """Yield batches of ``size`` readable rows, but for the last; the arrays of the last
        ``keep`` stay intact.
        """

    def extras(self) -> Sequence[Tuple[str, Problem]]:
        """Return problems that belong to no labelled sample; all are known once all batches are
        taken.
        """


class ImageSource:
    """Encoded images as a source: ``workers`` threads decode them (default:

    all usable processors).
    """

    def __init__(
        self,
        samples: LabelledImages,
        spec: ModelSpec,
        workers: Optional[int] = None,
        rules: Optional[Rules] = None,
    ) -> None:
        self.samples = samples
        self._spec = spec
        # A model that normalises by itself is spared the way to values and back.
        self.dtype = "uint8" if spec.input_dtype == "uint8" else "float32"
        self.workers = workers
        self._rules = rules

    def __len__(self) -> int:
        return len(self.samples)

    def batches(self, size: int, *, keep: int) -> Iterator[Batch]:
        """See `Source`."""
        from crnn.jobs.batches import image_batches

        try:
            samples = self._rules.apply(self.samples) if self._rules else self.samples
            yield from image_batches(
                samples, self._spec, size, dtype=self.dtype, keep=keep, workers=self.workers
            )
        finally:
            # LMDB lets a process open a file only once at a time.
            self.samples.close()

    def extras(self) -> Sequence[Tuple[str, Problem]]:
        """See `Source`."""
        return [*self.samples.extras(), *(self._rules.problems if self._rules else ())]


class RuledBins(BinFolder):
    """A folder of bins of which a protocol leaves some out."""

    def __init__(self, folder: Path, label_file: Path, spec: ModelSpec, rules: Rules) -> None:
        super().__init__(folder, label_file, spec)
        self._rules = rules
        kept = rules.apply(Sample(f"test_{index}", None, label) for index, label in self.labels)
        self.labels = Labels(
            (int(sample.key.rpartition("_")[2]), sample.label or "") for sample in kept
        )

    def extras(self) -> List[Tuple[str, Problem]]:
        """See `Source`."""
        return [*super().extras(), *self._rules.problems]


def open_source(
    data: Path,
    spec: ModelSpec,
    *,
    label: Optional[Path] = None,
    workers: Optional[int] = None,
    rules: Optional[Rules] = None,
) -> Source:
    """Return the source for ``data``; ``label`` is the label file of bins, or the annotation file
    of images.

    ``rules`` says which samples count; None for all.
    """
    if not data.exists():
        raise InputError(
            f"{data} does not exist; expected a folder of bins, an LMDB or a folder of images"
        )
    if data.is_dir() and any(entry.suffix == ".bin" for entry in data.iterdir()):
        if label is None:
            raise UsageError(
                f"{data} holds bins: give their label file too, with --label label.txt"
            )
        return RuledBins(data, label, spec, rules) if rules else BinFolder(data, label, spec)
    from crnn.samples.source import open_labelled

    return ImageSource(open_labelled(data, label), spec, workers, rules)
