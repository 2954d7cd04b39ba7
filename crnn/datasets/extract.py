"""An LMDB back into files:

a folder with its annotation, or the images and list that MindX SDK's tools read.
"""

from __future__ import annotations

import collections
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Counter, Iterator, Mapping, Tuple

from crnn import labels
from crnn.batch import Sample
from crnn.datasets.folder_writer import new_folder
from crnn.errors import InputError
from crnn.files import atomic_folder
from crnn.samples.lmdb import LmdbSamples
from crnn.samples.lmdb_writer import require_free


@dataclass(frozen=True)
class Extracted:
    """How many words were written, and how many were left out or changed, by reason."""

    written: int
    skipped: Mapping[str, int]
    changed: Mapping[str, int]


def extract(
    path: Path,
    out: Path,
    *,
    form: str = "tab",
    force: bool = False,
    advance: Callable[[int], None] = lambda count: None,
) -> Extracted:
    """Write ``annotation.txt`` in this form and the images, as they are, below ``images``.

    Lexicons too.

    Args:
        path: An LMDB.
        out: The folder to write.
        form: The form of the annotation's lines.
        force: Whether a folder of the same kind may be replaced.
        advance: Called with a count of samples that were written.

    Returns:
        Counts.

    Raises:
        InputError: The LMDB cannot be read, or something else stands at ``out``.
    """
    source = LmdbSamples(path)
    skipped: Counter[str] = collections.Counter()
    changed: Counter[str] = collections.Counter()
    with new_folder(out, form=form, force=force) as writer:
        for index, image, label in _whole(source, skipped, changed):
            writer.add(image, label, source.lexicons(index))
            advance(1)
        if source.lexicon():
            writer.set_lexicon(source.lexicon())
        _require(writer.count, path, skipped)
    return Extracted(writer.count, skipped, changed)


def extract_sdk(
    path: Path,
    out: Path,
    *,
    force: bool = False,
    advance: Callable[[int], None] = lambda count: None,
) -> Extracted:
    """Write ``NAME_img/image-%09d.jpg``, numbered as in the LMDB, and ``NAME_gt.txt`` with lines
    ``image-%09d label``, the label in lower case: the SDK's task_metric.py compares it with what
    the model reads as it stands.

    NAME is the LMDB's. Images are stored as they are, whatever their format: readers go by the
    content.

    Args:
        path: An LMDB.
        out: The folder to write.
        force: Whether a folder of the same kind may be replaced.
        advance: Called with a count of samples that were written.

    Returns:
        Counts.

    Raises:
        InputError: The LMDB cannot be read, or something else stands at ``out``.
    """
    source = LmdbSamples(path)
    name = (path.parent if path.is_file() else path).resolve().name
    skipped: Counter[str] = collections.Counter()
    changed: Counter[str] = collections.Counter()
    require_free(out, force=force, inside=(f"{name}_img", f"{name}_gt.txt"))
    count = 0
    with atomic_folder(out) as folder:
        images = folder / f"{name}_img"
        images.mkdir()
        with open(folder / f"{name}_gt.txt", "wb") as truths:
            for index, image, label in _whole(source, skipped, changed):
                (images / f"image-{index:09d}.jpg").write_bytes(image)
                truths.write(f"image-{index:09d} {label.lower()}\n".encode())
                count += 1
                advance(1)
        _require(count, path, skipped)
    return Extracted(count, skipped, changed)


def _whole(
    source: LmdbSamples, skipped: Counter[str], changed: Counter[str]
) -> Iterator[Tuple[int, bytes, str]]:
    for index, sample in source.numbered():
        reason = missing(source, index, sample)
        if reason:
            skipped[reason] += 1
            continue
        assert sample.image is not None and sample.label is not None
        label = sample.label
        written = labels.one_line(label)
        if written != label:
            changed[labels.LINE_BREAK] += 1
        yield index, sample.image, written


def missing(source: LmdbSamples, index: int, sample: Sample) -> str:
    """Return what a sample that was just read lacks to be one, "" if nothing."""
    if sample.image is None:
        return sample.fault().reason
    if sample.label is None:
        return labels.NO_LABEL
    unreadable = source.label_problem(index)
    if unreadable:
        return unreadable.reason
    return ""


def _require(count: int, path: Path, skipped: Mapping[str, int]) -> None:
    if not count:
        raise InputError(f"{path} holds no sample with image and label: {dict(skipped)}")
