"""Streams and events: what is queued, what orders what, and when it runs.

A stream does nothing until something waits for it. Then its tasks run in order, up to the one that
is waited for, and before a task that waits for an event, the recording stream up to the record. So
whatever is not synchronised stays undone, and its poison shows.

What orders two tasks is known when they are enqueued: their stream, an event between their streams,
or the host having waited for the first before it enqueued the second. `Moment` is that knowledge;
`Thing.conflict` asks it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Callable, Deque, List, Optional, Tuple

from crnn import cann
from crnn.simulator.clock import Clock
from crnn.simulator.record import Site
from crnn.simulator.things import Access, Moment, Registry, Thing

Action = Callable[[], None]


@dataclass
class Task:
    """Something queued: its place in its stream, what it is, who queued it, and what it does."""

    number: int
    what: str
    where: Site
    action: Action
    end: float
    callback: bool = False


@dataclass
class Stream(Thing):
    """A queue of tasks on a device."""

    device: int = 0
    default: bool = False
    tasks: Deque[Task] = field(default_factory=deque)
    issued: int = 0
    passed: int = 0
    known: Moment = field(default_factory=dict)
    tail: float = 0.0
    error: int = 0
    reporter: Optional[int] = None

    kind = "stream"


@dataclass(frozen=True)
class Mark:
    """Where in which stream an event was recorded, what had happened before, and when it comes to
    pass.
    """

    stream: Stream
    number: int
    known: Moment
    time: float


@dataclass
class Event(Thing):
    """An event. ``flag`` None: made by create_event, good for everything; ``lasting``: made by
    create_event_ex_with_flag, recorded again as it is and never reset.
    """

    device: int = 0
    flag: Optional[int] = None
    lasting: bool = False
    mark: Optional[Mark] = None
    waiters: List[Tuple[Stream, int]] = field(default_factory=list)
    reset: Optional[Tuple[Stream, int]] = None

    kind = "event"

    @property
    def synchronises(self) -> bool:
        """Whether streams may wait for it."""
        return self.flag is None or bool(self.flag & cann.ACL_EVENT_SYNC)

    @property
    def keeps_time(self) -> bool:
        """Whether event_elapsed_time may ask it."""
        return self.flag is None or bool(self.flag & cann.ACL_EVENT_TIME_LINE)


class Streams:
    """All streams of a process, and what the host knows to have passed."""

    def __init__(self, registry: Registry, clock: Clock) -> None:
        self._registry = registry
        self._clock = clock
        self.host: Moment = {}

    def begin(self, stream: Stream) -> Moment:
        """Return what is ordered before a task that is enqueued now on ``stream``.

        Args:
            stream: The stream.

        Returns:
            The moment.
        """
        return _merged(stream.known, self.host)

    def enqueue(
        self,
        stream: Stream,
        what: str,
        where: Site,
        action: Action,
        *,
        engine: str = "",
        duration: float = 0.0,
        callback: bool = False,
    ) -> Task:
        """Queue a task; it is placed on the virtual clock at once.

        Args:
            stream: The stream.
            what: What it is, for messages.
            where: The lines that led there.
            action: What it does when the stream comes to it.
            engine: The engine that it occupies, empty for none.
            duration: For how long, in milliseconds.
            callback: Whether a thread in process_report must run it.

        Returns:
            The task.
        """
        stream.issued += 1
        stream.known = _merged(self.begin(stream), {stream.handle: stream.issued})
        if engine:
            end = self._clock.place(stream.device, engine, stream.tail, duration)
        else:
            end = max(stream.tail, self._clock.now)
        stream.tail = end
        task = Task(stream.issued, what, where, action, end, callback)
        stream.tasks.append(task)
        return task

    def run_until(self, stream: Stream, number: int) -> None:
        """Run a stream's tasks up to this one.

        Args:
            stream: The stream.
            number: The last task's number.
        """
        while stream.passed < number and stream.tasks:
            task = stream.tasks.popleft()
            task.action()
            stream.passed = task.number

    def learn(self, known: Moment, time: float) -> None:
        """Let the host know that all this has passed, having waited for it.

        Args:
            known: What has passed.
            time: When it has, in milliseconds of the virtual clock.
        """
        self.host = _merged(self.host, known)
        self._clock.wait_until(time)

    def synchronize(self, stream: Stream) -> None:
        """Wait for everything in a stream.

        Args:
            stream: The stream.
        """
        self.run_until(stream, stream.issued)
        self.learn(stream.known, stream.tail)

    def pending(self, stream: Stream) -> Optional[Task]:
        """Return the first task that the host has not waited for, though it may have run.

        Args:
            stream: The stream.

        Returns:
            The task, or None.
        """
        if self.host.get(stream.handle, 0) >= stream.issued:
            return None
        if stream.tasks:
            return stream.tasks[0]
        return Task(stream.issued, "a task", (), lambda: None, stream.tail)

    def drop(self, device: int) -> None:
        """Forget all tasks of a device, as after a fault of it; what they would have done never
        happens.

        Args:
            device: The device's number.
        """
        for stream in self._registry.living(Stream):
            if stream.device == device:
                stream.tasks.clear()
                stream.passed = stream.issued
                self.learn({stream.handle: stream.issued}, self._clock.now)

    # --- events

    def record(self, event: Event, stream: Stream, where: Site) -> None:
        """Record an event behind what is in the stream now.

        Args:
            event: The event.
            stream: The stream.
            where: The lines that led there.
        """
        task = self.enqueue(stream, "record_event", where, lambda: None)
        event.mark = Mark(stream, task.number, dict(stream.known), task.end)
        event.waiters = []
        event.reset = None
        self.touch(event, stream, task, write=False)

    def wait(self, stream: Stream, event: Event, where: Site) -> None:
        """Let what is enqueued next on the stream wait for the event's last record.

        Args:
            stream: The stream.
            event: The event.
            where: The lines that led there.
        """
        mark = event.mark
        assert mark is not None
        stream.known = _merged(stream.known, mark.known)
        stream.tail = max(stream.tail, mark.time)
        task = self.enqueue(
            stream, "stream_wait_event", where, lambda: self.run_until(mark.stream, mark.number)
        )
        event.waiters.append((stream, task.number))
        self.touch(event, stream, task, write=False)

    def reset(self, event: Event, stream: Stream, where: Site) -> None:
        """Queue the event's reset.

        Args:
            event: The event.
            stream: The stream.
            where: The lines that led there.
        """
        task = self.enqueue(stream, "reset_event", where, lambda: None)
        event.reset = (stream, task.number)
        event.mark = None
        event.waiters = []
        self.touch(event, stream, task, write=False)

    def touch(
        self, thing: Thing, stream: Stream, task: Task, *, write: bool, low: int = 0, high: int = 1
    ) -> None:
        """Note that a task will use a thing.

        Args:
            thing: What is used.
            stream: The stream.
            task: The task that uses it.
            write: Whether it is written, not only read.
            low: Its first byte, counted from the thing's start.
            high: The byte behind its last.
        """
        thing.touch(
            Access(stream.handle, task.number, low, high, write, task.what, task.where), self.host
        )


def _merged(first: Moment, second: Moment) -> Moment:
    result = dict(first)
    for stream, number in second.items():
        if result.get(stream, 0) < number:
            result[stream] = number
    return result
