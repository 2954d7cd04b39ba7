"""Everything that one call makes and another must give back, and the order in which tasks may touch
it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Dict, Iterator, List, Optional, Tuple, Type, TypeVar

from crnn.simulator.record import Site

FIRST_HANDLE = 0x5000_0000_0001_0000
_STEP = 0x40

Moment = Dict[int, int]
"""For each stream's handle, the number of the last task that is known to have passed before this
moment.
"""


@dataclass
class Access:
    """A queued task's reading or writing of a part of a thing."""

    stream: int
    number: int
    low: int
    high: int
    write: bool
    what: str
    where: Site

    def passed(self, moment: Moment) -> bool:
        """Whether the task has certainly passed at ``moment``.

        Args:
            moment: What is known to have passed.

        Returns:
            True where it has.
        """
        return moment.get(self.stream, 0) >= self.number


@dataclass
class Thing:
    """An object with a handle. ``release_failed``:

    giving it back was made to fail, so it is nobody's leak. ``outlived`` says what went while it
    was alive: nothing where it is left for good, which is a leak and told as one.
    """

    handle: int
    where: Site
    context: Optional[Context] = None
    released: Optional[Site] = None
    release_failed: bool = False
    outlived: str = ""
    accesses: List[Access] = field(default_factory=list)

    kind = "thing"

    @property
    def alive(self) -> bool:
        """Whether it has not been released."""
        return self.released is None

    def conflict(
        self, now: Moment, *, stream: int = 0, low: int = 0, high: int = 1, write: bool = True
    ) -> Optional[Access]:
        """Return an earlier queued access that nothing orders before one made at ``now``, if there
        is one.

        Tasks of the same ``stream`` are ordered by it. Two accesses conflict if they overlap and
        one of them writes.

        Args:
            now: What is ordered before the new access.
            stream: The new access's stream, 0 for the host.
            low: Its first byte, counted from the thing's start.
            high: The byte behind its last.
            write: Whether it is written, not only read.

        Returns:
            The earlier access, or None.
        """
        for access in self.accesses:
            overlap = access.low < high and low < access.high
            if (
                overlap
                and (write or access.write)
                and access.stream != stream
                and not access.passed(now)
            ):
                return access
        return None

    def touch(self, access: Access, host: Moment) -> None:
        """Note a queued access, and forget those that the host knows to have passed.

        Args:
            access: The access.
            host: What the host knows to have passed.
        """
        self.accesses = [old for old in self.accesses if not old.passed(host)]
        self.accesses.append(access)

    def pending(self, host: Moment) -> Optional[Access]:
        """Return an access that the host does not know to have passed.

        Args:
            host: What the host knows to have passed.

        Returns:
            The access, or None.
        """
        return next((access for access in self.accesses if not access.passed(host)), None)


@dataclass
class Context(Thing):
    """A context on a device; the default one comes and goes with set_device and reset_device."""

    device: int = 0
    default: bool = False
    default_stream: int = 0

    kind = "context"


@dataclass
class DataBuffer(Thing):
    """A pointer and a size."""

    pointer: int = 0
    size: int = 0

    kind = "data buffer"


@dataclass
class TensorDesc(Thing):
    """A dtype, dims and a format."""

    dtype: int = 0
    dims: Tuple[int, ...] = ()
    layout: int = 0

    kind = "tensor desc"


@dataclass
class Dataset(Thing):
    """Data buffers in order; the gear set for each model, and the models it was used with."""

    buffers: List[DataBuffer] = field(default_factory=list)
    descs: Dict[int, TensorDesc] = field(default_factory=dict)
    gears: Dict[int, Tuple[int, ...]] = field(default_factory=dict)
    models: List[int] = field(default_factory=list)

    kind = "dataset"


@dataclass
class ConfigHandle(Thing):
    """Options for load_with_config."""

    options: Dict[int, object] = field(default_factory=dict)

    kind = "config handle"


T = TypeVar("T", bound=Thing)


class Registry:
    """All things by handle, released ones too, so that a late use can name who released it.

    No number comes back.
    """

    def __init__(self) -> None:
        self._things: Dict[int, Thing] = {}
        self._next = FIRST_HANDLE

    def number(self) -> int:
        """Return a new handle, which is not the address of anything.

        Returns:
            The handle.
        """
        self._next += _STEP
        return self._next

    def add(self, thing: T) -> T:
        """Keep a thing under its handle.

        Args:
            thing: What is used.

        Returns:
            The same thing.
        """
        self._things[thing.handle] = thing
        return thing

    def find(self, handle: int) -> Optional[Thing]:
        """Return the thing of a handle, released or not.

        Args:
            handle: The thing's handle.

        Returns:
            The thing, or None.
        """
        return self._things.get(handle)

    def living(self, kind: Type[T]) -> Iterator[T]:
        """Give all things of a kind that are not released, oldest first.

        Args:
            kind: The class.

        Returns:
            The things.
        """
        return (
            thing
            for thing in list(self._things.values())
            if isinstance(thing, kind) and thing.alive
        )
