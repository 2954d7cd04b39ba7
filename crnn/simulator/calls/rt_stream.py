"""acl.rt.*: streams, events, callbacks."""

from __future__ import annotations

import threading
import time
from typing import Any, Callable, Optional, Tuple

from crnn import cann
from crnn.simulator.calls import implements
from crnn.simulator.calls.rt_device import check_passed
from crnn.simulator.record import line_of, site
from crnn.simulator.state import RefusedError, Simulator
from crnn.simulator.streams import Event, Mark, Stream

_PARAM = cann.ACL_ERROR_RT_PARAM_INVALID
_POLL_MS = 0.05
_FLAGS = cann.ACL_EVENT_SYNC | cann.ACL_EVENT_CAPTURE_STREAM_PROGRESS | cann.ACL_EVENT_TIME_LINE
_CALLBACK_PATIENCE = 10.0

# -------------------------------------------------------------------------------------------------
# Streams
# --------------------------------------------------------------------------------------------------


@implements("acl.rt.create_stream")
def create_stream(sim: Simulator) -> Tuple[int]:
    """Make a stream on the current context.

    Returns:
        The stream's handle.
    """
    context = sim.need_context()
    stream = Stream(sim.registry.number(), site(), context, device=context.device)
    sim.registry.add(stream)
    return (stream.handle,)


@implements("acl.rt.create_stream_with_config")
def create_stream_with_config(sim: Simulator, priority: int, flag: int) -> Tuple[int]:
    """Make a stream; priority and flag change nothing here.

    Args:
        sim: The simulated machine.
        priority: Taken and ignored.
        flag: What it is for, bits of ACL_EVENT_*.

    Returns:
        The stream's handle.
    """
    return create_stream(sim)


@implements("acl.rt.destroy_stream")
def destroy_stream(sim: Simulator, handle: int) -> None:
    """Destroy a stream that was synchronised; the guide destroys the events recorded on it
    before.

    Args:
        sim: The simulated machine.
        handle: The stream, which create_stream made.
    """
    stream = _named_stream(sim, handle)
    if stream.default:
        sim.refuse("context", "a context's default stream goes with its context", _PARAM)
    check_passed(sim, stream)
    if stream.reporter is not None:
        sim.broke("release-order", "unsubscribe_report comes before the stream goes")
    for event in sim.registry.living(Event):
        if _uses(event, stream) and not event.release_failed:
            made = f"the event made at {line_of(event.where)}"
            text = f"{made} is better destroyed before its stream, and was not"
            sim.advise("release-order", text)
    sim.release(stream)


def _uses(event: Event, stream: Stream) -> bool:
    if event.mark is not None and event.mark.stream is stream:
        return True
    return any(waiter is stream for waiter, _ in event.waiters)


def _named_stream(sim: Simulator, handle: int) -> Stream:
    if not handle:
        sim.refuse("handle", "0 is not a stream to destroy", _PARAM)
    return sim.stream(handle)


@implements("acl.rt.synchronize_stream")
def synchronize_stream(sim: Simulator, handle: int) -> None:
    """Wait for everything in a stream.

    Args:
        sim: The simulated machine.
        handle: The stream; 0 is the current context's default one.
    """
    _wait_for(sim, sim.stream(handle))


@implements("acl.rt.synchronize_stream_with_timeout")
def synchronize_stream_with_timeout(sim: Simulator, handle: int, milliseconds: int) -> None:
    """Wait for everything in a stream; 507046 where it takes longer.

    Args:
        sim: The simulated machine.
        handle: The stream; 0 is the current context's default one.
        milliseconds: How long to wait, -1 for ever.
    """
    stream = sim.stream(handle)
    _check_time(sim, stream.tail, milliseconds, cann.ACL_ERROR_RT_STREAM_SYNC_TIMEOUT)
    _wait_for(sim, stream)


@implements("acl.rt.synchronize_device")
def synchronize_device(sim: Simulator) -> None:
    """Wait for everything in every stream of the device."""
    device = sim.need_context().device
    for stream in list(sim.registry.living(Stream)):
        if stream.device == device:
            _wait_for(sim, stream)


@implements("acl.rt.stream_query")
def stream_query(sim: Simulator, handle: int) -> Tuple[int]:
    """Return 0 where everything has passed, else 1; asking takes a moment of the virtual clock.

    Args:
        sim: The simulated machine.
        handle: The stream; 0 is the current context's default one.
    """
    stream = sim.stream(handle)
    sim.clock.work(_POLL_MS)
    if stream.tail > sim.clock.now:
        return (1,)
    _wait_for(sim, stream)
    return (0,)


def _wait_for(sim: Simulator, stream: Stream) -> None:
    # Callbacks are run by the thread that reports for the stream, which needs the lock meanwhile.
    deadline = time.monotonic() + _CALLBACK_PATIENCE
    while any(task.callback for task in stream.tasks):
        if not sim.changed.wait(0.05) and time.monotonic() > deadline:
            sim.refuse(
                "callback",
                "no thread processes this stream's callbacks",
                cann.ACL_ERROR_RT_STREAM_SYNC_TIMEOUT,
            )
    sim.streams.synchronize(stream)
    sim.check_fences()
    if stream.error:
        code, stream.error = stream.error, 0
        raise RefusedError(code, "a task of the stream failed")


def _check_time(sim: Simulator, end: float, milliseconds: int, code: int) -> None:
    if milliseconds < -1:
        sim.refuse("parameter", f"{milliseconds} ms; expected -1 or more", _PARAM)
    if milliseconds >= 0 and end > sim.clock.now + milliseconds:
        sim.clock.wait_until(sim.clock.now + milliseconds)
        raise RefusedError(code, f"not done after {milliseconds} ms")


# ------------------------------------------------------------------------------------------------
# Events
# --------------------------------------------------------------------------------------------------


@implements("acl.rt.create_event")
def create_event(sim: Simulator) -> Tuple[int]:
    """Make an event that is good for everything.

    Returns:
        The event's handle.
    """
    return _make_event(sim, None)


@implements("acl.rt.create_event_with_flag")
def create_event_with_flag(sim: Simulator, flag: int) -> Tuple[int]:
    """Make an event for what the flag says; CANN before 7 knows the flag for time only.

    Args:
        sim: The simulated machine.
        flag: What it is for, bits of ACL_EVENT_*.

    Returns:
        The event's handle.
    """
    known = cann.ACL_EVENT_TIME_LINE
    if sim.knobs.cann >= (7, 0):
        known = _FLAGS
    if not flag or flag & ~known:
        sim.refuse("parameter", f"CANN {sim.knobs.version} knows no event flag {flag:#x}", _PARAM)
    return _make_event(sim, flag)


@implements("acl.rt.create_event_ex_with_flag")
def create_event_ex_with_flag(sim: Simulator, flag: int) -> Tuple[int]:
    """Make an event that may be recorded again as it is; reset_event and query_event do not take
    it, and its number is not limited.

    Args:
        sim: The simulated machine.
        flag: What it is for, bits of ACL_EVENT_*.

    Returns:
        The event's handle.
    """
    if not flag or flag & ~_FLAGS:
        sim.refuse("parameter", f"CANN {sim.knobs.version} knows no event flag {flag:#x}", _PARAM)
    context = sim.need_context()
    event = Event(
        sim.registry.number(), site(), context, device=context.device, flag=flag, lasting=True
    )
    return (sim.registry.add(event).handle,)


def _make_event(sim: Simulator, flag: Optional[int]) -> Tuple[int]:
    context = sim.need_context()
    event = Event(sim.registry.number(), site(), context, device=context.device, flag=flag)
    limited = [
        other
        for other in sim.registry.living(Event)
        if other.device == context.device and other.synchronises and not other.lasting
    ]
    if event.synchronises and len(limited) >= sim.knobs.events_per_device:
        raise RefusedError(
            207007, f"the device's {sim.knobs.events_per_device} events are all in use"
        )
    return (sim.registry.add(event).handle,)


@implements("acl.rt.destroy_event")
def destroy_event(sim: Simulator, handle: int) -> None:
    """Destroy an event that no task may still use.

    Args:
        sim: The simulated machine.
        handle: The event.
    """
    event = sim.event(handle)
    access = event.pending(sim.streams.host)
    if access is not None:
        sim.broke(
            "order",
            f"{access.what} of {line_of(access.where)} may still use the event made at"
            f" {line_of(event.where)}",
        )
    sim.mark_released(event)


@implements("acl.rt.record_event")
def record_event(sim: Simulator, handle: int, stream: int) -> None:
    """Record an event; one that a stream has waited for must have been reset since, where a
    reset is documented.

    Args:
        sim: The simulated machine.
        handle: The event.
        stream: The stream; 0 is the current context's default one.
    """
    event, queue = sim.event(handle), sim.stream(stream)
    _check_recordable(sim, event, queue)
    sim.streams.record(event, queue, site())


def _check_recordable(sim: Simulator, event: Event, queue: Stream) -> None:
    if event.lasting:
        # Each record takes the place of the last one; who waits already is not affected.
        return
    now = sim.streams.begin(queue)
    reusable = event.flag is None and not sim.knobs.plain_events_reset
    if event.waiters and not reusable:
        who = f"the event made at {line_of(event.where)}"
        sim.broke("event", f"{who} is recorded again without reset_event after stream_wait_event")
    elif event.mark is not None and now.get(event.mark.stream.handle, 0) < event.mark.number:
        sim.broke(
            "event",
            f"the event made at {line_of(event.where)} is recorded again before its last record has"
            " passed",
        )
    if event.reset is not None:
        stream, number = event.reset
        if stream is not queue and now.get(stream.handle, 0) < number:
            sim.broke(
                "event",
                "the event is recorded while its reset on another stream may still come, and"
                " undo it",
            )


@implements("acl.rt.reset_event")
def reset_event(sim: Simulator, handle: int, stream: int) -> None:
    """Queue the reset of an event that was recorded, behind every stream's wait for it.

    Args:
        sim: The simulated machine.
        handle: The event.
        stream: The stream; 0 is the current context's default one.
    """
    event, queue = sim.event(handle), sim.stream(stream)
    if not event.synchronises:
        sim.refuse("event", "an event without the flag SYNC cannot be reset", _PARAM)
    if event.lasting:
        text = "an event of create_event_ex_with_flag is not reset: it is recorded again as it is"
        sim.refuse("event", text, _PARAM)
    if event.flag is None and not sim.knobs.plain_events_reset:
        text = (
            f"CANN {sim.knobs.version} leaves undefined what resetting an event of create_event"
            " does: only one of create_event_with_flag with SYNC may be reset"
        )
        sim.broke("event", text)
    if event.mark is None:
        sim.broke("event", "the event is reset before it was recorded")
    now = sim.streams.begin(queue)
    for waiter, number in event.waiters:
        if waiter is not queue and now.get(waiter.handle, 0) < number:
            sim.broke("event", "the event is reset while another stream may still wait for it")
    sim.streams.reset(event, queue, site())


@implements("acl.rt.stream_wait_event")
def stream_wait_event(sim: Simulator, stream: int, handle: int) -> None:
    """Let a stream wait for an event's last record.

    Args:
        sim: The simulated machine.
        stream: The stream; 0 is the current context's default one.
        handle: The event.
    """
    queue, event = sim.stream(stream), sim.event(handle)
    if not event.synchronises:
        sim.refuse("event", "a stream cannot wait for an event without the flag SYNC", _PARAM)
    if event.mark is None:
        sim.refuse(
            "event", f"nothing was recorded in the event made at {line_of(event.where)}", _PARAM
        )
    sim.streams.wait(queue, event, site())


@implements("acl.rt.synchronize_event")
def synchronize_event(sim: Simulator, handle: int) -> None:
    """Wait for an event's last record.

    Args:
        sim: The simulated machine.
        handle: The event.
    """
    _reach(sim, _recorded(sim, sim.event(handle)))


@implements("acl.rt.synchronize_event_with_timeout")
def synchronize_event_with_timeout(sim: Simulator, handle: int, milliseconds: int) -> None:
    """Wait for an event's last record; 507047 where it takes longer.

    Args:
        sim: The simulated machine.
        handle: The event.
        milliseconds: How long to wait, -1 for ever.
    """
    mark = _recorded(sim, sim.event(handle))
    _check_time(sim, mark.time, milliseconds, cann.ACL_ERROR_RT_EVENT_SYNC_TIMEOUT)
    _reach(sim, mark)


@implements("acl.rt.query_event")
def query_event(sim: Simulator, handle: int) -> Tuple[int]:
    """Ask whether an event has come to pass; not one of create_event_ex_with_flag.

    Args:
        sim: The simulated machine.
        handle: The event.

    Returns:
        aclrtEventStatus: complete or not ready.
    """
    if sim.event(handle).lasting:
        text = "query_event does not take an event of create_event_ex_with_flag"
        sim.refuse("event", text, _PARAM)
    if _has_come(sim, handle):
        return (cann.QUERY_EVENT_COMPLETE,)
    return (cann.QUERY_EVENT_NOT_READY,)


@implements("acl.rt.query_event_status")
def query_event_status(sim: Simulator, handle: int) -> Tuple[int]:
    """Ask whether an event has come to pass.

    Args:
        sim: The simulated machine.
        handle: The event.

    Returns:
        aclrtEventRecordedStatus: complete or not ready.
    """
    if _has_come(sim, handle):
        return (cann.QUERY_EVENT_STATUS_COMPLETE,)
    return (cann.QUERY_EVENT_STATUS_NOT_READY,)


@implements("acl.rt.event_elapsed_time")
def event_elapsed_time(sim: Simulator, start: int, end: int) -> Tuple[float]:
    """Return the milliseconds between two events that have come to pass.

    Args:
        sim: The simulated machine.
        start: The earlier event.
        end: The later event.

    Returns:
        Milliseconds of the virtual clock.
    """
    times = []
    for handle in (start, end):
        event = sim.event(handle)
        if not event.keeps_time:
            sim.refuse("event", "an event without the flag TIME_LINE keeps no time", _PARAM)
        mark = _recorded(sim, event)
        if sim.streams.host.get(mark.stream.handle, 0) < mark.number:
            sim.refuse("event", "the event has not come to pass: synchronise it first", _PARAM)
        times.append(mark.time)
    return (times[1] - times[0],)


def _recorded(sim: Simulator, event: Event) -> Mark:
    if event.mark is None:
        sim.refuse(
            "event",
            f"nothing was recorded in the event made at {line_of(event.where)}, or it was reset",
            _PARAM,
        )
    return event.mark


def _reach(sim: Simulator, mark: Mark) -> None:
    sim.streams.run_until(mark.stream, mark.number)
    sim.streams.learn(mark.known, mark.time)
    sim.check_fences()
    if mark.stream.error:
        code, mark.stream.error = mark.stream.error, 0
        raise RefusedError(code, "a task of the stream failed")


def _has_come(sim: Simulator, handle: int) -> bool:
    mark = _recorded(sim, sim.event(handle))
    sim.clock.work(_POLL_MS)
    if mark.time > sim.clock.now:
        return False
    _reach(sim, mark)
    return True


@implements("acl.rt.set_op_execute_time_out")
def set_op_execute_time_out(sim: Simulator, seconds: int) -> None:
    """Take a limit that changes nothing here.

    Args:
        sim: The simulated machine.
        seconds: Taken and ignored.
    """
    sim.need_context()


# ------------------------------------------------------------------------------------------------
# Callbacks
# --------------------------------------------------------------------------------------------------


@implements("acl.rt.subscribe_report")
def subscribe_report(sim: Simulator, thread: int, stream: int) -> None:
    """Let a thread report for a stream.

    Args:
        sim: The simulated machine.
        thread: The number that start_thread gave.
        stream: The stream; 0 is the current context's default one.
    """
    queue = sim.stream(stream)
    if queue.reporter is not None:
        raise RefusedError(100033, "the stream is subscribed already")
    queue.reporter = thread


@implements("acl.rt.unsubscribe_report")
def unsubscribe_report(sim: Simulator, thread: int, stream: int) -> None:
    """Let a thread report for a stream no longer.

    Args:
        sim: The simulated machine.
        thread: The number that start_thread gave.
        stream: The stream; 0 is the current context's default one.
    """
    queue = sim.stream(stream)
    if queue.reporter is None:
        raise RefusedError(100034)
    if queue.reporter != thread:
        raise RefusedError(100035)
    queue.reporter = None


@implements("acl.rt.launch_callback")
def launch_callback(
    sim: Simulator, function: Callable[[Any], Any], data: Any, block: int, stream: int
) -> None:
    """Queue a call of ``function(data)``, which the thread in process_report makes.

    Args:
        sim: The simulated machine.
        function: What to call.
        data: What to call it with.
        block: Whether the stream stands still meanwhile, one of aclrtCallbackBlockType.
        stream: The stream; 0 is the current context's default one.
    """
    if not callable(function):
        raise TypeError("parameter must be callable")
    queue = sim.stream(stream)
    if block not in (cann.ACL_CALLBACK_NO_BLOCK, cann.ACL_CALLBACK_BLOCK):
        sim.refuse("parameter", f"{block} is not a kind of callback", cann.ACL_ERROR_INVALID_PARAM)
    if queue.reporter is None:
        raise RefusedError(107015, "no thread is subscribed to the stream")
    sim.streams.enqueue(queue, "launch_callback", site(), lambda: function(data), callback=True)
    sim.changed.notify_all()


@implements("acl.rt.process_report")
def process_report(sim: Simulator, milliseconds: int) -> None:
    """Run the streams that this thread reports for up to the next callback, and that; 100036 where
    none comes.

    Args:
        sim: The simulated machine.
        milliseconds: How long to wait, -1 for ever.
    """
    with sim.lock:
        sim.need_context()
        patience = milliseconds / 1000
        if milliseconds < 0:
            patience = _CALLBACK_PATIENCE
        deadline = time.monotonic() + patience
        stream = _with_callback(sim)
        while stream is None:
            left = deadline - time.monotonic()
            if left <= 0:
                raise RefusedError(cann.ACL_ERROR_WAIT_CALLBACK_TIMEOUT)
            sim.changed.wait(left)
            stream = _with_callback(sim)
        before = next(task for task in stream.tasks if task.callback)
        sim.streams.run_until(stream, before.number - 1)
        sim.streams.learn(stream.known, before.end)
        stream.tasks.popleft()
        stream.passed = before.number
    try:
        before.action()
    except Exception as error:
        raise SystemError(
            "acl.rt.process_report returned a result with an exception set"
        ) from error
    finally:
        with sim.lock:
            sim.changed.notify_all()


def _with_callback(sim: Simulator) -> Optional[Stream]:
    me = threading.get_ident()
    for stream in sim.registry.living(Stream):
        if stream.reporter == me and any(task.callback for task in stream.tasks):
            return stream
    return None
