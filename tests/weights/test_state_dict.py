"""The one network in a file is found whatever it is wrapped in, or the candidates are named."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Dict

import pytest
import torch

from crnn.errors import InputError
from crnn.presets import CrnnConfig
from crnn.spec import METADATA_KEY, ModelSpec
from crnn.weights.checkpoint import load_checkpoint
from tests.weights.checkpoints import TINY, State, save, split, state, training


def under(prefix: str, weights: State) -> State:
    return {prefix + name: tensor for name, tensor in weights.items()}


def within(part: str, weights: State) -> State:
    """Put a wrapper's part behind the first part of every name."""
    wrapped = {}
    for name, tensor in weights.items():
        first, rest = name.split(".", 1)
        wrapped[f"{first}.{part}.{rest}"] = tensor
    return wrapped


def optimiser() -> Any:
    return training({})["optimizer"]


def parts() -> State:
    weights = state()
    return {
        **under("backbone.", {name: t for name, t in weights.items() if name.startswith("cnn.")}),
        **under("head.", {name: t for name, t in weights.items() if name.startswith("rnn.")}),
    }


WRAPPED: Dict[str, Callable[[], Any]] = {
    "model_state_dict": lambda: {
        "model_state_dict": state(),
        "optimizer_state_dict": optimiser(),
        "loss": torch.tensor(0.5),
    },
    "model": lambda: {"model": split(state()), "epoch": 3},
    "net": lambda: {"net": state(), "acc": 0.7},
    "ema alone": lambda: {"ema_state_dict": state(), "optimizer": optimiser()},
    "any key": lambda: {"Netzwerk-Gewichte": state()},
    "three dictionaries deep": lambda: {"run": {"best": {"weights": state()}}, "args": {"lr": 0.1}},
    "state_dict beside an average": lambda: {"state_dict": state(), "ema": state(seed=1)},
    "state_dict inside model": lambda: {"model": {"state_dict": state(), "name": "crnn"}},
    "a tuple": lambda: (state(), 3, optimiser()),
    "a list in a dictionary": lambda: {"models": [{"net": state()}], "epochs": [1, 2]},
    "torch.compile": lambda: under("_orig_mod.", state()),
    "torch.compile of the parts": lambda: within("_orig_mod", state()),
    "DataParallel of the parts": lambda: within("module", split(state())),
    "Lightning": lambda: {"state_dict": under("model.", state()), "hyper_parameters": {"a": 1}},
    "crnn.": lambda: under("crnn.", split(state())),
    "a prefix of several words": lambda: under("trainer.student.network.", state()),
    "a prefix that is a name of ours": lambda: under("rnn.cnn.", state()),
    "several wrappers": lambda: {"net": under("module._orig_mod.model.", state())},
    "Lightning with a loss of its own": lambda: {
        "state_dict": {**under("model.", state()), "criterion.weight": torch.ones(37)}
    },
    "torch.optim.swa_utils": lambda: {
        "ema_model": {**under("module.", state()), "n_averaged": torch.tensor(7)}
    },
    "parts under prefixes of their own": parts,
    "a prefix on some": lambda: {
        **{name: t for name, t in state().items() if name.startswith("cnn.")},
        **under("module.", {name: t for name, t in state().items() if name.startswith("rnn.")}),
    },
}


@pytest.mark.parametrize("kind", WRAPPED)
def test_the_one_network_is_found(tmp_path: Path, kind: str) -> None:
    loaded = load_checkpoint(save(tmp_path / "x.pth", WRAPPED[kind]())).model.state_dict()
    for name, tensor in state().items():
        if "num_batches" not in name:
            assert torch.equal(loaded[name], tensor), name


SEVERAL: Dict[str, Any] = {
    "under two keys": (
        lambda: {"model": state(), "ema": state(seed=1)},
        "holds 2 networks: under 'model', under 'ema'; expected one",
    ),
    "under two prefixes": (
        lambda: {"state_dict": {**under("model.", state()), **under("ema.", state(seed=1))}},
        "under 'state_dict' the names with model., under 'state_dict' the names with ema.;",
    ),
    "beside the bare names": (
        lambda: {**state(), **under("teacher.", state(seed=1))},
        "holds 2 networks: the names with no prefix, the names with teacher.;",
    ),
    "in a list": (
        lambda: {"models": [state(), state(seed=1)]},
        "holds 2 networks: under 'models' > 0, under 'models' > 1; expected one",
    ),
    "five folds": (
        lambda: {f"fold{number}": {"net": state(seed=number)} for number in range(5)},
        "holds 5 networks: under 'fold0' > 'net', .* and 1 more; expected one",
    ),
}


@pytest.mark.parametrize("kind", SEVERAL)
def test_several_networks_are_named(tmp_path: Path, kind: str) -> None:
    content, message = SEVERAL[kind]
    with pytest.raises(InputError, match=message):
        load_checkpoint(save(tmp_path / "x.pth", content()))


def test_what_was_taken_off_is_said(tmp_path: Path) -> None:
    content = {"net": {"ema": {**under("_orig_mod.model.", state()), "loss.scale": torch.ones(2)}}}
    assert load_checkpoint(save(tmp_path / "x.pth", content)).notes == (
        "the weights taken from under 'net' > 'ema'",
        "the prefix _orig_mod. taken off 1 time",
        "the prefix model. taken off",
        "left out, for it is not the network's: loss.scale",
    )


def test_what_stands_beside_the_parts_of_a_network_is_not_dropped(tmp_path: Path) -> None:
    extra = {**under("model.", state()), "model.attention.weight": torch.ones(2)}
    with pytest.raises(InputError, match=r"unexpected attention\.weight\n.*take them out"):
        load_checkpoint(save(tmp_path / "x.pth", extra))


COLOUR = CrnnConfig(in_channels=3, channels=TINY.channels, hidden=4)


def test_three_input_channels_are_rgb_and_bgr_can_be_chosen(tmp_path: Path) -> None:
    path = save(tmp_path / "x.pth", state(COLOUR))
    checkpoint = load_checkpoint(path)
    assert checkpoint.spec == ModelSpec(color="rgb")
    assert any("taken as rgb" in note for note in checkpoint.notes)
    chosen = load_checkpoint(path, color="bgr")
    assert chosen.spec == ModelSpec(color="bgr")
    assert not any("taken as" in note for note in chosen.notes)


def test_a_colour_that_the_file_names_stands(tmp_path: Path) -> None:
    spec = ModelSpec(color="bgr", mean=0.4)
    content = {"state_dict": state(COLOUR), METADATA_KEY: spec.to_json()}
    path = save(tmp_path / "x.pth", content)
    assert load_checkpoint(path).spec == spec
    assert load_checkpoint(path, color="rgb").spec == ModelSpec(color="rgb", mean=0.4)


@pytest.mark.parametrize("color", ["rgb", "bgr"])
def test_colour_does_not_go_with_a_gray_network(tmp_path: Path, color: str) -> None:
    path = save(tmp_path / "x.pth", state())
    with pytest.raises(InputError, match=f"takes images of 1 channels, its spec says 3 .{color}"):
        load_checkpoint(path, color=color)
