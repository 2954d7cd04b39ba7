"""``crnn bench``: what it reports, of which words, and what it refuses.

How long anything took is not tested.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from pathlib import Path
from typing import Any, Dict, List

import pytest

from crnn.cli.main import main
from crnn.jobs.bench import suggest
from crnn.jobs.others import Others
from crnn.jobs.unlabelled import list_of
from crnn.reports.bench import (
    busy_line,
    ratio_line,
    stage_table,
    suggestion_line,
    sweep_table,
    to_dict,
)
from crnn.results import BatchTiming, Benchmark, Model, ModelTiming, PairedRatio
from crnn.runners.base import run_info
from crnn.simulator import Knobs
from crnn.spec import ModelSpec
from tests.ascend.machine import clean, machine
from tests.cli.test_read import word_png
from tests.conftest import ROOT
from tests.models import write_bins, write_echo_model
from tests.simulator.programs import compile_model

WORDS = ROOT / "examples" / "words_lmdb"
QUICK = ["--loop", "3", "--warm-up", "0", "--threads", "1"]
IMAGE_STAGES = ["read", "decode", "resize", "host to device", "compute", "device to host", "ctc"]
BIN_STAGES = ["read", *IMAGE_STAGES[3:]]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a model, seven bins and their labels, as the current directory."""
    write_echo_model(tmp_path / "m.onnx")
    write_bins(tmp_path, ["hello", "0", "aa11", "good", "lamp", "3", "kind"])
    monkeypatch.chdir(tmp_path)
    return tmp_path


def measure(capsys: pytest.CaptureFixture[str], *words: str) -> Dict[str, Any]:
    assert main(["bench", *words, *QUICK, "--json", "-"]) == 0
    data: Dict[str, Any] = json.loads(capsys.readouterr().out)
    return data


def test_json_has_every_stage_and_rate_of_each_batch(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = measure(capsys, "m.onnx", "--data", str(WORDS), "--batch", "4,1,4", "--budget", "1e6")
    assert sorted(data) == sorted(
        # docs/formats.md
        "schema simulated data date command loop warm_up machine runs ratios suggestion".split()
    )
    # /3 where other programs were in the way.
    assert data["schema"] in ("crnn-bench/2", "crnn-bench/3")
    assert (data["simulated"], data["data"], data["loop"]) == (
        False,
        "words_lmdb",
        3,
    )
    (run,) = data["runs"]
    assert (run["backend"], run["device"], run["threads"], run["simulated"]) == (
        "onnxruntime",
        "cpu",
        1,
        False,
    )
    assert set(data["machine"]) == {"processor", "usable", "system", "load", "decoders"}
    assert [timing["batch"] for timing in run["batches"]] == [1, 4]
    for timing in run["batches"]:
        assert sorted(timing["stages"]) == sorted(IMAGE_STAGES)
        assert set(timing["throughput"]) == {"compute", "transfers", "stream", "data"}
        assert all(rate > 0 for rate in timing["throughput"].values())
        # Not by how much: but what counts more stages cannot be faster.
        assert timing["throughput"]["compute"] > timing["throughput"]["transfers"]
        assert (
            timing["latency"]["p99"]
            >= timing["latency"]["p50"]
            > timing["stages"]["compute"]["p50"]
        )
    assert data["suggestion"]["batch"] in (1, 4)
    assert data["ratios"] == []


def test_rates_and_ratios_are_those_of_the_stages(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Measured once, a stage's median is all that it took.
    once = ["--data", str(WORDS), "--batch", "4", "--loop", "1", "--warm-up", "0", "--json", "-"]
    shutil.copy("m.onnx", "n.onnx")
    assert main(["bench", "m.onnx", "--versus", "n.onnx", "--threads", "1", *once]) == 0
    data = json.loads(capsys.readouterr().out)
    transfers = []
    for run in data["runs"]:
        (timing,) = run["batches"]
        took = {stage: figures["p50"] / 1000 for stage, figures in timing["stages"].items()}
        copied = took["host to device"] + took["compute"] + took["device to host"]
        assert timing["throughput"]["compute"] == pytest.approx(4 / took["compute"])
        assert timing["throughput"]["transfers"] == pytest.approx(4 / copied)
        assert timing["latency"]["p99"] == pytest.approx(1000 * sum(took.values()))
        transfers.append(copied)
    (ratio,) = data["ratios"]
    assert ratio["ratio"]["p50"] == pytest.approx(transfers[1] / transfers[0])


def test_bins_are_neither_decoded_nor_resized_and_may_be_fewer_than_are_measured(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = measure(capsys, "m.onnx", "--data", "input_bin", "--label", "label.txt", "--batch", "5")
    assert sorted(data["runs"][0]["batches"][0]["stages"]) == sorted(BIN_STAGES)


def test_a_batch_that_the_bins_cannot_fill_is_refused(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        main(
            [
                "bench",
                "m.onnx",
                "--data",
                "input_bin",
                "--label",
                "label.txt",
                "--batch",
                "8",
                *QUICK,
            ]
        )
        == 1
    )
    assert "fewer than 8 usable bins" in capsys.readouterr().err


@pytest.mark.parametrize("data", [["input_bin", "--label", "label.txt"], [str(WORDS)]])
@pytest.mark.parametrize("sizes", ["100000000", "4,83887"])
def test_a_batch_that_no_memory_holds_is_refused(
    place: Path, capsys: pytest.CaptureFixture[str], data: List[str], sizes: str
) -> None:
    assert main(["bench", "m.onnx", "--data", *data, "--batch", sizes, *QUICK]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "expected at most 83886 of images of 3200 values" in said
    assert "Give smaller sizes with --batch" in said


def test_the_largest_batch_is_not_refused_for_its_memory(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Seven bins cannot fill it, which is said in its turn."""
    words = ["--data", "input_bin", "--label", "label.txt", "--batch", "83886", *QUICK]
    assert main(["bench", "m.onnx", *words]) == 1
    assert "fewer than 83886 usable bins" in " ".join(capsys.readouterr().err.split())


def test_images_that_cannot_be_decoded_are_passed_over(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = place / "images"
    folder.mkdir()
    (folder / "good.png").write_bytes(word_png("tree"))
    (folder / "bad.png").write_bytes(b"no image")
    (folder / "labels.txt").write_text("bad.png bad\ngood.png tree\n")
    assert measure(capsys, "m.onnx", "--data", "images", "--batch", "3")["runs"]
    (folder / "good.png").write_bytes(b"no image either")
    assert main(["bench", "m.onnx", "--data", "images", *QUICK]) == 1
    assert "holds no image that can be decoded" in capsys.readouterr().err


def test_two_backends_take_turns_on_one_data_set(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = str(ROOT / "examples" / "crnn_small.pth")
    data = measure(capsys, "m.onnx", "--data", str(WORDS), "--batch", "1,2", "--versus", model)
    assert [run["backend"] for run in data["runs"]] == ["onnxruntime", "torch"]
    assert [(ratio["batch"], ratio["pairs"]) for ratio in data["ratios"]] == [(1, 3), (2, 3)]
    for ratio in data["ratios"]:
        assert 0 < ratio["ratio"]["p10"] <= ratio["ratio"]["p50"] <= ratio["ratio"]["p90"]


def test_a_simulated_chip_is_said_in_table_json_and_plot(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib")
    from matplotlib.figure import Figure

    titles = []
    monkeypatch.setattr(Figure, "suptitle", lambda figure, text: titles.append(text))
    knobs = Knobs()
    om = compile_model(
        write_echo_model(place / "one.onnx", batch=4),
        place / "one",
        knobs,
        "--input_format=NCHW",
        "--input_shape=actual_input_1:4,1,32,100",
    )
    with machine(knobs) as findings:
        words = [
            "bench",
            str(om),
            "--data",
            "input_bin",
            "--label",
            "label.txt",
            "--batch",
            "2,4",
            *QUICK,
        ]
        assert main([*words, "--json", "b.json", "--plot", "b.png"]) == 0
    clean(findings)
    out, err = capsys.readouterr()
    assert out.startswith("SIMULATED: no chip ran this")
    assert "on pyacl, npu:0, 1 thread, SIMULATED" in out
    assert "batches of 2 run as 4: the model takes 4" in err
    data = json.loads((place / "b.json").read_text(encoding="utf-8"))
    assert data["simulated"]
    assert data["runs"][0]["simulated"]
    assert titles == ["SIMULATED: no chip ran this; its times are no chip's"]
    assert sorted(data["runs"][0]["batches"][0]["stages"]) == sorted(BIN_STAGES)


def test_the_plot_is_a_png_and_its_folder_is_checked_first(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        "bench",
        "m.onnx",
        "--data",
        "input_bin",
        "--label",
        "label.txt",
        "--batch",
        "1,2",
        *QUICK,
    ]
    assert main([*words, "--plot", "speed.png"]) == 0
    assert (place / "speed.png").read_bytes().startswith(b"\x89PNG")
    printed = capsys.readouterr().out.split()
    assert "without" in printed
    assert "transfers" in printed
    shutil.rmtree(place / "input_bin")
    assert main([*words, "--plot", "nowhere/speed.png"]) == 1
    assert "the folder nowhere does not exist" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--batch", "1,0"], "'0' is not a whole number from 1"),
        (["--loop", "0"], "'0' is not a whole number from 1"),
        (["--budget", "nan"], "'nan' is not a number of milliseconds"),
        (["--budget", "9", "--threads", "1,2"], "--budget is for one count of --threads"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(
    place: Path, capsys: pytest.CaptureFixture[str], words: Any, message: str
) -> None:
    assert main(["bench", "m.onnx", "--data", "input_bin", *words]) == 2
    assert message in capsys.readouterr().err


def timing(batch: int, p99: float, rate: float) -> BatchTiming:
    return BatchTiming(batch, {}, {"p50": 1.0, "p90": 1.0, "p99": p99}, {"transfers": rate})


TIMINGS = [timing(1, 2.0, 100.0), timing(4, 5.0, 300.0), timing(16, 20.0, 290.0)]


def timing_of(name: str) -> ModelTiming:
    model = Model(Path(name), "", ModelSpec.default(), "default")
    return ModelTiming(run_info(model, backend="", device=""), (), TIMINGS)


RUN = timing_of("m.onnx")


@pytest.mark.parametrize(
    ("budget", "batch", "said"),
    [
        (
            2.0,
            1,
            "suggested  batch 1: 100 words/s, 2.000 ms (p99) of the 2 ms allowed",
        ),  # the bound is allowed
        (10.0, 4, "suggested  batch 4: 300 words/s"),
        (50.0, 4, "suggested  batch 4: 300 words/s"),  # a larger batch that is not faster
        (
            1.0,
            None,
            "no measured batch keeps within 1 ms; batch 1 comes nearest with 2.000 ms (p99)",
        ),
    ],
)
def test_the_suggested_batch_is_the_fastest_within_the_budget(
    budget: float, batch: int, said: str
) -> None:
    suggestion = suggest(TIMINGS, budget)
    assert suggestion.batch == batch
    assert suggestion_line(suggestion, RUN).startswith(said)


def test_a_ratio_above_one_says_that_the_first_is_faster() -> None:
    other = timing_of("o.onnx")
    line = ratio_line(PairedRatio(4, 10, {"p10": 1.5, "p50": 2.0, "p90": 2.5}), [RUN, other])
    assert line == (
        "batch 4: m.onnx is 2.00 times as fast as o.onnx (middle 80 % of 10 pairs: 1.50 to 2.50)"
    )


def test_a_ratio_is_told_of_the_faster_one() -> None:
    other = timing_of("o.onnx")
    line = ratio_line(PairedRatio(4, 10, {"p10": 0.4, "p50": 0.5, "p90": 0.8}), [RUN, other])
    assert line == (
        "batch 4: o.onnx is 2.00 times as fast as m.onnx (middle 80 % of 10 pairs: 1.25 to 2.50)"
    )


# --- without labels


def test_bins_need_no_labels(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = measure(capsys, "m.onnx", "--data", "input_bin", "--batch", "7")
    assert sorted(data["runs"][0]["batches"][0]["stages"]) == sorted(BIN_STAGES)
    assert data["runs"][0]["notes"] == []
    assert main(["bench", "m.onnx", "--data", "input_bin", "--batch", "8", *QUICK]) == 1
    assert "fewer than 8 usable bins" in capsys.readouterr().err


def test_images_need_no_labels_wherever_they_stand(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    below = place / "images" / "below it"
    below.mkdir(parents=True)
    (below / "tree.PNG").write_bytes(word_png("tree"))
    (place / "images" / "notes.md").write_text("none of them")
    data = measure(capsys, "m.onnx", "--data", "images", "--batch", "2")
    assert sorted(data["runs"][0]["batches"][0]["stages"]) == sorted(IMAGE_STAGES)
    assert data["runs"][0]["notes"] == []


def test_a_list_is_written_for_what_has_none_and_is_gone_afterwards(place: Path) -> None:
    with list_of(place / "input_bin") as made:
        assert made is not None
        assert made.read_text().splitlines() == [f"test_{n}.bin:0" for n in range(1, 8)]
    assert not made.exists()
    for other in (WORDS, place / "m.onnx", place / "nothing"):
        with list_of(other) as made:
            assert made is None


# --- threads


def test_counts_of_threads_are_measured_in_a_process_each(
    place: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["bench", "m.onnx", "--data", "input_bin", "--batch", "2,7", "--loop", "3"]
    assert main([*words, "--threads", "2,1,2", "--json", "-"]) == 0
    data = json.loads(capfd.readouterr().out)
    assert data["schema"] == "crnn-bench-sweep/1"
    assert [result["runs"][0]["threads"] for result in data["results"]] == [1, 2]
    assert [result["loop"] for result in data["results"]] == [3, 3]
    head, rows = sweep_table(data["results"])
    assert head[:3] == ["threads", "model", "batch"]
    assert [row[0] for row in rows] == ["1", "1", "2", "2"]


def test_a_sweep_ends_with_the_first_that_fails(
    place: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["bench", "m.onnx", "--data", "input_bin", "--batch", "8"]
    assert main([*words, "--threads", "1,2"]) == 3
    said = capfd.readouterr().err
    assert "fewer than 8 usable bins" in said
    assert "crnn: error: with --threads 1 it ended with exit code 1" in said
    assert main([*words, "--threads", "1,2", "--plot", "a.png"]) == 2


# --- others


STAT = "cpu  {busy} 0 0 {idle} 7 0 0 0 0 0\ncpu0 1 1 1 1\n"


def test_a_row_is_marked_where_others_left_too_few_processors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [100.0]
    monkeypatch.setattr("crnn.jobs.others.time.monotonic", lambda: clock[0])
    monkeypatch.setattr("crnn.jobs.others.os.cpu_count", lambda: 4)
    stat = tmp_path / "stat"
    stat.write_text(STAT.format(busy=1000, idle=5))
    others = Others(stat)
    ticks = os.sysconf("SC_CLK_TCK")
    stat.write_text(STAT.format(busy=1000 + 30 * ticks, idle=500))
    clock[0] += 0.1
    assert others.in_the_way(1) == 0, "too short to say"
    clock[0] += 9.9
    # Thirty seconds of processors in ten, this process's own taken off.
    assert 2.9 < others.processors() <= 3.0
    assert others.in_the_way(1) == 0, "there is one left"
    assert 2.9 < others.in_the_way(2) <= 3.0


def test_nothing_is_said_where_the_system_does_not_tell(tmp_path: Path) -> None:
    assert Others(tmp_path / "none").in_the_way(99) == 0


def test_the_mark_is_explained_and_stands_in_json_where_it_is_set() -> None:
    busy = dataclasses.replace(TIMINGS[0], busy=1.5, stages={"compute": TIMINGS[0].latency})
    quiet = dataclasses.replace(busy, busy=0.0)
    for row, sign in ((busy, "1 *"), (quiet, "1")):
        run = dataclasses.replace(RUN, batches=[row])
        found = Benchmark("d", 1, 0, {}, [run], (), None, "2026", ["crnn"])
        assert stage_table(run)[1][0][0] == sign
        data = to_dict(found)
        assert ("busy" in data["runs"][0]["batches"][0]) is (row is busy)
        assert data["schema"] == {"1 *": "crnn-bench/3", "1": "crnn-bench/2"}[sign]
        said = busy_line(found)
        if row is busy:
            assert said is not None
            assert said.startswith("* taken while other programs left too few")
        else:
            assert said is None
