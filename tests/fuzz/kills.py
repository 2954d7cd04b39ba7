"""``python -m tests.fuzz.kills``: commands that write over an old output, killed at any moment.

After each kill every output is the old one or the new one, whole; after the next run nothing that
the killed one left is there.
"""

from __future__ import annotations

import argparse
import collections
import errno
import hashlib
import os
import random
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, List, Optional, Sequence, Tuple

import lmdb

from crnn import exchange
from crnn.leftovers import tidy
from crnn.samples.lmdb import DATA_FILE
from tests.conftest import ROOT
from tests.fuzz.forked import Child, command, warm
from tests.fuzz.tally import try_all

WORDS = ROOT / "examples" / "words_lmdb"
TINY = ["channels=[4,4,6,6,8,8,8]", "hidden=8", "batch_size=8", "plot=false", "workers=0"]
TORCHLESS = frozenset(("prepare", "convert", "synth"))
"""The verbs that need neither PyTorch nor an exported model."""
Commands = Sequence[Sequence[object]]


@dataclass(frozen=True)
class Case:
    """A verb: two command lines that write the same outputs, differently.

    ``same`` says whether a killed one is to be finished before the other is begun; ``whole`` tells
    of an output that is not one of the two known ones whether it is whole.
    """

    name: str
    commands: Commands
    outputs: Sequence[Path]
    same: bool = False
    whole: Optional[Callable[[Path], bool]] = None


def cases(place: Path, *, exported: bool = True) -> List[Case]:
    """Make the inputs, in a folder of their own, and return the cases; without an exported model
    those of `TORCHLESS` alone can be run.
    """
    inputs = place / "inputs"
    checkpoint, onnx = ROOT / "examples" / "crnn_small.pth", inputs / "crnn.onnx"
    inputs.mkdir()
    if exported:
        _done(command("export", checkpoint, onnx))
    for name, words in (("a", range(20)), ("b", range(25))):
        _images(inputs / name, words)
    there = {name: place / name / "out" for name in ("prepare", "convert", "synth", "train")}
    for folder in there.values():
        folder.parent.mkdir(parents=True)
    files = {name: place / name / "out.onnx" for name in ("export", "quantize")}
    for file in files.values():
        file.parent.mkdir()
    (inputs / "words.txt").write_text("one\ntwo\nthree\nfour\n")
    out = there["prepare"]
    label = out.with_name("label.txt")
    prepare = ["prepare", WORDS, out, "--label", label, "--force"]
    convert = ["dataset", "convert", "tsv"]
    synth = [
        "dataset",
        "synth",
        there["synth"],
        "--count",
        40,
        "--words",
        inputs / "words.txt",
        "--force",
        "--seed",
    ]
    train = ["train", "modelzoo-1p", f"train={WORDS}", f"valid={WORDS}", *TINY, "threads=1",
             "save_every=1 steps", "evaluate_every=4 steps", "keep=2", "schedule_length=9 steps",
             "--out", there["train"]]  # fmt: skip
    quantize = ["quantize", onnx, files["quantize"], "--calibrate", WORDS, "--count"]
    split = [[], ["--split-bilstm"]]
    return [
        Case(
            "prepare",
            [prepare, [*prepare, "--dtype", "uint8"]],
            [out, out.with_name("out.json"), label],
        ),
        Case(
            "convert",
            [[*convert, inputs / name, there["convert"], "--force"] for name in ("a", "b")],
            [there["convert"]],
        ),
        Case("synth", [[*synth, 1], [*synth, 2]], [there["synth"]], same=True),
        Case(
            "train",
            [[*train, "length=9 steps"], [*train, "length=9 steps", "--resume"]],
            [there["train"]],
            whole=_is_a_run,
        ),
        Case(
            "export",
            [["export", checkpoint, files["export"], *options] for options in split],
            [files["export"]],
        ),
        Case("quantize", [[*quantize, 8], [*quantize, 40]], [files["quantize"]]),
    ]


def _images(folder: Path, words: Sequence[int]) -> None:
    from crnn.samples.lmdb import LmdbSamples

    folder.mkdir(parents=True)
    lines = []
    samples = LmdbSamples(WORDS)
    for number in words:
        sample = samples.sample(number + 1)
        assert sample.image is not None
        (folder / f"{number}.png").write_bytes(sample.image)
        lines.append(f"{number}.png\t{sample.label}\n")
    (folder / "labels.tsv").write_text("".join(lines))


def _is_a_run(folder: Path) -> bool:
    """Say whether each file of a run can be read, in a child: PyTorch starts threads."""
    if not folder.exists():
        return True

    def read() -> int:
        import torch

        for path in folder.glob("*.pth"):
            if path.name.startswith("."):
                continue
            content = torch.load(path, weights_only=True)
            assert content["crnn.training"]["step"] > 0
        text = (folder / "recipe.yaml").read_text()
        assert text.endswith("plot: false\n"), text
        return 0

    return Child(read).end().code == 0


def _done(work: Callable[[], int]) -> float:
    ended = Child(work).end()
    if ended.code:
        raise AssertionError(ended.text)
    return ended.seconds


def digest(path: Path) -> str:
    """Return what stands for all that is in a file or folder; "" where there is none."""
    if not path.exists():
        return ""
    made = hashlib.sha256()
    if (path / DATA_FILE).exists():
        # Words that were rendered in two runs lie on other pages.
        with lmdb.open(str(path), readonly=True, lock=False) as there, there.begin() as reading:
            for key, value in reading.cursor():
                made.update(key + b"\0" + value)
        return made.hexdigest()
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if file.name in ("lock.mdb", "recipe.json", "synth.lock"):
            continue
        made.update(f"{file.name} {file.stat().st_size}\n".encode())
        made.update(file.read_bytes())
    return made.hexdigest()


class Tries:
    """The kills of one case."""

    def __init__(self, case: Case, seed: int, *, refused: bool = False) -> None:
        self.case = case
        self._refused = refused
        self._chance = random.Random(f"{case.name} {seed}")
        self._turn = 0
        self.kills: Dict[str, int] = collections.Counter()
        self.faults: List[str] = []
        self._seconds = 0.0
        self._known: Dict[Path, set[str]] = {path: set() for path in case.outputs}
        for index in (0, 1):
            if case.name == "train" and index:
                break
            self._seconds = _done(command(*case.commands[index]))
            for path in case.outputs:
                self._known[path].add(digest(path))

    def once(self, number: int) -> None:
        """Start a command, kill it, look at the outputs, and clean up as a user would."""
        case, chance = self.case, self._chance
        if case.name == "train":
            self._reset_train()
        argv = case.commands[self._turn]
        child = Child(command(*argv))
        how = chance.choice(("at any moment", "while it writes", "as it replaces"))
        self._wait(child, how)
        if child.ended():
            self.kills["too late"] += 1
        else:
            self.kills[how] += 1
        child.kill(group=chance.random() < 0.5)
        ended = child.end(60)
        self._look(f"{case.name} {number}: killed {how}: {ended.text[-300:]}")
        if number % 4 == 3 or case.same:
            self._finish(number)
        else:
            self._turn = 1 - self._turn

    def _finish(self, number: int) -> None:
        """Run the same to its end: then the output is whole and nothing else is there."""
        ended = Child(command(*self.case.commands[self._turn])).end(60)
        name = f"{self.case.name} {number}: the next run"
        if ended.code:
            self.faults.append(f"{name} ended with {ended.code}: {ended.text[-500:]}")
        self._look(name)
        folder = self.case.outputs[0].parent
        left = {path.name for path in folder.iterdir()} - {path.name for path in self.case.outputs}
        if folder.parent and left:
            self.faults.append(f"{name} left {sorted(left)}")
        self._turn = 1 - self._turn

    def _look(self, where: str) -> None:
        if self._refused:
            # Not one step: the next command in that place puts the old one back.
            tidy(self.case.outputs[0].parent)
        for path in self.case.outputs:
            if self.case.whole is not None:
                sound = path.exists() and self.case.whole(path)
            else:
                sound = digest(path) in self._known[path]
            if not sound:
                self.faults.append(f"{where}: {path.name} is neither the old one nor the new one")

    def _reset_train(self) -> None:
        folder = self.case.outputs[0]
        self._turn = 1
        if self._step(folder) >= 9:
            shutil.rmtree(folder)
            self._first(folder)

    def _first(self, folder: Path) -> None:
        _done(command(*self.case.commands[0], "--max-steps", 1))
        assert folder.exists()

    def _step(self, folder: Path) -> int:
        found = [
            int(path.name.split("_step_")[1].split("_")[0]) for path in folder.glob("ch*_step_*")
        ]
        return max(found, default=9)

    def _wait(self, child: Child, how: str) -> None:
        chance = self._chance
        if how == "at any moment":
            time.sleep(chance.uniform(0, 1.05 * self._seconds))
            return
        before = _inodes(self.case.outputs)
        folder = self.case.outputs[0]
        if self.case.name != "train":
            folder = folder.parent
        while not child.ended():
            if how == "while it writes" and _hidden(folder):
                time.sleep(chance.choice((0.001, 0.01, 0.3 * self._seconds)) * chance.random())
                return
            if how == "as it replaces" and _inodes(self.case.outputs) != before:
                time.sleep(chance.choice((0, 0, 0.0002, 0.001, 0.005)) * chance.random())
                return
            # Short beside what is waited for, and the processor is the command's meanwhile.
            time.sleep(0.00002)


def _hidden(folder: Path) -> bool:
    try:
        return any(name.startswith(".crnn-") for name in os.listdir(folder))
    except FileNotFoundError:
        return False


def _inodes(paths: Sequence[Path]) -> Tuple[int, ...]:
    found = []
    for path in paths:
        try:
            state = path.stat()
            found.append(state.st_ino + (state.st_mtime_ns if path.suffix == "" else 0))
        except FileNotFoundError:
            found.append(0)
    return tuple(found)


def main() -> int:
    """Kill, and return 1 if an output was lost."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.kills", description=__doc__)
    parser.add_argument("--count", type=int, default=84, help="kills of each verb (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="default %(default)s")
    parser.add_argument("--verb", action="append", help="default: all")
    parser.add_argument("--refused", action="store_true", help="as if renameat2 were refused")
    args = parser.parse_args()
    needs_torch = not args.verb or not TORCHLESS.issuperset(args.verb)
    warm(torch=needs_torch)
    if args.refused:
        exchange._renameat2 = lambda first, second: errno.EINVAL
        os.replace = _slowly(os.replace)
    place = Path(tempfile.mkdtemp(prefix="crnn-kills-"))
    try:
        every = cases(place, exported=needs_torch)
        chosen = [case for case in every if not args.verb or case.name in args.verb]
        return try_all(
            chosen, lambda case: Tries(case, args.seed, refused=args.refused), args.count
        )
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _slowly(replace: Callable[..., None]) -> Callable[..., None]:
    """Return a rename that takes its time, so that a kill hits what is between two of them."""

    def slow(*paths: Path) -> None:
        replace(*paths)
        time.sleep(0.01)

    return slow


if __name__ == "__main__":
    sys.exit(main())
