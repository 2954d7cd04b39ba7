"""Going on from a ``last.pth`` that somebody has altered: told by the part, never a traceback."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, Dict, List

import pytest
import torch

from tests.training.runs import saved, train

RUN = "crnn.training"
ALTERED = [
    ("state_dict", -1),
    ("state_dict", {"a": 1}),
    ("best_acc", "x"),
    ("best_acc", float("nan")),
    ("optimizer", []),
    ("crnn.training", None),
    ("crnn.training.step", -1),
    ("crnn.training.step", 1.5),
    ("crnn.training.step", 10**30),
    ("crnn.training.accuracy", None),
    ("crnn.training.best_step", "x"),
    ("crnn.training.data", []),
    ("crnn.training.data", {"words an epoch": "x"}),
    ("crnn.training.first_loss", "x"),
    ("crnn.training.recipe", 1),
    ("crnn.training.recipe", "x"),
    ("crnn.training.recipe", "a: [1"),
    ("crnn.training.scaler", None),
    ("crnn.training.sums", {"epoch": 1}),
    ("crnn.training.sums", {"epoch": {"steps": -1}}),
]


MOMENTS = ["length=3 steps", "optimizer=adamw", "learning_rate=0.001", "precision=float32"]
"""Of a recipe whose optimiser keeps averages of each weight's gradients."""


def gone_on_with(content: Dict[str, Any], tiny: List[str], folder: Path, *, code: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(content, folder / "last.pth")
    train("modelzoo-1p", folder, *tiny, *MOMENTS, "--resume", code=code)


@pytest.fixture(scope="module")
def finished() -> Dict[str, Any]:
    """The content of a checkpoint, filled by the first test that asks for it."""
    return {}


@pytest.fixture
def content(finished: Dict[str, Any], tiny: List[str], tmp_path: Path) -> Dict[str, Any]:
    """What a run of two steps leaves."""
    if not finished:
        words = [*tiny, *MOMENTS, "--max-steps", "2"]
        finished.update(
            saved(train("modelzoo-1p", tmp_path / "first", *words, code=0) / "last.pth")
        )
    return copy.deepcopy(finished)


@pytest.mark.parametrize(("part", "value"), ALTERED)
def test_an_altered_part_is_named(
    part: str,
    value: Any,
    content: Dict[str, Any],
    tiny: List[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    name = part.rpartition(f"{RUN}.")[2]
    holder = content
    if name != part:
        holder = content[RUN]
    holder[name] = value
    gone_on_with(content, tiny, tmp_path / "run", code=1)
    said = " ".join(capsys.readouterr().err.split())
    assert f"its {name} is not as this trainer writes it" in said


def test_averages_of_other_shapes_are_refused_before_a_step(
    content: Dict[str, Any], tiny: List[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for averages in content["optimizer"]["state"].values():
        averages["exp_avg"] = torch.zeros(3, 2)
    gone_on_with(content, tiny, tmp_path / "run", code=1)
    assert "have not the shapes of its weights" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("value", [{}, {"state": 1, "param_groups": []}, {"state": {}}])
def test_a_state_of_another_optimiser_is_refused(
    value: Any,
    content: Dict[str, Any],
    tiny: List[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    content["optimizer"] = value
    gone_on_with(content, tiny, tmp_path / "run", code=1)
    assert "another network or optimiser" in " ".join(capsys.readouterr().err.split())


def test_an_unaltered_one_goes_on(content: Dict[str, Any], tiny: List[str], tmp_path: Path) -> None:
    gone_on_with(content, tiny, tmp_path / "run", code=0)
