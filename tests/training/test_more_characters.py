"""A run that begins from a file keeps the weights of the characters that the file knows."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Optional

import pytest
import torch

from crnn.cli.main import main
from crnn.errors import InputError
from crnn.labels import DIGITS_AND_LETTERS, Alphabet
from crnn.network import CRNN
from crnn.presets import CrnnConfig
from crnn.spec import ModelSpec
from crnn.training.model import build_model, spec_and_config
from crnn.training.recipe import Recipe
from crnn.weights.checkpoint import save_checkpoint

CHANNELS = (4, 4, 4, 4, 4, 4, 4)
WORDS = str(Path(__file__).parents[2] / "examples" / "words_lmdb")


def written(path: Path, characters: str, *, spec: bool, blank: int = 0) -> Dict[str, Any]:
    torch.manual_seed(1)
    config = CrnnConfig(channels=CHANNELS, hidden=4, classes=len(characters) + 1)
    weights = dict(CRNN(config).state_dict())
    if spec:
        own = ModelSpec(characters=characters, blank=blank)
        kept = {name: tensor for name, tensor in weights.items() if "num_batches" not in name}
        save_checkpoint(path, kept, config, own, source="chance")
    else:
        torch.save(weights, path)
    return weights


def built(path: Path, alphabet: str, start: Optional[str] = None, seed: int = 1234) -> Any:
    recipe = Recipe(
        channels=CHANNELS,
        hidden=4,
        alphabet=alphabet,
        start_from=str(path),
        start_alphabet=start,
        seed=seed,
    )
    return build_model(recipe, spec_and_config(recipe)[1])


GROWN: Dict[str, List[Any]] = {
    # the file's characters, whether it says them, its blank, the recipe's, start_alphabet
    "capitals": [DIGITS_AND_LETTERS, False, 0, DIGITS_AND_LETTERS + "ABC", None],
    "Chinese before the known": ["0123456789", True, 0, "京沪0123456789", None],
    "another order, some lost": ["abcdef", True, 0, "fedXY", None],
    "none in common": ["abc", True, 0, "京沪", None],
    "blank last": ["abcd", True, 4, "dcbaZ", None],
    "characters named by the recipe": ["xyz", False, 0, "wxyz", "xyz"],
    "fewer": [DIGITS_AND_LETTERS, False, 0, "0123456789", None],
}


@pytest.mark.parametrize("kind", GROWN)
def test_known_characters_keep_their_rows(tmp_path: Path, kind: str) -> None:
    characters, says, blank, wanted, start = GROWN[kind]
    old = written(tmp_path / "old.pth", characters, spec=says, blank=blank)
    model, notes = built(tmp_path / "old.pth", wanted, start)
    new = model.state_dict()
    for name in old:
        if "rnn.1.embedding" not in name:
            assert torch.equal(new[name], old[name]), name
    source = Alphabet(characters, blank).table
    fresh = built_new(wanted)
    for part in ("weight", "bias"):
        name = f"rnn.1.embedding.{part}"
        for index, character in enumerate(Alphabet(wanted).table):
            if character in source:
                assert torch.equal(new[name][index], old[name][source.index(character)])
            else:
                assert torch.equal(new[name][index], fresh[name][index])
    kept = len(set(characters) & set(wanted))
    assert f"{kept} of {len(wanted)} characters keep their weights" in notes[-1]


def built_new(alphabet: str) -> Dict[str, Any]:
    recipe = Recipe(channels=CHANNELS, hidden=4, alphabet=alphabet)
    return dict(build_model(recipe, spec_and_config(recipe)[1])[0].state_dict())


def test_new_and_lost_are_counted_and_named(tmp_path: Path) -> None:
    written(tmp_path / "old.pth", "abcdef", spec=True)
    assert built(tmp_path / "old.pth", "fedXY")[1] == (
        "start_from: 3 of 5 characters keep their weights; 2 are new and drawn at random: XY;"
        " 3 of the file's are not read any more: abc",
    )
    assert built(tmp_path / "old.pth", "abcdef")[1] == ()
    assert built(tmp_path / "old.pth", "fedcba")[1] == ()


def test_a_file_that_says_nothing_and_fits_nothing_is_asked_about(tmp_path: Path) -> None:
    written(tmp_path / "old.pth", "xyz", spec=False)
    with pytest.raises(InputError, match=r"has 4 classes and does not say") as caught:
        built(tmp_path / "old.pth", "wxyz")
    assert "start_alphabet=" in caught.value.hint


def test_another_network_is_still_refused(tmp_path: Path) -> None:
    written(tmp_path / "old.pth", "abc", spec=True)
    recipe = Recipe(channels=CHANNELS, hidden=5, alphabet="abcd", start_from=f"{tmp_path}/old.pth")
    with pytest.raises(InputError, match="hidden 4, the recipe's 5"):
        build_model(recipe, spec_and_config(recipe)[1])


def test_a_run_says_it_and_trains(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(tmp_path / "old.pth", DIGITS_AND_LETTERS, spec=False)
    words = [f"train={WORDS}", "channels=[4,4,4,4,4,4,4]", "hidden=4", "batch_size=4", "workers=0"]
    words += ["length=1 steps", "warmup=0 steps", "precision=float32", "plot=false"]
    words += [f"start_from={tmp_path / 'old.pth'}", f"alphabet={DIGITS_AND_LETTERS}ABC"]
    assert main(["train", "synthetic", *words, "--out", str(tmp_path / "run")]) == 0
    said = capsys.readouterr().err
    assert "36 of 39 characters keep their weights; 3 are new and drawn at random: ABC" in said
    assert "does not say its characters: taken for 0123456789abc" in said
