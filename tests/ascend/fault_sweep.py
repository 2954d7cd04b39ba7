"""Every call of whole runs made to fail, one at a time: ``python -m tests.ascend.fault_sweep``.

Each run is done once to count its calls; then, for each function and each of its calls, once more
with that call failing with a code, and once with Ctrl-C pressed in it. What must come of it: the
failure that was injected, as the right exception; no broken rule; nothing left but the thing whose
own release failed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import sys
import tempfile
from pathlib import Path
from typing import Callable, Dict, Iterator, List, NamedTuple, Optional, Tuple, Union

import numpy as np

from crnn import cann
from crnn.ascend.net import Net
from crnn.ascend.pyacl import AscendError, error_type, load_acl
from crnn.cann import codes
from crnn.cli.main import main as crnn
from crnn.runners.ascend_runner import open_ascend
from crnn.simulator import Fault, Knobs
from tests.ascend.machine import Findings, machine, write_om
from tests.ascend.om_sets import write_dims, write_set
from tests.models import wide_echo_images, write_bins

Scenario = Callable[[Path], None]
Outcome = Union[int, str]

INTERRUPT = "KeyboardInterrupt"
TOLERATED = {
    # They only tell more of an error, or of the machine; without an answer the run goes on.
    "acl.get_recent_err_msg",
    "acl.get_soc_name",
}
NO_CODE = {
    # They answer with a bare value, so no code can be told.
    "acl.create_data_buffer",
    "acl.mdl.create_dataset",
    "acl.mdl.create_desc",
    "acl.mdl.get_input_data_type",
    "acl.mdl.get_input_name_by_index",
    "acl.mdl.get_input_size_by_index",
    "acl.mdl.get_num_inputs",
    "acl.mdl.get_num_outputs",
    "acl.mdl.get_output_data_type",
    "acl.mdl.get_output_name_by_index",
    "acl.mdl.get_output_size_by_index",
}


CALLERS = {
    f"acl.{name}"
    for name in ("init", "finalize", "rt.set_device", "rt.reset_device", "rt.create_context")
} | {"acl.rt.destroy_context"}


class Consumer(Exception):
    """What the user of a stream raises in its middle."""


def images(count: int, start: int = 0) -> np.ndarray:
    rows = np.zeros((count, 1, 32, 100), dtype=np.float32)
    rows[:, 0, 1 + start % 30, :26] = 1
    return rows


def sync(path: Path) -> None:
    with open_ascend(path) as runner:
        for number in range(3):
            runner.run(images(3, number))


def staged(path: Path) -> None:
    """Runs whose stages are timed, and a stream."""
    with open_ascend(path) as runner:
        told: List[str] = []
        runner.lap = told.append
        for number in range(3):
            runner.run(images(3, number))
        assert len(told) == 6
        assert len(list(runner.stream([images(2)]))) == 1


def stream(path: Path) -> None:
    with open_ascend(path) as runner:
        sizes = [
            logits.shape[1] for logits in runner.stream(images(3, number) for number in range(7))
        ]
        assert sizes == [3] * 7


def widths(path: Path) -> None:
    """Runs and a stream of batches of several widths: OMs are loaded while others are at work."""
    with open_ascend(path) as runner:
        runner.run(wide_echo_images(["ab"] * 3, 80))
        sizes = [80, 128, 80, 100, 128, 100]
        batches = (wide_echo_images(["ab"] * 3, size) for size in sizes)
        steps = [logits.shape[0] for logits in runner.stream(batches)]
        assert steps == [size // 4 + 1 for size in sizes]


def given_up(path: Path) -> None:
    """A stream whose consumer fails while batches are on their way, then a run, then another
    stream.
    """
    with open_ascend(path) as runner:
        try:
            for _ in runner.stream(images(2, number) for number in range(9)):
                raise Consumer
        except Consumer:
            pass
        runner.run(images(1))
        assert len(list(runner.stream([images(2)]))) == 1


def net(path: Path) -> None:
    """The historical class within the caller's own ACL and context."""
    acl = load_acl()
    acl.init()
    try:
        acl.set_device(0)
        try:
            context = acl.create_context(0)
            try:
                with Net(context, path) as model:
                    model(images(4))
                    model([images(4)])
            finally:
                acl.destroy_context(context)
        finally:
            acl.reset_device(0)
    finally:
        acl.finalize()


class Exited(Exception):
    """The command ended with a code other than 0."""

    def __init__(self, code: int, said: str) -> None:
        super().__init__(code, said)
        self.code = code
        self.said = said


def evaluation(path: Path) -> None:
    """The whole command, from bins to the result file, which must be there whole or not at all."""
    folder, result = path.with_name("bins"), path.with_name("result.json")
    if not folder.is_dir():
        folder.mkdir()
        write_bins(folder, ["ab", "cd", "ef", "gh", "1"])
    result.unlink(missing_ok=True)
    command = [
        "evaluate",
        str(path),
        str(folder / "input_bin"),
        "--label",
        str(folder / "label.txt"),
    ]
    with contextlib.redirect_stderr(io.StringIO()) as said, contextlib.redirect_stdout(
        io.StringIO()
    ):
        code = crnn([*command, "--batch", "2", "--json", str(result), "--threads", "1"])
    left = sorted(entry.name for entry in path.parent.iterdir() if "result" in entry.name)
    assert left == ([] if code else ["result.json"]), left
    if code:
        raise Exited(code, said.getvalue())
    assert json.loads(result.read_text(encoding="utf-8"))["accuracy"] == 1


class Case(NamedTuple):
    name: str
    scenario: Scenario
    make: Callable[[Path], Path]
    knobs: Knobs


def static(path: Path) -> Path:
    return write_om(path)


def geared(path: Path) -> Path:
    return write_om(path, batches=(1, 4), gears=True)


def dims_geared(path: Path) -> Path:
    return write_om(path, batches=(1, 4), gears=True, dims=True)


def static_set(path: Path) -> Path:
    folder = path.with_suffix("")
    folder.mkdir()
    for batch in (1, 4):
        write_om(folder / f"m_bs{batch}.om", batches=(batch,))
    return folder


def widths_set(path: Path) -> Path:
    return write_set(path.with_suffix(""), batches=(2,))


def widths_dims(path: Path) -> Path:
    return write_dims(path, batches=(1, 4))


HOST = Knobs()
CHIP = Knobs(run_mode=cann.ACL_DEVICE)
OLD = Knobs(cann=(5, 0))
NEW = Knobs(cann=(8, 0))
NEW_CHIP = Knobs(cann=(8, 0), run_mode=cann.ACL_DEVICE)
NEWER = Knobs(cann=(8, 5))
NEWER_CHIP = Knobs(cann=(8, 5), run_mode=cann.ACL_DEVICE)
CASES = (
    Case("synchronous, static", sync, static, HOST),
    Case("synchronous, gears", sync, geared, HOST),
    Case("streamed, static", stream, static, HOST),
    Case("streamed, gears", stream, geared, HOST),
    Case("streamed, static set", stream, static_set, HOST),
    Case("streamed, on the chip's own system", stream, static, CHIP),
    Case("synchronous, CANN 5.0", sync, static, OLD),
    Case("streamed, CANN 5.0", stream, static, OLD),
    Case("synchronous, CANN 8", sync, static, NEW),
    Case("streamed, CANN 8", stream, static, NEW),
    Case("synchronous, CANN 8.5", sync, static, NEWER),
    Case("streamed, CANN 8.5", stream, static, NEWER),
    Case("streamed, CANN 8.5 on the chip's own system", stream, static, NEWER_CHIP),
    Case("staged", staged, static, HOST),
    Case("staged, CANN 8.5", staged, static, NEWER),
    Case("streamed, gears of dims", stream, dims_geared, HOST),
    Case("several widths, static set", widths, widths_set, HOST),
    Case("several widths, static set, on the chip's own system", widths, widths_set, NEW_CHIP),
    Case("several widths, gears of dims", widths, widths_dims, HOST),
    Case("given up", given_up, geared, HOST),
    Case("given up, CANN 8.5", given_up, geared, NEWER),
    Case("Net", net, static, HOST),
    Case("whole evaluation", evaluation, geared, HOST),
)


def code_for(name: str) -> int:
    """A code that the function might give: out of memory, a failed task, a wrong parameter."""
    if "malloc" in name or "load" in name:
        return cann.ACL_ERROR_RT_MEMORY_ALLOCATION
    if "synchronize" in name or "execute" in name:
        return cann.ACL_ERROR_RT_MODEL_EXECUTE
    return cann.ACL_ERROR_RT_PARAM_INVALID


def faults(case: Case, calls: Dict[str, int]) -> Iterator[Fault]:
    for name, count in sorted(calls.items()):
        for number in range(1, count + 1):
            yield Fault(name, number, code_for(name))
            # What the historical class's caller does himself is for him to protect.
            if case.scenario is not net or name not in CALLERS:
                yield Fault(name, number, INTERRUPT)


def run(case: Case, path: Path, fault: Optional[Fault] = None) -> Findings:
    pressed = fault is not None and fault.outcome == INTERRUPT
    knobs = (
        case.knobs if fault is None or pressed else dataclasses.replace(case.knobs, faults=(fault,))
    )
    interrupt = (fault.call, fault.count) if fault is not None and pressed else None
    with machine(
        knobs, interrupt=interrupt, catch=(AscendError, KeyboardInterrupt, Exited)
    ) as findings:
        case.scenario(path)
    return findings


def complaints(fault: Fault, findings: Findings) -> List[str]:
    """What is wrong with how a fault came out."""
    wrong = [*findings.violations, *(f"left: {leak}" for leak in findings.own_leaks)]
    error = findings.error
    if isinstance(error, Exited):
        wrong += [] if _said(error, fault) else [f"exit {error.code}, saying {error.said}"]
    elif fault.outcome == INTERRUPT:
        if not isinstance(error, KeyboardInterrupt):
            wrong.append(f"Ctrl-C became {error!r}")
    elif fault.call in TOLERATED:
        if error is not None:
            wrong.append(f"not tolerated: {error!r}")
    elif not isinstance(error, AscendError) or f"acl.{error.call}" != fault.call:
        wrong.append(f"came out as {error!r}")
    elif fault.call not in NO_CODE and not _told(error, int(fault.outcome)):
        wrong.append(f"tells too little: {error}")
    return wrong


def _said(exited: Exited, fault: Fault) -> bool:
    if fault.outcome == INTERRUPT:
        return exited.code == 130
    # Sentences are broken where a line of the screen ends.
    told = " ".join(exited.said.split())
    if fault.call in NO_CODE:
        return exited.code == 4 and f"{fault.call} failed" in told
    entry = codes.code(fault.outcome)
    assert entry is not None
    remedy = " ".join(entry.remedy.split())
    named = f"{fault.call} failed with {fault.outcome}" in told and remedy in told
    return named and exited.code == error_type(int(fault.outcome)).exit_code


def _told(error: AscendError, code: int) -> bool:
    entry = codes.code(code)
    assert entry is not None
    said = error.code == code and type(error) is error_type(code) and str(code) in error.message
    return said and entry.remedy in error.hint and "simulated" in error.said


def sweep(case: Case, folder: Path, step: int = 1) -> Tuple[int, List[str]]:
    """Run a case with every ``step``-th fault; return how many runs that were, and all
    complaints.
    """
    path = case.make(folder / "m.om")
    whole = run(case, path)
    wrong = [*(f"without a fault: {text}" for text in whole.violations), *whole.own_leaks]
    count = 0
    for fault in list(faults(case, whole.calls))[::step]:
        count += 1
        wrong += [
            f"{fault.call} {fault.count} {fault.outcome}: {text}"
            for text in complaints(fault, run(case, path, fault))
        ]
    return count, wrong


def main() -> int:
    total = failed = 0
    for case in CASES:
        with tempfile.TemporaryDirectory() as name:
            count, wrong = sweep(case, Path(name))
        total += count
        failed += len(wrong)
        print(f"{case.name}: {count} faults, {len(wrong)} complaints")  # noqa: T201
        for text in wrong[:20]:
            print(f"  {text}")  # noqa: T201
    print(f"{total} faults injected, {failed} complaints")  # noqa: T201
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
