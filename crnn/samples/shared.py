"""One reading of a data set's images for several models that take them in different forms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterable, Iterator, Optional

from crnn.batch import Sample
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
        self._once = taken

    def _taken(self, ranges: Optional[Iterable[Range]]) -> Iterator[Sample]:
        # They come once and in order.
        if ranges is not None:
            raise ValueError("several models read these samples: there are no ranges of them")
        return self._once

    def close(self) -> None:
        """Do nothing: others may still read."""
