"""What a checkout's decoding costs, for `decode.py`: it runs by the checkout on PYTHONPATH, and
answers a line for each line that it is sent.

A request is ``WORDS COUNT WORKERS``: the pickled words, how many of them over and over, and by how
many threads or processes; 0 gives the checksum of all batches. The answer is the processor seconds,
those of processes that it started included, and the seconds of the wall.
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
from typing import Dict, Iterator, List

from crnn.batch import Sample
from crnn.samples.batches import image_batches
from crnn.spec import ModelSpec

SPEC = ModelSpec.default()
BATCH = 64


def main() -> None:
    """Answer until there are no more requests."""
    known: Dict[str, List[bytes]] = {}
    for line in sys.stdin:
        path, count, workers = line.split()
        if path not in known:
            known[path] = pickle.loads(Path(path).read_bytes())
        if workers == "0":
            answer = _checksum(_samples(known[path], int(count)))
        else:
            answer = _costs(_samples(known[path], int(count)), int(count), int(workers))
        sys.stdout.write(answer + "\n")
        sys.stdout.flush()


def _samples(words: List[bytes], count: int) -> Iterator[Sample]:
    for number, image in enumerate(itertools.islice(itertools.cycle(words), count), 1):
        yield Sample(f"test_{number}", image, "word")


def _checksum(samples: Iterator[Sample]) -> str:
    summed = hashlib.sha256()
    for batch in image_batches(samples, SPEC, BATCH, workers=1):
        summed.update(batch.images.tobytes())
    return summed.hexdigest()


def _costs(samples: Iterator[Sample], count: int, workers: int) -> str:
    options = {"workers": workers}
    if "count" in inspect.signature(image_batches).parameters:
        options["count"] = count
    begin, used = time.perf_counter(), _processor_seconds()
    for _ in image_batches(samples, SPEC, BATCH, **options):
        pass
    return f"{_processor_seconds() - used} {time.perf_counter() - begin}"


def _processor_seconds() -> float:
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + ended.ru_utime + ended.ru_stime


if __name__ == "__main__":
    main()
