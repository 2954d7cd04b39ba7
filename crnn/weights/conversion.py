"""A checkpoint of any known kind to one of the kit's own, with the classes in the order that is
asked for.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Optional, Tuple

import torch

from crnn.alphabet_file import read_ord_map
from crnn.errors import InputError, UsageError
from crnn.files import require_target
from crnn.labels import DIGITS_AND_LETTERS, Alphabet
from crnn.presets import LETTERS_AND_DIGITS, SPECS, VARIANTS, CrnnConfig
from crnn.spec import ModelSpec
from crnn.weights.checkpoint import (
    AS_THEY_ARE,
    Checkpoint,
    Storage,
    check_spec,
    check_weights,
    load_checkpoint,
    save_checkpoint,
)
from crnn.weights.renaming import Foreign, from_mindspore, from_tensorflow, reorder_classes


@dataclass(frozen=True)
class Classes:
    """How the classes are to stand in the new file.

    By default the blank comes first, then the characters: 0-9a-z if it is these, else in the file's
    order. ``keep`` leaves the file's order alone; ``wanted`` gives the characters, all of them
    among the file's.
    """

    keep: bool = False
    wanted: Optional[str] = None

    def target(self, source: Alphabet) -> Alphabet:
        """Return the alphabet of the new file, for the old one's."""
        if self.keep:
            return source
        if self.wanted is not None:
            return Alphabet(self.wanted)
        same = set(source.characters) == set(DIGITS_AND_LETTERS)
        return Alphabet(DIGITS_AND_LETTERS if same else source.characters)


def take_mindspore(
    path: Path,
    target: Path,
    *,
    version: Optional[str] = None,
    alphabet: Optional[str] = None,
    classes: Classes,
) -> Checkpoint:
    """Write a MindSpore checkpoint as one of the kit's own.

    Args:
        path: MindSpore's checkpoint.
        target: The kit's checkpoint to write.
        version: The network's version; None to tell it from the tensors.
        alphabet: The file's characters in class order, the blank being the last class; by default
            a-z0-9, and 0-9a-z for MindOCR's.
        classes: Which order of classes is written.

    Returns:
        The checkpoint as loaded from ``target``.

    Raises:
        InputError: The file is not such a checkpoint.
    """
    require_target(target)
    notes = _write_foreign(path, target, from_mindspore(path, version), alphabet, classes)
    return _loaded(target, notes)


def take_tensorflow(path: Path, target: Path, *, ord_map: Path, classes: Classes) -> Checkpoint:
    """Write a TensorFlow checkpoint or frozen graph as one of the kit's own.

    Args:
        path: TensorFlow's checkpoint or frozen graph.
        target: The kit's checkpoint to write.
        ord_map: The file that says which class stands for which character; the blank is the last.
        classes: Which order of classes is written.

    Returns:
        The checkpoint as loaded from ``target``.

    Raises:
        InputError: The file is not such a checkpoint.
    """
    require_target(target)
    characters = read_ord_map(ord_map)
    notes = _write_foreign(path, target, from_tensorflow(path), characters, classes)
    return _loaded(target, notes)


def take_torch(
    path: Path,
    target: Path,
    *,
    preset: Optional[str] = None,
    lstm_gate_order: str = "ifgo",
    alphabet: Optional[str] = None,
    blank_last: bool = False,
    classes: Classes,
    storage: Storage = AS_THEY_ARE,
    color: Optional[str] = None,
) -> Checkpoint:
    """Write a PyTorch checkpoint of any layout as one of the kit's own.

    Args:
        path: PyTorch's checkpoint of any layout.
        target: The kit's checkpoint to write.
        preset: The network and spec of a file that carries none.
        lstm_gate_order: "ifgo", or "igfo" for the first NPU training stack.
        alphabet: The file's characters in class order.
        blank_last: Whether the blank stands after them.
        classes: Which order of classes is written.
        storage: How the values are written.
        color: "rgb" or "bgr", the order of three input channels; None for the file's own.

    Returns:
        The checkpoint as loaded from ``target``.

    Raises:
        InputError: The file is not such a checkpoint.
    """
    require_target(target)
    old = load_checkpoint(
        path,
        alphabet=alphabet,
        lstm_gate_order=lstm_gate_order,
        variant=preset,
        color=color,
    )
    if preset and old.spec_from == "file":
        raise UsageError(
            f"{path} says itself which network and spec it has; --preset is for files that do not"
        )
    if blank_last:
        blank = len(old.spec.characters)
    else:
        blank = old.spec.blank
    weights = {
        name: tensor for name, tensor in old.model.state_dict().items() if "num_batches" not in name
    }
    source = Alphabet(old.spec.characters, blank)
    notes = _write(
        path, target, weights, old.model.config, old.spec, source, classes, old.notes, storage
    )
    return _loaded(target, notes)


def _loaded(target: Path, notes: Tuple[str, ...]) -> Checkpoint:
    # What was written is what counts; by now the weights that it was written from are no longer in
    # memory.
    return dataclasses.replace(load_checkpoint(target), notes=notes)


def _write_foreign(
    path: Path, target: Path, foreign: Foreign, alphabet: Optional[str], classes: Classes
) -> Tuple[str, ...]:
    if foreign.variant == "mindocr-vgg7":
        usual = DIGITS_AND_LETTERS
    else:
        usual = LETTERS_AND_DIGITS
    if alphabet is None:
        characters = usual
    else:
        characters = alphabet
    config = check_weights(path, foreign.weights, VARIANTS[foreign.variant])
    if len(characters) + 1 != config.classes:
        raise InputError(
            f"{path} has {config.classes} classes, the alphabet gives {len(characters) + 1} "
            f"({len(characters)} characters and the blank)",
            hint="Give the characters that it was trained on, in the order of their classes.",
        )
    source = Alphabet(characters, len(characters))
    spec = SPECS[foreign.variant]
    return _write(path, target, foreign.weights, config, spec, source, classes, foreign.notes)


def _write(
    path: Path,
    target: Path,
    weights: Dict[str, torch.Tensor],
    config: CrnnConfig,
    spec: ModelSpec,
    source: Alphabet,
    classes: Classes,
    notes: Tuple[str, ...],
    storage: Storage = AS_THEY_ARE,
) -> Tuple[str, ...]:
    check_spec(
        path, dataclasses.replace(spec, characters=source.characters, blank=source.blank), config
    )
    wanted = classes.target(source)
    spec = dataclasses.replace(
        spec, characters=wanted.characters, blank=wanted.blank, fold_case=wanted.folds_case
    )
    if wanted != source:
        weights = reorder_classes(weights, source, wanted)
        notes = (*notes, f"classes moved from {_classes(source)} to {_classes(wanted)}")
    save_checkpoint(
        target, weights, config, spec, source=f"{path.name}: {'; '.join(notes)}", storage=storage
    )
    return notes


def _classes(alphabet: Alphabet) -> str:
    if len(alphabet.characters) <= 40:
        shown = alphabet.characters
    else:
        shown = f"{alphabet.characters[:40]}…"
    if alphabet.blank == 0:
        return f"blank, {shown}"
    return f"{shown}, blank"
