"""What can be set about the simulated machine."""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Sequence, Tuple, Union

from crnn import cann
from crnn.simulator.signatures import SIGNATURES

Outcome = Union[int, str]
HANG = "hang"
FLOAT32, FLOAT16 = "float32", "float16"

_EXCEPTIONS = {
    "KeyboardInterrupt": KeyboardInterrupt,
    "MemoryError": MemoryError,
    "SystemExit": SystemExit,
}
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


@dataclass(frozen=True)
class Fault:
    """The ``count``-th call (from 1) of a function does nothing and fails:

    with a code, by raising an exception, or by never returning (`HANG`). With a ``device`` only
    where that is the current one.
    """

    call: str
    count: int
    outcome: Outcome
    device: Optional[int] = None

    @classmethod
    def parse(cls, text: str) -> Fault:
        """Read ``acl.rt.malloc:3:207001``, ``acl.rt.malloc:3:KeyboardInterrupt`` or
        ``acl.rt.malloc:3:hang``, each with ``@1`` for device 1 alone; ValueError for anything else.

        Args:
            text: The value as it was given.

        Returns:
            The fault.

        Raises:
            ValueError: The text has another form.
        """
        name, _, rest = text.partition(":")
        count, _, rest = rest.partition(":")
        outcome, at, number = rest.partition("@")
        device = None
        if at:
            if not number.isdigit():
                raise ValueError(f"{text}: expected a device's number behind @")
            device = int(number)
        if name not in SIGNATURES:
            raise ValueError(f"{name} is not a call that the simulator has")
        if not count.isdigit() or int(count) < 1:
            raise ValueError(f"{text}: expected FUNCTION:K:CODE, K from 1")
        if outcome in _EXCEPTIONS or outcome == HANG:
            return cls(name, int(count), outcome, device)
        if not outcome.isdigit() or int(outcome) == 0:
            raise ValueError(
                f"{text}: expected a code that is not 0, or one of {', '.join(_EXCEPTIONS)}, {HANG}"
            )
        return cls(name, int(count), int(outcome), device)

    def exception(self) -> Optional[BaseException]:
        """Return the exception to raise, None where the call fails with a code.

        Returns:
            The exception, or None.
        """
        if self.outcome not in _EXCEPTIONS:
            return None
        return _EXCEPTIONS[str(self.outcome)]("raised by the simulator")


@dataclass(frozen=True)
class Knobs:
    """The simulated machine.

    Times are milliseconds of the clock, memory is bytes per device.
    """

    soc: str = "Ascend310"
    run_mode: int = cann.ACL_HOST
    cann: Tuple[int, int] = (6, 0)
    devices: int = 1
    device_memory: int = 8 << 30
    copy_in_ms: float = 0.0
    compute_ms: float = 0.0
    copy_out_ms: float = 0.0
    host_ms: float = 0.0
    compute_ms_per_row: float = 0.0
    bandwidth: float = 0.0
    timing_only: bool = False
    real_time: bool = False
    compute: str = FLOAT32
    faults: Tuple[Fault, ...] = ()

    @property
    def version(self) -> str:
        """CANN's release as text."""
        return release_name(self.cann)

    @property
    def release(self) -> Tuple[int, int]:
        """CANN's release as it is called: 20.1 is 20 and 1, though it is compared as 2.1."""
        major, minor = self.version.split(".")
        return int(major), int(minor)

    @property
    def host_memory_aligned(self) -> bool:
        """Whether malloc_host gives memory on 64 bytes on the chip's own system too: from 8.5 on,
        by the page of aclrtMallocHost.
        """
        return self.cann >= (8, 5)

    @property
    def plain_events_reset(self) -> bool:
        """Whether events of create_event may be reset: until 8.5, by the page of
        aclrtCreateEvent.
        """
        return self.cann < (8, 5)

    @property
    def events_per_device(self) -> int:
        """The documented limit of events on a device."""
        if self.soc.startswith("Ascend310B"):
            return 65535
        return 1023

    def to_json(self) -> str:
        """Return the knobs as one line of JSON.

        Returns:
            The text.
        """
        return json.dumps(dataclasses.asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Knobs:
        """Read what `to_json` wrote.

        Args:
            text: The value as it was given.

        Returns:
            The knobs.
        """
        values: Dict[str, Any] = json.loads(text)
        values["cann"] = tuple(values["cann"])
        values["faults"] = tuple(Fault(**fault) for fault in values["faults"])
        return cls(**values)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the knobs on a command line.

    Args:
        parser: What the options are added to.
    """
    default = Knobs()
    parser.add_argument(
        "--soc", default=default.soc, metavar="NAME", help="the chip's name (default: %(default)s)"
    )
    parser.add_argument(
        "--run-mode", choices=("host", "device"), default="host", help="ACL_HOST or ACL_DEVICE"
    )
    parser.add_argument(
        "--cann",
        type=_version,
        default=default.cann,
        metavar="X.Y",
        help="CANN's release (default: 6.0)",
    )
    parser.add_argument(
        "--devices", type=_count, default=1, metavar="N", help="the number of devices (default: 1)"
    )
    parser.add_argument(
        "--device-memory",
        type=_bytes,
        default=default.device_memory,
        metavar="SIZE",
        help="as 8G or 512M",
    )
    _add_times(parser)
    parser.add_argument(
        "--timing-only",
        action="store_true",
        help="models are not computed: their output is a constant",
    )
    parser.add_argument(
        "--real-time",
        action="store_true",
        help="the clock is the wall's: who waits for a device sleeps",
    )
    parser.add_argument(
        "--compute",
        choices=(FLOAT32, FLOAT16),
        default=default.compute,
        help="in which precision models are computed (default: %(default)s)",
    )
    parser.add_argument(
        "--fail",
        dest="faults",
        type=_fault,
        action="append",
        default=[],
        metavar="CALL:K:CODE[@N]",
        help=(
            "the K-th call of a function fails with this code, raises KeyboardInterrupt, or never"
            " returns (hang); with @N where device N is the current one; may be repeated"
        ),
    )


def _add_times(parser: argparse.ArgumentParser) -> None:
    for name, what in (
        ("copy-in-ms", "a copy to the device takes"),
        ("compute-ms", "a model execution takes"),
        ("copy-out-ms", "a copy from the device takes"),
        ("host-ms", "the host works before each model execution"),
        ("compute-ms-per-row", "a model execution takes in addition, per row of the batch"),
    ):
        parser.add_argument(
            f"--{name}", type=_milliseconds, default=0.0, metavar="MS", help=f"virtual time {what}"
        )
    parser.add_argument(
        "--bandwidth",
        type=_milliseconds,
        default=0.0,
        metavar="GB/S",
        help="of copies (default: endless)",
    )


def from_arguments(args: argparse.Namespace) -> Knobs:
    """Return the knobs that were set on a command line.

    Args:
        args: What the parser read.

    Returns:
        The knobs.
    """
    names: List[str] = [
        field.name
        for field in dataclasses.fields(Knobs)
        if field.name not in ("run_mode", "faults")
    ]
    mode = cann.ACL_HOST
    if args.run_mode == "device":
        mode = cann.ACL_DEVICE
    return Knobs(
        run_mode=mode, faults=tuple(args.faults), **{name: getattr(args, name) for name in names}
    )


def release_name(release: Sequence[int]) -> str:
    """Return CANN's name of a release.

    Args:
        release: Major and minor number as they are compared: 20.x came before 3.x, and is kept as
            2.x.

    Returns:
        Such as "20.1".
    """
    major, minor = release[0], release[1]
    if major == 2:
        major = 20
    return f"{major}.{minor}"


def _version(text: str) -> Tuple[int, int]:
    match = re.fullmatch(r"(\d+)\.(\d+)(?:\..*)?", text)
    if not match:
        raise argparse.ArgumentTypeError(f"{text!r} is not a release; expected one like 6.0")
    # 20.x came before 3.x.
    major = int(match.group(1))
    if major == 20:
        major = 2
    return major, int(match.group(2))


def _bytes(text: str) -> int:
    match = re.fullmatch(r"(\d+)([KMG]?)", text)
    if not match:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size; expected one like 8G")
    return int(match.group(1)) * _UNITS[match.group(2)]


def _count(text: str) -> int:
    if not text.isdigit() or not 0 <= int(text) <= 64:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of devices; expected 0 to 64")
    return int(text)


def _milliseconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0")
    return value


def _fault(text: str) -> Fault:
    try:
        return Fault.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
