"""What the machine tells of itself, from files in the form that Linux writes."""

import math
from pathlib import Path
from typing import Dict, Optional

import pytest

from crnn import machine

HASWELL = "model name\t: Haswell\nflags\t\t: fpu sse sse2 sse4_2 avx fma avx2\n"
XEON = "model name\t: Xeon\nflags\t\t: sse4_2 avx fma avx2 avx512f avx512_vnni avx512_bf16\n"
CORTEX = "BogoMIPS\t: 50.00\nFeatures\t: fp asimd asimddp\n"


@pytest.mark.parametrize(
    "text, expected",
    [
        (HASWELL, {"SSE4.2", "AVX", "FMA", "AVX2"}),
        (XEON, {"SSE4.2", "AVX", "FMA", "AVX2", "AVX512F", "AVX512_VNNI", "AVX512_BF16"}),
        (CORTEX, {"NEON", "NEON_DOTPROD"}),
        # Of unequal processors, what a thread finds wherever it runs.
        (HASWELL + "\n" + XEON, {"SSE4.2", "AVX", "FMA", "AVX2"}),
        ("processor\t: 0\n", set()),
    ],
    ids=["haswell", "xeon", "cortex", "unequal", "untold"],
)
def test_instruction_sets(text: str, expected: set, tmp_path: Path) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text(text)

    assert machine.instruction_sets(file) == expected


def test_instruction_sets_where_the_system_does_not_tell(tmp_path: Path) -> None:
    assert machine.instruction_sets(tmp_path / "missing") == frozenset()


@pytest.mark.parametrize(
    "files, quota",
    [
        ({"cpu.max": "150000 100000\n"}, 1.5),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu.max": "nonsense\n"}, None),
        ({"cpu.max": "100000 0\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "50000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 0.5),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({}, None),
    ],
    ids=["v2", "v2, no limit", "not numbers", "no period", "v1", "v1, no limit", "not told"],
)
def test_a_containers_quota_cuts_the_processors(
    files: Dict[str, str], quota: Optional[float], tmp_path: Path
) -> None:
    affinity = machine.usable_cpus(tmp_path)
    assert affinity >= 1
    for name, text in files.items():
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    expected = affinity
    if quota is not None:
        expected = min(affinity, math.ceil(quota))
    assert machine.usable_cpus(tmp_path) == expected


def test_what_a_measurement_depends_on() -> None:
    told = machine.describe()
    assert set(told) == {"processor", "usable", "system", "load"}
    assert told["usable"] == str(machine.usable_cpus())
    assert all(told.values())
