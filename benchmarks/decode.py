"""Decoding, resizing and normalising, beside an earlier checkout's; and two processors' streaming.

python benchmarks/decode.py --data words_lmdb --before ../crnn-before

What is compared are processor seconds, which other programs on the machine change little. The words
are the data set's files as they are, and JPEG copies of them (quality 90). Two processors' stream
stands beside two processes that know nothing of each other, each with its own start.
"""

from __future__ import annotations

import argparse
import io
import os
import pickle
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Dict, List, Optional, Tuple

import common
from PIL import Image

from crnn import image_decoders
from crnn.samples.lmdb import LmdbSamples
from crnn.samples.lmdb_writer import new_lmdb

CHILD = str(Path(__file__).resolve().parent / "image_decoding.py")
WANTED = {"JPEG": "at least 1.75", "as they are": "at least 1.3"}


class Checkout:
    """A process that answers by a checkout's code: it decodes, or does what another script does."""

    def __init__(self, root: Path, child: str = CHILD) -> None:
        self._process = subprocess.Popen(
            [sys.executable, child],
            env={**os.environ, "PYTHONPATH": str(root)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, *words: object) -> str:
        """Return its answer to a line of words."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(" ".join(map(str, words)) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("a checkout's process has ended")
        return line.strip()


def main() -> None:
    """Measure and print."""
    parser = common.arguments(__doc__)
    parser.add_argument("--before", type=Path, help="a checkout to compare with")
    parser.add_argument(
        "--stream",
        type=int,
        default=40000,
        help="words of a run on two processors, 0 for none (default 40000)",
    )
    args = parser.parse_args()
    common.head("decode, resize and normalise", args)
    for kind, used in image_decoders.used().items():
        print(f"{kind}: {used.decoder} {used.why}".rstrip())
    with common.scratch() as name:
        for kind, words in words_of(args.data).items():
            _one_core(kind, words, Path(name) / "words", args)
            if args.stream:
                _two_cores(kind, words, Path(name) / kind, args)


def _one_core(kind: str, words: List[bytes], file: Path, args: argparse.Namespace) -> None:
    file = file.with_name(f"{kind.replace(' ', '_')}.pickle")
    file.write_bytes(pickle.dumps(words))
    count = len(words)
    contenders = {"after": Checkout(common.ROOT)}
    if args.before:
        contenders["before"] = Checkout(args.before.resolve())
        sums = {checkout.ask(file, count, "sum") for checkout in contenders.values()}
        print(f"{kind}: {count} words, the same bits: {len(sums) == 1}")
    seconds: Dict[str, List[float]] = {name: [] for name in contenders}
    for run in range(args.runs):
        names = list(contenders)
        for name in names[run % len(names) :] + names[: run % len(names)]:
            seconds[name].append(float(contenders[name].ask(file, count, "bare")))
    for name, values in seconds.items():
        print(f"{kind}, one core, {name}: {statistics.median(values) / count * 1e6:.1f} us a word")
    if args.before:
        common.show_ratio(
            f"{kind}: before / after", seconds["before"], seconds["after"], WANTED[kind]
        )


def _two_cores(kind: str, words: List[bytes], data: Path, args: argparse.Namespace) -> None:
    with new_lmdb(data) as writer:
        for number in range(args.stream):
            writer.add(words[number % len(words)], "word")
    shared: List[Tuple[float, float]] = []
    alone: List[Tuple[float, float]] = []
    for run in range(args.runs):
        for what in ("shared", "alone")[:: 1 - 2 * (run % 2)]:
            if what == "shared":
                shared.append(_streams(data, [args.stream], 2))
            else:
                alone.append(_streams(data, [args.stream // 2] * 2, 1))
    for at, unit in enumerate(("processor time", "time")):
        common.show_ratio(
            f"{kind}: two cores' stream / two processes, by {unit}",
            [pair[at] for pair in alone],
            [pair[at] for pair in shared],
            "at least 0.95",
        )


def _streams(data: Path, counts: List[int], workers: int) -> Tuple[float, float]:
    """Return the processor seconds and the seconds of processes that stream at once."""
    begin = time.perf_counter()
    started = [
        subprocess.Popen(
            [sys.executable, CHILD, str(data), str(count), str(workers)],
            env={**os.environ, "PYTHONPATH": str(common.ROOT)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for count in counts
    ]
    used = sum(float(process.communicate()[0]) for process in started)
    return used, time.perf_counter() - begin


def words_of(data: Path) -> Dict[str, List[bytes]]:
    """Return the words' files, and JPEG copies of them."""
    words: List[bytes] = []
    copies: List[bytes] = []
    found: Optional[bytes]
    for found in (sample.image for sample in LmdbSamples(data)):
        if found is None:
            continue
        words.append(found)
        file = io.BytesIO()
        with Image.open(io.BytesIO(found)) as image:
            image.convert("RGB").save(file, "JPEG", quality=90)
        copies.append(file.getvalue())
    return {"JPEG": copies, "as they are": words}


if __name__ == "__main__":
    main()
