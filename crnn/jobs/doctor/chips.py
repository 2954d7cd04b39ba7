"""The chips, as pyACL tells of them."""

from __future__ import annotations

from typing import Iterator, Optional, Sequence, Union

from crnn.ascend.environment import Cann
from crnn.ascend.probe import Device, Probe
from crnn.jobs.doctor.check import Check, first_line, simulated_mark, source_of


def chip_checks(seen: Probe, cann: Optional[Cann], *, needed: bool) -> Iterator[Check]:
    """Tell what pyACL, once asked, has said of the chips."""
    yield _import_check(seen, cann, needed=needed)
    good = [device for device in seen.devices if not device.error]
    bad = [device for device in seen.devices if device.error]
    yield from _devices_checks(seen, good, bad, needed=needed)
    yield _memory_check(seen, good)


def _import_check(seen: Probe, cann: Optional[Cann], *, needed: bool) -> Check:
    if seen.imported:
        found = f"version {seen.version}{simulated_mark(seen.simulated)}"
        return Check("import acl", True, found, needed=needed)
    remedy = "Install CANN first."
    if cann:
        remedy = source_of(cann)
    return Check("import acl", False, seen.error, remedy, needed)


def _devices_checks(
    seen: Probe, good: Sequence[Device], bad: Sequence[Device], *, needed: bool
) -> Iterator[Check]:
    if good:
        said = simulated_mark(seen.simulated)
        names = [f"{device.index}: {device.soc or 'name unknown'}{said}" for device in good]
        yield Check("devices", True, ", ".join(names), needed=needed)
        for device in bad[:1]:
            yield Check(f"device {device.index}", False, first_line(device.error), _remedy(device))
        return
    if not seen.imported:
        remedy = "See the line on acl."
        yield Check("devices", False, "not known without acl", remedy, needed)
        return
    trouble: Union[Device, Probe] = seen
    if bad:
        trouble = bad[0]
    yield Check("devices", False, trouble.error or "none", _remedy(trouble), needed)


def _remedy(trouble: Union[Device, Probe]) -> str:
    return first_line(trouble.remedy) or "Check the chips: npu-smi info."


def _memory_check(seen: Probe, good: Sequence[Device]) -> Check:
    if not any(device.memory_free for device in good):
        return Check("free device memory", False, "not known", "Look with npu-smi info.")
    free = [
        f"{device.index}: {_mib(device.memory_free)} of {_mib(device.memory_total)}"
        for device in good
    ]
    return Check("free device memory", True, ", ".join(free) + simulated_mark(seen.simulated))


def _mib(size: Optional[int]) -> str:
    if size is None:
        return "unknown"
    return f"{size >> 20} MiB"
