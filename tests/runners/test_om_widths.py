"""OMs of several widths on a simulated machine: a static set of them, and gears of dims."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, Dict, List, Sequence, Tuple

import numpy as np
import pytest

from crnn import cann, ctc
from crnn.ascend.pyacl import AscendError
from crnn.ascend.sidecar import read_sidecar, sidecar_path, write_sidecar
from crnn.cli.main import main
from crnn.errors import InputError
from crnn.runners.ascend_runner import om_files, open_ascend, set_of
from crnn.runners.onnx_runner import OnnxRunner
from crnn.simulator import Fault, Knobs
from crnn.widths import Widths
from tests.ascend.machine import clean, machine
from tests.ascend.om_sets import WIDTHS, write_dims, write_set
from tests.conftest import ROOT
from tests.models import SPEC, wide_echo_image, wide_echo_images

Batch = Tuple[List[str], int]
BATCHES: Sequence[Batch] = (
    (["abc", "d"], 80),
    (["0123456789a"] * 5, 128),
    (["net"], 100),
    (["q"] * 4, 80),
    (["foot", "hello", "u"], 128),
)
FORMS: Dict[str, Callable[[Path], Path]] = {
    "set": lambda folder: write_set(folder / "set"),
    "dims": lambda folder: write_dims(folder / "m.om"),
}


@pytest.fixture(scope="module", params=list(FORMS))
def form(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = FORMS[request.param](tmp_path_factory.mktemp(request.param))
    return path


def of_onnx(path: Path) -> List[np.ndarray]:
    with OnnxRunner(path.with_suffix(".onnx"), threads=1) as runner:
        return [runner.run(wide_echo_images(*batch)) for batch in BATCHES]


def read(logits: np.ndarray) -> List[str]:
    return ctc.greedy(logits, SPEC.alphabet)


@pytest.mark.parametrize("release", [(6, 0), (8, 5)], ids=str)
@pytest.mark.parametrize("mode", [cann.ACL_HOST, cann.ACL_DEVICE], ids=["card", "on the chip"])
def test_every_width_gives_what_the_onnx_gives(
    form: Path, mode: int, release: Tuple[int, int]
) -> None:
    expected = of_onnx(form)
    assert [logits.shape[0] for logits in expected] == [21, 33, 26, 21, 33]
    with machine(Knobs(run_mode=mode, cann=release)) as findings, open_ascend(form) as runner:
        streamed = list(runner.stream(wide_echo_images(*batch) for batch in BATCHES))
        for (texts, width), logits, found in zip(BATCHES, expected, streamed):
            assert np.array_equal(found, logits)
            assert np.array_equal(runner.run(wide_echo_images(texts, width)), logits)
            assert read(found) == texts
    clean(findings)


def test_pixels_for_oms_with_aipp(tmp_path: Path) -> None:
    folder = write_set(tmp_path / "set", batches=(2,), aipp=True)
    with machine() as findings, open_ascend(folder) as runner:
        assert str(runner.inputs[0]) == "actual_input_1 uint8 (any, 32, any, 1)"
        for texts, width in ((["abc", "d"], 80), (["net"], 128)):
            images = wide_echo_images(texts, width)
            pixels = np.rint(images * 127.5 + 127.5).astype(np.uint8)
            assert read(runner.run(pixels)) == texts
            assert read(runner.run(images)) == texts
    clean(findings)


@pytest.mark.slow
def test_two_devices(form: Path, tmp_path: Path) -> None:
    words = write_words(tmp_path / "words")
    kit = ["evaluate", str(form), str(words), "--spec", FACTOR, "--device", "0,1", "--batch", "4"]
    command = [sys.executable, "-m", "crnn.simulator", "--devices", "2", "--", sys.executable]
    command += ["-m", "crnn", *kit, "--json", str(tmp_path / "result.json")]
    environ = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    # 70 where a rule was broken or something was left.
    assert done.returncode == 0, done.stderr
    data = json.loads((tmp_path / "result.json").read_text(encoding="utf-8"))
    assert (data["accuracy"], data["device"]) == (1, "npu:0,1")


def test_an_om_is_loaded_at_the_first_batch_that_needs_it(tmp_path: Path) -> None:
    folder = write_set(tmp_path / "set")
    with machine() as findings, open_ascend(folder) as runner:
        calls = findings.simulator.record.calls
        assert calls.get("acl.mdl.load_from_file", 0) == 0
        assert calls["acl.mdl.query_size"] == 6
        assert "6 OMs, each loaded at its first batch, take" in runner.notes[-1]
        runner.run(wide_echo_images(["abc"], 128))
        runner.run(wide_echo_images(["def"], 128))
        assert calls["acl.mdl.load_from_file"] == 1
        # 5 words are a 4 and a 1: the smallest compiled batch holds the tail.
        runner.run(wide_echo_images(["abc"] * 5, 80))
        assert calls["acl.mdl.load_from_file"] == 3
        assert calls["acl.mdl.execute_async"] == 4
    clean(findings)


def test_a_stream_that_is_given_up(form: Path) -> None:
    """Batches of an OM that was loaded late are still on their way when the runner is closed."""
    with machine() as findings:
        with open_ascend(form) as runner:
            runner.run(wide_echo_images(["abc"], 80))
            stream = runner.stream(wide_echo_images(["abc"], 128) for _ in range(9))
            next(stream)
            stream.close()
        with open_ascend(form) as runner:
            stream = runner.stream(wide_echo_images(["abc"], width) for width in (80, 128) * 5)
            next(stream)
            stream.close()
            assert read(runner.run(wide_echo_images(["de"], 100))) == ["de"]
    clean(findings)


def test_no_image_is_read_at_a_width_that_the_spec_does_not_name(form: Path) -> None:
    with machine() as findings, open_ascend(form) as runner:
        said = r"\(1, 1, 32, 96\); expected .* W one of 80, 100, 128"
        with pytest.raises(InputError, match=said):
            runner.run(np.zeros((1, 1, 32, 96), dtype=np.float32))
    clean(findings)


@pytest.mark.parametrize("form_name", list(FORMS))
@pytest.mark.parametrize("axes", ["NTK", "NKT"])
def test_other_orders_of_axes(tmp_path: Path, form_name: str, axes: str) -> None:
    # A batch of 21 is as long as the time at 80: there only a second image tells them apart.
    write = {"set": write_set, "dims": write_dims}[form_name]
    path = write(tmp_path / "m.om", batches=(2, 21), axes=axes)
    with machine() as findings, open_ascend(path) as runner:
        for texts, width in ((["abc"] * 21, 80), (["de", "f"], 128)):
            assert read(runner.run(wide_echo_images(texts, width))) == texts
    clean(findings)


@pytest.mark.parametrize("form_name", list(FORMS))
@pytest.mark.parametrize("texts", [["abc"] * 21, ["abc", "d"]], ids=["T = N", "T > N"])
def test_axes_that_the_spec_says_wrongly(tmp_path: Path, form_name: str, texts: List[str]) -> None:
    write = {"set": write_set, "dims": write_dims}[form_name]
    path = write(tmp_path / "m.om", batches=(2, 21), axes="NTK")
    with machine() as findings:
        runner = open_ascend(path)
        runner.read_by(dataclasses.replace(runner.spec, output_axes="TNK"))
        with runner, pytest.raises(InputError, match="the output's are NTK"):
            runner.run(wide_echo_images(texts, 80))
    clean(findings)


def without(folder: Path, width: int) -> Path:
    for path in folder.glob(f"*_w{width}_*"):
        path.unlink()
    return folder


def test_a_set_that_lacks_a_width_says_which(tmp_path: Path) -> None:
    folder = without(write_set(tmp_path / "set"), 100)
    with machine() as findings, pytest.raises(
        InputError, match=r"set lacks width 100, which the spec \(file\) names; it has 80, 128"
    ) as caught, open_ascend(folder):
        pass
    assert "--nearest-width" in caught.value.hint
    clean(findings)


def test_the_nearest_takes_its_place_where_that_is_asked(tmp_path: Path) -> None:
    folder = without(write_set(tmp_path / "set"), 100)
    with machine() as findings:
        runner = open_ascend(folder)
        runner.take_nearest()
        with runner:
            assert runner.spec.widths == Widths(list=(80, 128))
            assert runner.info().lacking == (100,)
            assert runner.model.spec_from == "file"
            assert "lacks width 100: the nearest of 80, 128 is taken" in runner.notes[-1]
    clean(findings)


def test_the_fixed_width_of_a_set(tmp_path: Path) -> None:
    """``--width-rule off``: the spec names no widths, and the set is read at the fixed one."""
    folder = write_set(tmp_path / "set")
    with machine() as findings:
        runner = open_ascend(folder)
        runner.read_by(dataclasses.replace(runner.spec, widths=None))
        with runner:
            assert read(runner.run(wide_echo_images(["abc"] * 3, 100))) == ["abc"] * 3
            with pytest.raises(InputError, match="expected"):
                runner.run(wide_echo_images(["abc"], 80))
    assert findings.calls["acl.mdl.load_from_file"] == 1
    clean(findings)
    with machine() as findings, pytest.raises(InputError, match="lacks width 100"):
        runner = open_ascend(without(folder, 100))
        runner.read_by(dataclasses.replace(runner.spec, widths=None))
        with runner:
            pass
    clean(findings)


def test_a_folder_and_files_named_one_by_one(tmp_path: Path) -> None:
    folder = write_set(tmp_path / "set")
    names = [f"m_w{width}_bs{batch}.om" for width in WIDTHS for batch in (1, 4)]
    assert [path.name for path in om_files(folder)] == names
    assert set_of([folder / name for name in reversed(names)]) == [folder / name for name in names]
    twin = folder / "twin.om"
    twin.write_bytes((folder / names[0]).read_bytes())
    sidecar_path(twin).write_bytes(sidecar_path(folder / names[0]).read_bytes())
    with pytest.raises(InputError, match="are both of width 80 and batch 1; a set has each once"):
        set_of([twin, folder / names[0]])


def test_an_om_that_is_not_what_the_file_beside_it_says(tmp_path: Path) -> None:
    folder = write_set(tmp_path / "set", batches=(4,))
    om = folder / "m_w80_bs4.om"
    wrong = dataclasses.replace(read_sidecar(sidecar_path(om)), widths=(160,))
    write_sidecar(om, wrong)
    said = "takes width 80, batch 4, and m_w80_bs4.om.json says width 160, batch 4"
    with machine() as findings, pytest.raises(InputError, match=said), open_ascend(folder):
        pass
    clean(findings)


def test_two_oms_of_one_size(tmp_path: Path) -> None:
    folder = write_set(tmp_path / "set", batches=(4,))
    for suffix in (".om", ".om.json"):
        (folder / f"m_w80_bs5{suffix}").write_bytes((folder / f"m_w80_bs4{suffix}").read_bytes())
    with machine() as findings, pytest.raises(
        InputError, match="both take width 80, batch 4; a set has each once"
    ), open_ascend(folder):
        pass
    clean(findings)


def test_an_om_that_does_not_fit_the_memory(form: Path) -> None:
    fault = Fault("acl.mdl.load_from_file", 1, cann.ACL_ERROR_RT_MEMORY_ALLOCATION)
    with machine(Knobs(faults=(fault,))) as findings, open_ascend(form) as runner:
        with pytest.raises(AscendError, match=r"on Ascend310; it takes [0-9.]+ MiB\)"):
            runner.run(wide_echo_images(["abc"], 80))
        # A second try loads it.
        assert read(runner.run(wide_echo_images(["abc"], 80))) == ["abc"]
    assert findings.own_leaks == []
    assert findings.violations == []


def test_the_class_of_older_scripts(tmp_path: Path) -> None:
    from acl_net import Net, NetSet

    folder, dims = write_set(tmp_path / "set"), write_dims(tmp_path / "m.om")
    with machine() as findings:
        import acl

        acl.init()
        acl.rt.set_device(0)
        context, _ = acl.rt.create_context(0)
        with NetSet(context, folder) as several, Net(context, dims) as geared:
            for texts, width in ((["abc"], 80), (["abc", "d", "e", "f"], 128)):
                images = wide_echo_images(texts, width)
                for net in (several, geared):
                    (logits,) = net(images)
                    assert read(logits) == texts
            assert len(several.nets) == 2
            with pytest.raises(
                InputError, match=r"takes .*\(4, 1, 32, 80\).*; got \(3, 1, 32, 80\)"
            ):
                several(np.zeros((3, 1, 32, 80), dtype=np.float32))
        several.release()
        acl.rt.destroy_context(context)
        acl.rt.reset_device(0)
        acl.finalize()
    clean(findings)
    with machine(), pytest.raises(InputError, match="is not a static OM of one input"):
        NetSet(0, tmp_path)


# --- whole evaluations


def write_words(folder: Path) -> Path:
    """Write images whose own width is one of the set's, at the factor 32."""
    from PIL import Image

    folder.mkdir()
    lines = []
    texts = (("abc", 80), ("0123456789abc", 128), ("net", 100), ("de", 80), ("foot", 128))
    for number in range(40):
        text, width = texts[number % len(texts)]
        pixels = np.rint(wide_echo_image(text, width)[0] * 127.5 + 127.5).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
        lines.append(f"{number}.png {text}\n")
    (folder / "annotation.txt").write_text("".join(lines), encoding="utf-8")
    return folder


FACTOR = json.dumps({"widths": {"rule": "aspect", "factor": 32, "list": list(WIDTHS)}})


def evaluated(*words: str) -> Dict[str, Any]:
    result = Path(words[0]).parent / "result.json"
    with machine() as findings:
        code = main(["evaluate", *words, "--json", str(result), "--batch", "4"])
    assert code == 0
    clean(findings)
    data: Dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
    return data


def test_an_evaluation(form: Path, tmp_path: Path) -> None:
    words = write_words(tmp_path / "words")
    data = evaluated(str(form), str(words), "--spec", FACTOR)
    assert (data["accuracy"], data["total"]) == (1, 40)
    assert {width: row["words"] for width, row in data["by_width"].items()} == {
        "80": 16,
        "100": 8,
        "128": 16,
    }
    assert "widths_lacking" not in data


def test_an_evaluation_with_the_nearest_width(tmp_path: Path) -> None:
    words = write_words(tmp_path / "words")
    folder = without(write_set(tmp_path / "set"), 80)
    arguments = ["evaluate", str(folder), str(words), "--spec", FACTOR]
    with machine():
        assert main(arguments) == 1
    data = evaluated(str(folder), str(words), "--spec", FACTOR, "--nearest-width")
    assert data["widths_lacking"] == [80]
    assert {width: row["words"] for width, row in data["by_width"].items()} == {
        "100": 24,
        "128": 16,
    }
