"""Which axis of the logits is which: found out at the first run, whatever the file says."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

import numpy as np
import pytest

from crnn import ctc
from crnn.cli.arguments import add_output_axes
from crnn.cli.main import main
from crnn.errors import InputError
from crnn.recognizer import Recognizer
from crnn.runners.ascend_runner import open_ascend
from crnn.runners.onnx_runner import OnnxRunner
from crnn.spec import ODD_AXES, OUTPUT_AXES, ModelSpec
from tests.ascend.machine import clean, machine, write_om
from tests.models import SPEC, echo_images, write_bins, write_echo_model, write_images

WORDS = ["hello", "0", "", "aa11", "good", "lamp", "3"] * 10
OTHERS = [axes for axes in OUTPUT_AXES if axes != "TNK"]


def texts(logits: np.ndarray) -> List[str]:
    return ctc.greedy(logits, SPEC.alphabet)


@pytest.mark.parametrize("axes", OTHERS)
@pytest.mark.parametrize("count", [1, 3, 26, 37, 64])
def test_axes_other_than_the_specs_are_named_at_the_first_run(
    tmp_path: Path, axes: str, count: int
) -> None:
    model = write_echo_model(tmp_path / "m.onnx", axes=axes, open_sizes=True, spec=None)
    images = echo_images(WORDS[:count])
    # ONNX Runtime infers some sizes that the file leaves open: then it is known before the run.
    with pytest.raises(InputError) as caught, OnnxRunner(model) as runner:
        runner.run(images)
    assert f"the output's are {axes} (T time steps, N images, K classes)" in caught.value.message
    assert f"--output-axes {axes}" in caught.value.hint
    with pytest.raises(InputError, match=f"output's are {axes}"), OnnxRunner(model) as runner:
        next(runner.stream([images]))


def test_other_time_steps_are_not_taken_for_other_axes(tmp_path: Path) -> None:
    other = dataclasses.replace(SPEC, time_steps=25)
    model = write_echo_model(tmp_path / "m.onnx", spec=other)
    with pytest.raises(InputError, match="it gives 26 time steps") as caught, OnnxRunner(model):
        pass
    assert """--spec '{"time_steps": 26}'""" in caught.value.hint


@pytest.mark.parametrize("axes", OUTPUT_AXES)
@pytest.mark.parametrize("count", [1, 26, 37, 64])
@pytest.mark.parametrize("batch", [None, 26, 4])
def test_the_axes_that_the_spec_says_are_read(
    tmp_path: Path, axes: str, count: int, batch: Optional[int]
) -> None:
    spec = dataclasses.replace(SPEC, output_axes=axes)
    model = write_echo_model(
        tmp_path / "m.onnx", axes=axes, open_sizes=True, spec=spec, batch=batch
    )
    images = echo_images(WORDS[:count])
    with OnnxRunner(model) as runner:
        assert texts(runner.run(images)) == WORDS[:count]
        assert texts(next(runner.stream([images]))) == WORDS[:count]


@pytest.mark.parametrize("axes", ["NTK", "TNK"])
@pytest.mark.parametrize("said", ["NTK", "TNK"])
def test_a_batch_as_long_as_the_time_is_told_by_changing_one_image(
    tmp_path: Path, axes: str, said: str
) -> None:
    spec = dataclasses.replace(SPEC, output_axes=said)
    model = write_echo_model(tmp_path / "m.onnx", axes=axes, batch=26, spec=spec)
    with OnnxRunner(model) as runner:
        if axes == said:
            assert texts(runner.run(echo_images(WORDS[:5]))) == WORDS[:5]
            return
        with pytest.raises(InputError, match=f"output's are {axes}"):
            runner.run(echo_images(WORDS[:5]))


def test_blank_images_prove_the_axes_as_well(tmp_path: Path) -> None:
    model = write_echo_model(tmp_path / "m.onnx", axes="NTK", batch=26)
    with OnnxRunner(model) as runner, pytest.raises(InputError, match="output's are NTK"):
        runner.run(echo_images([""]))


def test_the_axes_are_proven_once(tmp_path: Path) -> None:
    runs = 0

    class Counting(OnnxRunner):
        def _run(self, images: np.ndarray) -> np.ndarray:
            nonlocal runs
            runs += 1
            return super()._run(images)

    with Counting(write_echo_model(tmp_path / "m.onnx", batch=26)) as runner:
        for _ in range(3):
            runner.run(echo_images(WORDS[:26]))
        assert runs == 5
        list(runner.stream([echo_images(WORDS[:26])] * 3))
    assert runs == 8
    with Counting(write_echo_model(tmp_path / "any.onnx")) as runner:
        runner.run(echo_images(WORDS[:3]))
        runner.run(echo_images(WORDS[:26]))
    assert runs == 10


def test_sizes_in_the_file_name_its_axes_before_it_runs(tmp_path: Path) -> None:
    model = write_echo_model(tmp_path / "m.onnx", axes="NKT")
    with pytest.raises(InputError, match="output's are NKT"), OnnxRunner(model):
        pass


@pytest.mark.parametrize("axes", ODD_AXES)
@pytest.mark.parametrize("open_sizes", [False, True])
def test_axes_that_nobody_reads_are_not_taken_for_others(
    tmp_path: Path, axes: str, open_sizes: bool
) -> None:
    model = write_echo_model(tmp_path / "m.onnx", axes=axes, open_sizes=open_sizes)
    with pytest.raises(InputError) as caught, OnnxRunner(model) as runner:
        runner.run(echo_images(WORDS[:3]))
    assert f"the output's look like {axes} " in caught.value.message
    assert "Transpose to one of TNK, NTK, NKT" in caught.value.hint


def test_a_shape_of_no_order_is_another_network(tmp_path: Path) -> None:
    model = write_echo_model(tmp_path / "m.onnx", axes="NTK", open_sizes=True)
    runner = OnnxRunner(model)
    runner.read_by(ModelSpec(time_steps=25))
    with runner, pytest.raises(InputError, match="got output1") as caught:
        runner.run(echo_images(WORDS[:2]))
    assert "another network" in caught.value.hint


def test_the_option_offers_what_a_spec_takes() -> None:
    import argparse

    parser = argparse.ArgumentParser()
    add_output_axes(parser)
    for axes in OUTPUT_AXES:
        assert parser.parse_args(["--output-axes", axes]).output_axes == axes


@pytest.mark.parametrize("axes", OTHERS)
@pytest.mark.parametrize("batch", ["16", "26", "64"])
def test_evaluate_refuses_or_reads_by_the_option(
    tmp_path: Path, axes: str, batch: str, capsys: pytest.CaptureFixture[str]
) -> None:
    model = write_echo_model(tmp_path / "m.onnx", axes=axes, open_sizes=True, spec=None)
    bins = write_bins(tmp_path, WORDS)
    words = ["evaluate", str(model), str(bins), "--label", str(tmp_path / "label.txt")]
    words += ["--batch", batch]
    assert main(words) == 1
    assert f"--output-axes {axes}" in capsys.readouterr().err
    assert main([*words, "--output-axes", axes, "--min-accuracy", "1"]) == 0


def test_the_other_commands_take_the_option_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = write_echo_model(tmp_path / "m.onnx", axes="NTK", open_sizes=True, spec=None)
    folder = write_images(tmp_path / "words", ["good"])
    axes = ["--output-axes", "NTK"]
    assert main(["read", str(model), str(folder / "1.png")]) == 1
    assert main(["read", str(model), str(folder / "1.png"), *axes]) == 0
    assert "\tgood\t" in capsys.readouterr().out
    bench = ["bench", str(model), "--data", str(folder), "--loop", "1", "--batch", "1"]
    assert main(bench) == 1
    assert main([*bench, *axes]) == 0
    with Recognizer(model, output_axes="NTK") as recognizer:
        assert recognizer.read(folder / "1.png").text == "good"


@pytest.mark.parametrize("form", [{"batches": (26,)}, {"batches": (4, 26), "gears": True}])
@pytest.mark.parametrize("count", [3, 26, 30])
@pytest.mark.parametrize("said", ["NTK", "TNK"])
@pytest.mark.parametrize("axes", ["NTK", "TNK"])
def test_an_om_of_a_batch_as_long_as_the_time_is_asked(
    tmp_path: Path, axes: str, said: str, count: int, form: Dict[str, Any]
) -> None:
    model = write_om(tmp_path / "m.om", axes=axes, **form)
    with machine() as findings:
        runner = open_ascend(model)
        runner.read_by(dataclasses.replace(SPEC, output_axes=said))
        with runner:
            if axes == said:
                assert texts(runner.run(echo_images(WORDS[:count]))) == WORDS[:count]
                assert texts(next(runner.stream([echo_images(WORDS[:count])]))) == WORDS[:count]
            else:
                with pytest.raises(InputError, match=f"output's are {axes}"):
                    next(runner.stream([echo_images(WORDS[:count])]))
    clean(findings)


@pytest.mark.parametrize("axes", OTHERS)
@pytest.mark.parametrize("batches", [(4,), (1, 4)])
def test_an_om_whose_sizes_tell_its_axes_is_refused_by_name(
    tmp_path: Path, axes: str, batches: Tuple[int, ...]
) -> None:
    model = write_om(tmp_path / "m.om", axes=axes, batches=batches, gears=len(batches) > 1)
    with machine(), pytest.raises(InputError) as caught, open_ascend(model):
        pass
    assert f"--output-axes {axes}" in caught.value.hint


@pytest.mark.parametrize("axes", OUTPUT_AXES)
def test_another_tools_outputs_are_scored_in_their_order(tmp_path: Path, axes: str) -> None:
    spec = dataclasses.replace(SPEC, output_axes=axes)
    model = write_echo_model(tmp_path / "m.onnx", axes=axes, spec=spec, batch=1)
    (tmp_path / "result").mkdir()
    with OnnxRunner(model) as runner:
        for number, word in enumerate(WORDS[:4], 1):
            output = runner._run(echo_images([word]))
            (tmp_path / "result" / f"test_{number}_0.bin").write_bytes(output.tobytes())
    write_bins(tmp_path, WORDS[:4])
    score = ["score", str(tmp_path / "result"), "--label", str(tmp_path / "label.txt")]
    assert main([*score, "--output-axes", axes, "--min-accuracy", "1"]) == 0
