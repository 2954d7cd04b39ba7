"""acl.rt.*: devices and contexts."""

from __future__ import annotations

import os
from typing import List, Sequence, Tuple

from crnn import cann
from crnn.simulator.calls import implements
from crnn.simulator.record import line_of, site
from crnn.simulator.state import Device, RefusedError, Simulator
from crnn.simulator.streams import Stream
from crnn.simulator.things import Context, Thing

_PARAM = cann.ACL_ERROR_RT_PARAM_INVALID

# -------------------------------------------------------------------------------------------------
# Devices and contexts
# --------------------------------------------------------------------------------------------------


def visible(sim: Simulator) -> List[int]:
    """Return the devices that ASCEND_RT_VISIBLE_DEVICES leaves:

    up to the first bad or descending number.

    Args:
        sim: The simulated machine.

    Returns:
        The devices' numbers on the machine.
    """
    text = os.environ.get(cann.VISIBLE_DEVICES_VARIABLE)
    if text is None:
        return list(range(sim.knobs.devices))
    kept: List[int] = []
    for word in text.split(","):
        if not word.isdigit() or int(word) >= sim.knobs.devices or (kept and int(word) <= kept[-1]):
            break
        kept.append(int(word))
    return kept


def device_of(sim: Simulator, number: int) -> Device:
    """Return a device that is there, or fail with 107001.

    Args:
        sim: The simulated machine.
        number: The device's number, from 0.

    Returns:
        What this process knows of it.

    Raises:
        RefusedError: 107001, there is no such device.
    """
    if not 0 <= number < len(visible(sim)):
        raise RefusedError(
            cann.ACL_ERROR_RT_INVALID_DEVICEID,
            f"there are {len(visible(sim))} devices, no number {number}",
        )
    return sim.devices.setdefault(number, Device())


@implements("acl.rt.set_device")
def set_device(sim: Simulator, number: int) -> None:
    """Count a use of the device, and make its default context this thread's.

    Args:
        sim: The simulated machine.
        number: The device's number, from 0.
    """
    device = device_of(sim, number)
    device.count += 1
    if device.default is None:
        device.default = _make_context(sim, number, default=True)
        device.where = site()
    sim.current = device.default


@implements("acl.rt.reset_device")
def reset_device(sim: Simulator, number: int) -> None:
    """Count a use less; whatever of the device is given back after the last breaks a rule.

    Args:
        sim: The simulated machine.
        number: The device's number, from 0.
    """
    device = device_of(sim, number)
    if not device.count:
        sim.refuse("device", f"device {number} is not set", cann.ACL_ERROR_RT_INVALID_DEVICEID)
    device.count -= 1
    if not device.count:
        _leave_device(sim, number, device)


@implements("acl.rt.reset_device_force")
def reset_device_force(sim: Simulator, number: int) -> None:
    """Reset the device however often it was set.

    Args:
        sim: The simulated machine.
        number: The device's number, from 0.
    """
    device = device_of(sim, number)
    if not device.count:
        sim.refuse("device", f"device {number} is not set", cann.ACL_ERROR_RT_INVALID_DEVICEID)
    device.count = 0
    _leave_device(sim, number, device)


@implements("acl.rt.get_device")
def get_device(sim: Simulator) -> Tuple[int]:
    """Return the current device.

    Returns:
        The current context's device.
    """
    return (_context_or_refuse(sim).device,)


@implements("acl.rt.get_device_count")
def get_device_count(sim: Simulator) -> Tuple[int]:
    """Count the visible devices.

    Returns:
        How many devices are visible.
    """
    count = len(visible(sim))
    if not count:
        raise RefusedError(cann.ACL_ERROR_RT_NO_DEVICE)
    return (count,)


@implements("acl.rt.get_run_mode")
def get_run_mode(sim: Simulator) -> Tuple[int]:
    """Say whether the program runs on a host or on the chip itself.

    Returns:
        0, ACL_DEVICE, or 1, ACL_HOST.
    """
    return (sim.knobs.run_mode,)


@implements("acl.rt.create_context")
def create_context(sim: Simulator, number: int) -> Tuple[int]:
    """Make a context, which becomes this thread's.

    Args:
        sim: The simulated machine.
        number: The device's number, from 0.

    Returns:
        The context's handle.
    """
    device_of(sim, number)
    context = _make_context(sim, number, default=False)
    sim.current = context
    return (context.handle,)


@implements("acl.rt.destroy_context")
def destroy_context(sim: Simulator, handle: int) -> None:
    """Destroy a context that create_context made, after everything made under it: what is given
    back later breaks a rule, what never is leaks.

    Args:
        sim: The simulated machine.
        handle: The context.
    """
    context = sim.thing(Context, handle, cann.ACL_ERROR_RT_CONTEXT_NULL)
    if context.default:
        sim.refuse("context", "the default context is destroyed by reset_device only", _PARAM)
    own = [thing for thing in sim.alive() if thing.context is context and thing is not context]
    _outlive(own, f"the context was destroyed at {line_of(site())}")
    _close_context(sim, context)


@implements("acl.rt.set_context")
def set_context(sim: Simulator, handle: int) -> None:
    """Make a context this thread's.

    Args:
        sim: The simulated machine.
        handle: The context.
    """
    sim.current = sim.thing(Context, handle, cann.ACL_ERROR_RT_CONTEXT_NULL)


@implements("acl.rt.get_context")
def get_context(sim: Simulator) -> Tuple[int]:
    """Return this thread's context.

    Returns:
        The current context's handle.
    """
    return (_context_or_refuse(sim).handle,)


def _context_or_refuse(sim: Simulator) -> Context:
    # Asking breaks no rule: it is how a library learns what its caller did.
    if sim.current is None:
        raise RefusedError(cann.ACL_ERROR_RT_CONTEXT_NULL)
    return sim.current


def _make_context(sim: Simulator, number: int, *, default: bool) -> Context:
    context = sim.registry.add(
        Context(sim.registry.number(), site(), device=number, default=default)
    )
    context.context = context
    stream = sim.registry.add(
        Stream(sim.registry.number(), site(), context, device=number, default=True)
    )
    context.default_stream = stream.handle
    return context


def _close_context(sim: Simulator, context: Context) -> None:
    stream = sim.thing(Stream, context.default_stream)
    check_passed(sim, stream)
    stream.released = site()
    sim.mark_released(context)


def _leave_device(sim: Simulator, number: int, device: Device) -> None:
    _outlive(sim.alive(number), f"device {number} was reset at {line_of(site())}")
    if device.default is not None:
        _close_context(sim, device.default)
        device.default = None


def _outlive(left: Sequence[Thing], what: str) -> None:
    """Note of things that what they belong to is gone; what becomes of them is told later, once."""
    for thing in left:
        thing.outlived = thing.outlived or what


def check_passed(sim: Simulator, stream: Stream) -> None:
    """See that nothing of a stream is left that was not waited for.

    Args:
        sim: The simulated machine.
        stream: The stream.
    """
    task = sim.streams.pending(stream)
    if task is not None:
        text = (
            f"the stream made at {line_of(stream.where)} goes with {task.what} of"
            f" {line_of(task.where)} not waited for"
        )
        sim.broke("order", text)
        stream.tasks.clear()
        stream.passed = stream.issued
