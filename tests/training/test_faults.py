"""What users and machines do to a run:

signals, other recipes on the way, other people's files, bad places.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import List

import lmdb
import pytest
import torch

from crnn.cli.main import main
from crnn.leftovers import held
from crnn.network import CRNN
from crnn.presets import VARIANTS, CrnnConfig
from crnn.training.recipe import find_recipe, load_recipe
from crnn.weights.checkpoint import load_checkpoint
from tests.conftest import ROOT
from tests.processes import started
from tests.training.runs import lines_in, metrics, saved, train, until

EXAMPLE, WORDS = ROOT / "examples" / "crnn_small.pth", ROOT / "examples" / "words_lmdb"


def test_two_trainings_in_one_folder_are_refused(
    tiny: List[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    out.mkdir()
    # Another process's training, as its lock tells.
    with held(out) as free:
        assert free
        train("modelzoo-1p", out, *tiny, "length=1 steps", code=2)
        assert "another training is at work in" in " ".join(capsys.readouterr().err.split())
        assert os.listdir(out) == []
    train("modelzoo-1p", out, *tiny, "length=1 steps")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_all_processes_leaves_a_run_to_go_on_with(
    tiny: List[str], tmp_path: Path, number: signal.Signals
) -> None:
    out = tmp_path / "run"
    words = [
        *tiny,
        "workers=1",
        "length=100000 steps",
        "log_every=1",
        "--out",
        str(out),
        "--device",
        "cpu",
    ]
    with started(
        [sys.executable, "-m", "crnn", "train", "modelzoo-1p", "precision=float32", *words],
        cwd=str(ROOT),
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        until(lambda: lines_in(out / "metrics.jsonl") > 0)
        os.killpg(process.pid, number)  # as torchrun, Slurm and a terminal do
        errors = process.communicate(timeout=60)[1]
    assert process.returncode == 128 + number
    assert "Traceback" not in errors and "go on with the same command and --resume" in errors
    assert saved(out / "last.pth")["crnn.training"]["step"] >= 1


def test_an_error_from_another_process_is_told_as_ones_own(
    tiny: List[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    junk = tmp_path / "junk"
    with lmdb.open(str(junk), map_size=1 << 20, lock=False) as environment, environment.begin(
        write=True
    ) as writing:
        for index in range(1, 21):
            writing.put(b"image-%09d" % index, b"no image")
            writing.put(b"label-%09d" % index, b"a")
        writing.put(b"num-samples", b"20")
    train("synthetic", tmp_path / "run", *tiny, f"train={junk}", "workers=1", code=1)
    assert (
        "crnn: error: none of a step's 8 words can be used: 8 not an image"
        in capsys.readouterr().err
    )


def test_going_on_takes_the_recipes_options_and_refuses_what_its_state_is_not_of(
    tiny: List[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = train("mindspore-v2", tmp_path / "run", *tiny, "length=6 steps", "warmup=0 steps")
    before = (run / "recipe.yaml").read_bytes()
    for pair in (
        "optimizer=adamw",
        "precision=bfloat16",
        "alphabet=abcdefghijklmnopqrstuvwxyz0123456789",
        "seed=9",
    ):
        train("mindspore-v2", run, *tiny, "length=8 steps", pair, "--resume", code=1)
        assert (
            f"was trained with another {pair.split('=')[0]} than this recipe's"
            in capsys.readouterr().err
        )
        assert (run / "recipe.yaml").read_bytes() == before
    train("mindspore-v2", run, *tiny, "length=4 steps", "--resume", code=2)
    assert "has done 6 steps; the recipe's length is 4" in capsys.readouterr().err
    other = ["momentum=0.5", "nesterov=false", "weight_decay=0.25"]
    train("mindspore-v2", run, *tiny, "length=8 steps", *other, "--resume")
    group = saved(run / "last.pth")["optimizer"]["param_groups"][0]
    assert (group["momentum"], group["nesterov"], group["weight_decay"]) == (0.5, False, 0.25)


def sizes_of(path: Path) -> List[str]:
    config = load_checkpoint(path).model.config
    return [f"channels={list(config.channels)}", f"hidden={config.hidden}"]


def test_a_start_from_other_classes_reads_the_same(tmp_path: Path) -> None:
    turned = tmp_path / "turned.pth"
    assert (
        main(
            [
                "import",
                "torch",
                str(EXAMPLE),
                str(turned),
                "--reorder",
                "zyxwvutsrqponmlkjihgfedcba9876543210",
            ]
        )
        == 0
    )
    words = [
        *sizes_of(EXAMPLE),
        f"train={WORDS}",
        f"valid={WORDS}",
        "precision=float32",
        "ema=null",
        "plot=false",
    ]
    words += [
        "workers=0",
        "learning_rate=1e-9",
        "warmup=0 steps",
        "length=1 steps",
        f"start_from={turned}",
    ]
    run = train("synthetic", tmp_path / "run", *words)
    assert metrics(run, "evaluation")[0]["accuracy"] > 0.95


def test_a_start_from_trained_weights_is_no_divergence(tmp_path: Path) -> None:
    # The first loss is small, so that any other is some times larger.
    words = [
        *sizes_of(EXAMPLE),
        f"train={WORDS}",
        "precision=float32",
        "plot=false",
        "batch_size=8",
        "workers=0",
    ]
    train(
        "synthetic",
        tmp_path / "run",
        *words,
        f"start_from={EXAMPLE}",
        "length=12 steps",
        "log_every=1",
    )


@pytest.mark.parametrize("network", ["modelzoo", "mindspore-v2"])
def test_a_start_from_bare_weights_takes_network_and_alphabet_from_the_recipe(
    network: str, tiny: List[str], tmp_path: Path
) -> None:
    variant = VARIANTS[network]
    sizes = {"channels": (4, 4, 6, 6, 8, 8, 8), "hidden": 8, "classes": 7}
    config = CrnnConfig(
        **{**{name: getattr(variant, name) for name in variant.__dataclass_fields__}, **sizes}
    )
    torch.save(CRNN(config).state_dict(), tmp_path / "bare.pth")
    pairs = [f"network={network}", "alphabet=123abc", f"start_from={tmp_path / 'bare.pth'}"]
    train("modelzoo-1p", tmp_path / "run", *tiny, "precision=float32", "length=1 steps", *pairs)


def test_new_checkpoints_stay_whatever_else_is_there(tiny: List[str], tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    for epoch in (17, 18, 19):
        (run / f"checkpoint_{epoch}_acc_0.5000.pth").write_bytes(b"another run's")
    train("synthetic", run, *tiny, "length=10 steps", "save_every=5 steps", "keep=2")
    left = sorted(path.name.partition("_acc")[0] for path in run.glob("checkpoint_*"))
    assert left == ["checkpoint_0_step_5", "checkpoint_1_step_10"]


def test_a_folder_named_like_a_recipe_hides_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "synthetic").mkdir()
    assert find_recipe("synthetic").is_file()


def test_digits_alone_are_an_alphabet() -> None:
    assert load_recipe("synthetic", ["alphabet=0123456789"]).alphabet == "0123456789"


@pytest.mark.parametrize(
    ("pairs", "code", "message"),
    [
        (["--device", "npu"], 4, "torch_npu"),
        (["--device", "cpu:1"], 2, "there is one cpu; --device cpu:1 is for cuda and npu"),
        (
            ["--device", "cpu", "--devices", "0,1"],
            2,
            "there is one cpu; --devices is for cuda and npu",
        ),
        (
            ["--profile", "10:30", "--max-steps", "4"],
            2,
            "--profile begins at step 10; the run ends at step 4",
        ),
        (["--out", "a_file"], 1, "the run's folder a_file cannot be made"),
        (["--out", "a_file/run"], 1, "the run's folder a_file/run cannot be made"),
        (["seed=99999999999999999999"], 2, "a whole number from 0 to 9223372036854775807"),
        (["threads=100000"], 2, "a whole number from 1 to 1024"),
    ],
)
def test_what_cannot_be_is_refused(
    pairs: List[str],
    code: int,
    message: str,
    tiny: List[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a_file").write_text("")
    assert main(["train", "synthetic", *tiny, "length=6 steps", *pairs]) == code
    assert message in capsys.readouterr().err


def test_a_world_without_an_address_is_refused(
    tiny: List[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in (("RANK", "0"), ("WORLD_SIZE", "2"), ("MASTER_ADDR", None)):
        (
            monkeypatch.delenv(name, raising=False)
            if value is None
            else monkeypatch.setenv(name, value)
        )
    assert (
        main(["train", "synthetic", *tiny, "--device", "cpu", "--out", str(tmp_path / "run")]) == 1
    )
    assert "WORLD_SIZE is 2 but MASTER_ADDR is not set" in capsys.readouterr().err
