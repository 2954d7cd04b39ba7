"""A simulated machine within the test's own process, and small models for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Iterator, List, Tuple

import pytest

from crnn.simulator import Knobs, Simulator, installed
from tests.models import write_echo_model
from tests.simulator.programs import compile_model

AIPP = """
aipp_op {  # one gray channel, (x - 127.5) / 127.5
  aipp_mode: static
  related_input_rank: 0
  input_format: YUV400_U8
  csc_switch: false
  src_image_size_w: 100
  src_image_size_h: 32
  mean_chn_0: 0
  min_chn_0: 127.5
  var_reci_chn_0: 0.00784313725
}
"""


class Machine:
    """A simulator with its stand-in installed, and what a test asks of it."""

    def __init__(self, sim: Simulator, acl: Any) -> None:
        self.sim = sim
        self.acl = acl

    @property
    def broken(self) -> List[str]:
        """The rules that were broken so far, in order."""
        return [violation.rule for violation in self.sim.record.violations]

    @property
    def said(self) -> str:
        """The text of the last broken rule."""
        return self.sim.record.violations[-1].text

    def ready(self) -> None:
        """Initialise, and set device 0."""
        assert self.acl.init() == 0
        assert self.acl.rt.set_device(0) == 0

    def device(self, size: int = 256) -> int:
        """Return device memory."""
        pointer, ret = self.acl.rt.malloc(size, 0)
        assert ret == 0
        return int(pointer)

    def host(self, size: int = 256) -> int:
        """Return pinned memory."""
        pointer, ret = self.acl.rt.malloc_host(size)
        assert ret == 0
        return int(pointer)

    def stream(self) -> int:
        """Return a stream."""
        stream, ret = self.acl.rt.create_stream()
        assert ret == 0
        return int(stream)

    def event(self) -> int:
        """Return an event."""
        event, ret = self.acl.rt.create_event()
        assert ret == 0
        return int(event)


@pytest.fixture
def start() -> Iterator[Callable[..., Machine]]:
    """Return a function that starts a machine by its knobs."""
    stack: List[Any] = []

    def make(**knobs: Any) -> Machine:
        sim = Simulator(Knobs(**knobs))
        context = installed(sim)
        acl = context.__enter__()
        stack.append(context)
        return Machine(sim, acl)

    yield make
    for context in reversed(stack):
        context.__exit__(None, None, None)


@pytest.fixture
def machine(start: Callable[..., Machine]) -> Machine:
    """A machine with device 0 set."""
    made = start()
    made.ready()
    return made


@pytest.fixture(scope="session")
def echo_onnx(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The echo model, any batch."""
    return write_echo_model(tmp_path_factory.mktemp("echo") / "echo.onnx")


@pytest.fixture(scope="session")
def aipp_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An AIPP configuration for the echo model."""
    path = tmp_path_factory.mktemp("aipp") / "aipp.cfg"
    path.write_text(AIPP)
    return path


@pytest.fixture(scope="session")
def oms(
    echo_onnx: Path, aipp_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> Tuple[Path, Path, Path]:
    """The echo model as an OM: static batch 4, gears 1, 4, 8, and AIPP with batch 4."""
    folder = tmp_path_factory.mktemp("oms")
    knobs = Knobs()
    static = "--input_shape=actual_input_1:4,1,32,100"
    gears = ("--input_shape=actual_input_1:-1,1,32,100", "--dynamic_batch_size=1,4,8")
    return (
        compile_model(echo_onnx, folder / "static", knobs, static),
        compile_model(echo_onnx, folder / "gears", knobs, *gears),
        compile_model(echo_onnx, folder / "aipp", knobs, static, f"--insert_op_conf={aipp_file}"),
    )
