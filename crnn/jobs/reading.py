"""Words through an opened model, with all that was asked: in batches as fast as they go, or each
as soon as it is there.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Counter, Generator, Iterator, List, Optional, Sequence, Tuple

import numpy as np

from crnn.batch import Batch, Problem, Sample
from crnn.decoding.decoder import Decoder, DecodingOptions
from crnn.image import ImageError, decode_remarked
from crnn.jobs.views import ViewJob
from crnn.results import Reading
from crnn.runners.base import Runner
from crnn.samples.batches import Seen
from crnn.samples.bins import BinFolder
from crnn.samples.buckets import Row, bucketed
from crnn.samples.image_files import loaded
from crnn.samples.unlabelled import BINS, Words, source_of
from crnn.scoring.rows import Row as ReadRow
from crnn.scoring.scorer import Scorer
from crnn.scoring.stream import run_batches

if TYPE_CHECKING:
    from crnn.samples.views import PictureViews


@dataclass(frozen=True)
class Opened:
    """An entered runner, and what is asked of it: how texts are made of its logits, in which views
    a picture is read, and below which probability a reading is rejected.

    ``views`` is None where a picture is read as it is; ``asked`` is what ``--views`` says.
    ``remarks`` counts what else pictures depend on (`crnn.image.remark_lines`).
    """

    runner: Runner
    options: DecodingOptions
    decoder: Decoder
    batch: int = 16
    views: Optional[PictureViews] = None
    asked: Optional[str] = None
    threshold: Optional[float] = None
    remarks: Counter[str] = field(default_factory=collections.Counter)


def read_words(
    opened: Opened, words: Words, *, workers: Optional[int] = None
) -> Generator[Sequence[ReadRow], None, None]:
    """Read what is there, decoding and reading at the same time; memory stays flat.

    Close the generator, or exhaust it: that ends its threads and processes.

    Args:
        opened: The model.
        words: What is to be read.
        workers: Threads or processes that decode; None for all usable processors.

    Yields:
        What came of the words, in their order, some at a time.

    Raises:
        InputError: What holds the words cannot be read.
        UsageError: Bins were not prepared in the views that are asked for.
    """
    prepared: Sequence[str] = ()
    decoder = opened.decoder
    if words.kind == BINS:
        prepared = _prepared(opened, words)
        if len(prepared) > 1 and not opened.options.probability:
            several = dataclasses.replace(opened.options, probability=True)
            decoder = Decoder(opened.runner.spec, several)
    source = source_of(
        words, opened.runner.spec, workers=workers, views=opened.views, prepared=prepared
    )
    scorer = _scorer(opened, decoder)
    with contextlib.closing(run_batches(opened.runner, source, opened.batch)) as results:
        for batch, logits in results:
            opened.remarks.update(batch.remarks)
            yield scorer.rows(batch, logits)
    if isinstance(source, BinFolder):
        # What is named otherwise than a bin is no sample of a batch.
        yield [_unread(name, problem) for name, problem in source.misnamed()]


def _unread(name: str, problem: Problem) -> ReadRow:
    return ReadRow(Reading(name, "", None, None), None, problem)


def _prepared(opened: Opened, words: Words) -> Sequence[str]:
    """Return the views of bins to read."""
    folder = Path(words.paths[0])
    characters = opened.options.characters
    return ViewJob(folder, opened.asked, opened.runner.spec, characters=characters).prepared


def _scorer(opened: Opened, decoder: Decoder) -> Scorer:
    return Scorer(opened.runner.spec, confidences=True, decoder=decoder, threshold=opened.threshold)


class Session:
    """Reads words as they come, each group by itself: no word waits for later ones.

    `decoded` may be called in another thread than `read`.

    Args:
        opened: The model.
    """

    def __init__(self, opened: Opened) -> None:
        self._opened = opened
        self._scorer = _scorer(opened, opened.decoder)
        self._position = 0

    def decoded(self, sample: Sample) -> List[Row]:
        """Decode the next sample.

        Args:
            sample: A word.

        Returns:
            Its views, or what is wrong with it.
        """
        position = self._position
        self._position += 1
        seen, remarks = self._seen(loaded(sample))
        rows: List[Row] = []
        for number, one in enumerate(seen, 1):
            last = number == len(seen)
            row = Row(
                position, sample.key, sample.label, one.image, remarks, one.name, last, one.span
            )
            rows.append(row)
            remarks = ()
        return rows

    def read(self, rows: Sequence[Row]) -> Iterator[ReadRow]:
        """Read decoded samples.

        Args:
            rows: All views of some samples, the next ones.

        Yields:
            What came of each sample, in their order.
        """
        spec = self._opened.runner.spec
        for batch in bucketed(rows, spec, self._opened.batch, dtype="uint8"):
            self._opened.remarks.update(batch.remarks)
            yield from self._scorer.rows(batch, self._logits(batch))

    def _logits(self, batch: Batch) -> Optional[np.ndarray]:
        if not len(batch.images):
            return None
        return self._opened.runner.run(batch.images)

    def _seen(self, sample: Sample) -> Tuple[Sequence[Seen], Sequence[str]]:
        views = self._opened.views
        if views is not None:
            return views(sample)
        if sample.image is None:
            return [Seen(None, sample.fault())], ()
        try:
            pixels, remarks = decode_remarked(sample.image, self._opened.runner.spec)
        except ImageError as error:
            return [Seen(None, error.problem)], ()
        return [Seen(None, pixels)], remarks
