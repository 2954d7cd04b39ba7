"""Weights of MindSpore's and TensorFlow's CRNNs under this kit's names, exactly: renamed,
transposed, reordered.

Nothing is folded or rescaled, so what the network computes differs from theirs by float32 rounding
only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterable, List, Mapping, Optional, Sequence, Set, Tuple

import numpy as np
import torch

from crnn.errors import InputError, UsageError
from crnn.files import natural_key
from crnn.labels import Alphabet
from crnn.presets import ALL_BATCHNORMS, CONVOLUTIONS
from crnn.weights.mindspore_file import read_mindspore_file
from crnn.weights.tensorflow_file import read_tensorflow

Arrays = Mapping[str, np.ndarray]
Weights = Dict[str, torch.Tensor]

MINDSPORE_VERSIONS: Mapping[str, str] = {
    "v1": "mindspore-v1",
    "v2": "mindspore-v2",
    "mindocr": "mindocr-vgg7",
}
_TELLING = {"v1": "w1", "v2": "rnn.0.rnn.weight_ih_l0", "mindocr": "neck.seq_encoder.weight_ih_l0"}
_NORM = {
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
_LSTM = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
# Gates of one product over [x; h]: input, new (j), forget, output; PyTorch's are input, forget,
# new, output.
_IFJO = (0, 2, 1, 3)


@dataclass(frozen=True)
class Foreign:
    """Weights under the kit's names, and the variant of the network (a name of `VARIANTS`) that
    they are of.
    """

    weights: Weights
    variant: str
    notes: Tuple[str, ...]


def from_mindspore(path: Path, version: Optional[str] = None) -> Foreign:
    """Read a MindSpore checkpoint of version "v1" or "v2" of its CRNN, or of "mindocr"'s; told by
    its names if None.

    Optimiser slots, counters and the tensors that the network has but never uses are left out.
    Raises `InputError`.
    """
    stored = read_mindspore_file(path)
    _refuse_flat(path, stored)
    arrays, prefix = _without_prefix(stored)
    found = [name for name, telling in _TELLING.items() if telling in arrays]
    if not found:
        raise InputError(
            f"{path} is another network: it has none of {', '.join(_TELLING.values())}; it holds"
            f" {_some(arrays)}"
        )
    if version not in (None, found[0]):
        raise UsageError(
            f"--version {version}, but {path} holds the names of {found[0]} ({_TELLING[found[0]]})"
        )
    kind = found[0]
    names = {"v1": _names_v1, "v2": _names_v2, "mindocr": _names_mindocr}[kind]()
    taken = _take(path, arrays, names, ignored=("vgg.bn1.", "w2_bw", "b2_bw"))
    notes = [f"MindSpore, {kind}", *_left_out(arrays, names)]
    if prefix:
        notes.append(f"the prefix {prefix} taken off")
    weights = {
        ours: _tensor(taken[theirs])
        for ours, theirs in names.items()
        if not ours.startswith("cell:")
    }
    if kind == "v1":
        for ours, suffix in (
            ("rnn.0.rnn|", "1"),
            ("rnn.0.rnn|_reverse", "1_bw"),
            ("rnn.1.rnn|", "2"),
        ):
            weights.update(
                _cell(path, ours, taken[f"w{suffix}"], taken[f"b{suffix}"], forget_bias=0.0)
            )
    return Foreign(_with_biases(weights), MINDSPORE_VERSIONS[kind], tuple(notes))


def _without_prefix(arrays: Arrays) -> Tuple[Arrays, str]:
    """Return the arrays by the names that they have behind a wrapper's prefix (``network.``), and
    the prefix; names that have it not are left out.
    """
    tellings = tuple(_TELLING.values())
    if any(telling in arrays for telling in tellings):
        return arrays, ""
    ends = tuple(f".{telling}" for telling in tellings)
    telling_names = [name for name in arrays if name.endswith(ends)]
    if not telling_names:
        return arrays, ""
    # Of the optimiser's slots too there may be some; the network's own names are the shortest.
    shortest = min(telling_names, key=len)
    prefix = next(shortest[: -len(end) + 1] for end in ends if shortest.endswith(end))
    inside = [name for name in arrays if name.startswith(prefix)]
    return {name[len(prefix) :]: arrays[name] for name in inside}, prefix


def from_tensorflow(path: Path) -> Foreign:
    """Read a TensorFlow checkpoint (its prefix) or a frozen graph of the CRNN, cells of TensorFlow
    or of the NPU.

    The forget bias of 1, which TensorFlow adds while it computes, is added to the stored one. Slots
    of the optimiser and moving averages are left out. Raises `InputError`.
    """
    arrays = read_tensorflow(
        path, lambda name: "/" in name and not re.search(r"/(Momentum|ExponentialMov|Adam)", name)
    )
    roots = [
        name[: -len("conv3/W")]
        for name in arrays
        if name.endswith("feature_extraction_module/conv3/W")
    ]
    if len(roots) != 1:
        raise InputError(
            f"{path} is another network: expected one shadow_net/feature_extraction_module/conv3/W;"
            f" it holds {_some(arrays) or 'no variables'}"
        )
    cnn, rnn = roots[0], roots[0].replace("feature_extraction_module", "sequence_rnn_module")
    names = _names_tensorflow(cnn)
    kernels, biases = _tensorflow_cells(path, arrays, rnn)
    projection = f"{rnn}w"
    taken = _take(
        path,
        arrays,
        {**names, **{name: name for name in (*kernels, *biases, projection)}},
        strict=False,
    )
    weights = {}
    for ours, theirs in names.items():
        array = taken[theirs]
        if ours.startswith("cnn.conv") and ours.endswith("weight"):
            # Height, width, inputs, outputs, to outputs, inputs, height, width.
            array = _ranked(path, theirs, array, 4).transpose(3, 2, 0, 1)
        weights[ours] = _tensor(array)
    for index, (kernel, bias) in enumerate(zip(kernels, biases)):
        ours = f"rnn.{index // 2}.rnn|{'_reverse' if index % 2 else ''}"
        weights.update(_cell(path, ours, taken[kernel], taken[bias], forget_bias=1.0))
    weights["rnn.1.embedding.weight"] = _tensor(_ranked(path, projection, taken[projection], 2).T)
    notes = ["TensorFlow", "1 added to the forget gates' biases"]
    return Foreign(_with_biases(weights), "tensorflow", tuple(notes))


def reorder_classes(weights: Weights, source: Alphabet, target: Alphabet) -> Weights:
    """Move the last layer's rows from the classes of one alphabet to those of another, exactly.

    Args:
        weights: Arrays by name.
        source: The alphabet that the last layer's rows follow.
        target: The alphabet that they are to follow.

    Returns:
        The weights with the rows moved: the same scores, elsewhere. Characters that ``target``
        lacks are no longer read.

    Raises:
        InputError: ``source`` lacks a character.
    """
    unknown = source.outside(target.characters)
    if unknown:
        raise InputError(
            f"the weights have no class for {unknown!r}; they know {source.characters!r}"
        )
    return moved_classes(weights, source, target, weights)


def moved_classes(weights: Weights, source: Alphabet, target: Alphabet, new: Weights) -> Weights:
    """Move the last layer's rows to the classes of another alphabet, which may have characters that
    the weights do not know.

    Args:
        weights: Tensors by name.
        source: The alphabet that the last layer's rows follow.
        target: The alphabet that they are to follow.
        new: Has the rows of the unknown characters, at their places in ``target``.

    Returns:
        The weights with the rows moved, exactly.
    """
    rows = {character: index for index, character in enumerate(source.table)}
    moved = dict(weights)
    for part in ("weight", "bias"):
        name = f"rnn.1.embedding.{part}"
        parts = []
        for index, character in enumerate(target.table):
            if character in rows:
                parts.append(weights[name][rows[character]])
            else:
                parts.append(new[name][index].to(weights[name].dtype))
        moved[name] = torch.stack(parts)
    return moved


def _refuse_flat(path: Path, arrays: Arrays) -> None:
    for name, array in arrays.items():
        if (
            re.fullmatch(r"(rnn\.\d+|neck)\.\S*weight", name)
            and array.ndim == 3
            and array.shape[1:] == (1, 1)
        ):
            raise InputError(
                f"{path} keeps each LSTM in one flat tensor ({name}, {array.shape}), as MindSpore"
                " up to 1.5 did; how it is cut up depended on the device, and newer MindSpore does"
                " not load it either",
                hint="Take a checkpoint that MindSpore 1.6 or later has written.",
            )


def _convolutions(prefix: str, norms: Iterable[int], *, bias: bool) -> Dict[str, str]:
    names = {}
    for index in range(CONVOLUTIONS):
        layer = f"{prefix}.conv{index + 1}"
        names[f"cnn.conv{index}.weight"] = f"{layer}.conv.weight"
        if bias:
            names[f"cnn.conv{index}.bias"] = f"{layer}.conv.bias"
        if index in norms:
            names.update(
                {
                    f"cnn.batchnorm{index}.{ours}": f"{layer}.bn.{theirs}"
                    for theirs, ours in _NORM.items()
                }
            )
    return names


def _linear(ours: str, theirs: str) -> Dict[str, str]:
    return {f"{ours}.{part}": f"{theirs}.{part}" for part in ("weight", "bias")}


def _names_v2() -> Dict[str, str]:
    names = _convolutions("vgg", ALL_BATCHNORMS, bias=False)
    for layer in range(2):
        for part in _LSTM:
            for direction in ("", "_reverse"):
                name = f"rnn.{layer}.rnn.{part}_l0{direction}"
                names[name] = name
        names.update(_linear(f"rnn.{layer}.embedding", f"rnn.{layer}.embedding"))
    return names


def _names_v1() -> Dict[str, str]:
    cells = {f"cell:{name}": name for name in ("w1", "b1", "w1_bw", "b1_bw", "w2", "b2")}
    return {
        **_convolutions("vgg", ALL_BATCHNORMS, bias=False),
        **_linear("rnn.1.embedding", "fc"),
        **cells,
    }


def _names_mindocr() -> Dict[str, str]:
    names = _convolutions("backbone", (2, 4, 6), bias=True)
    for layer in range(2):
        for part in _LSTM:
            for direction in ("", "_reverse"):
                names[f"rnn.{layer}.rnn.{part}_l0{direction}"] = (
                    f"neck.seq_encoder.{part}_l{layer}{direction}"
                )
    return {**names, **_linear("rnn.1.embedding", "head.dense1")}


def _names_tensorflow(prefix: str) -> Dict[str, str]:
    names = {}
    for index in range(CONVOLUTIONS):
        stage = index < 2
        if stage:
            layer = f"{prefix}conv{index + 1}/conv"
        else:
            layer = f"{prefix}conv{index + 1}"
        if stage:
            norm = f"{prefix}conv{index + 1}/bn"
        else:
            norm = f"{prefix}bn{index + 1}"
        names[f"cnn.conv{index}.weight"] = f"{layer}/W"
        if stage:
            names[f"cnn.conv{index}.bias"] = f"{layer}/b"
        names.update(
            {f"cnn.batchnorm{index}.{ours}": f"{norm}/{theirs}" for theirs, ours in _NORM.items()}
        )
    return names


def _tensorflow_cells(path: Path, arrays: Arrays, prefix: str) -> Tuple[List[str], List[str]]:
    """Return the names of the four kernels and biases:

    both directions of the first layer, then of the second.
    """
    npu = sorted((name for name in arrays if name.endswith("dynamicrnn/w")), key=natural_key)
    if npu:
        if len(npu) != 4:
            raise InputError(f"{path} has {len(npu)} LSTMs of the NPU ({_some(npu)}); expected 4")
        # They are numbered in the order of their making: forward, backward, and again.
        return npu, [f"{name[:-1]}b" for name in npu]
    cells = [
        f"{prefix}stack_bidirectional_rnn/cell_{layer}/bidirectional_rnn/{direction}/lstm_cell"
        for layer in range(2)
        for direction in ("fw", "bw")
    ]
    return [f"{cell}/kernel" for cell in cells], [f"{cell}/bias" for cell in cells]


def _take(
    path: Path,
    arrays: Arrays,
    names: Mapping[str, str],
    *,
    ignored: Sequence[str] = (),
    strict: bool = True,
) -> Dict[str, np.ndarray]:
    missing = [name for name in names.values() if name not in arrays]
    if missing:
        raise InputError(
            f"{path} is incomplete or another network: missing {_some(missing)}; it holds"
            f" {_some(arrays)}"
        )
    wanted = set(names.values())
    odd = []
    if strict:
        odd = _unexpected(arrays, wanted, tuple(ignored))
    if odd:
        raise InputError(
            f"{path} is another network: it has all expected tensors and, besides, {_some(odd)}"
        )
    taken = {name: arrays[name] for name in wanted}
    for name, array in taken.items():
        if array.dtype.kind != "f" or not array.size:
            raise InputError(
                f"{path}: {name} is {array.dtype} {array.shape}; expected floating-point numbers"
            )
    return taken


def _unexpected(arrays: Arrays, wanted: Set[str], ignored: Tuple[str, ...]) -> List[str]:
    """Return the tensors that another network would have: neither wanted nor an optimiser's."""
    names = []
    for name, array in arrays.items():
        is_weight = array.size > 1 and array.dtype.kind == "f"
        if not is_weight or name in wanted:
            continue
        endings = _endings(name)
        if not any(part in wanted or part.startswith(ignored) for part in endings):
            names.append(name)
    return names


def _endings(name: str) -> List[str]:
    """Return the name and what stands after each of its dots:

    an optimiser's slot ends in the name of its tensor.
    """
    parts = name.split(".")
    return [".".join(parts[index:]) for index in range(len(parts))]


def _left_out(arrays: Arrays, names: Mapping[str, str]) -> List[str]:
    rest = len(arrays) - len(set(names.values()))
    if rest:
        return [f"{rest} tensors of no use to inference left out"]
    return []


def _cell(
    path: Path, ours: str, kernel: np.ndarray, bias: np.ndarray, *, forget_bias: float
) -> Weights:
    """Split one kernel [inputs + hidden, 4 * hidden] of gates i, j, f, o into PyTorch's two of i,
    f, j, o.
    """
    hidden = 0
    if bias.ndim == 1:
        hidden = bias.shape[0] // 4
    if (
        not hidden
        or kernel.ndim != 2
        or kernel.shape[1] != 4 * hidden
        or bias.shape != (4 * hidden,)
    ):
        raise InputError(
            f"{path}: an LSTM has a kernel of shape {kernel.shape} and a bias of {bias.shape};"
            " expected (inputs + hidden, 4 * hidden) and (4 * hidden,)"
        )
    inputs = kernel.shape[0] - hidden
    if inputs < 1:
        raise InputError(
            f"{path}: an LSTM's kernel has {kernel.shape[0]} rows, no more than its {hidden} states"
        )
    order = np.concatenate([np.arange(gate * hidden, (gate + 1) * hidden) for gate in _IFJO])
    rows, shifted = kernel.T[order], bias[order].astype(np.float32)
    shifted[hidden : 2 * hidden] += np.float32(forget_bias)
    layer, direction = ours.split("|")
    parts = (rows[:, :inputs], rows[:, inputs:], shifted, np.zeros_like(shifted))
    return {f"{layer}.{part}_l0{direction}": _tensor(array) for part, array in zip(_LSTM, parts)}


def _with_biases(weights: Weights) -> Weights:
    """Give every convolution and linear layer that has none a bias of zeros."""
    complete = dict(weights)
    for name, tensor in weights.items():
        if (name.startswith("cnn.conv") or ".embedding." in name) and name.endswith(".weight"):
            complete.setdefault(name.replace(".weight", ".bias"), torch.zeros(tensor.shape[0]))
    return complete


def _ranked(path: Path, name: str, array: np.ndarray, rank: int) -> np.ndarray:
    if array.ndim != rank:
        raise InputError(f"{path}: {name} has shape {array.shape}; expected {rank} sizes")
    return array


def _tensor(array: np.ndarray) -> torch.Tensor:
    # A copy: the file's bytes are read-only, and need not be aligned.
    return torch.from_numpy(np.array(array, dtype=np.float32, order="C"))


def _some(names: Iterable[str], limit: int = 4) -> str:
    listed = list(names)
    rest = len(listed) - limit
    return ", ".join(listed[:limit]) + (f" and {rest} more" if rest > 0 else "")
