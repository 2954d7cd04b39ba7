"""One reading of a data set's images for several models that take them in different forms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterable, Iterator, Optional

from crnn.batch import Batch, Sample
from crnn.samples.bins import Range
from crnn.samples.source import ImageSource, LabelledSource
from crnn.spec import ModelSpec

if TYPE_CHECKING:
    from crnn.samples.batches import ViewMaker


class SharedImages(ImageSource):
    """Images that another source may take too.

    Args:
        samples: The data set; whoever opened it closes it.
        taken: Its samples, which it gives out once.
        spec: What the model takes.
        workers: As of `ImageSource`.
        views: As of `ImageSource`.
    """

    def __init__(
        self,
        samples: LabelledSource,
        taken: Iterator[Sample],
        spec: ModelSpec,
        workers: Optional[int] = None,
        views: Optional[ViewMaker] = None,
    ) -> None:
        super().__init__(samples, spec, workers, None, views)
        self._taken = taken

    def batches(
        self, size: int, *, keep: int, ranges: Optional[Iterable[Range]] = None
    ) -> Iterator[Batch]:
        """See `WordSource`; there are no ranges of what is given out once."""
        from crnn.samples.batches import image_batches

        assert ranges is None
        return image_batches(
            self._taken,
            self._spec,
            size,
            dtype=self.dtype,
            keep=keep,
            workers=self.workers,
            views=self._views,
            again=self.samples,
        )

    def close(self) -> None:
        """Do nothing: others may still read."""
