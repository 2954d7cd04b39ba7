"""Checkpoint files of PyTorch's CRNNs to a network and the spec that it is read by."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import torch

from crnn.errors import InputError, UsageError
from crnn.filekind import sha256
from crnn.files import atomic_file
from crnn.labels import Alphabet, advice_on_ranges
from crnn.network import CRNN
from crnn.presets import (
    CONVOLUTIONS,
    HEIGHT,
    LAST_CONVOLUTIONS,
    POOLINGS,
    SPECS,
    STORED_NAMES,
    VARIANTS,
    CrnnConfig,
    time_steps,
)
from crnn.spec import COLORS, METADATA_KEY, ModelSpec
from crnn.weights.state_dict import find_weights
from crnn.weights.torch_file import read_torch_file

GATE_ORDERS: Mapping[str, Tuple[int, int, int, int]] = {"ifgo": (0, 1, 2, 3), "igfo": (0, 2, 1, 3)}
"""Where PyTorch's gates i, f, g, o stand among a file's four blocks of LSTM rows.

Nothing in a file says which.
"""

CONFIG_KEY = "crnn.config"
"""The key under which a checkpoint of the kit holds the structure that its tensors do not show."""
_STRUCTURE = ("pooling", "last_convolution", "batchnorms", "epsilon", "between", "backward")

SPLIT_NOTE = "fw_rnn and bw_rnn taken as one bidirectional LSTM"
GATES_NOTE = (
    "LSTM gates taken in PyTorch's order; files of the first NPU training stack need"
    " --lstm-gate-order igfo"
)

Weights = Dict[str, torch.Tensor]


@dataclass(frozen=True)
class Checkpoint:
    """A network in evaluation mode, float32 on the CPU, with the spec that it is read by.

    ``spec_from`` is "file" where the checkpoint carries a spec, else "default". ``notes`` says, for
    people, what had to be done to the file's tensors.
    """

    path: Path
    sha256: str
    model: CRNN
    spec: ModelSpec
    spec_from: str
    notes: Tuple[str, ...]

    @property
    def parameters(self) -> int:
        """The number of trained values; BatchNorm's statistics are not among them."""
        return sum(parameter.numel() for parameter in self.model.parameters())

    def to_dict(self) -> Dict[str, Any]:
        """Return what a person or a result should know of the file, as plain data."""
        return {
            "file": str(self.path),
            "format": "PyTorch checkpoint",
            "bytes": self.path.stat().st_size,
            "sha256": self.sha256,
            "parameters": self.parameters,
            "network": self.model.config.to_dict(),
            "notes": list(self.notes),
            "spec_from": self.spec_from,
            "spec": self.spec.to_dict(),
        }


def load_checkpoint(
    path: Path,
    *,
    alphabet: Optional[str] = None,
    width: Optional[int] = None,
    lstm_gate_order: str = "ifgo",
    variant: Optional[str] = None,
    color: Optional[str] = None,
) -> Checkpoint:
    """Load a CRNN's weights exactly, whatever wrote them, with the sizes read from the tensors.

    Takes a bare state dict or one anywhere in a training dictionary; split ``fw_rnn``/``bw_rnn``
    LSTMs or bidirectional ones; prefixes of any kind; any floating-point storage from any device.
    The spec is the file's own, or the default; with three input channels in RGB order.

    Args:
        path: The checkpoint.
        alphabet: The characters, which replace the file's; the blank stays first or last.
        width: The images' width in pixels, which replaces the file's.
        lstm_gate_order: "igfo" for files of the first NPU training stack, which no tensor tells
            apart.
        variant: A preset's name, for files that do not say their poolings, last convolution and
            epsilon.
        color: "rgb" or "bgr", the order of three input channels, which no tensor tells; it
            replaces the file's or the preset's.

    Returns:
        Weights, structure and spec.

    Raises:
        InputError: The file is not such a network; the message has what was found and what was
            expected.
    """
    if lstm_gate_order not in GATE_ORDERS:
        raise UsageError(
            f"the LSTM gate order is {lstm_gate_order!r}; expected one of {', '.join(GATE_ORDERS)}"
        )
    content = read_torch_file(path)
    weights, notes = find_weights(path, content)
    weights = _as_float32(path, _rename(path, weights, notes), notes)
    config = check_weights(path, weights, _variant(path, content, variant))
    if lstm_gate_order != "ifgo":
        weights = _reorder_gates(weights, GATE_ORDERS[lstm_gate_order])
        notes.append(f"LSTM gates taken in the order {lstm_gate_order}")
    elif SPLIT_NOTE in notes:
        notes.append(GATES_NOTE)
    preset = None
    if variant:
        preset = SPECS[variant]
    spec, spec_from = _spec(path, content, config, preset, Given(alphabet, width, color))
    if spec.color == "rgb" and spec_from == "default" and not (preset or color):
        notes.append(
            "three input channels taken as rgb, torchvision's order (--color bgr: OpenCV's)"
        )
    return Checkpoint(path, sha256(path), _model(config, weights), spec, spec_from, tuple(notes))


def carries_spec(path: Path) -> bool:
    """Say whether a checkpoint holds its own spec.

    Args:
        path: The checkpoint.

    Returns:
        True where it does.

    Raises:
        InputError: It is not a PyTorch file.
    """
    content = read_torch_file(path)
    return isinstance(content, dict) and METADATA_KEY in content


def classes_in(path: Path) -> int:
    """Say how many classes the network of a checkpoint tells apart.

    Args:
        path: The checkpoint.

    Returns:
        The rows of its last layer; 0 where it has no such layer.

    Raises:
        InputError: It is not a PyTorch file, or holds no network or several.
    """
    weights, _ = find_weights(path, read_torch_file(path))
    last = weights.get("rnn.1.embedding.weight")
    if isinstance(last, torch.Tensor) and last.dim():
        return len(last)
    return 0


@dataclass(frozen=True)
class Storage:
    """How weights are written:

    as float16 (``half``), and each LSTM as ``fw_rnn`` and ``bw_rnn`` (``split``).
    """

    half: bool = False
    split: bool = False

    def stored(self, weights: Weights) -> Weights:
        """Return the tensors to write. Raises `InputError` for what cannot be written so."""
        if self.split:
            weights = _split(weights)
        if not self.half:
            return weights
        halves = {name: tensor.half() for name, tensor in weights.items()}
        for name, tensor in halves.items():
            if not tensor.isfinite().all():
                raise InputError(
                    f"{name} has a value of {weights[name].abs().max():g}; float16 ends at 65504",
                    hint="Leave out --half.",
                )
        return halves


AS_THEY_ARE = Storage()


def save_checkpoint(
    path: Path,
    weights: Weights,
    config: CrnnConfig,
    spec: ModelSpec,
    *,
    source: str,
    storage: Storage = AS_THEY_ARE,
) -> None:
    """Write a checkpoint that carries its structure and its spec; ``source`` says, for people, what
    it was made of.

    It is a dictionary with ``state_dict``, so other programs read its weights as they read any
    checkpoint's.
    """
    content = checkpoint_content(storage.stored(weights), config, spec)
    with atomic_file(path) as file:
        torch.save({**content, "crnn.source": source}, file)


def set_temperature(path: Path, out: Path, temperature: float) -> None:
    """Write a copy of a checkpoint of the kit whose spec has another temperature.

    Args:
        path: The checkpoint.
        out: The copy.
        temperature: What logits are divided by (`ModelSpec.temperature`).

    Raises:
        InputError: It is a checkpoint of another program, which has no place for a spec.
    """
    content = read_torch_file(path)
    stored: object = None
    if isinstance(content, dict):
        stored = content.get(METADATA_KEY)
    if not isinstance(stored, str):
        raise InputError(
            f"{path} carries no spec, which would take the temperature",
            hint="Import it first, or calibrate its ONNX: crnn import torch FILE.pth crnn.pth",
        )
    spec = ModelSpec.from_json(stored, where=f"{path}: {METADATA_KEY}")
    spec = dataclasses.replace(spec, temperature=temperature)
    with atomic_file(out) as file:
        torch.save({**content, METADATA_KEY: spec.to_json()}, file)


def checkpoint_content(weights: Weights, config: CrnnConfig, spec: ModelSpec) -> Dict[str, Any]:
    """Return what every checkpoint of the kit's own holds: weights, structure and spec.

    Args:
        weights: Arrays or tensors by name.
        config: The network's structure.
        spec: How images are prepared and classes read.

    Returns:
        What `torch.save` is given.
    """
    stored = config.to_dict()
    structure = {key: stored[key] for key in _STRUCTURE}
    return {
        "state_dict": weights,
        CONFIG_KEY: {**structure, "batchnorms": list(config.batchnorms)},
        METADATA_KEY: spec.to_json(),
    }


def _rename(path: Path, weights: Weights, notes: List[str]) -> Weights:
    """Give split LSTMs the names of a bidirectional one: the same weights, exactly."""
    renamed: Weights = {}
    split = False
    for name, tensor in weights.items():
        match = re.fullmatch(r"(rnn\.\d+)\.(fw|bw)_rnn\.((?:weight|bias)_[ih]h_l0)", name)
        if match:
            split = True
            name = f"{match[1]}.rnn.{match[3]}{'_reverse' if match[2] == 'bw' else ''}"
        if name in renamed:
            raise InputError(
                f"{path} holds {name} twice, once bidirectional and once as fw_rnn or bw_rnn"
            )
        renamed[name] = tensor
    if split:
        notes.append(SPLIT_NOTE)
    return renamed


def _split(weights: Weights) -> Weights:
    """Return the tensors with the names of split LSTMs: the reverse of `_rename`."""
    names = {}
    for name in weights:
        match = re.fullmatch(r"(rnn\.\d+)\.rnn\.((?:weight|bias)_[ih]h_l0)(_reverse)?", name)
        if match and f"{match[1]}.rnn.{match[2]}_reverse" not in weights:
            raise InputError(
                f"{match[1]} reads in one direction only, so it cannot be written as fw_rnn and"
                " bw_rnn"
            )
        if match:
            names[name] = f"{match[1]}.{'bw' if match[3] else 'fw'}_rnn.{match[2]}"
        else:
            names[name] = name
    return {names[name]: tensor for name, tensor in weights.items()}


def _as_float32(path: Path, weights: Mapping[str, Any], notes: List[str]) -> Weights:
    """Return finite float32 tensors, without BatchNorm's counters."""
    stored: Weights = {}
    for name, tensor in weights.items():
        if _counter(name):
            continue
        _require_ordinary(path, name, tensor)
        stored[name] = tensor
    # A strided view can claim more values than there are bytes: refused before anything of that
    # size is made.
    claimed = sum(tensor.numel() * tensor.element_size() for tensor in stored.values())
    if claimed > path.stat().st_size:
        raise InputError(
            f"{path} is damaged: its tensors would take {claimed} bytes, and it has"
            f" {path.stat().st_size}"
        )
    others = sorted({_name(tensor.dtype) for tensor in stored.values()} - {"float32"})
    if others:
        notes.append(f"{' and '.join(others)} values converted to float32")
    return {name: tensor.detach().float().contiguous() for name, tensor in stored.items()}


def _require_ordinary(path: Path, name: str, tensor: Any) -> None:
    """Refuse what is not a dense tensor of floating-point numbers with its values in the file."""
    if not isinstance(tensor, torch.Tensor):
        found = type(tensor).__name__
        raise InputError(f"{path}: {name} is {found}; expected a tensor of floating-point numbers")
    if not tensor.is_floating_point():
        found = _name(tensor.dtype)
        raise InputError(f"{path}: {name} is {found}; expected a tensor of floating-point numbers")
    found = ""
    if tensor.is_nested:
        found = "of tensors"
    elif tensor.layout != torch.strided:
        found = _name(tensor.layout)
    elif tensor.device.type != "cpu":
        found = f"on {tensor.device}"
    if found:
        raise InputError(
            f"{path}: {name} is a tensor {found}; expected an ordinary one, with its values in"
            " the file"
        )


def _counter(name: str) -> bool:
    # BatchNorm counts its training batches; inference does not use it, and older files lack it.
    return name.endswith(".num_batches_tracked")


def _name(kind: Any) -> str:
    return str(kind).replace("torch.", "")


def _variant(path: Path, content: Any, name: Optional[str]) -> CrnnConfig:
    """Return the structure that the file names, or that of the named variant; sizes are still the
    defaults'.
    """
    if name is not None:
        if name not in VARIANTS:
            raise UsageError(f"there is no preset {name!r}; expected one of {', '.join(VARIANTS)}")
        return VARIANTS[name]
    if isinstance(content, dict):
        stored = content.get(CONFIG_KEY)
    else:
        stored = None
    if stored is None:
        return CrnnConfig()
    if not _is_structure(stored):
        raise InputError(f"{path}: {CONFIG_KEY} is {stored!r}; expected {', '.join(_STRUCTURE)}")
    values = {**stored, "batchnorms": tuple(stored["batchnorms"])}
    for name, key in STORED_NAMES.items():
        values[name] = values.pop(key)
    return CrnnConfig(**values)


def _is_structure(stored: Any) -> bool:
    if not isinstance(stored, dict) or set(stored) != set(_STRUCTURE):
        return False
    for key, known in (("pooling", POOLINGS), ("last_convolution", LAST_CONVOLUTIONS)):
        if not isinstance(stored[key], str) or stored[key] not in known:
            return False
    if not all(isinstance(stored[key], bool) for key in ("between", "backward")):
        return False
    epsilon = stored["epsilon"]
    if not isinstance(epsilon, float) or not 0 <= epsilon < 1:
        return False
    return _are_convolutions(stored["batchnorms"])


def _are_convolutions(numbers: Any) -> bool:
    if not isinstance(numbers, list):
        return False
    return all(type(number) is int and 0 <= number < CONVOLUTIONS for number in numbers)


def check_weights(path: Path, weights: Weights, variant: CrnnConfig) -> CrnnConfig:
    """Return the variant in the sizes that the tensors have, once names, shapes and values are
    found to be right.

    Raises `InputError`, in the name of the file at ``path``.
    """
    config = _config(path, weights, variant)
    for name, tensor in weights.items():
        bad = int((~torch.isfinite(tensor)).sum())
        if bad:
            raise InputError(
                f"{path}: {name} holds {bad} values of {tensor.numel()} that are NaN or infinite",
                hint=(
                    "The training diverged before this file was saved: take an earlier checkpoint."
                ),
            )
    for index in config.batchnorms:
        name = f"cnn.batchnorm{index}.running_var"
        if bool((weights[name] < 0).any()):
            raise InputError(f"{path}: {name} holds negative variances; expected 0 or more")
    return config


def _config(path: Path, weights: Weights, variant: CrnnConfig) -> CrnnConfig:
    """Read the sizes from the tensors, after the names and before everything else is checked
    against them.
    """
    names = _shapes(variant)
    missing = [name for name in names if name not in weights]
    unexpected = [name for name in weights if name not in names]
    if missing or unexpected:
        raise _other_names(path, missing, unexpected, len(names))
    config = dataclasses.replace(
        variant,
        in_channels=_size(path, weights, "cnn.conv0.weight", 4, 1),
        channels=tuple(
            _size(path, weights, f"cnn.conv{index}.weight", 4, 0) for index in range(CONVOLUTIONS)
        ),
        hidden=_size(path, weights, "rnn.0.rnn.weight_hh_l0", 2, 1),
        classes=_size(path, weights, "rnn.1.embedding.weight", 2, 0),
    )
    odd = [
        f"{name} has shape {tuple(weights[name].shape)}, expected {shape}"
        for name, shape in _shapes(config).items()
        if tuple(weights[name].shape) != shape
    ]
    if odd:
        raise InputError(
            f"{path} has CRNN's tensor names but not its shapes: {_some(odd, separator='; ')}",
            hint=f"The sizes were read from the file: {config}.",
        )
    return config


def _other_names(
    path: Path, missing: Sequence[str], unexpected: Sequence[str], total: int
) -> InputError:
    found = total - len(missing)
    if found < total // 2:
        return InputError(
            f"{path} is another network: {found} of CRNN's {total} tensors are in it. Missing are"
            f" {_some(missing)}; it holds instead {_some(unexpected) or 'nothing'}",
            hint=(
                "Expected cnn.conv0 to cnn.conv6, cnn.batchnorm2, 4 and 6, rnn.0 and rnn.1 (rnn or"
                f" fw_rnn and bw_rnn, embedding). {_AS_ONNX}"
            ),
        )
    parts: List[str] = []
    hint = _AS_ONNX
    if missing:
        parts.append(f"missing {_some(missing)}")
    else:
        hint = (
            "Where reading a word does not need them: take them out of the state dict (del), and"
            " save that again with torch.save."
        )
    if unexpected:
        parts.append(f"unexpected {_some(unexpected)}")
    return InputError(f"{path} is not this CRNN: {'; '.join(parts)}", hint=hint)


_AS_ONNX = (
    "A network of another kind is taken as an ONNX: write one where it was made"
    " (torch.onnx.export), and say how it reads: crnn spec set."
)


def _size(path: Path, weights: Weights, name: str, rank: int, axis: int) -> int:
    shape = tuple(weights[name].shape)
    if len(shape) != rank or 0 in shape:
        raise InputError(f"{path}: {name} has shape {shape}; expected {rank} sizes, none of them 0")
    return shape[axis]


def _shapes(config: CrnnConfig) -> Dict[str, Tuple[int, ...]]:
    with torch.device("meta"):
        state = CRNN(config).state_dict()
    return {name: tuple(tensor.shape) for name, tensor in state.items() if not _counter(name)}


def _reorder_gates(weights: Weights, order: Sequence[int]) -> Weights:
    def reordered(tensor: torch.Tensor) -> torch.Tensor:
        blocks = tensor.chunk(4)
        return torch.cat([blocks[index] for index in order])

    return {
        name: reordered(tensor) if ".rnn." in name else tensor for name, tensor in weights.items()
    }


def _model(config: CrnnConfig, weights: Weights) -> CRNN:
    # Built without storage and given the tensors themselves: nothing is initialised only to be
    # overwritten, and the caller's random state is left alone.
    with torch.device("meta"):
        model = CRNN(config)
    counters = {name: torch.tensor(0) for name in model.state_dict() if _counter(name)}
    model.load_state_dict({**weights, **counters}, assign=True)
    return model.eval()


@dataclass(frozen=True)
class Given:
    """What a user says of a file's spec; None where it is the file's, or the default."""

    alphabet: Optional[str]
    width: Optional[int]
    color: Optional[str]


def _spec(
    path: Path, content: Any, config: CrnnConfig, preset: Optional[ModelSpec], told: Given
) -> Tuple[ModelSpec, str]:
    if isinstance(content, dict):
        stored = content.get(METADATA_KEY)
    else:
        stored = None
    if isinstance(stored, str):
        spec, spec_from = ModelSpec.from_json(stored, where=f"{path}: {METADATA_KEY}"), "file"
    elif stored is not None:
        spec, spec_from = ModelSpec.from_dict(stored, where=f"{path}: {METADATA_KEY}"), "file"
    else:
        spec, spec_from = preset or _default(config), "default"
    if told.color is not None:
        spec = dataclasses.replace(spec, color=told.color)
    alphabet, width = told.alphabet, told.width
    if alphabet is not None:
        fold = Alphabet(alphabet).folds_case
        blank = 0
        if spec.blank:
            blank = len(alphabet)
        spec = dataclasses.replace(spec, characters=alphabet, blank=blank, fold_case=fold)
    if width is None:
        width = spec.width
    spec = dataclasses.replace(spec, width=width, time_steps=time_steps(width, config))
    check_spec(path, spec, config, given=alphabet is not None or spec_from == "file")
    return spec, spec_from


def _default(config: CrnnConfig) -> ModelSpec:
    """Return the spec of a file that carries none: the historical contract, in colour where the
    network takes three channels.
    """
    default = ModelSpec.default()
    if config.in_channels == COLORS["rgb"]:
        return dataclasses.replace(default, color="rgb")
    return default


def check_spec(path: Path, spec: ModelSpec, config: CrnnConfig, *, given: bool = True) -> None:
    """Refuse a spec that the network does not go with.

    Args:
        path: The checkpoint, for the error.
        spec: How images are prepared and classes read.
        config: The network's sizes.
        given: Whether the user named the characters.

    Raises:
        InputError: The number of classes, the channels or the height is another.
    """
    if spec.classes != config.classes:
        raise InputError(
            f"{path}: the checkpoint has {config.classes} classes, the"
            f" {'' if given else 'default '}alphabet gives {spec.classes} ({len(spec.characters)}"
            " characters and the blank)",
            hint=advice_on_ranges(spec.characters)
            or "Give the characters that it was trained on, in their order: --alphabet, in a recipe"
            " alphabet.",
        )
    if spec.channels != config.in_channels:
        raise InputError(
            f"{path}: the network takes images of {config.in_channels} channels, its spec says"
            f" {spec.channels} ({spec.color})",
            hint=(
                "The kit reads images of 1 channel (gray) and of 3 (rgb, bgr); a preset that has"
                " its number is named by --preset, the order of three by --color."
            ),
        )
    if spec.height != HEIGHT:
        raise InputError(f"{path}: the spec's height is {spec.height}; the network takes {HEIGHT}")


def _some(items: Sequence[str], *, limit: int = 4, separator: str = ", ") -> str:
    rest = len(items) - limit
    return separator.join(items[:limit]) + (f" and {rest} more" if rest > 0 else "")
