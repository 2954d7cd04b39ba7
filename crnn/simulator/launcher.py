"""Running a command with the stand-ins first in its way:

a private folder, its paths, its report.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from types import FrameType
from typing import Dict, Iterator, List, Optional, Sequence, Tuple

from crnn.simulator import knobs as knob_module
from crnn.simulator import report, standin
from crnn.simulator.knobs import FLOAT16, Knobs

BROKEN = 70
"""The exit code of a command that succeeded but broke a rule or leaked."""
NOT_FOUND = 127

_ROOT = Path(__file__).resolve().parents[2]
_EPILOG = """example:
  python -m crnn.simulator --soc Ascend310P3 -- ./atc_crnn.sh crnn.onnx crnn
  python -m crnn.simulator --report r.json -- crnn evaluate crnn.om words_lmdb"""

# Registered before anything else, so that it runs after everything that the command registers; then
# the interpreter's own sitecustomize, if there is one, gets its turn.
_SITECUSTOMIZE = """\
import atexit, sys, types
from importlib.machinery import PathFinder

def _close():
    module = sys.modules.get("crnn.simulator.standin")
    if module is not None:
        module.close()

sys.modules["crnn_simulator_exit"] = types.ModuleType("crnn_simulator_exit")
atexit.register(_close)
_here = __file__.rpartition("/")[0]
_next = PathFinder.find_spec("sitecustomize", [entry for entry in sys.path if entry != _here])
if _next is not None and _next.loader is not None:
    _next.loader.exec_module(sys.modules[__name__])
"""
_ACL = """\
from crnn.simulator import standin
standin.install()
"""
_TOOL = """\
#!/bin/sh
PYTHONPATH={root}${{PYTHONPATH:+:$PYTHONPATH}} exec {python} -c {code} "$@"
"""
_TOOL_CODE = (
    "import sys; from crnn.simulator import {module}; sys.exit({module}.main(sys.argv[1:]))"
)


def main(argv: Sequence[str]) -> int:
    """Run the command line; return the command's exit code, 70 if it succeeded but was not clean, 2
    for bad usage.

    Args:
        argv: The command line without the program's name.

    Returns:
        The exit code.
    """
    words = list(argv)
    split = len(words)
    if "--" in words:
        split = words.index("--")
    parser = argparse.ArgumentParser(
        prog="python -m crnn.simulator",
        usage="python -m crnn.simulator [--report FILE] [knobs] -- COMMAND …",
        description="Run a command with a simulated pyACL, ATC and npu-smi in the place of CANN's.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--report", type=Path, metavar="FILE", help="write the report there, as JSON"
    )
    knob_module.add_arguments(parser)
    args = parser.parse_args(words[:split])
    command = words[split + 1 :]
    if not command:
        parser.error("no command: expected -- COMMAND …")
    if args.report is not None and not args.report.resolve().parent.is_dir():
        parser.error(f"cannot write {args.report}: its folder does not exist")
    return launch(command, knob_module.from_arguments(args), args.report)


def launch(command: Sequence[str], knobs: Knobs, target: Optional[Path]) -> int:
    """Run a command under the simulator, write the report, say on stderr what was found, return the
    exit code.

    Args:
        command: The command and its arguments.
        knobs: The simulated machine's settings.
        target: Where the report goes; None: nowhere.

    Returns:
        The exit code.
    """
    with tempfile.TemporaryDirectory(prefix="crnn-simulator-") as name:
        folder = Path(name)
        environment = _lay_out(folder, knobs)
        code = _run(command, environment)
        result = report.merge(folder / "parts", command, code, knobs)
    if target is not None:
        _write(target, json.dumps(result, indent=2, sort_keys=True, ensure_ascii=False) + "\n")
    lines = report.wrapped(report.summary(result), shutil.get_terminal_size().columns)
    sys.stderr.write("".join(f"{line}\n" for line in lines))
    if code == 0 and not result["clean"]:
        return BROKEN
    return code


def _lay_out(folder: Path, knobs: Knobs) -> Dict[str, str]:
    """Fill the private folder; return the environment that leads there."""
    python, home, parts = folder / "python", folder / "cann", folder / "parts"
    tools = home / "bin"
    for path in (python, tools, home / "opp", parts):
        path.mkdir(parents=True)
    (python / "acl.py").write_text(_ACL, encoding="utf-8")
    (python / "sitecustomize.py").write_text(_SITECUSTOMIZE, encoding="utf-8")
    for name, module in (("atc", "atc"), ("npu-smi", "npu_smi")):
        _write_tool(tools / name, module)
    _write_home(home, knobs)
    environment = dict(os.environ)
    # "python" is the one that has what the stand-ins need, though its .venv is not active.
    own = str(Path(sys.executable).parent)
    environment.update(
        {
            "PATH": _joined(str(tools), own, environment.get("PATH", os.defpath)),
            "PYTHONPATH": _joined(str(python), str(_ROOT), environment.get("PYTHONPATH", "")),
            "ASCEND_INSTALL_ROOT": str(home),  # where acl_env_*.sh look
            "ASCEND_TOOLKIT_HOME": str(home),
            "ASCEND_HOME_PATH": str(home),
            "ASCEND_OPP_PATH": str(home / "opp"),
            standin.VARIABLE: standin.variable(knobs, parts),
        }
    )
    if knobs.compute == FLOAT16:
        # NumPy's matrix library reads it as it is loaded; float32 runs on one thread as well.
        environment.setdefault("OPENBLAS_NUM_THREADS", "1")
    return environment


def _write_tool(path: Path, module: str) -> None:
    code = _TOOL_CODE.format(module=module)
    text = _TOOL.format(
        root=shlex.quote(str(_ROOT)), python=shlex.quote(sys.executable), code=shlex.quote(code)
    )
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)


def _write_home(home: Path, knobs: Knobs) -> None:
    """Write the files by which a CANN installation says its release."""
    release = f"{knobs.version}.0"
    inner = home / f"{platform.machine()}-linux"
    inner.mkdir()
    (home / "version.cfg").write_text(
        f"toolkit_running_version=[{release}:{release}]\n", encoding="utf-8"
    )
    text = (
        f"package_name=Ascend-cann-toolkit\nversion={release}\narch={platform.machine()}\n"
        f"os=linux\npath={home}\n"
    )
    (inner / "ascend_toolkit_install.info").write_text(text, encoding="utf-8")


def _joined(*parts: str) -> str:
    return os.pathsep.join(part for part in parts if part)


def _run(command: Sequence[str], environment: Dict[str, str]) -> int:
    path = shutil.which(command[0], path=environment["PATH"])
    if path is None:
        sys.stderr.write(f"crnn.simulator: {command[0]}: command not found\n")
        return NOT_FOUND
    child = subprocess.Popen([path, *command[1:]], env=environment)
    with _passing_on(child):
        code = child.wait()
    if code < 0:
        # Ended by a signal: as a shell says it.
        return 128 - code
    return code


@contextlib.contextmanager
def _passing_on(child: subprocess.Popen) -> Iterator[None]:  # type: ignore[type-arg]
    """Pass SIGINT and SIGTERM on to the command for a block, and outlive it."""

    def pass_on(number: int, frame: Optional[FrameType]) -> None:
        # From a terminal Ctrl-C goes to the whole group: the command has had it already.
        if not (number == signal.SIGINT and _in_foreground()):
            child.send_signal(number)

    before: List[Tuple[int, object]] = [
        (number, signal.signal(number, pass_on)) for number in (signal.SIGINT, signal.SIGTERM)
    ]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)  # type: ignore[arg-type]


def _in_foreground() -> bool:
    try:
        with open("/dev/tty", "rb") as terminal:
            return os.tcgetpgrp(terminal.fileno()) == os.getpgrp()
    except OSError:
        return False


def _write(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
