"""prepare's processor time beside an earlier checkout's, and a pack's beside a file a word.

python benchmarks/preparing.py --data words_lmdb --before ../crnn-before --out /some/disk

From JPEG copies of the words (quality 90) and from the words as they are. One thread, in a process
for each checkout, which take turns; what is compared are processor seconds, those of the system for
it included, which other programs on the machine change little.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
from pathlib import Path
from typing import Dict, List

import common
from decode import Checkout, words_of

from crnn.samples.lmdb_writer import new_lmdb

WANTED = {"JPEG": "at least 1.6", "as they are": "at least 1.2"}


def main() -> None:
    """Measure and print."""
    parser = common.arguments(__doc__)
    parser.add_argument("--before", type=Path, required=True, help="a checkout to compare with")
    parser.add_argument("--words", type=int, default=4000, help="words a run (default 4000)")
    parser.add_argument("--out", type=Path, help="a folder to write in (default: in memory)")
    args = parser.parse_args()
    common.head("prepare", args)
    with tempfile.TemporaryDirectory() as data, common.scratch() as memory:
        out = Path(tempfile.mkdtemp(dir=args.out or memory))
        try:
            for kind, words in words_of(args.data).items():
                path = Path(data) / kind.replace(" ", "_")
                with new_lmdb(path) as writer:
                    for number in range(args.words):
                        writer.add(words[number % len(words)], "word")
                _compare(kind, path, out, args)
        finally:
            shutil.rmtree(out)


def _compare(kind: str, data: Path, out: Path, args: argparse.Namespace) -> None:
    here = Checkout(common.ROOT)
    contenders = {
        "before": (Checkout(args.before.resolve()), "prepare"),
        "after": (here, "prepare"),
        "pack": (here, "pack"),
    }
    seconds: Dict[str, List[float]] = {name: [] for name in contenders}
    for run in range(args.runs):
        names = list(contenders)
        for name in names[run % 3 :] + names[: run % 3]:
            checkout, how = contenders[name]
            seconds[name].append(float(checkout.ask(data, out / name, how)))
            _remove(out)
    for name, values in seconds.items():
        print(f"{kind}, {name}: {statistics.median(values) / args.words * 1e6:.1f} us a word")
    common.show_ratio(f"{kind}: before / after", seconds["before"], seconds["after"], WANTED[kind])
    common.show_ratio(
        f"{kind}: a file a word / a pack", seconds["after"], seconds["pack"], "at least 1.3"
    )


def _remove(out: Path) -> None:
    for path in out.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


if __name__ == "__main__":
    main()
