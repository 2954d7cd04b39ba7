"""Every layout of checkpoint gives the same network, exactly; everything else is told what it
is.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import pickle
import tarfile
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any, Callable, Dict

import numpy as np
import pytest
import torch

from crnn.errors import InputError, UsageError
from crnn.presets import CrnnConfig
from crnn.spec import METADATA_KEY, ModelSpec
from crnn.weights.checkpoint import Checkpoint, load_checkpoint
from crnn.weights.torch_file import TAKES_NAMES
from tests.conftest import ROOT
from tests.weights.checkpoints import (
    TINY,
    State,
    network,
    prefixed,
    retag,
    save,
    split,
    state,
    training,
)

Writer = Callable[[Path], Any]


class RebuiltOnNpu:
    """Pickled as torch_npu pickles a tensor in files of its older releases."""

    def __init__(self, tensor: torch.Tensor) -> None:
        self.tensor = tensor

    def __reduce__(self) -> Any:
        _, arguments = self.tensor.__reduce_ex__(2)[:2]
        return _rebuild_npu_tensor, (*arguments[:6], (2, list(self.tensor.shape), 2))


def _rebuild_npu_tensor(*_: Any) -> None:
    raise AssertionError("only its name matters")


_rebuild_npu_tensor.__module__ = "torch_npu.utils.storage"


def written_by_torch_npu(path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    import sys
    import types

    for name in ("torch_npu", "torch_npu.utils", "torch_npu.utils.storage"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    sys.modules["torch_npu.utils.storage"]._rebuild_npu_tensor = _rebuild_npu_tensor  # type: ignore[attr-defined]
    save(
        path,
        {"state_dict": {name: RebuiltOnNpu(tensor) for name, tensor in split(state()).items()}},
    )
    monkeypatch.undo()
    return retag(path, "npu:0")


LAYOUTS: Dict[str, Writer] = {
    "bidirectional, bare": lambda path: save(path, state()),
    "split, bare": lambda path: save(path, split(state())),
    "split, under state_dict": lambda path: save(path, {"state_dict": split(state())}),
    "OrderedDict": lambda path: save(path, OrderedDict(state())),
    "module.": lambda path: save(path, prefixed(state())),
    "module.module.": lambda path: save(path, {"state_dict": prefixed(split(state()), 2)}),
    "whole training dictionary": lambda path: save(path, training(prefixed(split(state())))),
    "before PyTorch 1.6": lambda path: save(path, training(split(state())), legacy=True),
    "saved from npu:0": lambda path: retag(save(path, training(split(state()))), "npu:0"),
    "saved from cuda:0": lambda path: retag(save(path, state()), "cuda:0"),
    "saved from npu:0, before 1.6": lambda path: retag(
        save(path, split(state()), legacy=True), "npu:0"
    ),
    "saved from cuda:3, before 1.6": lambda path: retag(save(path, state(), legacy=True), "cuda:3"),
    "without num_batches_tracked": lambda path: save(
        path, {name: tensor for name, tensor in state().items() if "num_batches" not in name}
    ),
    "parameters, not tensors": lambda path: save(
        path,
        {name: torch.nn.Parameter(tensor, requires_grad=False) for name, tensor in state().items()},
    ),
    "float64": lambda path: save(
        path,
        {
            name: tensor.double() if tensor.is_floating_point() else tensor
            for name, tensor in state().items()
        },
    ),
    "transposed storage": lambda path: save(
        path, {name: t.t().contiguous().t() if t.dim() == 2 else t for name, t in state().items()}
    ),
}


def assert_same(checkpoint: Checkpoint, expected: State) -> None:
    loaded = checkpoint.model.state_dict()
    assert set(loaded) == set(expected)
    for name, tensor in expected.items():
        if "num_batches" not in name:
            assert loaded[name].dtype == torch.float32
            assert torch.equal(loaded[name], tensor), name


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_loads_exactly(tmp_path: Path, layout: str) -> None:
    LAYOUTS[layout](tmp_path / "x.pth")
    checkpoint = load_checkpoint(tmp_path / "x.pth")
    assert_same(checkpoint, state())
    assert checkpoint.model.config == TINY
    assert not checkpoint.model.training
    assert checkpoint.spec == ModelSpec.default()
    assert checkpoint.spec_from == "default"
    assert checkpoint.sha256 == hashlib.sha256((tmp_path / "x.pth").read_bytes()).hexdigest()


def numpys_accuracy(path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return save(path, {"state_dict": state(), "best_acc": np.float64(0.79)})


def arguments_of_training(path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    arguments = argparse.Namespace(lr=0.1, out=Path("/runs"), data=argparse.Namespace(train="a"))
    return save(path, {"args": arguments, "state_dict": state()})


@pytest.mark.parametrize("write", [numpys_accuracy, arguments_of_training, written_by_torch_npu])
def test_harmless_functions_in_a_file_are_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Any
) -> None:
    path = write(tmp_path / "x.pth", monkeypatch)
    if TAKES_NAMES:
        assert_same(load_checkpoint(path), state())
        return
    with pytest.raises(InputError) as caught:
        load_checkpoint(path)
    assert caught.value.hint is not None
    assert "PyTorch 2.6 or newer reads it" in caught.value.hint


def test_loaded_network_computes_what_the_saved_one_did(tmp_path: Path) -> None:
    images = torch.rand(3, 1, 32, 100, generator=torch.Generator().manual_seed(2))
    loaded = load_checkpoint(save(tmp_path / "x.pth", split(state()))).model
    with torch.no_grad():
        assert torch.equal(loaded(images), network()(images))


def test_loaded_network_can_be_trained_on(tmp_path: Path) -> None:
    model = load_checkpoint(save(tmp_path / "x.pth", state())).model.train()
    model(torch.rand(2, 1, 32, 100)).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_loading_leaves_the_random_state_alone(tmp_path: Path) -> None:
    save(tmp_path / "x.pth", state())
    before = torch.get_rng_state()
    load_checkpoint(tmp_path / "x.pth")
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_storage_becomes_float32(tmp_path: Path, dtype: torch.dtype) -> None:
    half = {
        name: tensor.to(dtype) if tensor.is_floating_point() else tensor
        for name, tensor in state().items()
    }
    checkpoint = load_checkpoint(save(tmp_path / "x.pth", half))
    assert_same(checkpoint, {name: tensor.float() for name, tensor in half.items()})
    assert f"{str(dtype)[6:]} values converted to float32" in checkpoint.notes


def test_notes_say_what_was_done(tmp_path: Path) -> None:
    checkpoint = load_checkpoint(
        save(tmp_path / "x.pth", prefixed(split(state()), 2)), lstm_gate_order="igfo"
    )
    assert checkpoint.notes == (
        "the prefix module. taken off 2 times",
        "fw_rnn and bw_rnn taken as one bidirectional LSTM",
        "LSTM gates taken in the order igfo",
    )


@pytest.mark.parametrize(
    ("config", "alphabet"),
    [
        (CrnnConfig(channels=(4, 4, 4, 4, 4, 4, 4), hidden=8), None),
        (CrnnConfig(channels=(1, 2, 3, 5, 7, 11, 13), hidden=3, classes=3), "ab"),
        (CrnnConfig(channels=(2, 3, 4, 4, 5, 5, 6), hidden=16, classes=6), "Aa一é "),
    ],
)
def test_sizes_are_read_from_the_tensors(tmp_path: Path, config: CrnnConfig, alphabet: str) -> None:
    checkpoint = load_checkpoint(save(tmp_path / "x.pth", split(state(config))), alphabet=alphabet)
    assert checkpoint.model.config == config
    assert checkpoint.spec.classes == config.classes
    assert checkpoint.parameters == sum(
        parameter.numel() for parameter in network(config).parameters()
    )


def test_gate_order_igfo_swaps_the_middle_blocks_of_every_lstm_tensor(tmp_path: Path) -> None:
    expected = state()

    def swapped(tensor: torch.Tensor) -> torch.Tensor:
        first, second, third, fourth = tensor.chunk(4)
        return torch.cat([first, third, second, fourth])

    stored = {
        name: swapped(tensor) if ".rnn." in name else tensor for name, tensor in expected.items()
    }
    save(tmp_path / "x.pth", split(stored))
    assert_same(load_checkpoint(tmp_path / "x.pth", lstm_gate_order="igfo"), expected)
    assert_same(load_checkpoint(tmp_path / "x.pth"), stored)


def test_unknown_gate_order_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'iofc'; expected one of ifgo, igfo"):
        load_checkpoint(save(tmp_path / "x.pth", state()), lstm_gate_order="iofc")


def test_width_sets_the_time_steps(tmp_path: Path) -> None:
    spec = load_checkpoint(save(tmp_path / "x.pth", state()), width=160).spec
    assert (spec.width, spec.time_steps) == (160, 41)


@pytest.mark.parametrize(
    ("alphabet", "folds"), [("0123456789abcdefghijklmnopqrstuvwxyz"[::-1], True), ("A" * 0, False)]
)
def test_alphabet_replaces_the_default(tmp_path: Path, alphabet: str, folds: bool) -> None:
    save(tmp_path / "x.pth", state())
    if not alphabet:
        with pytest.raises(InputError, match="the alphabet is empty"):
            load_checkpoint(tmp_path / "x.pth", alphabet=alphabet)
        return
    spec = load_checkpoint(tmp_path / "x.pth", alphabet=alphabet).spec
    assert (spec.characters, spec.fold_case) == (alphabet, folds)


STORED = ModelSpec(
    characters="ABCdef", fold_case=False, resizer="pil-bilinear", mean=0.588, std=0.193
)


@pytest.mark.parametrize("stored", [STORED.to_json(), STORED.to_dict()], ids=["JSON", "dictionary"])
def test_spec_that_the_file_carries_is_used(tmp_path: Path, stored: Any) -> None:
    config = CrnnConfig(channels=TINY.channels, hidden=4, classes=7)
    save(tmp_path / "x.pth", {"state_dict": state(config), METADATA_KEY: stored})
    checkpoint = load_checkpoint(tmp_path / "x.pth")
    assert (checkpoint.spec, checkpoint.spec_from) == (STORED, "file")
    other = load_checkpoint(tmp_path / "x.pth", alphabet="uvwxyz", width=200).spec
    assert (other.characters, other.fold_case, other.resizer) == ("uvwxyz", True, "pil-bilinear")
    assert (other.width, other.time_steps) == (200, 51)


# What is refused, and the words that say why. Each writes x.pth and may change the state dict
# first.


def changed(**changes: Any) -> State:
    """Return the state dict with tensors replaced, or left out where None."""
    weights = {**state(), **{name.replace("__", "."): value for name, value in changes.items()}}
    return {name: tensor for name, tensor in weights.items() if tensor is not None}


class Malicious:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.marker),)


def plain_pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps({"weights": [1.0]}, protocol=2))


def tar_file(path: Path) -> None:
    inside = save(path.with_name("inside.pth"), state())
    with tarfile.open(path, "w") as archive:
        archive.add(inside, "inside.pth")


def other_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("word/document.xml", "<w/>")


def truncated(path: Path, legacy: bool) -> None:
    save(path, state(), legacy=legacy)
    path.write_bytes(path.read_bytes()[:-2000])


def torchscript(path: Path) -> None:
    import warnings

    with warnings.catch_warnings():
        # Making such a file is deprecated; that users have them is not.
        warnings.simplefilter("ignore")
        torch.jit.script(torch.nn.Linear(2, 2)).save(str(path))


def claims_more_than_it_holds(path: Path) -> None:
    save(path, changed(cnn__conv1__weight=torch.zeros(1).expand(300_000, 300_000)))


NAN = torch.tensor([1.0, float("nan"), float("inf"), 0.0])

REFUSED: Dict[str, Any] = {
    "folder": (lambda path: path.mkdir(), r"is a folder; expected a PyTorch checkpoint \(\.pth\)"),
    "nothing there": (lambda path: None, "does not exist; expected a PyTorch checkpoint"),
    "empty": (lambda path: path.write_bytes(b""), "is empty; expected a PyTorch checkpoint"),
    "text": (
        lambda path: path.write_text("hello world"),
        r"is not a PyTorch file: it begins with b'hello wo'",
    ),
    "Git LFS pointer": (
        lambda path: path.write_text(
            "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
        ),
        r"is a Git LFS pointer.*\n.*git lfs pull",
    ),
    "truncated": (lambda path: truncated(path, False), "a zip archive that is truncated, damaged"),
    "truncated, before 1.6": (
        lambda path: truncated(path, True),
        "a pickle that is truncated, damaged",
    ),
    "zip of something else": (
        other_zip,
        "a zip archive that is truncated, damaged or not PyTorch's",
    ),
    "pickle of something else": (
        plain_pickle,
        "a pickle that is truncated, damaged or not PyTorch's",
    ),
    "tar": (tar_file, r"is a tar archive.*\n.*Unpack it"),
    "TorchScript": (torchscript, r"is a TorchScript archive.*\n.*state_dict"),
    "whole module": (
        lambda path: save(path, network()),
        r"loading it would call crnn\.network\.CRNN.*\n.*model\.state_dict\(\)",
    ),
    "single tensor": (
        lambda path: save(path, torch.ones(3)),
        "holds one Tensor; expected a state dict",
    ),
    "list": (lambda path: save(path, [torch.ones(3)]), "holds one list; expected a state dict"),
    "empty dictionary": (
        lambda path: save(path, {}),
        "holds an empty dictionary; expected a state dict",
    ),
    "optimiser only": (
        lambda path: save(path, {"epoch": 3, "optimizer": {}}),
        "a dictionary with the keys 'epoch', 'optimizer'; expected a state dict",
    ),
    "state_dict of numbers": (
        lambda path: save(path, {"state_dict": {"a": 1}}),
        "the keys 'state_dict'; expected",
    ),
    "keys that are not names": (
        lambda path: save(path, {1: torch.ones(2)}),
        "the keys 1; expected a state dict",
    ),
    "missing tensor": (
        lambda path: save(path, changed(cnn__conv3__bias=None)),
        r"is not this CRNN: missing cnn\.conv3\.bias\n.*torch\.onnx\.export",
    ),
    "missing and unexpected": (
        lambda path: save(
            path, changed(cnn__conv0__bias=None, cnn__conv1__bias=None, tps__fc=torch.ones(1))
        ),
        r"missing cnn\.conv0\.bias, cnn\.conv1\.bias; unexpected tps\.fc\n",
    ),
    "many unexpected": (
        lambda path: save(path, {**state(), **{f"x{i}": torch.ones(1) for i in range(9)}}),
        r"unexpected x0, x1, x2, x3 and 5 more\n",
    ),
    "both kinds of LSTM": (
        lambda path: save(path, {**state(), **split(state())}),
        r"holds rnn\.0\.rnn\.weight_ih_l0 twice, once bidirectional and once as fw_rnn or bw_rnn",
    ),
    "another network": (
        lambda path: save(path, torch.nn.Sequential(torch.nn.Linear(2, 2)).state_dict()),
        (
            r"is another network: 0 of CRNN's 46 tensors.*Missing are cnn\.conv0\.weight.*instead"
            r" 0\.weight, 0\.bias"
        ),
    ),
    "kernel of another size": (
        lambda path: save(path, changed(cnn__conv3__weight=torch.zeros(4, 4, 5, 5))),
        r"cnn\.conv3\.weight has shape \(4, 4, 5, 5\), expected \(4, 4, 3, 3\)",
    ),
    "sizes that contradict each other": (
        lambda path: save(path, changed(rnn__0__embedding__weight=torch.zeros(5, 8))),
        r"rnn\.0\.embedding\.weight has shape \(5, 8\), expected \(4, 8\)",
    ),
    "another rank": (
        lambda path: save(path, changed(cnn__conv0__weight=torch.zeros(4))),
        r"cnn\.conv0\.weight has shape \(4,\); expected 4 sizes, none of them 0",
    ),
    "no channels": (
        lambda path: save(path, changed(cnn__conv2__weight=torch.zeros(0, 3, 3, 3))),
        r"cnn\.conv2\.weight has shape \(0, 3, 3, 3\); expected 4 sizes",
    ),
    "whole numbers": (
        lambda path: save(path, changed(cnn__conv1__bias=torch.zeros(3, dtype=torch.int8))),
        r"cnn\.conv1\.bias is int8; expected a tensor of floating-point numbers",
    ),
    "no tensor": (
        lambda path: save(path, changed(cnn__conv1__bias=[0.0, 0.0, 0.0])),
        r"cnn\.conv1\.bias is list; expected a tensor",
    ),
    "sparse": (
        lambda path: save(path, changed(rnn__1__embedding__weight=torch.eye(37, 8).to_sparse())),
        r"rnn\.1\.embedding\.weight is a tensor sparse_coo; expected an ordinary one",
    ),
    "meta tensors": (
        lambda path: save(path, changed(cnn__conv1__bias=torch.zeros(3, device="meta"))),
        (
            r"cnn\.conv1\.bias is a tensor on meta; expected an ordinary one, with its values in"
            r" the file"
        ),
    ),
    "not finite": (
        lambda path: save(path, changed(cnn__conv2__bias=NAN)),
        r"cnn\.conv2\.bias holds 2 values of 4 that are NaN or infinite\n.*earlier checkpoint",
    ),
    "negative variance": (
        lambda path: save(
            path, changed(cnn__batchnorm2__running_var=torch.tensor([1.0, -1.0, 1.0, 1.0]))
        ),
        r"cnn\.batchnorm2\.running_var holds negative variances",
    ),
    "more claimed than held": (
        claims_more_than_it_holds,
        r"is damaged: its tensors would take \d{12} bytes",
    ),
    "colour images": (
        lambda path: save(path, state(CrnnConfig(in_channels=4, channels=TINY.channels, hidden=4))),
        r"takes images of 4 channels, its spec says 1 \(gray\)",
    ),
    "another number of classes": (
        lambda path: save(path, state(CrnnConfig(channels=TINY.channels, hidden=4, classes=63))),
        r"the checkpoint has 63 classes, the default alphabet gives 37 .*\n.*--alphabet",
    ),
    "spec of another version": (
        lambda path: save(path, {"state_dict": state(), METADATA_KEY: '{"format": "crnn-spec/9"}'}),
        r"crnn\.spec: the format is 'crnn-spec/9'; expected 'crnn-spec/2'",
    ),
    "spec that is not JSON": (
        lambda path: save(path, {"state_dict": state(), METADATA_KEY: "{"}),
        r"crnn\.spec: not JSON",
    ),
    "spec of another height": (
        lambda path: save(
            path, {"state_dict": state(), METADATA_KEY: ModelSpec(height=48).to_json()}
        ),
        "the spec's height is 48; the network takes 32",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_anything_else_is_refused_with_what_was_found(tmp_path: Path, kind: str) -> None:
    write, message = REFUSED[kind]
    write(tmp_path / "x.pth")
    with pytest.raises(InputError, match=message):
        load_checkpoint(tmp_path / "x.pth")


@pytest.mark.parametrize("legacy", [False, True])
def test_code_in_a_file_is_refused_and_not_run(tmp_path: Path, legacy: bool) -> None:
    marker = tmp_path / "ran"
    save(tmp_path / "x.pth", {"state_dict": state(), "extra": Malicious(marker)}, legacy=legacy)
    with pytest.raises(
        InputError, match=r"holds more than weights: loading it would call posix\.mkdir"
    ):
        load_checkpoint(tmp_path / "x.pth")
    assert not marker.exists()


def test_wrong_alphabet_says_both_numbers(tmp_path: Path) -> None:
    save(tmp_path / "x.pth", state())
    letters = "".join(map(chr, range(0x4E00, 0x4E00 + 62)))
    with pytest.raises(
        InputError, match=r"checkpoint has 37 classes, the alphabet gives 63 \(62 characters"
    ):
        load_checkpoint(tmp_path / "x.pth", alphabet=letters)


def test_trained_licence_plate_network_is_told_apart(shared_data: Path) -> None:
    with pytest.raises(
        InputError, match=r"is another network: 0 of CRNN's 46 .* instead cnn\.0\.weight"
    ):
        load_checkpoint(shared_data / "checkpoints" / "foreign_alpr.pth")


def test_example_checkpoint_is_the_documented_one() -> None:
    checkpoint = load_checkpoint(ROOT / "examples" / "crnn_small.pth")
    assert checkpoint.model.config == CrnnConfig(
        channels=(32, 48, 64, 96, 160, 192, 192), hidden=96
    )
    assert checkpoint.parameters == 1_058_229
