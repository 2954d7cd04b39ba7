"""The choice of a precision: every branch from facts given to it, on whatever processor."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Dict, List, Optional, Tuple

import pytest
import torch

from crnn.cli.main import main
from crnn.errors import UnavailableError
from crnn.presets import CrnnConfig
from crnn.training.precision import (
    PRECISIONS,
    Hardware,
    _known_rate,
    choose,
    choose_together,
    look,
    measured_rate,
    support,
)
from crnn.training.recipe import load_recipe
from crnn.training.world import World
from tests.training.runs import CPU_FLOAT16, SHORT, saved, train

AVX2 = frozenset({"SSE4.2", "AVX", "AVX2", "FMA"})
AVX512 = AVX2 | {"AVX512F", "AVX512BW", "AVX512_VNNI"}
OLD = Hardware("cpu", "x86_64", AVX2)
NEW = Hardware("cpu", "x86_64", AVX512 | {"AVX512_BF16"})
AMX = Hardware("cpu", "x86_64", AVX512 | {"AMX_TILE", "AMX_BF16"})
ARM = Hardware("cpu", "aarch64", frozenset({"NEON", "NEON_FP16", "BF16"}))
OLD_ARM = Hardware("cpu", "aarch64", frozenset({"NEON"}))
UNKNOWN = Hardware("cpu", "x86_64")
QUICK = {"float32": 85.0, "bfloat16": 170.0, "float16": 170.0}
SLOW = {"float32": 85.0, "bfloat16": 7.2, "float16": 6.1}


class Rates:
    """Gives the rates of a machine, and counts how often it was asked."""

    def __init__(self, rates: Dict[str, float]) -> None:
        self.rates = rates
        self.asked: List[str] = []

    def __call__(self, precision: str) -> float:
        self.asked.append(precision)
        return self.rates[precision]


@pytest.mark.parametrize(
    ("hardware", "precision", "line"),
    [
        (NEW, "bfloat16", "precision bfloat16 (auto: the processor has AVX512_BF16)"),
        (AMX, "bfloat16", "precision bfloat16 (auto: the processor has AMX_BF16)"),
        (
            OLD,
            "float32",
            "precision float32 (auto: the processor has no bfloat16: neither AVX512_BF16 nor"
            " AMX_BF16)",
        ),
        (OLD_ARM, "float32", "precision float32 (auto: the processor has no bfloat16)"),
        (
            Hardware("cuda", capability=(9, 0)),
            "bfloat16",
            "precision bfloat16 (auto: the GPU of compute capability 9.0 has bfloat16)",
        ),
        (
            Hardware("cuda", capability=(7, 5)),
            "float16",
            "precision float16 (auto: the GPU of compute capability 7.5 has float16)",
        ),
        (
            Hardware("cuda", capability=(6, 1)),
            "float32",
            "precision float32 (auto: the GPU of compute capability 6.1 is not made for float16)",
        ),
        (
            Hardware("npu", npu_bfloat16=True),
            "bfloat16",
            "precision bfloat16 (auto: the NPU has bfloat16)",
        ),
        (Hardware("npu"), "float16", "precision float16 (auto: the NPU has float16)"),
    ],
)
def test_auto_takes_what_the_hardware_has_without_a_measurement(
    hardware: Hardware, precision: str, line: str
) -> None:
    rates = Rates(QUICK)
    choice = choose("auto", None, hardware, rates)
    assert (choice.precision, choice.line) == (precision, line)
    assert rates.asked == []


@pytest.mark.parametrize(
    ("level", "native"),
    [
        ("AVX2", False),
        ("avx2", False),
        ("AVX512_CORE", False),
        ("AVX512_CORE_VNNI", False),
        ("AVX512_CORE_BF16", True),
        ("AVX512_CORE_AMX", True),
        ("DEFAULT", True),
    ],
)
def test_a_limit_of_onednn_takes_bfloat16_away(level: str, native: bool) -> None:
    limited = dataclasses.replace(NEW, limit=f"ONEDNN_MAX_CPU_ISA={level}")
    assert support("bfloat16", limited).native is native
    choice = choose("auto", None, limited, Rates(QUICK))
    if native:
        assert choice.precision == "bfloat16"
    else:
        assert choice.precision == "float32"
        assert f"ONEDNN_MAX_CPU_ISA={level} leaves the processor no bfloat16" in choice.line


@pytest.mark.parametrize(
    ("variables", "limit"),
    [
        ({"ONEDNN_MAX_CPU_ISA": "AVX2"}, "ONEDNN_MAX_CPU_ISA=AVX2"),
        ({"DNNL_MAX_CPU_ISA": "AVX2"}, "DNNL_MAX_CPU_ISA=AVX2"),
        (
            {"ONEDNN_MAX_CPU_ISA": "DEFAULT", "DNNL_MAX_CPU_ISA": "AVX2"},
            "ONEDNN_MAX_CPU_ISA=DEFAULT",
        ),
        ({}, ""),
    ],
)
def test_the_limit_is_read_from_the_environment(
    variables: Dict[str, str], limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    hardware = look(torch.device("cpu"))
    assert (hardware.device, hardware.limit) == ("cpu", limit)


@pytest.mark.parametrize("hardware", [ARM, UNKNOWN])
@pytest.mark.parametrize(
    ("rates", "precision", "told"),
    [
        (QUICK, "bfloat16", "measured 85 words/s in float32 and 170 words/s in bfloat16"),
        (SLOW, "float32", "measured 85 words/s in float32 and 7.2 words/s in bfloat16"),
    ],
)
def test_auto_measures_where_it_is_in_doubt(
    hardware: Hardware, rates: Dict[str, float], precision: str, told: str
) -> None:
    choice = choose("auto", None, hardware, Rates(rates))
    assert choice.precision == precision
    assert choice.line.startswith(f"precision {precision} (auto: {told}; ")


@pytest.mark.parametrize(
    ("asked", "hardware", "rates", "warns"),
    [
        ("bfloat16", OLD, SLOW, True),
        ("float16", OLD, SLOW, True),
        ("float16", NEW, SLOW, True),
        ("bfloat16", UNKNOWN, SLOW, True),
        ("float16", ARM, SLOW, True),
        ("bfloat16", Hardware("cuda", capability=(7, 5)), SLOW, True),
        ("bfloat16", Hardware("npu"), SLOW, True),
        ("bfloat16", UNKNOWN, QUICK, False),
        ("float16", ARM, QUICK, False),
    ],
)
def test_a_precision_asked_for_is_kept_and_warned_of_where_it_is_emulated(
    asked: str, hardware: Hardware, rates: Dict[str, float], warns: bool
) -> None:
    choice = choose(asked, None, hardware, Rates(rates))
    assert choice.precision == asked
    assert bool(choice.line) is warns
    if warns:
        assert choice.line.startswith(f"warning: {asked} is emulated here (")
        assert "measured 85 words/s in float32 and " in choice.line
        assert f"{rates[asked]} words/s in {asked}" in choice.line


@pytest.mark.parametrize(
    ("asked", "hardware"),
    [("float32", OLD), ("float32", UNKNOWN), ("bfloat16", NEW), ("float16", Hardware("npu"))],
)
def test_a_precision_that_the_hardware_has_is_not_spoken_of(asked: str, hardware: Hardware) -> None:
    rates = Rates(SLOW)
    choice = choose(asked, None, hardware, rates)
    assert (choice.precision, choice.line, rates.asked) == (asked, "", [])


@pytest.mark.parametrize(
    ("kept", "hardware", "parts"),
    [
        ("bfloat16", NEW, ("kept from the run's beginning", "")),
        (
            "bfloat16",
            OLD,
            ("kept from the run's beginning. warning: bfloat16 is emulated", "7.2 words/s"),
        ),
        (
            "float32",
            NEW,
            ("kept from the run's beginning; a new run would take bfloat16 here", "AVX512_BF16"),
        ),
        ("float32", OLD, ("kept from the run's beginning", "")),
    ],
)
def test_a_run_that_goes_on_keeps_its_precision_on_another_machine(
    kept: str, hardware: Hardware, parts: Tuple[str, str]
) -> None:
    choice = choose("auto", kept, hardware, Rates(SLOW))
    assert choice.precision == kept
    assert choice.line.startswith(f"precision {kept}, {parts[0]}")
    assert parts[1] in choice.line
    assert ("warning" in choice.line) is ("warning" in parts[0])


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_measurement_trains_a_step(precision: str) -> None:
    if precision == "float16" and not CPU_FLOAT16:
        pytest.skip("PyTorch before 2.3 has no float16 on the CPU")
    config = CrnnConfig(in_channels=3, channels=(2, 2, 2, 2, 2, 2, 2), hidden=2)
    assert measured_rate(config, 3, torch.device("cpu"), precision) > 0


@pytest.mark.skipif(not CPU_FLOAT16, reason="PyTorch before 2.3 has no float16 on the CPU")
def test_a_machine_is_measured_once_a_process() -> None:
    config = CrnnConfig(in_channels=3, channels=(2, 2, 2, 2, 2, 2, 2), hidden=3)
    before = _known_rate.cache_info().misses
    # No processor of today has all of float16, so that each choice needs the rates of two.
    for _ in range(3):
        choose_together("float16", None, config, 3, World(torch.device("cpu")))
        assert _known_rate.cache_info().misses == before + 2


def test_a_precision_that_pytorch_lacks_is_refused() -> None:
    # PyTorch has no mixed precision on the device "meta"; before 2.3 no float16 on the CPU.
    with pytest.raises(UnavailableError, match="cannot train in bfloat16 on meta"):
        choose_together("bfloat16", None, CrnnConfig(), 1, World(torch.device("meta")))
    with pytest.raises(UnavailableError, match="cannot train in bfloat16 on meta"):
        choose_together("auto", "bfloat16", CrnnConfig(), 1, World(torch.device("meta")))


@pytest.mark.skipif(CPU_FLOAT16, reason="only PyTorch before 2.3 lacks it")
def test_a_run_in_a_precision_that_pytorch_lacks_ends_in_a_sentence(
    tiny: List[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train("synthetic", tmp_path / "run", *tiny, *SHORT, "precision=float16", code=4)
    assert "cannot train in float16 on cpu" in capsys.readouterr().err


@pytest.mark.parametrize(("first", "other"), [("float32", "bfloat16"), ("bfloat16", "float32")])
def test_the_decision_is_stored_and_a_resumed_run_keeps_it(
    first: str, other: str, tiny: List[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # What a machine that chose "first" leaves, whatever this one would choose.
    run = tmp_path / "run"
    train("synthetic", run, *tiny, *SHORT, f"precision={first}", "--max-steps", "2")
    capsys.readouterr()
    train("synthetic", run, *tiny, *SHORT, "precision=auto", "--resume", "--max-steps", "4")
    assert f"precision {first}, kept from the run's beginning" in capsys.readouterr().err
    assert f"precision: {first}\n" in saved(run / "last.pth")["crnn.training"]["recipe"]
    assert load_recipe(str(run / "recipe.yaml")).precision == first
    words = [*tiny, *SHORT, f"precision={other}", "--out", str(run), "--device", "cpu"]
    assert main(["train", "synthetic", *words, "--resume"]) == 1
    assert "was trained with another precision" in capsys.readouterr().err


@pytest.mark.parametrize("limit", ["AVX2", None])
def test_the_recipe_of_the_kit_says_what_it_takes(
    limit: Optional[str],
    tiny: List[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    if limit:
        monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", limit)
    assert load_recipe("synthetic").precision == "auto"
    run = train("synthetic", tmp_path / "run", *tiny, *SHORT, "--max-steps", "2")
    decided = load_recipe(str(run / "recipe.yaml")).precision
    assert decided in ("float32", "bfloat16")
    assert f"precision {decided} (auto: " in capsys.readouterr().err
    hardware = look(torch.device("cpu"))
    native = support("bfloat16", hardware).native
    if native is not None:
        assert (decided == "bfloat16") is native
