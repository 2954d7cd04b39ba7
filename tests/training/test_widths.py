"""Training at several widths: a batch has one, and a run is still a function of its steps."""

from __future__ import annotations

from pathlib import Path
from typing import List, Tuple

import numpy as np
import pytest
import torch
import yaml

from crnn.cli.main import main
from crnn.errors import InputError, UsageError
from crnn.labels import steps as steps_needed
from crnn.presets import time_steps
from crnn.runners.open import open_runner
from crnn.spec import ModelSpec
from crnn.training.data import LabelledWords, Mixture, Part, Plans, TrainBatch
from crnn.training.groups import GROUP, GroupBatches, GroupPlans
from crnn.training.labels import LabelRules
from crnn.training.model import spec_and_config, steps_by_width
from crnn.training.recipe import load_recipe
from crnn.widths import Widths
from tests.training.conftest import write_lmdb
from tests.training.runs import metrics, same, saved, train

WIDTHS = Widths(factor=36.0, list=(32, 48, 80))
RECIPE = "widths=[32, 48, 80]"
FLOAT32 = "precision=float32"


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Words of 1 to 12 letters, a few that no width has steps enough for."""
    labels = [("abc123" * 3)[: 1 + index % 12] for index in range(50)]
    labels += ["1" * 12, "a" * 30]
    return write_lmdb(tmp_path_factory.mktemp("widths") / "words", labels)


@pytest.fixture
def pairs(lines: Path) -> List[str]:
    from tests.training.conftest import TINY

    return [f"train={lines}", f"valid={lines}", *TINY, FLOAT32, RECIPE]


def group_batches(lines: Path) -> Tuple[Mixture, GroupBatches]:
    steps = {width: time_steps(width) for width in WIDTHS.list}
    spec = ModelSpec(widths=WIDTHS)
    labels = LabelRules(spec, most_steps=max(steps.values()))
    words = LabelledWords(lines, labels)
    mixture = Mixture([Part(words, len(words))], 3)
    return mixture, GroupBatches(mixture, labels, WIDTHS, steps)


def planned(lines: Path, start: int, end: int) -> List[TrainBatch]:
    mixture, batches = group_batches(lines)
    plans = Plans(mixture, 4, 0, 1, start, end)
    made: List[TrainBatch] = []
    for group in GroupPlans(mixture, plans, start, end, 3):
        found = batches[group]
        assert isinstance(found, list)
        made.extend(found)
    return made


def test_a_batch_has_one_width_that_fits_its_middle_word(lines: Path) -> None:
    made = planned(lines, 0, 24)
    assert len(made) == 24
    widths = [batch.images.shape[3] for batch in made]
    assert set(widths) == set(WIDTHS.list)
    # Each step has as many words as with one width.
    assert {len(batch.lengths) for batch in made} == {4}
    # Not from the narrowest to the widest.
    assert widths[:GROUP] != sorted(widths[:GROUP])
    for batch in made:
        steps = time_steps(batch.images.shape[3])
        start = 0
        for length in batch.lengths.tolist():
            text = batch.targets[start : start + length].tolist()
            repeats = sum(first == second for first, second in zip(text, text[1:]))
            assert length + repeats <= steps
            start += length


def test_an_epoch_has_each_word_once(lines: Path) -> None:
    mixture, _ = group_batches(lines)
    epoch = len(mixture) // 4
    made = planned(lines, 0, epoch)
    assert sum(len(batch.lengths) for batch in made) == epoch * 4
    again = planned(lines, epoch, 2 * epoch)
    assert [batch.images.shape for batch in made] != [batch.images.shape for batch in again]


@pytest.mark.parametrize("start", [1, 7, 8, 11, 13])
def test_a_run_goes_on_in_the_middle_of_a_group(lines: Path, start: int) -> None:
    whole, rest = planned(lines, 0, 16), planned(lines, start, 16)
    assert len(rest) == 16 - start
    for first, second in zip(whole[start:], rest):
        assert torch.equal(first.images, second.images)
        assert torch.equal(first.targets, second.targets)


def test_labels_are_taken_by_the_steps_of_the_widest_width(lines: Path) -> None:
    words = LabelledWords(lines, LabelRules(ModelSpec(widths=WIDTHS), most_steps=21))
    # 12 equal letters need 23 steps; 30 need more.
    assert sum(words.skipped.values()) == 2
    assert steps_needed("1" * 12) == 23


def test_a_recipe_and_its_checkpoint_name_the_widths(pairs: List[str], tmp_path: Path) -> None:
    run = train("modelzoo-1p", tmp_path / "run", "length=2 epochs", "log_every=1", *pairs)
    recipe = yaml.safe_load((run / "recipe.yaml").read_text(encoding="utf-8"))
    assert recipe["widths"] == {"rule": "aspect", "factor": 36.0, "list": [32, 48, 80]}
    with open_runner(run / "last.pth") as runner:
        assert runner.spec.widths == WIDTHS
        for width in WIDTHS.list:
            logits = runner.run(np.zeros((2, 1, 32, width), dtype=np.float32))
            assert logits.shape == (time_steps(width), 2, 37)
    lines_ = metrics(run)
    assert lines_
    assert all(np.isfinite(line["loss"]) for line in lines_)
    assert all(np.isfinite(line["loss"]) for line in metrics(run, "evaluation"))


def test_it_resumes_to_the_same_bits(pairs: List[str], tmp_path: Path) -> None:
    words = ["length=2 epochs", *pairs]
    whole = train("modelzoo-1p", tmp_path / "whole", *words)
    parts = train("modelzoo-1p", tmp_path / "parts", "--max-steps", "3", *words)
    train("modelzoo-1p", parts, *words, "--resume")
    first, second = saved(whole / "last.pth"), saved(parts / "last.pth")
    assert same(first["state_dict"], second["state_dict"])


def test_a_resumed_run_must_have_the_same_widths(
    pairs: List[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = train("modelzoo-1p", tmp_path / "run", "--max-steps", "2", *pairs)
    words = [*pairs[:-1], "--out", str(run), "--device", "cpu", "--resume"]
    for other in ("widths=[32, 80]", "width=80"):
        capsys.readouterr()
        assert main(["train", "modelzoo-1p", other, *words]) == 1
        assert "widths" in capsys.readouterr().err


def test_a_recipe_of_one_width_says_nothing_of_several() -> None:
    recipe = load_recipe("modelzoo-1p")
    assert "widths" not in recipe.to_dict()
    spec, config = spec_and_config(recipe)
    assert spec.widths is None
    assert steps_by_width(spec, config) == {}


@pytest.mark.parametrize(
    ("pair", "said"),
    [
        ("widths=[4, 80]", "expected widths from 8 on"),
        ("widths=[]", "list is empty"),
        ("widths=80", "widths is 80; expected an object"),
        ("widths={factor: 0, list: [80]}", "factor is 0"),
        ("widths={lists: [80]}", "expected an object of rule, factor, list"),
    ],
)
def test_widths_that_are_wrong(pair: str, said: str) -> None:
    with pytest.raises((UsageError, InputError), match=said):
        load_recipe("modelzoo-1p", [pair])
