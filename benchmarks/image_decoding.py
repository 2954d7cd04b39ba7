"""What a checkout's decoding costs, for `decode.py`: it runs by the checkout on PYTHONPATH, and
answers a line for each line that it is sent.

A request is ``WORDS COUNT HOW``: the pickled words, how many of them over and over, and how:
``bare`` decodes, resizes and normalises them one by one into a batch's memory, ``sum`` gives the
checksum of all batches. Or it is ``LMDB OUT prepare`` or ``LMDB OUT pack``, for bins in a folder or
in one file, by one thread. Otherwise than of a checksum the answer is the processor seconds.

``python benchmarks/image_decoding.py LMDB COUNT WORKERS`` streams batches from an LMDB by so many
threads or processes, and prints the processor seconds, those of processes that it started included.
"""

from __future__ import annotations

import hashlib
import inspect
import itertools
import pickle
import resource
import sys
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List

import numpy as np

from crnn import image
from crnn.batch import Sample
from crnn.samples.batches import image_batches
from crnn.samples.lmdb import LmdbSamples
from crnn.spec import ModelSpec

SPEC = ModelSpec.default()
BATCH = 64


def main() -> None:
    """Answer until there are no more requests, or stream."""
    if len(sys.argv) == 4:
        sys.stdout.write(f"{stream(Path(sys.argv[1]), *map(int, sys.argv[2:]))}\n")
        return
    known: Dict[str, List[bytes]] = {}
    for line in sys.stdin:
        path, count, how = line.split()
        if how in ("prepare", "pack"):
            sys.stdout.write(f"{_prepare(Path(path), Path(count), how)}\n")
            sys.stdout.flush()
            continue
        if path not in known:
            known[path] = pickle.loads(Path(path).read_bytes())
        words = itertools.islice(itertools.cycle(known[path]), int(count))
        if how == "sum":
            answer = _checksum(words)
        else:
            answer = str(_bare(words))
        sys.stdout.write(answer + "\n")
        sys.stdout.flush()


def _bare(words: Iterator[bytes]) -> float:
    run = _one_by_one
    if hasattr(image, "decode_into"):
        run = _by_table
    begin = time.process_time()
    run(words)
    return time.process_time() - begin


def _one_by_one(words: Iterator[bytes]) -> None:
    """Do as `image_batches` did before images were decoded into its memory."""
    values = np.empty((BATCH, *SPEC.image_shape), dtype=np.float32)
    for number, word in enumerate(words):
        pixels, _ = image.decode_remarked(word, SPEC)
        SPEC.normalise(pixels, out=values[number % BATCH])


def _by_table(words: Iterator[bytes]) -> None:
    """Do as `image_batches` does."""
    values = np.empty((BATCH, *SPEC.image_shape), dtype=np.float32)
    pixels = np.empty((BATCH, SPEC.height * SPEC.width), dtype=np.uint8)
    bounds = image.Bounds.now()
    for number, word in enumerate(words):
        image.decode_into(word, SPEC, pixels[number % BATCH], bounds)
        if number % BATCH == BATCH - 1:
            np.take(SPEC.table, pixels.reshape(values.shape), out=values, mode="clip")


def _prepare(data: Path, out: Path, how: str) -> float:
    from crnn.jobs.prepare import PrepareRequest, prepare

    options: Dict[str, Any] = {"workers": 1}
    if how == "pack":
        options["pack"] = True
    begin = _processor_seconds()
    source = LmdbSamples(data)
    prepare(PrepareRequest(source, str(out), out.with_suffix(".txt"), SPEC, **options))
    source.close()
    return _processor_seconds() - begin


def _checksum(words: Iterator[bytes]) -> str:
    samples = (Sample("word", word, "word") for word in words)
    summed = hashlib.sha256()
    for batch in image_batches(samples, SPEC, BATCH, workers=1):
        summed.update(batch.images.tobytes())
    return summed.hexdigest()


def stream(data: Path, count: int, workers: int) -> float:
    """Return the processor seconds of the batches of an LMDB's first words."""
    samples = LmdbSamples(data)
    options = {"workers": workers}
    if "again" in inspect.signature(image_batches).parameters:
        options["again"] = samples  # type: ignore[assignment]
    begin = _processor_seconds()
    taken = 0
    for batch in image_batches(itertools.islice(samples, count), SPEC, BATCH, **options):
        taken += len(batch.images)
    if taken != count:
        raise SystemExit(f"{taken} words; expected {count}")
    return _processor_seconds() - begin


def _processor_seconds() -> float:
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + ended.ru_utime + ended.ru_stime


if __name__ == "__main__":
    main()
