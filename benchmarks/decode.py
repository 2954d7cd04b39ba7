"""Decoding, resizing and normalising, beside an earlier checkout's; and two processors' streaming.

python benchmarks/decode.py --data words_lmdb --before ../crnn-before

What is compared are processor seconds, which other programs on the machine change little. The words
are the data set's files as they are, and JPEG copies of them (quality 90).
"""

from __future__ import annotations

import argparse
import io
import os
import pickle
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Dict, List, Optional, Tuple

import common
from PIL import Image

from crnn import image_decoders
from crnn.samples.lmdb import LmdbSamples

HERE = Path(__file__).resolve().parent


class Checkout:
    """A process that decodes by a checkout's code."""

    def __init__(self, root: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "decoding.py")],
            env={**os.environ, "PYTHONPATH": str(root)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def send(self, words: Path, count: int, workers: int) -> None:
        """Ask."""
        assert self._process.stdin
        self._process.stdin.write(f"{words} {count} {workers}\n")
        self._process.stdin.flush()

    def answer(self) -> str:
        """Wait for what it says."""
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("a checkout's process has ended")
        return line.strip()

    def costs(self, words: Path, count: int, workers: int) -> Tuple[float, float]:
        """Return the processor seconds, and the wall's."""
        self.send(words, count, workers)
        return _pair(self.answer())


def _pair(answer: str) -> Tuple[float, float]:
    used, passed = map(float, answer.split())
    return used, passed


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
    with tempfile.TemporaryDirectory() as name:
        files, count = _write(args.data, Path(name))
        after = Checkout(common.ROOT)
        before: Optional[Checkout] = None
        if args.before:
            before = Checkout(args.before.resolve())
        for kind, words in files.items():
            _one_core(kind, words, count, args, after, before)
        if args.stream:
            for kind, words in files.items():
                _two_cores(kind, words, args, after, Checkout(common.ROOT))


def _one_core(
    kind: str,
    words: Path,
    count: int,
    args: argparse.Namespace,
    after: Checkout,
    before: Optional[Checkout],
) -> None:
    contenders = {"after": after}
    if before:
        contenders["before"] = before
        sums = set()
        for checkout in contenders.values():
            checkout.send(words, count, 0)
            sums.add(checkout.answer())
        print(f"{kind}: {count} words, the same bits: {len(sums) == 1}")
    seconds: Dict[str, List[float]] = {name: [] for name in contenders}
    for run in range(args.runs + 1):
        names = list(contenders)
        for name in names[run % len(names) :] + names[: run % len(names)]:
            used, _ = contenders[name].costs(words, count, 1)
            if run:
                seconds[name].append(used)
    for name, values in seconds.items():
        print(f"{kind}, one core, {name}: {statistics.median(values) / count * 1e6:.1f} us a word")
    if before:
        wanted = {"JPEG": "at least 1.75", "as it is": "at least 1.3"}[kind]
        common.show_ratio(f"{kind}: before / after", seconds["before"], seconds["after"], wanted)


def _two_cores(
    kind: str, words: Path, args: argparse.Namespace, one: Checkout, other: Checkout
) -> None:
    shared: List[Tuple[float, float]] = []
    alone: List[Tuple[float, float]] = []
    for run in range(args.runs):
        for what in ("shared", "alone")[:: 1 - 2 * (run % 2)]:
            if what == "shared":
                shared.append(one.costs(words, args.stream, 2))
            else:
                for checkout in (one, other):
                    checkout.send(words, args.stream // 2, 1)
                answers = [_pair(checkout.answer()) for checkout in (one, other)]
                used, passed = (list(column) for column in zip(*answers))
                alone.append((sum(used), max(passed)))
    for at, unit in enumerate(("processor time", "time")):
        common.show_ratio(
            f"{kind}: two cores' stream / two processes, by {unit}",
            [pair[at] for pair in alone],
            [pair[at] for pair in shared],
            "at least 0.95",
        )


def _write(data: Path, folder: Path) -> Tuple[Dict[str, Path], int]:
    """Write the words and their JPEG copies to two files."""
    words = [sample.image for sample in LmdbSamples(data) if sample.image]
    copies = []
    for word in words:
        file = io.BytesIO()
        with Image.open(io.BytesIO(word)) as image:
            image.convert("RGB").save(file, "JPEG", quality=90)
        copies.append(file.getvalue())
    files = {"JPEG": folder / "jpeg", "as it is": folder / "stored"}
    files["JPEG"].write_bytes(pickle.dumps(copies))
    files["as it is"].write_bytes(pickle.dumps(words))
    return files, len(words)


if __name__ == "__main__":
    main()
