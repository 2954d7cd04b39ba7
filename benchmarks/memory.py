"""Peak memory: evaluate, read and prepare over few and over many samples, each in a process of its
own.

python benchmarks/memory.py --data words_lmdb --many 200000
python benchmarks/memory.py --data words_lmdb --few 10000 --many 1000000 --records --disk DIR

What is compared is anonymous memory, sampled every 10 ms: the pages of an LMDB that a process maps
are the system's cache, and go when they are needed. The data sets are real: bins are links to a few
files, the LMDB is written whole. --records measures what keeps records of bins: read to JSON Lines
and to a table, evaluate --run, and score, which joins two parts of a run.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Iterator, Mapping, NamedTuple, Sequence, Tuple

import common
import lmdb
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from crnn.jobs.prepare import PrepareRequest, prepare
from crnn.samples.lmdb import LmdbSamples


def write_lmdb(source: Path, target: Path, count: int) -> None:
    """Write an LMDB of ``count`` samples: those of the source, over and over."""
    words = [(sample.image or b"", (sample.label or "").encode()) for sample in LmdbSamples(source)]
    with lmdb.open(str(target), map_size=1 << 40, sync=False, lock=False) as environment:
        for start in range(0, count, 10000):
            with environment.begin(write=True) as transaction:
                for index in range(start, min(start + 10000, count)):
                    image, label = words[index % len(words)]
                    transaction.put(b"image-%09d" % (index + 1), image, append=False)
                    transaction.put(b"label-%09d" % (index + 1), label, append=False)
        with environment.begin(write=True) as transaction:
            transaction.put(b"num-samples", str(count).encode())


def write_bins(source: Path, folder: Path, count: int) -> None:
    """Prepare up to 2000 words, and link ``count`` bins to them."""
    first = min(2000, len(LmdbSamples(source)))
    words = common.Repeated(source, first)
    prepare(
        PrepareRequest(words, str(folder), folder.parent / "first.txt", common.SPEC, oov="strip")
    )
    labels = [
        line.partition(":")[2] for line in (folder.parent / "first.txt").read_text().splitlines()
    ]
    for index in range(first + 1, count + 1):
        (folder / f"test_{index}.bin").hardlink_to(folder / f"test_{(index - 1) % first + 1}.bin")
    with open(folder.parent / f"{folder.name}.txt", "w") as file:
        file.writelines(f"test_{index + 1}.bin:{labels[index % first]}\n" for index in range(count))


def write_model(path: Path) -> Path:
    """Write a model of the historical shapes that computes next to nothing:

    memory alone is measured here.
    """
    nodes = [
        helper.make_node("Slice", ["image", "starts", "ends", "axes"], ["cut"]),
        helper.make_node("Pad", ["cut", "pads"], ["small"]),
        helper.make_node("Squeeze", ["small", "one"], ["flat"]),
        helper.make_node("Transpose", ["flat"], ["logits"], perm=[2, 0, 1]),
    ]
    constants = {
        "starts": [0],
        "ends": [26],
        "axes": [3],
        "pads": [0, 0, 0, 0, 0, 0, 5, 0],
        "one": [1],
    }
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 1, 32, 100])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [26, "batch", 37])],
        [
            numpy_helper.from_array(np.array(value, dtype=np.int64), name)
            for name, value in constants.items()
        ],
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7),
        str(path),
    )
    return path


class Peak(NamedTuple):
    """The most anonymous memory of a command, in MiB, and the seconds that it took."""

    memory: float
    seconds: float


def peak(words: Sequence[str]) -> Peak:
    """Run crnn and return the most memory of its first process."""
    begin = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "crnn", *words],
        cwd=common.ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    most = 0
    while process.poll() is None:
        status = Path(f"/proc/{process.pid}/status").read_text()
        found = re.search(r"RssAnon:\s+(\d+)", status)
        most = max(most, int(found.group(1)) if found else 0)
        time.sleep(0.01)
    if process.returncode:
        raise SystemExit(
            f"{' '.join(words)}: {process.stderr.read().decode() if process.stderr else ''}"
        )
    return Peak(most / 1024, time.perf_counter() - begin)


def show(results: Mapping[Tuple[str, int], Peak], few: int, many: int) -> None:
    """Print the most memory of few samples and of many."""
    for name in dict.fromkeys(name for name, _ in results):
        first, second = results[name, few], results[name, many]
        rate = many / second.seconds
        print(
            f"{name:<28} {first.memory:8.1f} MiB  {second.memory:8.1f} MiB  "
            f" {second.memory / first.memory:.3f}   at most 1.1   {rate:8.0f} words/s"
        )


def keepers(model: Path, folder: Path, bins: Path) -> Iterator[Tuple[str, Sequence[str]]]:
    """Yield what keeps records, by name, each with its command; the files go into a folder."""
    shared = ["--batch", "64", "--threads", "1"]
    read = ["read", str(model), str(bins), *shared, "--out"]
    yield "read, JSON Lines", [*read, str(folder / "words.jsonl")]
    yield "read, Parquet", [*read, str(folder / "words.parquet")]
    evaluate = ["evaluate", str(model), str(bins), "--label", f"{bins}.txt", *shared]
    parts = [str(folder / "part1"), str(folder / "part2")]
    yield "evaluate --run", [*evaluate, "--run", parts[0], "--shard", "1/2"]
    yield "evaluate --run, other half", [*evaluate, "--run", parts[1], "--shard", "2/2"]
    yield "score, two parts of a run", ["score", *parts, "--json", str(folder / "r.json")]
    yield "evaluate --run, all of it", [*evaluate, "--run", str(folder / "whole")]


def measure_keepers(args: argparse.Namespace) -> None:
    """Measure what keeps records, and print."""
    with tempfile.TemporaryDirectory(dir=args.disk) as name:
        disk = Path(name)
        model = args.model or write_model(disk / "tiny.onnx")
        results = {}
        for count in (args.few, args.many):
            folder = disk / str(count)
            folder.mkdir()
            write_bins(args.data, folder / "bins", count)
            for what, words in keepers(model, folder, folder / "bins"):
                results[what, count] = peak(words)
                print(f"{what}, {count}: {results[what, count]}", flush=True)
    show(results, args.few, args.many)


def main() -> None:
    """Measure and print."""
    parser = common.arguments(__doc__)
    parser.add_argument("--few", type=int, default=2000)
    parser.add_argument("--many", type=int, default=200000)
    parser.add_argument(
        "--model", type=Path, help="an ONNX file (default: one that computes next to nothing)"
    )
    parser.add_argument(
        "--records", action="store_true", help="measure what keeps records, and nothing else"
    )
    parser.add_argument("--disk", type=Path, help="where the bins of --records are (default: /tmp)")
    args = parser.parse_args()
    common.head(f"peak memory, {args.few} and {args.many} samples", args)
    if args.records:
        measure_keepers(args)
        return
    with tempfile.TemporaryDirectory() as disk, common.scratch() as memory:
        model = args.model or write_model(Path(disk) / "tiny.onnx")
        threads = ["--threads", str(args.threads), "--batch", "64"]
        results = {}
        for count in (args.few, args.many):
            write_lmdb(args.data, Path(disk) / f"lmdb{count}", count)
            write_bins(args.data, Path(memory) / f"bins{count}", count)
            lmdb_, bins = f"{disk}/lmdb{count}", f"{memory}/bins{count}"
            results["evaluate, LMDB", count] = peak(["evaluate", str(model), lmdb_, *threads])
            results["evaluate, bins", count] = peak(
                ["evaluate", str(model), bins, "--label", f"{bins}.txt", *threads]
            )
            results["prepare", count] = peak(
                [
                    "prepare",
                    lmdb_,
                    f"{memory}/out",
                    "--label",
                    f"{memory}/out.txt",
                    "--dtype",
                    "uint8",
                ]
            )
    show(results, args.few, args.many)


if __name__ == "__main__":
    common.run(main)
