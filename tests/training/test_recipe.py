from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import List

import pytest

from crnn.cli.main import main
from crnn.errors import InputError, UsageError
from crnn.training.recipe import FOLDER, Data, Recipe, Span, load_recipe
from tests.conftest import ROOT

OWN = sorted(path.stem for path in FOLDER.glob("*.yaml"))


@pytest.mark.parametrize("name", OWN)
def test_the_kits_own_recipes_load(name: str) -> None:
    assert (
        load_recipe(name)
        == load_recipe(f"recipes/{name}.yaml")
        == load_recipe(str(FOLDER / f"{name}.yaml"))
    )


@pytest.mark.parametrize("name", OWN)
def test_a_resolved_recipe_is_the_same_recipe(name: str, tmp_path: Path) -> None:
    recipe = load_recipe(
        name, ["train=[{path: a, weight: 2}, {render: true, weight: 1}]", "learning_rate=1e-3"]
    )
    recipe.save(tmp_path / "recipe.yaml")
    assert load_recipe(str(tmp_path / "recipe.yaml")) == recipe


def test_pairs_stand_above_the_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("seed: 1\nlength: 3 epochs\ntrain: [a, b]\nclip_norm: 5\n")
    recipe = load_recipe(str(file), ["seed=2", "length=10steps", "clip_norm=null"])
    assert (recipe.seed, recipe.length, recipe.clip_norm) == (2, Span(10, "steps"), None)
    assert recipe.train == (Data(path="a"), Data(path="b"))


def test_a_recipe_may_stand_on_another(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text("base: modelzoo-8p\nseed: 1\n")
    (tmp_path / "two.yaml").write_text("base: one.yaml\nbatch_size: 3\n")
    assert load_recipe(str(tmp_path / "two.yaml")) == load_recipe(
        "modelzoo-8p", ["seed=1", "batch_size=3"]
    )
    (tmp_path / "one.yaml").write_text("base: two.yaml\n")
    with pytest.raises(InputError, match="is its own base"):
        load_recipe(str(tmp_path / "two.yaml"))


FORMS = (
    "012345",
    "0o17",
    "0x1F",
    "0b101",
    "12:34",
    "1_23",
    "1.50",
    "1e5",
    "+5",
    "-0",
    "yes",
    "No",
    "on",
    "true",
    "2024-01-02",
    "2024-01-02 03:04:05",
    "2024-99-99",
    "0x_",
    ".inf",
    "=",
    "~",
)
"""Texts that YAML 1.1 takes for something else."""


@pytest.mark.parametrize("text", FORMS)
def test_an_alphabet_is_what_was_typed(text: str, tmp_path: Path) -> None:
    unlike = "".join(dict.fromkeys(text))
    file = tmp_path / "mine.yaml"
    file.write_text(f"alphabet: {unlike}\n")
    assert load_recipe(str(file)).alphabet == unlike
    assert load_recipe("synthetic", [f"alphabet={unlike}"]).alphabet == unlike


@pytest.mark.parametrize("text", FORMS[:-1])
def test_every_key_of_text_is_what_was_typed(text: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        f"data_path: {text}\nstart_from: {text}\nvalid: [{text}, b]\n"
        f"train:\n- path: {text}\n- {text}\n- render: true\n"
        f"  words: {text}\n  fonts: {text}\n  effects: {text}\n"
    )
    recipe = load_recipe(str(file))
    assert (recipe.data_path, recipe.start_from) == (text, text)
    assert recipe.valid == (text, "b")
    path, alone, rendered = recipe.train
    assert (path, alone) == (Data(path=text), Data(path=text))
    assert (rendered.words, rendered.fonts, rendered.effects) == (text, text, text)
    assert load_recipe("synthetic", [f"data_path={text}"]).data_path == text


def test_null_names_no_file_and_numbers_stay_numbers(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("data_path: null\nstart_from: ~\nseed: 5\nnesterov: true\nmomentum: 0.5\n")
    recipe = load_recipe(str(file))
    assert (recipe.data_path, recipe.start_from) == (None, None)
    assert (recipe.seed, recipe.nesterov, recipe.momentum) == (5, True, 0.5)


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("learning_rat: 1", "the key 'learning_rat' is unknown; did you mean learning_rate?"),
        ("qqq: 1", "the key 'qqq' is unknown"),
        ("learning_rate: fast", "learning_rate is 'fast'; expected a number above 0"),
        ("learning_rate: true", "learning_rate is True; expected a number above 0"),
        ("learning_rate: .nan", "expected a number above 0"),
        ("learning_rate: .inf", "expected a number above 0"),
        ("batch_size: 0", "batch_size is 0; expected a whole number from 1"),
        ("batch_size: 1.5", "expected a whole number from 1"),
        ("optimizer: adam", "optimizer is 'adam'; expected one of adadelta, sgd, adamw"),
        ("optimizer: [sgd]", "expected one of adadelta, sgd, adamw"),
        ("nesterov: 1", "expected true or false"),
        ("length: 20", "expected a length such as '20 epochs' or '5000 steps'"),
        ("length: 0 epochs", "at least one step or epoch"),
        ("channels: [1, 2]", "expected a list of 7"),
        ("betas: 0.9", "expected a list of 2"),
        ("alphabet: aa", "alphabet: the alphabet holds 'a' twice"),
        ("train: [{paths: a}]", "'paths' is unknown; did you mean path?"),
        ("train: [{weight: 1}]", "either a path or render: true"),
        ("train: [{path: a, render: true}]", "either a path or render: true"),
        ("train: [{path: a, weight: 1}, b]", "give all or none"),
        ("train: [[a]]", "an LMDB's path"),
        ("nesterov: true", "nesterov needs a momentum"),
        ("clip_before_reduce: true", "needs a clip_norm"),
        ("- a", "holds list; expected a recipe"),
        ("", "holds NoneType"),
        ("a: [", "is not YAML"),
        ("a: !!python/object/apply:os.system [ls]", "is not YAML"),
    ],
)
def test_a_bad_file_is_refused_by_name(line: str, error: str, tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(line)
    if not line:
        file.write_text("\n")
    with pytest.raises(InputError, match=re.escape(error)) as caught:
        load_recipe(str(file))
    assert "bad.yaml" in str(caught.value) or "training data" in str(caught.value)


@pytest.mark.parametrize(
    ("pair", "error"),
    [
        ("seeed=1", "did you mean seed?"),
        ("seed", "not a key=value pair"),
        ("seed=-1", "seed is -1; expected a whole number from 0"),
        ("seed=[", "is not YAML"),
    ],
)
def test_a_bad_pair_is_a_mistake_of_usage(pair: str, error: str) -> None:
    with pytest.raises(UsageError, match=re.escape(error)):
        load_recipe("synthetic", [pair])


@pytest.mark.parametrize(
    ("words", "code", "error"),
    [
        (["nosuch"], 1, "there is no recipe nosuch"),
        (["mindspore-v3"], 1, "did you mean mindspore-v2?"),
        (["no/such.yaml"], 1, "does not exist"),
        (["synthetic", "seed=x"], 2, "seed is 'x'"),
        (["synthetic", "--sed=1"], 2, "did you mean --seed?"),
        (["synthetic", "--profile", "9:3"], 2, "not a window of steps"),
        (["modelzoo-1p"], 1, "names no training data"),
        (["modelzoo-1p", "train=/no/lmdb"], 1, "there is no training data at /no/lmdb"),
        (["modelzoo-1p", "data_path=/no/folder"], 1, "data_path /no/folder is not a folder"),
        (["modelzoo-1p", "data_path=."], 1, "there is no MJ_LMDB"),
        (["modelzoo-1p", "--device", "tpu"], 2, "expected auto, cpu, cuda or npu"),
        (["modelzoo-1p", "--device", "cuda:99"], 4, "there is no cuda:99"),
    ],
)
def test_the_command_line_says_what_is_wrong(
    words: List[str], code: int, error: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", *words]) == code
    captured = capsys.readouterr()
    assert error in captured.err
    assert not captured.out


def test_show_prints_a_recipe_that_reads_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Pairs may stand before and after options.
    assert main(["train", "modelzoo-8p", "seed=7", "--show", "batch_size=3", "--out", "x"]) == 0
    file = tmp_path / "shown.yaml"
    file.write_text(capsys.readouterr().out)
    assert load_recipe(str(file)) == load_recipe("modelzoo-8p", ["seed=7", "batch_size=3"])


def test_the_document_lists_every_key() -> None:
    text = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    listed = {
        name
        for line in text.splitlines()
        if line.startswith("| `")
        for name in re.findall(r"`(\w+)`", line)
    }
    assert {field.name for field in dataclasses.fields(Recipe)} <= listed
