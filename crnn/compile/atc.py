"""ATC, CANN's model compiler: its command line, a run of it, and what its errors mean."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from crnn.ascend.environment import Version
from crnn.cann import ATC_FRAMEWORK_ONNX, ATC_MAX_GEARS, codes
from crnn.errors import InputError, UnavailableError, UsageError
from crnn.signals import termination_raises

LOG_LEVELS = ("debug", "info", "warning", "error", "null")
PRECISION_MODES = (
    "force_fp16",
    "allow_fp32_to_fp16",
    "must_keep_origin_dtype",
    "allow_mix_precision",
    "allow_mix_precision_fp16",
    "force_fp32",
    "cube_fp16in_fp32out",
    "allow_mix_precision_bf16",
    "allow_fp32_to_bf16",
)
"""What --precision_mode takes; of the chips that the kit is for, only the 310B has bfloat16."""
BFLOAT16_MODES = ("allow_mix_precision_bf16", "allow_fp32_to_bf16")
BFLOAT16_SOC = "Ascend310B"

GEAR_KINDS = ("batch", "dims")
"""How ATC is asked for gears: --dynamic_batch_size, or --dynamic_dims on inputs of format ND, which
is the road with published results of recognisers with BiLSTMs.
"""
LARGEST_BATCH = 2048
"""ATC's documentation advises no gear beyond this."""

Say = Callable[[str], None]

# What the kit itself sets; in --extra they would be given twice.
_OWN_FLAGS: Mapping[str, str] = {
    "framework": "",
    "model": "",
    "output": "NAME",
    "input_format": "",
    "input_shape": "--batch",
    "dynamic_batch_size": "--batch 1,4,8,16",
    "dynamic_dims": "--batch 1,4,8,16 --gears dims",
    "soc_version": "--soc",
    "log": "--log",
    "precision_mode": "--precision",
    "insert_op_conf": "--aipp",
    "auto_tune_mode": "--tune",
}


@dataclass(frozen=True)
class AtcJob:
    """One OM to compile.

    ``output`` is the path without ``.om``; ``image_shape`` (C, H, W). One batch size gives a static
    OM, several give gears of the kind ``gears``, one of `GEAR_KINDS`, and their ascending order is
    the caller's. ``extra`` are further flags, as they stand. Several ``widths`` give gears of dims
    over batch and width, and the width of ``image_shape`` does not count then. The first outputs of
    ``out_nodes`` are the OM's, in the place of the graph's own.
    """

    model: Path
    output: Path
    input_name: str
    image_shape: Tuple[int, int, int]
    batches: Tuple[int, ...]
    soc: str
    log: str = "info"
    precision: Optional[str] = None
    aipp: Optional[Path] = None
    tune: bool = False
    extra: Tuple[str, ...] = ()
    gears: str = GEAR_KINDS[0]
    widths: Tuple[int, ...] = ()
    out_nodes: Tuple[str, ...] = ()

    @property
    def command(self) -> List[str]:
        """The command line. Without options only flags that every ATC of CANN 5 to 9 takes."""
        command = [
            "atc",
            f"--framework={ATC_FRAMEWORK_ONNX}",
            f"--model={self.model}",
            f"--output={self.output}",
            *self._shape_flags(),
            f"--soc_version={self.soc}",
            f"--log={self.log}",
        ]
        if self.precision:
            command.append(f"--precision_mode={self.precision}")
        if self.aipp:
            command.append(f"--insert_op_conf={self.aipp}")
        if self.tune:
            command.append("--auto_tune_mode=RL,GA")
        if self.out_nodes:
            command.append(f"--out_nodes={';'.join(f'{node}:0' for node in self.out_nodes)}")
        return [*command, *self.extra]

    def _shape_flags(self) -> List[str]:
        """What says the input's shape; with gears the batch is open, -1."""
        if len(self.widths) > 1:
            channels, height, _ = self.image_shape
            pairs = [(batch, width) for batch in self.batches for width in self.widths]
            return gear_flags(self.input_name, (-1, channels, height, -1), pairs, "dims")
        if len(self.batches) == 1:
            return gear_flags(self.input_name, (self.batches[0], *self.image_shape), (), "batch")
        rows = [(batch,) for batch in self.batches]
        return gear_flags(self.input_name, (-1, *self.image_shape), rows, self.gears)


def gear_flags(
    name: str, shape: Sequence[int], rows: Sequence[Sequence[int]], kind: str
) -> List[str]:
    """Return ATC's flags for an input's shape and its gears.

    Args:
        name: The input's name in the graph.
        shape: Its dims, -1 where gears give the size.
        rows: For each gear a number for each -1; none for a static model.
        kind: One of `GEAR_KINDS`: "batch" where the first dim alone is open, "dims" for any.

    Returns:
        The flags.
    """
    layout = "NCHW"
    gears: List[str] = []
    if rows and kind == "dims":
        layout = "ND"
        gears = [f"--dynamic_dims={';'.join(_numbers(row) for row in rows)}"]
    elif rows:
        gears = [f"--dynamic_batch_size={_numbers([row[0] for row in rows])}"]
    return [f"--input_format={layout}", f"--input_shape={name}:{_numbers(shape)}", *gears]


def _numbers(numbers: Sequence[int]) -> str:
    return ",".join(map(str, numbers))


@dataclass(frozen=True)
class AtcRun:
    """How a run of ATC ended; ``output`` is what it printed on stdout and stderr."""

    exit_code: int
    output: str
    seconds: float


def check_batches(batches: Sequence[int], *, gears: bool, widths: int = 1) -> None:
    """Refuse batch sizes that ATC would refuse.

    Args:
        batches: The batch sizes, in the order of the command line.
        gears: Whether they become gears of one OM; else one OM each.
        widths: How many widths each batch has a gear for.

    Raises:
        UsageError: A size is given twice, is out of ATC's range, or gears are too few or too many.
    """
    if sorted(set(batches)) != list(batches):
        raise UsageError(
            f"--batch {','.join(map(str, batches))}: expected different sizes, in ascending order"
        )
    if batches[0] < 1 or batches[-1] > LARGEST_BATCH:
        raise UsageError(
            f"--batch {','.join(map(str, batches))}: expected sizes from 1 to {LARGEST_BATCH}"
        )
    count = len(batches) * widths
    if not gears or count <= ATC_MAX_GEARS:
        return
    if widths > 1:
        raise UsageError(
            f"{len(batches)} batch sizes at {widths} widths are {count} gears; ATC takes"
            f" {ATC_MAX_GEARS} at most"
        )
    raise UsageError(f"--batch has {count} gears; ATC takes {ATC_MAX_GEARS} at most")


def check_gears(
    kind: str, batches: Sequence[int], *, static_set: bool, aipp: bool, widths: int = 1
) -> None:
    """Refuse gears of dims where there are no gears, or where ATC does not take them.

    Args:
        kind: One of `GEAR_KINDS`.
        batches: The batch sizes.
        widths: How many widths there are.
        static_set: Whether each becomes an OM of its own.
        aipp: Whether the chip is to normalise the images.

    Raises:
        UsageError: The options contradict each other.
    """
    if kind != "dims":
        return
    if aipp:
        hint = "With --aipp use --gears batch, or --static-set."
        if widths > 1:
            hint = "With --aipp leave --gears dims out: --widths gives one OM for each width."
        raise UsageError(
            "--aipp and --gears dims exclude each other: ATC takes no AIPP with --dynamic_dims",
            hint=hint,
        )
    if static_set or len(batches) * widths == 1:
        raise UsageError(
            "--gears dims needs several batch sizes in one OM",
            hint="As in --batch 1,4,16 --gears dims, without --static-set.",
        )


def split_extra(text: str, folder: Path) -> Tuple[str, ...]:
    """Split --extra into flags as a shell would, and refuse those that the kit sets itself.

    ATC runs in a folder of its own, so a value that names a file below ``folder`` becomes an
    absolute path.

    Args:
        text: The argument of ``--extra``.
        folder: The folder that the command was called in.

    Returns:
        The flags, one a word.

    Raises:
        UsageError: The text is not a shell's, or a flag is one that the kit sets.
    """
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise UsageError(f"--extra {text!r} cannot be split into words: {error}") from error
    for word in words:
        flag = word.lstrip("-").partition("=")[0].replace("-", "_")
        if word.startswith("-") and flag in _OWN_FLAGS:
            instead = _OWN_FLAGS[flag]
            raise UsageError(
                f"--extra holds --{flag}, which the kit sets itself",
                hint=f"Use {instead}." if instead else "",
            )
        if word.startswith("-") and flag == "external_weight":
            raise UsageError(
                "--extra holds --external_weight: the OM would not hold its own weights"
            )
    return tuple(_absolute(word, folder) for word in words)


def _absolute(word: str, folder: Path) -> str:
    flag, equals, value = word.rpartition("=")
    looks_like_file = "/" in value or "." in value
    if looks_like_file and (folder / value).is_file():
        return f"{flag}{equals}{(folder / value).resolve()}"
    return word


TUNE_NOTE = (
    "Auto Tune takes hours; its RL needs TensorFlow in the Python that ATC starts (GA does not)"
)


def check_tune(cann: Optional[Version], model: Path) -> None:
    """Refuse Auto Tune where ATC has none: it left after 5.x.

    Args:
        cann: The CANN whose ATC will run; None where it is unknown.
        model: The ONNX file, for the message.

    Raises:
        UsageError: This CANN has no Auto Tune.
    """
    if cann is None:
        raise UsageError(
            "--tune depends on the CANN version, which is not known here",
            hint="Add --cann VERSION.",
        )
    if cann.pair >= (6, 0):
        raise UnavailableError(
            f"CANN {cann} has no --auto_tune_mode: Auto Tune ended with 5.x",
            hint=(
                "Tune with AOE instead, then compile without --tune (ATC reads what AOE stored): "
                f"aoe --framework={ATC_FRAMEWORK_ONNX} --model={model} --job_type=2"
            ),
        )


def may_need_split(cann: Optional[Version]) -> bool:
    """Say whether this ATC may refuse an LSTM of two directions.

    The pass that takes `direction=bidirectional` came to CANN's operators in April and May 2021,
    between the first and the second release of 5.0.

    Args:
        cann: The CANN whose ATC will run; None where it is unknown.

    Returns:
        True for a release of 5.0.
    """
    return cann is not None and cann.pair == (5, 0)


def knows_lstm(cann: Optional[Version]) -> bool:
    """Say whether this ATC is known to compile a standard ONNX LSTM, forward ones included.

    Before 5.0 (20.x, 3.x) CANN's operators had none, or one that took the weights as they stand
    for those of its own operator, whose gates come in another order.

    Args:
        cann: The CANN whose ATC will run; None where it is unknown.

    Returns:
        False before 5.0; an unknown one counts as newer.
    """
    return cann is None or cann.pair >= (5, 0)


def check_precision(mode: Optional[str], soc: str) -> None:
    """Refuse a precision mode that the chip does not have.

    Args:
        mode: The value for --precision_mode; None for ATC's own.
        soc: The chip, as --soc_version has it.

    Raises:
        UsageError: The mode has bfloat16 and the chip has not.
    """
    if mode in BFLOAT16_MODES and not soc.startswith(BFLOAT16_SOC):
        raise UsageError(
            f"--precision {mode}: {soc} has no bfloat16; of these chips only the 310B has"
        )


def safe_path(path: Path) -> bool:
    """Say whether ATC takes this path: letters, digits, ``_ - . /`` and Chinese characters.

    Args:
        path: A file or folder.

    Returns:
        True where every character is one that ATC takes in a path.
    """
    return re.fullmatch(r"[A-Za-z0-9_./\-\u4e00-\u9fff]+", str(path)) is not None


def atc_environment(
    environ: Mapping[str, str], *, debug: bool = False, tune: bool = False
) -> Dict[str, str]:
    """Return the environment for ATC: the caller's, and few additions.

    Where no driver is installed ATC finds the driver's library only in CANN's ``devlib``, which no
    other program may see, so it is added here. ``debug`` dumps the graphs and prints ATC's log.

    Args:
        environ: The caller's environment variables.
        debug: Whether ATC dumps the graphs and prints its log.
        tune: Whether Auto Tune is asked for: it begins anew, as the historical script has it.

    Returns:
        The variables that ATC is started with.
    """
    result = dict(environ)
    libraries = [folder for folder in environ.get("LD_LIBRARY_PATH", "").split(":") if folder]
    home = environ.get("ASCEND_TOOLKIT_HOME") or environ.get("ASCEND_HOME_PATH", "")
    if home and not any((Path(folder) / "libascend_hal.so").exists() for folder in libraries):
        stubs = [
            Path(home) / place
            for place in ("devlib", "x86_64-linux/devlib", "aarch64-linux/devlib")
        ]
        libraries += [str(folder) for folder in stubs if folder.is_dir()]
        result["LD_LIBRARY_PATH"] = ":".join(libraries)
    if debug:
        result.update(
            DUMP_GE_GRAPH="2",
            ASCEND_SLOG_PRINT_TO_STDOUT="1",
            ASCEND_GLOBAL_LOG_LEVEL="1",
            # Its name in CANN 3.x.
            SLOG_PRINT_TO_STDOUT="1",
        )
    if tune:
        result["REPEAT_TUNE"] = "True"
    return result


def run_atc(
    command: Sequence[str],
    *,
    folder: Path,
    environ: Mapping[str, str],
    timeout: Optional[float],
    say: Say,
) -> AtcRun:
    """Run ATC in ``folder`` and hand on what it prints, line by line.

    Whatever ends this function (a timeout, Ctrl-C, a termination signal) ends ATC and the processes
    it started.

    Args:
        command: ATC's program and flags.
        folder: The folder that ATC runs in.
        environ: The variables that it gets.
        timeout: Seconds after which it is ended; None for never.
        say: Takes each line that ATC prints.

    Returns:
        Its exit code and the end of what it printed.

    Raises:
        UnavailableError: There is no such program.
        KitError: It ran longer than ``timeout``.
    """
    start = time.monotonic()
    lines: List[str] = []
    with termination_raises():
        try:
            process = subprocess.Popen(
                command,
                cwd=str(folder),
                env=dict(environ),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                # A group of its own, so that its compile workers can be ended with it.
                start_new_session=True,
            )
        except OSError as error:
            raise UnavailableError(f"{command[0]} cannot be started: {error}") from error
        reader = threading.Thread(target=_read, args=(process, lines, say), daemon=True)
        reader.start()
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired as error:
            raise UnavailableError(
                f"ATC did not end within {timeout:g} s and was stopped",
                hint="Give it longer: --timeout SECONDS",
            ) from error
        finally:
            _end_group(process)
            # A worker that outlived the group could hold the pipe open for ever.
            reader.join(5.0)
    return AtcRun(process.returncode, "\n".join(lines), time.monotonic() - start)


def check_run(run: AtcRun, om: Path) -> None:
    """Raise what went wrong in a run of ATC: success is exit code 0 and the file ``om``.

    Args:
        run: What `run_atc` gave.
        om: The file that ATC was to write.

    Raises:
        KitError: ATC failed, or said success and wrote nothing.
    """
    if run.exit_code == 0 and om.is_file():
        return
    if "error while loading shared libraries" in run.output or "command not found" in run.output:
        raise UnavailableError(
            f"ATC cannot start: {_line_with(run.output, ('shared libraries', 'not found'))}",
            hint=(
                "Its libraries are not on LD_LIBRARY_PATH. Source CANN's script (source"
                " acl_env_x86.sh or acl_env_arm.sh) in this shell and try again."
            ),
        )
    _refuse_killed(run)
    found = atc_codes(run.output)
    if run.exit_code:
        what = f"ATC failed (exit {run.exit_code})"
    else:
        what = f"ATC said success but wrote no {om.name}"
    if not found:
        tail = [line for line in run.output.splitlines() if line.strip()][-3:]
        raise InputError(f"{what} and gave no code; it ended with:", lines=tail, hint=_MORE)
    explained = [line for code, text in found for line in explain(code, text)]
    if any(code in _PYTHON_CODES for code, _ in found):
        raise UnavailableError(what, lines=explained, hint=_PYTHON_HINT)
    raise InputError(what, lines=explained, hint=_MORE)


_MORE = "More of its log: add --debug (and look into NAME_debug/)."


def _refuse_killed(run: AtcRun) -> None:
    if run.exit_code in _KILLED:
        raise UnavailableError(
            "ATC was killed (signal 9), as the system does when memory runs out",
            hint=_SMALL_BOARD,
        )


_KILLED = (-signal.SIGKILL, 128 + signal.SIGKILL)
"""How a process ends that was killed: as its parent sees it, and as a shell between them says."""
_SMALL_BOARD = (
    "On a board of 4 GB (200I DK A2, Orange Pi): export TE_PARALLEL_COMPILER=1"
    " MAX_COMPILE_CORE_NUMBER=1, end other programs, or compile on another machine and copy NAME.om"
    " and NAME.om.json. See dmesg | tail."
)
# These say that the Python which ATC starts lacks a module: the environment's fault, not the
# model's.
_PYTHON_CODES = ("EC0010", "E40000", "E40020")
_PYTHON_HINT = (
    "ATC starts the python3 that PATH names first (see: command -v python3). Install what it misses"
    " there, such as numpy, decorator, sympy, cffi, attrs, psutil, scipy, protobuf; or deactivate"
    " an environment that hides it."
)


def atc_codes(output: str) -> List[Tuple[str, str]]:
    """Return the codes in ATC's output with the text that follows each, in order, each once."""
    found: Dict[str, str] = {}
    for match in re.finditer(
        r"^\s*(E[A-Z0-9]\d{4})\b:?\s*(?:\[PID: \d+\] )?([^\n]*)", output, re.MULTILINE
    ):
        # Newer versions put the time between the process and the text.
        text = re.sub(r"^\d{4}-\d\d-\d\d-[\d:.]+\s*", "", match.group(2))
        found.setdefault(match.group(1), text.strip())
    return list(found.items())


def explain(code: str, text: str) -> List[str]:
    """Return what a code means, as lines: ATC's own text, the usual cause, what to do."""
    lines = [f"{code}: {text}".rstrip(": ")]
    entry = codes.code(code)
    if entry is None:
        reading = codes.reading(code)
        return [
            *lines,
            (
                f"  not in the kit's table{f' ({reading})' if reading else ''}: ATC's own text is"
                " all there is"
            ),
        ]
    return [
        *lines,
        f"  meaning: {entry.meaning}",
        f"  usual cause: {entry.cause}",
        f"  remedy: {entry.remedy}",
    ]


def _line_with(output: str, marks: Tuple[str, ...]) -> str:
    return next(
        (line.strip() for line in output.splitlines() if any(mark in line for mark in marks)), ""
    )


def _read(process: subprocess.Popen[bytes], lines: List[str], say: Say) -> None:
    assert process.stdout is not None
    with process.stdout as pipe:
        for raw in pipe:
            line = raw.decode("utf-8", "replace").rstrip("\n")
            lines.append(line)
            say(line)


def _end_group(process: subprocess.Popen[bytes]) -> None:
    for number, patience in ((signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0)):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        try:
            process.wait(patience)
            if number is signal.SIGKILL or not _group_lives(process.pid):
                return
            time.sleep(0.1)
        except subprocess.TimeoutExpired:
            continue


def _group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True
