"""``crnn export`` and ``pth2onnx.py``: what is written, what is printed, and what is refused."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Callable, Dict, List, Optional, Sequence, Tuple

import lmdb
import onnx
import pytest
import torch

from crnn.cli.main import main
from crnn.cli.scripts import pth2onnx
from crnn.filekind import OM_MAGIC, sha256
from crnn.presets import CrnnConfig
from crnn.runners.open import open_runner
from crnn.samples.lmdb import LmdbSamples
from tests.conftest import ROOT
from tests.foreign import few_words_lmdb
from tests.weights.checkpoints import TINY, save, split, state

SIX = CrnnConfig(channels=TINY.channels, hidden=4, classes=7)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a checkpoint of 37 classes and one of 7, as the current directory."""
    save(tmp_path / "a.pth", {"state_dict": split(state())})
    save(tmp_path / "six.pth", state(SIX))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def export(*words: str) -> int:
    return main(["export", "a.pth", "out.onnx", *words])


def test_it_writes_the_file_and_prints_every_figure_with_its_limit(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export() == 0
    out, err = capsys.readouterr()
    assert err == ""
    lines = out.splitlines()
    assert lines[0] == "a.pth: 2055 parameters, 37 classes"
    assert lines[1] == "  fw_rnn and bw_rnn taken as one bidirectional LSTM"
    assert lines[2:4] == [
        "  LSTM gates taken in PyTorch's order; files of the first NPU training stack",
        "  need --lstm-gate-order igfo",
    ]
    assert [line.split("  ")[0] for line in lines[6:11]] == [
        "largest difference from PyTorch",
        "time steps with another argmax",
        "largest difference between a row and its image",
        "alone",
        "least difference between two images",
    ]
    assert [line.endswith("  ok") for line in lines[6:11]] == [True, True, True, False, True]
    assert "at most 0.0001" in lines[6]
    assert lines[11].startswith("on 16 generated images, batch 1, 2, 3, 7, 16; ")
    assert lines[12].startswith("out.onnx: ")
    assert lines[12].endswith(" bytes, 30 nodes, opset 11")
    assert lines[13] == "  actual_input_1 (batch, 1, 32, 100) to output1 (26, batch, 37)"
    assert sorted(path.name for path in place.iterdir()) == ["a.pth", "out.onnx", "six.pth"]


def test_json_holds_the_figures_and_the_hashes(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export("--json", "-", "--batch", "2", "--split-bilstm") == 0
    data = json.loads(capsys.readouterr().out)
    assert data["schema"] == "crnn-export/1"
    assert data["passed"] is True
    assert [check["passed"] for check in data["checks"]] == [True] * 4
    assert data["checkpoint"]["sha256"] == sha256(place / "a.pth")
    sizes = {"channels": [4, 3, 4, 4, 5, 5, 6], "classes": 37, "hidden": 4, "in_channels": 1}
    assert sizes.items() <= data["checkpoint"]["network"].items()
    assert data["onnx"]["sha256"] == sha256(place / "out.onnx")
    assert (data["onnx"]["batch"], data["onnx"]["split_bilstm"], data["onnx"]["nodes"]) == (
        2,
        True,
        38,
    )


@pytest.mark.parametrize("legacy", [False, True])
def test_inspect_shows_a_checkpoint(
    place: Path, capsys: pytest.CaptureFixture[str], legacy: bool
) -> None:
    save(place / "any.name", split(state()), legacy=legacy)
    assert main(["inspect", "any.name", "--json", "-"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert (data["format"], data["parameters"], data["spec_from"]) == (
        "PyTorch checkpoint",
        2055,
        "default",
    )
    assert main(["inspect", "any.name"]) == 0
    assert "fw_rnn and bw_rnn taken as one bidirectional LSTM" in capsys.readouterr().out


def test_json_file_is_written_beside_the_printed_figures(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export("--json", "figures.json") == 0
    assert json.loads((place / "figures.json").read_text())["passed"] is True
    assert "largest difference from PyTorch" in capsys.readouterr().out


def test_exported_file_is_read_as_the_checkpoint_is(place: Path) -> None:
    assert main(["export", "six.pth", "out.onnx", "--alphabet", "Hdeno!", "--width", "48"]) == 0
    with open_runner(place / "out.onnx") as runner:
        assert runner.spec.characters == "Hdeno!"
        assert not runner.spec.fold_case
        assert (runner.spec.width, runner.spec.time_steps, runner.model.spec_from) == (
            48,
            13,
            "file",
        )


@pytest.mark.parametrize("content", ["abcdef\n", "a\nb\nc\r\nd\ne\nf", "\ufeffabcdef"])
def test_alphabet_comes_from_a_file_in_any_of_its_forms(place: Path, content: str) -> None:
    (place / "letters.txt").write_bytes(content.encode())
    assert main(["export", "six.pth", "out.onnx", "--alphabet", "@letters.txt"]) == 0
    with open_runner(place / "out.onnx") as runner:
        assert runner.spec.characters == "abcdef"


def test_real_words_are_checked_too(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = few_words_lmdb(place / "words", 20)
    with lmdb.open(str(words), lock=False) as environment, environment.begin(
        write=True
    ) as transaction:
        transaction.put(b"label-000000007", b"another")
    code = main(
        [
            "export",
            str(ROOT / "examples" / "crnn_small.pth"),
            "out.onnx",
            "--words",
            str(words),
        ]
    )
    lines = capsys.readouterr().out.splitlines()
    assert code == 0
    assert [line.split("  ")[0] for line in lines[-6:-4]] == [
        "largest difference from PyTorch on words",
        "words with another text",
    ]
    assert lines[-4].endswith("; 20 words")
    assert lines[-3] == "words read right: 19 of 20 (0.9500)"


def _other_gates(path: Path, target: Path, rows: Sequence[int] = (0, 2, 1, 3)) -> Path:
    """Write a copy of a checkpoint whose LSTMs have their gates in another order."""
    content = torch.load(path, weights_only=True)
    weights = content["state_dict"]
    for name, tensor in weights.items():
        if re.search(r"_rnn\.(weight|bias)_[ih]h_l0$", name):
            gates = tensor.chunk(4)
            weights[name] = torch.cat([gates[row] for row in rows])
    torch.save(content, target)
    return target


def _few(place: Path, *, labelled: bool = True) -> Path:
    """Write an LMDB of 12 of the example's words."""
    with lmdb.open(str(place / "few"), map_size=1 << 24) as environment, environment.begin(
        write=True
    ) as transaction:
        samples = LmdbSamples(ROOT / "examples" / "words_lmdb")
        for index, sample in zip(range(1, 13), samples):
            assert sample.image is not None
            assert sample.label is not None
            transaction.put(b"image-%09d" % index, sample.image)
            if labelled:
                transaction.put(b"label-%09d" % index, sample.label.encode())
    return place / "few"


def test_gates_in_the_other_order_are_found_by_labelled_words(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    example = ROOT / "examples"
    npu = _other_gates(example / "crnn_small.pth", place / "npu.pth")
    words = ["--words", str(_few(place))]
    assert main(["export", str(npu), "npu.onnx", *words]) == 3
    err = capsys.readouterr().err
    assert "reads 0 of 12 labelled words, and 12 with its LSTMs' gates" in err
    assert "Export it with --lstm-gate-order igfo." in err
    assert not (place / "npu.onnx").exists()
    assert main(["export", str(npu), "npu.onnx", *words, "--lstm-gate-order", "igfo"]) == 0
    out = capsys.readouterr().out
    assert "words read right: 12 of 12" in out
    assert "LSTM gates taken in the order igfo" in out
    assert "files of the first NPU training stack" not in out
    # The other way round, and the historical script, which is the same.
    small = str(example / "crnn_small.pth")
    assert pth2onnx([small, "m.onnx", *words, "--lstm-gate-order", "igfo"]) == 3
    assert "--lstm-gate-order ifgo" in capsys.readouterr().err
    assert not (place / "m.onnx").exists()


@pytest.mark.parametrize("rows", [(3, 1, 2, 0), (2, 1, 0, 3), (1, 0, 2, 3)])
def test_what_reads_nothing_by_either_order_is_exported_as_it_is(
    place: Path, rows: Sequence[int], capsys: pytest.CaptureFixture[str]
) -> None:
    example = ROOT / "examples"
    odd = _other_gates(example / "crnn_small.pth", place / "odd.pth", rows)
    words = ["--words", str(_few(place)), "--json", "-"]
    assert main(["export", str(odd), "odd.onnx", *words]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["words"]["labelled"] == 12
    assert result["words"]["right"] < 3


def test_words_without_labels_give_no_accuracy(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    example = ROOT / "examples"
    words = _few(place, labelled=False)
    npu = _other_gates(example / "crnn_small.pth", place / "npu.pth")
    assert main(["export", str(npu), "npu.onnx", "--words", str(words)]) == 0
    assert "read right" not in capsys.readouterr().out


def test_historical_script_takes_the_same_from_any_directory(place: Path) -> None:
    command = [sys.executable, str(ROOT / "pth2onnx.py"), "a.pth", "script.onnx", "--log-softmax"]
    run = subprocess.run(command, capture_output=True, text=True, cwd=str(place), check=False)
    assert (run.returncode, run.stderr) == (0, "")
    assert onnx.load("script.onnx").graph.node[-1].op_type == "LogSoftmax"


def test_historical_script_speaks_by_its_own_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert pth2onnx(["in.pth"]) == 2
    assert capsys.readouterr().err.startswith("usage: pth2onnx.py [-h]")


def blind(path: Path) -> None:
    weights = state()
    weights["cnn.conv0.weight"] = weights["cnn.conv0.weight"] * 0
    save(path, weights)


def overflowing(path: Path) -> None:
    """Every weight is finite, but not every logit."""
    weights = state()
    for name in ("rnn.1.embedding.weight", "rnn.1.embedding.bias"):
        weights[name] = torch.full_like(weights[name], 3.4e38)
    save(path, weights)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (blind, "least difference between two images is 0 "),
        (overflowing, "largest difference from PyTorch is inf "),
    ],
)
def test_failed_check_prints_the_figures_exits_3_and_leaves_the_old_file(
    place: Path, capsys: pytest.CaptureFixture[str], write: Callable[[Path], None], message: str
) -> None:
    write(place / "a.pth")
    (place / "out.onnx").write_bytes(b"old")
    assert export("--json", "figures.json") == 3
    out, err = capsys.readouterr()
    assert "FAILED" in out
    assert message in err
    assert "out.onnx was not written" in err
    assert (place / "out.onnx").read_bytes() == b"old"
    assert json.loads((place / "figures.json").read_text())["passed"] is False
    assert sorted(path.name for path in place.iterdir()) == [
        "a.pth",
        "figures.json",
        "out.onnx",
        "six.pth",
    ]


def lfs_pointer(place: Path) -> None:
    (place / "x.pth").write_text(
        "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
    )


def foreign(place: Path) -> None:
    save(place / "x.pth", torch.nn.Linear(2, 2).state_dict())


def whole_module(place: Path) -> None:
    save(place / "x.pth", torch.nn.Linear(2, 2))


def truncated(place: Path) -> None:
    (place / "x.pth").write_bytes((place / "a.pth").read_bytes()[:5000])


def onnx_instead(place: Path) -> None:
    (place / "x.pth").write_bytes(b"\x08\x06\x12\x04crnn")


def om_instead(place: Path) -> None:
    (place / "x.om").write_bytes(OM_MAGIC + bytes(300))


def nan(place: Path) -> None:
    save(place / "x.pth", {**state(), "cnn.conv0.bias": torch.full((4,), float("nan"))})


def folder(place: Path) -> None:
    (place / "words").mkdir()


def link(place: Path) -> None:
    (place / "link").symlink_to(place / "a.pth")


def not_utf8(place: Path) -> None:
    (place / "letters").write_bytes(b"abc\xff")


NOTHING = None
TO = "o.onnx"
BAD: Dict[str, Tuple[Optional[Callable[[Path], None]], List[str], int, str]] = {
    # the command line
    "no target": (NOTHING, ["a.pth"], 2, "the following arguments are required: OUT.onnx"),
    "unknown flag": (
        NOTHING,
        ["a.pth", TO, "--opset", "18"],
        2,
        "unrecognized arguments: --opset 18",
    ),
    "misspelt flag": (NOTHING, ["a.pth", TO, "--split-bilstn"], 2, "did you mean --split-bilstm?"),
    "batch 0": (NOTHING, ["a.pth", TO, "--batch", "0"], 2, "'0' is not a whole number from 1"),
    "batch -1": (NOTHING, ["a.pth", TO, "--batch", "-1"], 2, "'-1' is not a whole number from 1"),
    "batch 2000": (
        NOTHING,
        ["a.pth", TO, "--batch", "2000"],
        2,
        "the batch is 2000; expected 1 to 1024",
    ),
    "width 3": (NOTHING, ["a.pth", TO, "--width", "3"], 1, "the width is 3; expected at least 4"),
    "width 999999": (NOTHING, ["a.pth", TO, "--width", "999999"], 1, "expected 1 to 65535"),
    "gate order": (
        NOTHING,
        ["a.pth", TO, "--lstm-gate-order", "iofc"],
        2,
        "invalid choice: 'iofc'",
    ),
    # the alphabet
    "empty alphabet": (NOTHING, ["a.pth", TO, "--alphabet", ""], 1, "the alphabet is empty"),
    "character twice": (NOTHING, ["a.pth", TO, "--alphabet", "abca"], 1, "holds 'a' twice"),
    "short alphabet": (
        NOTHING,
        ["a.pth", TO, "--alphabet", "abc"],
        1,
        "has 37 classes, the alphabet gives 4 (3 char",
    ),
    "alphabet needed": (
        NOTHING,
        ["six.pth", TO],
        1,
        "checkpoint has 7 classes, the default alphabet gives 37",
    ),
    "no alphabet file": (
        NOTHING,
        ["a.pth", TO, "--alphabet", "@letters"],
        1,
        "letters does not exist",
    ),
    "a range": (NOTHING, ["six.pth", TO, "--alphabet", "a-z"], 1, "Ranges are not read as such"),
    "ranges": (NOTHING, ["a.pth", TO, "--alphabet", "0-9a-z"], 1, "Ranges are not read as such"),
    "alphabet not UTF-8": (
        not_utf8,
        ["a.pth", TO, "--alphabet", "@letters"],
        1,
        "is neither UTF-8 nor GB18030",
    ),
    # the checkpoint
    "no checkpoint": (
        NOTHING,
        ["b.pth", TO],
        1,
        "b.pth does not exist; expected a PyTorch checkpoint",
    ),
    "folder": (NOTHING, [".", TO], 1, "is a folder; expected a PyTorch checkpoint"),
    "Git LFS pointer": (lfs_pointer, ["x.pth", TO], 1, "is a Git LFS pointer"),
    "another network": (foreign, ["x.pth", TO], 1, "is another network"),
    "whole module": (whole_module, ["x.pth", TO], 1, "code in a file is never run"),
    "OM given": (om_instead, ["x.om", TO], 1, "An OM is compiled already: crnn evaluate"),
    "truncated": (truncated, ["x.pth", TO], 1, "truncated, damaged"),
    "ONNX given": (onnx_instead, ["x.pth", TO], 1, "is not a PyTorch file"),
    "NaN": (nan, ["x.pth", TO], 1, "4 values of 4 that are NaN or infinite"),
    # the target
    "no folder": (
        NOTHING,
        ["a.pth", "no/o.onnx"],
        1,
        "the folder no does not exist\n  Create it first: mkdir -p no",
    ),
    "target a folder": (folder, ["a.pth", "words"], 1, "cannot write words: it is a folder"),
    "onto itself": (
        NOTHING,
        ["a.pth", "a.pth"],
        1,
        "a.pth is named twice, as checkpoint and as target",
    ),
    "onto itself by a link": (
        link,
        ["a.pth", "link"],
        1,
        "link is named twice, as checkpoint and as target",
    ),
    "no folder for JSON": (
        NOTHING,
        ["a.pth", TO, "--json", "no/f.json"],
        1,
        "the folder no does not exist",
    ),
    # the words
    "no words": (NOTHING, ["a.pth", TO, "--words", "no_lmdb"], 1, "no_lmdb does not exist"),
    "words no LMDB": (folder, ["a.pth", TO, "--words", "words"], 1, "words is not an LMDB"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_input_has_its_exit_code_and_says_why(
    place: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    prepare, words, code, message = BAD[kind]
    if prepare:
        prepare(place)
    before = {path.name for path in place.iterdir()}
    assert main(["export", *words]) == code
    out, err = capsys.readouterr()
    assert message in err
    assert "Traceback" not in err
    assert out == ""
    assert {path.name for path in place.iterdir()} == before
