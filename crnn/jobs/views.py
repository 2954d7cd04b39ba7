"""The views that a job reads words in: chosen, of bins those that were prepared, counted where a
model has no width for one.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, List, Optional, Sequence

from crnn.errors import UsageError
from crnn.filekind import is_pack
from crnn.samples.bins import prepared_views
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
        UsageError: No such views, or bins were not prepared in them.
    """

    def __init__(
        self, data: Path, asked: Optional[str], spec: ModelSpec, *, characters: bool
    ) -> None:
        views = chosen(asked, spec.views)
        self._widths = len(spec.read_widths)
        self._asked = views
        self._bins = holds_bins(data) or is_pack(data)
        self.maker: Optional[ViewMaker] = None
        """Makes the views; None where each word is read as it is."""
        self.prepared: Sequence[str] = ()
        """The views of bins to read, by name; none where each word is read as it is."""
        self.several = False
        """Whether a word has more than one."""
        self._by_bins = asked is None
        if self._bins:
            self.prepared = self._of_bins(data, asked)
            self.several = len(self.prepared) > 1
            return
        kept = available(views, self._widths)
        self.several = len(kept) > 1
        if self.several or characters:
            from crnn.samples.views import PictureViews

            self.maker = PictureViews(spec, kept)

    @property
    def names(self) -> Sequence[str]:
        """The views that are read, by name; none where each word is read as it is."""
        if self.prepared or not self.several:
            return self.prepared
        return [view.name for view in available(self._asked, self._widths)]

    def _of_bins(self, data: Path, asked: Optional[str]) -> Sequence[str]:
        """Return the views of bins to read: those asked for, else all."""
        prepared = prepared_views(data)
        if asked is None:
            return prepared
        if len(self._asked) > 1 and not prepared:
            raise UsageError(
                f"--views {asked}: {data} holds bins, which are prepared already, and views"
                " need the pictures: evaluate on the LMDB or the images"
            )
        wanted = [view.name for view in available(self._asked, self._widths)]
        if len(wanted) == 1:
            return ()
        missing = set(wanted).difference(prepared)
        if missing:
            raise UsageError(
                f"--views {asked}: {data} was prepared in {', '.join(prepared)}, without"
                f" {', '.join(sorted(missing))}",
                hint="Prepare the bins again with these views, or evaluate on the LMDB.",
            )
        return wanted

    def notes(self, words: int) -> List[str]:
        """Say what of the views was not read.

        Args:
            words: How many words there were.

        Returns:
            A line, or none.
        """
        if self._bins and self._by_bins:
            if self.several:
                views = ", ".join(self.prepared)
                return [f"read in {len(self.prepared)} views, as the bins were prepared: {views}"]
            if len(self._asked) > 1:
                return ["the model asks for several views of a word; bins are read in one"]
            return []
        return left_out_note(self._asked, self._widths, words)
