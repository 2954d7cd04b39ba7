"""The first loss that a resumed run logs is that of the run that was never interrupted."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path
from typing import Any, Dict, List

import pytest

from crnn.cli.main import ended_as_interrupted, main
from crnn.signals import too_late
from crnn.training.loop import Stop
from tests.lines import joined


def losses(run: Path, event: str = "train") -> Dict[int, float]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return {line["step"]: line["loss"] for line in lines if line["event"] == event}


def train(run: Path, tiny: List[str], *more: str) -> None:
    pairs = ["log_every=4", "save_every=5 steps", "length=2 epochs", "precision=float32"]
    assert main(["train", "modelzoo-1p", *tiny, *pairs, *more, "--out", str(run)]) == 0


@pytest.mark.parametrize("how", ["stopped", "killed"])
def test_the_first_loss_after_a_resume(how: str, tiny: List[str], tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(whole, tiny)
    train(parts, tiny, "--max-steps", "7" if how == "killed" else "6")
    if how == "killed":
        # What a run leaves that is killed after the checkpoint of step 5, between two lines.
        [saved] = parts.glob("checkpoint_*_step_5_*.pth")
        shutil.copy(saved, parts / "last.pth")
    train(parts, tiny, "--resume")
    expected = losses(whole)
    found = losses(parts)
    assert {step: found[step] for step in expected} == expected
    assert 8 in expected
    ends = losses(whole, "epoch")
    assert ends
    assert losses(parts, "epoch") == ends


def test_a_signal_that_python_drops_is_said_to_have_come_too_late(
    capsys: pytest.CaptureFixture[str],
) -> None:
    import argparse

    from crnn.cli.main import run

    class Dropped:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGINT)

    def drop(args: Any) -> int:
        import sys

        before = sys.unraisablehook
        sys.unraisablehook = lambda unraisable: None
        try:
            Dropped()
        finally:
            sys.unraisablehook = before
        return 0

    assert run(argparse.Namespace(run=drop)) == 0
    assert "SIGINT came too late: all was done already" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_is_obeyed_is_known_by_its_number(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    if number != signal.SIGINT:
        # Under nohup a process begins with SIGHUP ignored, and is right to leave it so.
        signal.signal(number, signal.SIG_DFL)
    try:
        with pytest.raises(KeyboardInterrupt), ended_as_interrupted() as ended:
            signal.raise_signal(number)
    finally:
        signal.signal(number, before)
    assert ended[0] == number
    assert number.name in too_late(number)


def test_a_signal_after_the_last_step_is_said_to_have_come_too_late(
    tiny: List[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    agreed = Stop.agreed

    def late(self: Stop, step: int, world: Any) -> bool:
        answer = agreed(self, step, world)
        if step == 10:
            signal.raise_signal(signal.SIGTERM)
        return answer

    monkeypatch.setattr(Stop, "agreed", late)
    train(tmp_path / "run", tiny)
    written = capsys.readouterr()
    assert "SIGTERM came too late: all was done already" in written.err
    assert "10 steps, last.pth" in joined(written.out)
