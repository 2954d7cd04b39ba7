"""Rendered words into an LMDB:

all processors, the same words whatever their number, and goes on where it stopped.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import json
import multiprocessing
import os
import shutil
from pathlib import Path
from typing import IO, Any, Callable, Dict, Generator, Iterator, List, Optional, Tuple

from crnn.datasets.synth.render import Renderer
from crnn.errors import InputError
from crnn.files import read_text, replace_folder, write_text
from crnn.leftovers import PART, temporary_folder, tidy
from crnn.samples.lmdb import DATA_FILE
from crnn.samples.lmdb_writer import LmdbWriter, require_free
from crnn.signals import interrupts_ignored

RECIPE = "recipe.json"
LOCK = "synth.lock"
PIECES = "pieces"
"""The folder, in OUT.part, for what others rendered and nobody has joined yet."""
_CHUNK = 50
_NO_WORDS = 8192
"""Bytes of an LMDB without a word: two pages; less is what a full disk left of them."""

_Word = Tuple[bytes, str]

Elsewhere = Callable[[Renderer, Path, int, int], Generator[_Word, None, None]]
"""Has words rendered by others: gets the renderer, a folder that the words may wait in, the first
word and the last.
"""

_renderer: Renderer


def generate(
    renderer: Renderer,
    out: Path,
    count: int,
    *,
    processes: int,
    force: bool = False,
    advance: Callable[[int], None] = lambda count: None,
    elsewhere: Optional[Elsewhere] = None,
) -> int:
    """Render words 1 to ``count`` into an LMDB.

    Until all are there they stand in ``OUT.part``, which holds no ``num-samples`` and is not
    mistaken for a data set. Started again with the same recipe it goes on after the last word that
    was committed.

    Args:
        renderer: Draws word number i.
        out: The LMDB to write.
        count: How many words.
        processes: How many processes render.
        force: Whether an LMDB that stands at ``out`` may be replaced.
        advance: Called with a count of words that were rendered.
        elsewhere: Who renders; None for processes of this machine.

    Returns:
        How many of the words an earlier, stopped run had rendered.

    Raises:
        InputError: Something stands at ``out``, or ``OUT.part`` is of another recipe or of another
            run that has not ended.
    """
    _require_free(out, force)
    tidy(out.parent)
    part = out.with_name(out.name + ".part")
    with _locked(part):
        _drop_replaced(part, out)
        _prepare(part, renderer, count)
        if elsewhere is None:
            elsewhere = _here(processes)
        there = _fill(part, renderer, count, elsewhere, advance)
        _drop_pieces(part)
        # Something may have come to stand there meanwhile.
        _require_free(out, force)
        _replace(part, out)
    return there


def _here(processes: int) -> Elsewhere:
    """Return what renders on this machine."""

    def render(
        renderer: Renderer, folder: Path, first: int, last: int
    ) -> Generator[_Word, None, None]:
        return rendered(renderer, range(first, last + 1), processes)

    return render


def _drop_pieces(part: Path) -> None:
    """Remove the pieces that were joined, at once: a worker that is not dead after all may write
    one more.
    """
    if (part / PIECES).exists():
        holder = temporary_folder(part.parent, PART)
        os.replace(part / PIECES, holder / PIECES)
        shutil.rmtree(holder, ignore_errors=True)


def _fill(
    part: Path,
    renderer: Renderer,
    count: int,
    render: Elsewhere,
    advance: Callable[[int], None],
) -> int:
    """Render the words that are not there yet, and return how many were."""
    writer = LmdbWriter(part)
    try:
        there = writer.count
        advance(there)
        words = render(renderer, part / PIECES, there + 1, count)
        with contextlib.closing(words):
            for image, label in words:
                writer.add(image, label)
                advance(1)
        writer.finish()
    finally:
        # What was rendered before Ctrl-C is kept.
        writer.flush()
        writer.close()
    return there


def rendered(renderer: Renderer, indices: range, processes: int) -> Generator[_Word, None, None]:
    """Yield the images and labels of these words, in order."""
    chunks = [indices[start : start + _CHUNK] for start in range(0, len(indices), _CHUNK)]
    if processes <= 1 or len(chunks) <= 1:
        _initialise(renderer, main=True)
        yield from itertools.chain.from_iterable(map(_render, chunks))
        return
    # Spawned, not forked: OpenCV's and LMDB's threads and locks do not survive a fork.
    with multiprocessing.get_context("spawn").Pool(
        min(processes, len(chunks)), _initialise, (renderer,)
    ) as pool:
        yield from itertools.chain.from_iterable(pool.imap(_render, chunks))


def _initialise(renderer: Renderer, main: bool = False) -> None:
    global _renderer
    _renderer = renderer
    if not main:
        import cv2

        cv2.setNumThreads(1)
        interrupts_ignored()


def _render(indices: range) -> List[_Word]:
    words = []
    for index in indices:
        sample = _renderer.sample(index)
        assert sample.image is not None and sample.label is not None
        words.append((sample.image, sample.label))
    return words


def _require_free(out: Path, force: bool) -> None:
    # A run that was killed at its very end leaves its own files beside the data.
    require_free(out, force=force, inside=(DATA_FILE, "lock.mdb", RECIPE, LOCK))


@contextlib.contextmanager
def _locked(part: Path) -> Iterator[None]:
    """Make the folder where it is not there, and keep other runs out of it."""
    try:
        part.mkdir(exist_ok=True)
        descriptor = os.open(part / LOCK, os.O_WRONLY | os.O_CREAT, 0o666)
    except OSError as error:
        raise InputError(f"cannot write {part}: {error.strerror}") from error
    with os.fdopen(descriptor, "wb") as lock:
        # A lock file without a name is of a run that ended between these lines, and took the folder
        # with it.
        if not _lock(lock) or not os.fstat(lock.fileno()).st_nlink:
            raise InputError(
                f"another run is writing {part}", hint="Wait until it ends, or give another name."
            )
        yield


def _lock(file: IO[bytes]) -> bool:
    """Lock the file until it is closed; False where another process has it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        # Some network file systems have no locks; there a second run is the user's to avoid.
        return True
    return True


def _prepare(part: Path, renderer: Renderer, count: int) -> None:
    """Write the recipe of a new run, or see that what was begun is of this one."""
    recipe = {"seed": renderer.seed, "count": count, "fingerprint": renderer.fingerprint()}
    if _holds_words(part):
        _require_same(part, recipe)
    else:
        # The disk was full, or the run was killed as it began.
        with contextlib.suppress(FileNotFoundError):
            (part / DATA_FILE).unlink()
    write_text(part / RECIPE, json.dumps(recipe, sort_keys=True))


def _holds_words(part: Path) -> bool:
    """Say whether the folder may hold words, or anything else that is not to be thrown away."""
    sizes = {entry.name: entry.lstat().st_size for entry in part.iterdir()}
    return sizes.pop(DATA_FILE, 0) > _NO_WORDS or not set(sizes) <= {LOCK, RECIPE}


def _require_same(part: Path, recipe: Dict[str, Any]) -> None:
    try:
        found = json.loads(read_text(part / RECIPE))
    except (InputError, OSError, ValueError):
        found = None
    # A longer run of the same words may go on with them.
    if isinstance(found, dict):
        count = found.get("count")
    else:
        count = None
    if (
        not isinstance(count, int)
        or count > recipe["count"]
        or {**found, "count": recipe["count"]} != recipe
    ):
        raise InputError(
            f"{part} holds the beginning of another render: {found or 'its recipe is missing'};"
            f" this one is {recipe}",
            hint=(
                "Give the seed, words, fonts and effects of that one to go on with it, or remove"
                f" it: rm -r {part}"
            ),
        )


def _replace(part: Path, out: Path) -> None:
    """Put the finished folder in the place of ``out``, which is free or an LMDB that may be
    replaced.

    Its recipe goes with it and last: a run that is killed before can be gone on with, and
    `_drop_replaced` knows by it what was replaced.
    """
    with contextlib.suppress(FileNotFoundError):
        (out / RECIPE).unlink()  # of a run that was killed at its very end
    replace_folder(part, out)
    if part.exists():
        holder = temporary_folder(out.parent, PART)
        os.replace(part, holder)
        shutil.rmtree(holder)
    (out / RECIPE).unlink()
    (out / LOCK).unlink()


def _drop_replaced(part: Path, out: Path) -> None:
    """Remove the data set that a run has replaced, where it was killed before it did so itself.

    Then the new one still has the recipe that it was made by, and the old one has none.
    """
    names = {entry.name for entry in part.iterdir()}
    if (out / RECIPE).exists() and DATA_FILE in names and names <= {DATA_FILE, "lock.mdb", LOCK}:
        (part / DATA_FILE).unlink()
