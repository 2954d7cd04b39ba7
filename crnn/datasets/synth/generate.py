"""Rendered words into an LMDB: all processors, the same words whatever their number, and goes on where it stopped."""

from __future__ import annotations

import contextlib
import itertools
import json
import multiprocessing
import os
import shutil
import signal
import tempfile
from pathlib import Path
from typing import Any, Callable, Dict, Generator, List, Tuple

from crnn.datasets.synth.render import Renderer
from crnn.errors import InputError
from crnn.files import write_text
from crnn.samples.lmdb_writer import LmdbWriter, require_free

RECIPE = "recipe.json"
_CHUNK = 50
_Word = Tuple[bytes, str]

_renderer: Renderer


def generate(
    renderer: Renderer,
    out: Path,
    count: int,
    *,
    processes: int,
    force: bool = False,
    advance: Callable[[int], None] = lambda count: None,
) -> int:
    """Render words 1 to ``count`` into an LMDB; return how many of them an earlier, stopped run had rendered.

    Until all are there they stand in ``OUT.part``, which holds no ``num-samples`` and is not mistaken for a data set.
    Started again with the same recipe it goes on after the last word that was committed. Raises `InputError` where
    something stands at ``out``, or ``OUT.part`` is of another recipe.
    """
    require_free(out, force=force)
    part = out.with_name(out.name + ".part")
    _prepare(part, renderer, count)
    writer = LmdbWriter(part)
    try:
        there = writer.count
        advance(there)
        with contextlib.closing(rendered(renderer, range(there + 1, count + 1), processes)) as words:
            for image, label in words:
                writer.add(image, label)
                advance(1)
        writer.finish()
    finally:
        # What was rendered before Ctrl-C is kept.
        writer.flush()
        writer.close()
    _replace(part, out)
    return there


def rendered(renderer: Renderer, indices: range, processes: int) -> Generator[_Word, None, None]:
    """Yield the images and labels of these words, in order."""
    chunks = [indices[start : start + _CHUNK] for start in range(0, len(indices), _CHUNK)]
    if processes <= 1 or len(chunks) <= 1:
        _initialise(renderer, main=True)
        yield from itertools.chain.from_iterable(map(_render, chunks))
        return
    # Spawned, not forked: OpenCV's and LMDB's threads and locks do not survive a fork.
    with multiprocessing.get_context("spawn").Pool(min(processes, len(chunks)), _initialise, (renderer,)) as pool:
        yield from itertools.chain.from_iterable(pool.imap(_render, chunks))


def _initialise(renderer: Renderer, main: bool = False) -> None:
    global _renderer
    _renderer = renderer
    if not main:
        import cv2

        cv2.setNumThreads(1)
        # Ctrl-C is the parent's to answer.
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _render(indices: range) -> List[_Word]:
    words = []
    for index in indices:
        sample = _renderer.sample(index)
        assert sample.image is not None and sample.label is not None
        words.append((sample.image, sample.label))
    return words


def _prepare(part: Path, renderer: Renderer, count: int) -> None:
    """Make the folder of a new run, or see that it is one of this recipe."""
    recipe = {"seed": renderer.seed, "count": count, "fingerprint": renderer.fingerprint()}
    if os.path.lexists(part):
        _require_same(part, recipe)
    else:
        part.mkdir()
    write_text(part / RECIPE, json.dumps(recipe, sort_keys=True))


def _require_same(part: Path, recipe: Dict[str, Any]) -> None:
    try:
        found = json.loads((part / RECIPE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = None
    # A longer run of the same words may go on with them.
    count = found.get("count") if isinstance(found, dict) else None
    if not isinstance(count, int) or count > recipe["count"] or {**found, "count": recipe["count"]} != recipe:
        raise InputError(
            f"{part} holds the beginning of another render: {found}; this one is {recipe}",
            hint=f"Give the seed, words, fonts and effects of that one to go on with it, or remove it: rm -r {part}",
        )


def _replace(part: Path, out: Path) -> None:
    """Put the finished folder in the place of ``out``, which is free or an LMDB that may be replaced."""
    (part / RECIPE).unlink()
    if not out.exists():
        os.replace(part, out)
        return
    old = tempfile.mkdtemp(dir=str(out.parent), prefix=f".{out.name}.", suffix=".old")
    os.replace(out, old)
    os.replace(part, out)
    shutil.rmtree(old)
