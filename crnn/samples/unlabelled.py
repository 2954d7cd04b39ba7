"""Words without labels, wherever they are: what a user names is told apart by what it is."""

from __future__ import annotations

import glob
import itertools
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Iterable, Iterator, List, Optional, Sequence

from crnn.batch import Batch, Sample
from crnn.errors import InputError
from crnn.filekind import AN_LMDB, foreign, require_file
from crnn.files import natural_key
from crnn.samples import image_files
from crnn.samples.annotations import IMAGE_SUFFIXES
from crnn.samples.batches import MANY, ViewMaker, image_batches
from crnn.samples.bins import BinFolder
from crnn.samples.lmdb import DATA_FILE, LmdbSamples
from crnn.samples.pack import PackedBins
from crnn.samples.source import BatchSource, ImageSource, holds_bins
from crnn.samples.tars import TarImages, is_tar
from crnn.spec import ModelSpec

IMAGES, FOLDER, LIST, LMDB, TAR, BINS = "images", "folder", "list", "lmdb", "tar", "bins"
_BLOCK = 1 << 16
_BYTES_A_WORD = 4096
"""About so many an image of a word takes in an archive."""


@dataclass(frozen=True)
class Words:
    """Some of what is to be read, of one kind.

    ``paths`` are the images of `IMAGES`, else the one thing that holds words. ``named`` says
    whether the user has named each image.
    """

    kind: str
    paths: Sequence[str]
    named: bool = False
    recursive: bool = False
    nul: bool = False

    @property
    def holder(self) -> Optional[str]:
        """The path of what holds words that are no files of their own; None where they are."""
        if self.kind in (LMDB, TAR, BINS):
            return self.paths[0]
        return None


def told_apart(sources: Iterable[str], *, recursive: bool = False) -> Iterator[Words]:
    """Tell apart what a user names.

    Args:
        sources: Paths of images, folders of images, LMDBs, folders of bins, packs of them, tar
            archives; or patterns (``*``, ``?``, ``[…]``, ``**``) of these.
        recursive: Whether folders of images are read with the folders below them.

    Raises:
        InputError: A pattern matches nothing.

    Yields:
        What is to be read, in the order in which it was named; images that follow one another are
        one item.
    """
    found = _each(sources, recursive)
    for (kind, named), group in itertools.groupby(found, key=lambda one: (one.kind, one.named)):
        if kind == IMAGES:
            yield Words(IMAGES, [path for words in group for path in words.paths], named=named)
        else:
            yield from group


def _each(sources: Iterable[str], recursive: bool) -> Iterator[Words]:
    for source in sources:
        if os.path.lexists(source) or not glob.has_magic(source):
            yield _words(source, recursive, named=True)
            continue
        # Path.glob would take absolute patterns apart.
        matches = sorted(glob.glob(source, recursive=True), key=natural_key)  # noqa: PTH207
        if not matches:
            raise InputError(f"{source} matches nothing; expected images, or what holds them")
        for path in matches:
            yield _words(path, recursive, named=False)


def _words(source: str, recursive: bool, *, named: bool) -> Words:
    """Return what a path is."""
    path = Path(source)
    if path.is_dir():
        if (path / DATA_FILE).exists():
            return Words(LMDB, [source])
        if holds_bins(path):
            return Words(BINS, [source])
        return Words(FOLDER, [source], recursive=recursive)
    if not image_files.is_image_name(path.name) and path.is_file():
        if holds_bins(path):
            return Words(BINS, [source])
        if is_tar(path):
            return Words(TAR, [source])
        if foreign(path) == AN_LMDB:
            return Words(LMDB, [source])
    return Words(IMAGES, [source], named=named)


class _Unnumbered:
    """So many samples, of which none is asked for by a number."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __len__(self) -> int:
        return self._count

    def several(self, numbers: Iterable[int]) -> Iterator[Sample]:
        """See `crnn.samples.batches.NumberedSamples`."""
        raise AssertionError(numbers)


class SampleSource:
    """Samples one after the other as a source of batches, decoded by threads, or where there are
    many by processes too.

    Args:
        samples: The samples.
        spec: What the model takes.
        count: How many there are at least; what is not known counts as few.
        workers: Threads or processes that decode; None for all usable processors.
        views: Makes several images of a word; None for the word as it is.
    """

    def __init__(
        self,
        samples: Iterable[Sample],
        spec: ModelSpec,
        count: int,
        workers: Optional[int] = None,
        views: Optional[ViewMaker] = None,
    ) -> None:
        self._samples = samples
        self._spec = spec
        self._count = count
        self._workers = workers
        self._views = views

    def batches(self, size: int, *, keep: int) -> Iterator[Batch]:
        """See `crnn.samples.source.BatchSource`."""
        dtype = "float32"
        if self._spec.input_dtype == "uint8":
            dtype = "uint8"
        return image_batches(
            self._samples,
            self._spec,
            size,
            dtype=dtype,
            keep=keep,
            workers=self._workers,
            views=self._views,
            again=_Unnumbered(self._count),
        )

    def close(self) -> None:
        """Do nothing: the samples' files are closed with their iterator."""


def samples_in(words: Words) -> Iterator[Sample]:
    """List the samples of images, of a folder, of a list or of an archive.

    Args:
        words: Of these kinds.

    Returns:
        The samples, those of files without their images yet.
    """
    path = words.paths[0]
    if words.kind == FOLDER:
        return image_files.in_folder(path, recursive=words.recursive)
    if words.kind == LIST:
        return image_files.in_list(Path(path), nul=words.nul)
    if words.kind == TAR:
        return iter(TarImages(Path(path)))
    return map(image_files.of_file, words.paths)


def source_of(
    words: Words,
    spec: ModelSpec,
    *,
    workers: Optional[int] = None,
    views: Optional[ViewMaker] = None,
    prepared: Sequence[str] = (),
) -> BatchSource:
    """Return the source for what is to be read.

    Args:
        words: What `told_apart` found, or a list.
        spec: What the model takes.
        workers: Threads or processes that decode images; None for all usable processors.
        views: As of `SampleSource`; bins have no use for it.
        prepared: The views of bins to read, by name; none for the word as it is.

    Returns:
        The source.

    Raises:
        InputError: It cannot be read, or holds no image.
    """
    path = Path(words.paths[0])
    if words.kind == BINS:
        if path.is_file():
            return PackedBins(path, spec)
        return BinFolder(path, None, spec, prepared)
    if words.kind == LMDB:
        return ImageSource(LmdbSamples(path), spec, workers, views=views)
    samples = samples_in(words)
    if words.kind == TAR:
        count = path.stat().st_size // _BYTES_A_WORD
        return SampleSource(samples, spec, count, workers, views)
    first: List[Sample] = list(itertools.islice(samples, MANY))
    if not first and words.kind == FOLDER:
        raise _none_there(words)
    return SampleSource(itertools.chain(first, samples), spec, len(first), workers, views)


def _none_there(words: Words) -> InputError:
    path = words.paths[0]
    if words.recursive:
        return InputError(f"neither {path} nor a folder below it holds an image")
    return InputError(
        f"{path} holds no image", hint="Those of the folders below it are read with --recursive."
    )


def listed(path: Path, *, nul: bool = False) -> Words:
    """Return a list as what is to be read.

    Args:
        path: A file with a path a line.
        nul: Whether a NUL ends each path.

    Returns:
        The list.

    Raises:
        InputError: There is no such file, or it is not a text.
    """
    if path.is_dir() or not path.exists():
        require_file(path, "a list of images, a path a line")
    # What a pipe holds can be read only once.
    if path.is_file() and not nul:
        _require_text(path)
    return Words(LIST, [str(path)], nul=nul)


def _require_text(path: Path) -> None:
    with path.open("rb") as file:
        begin = file.read(_BLOCK)
    if b"\0" not in begin:
        return
    line = begin[: begin.index(b"\0")].count(b"\n") + 1
    raise InputError(
        f"{path} line {line} has a NUL byte; expected a list of images, a path a line",
        hint="A list that find -print0 has written is read with -0; an image or an archive is named"
        " without --list.",
    )


def nothing_in(words: Words) -> str:
    """Say that a list or an archive that could be read holds no image, and what is taken for one.

    Args:
        words: A list or a tar archive.

    Returns:
        A sentence.
    """
    path = words.paths[0]
    if words.kind == LIST:
        return (
            f"{path} lists no image: it is empty; expected a path a line, as"
            " find DIR -name '*.png' writes them"
        )
    return (
        f"{path} holds no image: those of its members are read whose names end as images' do"
        f" ({', '.join(IMAGE_SUFFIXES)})"
    )
