"""What this process may use of the machine, and what a result says of how it came about: versions,
the moment, and the command without the folders of this machine.
"""

from __future__ import annotations

import datetime
import math
import os
import platform
import sys
from pathlib import Path
from typing import Any, Dict, FrozenSet, List, Optional, Sequence

CGROUP = Path("/sys/fs/cgroup")
CPUINFO = Path("/proc/cpuinfo")

# What changes a result's bits or its speed, by the flag that Linux gives it: x86 in "flags"
# (arch/x86/include/asm/cpufeatures.h), ARM in "Features" (arch/arm64/kernel/cpuinfo.c).
_INSTRUCTION_SETS = {
    "sse4_2": "SSE4.2",
    "avx": "AVX",
    "avx2": "AVX2",
    "fma": "FMA",
    "avx512f": "AVX512F",
    "avx512bw": "AVX512BW",
    "avx512_vnni": "AVX512_VNNI",
    "avx_vnni": "AVX_VNNI",
    "avx512_bf16": "AVX512_BF16",
    "avx512_fp16": "AVX512_FP16",
    "amx_tile": "AMX_TILE",
    "amx_bf16": "AMX_BF16",
    "amx_int8": "AMX_INT8",
    "neon": "NEON",
    "asimd": "NEON",
    "asimdhp": "NEON_FP16",
    "asimddp": "NEON_DOTPROD",
    "sve": "SVE",
    "i8mm": "I8MM",
    "bf16": "BF16",
}


def usable_cpus(cgroup: Path = CGROUP) -> int:
    """Count the processors that this process may run on: its affinity, cut by a container's quota.

    Args:
        cgroup: Where the container's quota stands; tests give a folder.

    Returns:
        At least 1.
    """
    if hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    else:
        count = os.cpu_count() or 1
    quota = _quota(cgroup)
    return max(1, count if quota is None else min(count, math.ceil(quota)))


def instruction_sets(cpuinfo: Path = CPUINFO) -> FrozenSet[str]:
    """Return the processor's instruction sets that bear on arithmetic, such as ``AVX2``.

    The names are upper case: on x86-64 ``AVX2``, ``FMA``, ``AVX512F``, ``AVX512_VNNI``,
    ``AVX_VNNI``, ``AVX512_BF16``, ``AMX_BF16`` …, on ARM ``NEON``, ``NEON_DOTPROD``, ``I8MM``,
    ``BF16`` …. Only what every processor of the machine has is named.

    Args:
        cpuinfo: the file in which Linux describes the processors.

    Returns:
        The names; empty where the system does not tell, which says nothing of the processor.
    """
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return frozenset()
    common: Optional[FrozenSet[str]] = None
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip() not in ("flags", "Features"):
            continue
        flags = frozenset(value.split())
        if common is None:
            common = flags
        else:
            common = common & flags
    if common is None:
        return frozenset()
    return frozenset(name for flag, name in _INSTRUCTION_SETS.items() if flag in common)


def describe() -> Dict[str, str]:
    """Describe what a measurement depends on.

    Returns:
        The processor, how many are usable, the system, and the load before the measurement.
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
    if names:
        return names[0]
    return platform.processor() or platform.machine()


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
        if float(limit) > 0:
            return float(limit) / float(period)
        return None
    except (OSError, ValueError, ZeroDivisionError):
        return None


# By their modules' names: the text they are known by.
_LIBRARIES = {
    "onnxruntime": "onnxruntime",
    "cv2": "opencv",
    "simplejpeg": "simplejpeg",
    "pyspng": "pyspng",
    "isal": "isal",
}


def versions() -> Dict[str, str]:
    """Return the versions of what takes part in this process.

    Call it after the work: a library that nothing has imported takes no part, is not named, and is
    not imported for it.

    Returns:
        Texts by name: ``crnn``, ``numpy``, ``python`` and ``processor`` (the instruction sets,
        where the system tells them); ``pillow`` with its ``libjpeg`` and ``zlib``, ``opencv``,
        ``simplejpeg``, ``pyspng``, ``isal``, ``onnxruntime`` and ``lmdb`` where they were imported.
    """
    import numpy as np

    from crnn.version import version

    found = {
        "crnn": version(),
        "numpy": np.__version__,
        "python": platform.python_version(),
    }
    sets = instruction_sets()
    if sets:
        found["processor"] = " ".join(sorted(sets))
    for module_name, name in _LIBRARIES.items():
        module = sys.modules.get(module_name)
        if module is not None:
            found[name] = str(getattr(module, "__version__", "unknown"))
    if "lmdb" in sys.modules:
        found["lmdb"] = _lmdb(sys.modules["lmdb"])
    if "PIL.Image" in sys.modules:
        found.update(_pillow())
    return found


def _lmdb(module: Any) -> str:
    """Return the binding's version, and its library's."""
    library = ".".join(str(part) for part in module.version())
    return f"{module.__version__} (library {library})"


def _pillow() -> Dict[str, str]:
    """Return Pillow's version and those of its decoders, as far as it was built with them."""
    from PIL import __version__ as pillow
    from PIL import features

    found = {"pillow": str(pillow)}
    turbo = features.check("libjpeg_turbo") and features.version("libjpeg_turbo")
    jpeg = features.check("jpg") and features.version("jpg")
    if turbo:
        found["libjpeg"] = f"turbo {turbo}"
    elif jpeg:
        found["libjpeg"] = str(jpeg)
    zlib_version = features.check("zlib") and features.version("zlib")
    if zlib_version:
        found["zlib"] = str(zlib_version)
    return found


def by_name(words: Sequence[str]) -> List[str]:
    """Return a command line whose paths are names alone.

    >>> by_name(["crnn", "evaluate", "/home/me/m.onnx", "data/words_lmdb/", "--json=out/r.json"])
    ['crnn', 'evaluate', 'm.onnx', 'words_lmdb', '--json=r.json']

    Args:
        words: The words of a command.

    Returns:
        The words, each path in them reduced to its last part.
    """
    return [_named(word) for word in words]


def _named(word: str) -> str:
    option, equals, value = "", "", word
    if word.startswith("-") and "=" in word:
        option, equals, value = word.partition("=")
    # A spec's JSON may hold a slash among its characters.
    if value.lstrip().startswith("{") or ("/" not in value and "\\" not in value):
        return word
    name = Path(value.replace("\\", "/")).name
    return f"{option}{equals}{name or value}"


def now() -> str:
    """Return the date and time in UTC, to the second, such as 2026-01-31T12:00:00+00:00.

    Returns:
        ISO 8601.
    """
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
