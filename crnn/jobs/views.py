"""The views that a job reads words in: chosen, refused for bins, counted where a model has no width
for one.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, List, Optional

from crnn.errors import UsageError
from crnn.samples.source import holds_bins
from crnn.spec import ModelSpec
from crnn.views import available, chosen, left_out_note

if TYPE_CHECKING:
    from crnn.samples.batches import ViewMaker


class ViewJob:
    """What is read of each word of a data set.

    Args:
        data: The data set.
        asked: What ``--views`` says; None where it was not given.
        spec: The model's.
        characters: Whether it is asked where characters lie in the pictures.

    Raises:
        UsageError: No such views, or views of bins are asked for.
    """

    def __init__(
        self, data: Path, asked: Optional[str], spec: ModelSpec, *, characters: bool
    ) -> None:
        views = chosen(asked, spec.views)
        self._widths = len(spec.read_widths)
        self._asked = views
        self._bins = holds_bins(data)
        self.maker: Optional[ViewMaker] = None
        """Makes the views; None where each word is read as it is."""
        self.several = False
        """Whether a word has more than one."""
        if self._bins:
            if asked is not None and len(views) > 1:
                raise UsageError(
                    f"--views {asked}: {data} holds bins, which are prepared already, and views"
                    " need the pictures: evaluate on the LMDB or the images"
                )
            return
        kept = available(views, self._widths)
        self.several = len(kept) > 1
        if self.several or characters:
            from crnn.samples.views import PictureViews

            self.maker = PictureViews(spec, kept)

    def notes(self, words: int) -> List[str]:
        """Say what of the views was not read.

        Args:
            words: How many words there were.

        Returns:
            A line, or none.
        """
        if self._bins:
            if len(self._asked) > 1:
                return ["the model asks for several views of a word; bins are read in one"]
            return []
        return left_out_note(self._asked, self._widths, words)
