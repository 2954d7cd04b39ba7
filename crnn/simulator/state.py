"""The simulated machine as one process sees it, and what every call of it has in common."""

from __future__ import annotations

import os
import threading
from typing import Any, Dict, List, NoReturn, Optional, Tuple, Type, TypeVar

from crnn import cann
from crnn.cann import codes
from crnn.simulator.clock import clock_of
from crnn.simulator.knobs import Fault, Knobs
from crnn.simulator.memory import Block, Memory
from crnn.simulator.models import Model, ModelDesc
from crnn.simulator.record import Record, Site, line_of, lines_of, site
from crnn.simulator.streams import Event, Stream, Streams
from crnn.simulator.things import (
    ConfigHandle,
    Context,
    DataBuffer,
    Dataset,
    Registry,
    TensorDesc,
    Thing,
)

T = TypeVar("T", bound=Thing)

_KINDS: Tuple[Type[Thing], ...] = (
    ModelDesc,
    Dataset,
    DataBuffer,
    TensorDesc,
    ConfigHandle,
    Event,
    Stream,
    Context,
)
_ON_THE_HOST = (ModelDesc, Dataset, DataBuffer, TensorDesc, ConfigHandle)
"""Nothing of these lies on a device."""


class RefusedError(Exception):
    """A call fails with a return code."""

    def __init__(self, code: int, text: str = "") -> None:
        super().__init__(code, text)
        self.code = code
        self.text = text


class Device:
    """One device of the process: how often it is set, and its default context."""

    def __init__(self) -> None:
        self.count = 0
        self.default: Optional[Context] = None
        self.where: Site = ()
        self.release_failed = False


class Simulator:
    """Everything the pyACL stand-in knows.

    ``record`` holds what happened; `close` ends it with the leaks.
    """

    def __init__(self, knobs: Optional[Knobs] = None, record: Optional[Record] = None) -> None:
        self.knobs = knobs or Knobs()
        self.record = record or Record()
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.clock = clock_of(self.knobs)
        self.registry = Registry()
        self.memory = Memory(
            self.knobs.device_memory,
            self.knobs.run_mode,
            host_aligned=self.knobs.host_memory_aligned,
        )
        self.streams = Streams(self.registry, self.clock)
        self.devices: Dict[int, Device] = {}
        self.models: Dict[int, Model] = {}
        self.lent: Dict[int, Tuple[int, Any]] = {}
        self.threads: Dict[int, Tuple[threading.Thread, List[BaseException], Site]] = {}
        self.initialised = 0
        self.init_where: Site = ()
        self.finalized = False
        self.finalize_failed = False
        self.forked = False
        self.closed = False
        self._local = threading.local()
        self._faults: Dict[Tuple[str, int], List[Fault]] = {}
        for fault in self.knobs.faults:
            self._faults.setdefault((fault.call, fault.count), []).append(fault)

    # --- the running call

    @property
    def call(self) -> str:
        """The name of the call that runs in this thread."""
        return str(getattr(self._local, "call", ""))

    def enter(self, name: str) -> Optional[Fault]:
        """Count a call; return the fault that is set for it.

        Args:
            name: The function's full name.

        Returns:
            The fault, or None.
        """
        self._local.call = name
        self.record.calls[name] += 1
        device = None
        if self.current is not None:
            device = self.current.device
        for fault in self._faults.get((name, self.record.calls[name]), ()):
            if fault.device in (None, device):
                return fault
        return None

    def broke(self, rule: str, text: str, where: Optional[Site] = None) -> None:
        """Note a broken rule.

        Args:
            rule: The rule's name, as it stands in the report.
            text: How it was broken.
            where: The lines that led there; None: those of the running call.
        """
        if where is None:
            where = site()
        self.record.add(rule, self.call, text, where)

    def refuse(self, rule: str, text: str, code: int) -> NoReturn:
        """Note a broken rule and make the call fail.

        Args:
            rule: The rule's name, as it stands in the report.
            text: How it was broken.
            code: The return code.

        Raises:
            RefusedError: Always.
        """
        self.broke(rule, text)
        raise RefusedError(code, text)

    def advise(self, rule: str, text: str) -> None:
        """Note an order that no page demands, though Huawei's own examples keep another.

        Args:
            rule: The rule's name, as it stands in the report.
            text: What the running call does.
        """
        self.record.advise(rule, self.call, text, site())

    def set_error(self, code: int, text: str) -> None:
        """Keep the message that get_recent_err_msg gives to this thread.

        Args:
            code: The return code.
            text: How it was broken.
        """
        entry = codes.code(code)
        meaning = codes.NO_MEANING
        if entry:
            meaning = entry.meaning
        self._local.error = (
            f"{_letter(code)}: [PID: {os.getpid()}] (simulated) {self.call}: {text or meaning}"
        )

    def take_error(self) -> Optional[str]:
        """Return this thread's message once.

        Returns:
            The message, or None where there is none.
        """
        text: Optional[str] = getattr(self._local, "error", None)
        self._local.error = None
        return text

    # --- contexts and handles

    @property
    def current(self) -> Optional[Context]:
        """This thread's current context, None where there is none or it was destroyed."""
        context: Optional[Context] = getattr(self._local, "context", None)
        if context is None or not context.alive:
            return None
        return context

    @current.setter
    def current(self, context: Optional[Context]) -> None:
        self._local.context = context

    def need_context(self) -> Context:
        """Return the current context; a call without one breaks the rule of one context per
        thread.

        Returns:
            The context.

        Raises:
            RefusedError: There is not one that this thread may use.
        """
        context = self.current
        if context is None:
            self.refuse(
                "context", "this thread has no current context", cann.ACL_ERROR_RT_CONTEXT_NULL
            )
        return context

    def thing(self, kind: Type[T], handle: int, code: int = cann.ACL_ERROR_INVALID_PARAM) -> T:
        """Return the living thing of a handle; anything else breaks a rule.

        Args:
            kind: The class of what the handle must be.
            handle: The handle that the program gave.
            code: The return code.

        Returns:
            The thing.

        Raises:
            RefusedError: There is not one that this thread may use.
        """
        name = getattr(kind, "kind", "thing")
        found = self.registry.find(handle)
        if not isinstance(found, kind):
            self.refuse("handle", f"{handle:#x} is not a {name}", code)
        if found.released is not None:
            self.refuse(
                "use-after-release",
                f"the {name} made at {line_of(found.where)} was released at"
                f" {line_of(found.released)}",
                code,
            )
        return found

    def stream(self, handle: int) -> Stream:
        """Return a stream of the current context; 0 is its default stream.

        Args:
            handle: The handle that the program gave.

        Returns:
            The stream.

        Raises:
            RefusedError: There is not one that this thread may use.
        """
        context = self.need_context()
        code = cann.ACL_ERROR_RT_STREAM_CONTEXT
        stream = self.thing(Stream, handle or context.default_stream, code)
        if stream.context is not context:
            self.refuse(
                "context",
                f"the stream made at {line_of(stream.where)} belongs to another context",
                code,
            )
        return stream

    def event(self, handle: int) -> Event:
        """Return an event of the current context.

        Args:
            handle: The handle that the program gave.

        Returns:
            The event.

        Raises:
            RefusedError: There is not one that this thread may use.
        """
        context = self.need_context()
        event = self.thing(Event, handle, cann.ACL_ERROR_RT_PARAM_INVALID)
        if event.context is not context:
            text = f"the event made at {line_of(event.where)} belongs to another context"
            self.refuse("context", text, cann.ACL_ERROR_RT_PARAM_INVALID)
        return event

    def model(self, number: int) -> Model:
        """Return a loaded model of the current context.

        Args:
            number: The model's number.

        Returns:
            The model.

        Raises:
            RefusedError: There is not one that this thread may use.
        """
        context = self.need_context()
        model = self.models.get(number)
        code = cann.ACL_ERROR_GE_EXEC_MODEL_ID_INVALID
        if model is None:
            self.refuse("handle", f"{number} is not a model", code)
        if model.released is not None:
            self.refuse(
                "use-after-release",
                f"model {number} was unloaded at {line_of(model.released)}",
                code,
            )
        if model.context is not context:
            text = f"model {number} was loaded under another context, at {line_of(model.where)}"
            self.refuse("context", text, cann.ACL_ERROR_RT_MODEL_CONTEXT)
        return model

    def release(self, thing: Thing) -> None:
        """Release a thing that no queued task may still use.

        Args:
            thing: What is used.
        """
        self.check_host_access(thing, write=True)
        self.mark_released(thing)

    def mark_released(self, thing: Thing) -> None:
        """Note that a thing is given back, and that this comes too late for what it outlived.

        Args:
            thing: What is given back.
        """
        if thing.outlived:
            text = (
                f"the {thing.kind} made at {line_of(thing.where)} must be given back before"
                f" {thing.outlived}, and was not"
            )
            if isinstance(thing, _ON_THE_HOST):
                self.advise("release-order", text)
            else:
                self.broke("release-order", text)
        thing.released = site()

    # --- order

    def check_host_access(self, thing: Thing, *, write: bool, low: int = 0, high: int = 1) -> None:
        """See that no queued task conflicts with the host's use of a thing now.

        Args:
            thing: What is used.
            write: Whether it is written, not only read.
            low: Its first byte, counted from the thing's start.
            high: The byte behind its last.
        """
        access = thing.conflict(self.streams.host, low=low, high=high, write=write)
        if access is not None:
            self._unordered(thing, access.what, access.where, "the host")

    def check_task_access(
        self, thing: Thing, stream: Stream, *, write: bool, low: int = 0, high: int = 1
    ) -> None:
        """See that no task of another stream conflicts with one that is enqueued now.

        Args:
            thing: What is used.
            stream: The stream that the task is queued in.
            write: Whether it is written, not only read.
            low: Its first byte, counted from the thing's start.
            high: The byte behind its last.
        """
        now = self.streams.begin(stream)
        access = thing.conflict(now, stream=stream.handle, low=low, high=high, write=write)
        if access is not None:
            self._unordered(thing, access.what, access.where, f"{self.call} on another stream")

    def _unordered(self, thing: Thing, what: str, where: Site, who: str) -> None:
        self.broke(
            "order",
            f"{who} touches the {thing.kind} made at {line_of(thing.where)} while {what} of"
            f" {line_of(where)} may still use it: nothing orders the two (synchronise, or an event"
            " between the streams)",
        )

    # --- the end

    def check_fences(self) -> None:
        """Note the blocks that were written past their ends."""
        for block in self.memory.inspect():
            self.note_damage(block)

    def note_damage(self, block: Block) -> None:
        """Note that a block was written past its ends, or after its release.

        Args:
            block: The block.
        """
        how = "written past its ends"
        if not block.alive:
            how = f"written after its release at {line_of(block.released or ())}"
        self.broke(
            "overrun",
            f"{block.kind} of {block.size} bytes made at {line_of(block.where)} was {how}",
        )

    def alive(self, device: Optional[int] = None) -> List[Thing]:
        """Return what is not released, of one device or of all, but for what a fault kept from
        being released.

        Args:
            device: The device's number; None: all of them.

        Returns:
            The things, in no order that matters.
        """
        things: List[Thing] = [thing for kind in _KINDS for thing in self.registry.living(kind)]
        things += [model for model in self.models.values() if model.alive]
        things += self.memory.living()
        kept = [thing for thing in things if not thing.release_failed and not _implicit(thing)]
        if device is None:
            return kept
        return [
            thing for thing in kept if thing.context is not None and thing.context.device == device
        ]

    def leaks(self) -> List[Dict[str, Any]]:
        """Return what is not released, with the line that made it; a thing whose release was made
        to fail says so.

        Returns:
            One object a leak: ``what``, ``where``, ``stack`` and ``release_failed``.
        """
        rows = []
        seen = set()
        things: List[Thing] = [thing for kind in _KINDS for thing in self.registry.living(kind)]
        for thing in (*things, *self.models.values(), *self.memory.living()):
            if thing.alive and not _implicit(thing) and id(thing) not in seen:
                seen.add(id(thing))
                rows.append(_leak(thing.kind, thing.where, thing.release_failed))
        for number, device in sorted(self.devices.items()):
            if device.count:
                rows.append(
                    _leak(
                        f"device {number}, set and not reset", device.where, device.release_failed
                    )
                )
        rows += [
            _leak("thread, started and not stopped", where, False)
            for _, _, where in self.threads.values()
        ]
        if self.initialised:
            rows.append(
                _leak("acl, initialised and not finalized", self.init_where, self.finalize_failed)
            )
        return rows

    def close(self) -> Dict[str, Any]:
        """End the process's part:

        look for overruns and leaks, and return (and write) its summary.

        Returns:
            Calls, leaks, figures of the clock, and broken rules.
        """
        with self.lock:
            if not self.closed:
                self._local.call = "the end of the process"
                self.check_fences()
            self.closed = True
            summary = {
                "calls": dict(self.record.calls),
                "leaks": self.leaks(),
                "clock": {
                    "devices": self.clock.figures(),
                    "host_ms": self.clock.host_busy,
                    "now_ms": self.clock.now,
                },
                "dropped": self.record.dropped,
            }
            self.record.write({"end": summary})
        return {
            **summary,
            "violations": [violation.to_dict() for violation in self.record.violations],
        }

    def in_child(self) -> None:
        """Go on in a child made by fork, which CANN does not support once it is initialised."""
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.record.forked()
        self.forked = bool(self.initialised)


def _implicit(thing: Thing) -> bool:
    return isinstance(thing, (Context, Stream)) and thing.default


def _leak(what: str, where: Site, release_failed: bool) -> Dict[str, Any]:
    return {
        "what": what,
        "where": line_of(where),
        "stack": lines_of(where),
        "release_failed": release_failed,
    }


def _letter(code: int) -> str:
    """Return the letter code that stands before a message, by the code's range."""
    if code in (cann.ACL_ERROR_RT_CONTEXT_NULL,):
        return "EE1010"
    if code == cann.ACL_ERROR_RT_STREAM_SYNC_TIMEOUT:
        return "EE1002"
    if code // 1000 % 100 == 7:
        return "EE1001"
    if code // 1000 % 100 == 45:
        return "E19999"
    return "EH9999"
