"""``crnn import``, from the command line to the file and back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import List

import numpy as np
import pytest
import torch

from crnn.cli.main import main
from tests.conftest import ROOT
from tests.foreign import MINDSPORE, TENSORFLOW, few_words

V2 = str(MINDSPORE / "v2.ckpt")


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(few_words(tmp_path_factory.mktemp("few") / "words", 16))


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_foreign_file_exports_like_any_other(
    place: Path, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["import", "mindspore", V2, "v2.pth"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert printed.startswith(
        f"{V2}: MindSpore, v2; 4 tensors of no use to inference left out; classes moved from abc"
    )
    assert printed.endswith("images (3, 32, 100) bgr by cv2-linear, logits (24, N, 37)")
    assert main(["export", "v2.pth", "v2.onnx"]) == 0
    assert (
        "actual_input_1 (batch, 3, 32, 100) to output1 (24, batch, 37)" in capsys.readouterr().out
    )
    assert main(["import", "mindspore", V2, "kept.pth", "--keep-classes", "--json", "-"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert (data["spec"]["blank"], data["spec"]["alphabet"][:3], data["spec"]["time_steps"]) == (
        36,
        "abc",
        24,
    )
    # Classes elsewhere, the same words.
    assert main(["import", "check", "kept.pth", "v2.onnx", "--data", words]) == 0
    assert "0 words read differently" in capsys.readouterr().out


def test_half_the_bytes_and_split_lstms_read_alike(
    place: Path, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["import", "torch", str(ROOT / "examples" / "crnn_small.pth"), "single.pth"]) == 0
    assert main(["import", "torch", "single.pth", "small.pth", "--half", "--split"]) == 0
    single, small = (
        torch.load(name, weights_only=True)["state_dict"] for name in ("single.pth", "small.pth")
    )
    assert {tensor.dtype for tensor in small.values()} == {torch.float16}
    assert (place / "small.pth").stat().st_size < 0.6 * (place / "single.pth").stat().st_size
    assert torch.equal(
        small["rnn.1.bw_rnn.weight_hh_l0"], single["rnn.1.rnn.weight_hh_l0_reverse"].half()
    )
    assert torch.equal(small["rnn.0.fw_rnn.bias_ih_l0"], single["rnn.0.rnn.bias_ih_l0"].half())
    assert not [name for name in small if ".rnn." in name]
    assert main(["import", "check", "single.pth", "small.pth", "--data", words]) == 0


def test_what_cannot_be_stored_is_refused(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", "mindspore", str(MINDSPORE / "v1.ckpt"), "v1.pth"]) == 0
    assert main(["import", "torch", "v1.pth", "x.pth", "--split"]) == 1
    assert "rnn.1 reads in one direction only" in capsys.readouterr().err
    content = torch.load("v1.pth", weights_only=True)
    content["state_dict"]["cnn.conv0.weight"][0, 0, 0, 0] = 1e6
    torch.save(content, "large.pth")
    assert main(["import", "torch", "large.pth", "x.pth", "--half"]) == 1
    assert "cnn.conv0.weight has a value of 1e+06; float16 ends at 65504" in capsys.readouterr().err
    assert not (place / "x.pth").exists()


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_bins_follow_the_spec_too(place: Path, words: str, dtype: str) -> None:
    assert main(["import", "mindspore", V2, "v2.pth"]) == 0
    assert main(["export", "v2.pth", "v2.onnx"]) == 0
    assert main(["evaluate", "v2.onnx", words, "--readings", "images.jsonl"]) == 0
    assert (
        main(
            [
                "prepare",
                words,
                "bins",
                "--spec",
                "mindspore-v2",
                "--dtype",
                dtype,
                "--info",
                "crnn.info",
            ]
        )
        == 0
    )
    assert (place / "bins" / "test_1.bin").stat().st_size == 3 * 32 * 100 * (
        4 if dtype == "float32" else 1
    )
    bins = ["bins", "--label", "label.txt", "--readings", "bins.jsonl"]
    assert main(["evaluate", "v2.onnx", *bins]) == 0
    images, read = (
        (place / name).read_text().splitlines() for name in ("images.jsonl", "bins.jsonl")
    )
    assert [json.loads(line)["text"] for line in read] == [
        json.loads(line)["text"] for line in images
    ]
    assert len(read) == 16


def test_mindspores_own_onnx_reads_as_its_checkpoint_does(place: Path, words: str) -> None:
    own = [
        "evaluate",
        str(MINDSPORE / "v2.onnx"),
        words,
        "--spec",
        "mindspore-native",
        "--readings",
        "own.jsonl",
    ]
    assert main(own) == 0
    assert main(["import", "mindspore", V2, "v2.pth"]) == 0
    assert main(["evaluate", "v2.pth", words, "--against", "own.jsonl"]) == 0


def test_what_does_not_read_alike_is_a_failed_check(
    place: Path, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    tensorflow = [str(TENSORFLOW / "crnn"), "tf.pth", "--ord-map", str(TENSORFLOW / "ord_map.json")]
    assert main(["import", "tensorflow", *tensorflow]) == 0
    assert main(["import", "torch", str(ROOT / "examples" / "crnn_small.pth"), "small.pth"]) == 0
    capsys.readouterr()
    assert main(["import", "check", "tf.pth", "small.pth", "--data", words]) == 3
    out, err = capsys.readouterr()
    assert "small.pth: accuracy 1.0000 (16 of 16 words)" in out
    assert "tf.pth and small.pth read 16 of 16 words differently; --max-differ allows 0" in err
    assert (
        main(["import", "check", "tf.pth", "small.pth", "--data", words, "--max-differ", "16"]) == 0
    )


@pytest.mark.parametrize(
    ("argv", "code", "message"),
    [
        (["mindspore", "none.ckpt", "x.pth"], 1, "none.ckpt does not exist"),
        (["mindspore", V2, "no/x.pth"], 1, "the folder no does not exist"),
        (["mindspore", str(MINDSPORE / "v2_encrypted.ckpt"), "x.pth"], 1, "is encrypted"),
        (["mindspore", str(MINDSPORE / "v2.mindir"), "x.pth"], 1, "is a MindIR"),
        (["mindspore", V2, "x.pth", "--version", "v1"], 2, "--version v1, but"),
        (["mindspore", V2, "x.pth", "--alphabet", "abc"], 1, "37 classes, the alphabet gives 4"),
        (["mindspore", V2, "x.pth", "--reorder", "é"], 1, "no class for 'é'"),
        (
            ["mindspore", V2, "x.pth", "--reorder", "ab", "--keep-classes"],
            2,
            "not allowed with argument",
        ),
        (["tensorflow", str(TENSORFLOW / "crnn"), "x.pth"], 2, "required: --ord-map"),
        (
            ["tensorflow", str(TENSORFLOW / "crnn"), "x.pth", "--ord-map", V2],
            1,
            "is not an ord_map.json",
        ),
        (["torch", V2, "x.pth"], 1, "is a checkpoint of MindSpore"),
        (
            ["torch", str(ROOT / "examples/crnn_small.pth"), "x.pth", "--preset", "y"],
            2,
            "there is no preset 'y'",
        ),
        (
            ["torch", str(ROOT / "examples/crnn_small.pth"), "x.pth", "--preset", "mindspore-v2"],
            1,
            "is not this CRNN",
        ),
        (["torch", V2, "x.pth"], 1, "crnn import mindspore FILE"),
        (["mindspore", str(TENSORFLOW / "crnn.pb"), "x.pth"], 1, "For it: crnn import tensorflow"),
        (["mindspore", str(MINDSPORE / "v2.onnx"), "x.pth"], 1, "crnn compile take it as it is"),
        (["caffe", "a", "b"], 2, "invalid choice"),
    ],
)
def test_refusals_leave_no_file(
    place: Path, capsys: pytest.CaptureFixture[str], argv: List[str], code: int, message: str
) -> None:
    assert main(["import", *argv]) == code
    assert message in capsys.readouterr().err
    assert list(place.iterdir()) == []


def test_a_wrong_ord_map_is_not_printed(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "map.json").write_bytes(b"\xff" * 100_000)
    assert (
        main(["import", "tensorflow", str(TENSORFLOW / "crnn"), "x.pth", "--ord-map", "map.json"])
        == 1
    )
    assert len(capsys.readouterr().err) < 500


def test_a_failed_import_leaves_the_checkpoint_that_was_there(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from crnn.weights.mindspore_file import read_mindspore_file

    tensors = {
        name: np.asarray(value)
        for name, value in read_mindspore_file(MINDSPORE / "v2.safetensors").items()
    }
    tensors["vgg.conv1.conv.weight"] = tensors["vgg.conv1.conv.weight"][:, :1]
    header, body = {}, b""
    for name, value in tensors.items():
        data = np.ascontiguousarray(value).tobytes()
        kind = {"f": "F32", "i": "I32"}[value.dtype.kind]
        header[name] = {
            "dtype": kind,
            "shape": value.shape,
            "data_offsets": [len(body), len(body) + len(data)],
        }
        body += data
    text = json.dumps(header).encode()
    (place / "gray.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + body)
    assert main(["import", "mindspore", V2, "out.pth"]) == 0
    before = (place / "out.pth").read_bytes()
    assert main(["import", "mindspore", "gray.safetensors", "out.pth"]) == 1
    assert "the network takes images of 1 channels" in capsys.readouterr().err
    assert (place / "out.pth").read_bytes() == before


def test_an_alphabet_keeps_the_blank_where_the_file_has_it(place: Path, words: str) -> None:
    assert main(["import", "mindspore", V2, "kept.pth", "--keep-classes"]) == 0
    characters = "abcdefghijklmnopqrstuvwxyz0123456789"
    assert main(["import", "torch", "kept.pth", "named.pth", "--alphabet", characters]) == 0
    assert main(["import", "check", "kept.pth", "named.pth", "--data", words]) == 0


def test_a_preset_for_a_file_that_has_its_spec_is_refused(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["import", "mindspore", V2, "v2.pth"]) == 0
    assert main(["import", "torch", "v2.pth", "x.pth", "--preset", "mindspore-v2"]) == 2
    assert "--preset is for files that do not" in capsys.readouterr().err


def test_check_as_json(place: Path, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", "mindspore", V2, "a.pth"]) == 0
    small = str(ROOT / "examples" / "crnn_small.pth")
    capsys.readouterr()
    assert main(["import", "check", "a.pth", small, "--data", words, "--json", "-"]) == 3
    data = json.loads(capsys.readouterr().out)
    assert (data["schema"], data["alike"], len(data["differing"])) == ("crnn-alike/1", False, 16)
    assert [model["model"]["path"] for model in data["models"]] == ["a.pth", "crnn_small.pth"]
