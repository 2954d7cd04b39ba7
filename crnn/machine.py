"""What this process may use of the machine."""

from __future__ import annotations

import math
import os
import platform
from pathlib import Path
from typing import Dict, Optional

CGROUP = Path("/sys/fs/cgroup")


def usable_cpus(cgroup: Path = CGROUP) -> int:
    """Return the processors this process may run on:

    its affinity, cut by a container's quota, at least 1.
    """
    count = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    quota = _quota(cgroup)
    return max(1, count if quota is None else min(count, math.ceil(quota)))


def describe() -> Dict[str, str]:
    """Return what a measurement depends on:

    the processor, how many are usable, the system, and the load before it.
    """
    return {
        "processor": _processor(),
        "usable": str(usable_cpus()),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "load": (
            " ".join(f"{value:.2f}" for value in os.getloadavg())
            if hasattr(os, "getloadavg")
            else "unknown"
        ),
    }


def _processor() -> str:
    # "model name" on x86; ARM's kernels name no processor, so the architecture must do.
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _quota(cgroup: Path) -> Optional[float]:
    """Return the processors' worth of time that the control group grants, version 2 or 1; None for
    no limit.
    """
    try:
        if (cgroup / "cpu.max").exists():
            limit, period = (cgroup / "cpu.max").read_text().split()
        else:
            limit = (cgroup / "cpu/cpu.cfs_quota_us").read_text().strip()
            period = (cgroup / "cpu/cpu.cfs_period_us").read_text().strip()
        # "max" and -1 mean none.
        return float(limit) / float(period) if float(limit) > 0 else None
    except (OSError, ValueError, ZeroDivisionError):
        return None
