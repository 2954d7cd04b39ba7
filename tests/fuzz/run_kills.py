"""``python -m tests.fuzz.run_kills``: evaluations and readings that are kept in a folder, killed at
any moment.

SIGKILL hits the command, one of the processes that it has started, or all. Five seconds later no
process of it is there, nor anything that it has put into /dev/shm or the folder of temporary files.
The command is then gone on with, killed again now and then, and its result has to be that of one
that nothing happened to.

With ``--terminate`` it is SIGTERM, which the command answers, in place of SIGKILL: how many seconds
passed until nothing of it was there is told, and more than ten are a fault.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import json
import os
import random
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Sequence, Set

from crnn.cli import console
from tests.ascend.machine import write_om
from tests.conftest import ROOT
from tests.fuzz.tally import try_all
from tests.models import write_bins, write_echo_model, write_images

WORDS = 60
"""Pictures; lists name them many times over."""
LIMIT = 5.0
"""Seconds after which nothing is left of a killed command."""
ENDS = 10.0
"""Seconds in which a command that is asked to has ended."""


@dataclass(frozen=True)
class Case:
    """An evaluation or a reading: its name, the command without its run, the option for what comes
    of it, and the ending of that file's name.
    """

    name: str
    command: Sequence[str]
    option: str = "--json"
    ending: str = ".json"


def cases(place: Path) -> List[Case]:
    """Make models and words, and return what is killed: images that other processes decode, bins
    and images on two simulated chips.
    """
    texts = [f"{number % 7}a{number % 5}" for number in range(WORDS)]
    (place / "tmp").mkdir()
    write_echo_model(place / "m.onnx")
    write_om(place / "m.om")
    images = write_images(place / "images", texts)
    line = (images / "annotation.txt").read_text()
    (images / "annotation.txt").write_text(line * 100)  # enough for processes to decode them
    bins = write_bins(place, texts)
    many = place / "many"
    many.mkdir()
    labels = []
    for number in range(1, 1501):
        source = (number - 1) % WORDS
        os.link(bins / f"test_{source + 1}.bin", many / f"test_{number}.bin")
        labels.append(f"test_{number}.bin:{texts[source]}\n")
    (place / "label.txt").write_text("".join(labels))
    names = sorted(path.name for path in images.iterdir() if path.suffix == ".png")
    (place / "list").write_text("".join(f"images/{name}\n" for name in names * 100))
    (place / "short").write_text("".join(f"images/{name}\n" for name in names * 25))
    crnn = (sys.executable, "-m", "crnn", "evaluate")
    read = (sys.executable, "-m", "crnn", "read")
    out = ("--out", ".jsonl")
    simulator = (sys.executable, "-m", "crnn.simulator", "--devices", "2", "--")
    labelled = ("--label", "label.txt")
    return [
        Case("processes", (*crnn, "m.onnx", "images", "--batch", "16", "--threads", "2")),
        Case(
            "chips",
            (*simulator, *crnn, "m.om", "many", *labelled, "--batch", "4", "--device", "0,1"),
        ),
        Case(
            "reading", (*read, "m.onnx", "--list", "list", "--batch", "16", "--threads", "2"), *out
        ),
        Case(
            "reading-chips",
            (*simulator, *read, "m.om", "--list", "short", "--batch", "4", "--device", "0,1"),
            *out,
        ),
    ]


def started(place: Path, case: Case, *words: str) -> subprocess.Popen[bytes]:
    """Start an evaluation as the leader of a session."""
    return subprocess.Popen(
        [*case.command, *words],
        cwd=place,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1",
            "TMPDIR": str(place / "tmp"),
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def members(session: int) -> Dict[int, str]:
    """Return the living processes of a session, each with its command line."""
    found = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            fields = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
            words = Path(f"/proc/{entry}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] not in "ZX":
            found[int(entry)] = words
    return found


def shared_memory(session: int) -> Set[str]:
    """Return the files of /dev/shm that the processes of a session have in their memory."""
    found: Set[str] = set()
    for pid in members(session):
        with contextlib.suppress(OSError):
            maps = Path(f"/proc/{pid}/maps").read_text(errors="replace")
            found.update(re.findall(r"/dev/shm/\S+", maps))
    return found


def litter(place: Path, shared: Set[str]) -> List[str]:
    """Return what stands where killed commands leave things, of theirs alone: other programs put
    things there too.
    """
    left = [name for name in sorted(shared) if os.path.lexists(name)]
    # ONNX Runtime keeps .ses there, killed or not.
    return left + sorted(set(os.listdir(place / "tmp")) - {".ses"})


def result(path: Path) -> Any:
    """Return a result without what time makes of it, and the chips whose process was killed; of a
    reading, its records.
    """
    if path.suffix == ".jsonl":
        return path.read_bytes()
    data = json.loads(path.read_text())
    for name in ("date", "command", "throughput", "stages"):
        del data[name]
    data.pop("given_up", None)
    return data


class Tries:
    """The kills of one case; with ``terminate`` it is asked to end."""

    def __init__(self, place: Path, case: Case, seed: int, *, terminate: bool = False) -> None:
        self._terminate = terminate
        self.ended: List[float] = []
        """The seconds that it took to end when it was asked to."""
        self.kills: Dict[str, int] = collections.Counter()
        self.faults: List[str] = []
        self._place = place
        self._case = case
        self._chance = random.Random(f"{case.name} {seed}")
        begin = time.monotonic()
        self._finish("plain")
        self._seconds = time.monotonic() - begin
        self._finish("run", "--run", f"{case.name}-whole")
        self._whole = self._result("run")
        if self._plain() != self._whole:
            self.faults.append(f"{case.name}: another result than without --run")

    def once(self, number: int) -> None:
        """Kill a run once or more, go on with it, and look at its result."""
        run = f"{self._case.name}{number}"
        for _ in range(self._chance.choice((1, 1, 1, 2, 3))):
            if self._terminate:
                self._ask_to_end(run)
            else:
                self._kill(run)
        self._finish(run, "--run", run, "--resume")
        if self._result(run) != self._whole:
            self.faults.append(f"{run}: another result")
        left = [path.name for path in (self._place / run / "shards").iterdir()]
        if any(not name.endswith(".jsonl") for name in left):
            self.faults.append(f"{run}: left {sorted(left)}")
        shutil.rmtree(self._place / run)

    def _result(self, name: str) -> Any:
        return result(self._place / f"{name}{self._case.ending}")

    def _plain(self) -> Any:
        """Return what came of it without a run."""
        plain = self._result("plain")
        if isinstance(plain, dict):
            # A run names all that may decode its images; an evaluation what has decoded them.
            plain["versions"] = self._whole["versions"]
        return plain

    def _finish(self, name: str, *words: str) -> None:
        out = (self._case.option, f"{name}{self._case.ending}")
        process = started(self._place, self._case, *words, *out)
        try:
            _, told = process.communicate(timeout=150)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        if process.returncode:
            raise AssertionError(f"{name}: {process.returncode} {told.decode()[-600:]}")

    def _kill(self, run: str) -> None:
        # A reading without --out prints its records.
        out = (self._case.option, f"{run}{self._case.ending}")
        process = started(self._place, self._case, "--run", run, "--resume", *out)
        self._wait(self._place / run, process)
        shared = shared_memory(process.pid)
        how = self._chance.choice(("the command", "the command", "a process of its", "all"))
        if process.poll() is not None:
            how = "too late"
        elif how != "all" and not self._send(process.pid, how, signal.SIGKILL):
            how = "all"  # the simulator has not started it yet
        if how == "all":
            os.killpg(process.pid, signal.SIGKILL)
        self.kills[how] += 1
        end = time.monotonic() + LIMIT
        while how == "the command" and time.monotonic() < end:
            if not members(process.pid) and not self._left(how, shared):
                break
            time.sleep(0.05)
        left = members(process.pid)
        if how == "the command" and left:
            self.faults.append(f"{run}: {LIMIT:g} s later there were {left}")
        try:
            process.communicate(timeout=150)
        except subprocess.TimeoutExpired:
            self.faults.append(f"{run}: did not end after SIGKILL of {how}")
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
        found = self._left(how, shared)
        if found:
            self.faults.append(f"{run}: {how}: left {found}")
        for path in (self._place / "tmp").iterdir():
            if path.is_dir():
                shutil.rmtree(path)

    def _ask_to_end(self, run: str) -> None:
        out = (self._case.option, f"{run}{self._case.ending}")
        process = started(self._place, self._case, "--run", run, "--resume", *out)
        self._wait(self._place / run, process)
        begin = time.monotonic()
        how = "too late"
        if process.poll() is None and self._send(process.pid, "the command", signal.SIGTERM):
            how = "asked to end"
        self.kills[how] += 1
        process.communicate(timeout=150)
        while members(process.pid):
            time.sleep(0.01)
        if how == "too late":
            return
        self.ended.append(time.monotonic() - begin)
        if self.ended[-1] > ENDS:
            self.faults.append(f"{run}: it took {self.ended[-1]:.1f} s to end")

    def _left(self, how: str, shared: Set[str]) -> List[str]:
        if how == "all":
            return []  # what clears up after the others was killed too
        found = litter(self._place, shared)
        # The simulator's own folder is none of the command's.
        return [name for name in found if not name.startswith("crnn-simulator")]

    def _wait(self, run: Path, process: subprocess.Popen[bytes]) -> None:
        """Wait for a moment: any, or one at which records are written."""
        if self._chance.random() < 0.3:
            time.sleep(self._chance.random() * self._seconds)
            return
        while process.poll() is None and not any(run.glob("shards/*.part")):
            time.sleep(0.002)
        time.sleep(self._chance.random() * 0.4)

    def _send(self, session: int, how: str, number: signal.Signals) -> bool:
        found = members(session)
        own = [pid for pid, words in found.items() if " -m crnn " in words]
        own = [pid for pid in own if "crnn.simulator" not in found[pid]]
        others = [pid for pid, words in found.items() if "multiprocessing" in words]
        chosen = own
        if how != "the command" and others:
            chosen = others
        for pid in self._chance.sample(chosen, min(1, len(chosen))):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        return bool(chosen)


def main() -> int:
    """Kill, and return 1 if a result was another one or anything was left."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.run_kills", description=__doc__)
    parser.add_argument("--count", type=int, default=100, help="kills of each case (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="default %(default)s")
    parser.add_argument("--terminate", action="store_true", help="send SIGTERM to the command")
    parser.add_argument("--case", action="append", help="a case's name, as processes; default: all")
    args = parser.parse_args()
    place = Path(tempfile.mkdtemp(prefix="crnn-kills-"))
    try:
        chosen = [case for case in cases(place) if not args.case or case.name in args.case]
        tried: List[Tries] = []

        def tries(case: Case) -> Tries:
            tried.append(Tries(place, case, args.seed, terminate=args.terminate))
            return tried[-1]

        code = try_all(chosen, tries, args.count)
        for case, one in zip(chosen, tried):
            if one.ended:
                middle, most = statistics.median(one.ended), max(one.ended)
                console.out(f"{case.name}: ended in {middle:.2f} s, at most {most:.2f} s")
        return code
    finally:
        shutil.rmtree(place, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
