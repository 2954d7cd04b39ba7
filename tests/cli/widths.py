"""The longest line of what every verb prints, in a pipe, where lines are 80 columns wide.

python -m tests.cli.widths

prints the table. What programs read is left out: JSON, the lines of ``crnn read``, and the lines of
other systems that ``--format`` asks for.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Iterator, List, NamedTuple, Sequence

from crnn.cli import console
from crnn.cli.console import columns_of, pieces
from crnn.cli.main import main as crnn
from tests.conftest import ROOT
from tests.foreign import few_words_lmdb
from tests.simulated import inside

WIDTH = 80

RUNS = """
crnn
crnn export crnn_small.pth crnn.onnx
crnn export crnn_small.pth
crnn export crnn_small.pth other.onnx --words words_lmdb --lstm-gate-order igfo
crnn import torch crnn_small.pth taken.pth
crnn import torch words_lmdb taken.pth
crnn import check crnn_small.pth crnn.onnx --data words_lmdb
crnn inspect crnn_small.pth
crnn inspect crnn.onnx
crnn inspect words_lmdb
crnn spec set crnn.onnx mindspore-native -o set.onnx
crnn prepare words_lmdb input_bin
crnn prepare nothing_lmdb input_bin
crnn evaluate crnn.onnx input_bin --label label.txt --readings readings.jsonl --save-outputs raw
crnn evaluate crnn.onnx words_lmdb --show-misses 9 --min-accuracy 1
crnn evaluate crnn.onnx words_lmdb --rehearse float16 --against readings.jsonl --max-differ 300
crnn evaluate set.onnx words_lmdb --against readings.jsonl
crnn evaluate models words_lmdb words_lmdb
crnn evaluate crnn.onnx input_bin
crnn evalute crnn.onnx input_bin
crnn score raw --label label.txt
crnn score raw
crnn read nothing.onnx word.png
crnn compare crnn.onnx readings.jsonl --data input_bin --label label.txt --batches 1,7
crnn report readings.jsonl -o report.html
crnn report nothing.json -o report.html
crnn calibrate crnn.onnx words_lmdb -o calibrated.onnx
crnn quantize crnn.onnx int8.onnx
crnn quantize crnn.onnx int8.onnx --calibrate nothing_lmdb
crnn bench crnn.onnx --data words_lmdb --batch 1,4 --loop 3 --versus int8.onnx --budget 0.001
crnn bench crnn.onnx --data words_lmdb --batch 1,4 --loop 3 --budget 90000 --threads 1,2
crnn explain 507011 E10016 EZ9999 0x7BC83 507999 ACL_ERROR_RT_CONTEXT_NUL
crnn explain 1
crnn doctor
crnn doctor --ascend
crnn doctor crnn.onnx
crnn doctor crnn_small.pth --ascend
crnn compile crnn.onnx crnn_bs1
crnn compile crnn.onnx crnn_bs1 --tune --cann 8.0
crnn compile crnn.onnx crnn_bs1 --tune --cann 5.0 --dry-run
crnn compile crnn.onnx crnn_bs1 --cann 3.1 --dry-run --aipp
crnn dataset extract words_lmdb words
crnn dataset convert folder words folder_lmdb
crnn dataset convert folder words_lmdb other_lmdb
crnn dataset check words_lmdb --against folder_lmdb
crnn dataset check folder_lmdb --alphabet abc
crnn dataset stats words_lmdb
crnn dataset show words_lmdb sheet.png --count 4
crnn dataset show words_lmdb sheet.png --keys test_0
crnn dataset merge words_lmdb folder_lmdb --out merged_lmdb
crnn dataset split words_lmdb --part first=0.5 --part second=0.5 --seed 1
crnn dataset synth rendered_lmdb --count 3 --seed 1 --words word_list --processes 1
crnn train synthetic --show
crnn train synthetic train=words_lmdb valid=words_lmdb batch_size=8 precision=float32 workers=0 --max-steps 2 --out run
crnn train synthetic tarin=words_lmdb
crnn train nothing
"""  # noqa: E501
"""A run of each verb and more, some of which fail."""

SIMULATED = """
./atc_crnn.sh crnn.onnx crnn_bs1
python -m crnn.simulator -- ./atc_crnn.sh crnn.onnx crnn_bs1
python -m crnn.simulator -- python -m crnn evaluate crnn_bs1.om input_bin --label label.txt
python -m crnn.simulator -- python -m crnn inspect crnn_bs1.om
python -m crnn.simulator -- python -m crnn doctor crnn_bs1.om --run
python -m crnn.simulator -- bash -c "source ./acl_env_x86.sh"
python -m crnn.simulator -- python -c "import acl; acl.init(); acl.rt.malloc(1, 2)"
python -m crnn.simulator -- npu-smi info
"""
"""Those that start a process; CANN's own programs print as they like."""
OTHERS = ("atc: ", "+--", "|")
"""What other programs' lines begin with."""


class Printed(NamedTuple):
    """What a command printed."""

    command: str
    lines: Sequence[str]

    @property
    def longest(self) -> str:
        """Its longest line."""
        return max(self.lines, key=columns_of, default="")

    @property
    def broken(self) -> List[str]:
        """Its lines that are too wide and could have been broken."""
        return [line for line in self.lines if columns_of(line) > WIDTH and _breakable(line)]


def _breakable(line: str) -> bool:
    """Say whether a line has a place to break at, but for a list's name or a sign before it."""
    if line.startswith(OTHERS):
        return False
    words = [word.strip(" ") for word in pieces(line.strip(" "))]
    # What cannot be broken may stand beside the name that it is the value of.
    longest = max(columns_of(word) for word in words)
    rest = columns_of(" ".join(words)) - longest
    return rest > 24 or longest < WIDTH - 24


def lay_out(folder: Path) -> None:
    """Put what the commands need into a folder."""
    (folder / "crnn_small.pth").symlink_to(ROOT / "examples" / "crnn_small.pth")
    # As many digits as all of them have; quantize wants 64 at least.
    few_words_lmdb(folder / "words_lmdb", 100)
    for name in ("crnn", "atc_crnn.sh", "acl_env_x86.sh", "acl_env_arm.sh"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "models").mkdir()
    shutil.copy(str(ROOT / "examples" / "crnn_small.pth"), str(folder / "models" / "last.pth"))
    (folder / "word_list").write_text("one\ntwo\nthree\n", encoding="ascii")


def printed_here(
    folder: Path, commands: Sequence[str] = RUNS.strip().splitlines()
) -> Iterator[Printed]:
    """Run commands in this process, one after another."""
    with inside(folder):
        for command in commands:
            said = io.StringIO()
            with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
                crnn(command.split()[1:])
            yield Printed(command, said.getvalue().splitlines())


def printed_elsewhere(folder: Path) -> Iterator[Printed]:
    """Run each of `SIMULATED` in a process of its own."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environ = {**os.environ, "PATH": path}
    for command in SIMULATED.strip().splitlines():
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=str(folder),
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            check=False,
        )
        yield Printed(command, done.stdout.splitlines())


def main() -> None:
    """Print the longest line of each command, and those that are too wide."""
    with tempfile.TemporaryDirectory(prefix="crnn-widths-") as name:
        lay_out(Path(name))
        found = [*printed_here(Path(name)), *printed_elsewhere(Path(name))]
    console.out("longest  too wide  command")
    for run in found:
        console.out(f"{columns_of(run.longest):7}  {len(run.broken):8}  {run.command}")
    for run in found:
        for line in run.broken:
            console.out(f"{run.command}: {line}")


if __name__ == "__main__":
    main()
