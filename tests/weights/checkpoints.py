"""Checkpoint files of every kind, written as their systems write them, around one small network."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import Any, Dict

import torch

from crnn.network import CRNN
from crnn.presets import CrnnConfig

TINY = CrnnConfig(channels=(4, 3, 4, 4, 5, 5, 6), hidden=4)

State = Dict[str, torch.Tensor]


def network(config: CrnnConfig = TINY, seed: int = 0) -> CRNN:
    """A network whose BatchNorm is not the identity and whose outputs tell images apart."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = CRNN(config)
        for name, tensor in model.state_dict().items():
            if name.endswith("running_var"):
                tensor.uniform_(0.02, 0.1)
            elif name.endswith("running_mean"):
                tensor.uniform_(-0.2, 0.2)
            elif name.startswith("cnn.conv") and name.endswith("weight"):
                torch.nn.init.kaiming_normal_(tensor)
    return model.eval()


def state(config: CrnnConfig = TINY, seed: int = 0) -> State:
    """Return a network's state dict with bidirectional LSTMs' names (meijieru, Sierkinhane)."""
    return dict(network(config, seed).state_dict())


def split(weights: State) -> State:
    """Return the state dict with the names of split LSTMs (ModelZoo)."""
    names = {}
    for name in weights:
        match = re.fullmatch(r"(rnn\.\d)\.rnn\.(\w+_l0)(_reverse)?", name)
        names[name] = f"{match[1]}.{'bw' if match[3] else 'fw'}_rnn.{match[2]}" if match else name
    return {names[name]: tensor for name, tensor in weights.items()}


def prefixed(weights: State, times: int = 1) -> State:
    """Return the state dict with the names that (nested) data parallelism gives."""
    return {"module." * times + name: tensor for name, tensor in weights.items()}


def training(weights: State) -> Dict[str, Any]:
    """Return the whole dictionary that ModelZoo's training saves, with a stepped optimiser and
    apex's state.
    """
    parameter = torch.nn.Parameter(torch.ones(3))
    optimiser = torch.optim.Adadelta([parameter])
    parameter.sum().backward()
    optimiser.step()
    return {
        "epoch": 7,
        "state_dict": weights,
        "best_acc": 0.79,
        "optimizer": optimiser.state_dict(),
        "amp": {"loss_scaler0": {"loss_scale": 128.0, "unskipped": 0}},
    }


def save(path: Path, content: Any, *, legacy: bool = False) -> Path:
    """Write with PyTorch, in its zip format or the one before it."""
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    return path


def retag(path: Path, device: str) -> Path:
    """Rewrite a file as if its tensors had been saved from another device."""

    def patched(data: bytes) -> bytes:
        assert b"X\x03\x00\x00\x00cpu" in data
        return data.replace(
            b"X\x03\x00\x00\x00cpu", b"X" + len(device).to_bytes(4, "little") + device.encode()
        )

    if not zipfile.is_zipfile(path):
        path.write_bytes(patched(path.read_bytes()))
        return path
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, data in entries.items():
            archive.writestr(name, patched(data) if name.endswith("data.pkl") else data)
    return path
