"""What somebody with a chip can send back, made by one command.

Each step is a command of the kit in a process of its own; one that fails or takes too long is noted
and the next one runs. At the end all texts are freed of what names the user or the machine, and
packed into one archive.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, List, Mapping, Optional, Sequence, Tuple

import crnn
from crnn.ascend.environment import npu_smi
from crnn.ascend.probe import probe
from crnn.errors import InputError
from crnn.files import json_text, write_text
from crnn.jobs.redact import Redaction, redaction

SCHEMA = "crnn-chip-report/1"
ARCHIVE = "crnn-chip-report.tar.gz"
STEP_SECONDS = 300.0
"""The most that one step may take: a first compilation by ATC takes about a minute."""
TOTAL_SECONDS = 1200.0
"""After this no further step is begun."""
MAX_BYTES = 4 << 20
"""The most of one text that is kept: its end."""

KIT = Path(crnn.__file__).resolve().parent.parent
WORDS = KIT / "examples" / "words_lmdb"
CHECKPOINT = KIT / "examples" / "crnn_small.pth"

OK, FAILED, TIMED_OUT, SKIPPED = "ok", "failed", "timed out", "skipped"

# Each OM that is compiled: its name and the flags for crnn compile.
_OMS: Tuple[Tuple[str, Tuple[str, ...]], ...] = (
    ("bs1", ()),
    ("bs16", ("--batch", "16")),
    ("gears", ("--batch", "1,4,8,16")),
    ("dims", ("--batch", "1,4,8,16", "--gears", "dims")),
    ("u8", ("--batch", "16", "--aipp")),
    ("fp32", ("--precision", "force_fp32")),
)
_SET = ("--batch", "1,4,8,16", "--static-set")
_WIDTHS = "80,128,200"
"""Three, as a chip is advised to have: each is minutes of ATC."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Step:
    """A command, and the files without which it is passed over.

    ``words`` are those of a verb of the kit, or a program's where ``outside``; what it prints is
    kept as ``NAME.txt``.
    """

    name: str
    words: Tuple[str, ...]
    needs: Tuple[str, ...] = ()
    outside: bool = False


@dataclass(frozen=True)
class Done:
    """What became of a step; ``exit`` is None where it did not end by itself."""

    name: str
    outcome: str
    exit: Optional[int] = None
    seconds: float = 0.0
    why: str = ""


@dataclass(frozen=True)
class ChipReport:
    """A finished report: its archive, its page, and what became of each step."""

    archive: Path
    page: Path
    steps: Tuple[Done, ...]
    simulated: bool


def make_report(
    folder: Path,
    *,
    model: Optional[Path],
    environ: Mapping[str, str],
    say: Say,
    step_seconds: float = STEP_SECONDS,
    total_seconds: float = TOTAL_SECONDS,
) -> ChipReport:
    """Make the report.

    Args:
        folder: Where it goes; made if it is missing, and empty otherwise.
        model: An ONNX or an OM; None takes the kit's own example.
        environ: Environment variables.
        say: Takes a line before each step, and its outcome.
        step_seconds: The most that a step may take.
        total_seconds: After this no further step is begun.

    Returns:
        The report. That steps failed does not keep it from being made.

    Raises:
        InputError: The folder holds something, or cannot be written to.
    """
    report, work = _folders(folder)
    clean = redaction(
        {"<report>": report, "<work>": work, "<kit>": KIT, "<here>": Path.cwd()}, environ
    )
    begun = time.monotonic()
    results = []
    for step in _steps(report, model):
        left = total_seconds - (time.monotonic() - begun)
        result = _missing(step, work)
        if result is None and left <= 0:
            result = Done(step.name, SKIPPED, why="out of time")
        if result is None:
            say(f"{step.name} …")
            result = _run(step, report, work, environ, min(step_seconds, left))
        say(f"{step.name}: {_told(result)}")
        results.append(result)
    simulated = probe().simulated
    _collect(work, report)
    _write_summary(report, results, simulated)
    for path in sorted(report.iterdir()):
        _redact(path, clean)
    page = report / "README.txt"
    write_text(page, _page(results, simulated))
    archive = folder / ARCHIVE
    _pack(report, archive)
    return ChipReport(archive, page, tuple(results), simulated)


def _folders(folder: Path) -> Tuple[Path, Path]:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(
            f"{folder} is not an empty folder", hint="Name one that does not exist yet."
        )
    report, work = folder.resolve() / "report", folder.resolve() / "work"
    try:
        report.mkdir(parents=True)
        work.mkdir()
    except OSError as error:
        raise InputError(f"{folder} cannot be made: {error.strerror}") from error
    return report, work


def _steps(report: Path, model: Optional[Path]) -> List[Step]:
    """Return all steps in their order; of an OM that is given the few that it can take."""
    steps = [
        Step("machine", ("doctor", "--ascend")),
        Step("machine_json", ("doctor", "--ascend", "--json", str(report / "machine.json"))),
        Step("npu_smi", ("npu-smi", "info"), outside=True),
        *_words_steps(),
    ]
    if model is not None and model.suffix == ".om":
        return [*steps, *_om_steps(report, "given", str(model.resolve()), False)]
    onnx = "crnn.onnx"
    if model is None:
        steps.append(Step("export", ("export", str(CHECKPOINT), onnx), (str(CHECKPOINT),)))
        return [*steps, *_onnx_steps(report, onnx), *_widths_steps(report)]
    onnx = str(model.resolve())
    return [*steps, *_onnx_steps(report, onnx)]


def _words_steps() -> List[Step]:
    """Prepare the example's words, as values and as pixels."""
    words = str(WORDS)
    plain = ("prepare", words, "input_bin", "--label", "label.txt")
    pixels = ("prepare", words, "input_u8", "--label", "label_u8.txt", "--dtype", "uint8")
    return [Step("prepare", plain, (words,)), Step("prepare_u8", pixels, (words,))]


def _onnx_steps(report: Path, onnx: str) -> List[Step]:
    """Read the words with an ONNX, and with each kind of OM that is compiled from it."""
    reading = ("evaluate", onnx, "input_bin", "--label", "label.txt")
    json_file = str(report / "onnx.json")
    steps = [Step("onnx", (*reading, "--json", json_file), (onnx, "input_bin"))]
    for name, flags in _OMS:
        steps.append(Step(f"compile_{name}", ("compile", onnx, f"crnn_{name}", *flags), (onnx,)))
        steps += _om_steps(report, name, f"crnn_{name}.om", "--aipp" in flags)
    # A folder of its own: a set is told by its folder.
    steps.append(Step("compile_set", ("compile", onnx, "set/crnn", *_SET), (onnx,)))
    steps.append(_evaluation(report, "set", "set", False, needs="set/crnn_bs1.om"))
    if len(npu_smi() or ()) > 1:
        steps.append(_evaluation(report, "two_devices", "crnn_bs16.om", False, "--device", "0,1"))
    bench = ("bench", "crnn_bs16.om", "--data", "input_bin", "--label", "label.txt")
    flags = ("--batch", "16", "--loop", "20", "--json", str(report / "bench.json"))
    steps.append(Step("bench", (*bench, *flags), ("crnn_bs16.om", "input_bin")))
    return steps


def _widths_steps(report: Path) -> List[Step]:
    """Several widths, by a set of OMs and by gears; last, since the rest is older."""
    onnx, checkpoint, words = "wide.onnx", str(CHECKPOINT), str(WORDS)
    sized = ("--widths", "all", "--batch", "16")
    export = ("export", checkpoint, onnx, "--widths", _WIDTHS)
    dims = ("compile", onnx, "wide_dims", *sized, "--gears", "dims")
    steps = [
        Step("export_widths", export, (checkpoint,)),
        Step("compile_widths", ("compile", onnx, "wide/crnn", *sized), (onnx,)),
        Step("compile_widths_dims", dims, (onnx,)),
    ]
    models = (
        ("widths_onnx", onnx, onnx),
        ("widths", "wide", "wide/crnn_w80_bs16.om"),
        ("widths_dims", "wide_dims.om", "wide_dims.om"),
    )
    for name, model, needs in models:
        reading = ("evaluate", model, words, "--json", str(report / f"{name}.json"))
        steps.append(Step(f"evaluate_{name}", reading, (needs, words)))
    return steps


def _om_steps(report: Path, name: str, om: str, pixels: bool) -> List[Step]:
    """Look into an OM, and let it read the built-in pictures and the words."""
    inspect = ("inspect", om, "--json", str(report / f"{name}.inspect.json"))
    again = ("doctor", om, "--run", "--json", str(report / f"{name}.run.json"))
    return [
        Step(f"inspect_{name}", inspect, (om,)),
        Step(f"run_{name}", again, (om,)),
        _evaluation(report, name, om, pixels),
    ]


def _evaluation(
    report: Path, name: str, om: str, pixels: bool, *flags: str, needs: str = ""
) -> Step:
    bins, labels = "input_bin", "label.txt"
    if pixels:
        bins, labels = "input_u8", "label_u8.txt"
    words = ("evaluate", om, bins, "--label", labels, "--json", str(report / f"{name}.json"))
    return Step(f"evaluate_{name}", (*words, *flags), (needs or om, bins))


def _missing(step: Step, work: Path) -> Optional[Done]:
    """Say that a step is passed over, where a file that it needs is not there."""
    for name in step.needs:
        if not (work / name).exists():
            return Done(step.name, SKIPPED, why=f"there is no {Path(name).name}")
    return None


def _run(step: Step, report: Path, work: Path, environ: Mapping[str, str], seconds: float) -> Done:
    command = list(step.words)
    if not step.outside:
        command = [sys.executable, "-m", "crnn", *step.words]
    for folder in ("set", "wide"):
        (work / folder).mkdir(exist_ok=True)
    values = {**environ, "PYTHONPATH": _with_kit(environ)}
    start = time.monotonic()
    with open(report / f"{step.name}.txt", "wb") as output:
        try:
            process = subprocess.Popen(
                command,
                cwd=str(work),
                env=values,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            return Done(step.name, FAILED, why=f"cannot be started: {error.strerror}")
        code = _wait(process, seconds)
    took = time.monotonic() - start
    if code is None:
        return Done(step.name, TIMED_OUT, None, took, f"after {seconds:.0f} s")
    if code:
        return Done(step.name, FAILED, code, took, f"exit {code}")
    return Done(step.name, OK, code, took)


def _wait(process: subprocess.Popen[bytes], seconds: float) -> Optional[int]:
    """Wait for a process and return its exit code; end it, and what it started, after its time."""
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        pass
    finally:
        if process.poll() is None:
            for number in (signal.SIGTERM, signal.SIGKILL):
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, number)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(20.0)
    return None


def _with_kit(environ: Mapping[str, str]) -> str:
    parts = [str(KIT)]
    if environ.get("PYTHONPATH"):
        parts.append(environ["PYTHONPATH"])
    return os.pathsep.join(parts)


def _told(result: Done) -> str:
    if result.why:
        return f"{result.outcome} ({result.why})"
    return f"{result.outcome} ({result.seconds:.0f} s)"


def _collect(work: Path, report: Path) -> None:
    """Copy what stands beside the OMs, without the logits, which ``NAME.run.json`` sums up."""
    for path in sorted(work.glob("**/*.om.json")):
        data = json.loads(path.read_text(encoding="utf-8"))
        data.pop("reference", None)
        write_text(report / path.name, json_text(data, indent=1))


def _write_summary(report: Path, results: Sequence[Done], simulated: bool) -> None:
    steps: List[Dict[str, object]] = []
    for result in results:
        step = dataclasses.asdict(result)
        step["seconds"] = round(result.seconds, 1)
        steps.append(step)
    data = {"schema": SCHEMA, "simulated": simulated, "kit": crnn.__version__, "steps": steps}
    write_text(report / "summary.json", json_text(data, indent=1))


def _redact(path: Path, clean: Redaction) -> None:
    raw = path.read_bytes()
    if len(raw) > MAX_BYTES:
        raw = b"(cut)\n" + raw[-MAX_BYTES:]
    write_text(path, clean(raw.decode("utf-8", "replace")))


def _pack(report: Path, archive: Path) -> None:
    with tarfile.open(str(archive), "w:gz") as target:
        for path in sorted(report.iterdir()):
            target.add(str(path), arcname=f"crnn-chip-report/{path.name}", filter=_nobody)


def _nobody(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """An entry that tells nothing of who packed it."""
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mode = 0o644
    return entry


def _page(results: Sequence[Done], simulated: bool) -> str:
    head = "A report on how the kit crnn runs on an Ascend chip."
    if simulated:
        head = "A SIMULATED report: no chip was involved. Do not send it as one of a chip."
    good = sum(result.outcome == OK for result in results)
    lines = [
        head,
        "",
        f"{good} of {len(results)} steps succeeded. A step that failed is worth as much as one",
        "that did not: please send the report as it is.",
        "",
        f"What to send: {ARCHIVE}, nothing else. It holds the texts of the folder",
        "report/: versions, figures, and what the commands printed. Home, user and host names and",
        "the folders of this machine were taken out; look through report/ all the same before you",
        "send it. The models stay in work/: crnn_gears.om and crnn_u8.om would help too, but an OM",
        "holds the command line that made it, with this machine's folders.",
        "",
        "Where to: an issue in the repository that you have the kit from, with the archive and the",
        "name of the board (such as Atlas 300I, 200I DK A2, Orange Pi AIpro).",
        "",
        f"要发送的文件：只有 {ARCHIVE}。其中是 report/ 目录里的文本：版本、数据和各命令的输出。",  # noqa: RUF001
        "主目录、用户名、主机名和本机路径已经去掉，发送前仍请自行查看 report/。模型留在 work/ 中。",  # noqa: RUF001
        "发送到：您获得本工具的代码仓，新建 issue 并附上该文件，同时写明板卡型号。",  # noqa: RUF001
        "",
    ]
    for result in results:
        lines.append(f"{result.name:22} {_told(result)}")
    return "\n".join([*lines, ""])
