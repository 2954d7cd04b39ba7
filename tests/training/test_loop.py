from __future__ import annotations

import os
import random
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, Iterator, List

import pytest
import torch

from crnn.cli import console
from crnn.cli.main import main
from crnn.errors import CheckError
from crnn.runners.open import open_runner
from crnn.training.loop import Console, Trainer, TrainOptions
from crnn.training.recipe import load_recipe
from crnn.training.world import World
from crnn.weights.checkpoint import load_checkpoint
from tests.conftest import ROOT
from tests.fonts import needs_fonts
from tests.foreign import few_words_lmdb
from tests.processes import started
from tests.training.conftest import TINY, write_lmdb
from tests.training.runs import DECIDED, OWN, SHORT, lines_in, metrics, same, saved, train, until

STEPS = 15  # three epochs of five


@pytest.mark.parametrize("name", OWN)
def test_each_recipe_starts_learns_and_resumes(name: str, tiny: List[str], tmp_path: Path) -> None:
    words = [*tiny, *SHORT, *DECIDED.get(name, [])]
    whole = train(name, tmp_path / "whole", *words)
    losses = [line["loss"] for line in metrics(whole)]
    assert len(losses) == STEPS
    measured = [line["loss"] for line in metrics(whole, "evaluation")]
    assert measured[2] < measured[0]

    parts = train(name, tmp_path / "parts", *words, "--max-steps", "7")
    assert saved(parts / "last.pth")["crnn.training"]["step"] == 7
    train(name, parts, *words, "--resume")
    assert same(saved(parts / "last.pth"), saved(whole / "last.pth"))
    assert [line["loss"] for line in metrics(parts)] == losses


def test_two_processes_train_every_recipe_and_resume(tiny: List[str], tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "WORLD_SIZE": "2",
    }
    environment.update(OMP_NUM_THREADS="1", PYTHONPATH=str(ROOT))
    command = [sys.executable, "-m", "tests.training.pair", str(tmp_path), *tiny]
    with started(
        command,
        env=environment,
        cwd=str(ROOT),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as pair:
        first = pair.communicate(timeout=300)[0]
    second = (tmp_path / "second").read_text(encoding="utf-8")
    assert pair.returncode == 0, first + second
    assert "2 devices (cpu), batch 8 on each, 16 in all; 2 steps an epoch" in first
    assert second == ""
    for name in OWN:
        assert same(
            saved(tmp_path / name / "parts" / "last.pth"),
            saved(tmp_path / name / "whole" / "last.pth"),
        )


def test_an_evaluation_whose_loss_is_lost_ends_the_run(tiny: List[str], tmp_path: Path) -> None:
    recipe = load_recipe("synthetic", [*tiny, *SHORT, "precision=float32", "ema=null"])
    voice = Console(lambda line: None, lambda line: None, console.progress)
    trainer = Trainer(recipe, TrainOptions(tmp_path / "run"), World(torch.device("cpu")), voice)
    # A step normalises by its batch, and does not see that the statistics kept for later are lost.
    for name, buffer in trainer.learner.model.named_buffers():
        if name.endswith("running_mean"):
            buffer.fill_(float("nan"))
    with pytest.raises(CheckError, match="the training diverged by step 5: the loss is nan"):
        trainer.run()
    assert not (tmp_path / "run" / "best.pth").exists()


def test_a_killed_run_resumes_to_the_same_bits(tiny: List[str], tmp_path: Path) -> None:
    words = [
        *tiny,
        *SHORT,
        "length=16 epochs",
        "evaluate_every=4 epochs",
        "save_every=3 steps",
        "ema=0.9",
        "dropout=0.2",
        "augment=light",
    ]
    killed = tmp_path / "killed"
    command = [sys.executable, "-m", "crnn", "train", "modelzoo-1p", "precision=float32", *words]
    steps = random.randint(5, 40)
    with started(
        [*command, "--out", str(killed)],
        cwd=str(ROOT),
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        until(lambda: (killed / "last.pth").exists())
        until(lambda: lines_in(killed / "metrics.jsonl") >= steps)
        process.kill()
        process.wait()
    done = saved(killed / "last.pth")["crnn.training"]["step"]
    assert 0 < done < 80, "it was to be killed on its way"
    train("modelzoo-1p", killed, "precision=float32", *words, "--resume")
    whole = train("modelzoo-1p", tmp_path / "whole", "precision=float32", *words)
    assert same(saved(killed / "last.pth"), saved(whole / "last.pth"))
    assert same(saved(killed / "best.pth"), saved(whole / "best.pth"))
    assert not list(killed.glob(".*.part")) or process.returncode == -signal.SIGKILL


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_a_run_to_go_on_with(number: int, tiny: List[str], tmp_path: Path) -> None:
    recipe = load_recipe("synthetic", [*tiny, *SHORT, "save_every=100 steps"])
    lines: List[str] = []

    def say(line: str) -> None:
        lines.append(line)
        if len(lines) == 4:
            os.kill(os.getpid(), number)

    before = signal.getsignal(number)
    voice = Console(say, lambda line: None, console.progress)
    outcome = Trainer(
        recipe, TrainOptions(tmp_path / "run"), World(torch.device("cpu")), voice
    ).run()
    assert outcome.signal == number
    assert signal.getsignal(number) is before
    assert 0 < outcome.step < STEPS
    assert saved(tmp_path / "run" / "last.pth")["crnn.training"]["step"] == outcome.step


def test_the_exit_code_after_a_signal(
    tiny: List[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: List[str] = []

    def out(line: str) -> None:
        if not told:
            os.kill(os.getpid(), signal.SIGTERM)
        told.append(line)

    monkeypatch.setattr(console, "out", out)
    train("synthetic", tmp_path / "run", *tiny, *SHORT, code=128 + signal.SIGTERM)


def test_a_run_that_diverges_stops_with_its_last_good_checkpoint(
    tiny: List[str], tmp_path: Path
) -> None:
    words = [
        *tiny,
        "log_every=1",
        "save_every=1 steps",
        "optimizer=sgd",
        "ema=null",
        "clip_norm=null",
    ]
    words += ["warmup=2 steps", "schedule=constant", "length=4 epochs"]
    run = tmp_path / "run"
    recipe = load_recipe("synthetic", [*words, "learning_rate=1e6"])
    voice = Console(lambda line: None, lambda line: None, console.progress)
    with pytest.raises(
        CheckError, match=re.escape(f"the last good checkpoint is {run / 'last.pth'}")
    ):
        Trainer(recipe, TrainOptions(run), World(torch.device("cpu")), voice).run()
    load_checkpoint(run / "last.pth")


def test_the_files_of_a_run(tiny: List[str], tmp_path: Path) -> None:
    words = [*tiny, *SHORT, "save_every=1 epoch", "keep=2", "plot=true"]
    run = train("synthetic", tmp_path / "run", *words)
    names = sorted(path.name for path in run.iterdir())
    numbered = [name for name in names if name.startswith("checkpoint_")]
    assert [re.sub(r"\d{4}", "N", name) for name in numbered] == [
        f"checkpoint_{epoch}_acc_0.N.pth" for epoch in (1, 2)
    ]
    assert [name for name in names if name not in numbered] == [
        "best.pth",
        "curves.png",
        "last.pth",
        "metrics.jsonl",
        "recipe.yaml",
    ]
    # auto is decided by the machine; the run's files hold the decision.
    ran = load_recipe(str(run / "recipe.yaml"))
    assert ran.precision in ("float32", "bfloat16")
    assert ran == load_recipe("synthetic", [*words, f"precision={ran.precision}"])
    evaluated = metrics(run, "evaluation")
    assert [line["step"] for line in evaluated] == [5, 10, 15]
    assert f"acc_{evaluated[-1]['accuracy']:.4f}" in numbered[-1]
    # What other programs of ModelZoo's look for.
    assert {"epoch": 3, "best_acc": evaluated[-1]["best"]}.items() <= saved(
        run / "last.pth"
    ).items()
    with open_runner(run / "best.pth") as runner:
        assert runner.spec.time_steps == 26
    # Neither a new run nor one of other data may take its place.
    assert main(["train", "synthetic", *words, "--out", str(run)]) == 2
    assert main(["train", "synthetic", *words, "batch_size=4", "--out", str(run), "--resume"]) == 1
    assert main(["train", "synthetic", *words, "hidden=9", "--out", str(run), "--resume"]) == 1
    assert main(["train", "synthetic", *words, "--out", str(tmp_path / "none"), "--resume"]) == 1


def test_a_run_begins_from_any_checkpoint_and_counts_as_crnn_evaluate_does(
    tiny: List[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Two split LSTMs, as ModelZoo's files have them; the network is the recipe's own.
    start, words = ROOT / "examples" / "crnn_small.pth", few_words_lmdb(tmp_path / "words", 60)
    pairs = [
        f"start_from={start}",
        f"train={words}",
        f"valid={words}",
        "learning_rate=1e-6",
        "warmup=0 steps",
    ]
    run = train(
        "synthetic",
        tmp_path / "run",
        *pairs,
        "batch_size=8",
        "length=2 steps",
        "ema=null",
        "plot=false",
        "workers=0",
    )
    best = saved(run / "best.pth")["best_acc"]
    assert best > 0.9
    capsys.readouterr()
    assert main(["evaluate", str(run / "best.pth"), str(words), "--threads", "1"]) == 0
    assert capsys.readouterr().out.split()[:2] == ["accuracy", f"{best:.4f}"]
    assert (
        main(["train", "synthetic", *tiny, f"start_from={start}", "--out", str(tmp_path / "no")])
        == 1
    )
    assert "holds another network than the recipe's" in capsys.readouterr().err


def test_other_systems_lines(
    tiny: List[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    patterns = {
        "modelzoo": (
            r"Epoch: \[0\]\[4/5\]\tTime [\d.]+ ms \([\d.]+ ms\)\tData [\d.]+ ms \([\d.]+ ms\)\tFps"
            r" [\d.]+\t"
            r"Loss [\d.]+ \([\d.]+\)\n \* FPS@all [\d.]+\nEpoch: \[0\]\[5/5\]\n([^\n]{26} =>"
            r" [^\n]*, gt: [^\n]*\n){2}"
            r"\d+\n40\nTest loss: \d+\.\d{4}, accuracy: \d\.\d{4}\nis best: True\nbest acc is:"
            r" [\d.]+\n"
        ),
        "mindspore": (
            r"epoch: \[1/2\] step: \[5/5\], loss: \d+\.\d{6}, lr : \d\.\d{6}, per step time:"
            r" \d+\.\d{3} ms\n"
            r"epoch: 1 step: 5, loss is [\d.]+\n"
            r"Epoch time: \d+\.\d{3}s, per step time: \d+\.\d{3}s\n"
            r"correct num:  \d+ , total num:  40\nresult: \{'CRNNAccuracy': [\d.]+\}\n"
        ),
        "tensorflow": (
            r"Epoch_Train: 5 cost= [\d. ]+, lr= [\d. ]+, FPS: [\d.]+, step_per_sec: [\d.]+\n"
            r"Mean test full sequence accuracy is [\d.]+\n"
        ),
    }
    for style, pattern in patterns.items():
        words = [*tiny, *SHORT, "length=2 epochs", "examples=2", "--log-style", style]
        train("synthetic", tmp_path / style, *words)
        assert re.search(pattern, capsys.readouterr().out), style


def test_no_best_is_named_before_the_first_evaluation(
    tiny: List[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = train("synthetic", tmp_path / "run", *tiny, *SHORT, "--max-steps", "1")
    assert not (run / "best.pth").exists()
    assert "the best is" not in "".join(capsys.readouterr())


def test_measuring_speed_and_profiling_keep_no_checkpoint(
    tiny: List[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    train(
        "synthetic",
        run,
        *tiny,
        "--performance",
        "--max-steps",
        "4",
        "--profile",
        "1:3",
        "--log-style",
        "modelzoo",
    )
    captured = capsys.readouterr()
    assert re.fullmatch(r" \* FPS@all [\d.]+", captured.out.splitlines()[-1])
    assert "steps 2 to 3 are in" in captured.err
    assert [path.name for path in run.iterdir()] == ["profile.json"]


@needs_fonts
def test_words_are_rendered_as_they_are_needed(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("house\nriver\nstone\n", encoding="utf-8")
    source = f"train={{render: true, size: 20, words: {tmp_path}/words.txt}}"
    words = [source, *TINY, *SHORT, *DECIDED["synthetic"], "length=2 epochs"]
    whole = train("synthetic", tmp_path / "whole", *words)
    # The order is part of the state: two processes that render change nothing.
    other = train("synthetic", tmp_path / "other", *words, "workers=2", "--max-steps", "3")
    train("synthetic", other, *words, "--resume")
    assert same(saved(other / "last.pth")["state_dict"], saved(whole / "last.pth")["state_dict"])


def test_a_word_that_cannot_be_decoded_is_left_out_and_counted(tmp_path: Path) -> None:
    import lmdb

    folder = write_lmdb(tmp_path / "data", ["a", "b", "c", "d"] * 4)
    with lmdb.open(str(folder), lock=False) as environment, environment.begin(
        write=True
    ) as writing:
        writing.put(b"image-000000003", b"no image")
    run = train("synthetic", tmp_path / "run", *TINY, *SHORT, f"train={folder}", "length=1 epochs")
    assert metrics(run, "epoch")[0]["skipped"] == {"not an image": 1}


@pytest.fixture(autouse=True)
def _threads() -> Iterator[Any]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)
