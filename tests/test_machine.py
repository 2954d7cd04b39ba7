"""What the machine tells of itself, from files in the form that Linux writes."""

from pathlib import Path

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
