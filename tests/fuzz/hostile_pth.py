"""Checkpoints that hold what no CRNN has."""

from __future__ import annotations

import random
import zipfile
from pathlib import Path
from typing import Any, Callable, Dict

from tests.conftest import ROOT
from tests.fuzz.forked import Child

CHECKPOINT = ROOT / "examples" / "crnn_small.pth"


def write(chance: random.Random, path: Path) -> None:
    """Write one, in a child: PyTorch starts threads."""
    name = chance.choice(list(CASES))
    ended = Child(lambda: _save(name, chance, path)).end()
    assert ended.code == 0, ended.text


def with_key(path: Path, key: str) -> None:
    """Write a checkpoint with a tensor of this name."""

    def save() -> int:
        import torch

        torch.save({key: torch.zeros(2), f"cnn.{key}": torch.zeros(1)}, path)
        return 0

    ended = Child(save).end()
    assert ended.code == 0, ended.text


def _save(name: str, chance: random.Random, path: Path) -> int:
    import warnings

    import torch

    torch.set_num_threads(1)
    weights = torch.load(CHECKPOINT, weights_only=True)
    inner = weights.get("state_dict", weights)
    key = chance.choice(sorted(inner))
    warnings.simplefilter("ignore")
    made = CASES[name](inner[key], chance)
    if name == "cut":
        data = CHECKPOINT.read_bytes()
        path.write_bytes(data[: chance.randrange(len(data))])
        return 0
    if name == "bytes":
        damaged = bytearray(CHECKPOINT.read_bytes())
        for _ in range(chance.choice((1, 10, 1000))):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        path.write_bytes(damaged)
        return 0
    if name == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("archive/data.pkl", bytes(1 << 24))
            archive.writestr("archive/version", "3")
        return 0
    inner[key] = made
    if name == "keys":
        inner[chance.choice(("\x1b[2J", "\u202e", "x" * 100_000, "", "cnn.\n"))] = torch.zeros(1)
    torch.save(weights, path)
    return 0


def _nested(tensor: Any, chance: random.Random) -> Any:
    import torch

    return torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)])


def _sparse(tensor: Any, chance: random.Random) -> Any:
    import torch

    return torch.sparse_coo_tensor(
        torch.zeros((2, 1), dtype=torch.int64), torch.ones(1), (10**6, 10**6)
    )


def _expanded(tensor: Any, chance: random.Random) -> Any:
    import torch

    return torch.zeros(1).expand(10**9)


def _meta(tensor: Any, chance: random.Random) -> Any:
    return tensor.to("meta")


def _huge_numbers(tensor: Any, chance: random.Random) -> Any:
    return tensor.float() * chance.choice((1e30, float("inf"), float("nan")))


def _other_type(tensor: Any, chance: random.Random) -> Any:
    import torch

    return tensor.to(
        chance.choice((torch.int64, torch.complex64, torch.bool, torch.bfloat16, torch.float64))
    )


def _quantised(tensor: Any, chance: random.Random) -> Any:
    import torch

    return torch.quantize_per_tensor(tensor.float(), 0.1, 0, torch.qint8)


def _empty(tensor: Any, chance: random.Random) -> Any:
    import torch

    return torch.zeros(chance.choice(((0,), (0, 5), (1, 0, 3, 3))))


def _reshaped(tensor: Any, chance: random.Random) -> Any:
    return tensor.reshape(-1)[: chance.randrange(1, 9)]


def _no_tensor(tensor: Any, chance: random.Random) -> Any:
    return chance.choice(([1, 2], "x", None, 10**30, {"a": {}}, ()))


CASES: Dict[str, Callable[[Any, random.Random], Any]] = {
    "nested": _nested,
    "sparse": _sparse,
    "expanded": _expanded,
    "meta": _meta,
    "huge": _huge_numbers,
    "type": _other_type,
    "quantised": _quantised,
    "empty": _empty,
    "reshaped": _reshaped,
    "no tensor": _no_tensor,
    "keys": lambda tensor, chance: tensor,
    "cut": lambda tensor, chance: tensor,
    "bytes": lambda tensor, chance: tensor,
    "zip": lambda tensor, chance: tensor,
}
