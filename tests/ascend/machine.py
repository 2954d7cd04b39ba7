"""A simulated machine within the test's process, and OM files for it, made without ATC."""

from __future__ import annotations

import contextlib
import functools
import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple

import onnx

from crnn.ascend import acl_state as process
from crnn.simulator import Knobs, Simulator, installed
from crnn.simulator.om_file import Aipp, OmTensor, SimulatedOm, to_bytes
from crnn.spec import ModelSpec
from tests.models import write_echo_model

SPEC = ModelSpec.default()
AIPP = Aipp("YUV400_U8", 100, 32, (0,) * 4, (127.5,) * 4, (1 / 127.5,) * 4)


def write_om(
    path: Path,
    *,
    batches: Sequence[int] = (4,),
    gears: bool = False,
    dims: bool = False,
    dtype: str = "float32",
    out_dtype: str = "float32",
    aipp: bool = False,
    time_steps: int = 26,
    soc: str = "Ascend310",
    axes: str = "TNK",
) -> Path:
    """Write an OM of the echo model:

    static for one batch, or with gears, of batches or with ``dims`` of dims; AIPP takes uint8
    images (N, H, W, C).
    """
    graph = write_echo_model(path.with_suffix(".onnx"), axes=axes)

    def shape(batch: int) -> Tuple[int, ...]:
        sizes = {"T": time_steps, "N": batch, "K": 37}
        return tuple(sizes[axis] for axis in axes)

    rows = -1 if gears else batches[0]
    image = OmTensor("actual_input_1", dtype, (rows, 1, 32, 100), "NCHW")
    if aipp:
        image = OmTensor("actual_input_1", "uint8", (rows, 32, 100, 1), "NHWC")
    om = SimulatedOm(
        name=path.stem,
        soc=soc,
        release=(5, 0),
        command="atc",
        precision="force_fp16",
        inputs=(image,),
        outputs=(OmTensor("output:0:output1", out_dtype, shape(max(batches)), "ND"),),
        fed=(OmTensor("actual_input_1", "float32", (rows, 1, 32, 100), "NCHW"),),
        sizes=() if dims else tuple(batches),
        dynamic=gears,
        outputs_by_size=tuple((shape(batch),) for batch in batches),
        aipp=AIPP if aipp else None,
        onnx=onnx.load(str(graph)).SerializeToString(),
        dims_gears=tuple((batch,) for batch in batches) if dims else (),
        shape_order=("actual_input_1",) if dims else (),
    )
    path.write_bytes(to_bytes(om))
    return path


@dataclass
class Findings:
    """What a block under the simulator did, filled at its end."""

    simulator: Simulator
    calls: Dict[str, int] = field(default_factory=dict)
    violations: List[str] = field(default_factory=list)
    leaks: List[Dict[str, Any]] = field(default_factory=list)
    busy: List[float] = field(default_factory=list)
    error: Optional[BaseException] = None

    @property
    def own_leaks(self) -> List[str]:
        """What was left but for the thing whose release the simulator made fail."""
        return [
            f"{leak['what']} made at {leak['where']}"
            for leak in self.leaks
            if not leak["release_failed"]
        ]


@contextlib.contextmanager
def machine(
    knobs: Knobs = Knobs(),  # noqa: B008  frozen
    *,
    interrupt: Optional[Tuple[str, int]] = None,
    catch: Tuple[type, ...] = (),
) -> Iterator[Findings]:
    """Run the block on a simulated machine, then finalize ACL as at the end of a process, and note
    what happened.

    ``interrupt`` presses Ctrl-C in the k-th call of a function. Exceptions of the types in
    ``catch`` are kept in the findings, also those that finalizing raises.
    """
    findings = Findings(Simulator(knobs))
    with installed(findings.simulator) as acl:
        if interrupt:
            press_in(acl, *interrupt)
        try:
            try:
                yield findings
            finally:
                process.finalize()
        except catch as error:
            findings.error = error
        finally:
            end = findings.simulator.close()
            findings.calls = end["calls"]
            findings.violations = [
                f"{row['rule']}: {row['call']}: {row['text']} {row['stack']}"
                for row in end["violations"]
            ]
            findings.leaks = end["leaks"]
            findings.busy = [row["busy"] for row in end["clock"]["devices"]]


def clean(findings: Findings) -> None:
    """Assert that the block broke no rule and left nothing."""
    assert findings.violations == []
    assert findings.leaks == []


def press_in(acl: Any, name: str, number: int) -> None:
    """Let Ctrl-C come while the ``number``-th call of a function is at work:

    Python raises it when the call returns.
    """
    *modules, last = name.split(".")[1:]
    place = functools.reduce(getattr, modules, acl)
    function = getattr(place, last)
    seen = 0

    def call(*arguments: Any) -> Any:
        nonlocal seen
        seen += 1
        result = function(*arguments)
        if seen == number:
            signal.raise_signal(signal.SIGINT)
        return result

    setattr(place, last, call)
