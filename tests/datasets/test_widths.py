"""The widths that ``crnn dataset stats`` proposes."""

from __future__ import annotations

import itertools
import json
import math
import random
from pathlib import Path
from typing import List, Sequence, Tuple

import pytest

from crnn.cli.main import main
from crnn.datasets import widths as module
from crnn.datasets.widths import ENOUGH, propose
from crnn.widths import Widths
from tests.training.conftest import write_lmdb


def error_of(sizes: Sequence[Tuple[int, int]], widths: Sequence[int]) -> float:
    """The mean by the rule itself."""
    rule = Widths(list=tuple(widths))
    total = 0.0
    for size in sizes:
        total += abs(math.log(rule.choose(*size) / rule.ideal(*size)))
    return total / len(sizes)


def drawn(count: int, seed: int = 3) -> List[Tuple[int, int]]:
    draw = random.Random(seed)
    return [(draw.randint(10, 300), draw.randint(10, 60)) for _ in range(count)]


def test_the_error_is_that_of_the_rule() -> None:
    sizes = drawn(300)
    found = propose(sizes)
    assert [len(one.widths) for one in found.best] == [1, 2, 3, 4, 5, 6]
    for one in found.best:
        assert one.error == pytest.approx(error_of(sizes, one.widths), abs=1e-9)
    errors = [one.error for one in found.best]
    assert errors == sorted(errors, reverse=True)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_no_other_set_of_as_many_is_better(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 112)
    sizes = [size for size in drawn(200, 5) if 36 * size[0] / size[1] < 200]
    found = propose(sizes).best[count - 1]
    every = itertools.combinations(range(32, 113, 4), count)
    least = min(error_of(sizes, widths) for widths in every)
    assert found.error == pytest.approx(least, abs=1e-9)


def test_the_fewest_that_are_good_enough_are_proposed() -> None:
    found = propose(drawn(400))
    fitting = [one.widths for one in found.best if one.error <= ENOUGH]
    if fitting:
        assert found.proposed == fitting[0]
    else:
        assert found.proposed == found.best[-1].widths
    # All of one aspect: one width does.
    assert propose([(100, 36)] * 5).proposed == (100,)


@pytest.mark.parametrize("sizes", [[(1, 1000)], [(1000, 1)], [(1, 1000), (1000, 1)]])
def test_images_that_no_width_fits(sizes: List[Tuple[int, int]]) -> None:
    found = propose(sizes)
    assert found.best
    assert all(32 <= width <= 1024 for one in found.best for width in one.widths)


def test_no_width_below_the_narrowest() -> None:
    sizes = drawn(300)
    found = propose(sizes, narrowest=80)
    assert found.best[2].widths[0] == 80
    rule, total = Widths(list=found.best[2].widths), 0.0
    for size in sizes:
        total += abs(math.log(rule.choose(*size) / max(80, rule.ideal(*size))))
    assert found.best[2].error == pytest.approx(total / len(sizes), abs=1e-9)


def test_no_images() -> None:
    assert propose([]).to_dict() == {"factor": 36.0, "proposed": [], "best": []}


def test_the_command_shows_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = write_lmdb(tmp_path / "words", ["a", "abcdef", "abcdefghijkl"] * 3)
    assert main(["dataset", "stats", str(words)]) == 0
    said = capsys.readouterr().out
    assert "proposed: at most 0.12" in said
    assert "crnn export --widths" in said
    assert main(["dataset", "stats", str(words), "--json", "-"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["widths"]["proposed"] == data["widths"]["best"][2]["widths"]
    assert data["widths"]["best"][2]["error"] < ENOUGH
    assert main(["dataset", "stats", str(words), "--json", "-", "--narrowest", "80"]) == 0
    assert json.loads(capsys.readouterr().out)["widths"]["proposed"][0] >= 80
    assert main(["dataset", "stats", str(words), "--narrowest", "80"]) == 0
    assert "--narrowest" not in capsys.readouterr().out
    assert main(["dataset", "stats", str(words), "--narrowest", "81"]) == 2
