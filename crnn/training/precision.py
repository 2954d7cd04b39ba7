"""The precision that a run computes in, and whether the machine has it or emulates it.

A processor without bfloat16 instructions computes in bfloat16 all the same, about ten times slower
than in float32. So ``precision=auto`` asks the machine, and a precision that is emulated is said.
"""

from __future__ import annotations

import contextlib
import functools
import os
import platform
import time
import warnings
from dataclasses import dataclass
from typing import Any, Callable, ContextManager, Dict, FrozenSet, Optional, Tuple

import torch

from crnn.errors import UnavailableError
from crnn.machine import instruction_sets
from crnn.network import CRNN
from crnn.presets import CrnnConfig
from crnn.training.model import CtcLoss
from crnn.training.world import World

AUTO = "auto"
PRECISIONS = ("float32", "bfloat16", "float16")

CHANNELS_LAST = ("cpu", "cuda")
"""Devices whose convolutions are quicker with the channels innermost: about twice on a CPU."""

Measure = Callable[[str], float]
"""Gives the words a second that training reaches in a precision."""

# The levels of ONEDNN_MAX_CPU_ISA below the first one that computes in the precision
# (oneDNN, src/cpu/x64/cpu_isa_traits.cpp). A level that oneDNN does not know limits nothing.
_WITHOUT_BFLOAT16 = frozenset(
    "SSE41 AVX AVX2 AVX2_VNNI AVX2_VNNI_2 AVX512_CORE AVX512_CORE_VNNI".split()
)
_WITHOUT_FLOAT16 = _WITHOUT_BFLOAT16 | {"AVX512_CORE_BF16"}
_LIMITS = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA")
_X86 = ("x86_64", "AMD64", "i686", "i386")

_SECONDS = 0.3
_MEASURED_WORDS = 8


@dataclass(frozen=True)
class Hardware:
    """What the choice of a precision depends on.

    ``device`` is cpu, cuda or npu. Of a CPU: ``architecture`` as `platform.machine` names it,
    ``sets`` as `crnn.machine.instruction_sets` does (empty: the system does not tell), and
    ``limit``, the setting that keeps oneDNN from using them, such as ``ONEDNN_MAX_CPU_ISA=AVX2``.
    ``capability`` is CUDA's compute capability; ``npu_bfloat16`` says whether the NPU has bfloat16.
    """

    device: str
    architecture: str = ""
    sets: FrozenSet[str] = frozenset()
    limit: str = ""
    capability: Tuple[int, int] = (0, 0)
    npu_bfloat16: bool = False


@dataclass(frozen=True)
class Support:
    """Whether the hardware computes in a precision itself; None: only a measurement can tell."""

    native: Optional[bool]
    reason: str


@dataclass(frozen=True)
class Choice:
    """The precision of a run, and the line about it (empty: nothing to say)."""

    precision: str
    line: str = ""


def choose(asked: str, kept: Optional[str], hardware: Hardware, measure: Measure) -> Choice:
    """Decide the precision of a run, from its arguments alone.

    Args:
        asked: the recipe's ``precision``: auto, float32, bfloat16 or float16.
        kept: the precision of the run that is gone on with; None for a new run.
        hardware: what the run computes on.
        measure: called where the hardware leaves a doubt, and for the rates of a warning.

    Returns:
        The precision, and the line that says why, or warns that it is emulated.
    """
    if asked != AUTO:
        return Choice(asked, _warning(asked, hardware, measure))
    if kept is not None:
        return _keep(kept, hardware, measure)
    best = _best(hardware)
    found = support(best, hardware)
    if found.native is None:
        rates = _rates(best, measure)
        faster = max(rates, key=lambda name: rates[name])
        return Choice(faster, f"precision {faster} (auto: {_told(rates)}; {found.reason})")
    if not found.native:
        return Choice("float32", f"precision float32 (auto: {found.reason})")
    return Choice(best, f"precision {best} (auto: {found.reason})")


def support(precision: str, hardware: Hardware) -> Support:
    """Say whether hardware computes in a precision, and why.

    Args:
        precision: float32, bfloat16 or float16.
        hardware: what the run computes on.

    Returns:
        The answer; ``native`` is None where only a measurement can tell.
    """
    if precision == "float32":
        return Support(True, "every device has float32")
    if hardware.device == "cuda":
        return _cuda_support(precision, hardware)
    if hardware.device == "npu":
        return _npu_support(precision, hardware)
    return _cpu_support(precision, hardware)


def look(device: torch.device) -> Hardware:
    """Look at the hardware that a run computes on.

    Args:
        device: the run's device.

    Returns:
        What the choice of a precision depends on.
    """
    if device.type == "cuda":
        return Hardware("cuda", capability=torch.cuda.get_device_capability(device))
    if device.type == "npu":
        npu: Any = torch.npu  # type: ignore[attr-defined]  # torch_npu adds it
        asks = getattr(npu, "is_bf16_supported", None)
        return Hardware("npu", npu_bfloat16=bool(asks and asks()))
    return Hardware("cpu", platform.machine(), instruction_sets(), _limit(os.environ))


def choose_together(
    asked: str, kept: Optional[str], config: CrnnConfig, batch: int, world: World
) -> Choice:
    """Decide the precision of a run, the same in all its processes: the first one's.

    Args:
        asked: the recipe's ``precision``: auto, float32, bfloat16 or float16.
        kept: the precision of the run that is gone on with; None for a new run.
        config: the sizes of the network, for a measurement.
        batch: words a step on a device, for a measurement.
        world: this process's device and its place among the others.

    Returns:
        The precision, and the line about it in the first process.

    Raises:
        UnavailableError: this PyTorch cannot compute in the precision on the device.
    """
    for precision in (asked, kept):
        if precision not in (None, AUTO):
            _refuse_impossible(world.device, str(precision))
    choice = Choice(PRECISIONS[0])
    # Processes that measure at the same time would disturb each other.
    if world.first:

        def measure(precision: str) -> float:
            threads = torch.get_num_threads()
            return _known_rate(config, batch, world.device, precision, threads)

        choice = choose(asked, kept, look(world.device), measure)
    index = PRECISIONS.index(choice.precision)
    shared = int(world.sum([float(index)])[0])
    return Choice(PRECISIONS[shared], choice.line)


def autocast(device: torch.device, precision: str) -> ContextManager[Any]:
    """Return the context in which a network computes in a precision.

    Args:
        device: the network's device.
        precision: float32, bfloat16 or float16.

    Returns:
        PyTorch's automatic mixed precision; for float32 a context that does nothing.
    """
    if precision == "float32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, getattr(torch, precision))


def measured_rate(config: CrnnConfig, batch: int, device: torch.device, precision: str) -> float:
    """Measure how fast a network trains in a precision, in about a second.

    Args:
        config: the sizes of the network.
        batch: words a step; at most 8 are taken.
        device: the device to train on.
        precision: float32, bfloat16 or float16.

    Returns:
        Words a second, forward and backward.
    """
    words = min(batch, _MEASURED_WORDS)
    model: Any = CRNN(config).to(device).train()
    if device.type in CHANNELS_LAST:
        model.to(memory_format=torch.channels_last)
    images = torch.zeros(words, config.in_channels, 32, 100, device=device)
    targets = torch.ones(words, dtype=torch.int64, device=device)
    lengths = torch.ones(words, dtype=torch.int64)
    loss = CtcLoss(blank=0)

    def train(steps: int) -> float:
        start = time.perf_counter()
        for _ in range(steps):
            model.zero_grad(set_to_none=True)
            with autocast(device, precision):
                logits = model(images)
            value: Any = loss(logits, targets, lengths)
            value.backward()
            # The number is there only when the device is done.
            float(value.detach())
        return time.perf_counter() - start

    # The first step sets up the convolutions; where it alone takes long it has to do.
    first = train(1)
    if first > 3 * _SECONDS:
        return words / first
    once = train(1)
    steps = max(1, min(100, round(_SECONDS / once)))
    return words * steps / train(steps)


@functools.lru_cache(maxsize=None)
def _known_rate(
    config: CrnnConfig, batch: int, device: torch.device, precision: str, threads: int
) -> float:
    """Return `measured_rate`, measured once a process: the machine does not change meanwhile."""
    return measured_rate(config, batch, device, precision)


def _refuse_impossible(device: torch.device, precision: str) -> None:
    """Raise where PyTorch has no such mixed precision: before 2.3 no float16 on a CPU."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with autocast(device, precision):
                pass
    except RuntimeError as problem:
        raise UnavailableError(
            f"PyTorch {torch.__version__} cannot train in {precision} on {device.type}",
            hint="take precision=float32 or precision=auto, or a newer PyTorch",
        ) from problem


def _cuda_support(precision: str, hardware: Hardware) -> Support:
    least = (7, 0)
    if precision == "bfloat16":
        least = (8, 0)
    version = ".".join(str(part) for part in hardware.capability)
    if hardware.capability >= least:
        return Support(True, f"the GPU of compute capability {version} has {precision}")
    return Support(False, f"the GPU of compute capability {version} is not made for {precision}")


def _npu_support(precision: str, hardware: Hardware) -> Support:
    if precision == "float16" or hardware.npu_bfloat16:
        return Support(True, f"the NPU has {precision}")
    return Support(False, f"the NPU has no {precision}")


def _cpu_support(precision: str, hardware: Hardware) -> Support:
    if not hardware.sets:
        return Support(None, "the system does not tell what the processor can do")
    if hardware.architecture in _X86:
        return _x86_support(precision, hardware)
    # PyTorch's kernels for ARM use these instructions in some operators and not in others.
    needed = "BF16"
    if precision == "float16":
        needed = "NEON_FP16"
    if needed in hardware.sets:
        return Support(None, f"the processor has {needed}")
    return Support(False, f"the processor has no {precision}")


def _x86_support(precision: str, hardware: Hardware) -> Support:
    level = hardware.limit.partition("=")[2].upper()
    without = _WITHOUT_BFLOAT16
    if precision == "float16":
        without = _WITHOUT_FLOAT16
    if level in without:
        return Support(False, f"{hardware.limit} leaves the processor no {precision}")
    if precision == "float16":
        if "AVX512_FP16" in hardware.sets:
            return Support(None, "the processor has AVX512_FP16")
        return Support(False, "the processor has no float16")
    found = sorted(hardware.sets & {"AVX512_BF16", "AMX_BF16"})
    if found:
        return Support(True, f"the processor has {' and '.join(found)}")
    return Support(False, "the processor has no bfloat16: neither AVX512_BF16 nor AMX_BF16")


def _best(hardware: Hardware) -> str:
    """Return the precision to try first."""
    if hardware.device == "cpu" or support("bfloat16", hardware).native:
        return "bfloat16"
    return "float16"


def _keep(kept: str, hardware: Hardware, measure: Measure) -> Choice:
    """Go on in a run's own precision, whatever this machine would choose."""
    warning = _warning(kept, hardware, measure)
    if warning:
        return Choice(kept, f"precision {kept}, kept from the run's beginning. {warning}")
    line = f"precision {kept}, kept from the run's beginning"
    best = _best(hardware)
    if kept == "float32" and support(best, hardware).native:
        line += f"; a new run would take {best} here ({support(best, hardware).reason})"
    return Choice(kept, line)


def _warning(precision: str, hardware: Hardware, measure: Measure) -> str:
    """Return the line about a precision that is emulated; empty where it is not."""
    found = support(precision, hardware)
    if found.native:
        return ""
    rates = _rates(precision, measure)
    if found.native is None and rates[precision] >= rates["float32"]:
        return ""
    return (
        f"warning: {precision} is emulated here ({found.reason}): {_told(rates)};"
        " a new run with precision=auto takes what is faster"
    )


def _rates(precision: str, measure: Measure) -> Dict[str, float]:
    return {name: measure(name) for name in ("float32", precision)}


def _told(rates: Dict[str, float]) -> str:
    parts = [f"{_rounded(rate)} words/s in {name}" for name, rate in rates.items()]
    return "measured " + " and ".join(parts)


def _rounded(rate: float) -> str:
    if rate < 10:
        return f"{rate:.1f}"
    return f"{rate:.0f}"


def _limit(environment: Any) -> str:
    # oneDNN looks at them in this order, and takes either case.
    for name in _LIMITS:
        if environment.get(name):
            return f"{name}={environment[name]}"
    return ""
