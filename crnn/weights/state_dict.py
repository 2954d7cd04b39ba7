"""What PyTorch's file held, to the one CRNN's tensors in it, whatever it was wrapped in.

Training programs put the weights under a key (``model_state_dict``, ``model``, ``net`` …), beside
the optimiser's and averaged ones, and wrappers of the network put a prefix before the names.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Sequence, Tuple, Union

import torch

from crnn.errors import InputError

Weights = Dict[str, torch.Tensor]

USUAL = "state_dict"
"""The key that wins where it stands at the top, as in files of ModelZoo and of the kit's own."""
WRAPPERS = (
    *("module", "_orig_mod", "_forward_module"),
    *("_fsdp_wrapped_module", "_checkpoint_wrapped_module"),
)
"""Parts of names that data parallelism, torch.compile and checkpointing add, anywhere in a name."""
_OWN = re.compile(
    r"(?P<before>(?:.*\.)?)"
    r"(?:cnn\.(?:conv|batchnorm)\d+|rnn\.\d+\.(?:rnn|fw_rnn|bw_rnn|embedding))\.\w+"
)
_ENOUGH = 10
"""Names of CRNN's that make a group of tensors one that was meant: it has 40 and more."""
_DEPTH = 8
_PLACES = 1000
"""The most places of a list that are looked into."""


@dataclass(frozen=True)
class _Found:
    """Tensors by CRNN's names; ``where`` says, for people, where in the file they stood."""

    where: str
    weights: Weights
    notes: Tuple[str, ...]


def find_weights(path: Path, content: Any) -> Tuple[Weights, List[str]]:
    """Find the one CRNN in what a file held.

    Args:
        path: The file, for errors.
        content: What `torch.load` gave.

    Returns:
        The tensors by name, without wrappers' prefixes, and what was done, for people. A file
        that holds no CRNN at all gives its only state dict as it is.

    Raises:
        InputError: There is no state dict, or there are several and nothing says which was meant.
    """
    if isinstance(content, dict) and _is_state_dict(content.get(USUAL)):
        return _chosen(path, [(f"under {USUAL!r}", content[USUAL])], bare=True)
    groups = list(_state_dicts(content, ()))
    if not groups:
        raise InputError(
            f"{path} holds {_describe(content)}; expected a state dict (names and tensors), bare or"
            f" under a key such as {USUAL!r}"
        )
    return _chosen(path, groups, bare=groups[0][0] == "")


def _state_dicts(
    value: Any, keys: Tuple[Union[str, int], ...]
) -> Iterator[Tuple[str, Mapping[str, Any]]]:
    """Yield every dictionary of names and tensors, outermost first, with the words that say where
    it stands: empty for the file's own. Lists and tuples are looked into, such as those of
    ``torch.save((weights, epoch), path)``.
    """
    if len(keys) > _DEPTH:
        return
    if isinstance(value, (list, tuple)):
        for place, inner in enumerate(value[:_PLACES]):
            yield from _state_dicts(inner, (*keys, place))
        return
    if not isinstance(value, dict):
        return
    if _is_state_dict(value):
        where = ""
        if keys:
            where = f"under {' > '.join(map(repr, keys))}"
        yield where, value
    for key, inner in value.items():
        if isinstance(key, str):
            yield from _state_dicts(inner, (*keys, key))


def _is_state_dict(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and any(isinstance(tensor, torch.Tensor) for tensor in value.values())
        and all(isinstance(name, str) for name in value)
    )


def _chosen(
    path: Path, groups: Sequence[Tuple[str, Mapping[str, Any]]], *, bare: bool
) -> Tuple[Weights, List[str]]:
    networks: List[_Found] = []
    for where, group in groups:
        networks.extend(_networks(where, group))
    if not networks:
        # Another network, or a part of one: what is missing in it is said by who checks names.
        return _alone(path, groups)
    if len(networks) > 1:
        raise _several(path, networks)
    found = networks[0]
    notes = list(found.notes)
    if not bare:
        notes.insert(0, f"the weights taken from {found.where}")
    return found.weights, notes


def _alone(
    path: Path, groups: Sequence[Tuple[str, Mapping[str, Any]]]
) -> Tuple[Weights, List[str]]:
    largest = max(groups, key=lambda group: len(group[1]))
    notes: List[str] = []
    return _unwrapped(largest[1], notes), notes


def _several(path: Path, networks: Sequence[_Found]) -> InputError:
    named = ", ".join(found.where for found in networks[:4])
    more = ""
    if len(networks) > 4:
        more = f" and {len(networks) - 4} more"
    return InputError(
        f"{path} holds {len(networks)} networks: {named}{more}; expected one",
        hint=(
            "Save the one that is meant by itself, such as (where the file is dictionaries within"
            " one another): torch.save(torch.load('FILE', weights_only=True)['KEY'], 'one.pth')"
        ),
    )


def _networks(where: str, group: Mapping[str, Any]) -> Iterator[_Found]:
    """Yield the CRNNs in one state dict: one for each prefix that has the names of a whole one, or
    one whose parts have different prefixes.
    """
    notes: List[str] = []
    unwrapped = _without_counts(_unwrapped(group, notes), notes)
    by_prefix = _by_prefix(unwrapped)
    named = sum(len(names) for names in by_prefix.values())
    if named < _ENOUGH:
        return
    if list(by_prefix) == [""]:
        yield _Found(where or "the file's own", unwrapped, tuple(notes))
        return
    if _overlap(by_prefix):
        for prefix, names in by_prefix.items():
            if len(names) >= _ENOUGH:
                told = f"{where} the names with {prefix or 'no prefix'}".strip()
                weights = {own: unwrapped[name] for own, name in names.items()}
                yield _Found(told, weights, (*notes, *_prefix_notes([prefix])))
        return
    weights, left = _merged(unwrapped, by_prefix)
    notes.extend(_prefix_notes(by_prefix))
    if left:
        notes.append(f"left out, for it is not the network's: {', '.join(left[:4])}")
    yield _Found(where or "the file's own", weights, tuple(notes))


def _merged(
    weights: Weights, by_prefix: Mapping[str, Mapping[str, str]]
) -> Tuple[Weights, List[str]]:
    """Return the tensors without the prefixes, and the names that stand under none of them."""
    merged: Weights = {}
    for names in by_prefix.values():
        merged.update({own: weights[name] for own, name in names.items()})
    # What stands under a prefix of the network's own is the network's, known or not.
    prefixes = sorted(by_prefix, key=len, reverse=True)
    left: List[str] = []
    for name in weights:
        if _OWN.fullmatch(name):
            continue
        inside = [prefix for prefix in prefixes if name.startswith(prefix)]
        if inside:
            merged[name[len(inside[0]) :]] = weights[name]
        else:
            left.append(name)
    return merged, left


def _unwrapped(group: Mapping[str, Any], notes: List[str]) -> Weights:
    """Take wrappers' parts out of the names, and note which."""
    weights: Weights = {}
    removed: Dict[str, int] = {}
    for name, tensor in group.items():
        parts = name.split(".")
        kept = ".".join(part for part in parts if part not in WRAPPERS)
        if kept in weights:
            return dict(group)
        weights[kept] = tensor
        for wrapper in WRAPPERS:
            removed[wrapper] = max(removed.get(wrapper, 0), parts.count(wrapper))
    for wrapper, times in removed.items():
        if times:
            many = ""
            if times > 1:
                many = "s"
            notes.append(f"the prefix {wrapper}. taken off {times} time{many}")
    return weights


def _without_counts(weights: Weights, notes: List[str]) -> Weights:
    """Leave out single numbers at the top, as averaged models keep (``n_averaged``)."""
    counts = []
    for name, value in weights.items():
        if "." not in name and _is_count(value):
            counts.append(name)
    if counts:
        notes.append(f"left out, for it is not the network's: {', '.join(counts[:4])}")
    return {name: weights[name] for name in weights if name not in counts}


def _is_count(value: Any) -> bool:
    if not isinstance(value, torch.Tensor) or value.is_floating_point():
        return False
    return value.numel() == 1


def _by_prefix(weights: Mapping[str, Any]) -> Dict[str, Dict[str, str]]:
    """Return, by what stands before them, CRNN's own names with the names in the file."""
    found: Dict[str, Dict[str, str]] = {}
    for name in weights:
        match = _OWN.fullmatch(name)
        if match:
            prefix = match["before"]
            found.setdefault(prefix, {})[name[len(prefix) :]] = name
    return found


def _overlap(by_prefix: Mapping[str, Mapping[str, str]]) -> bool:
    seen: Dict[str, str] = {}
    for names in by_prefix.values():
        for own in names:
            if own in seen:
                return True
            seen[own] = own
    return False


def _prefix_notes(prefixes: Any) -> List[str]:
    named = [prefix for prefix in prefixes if prefix]
    if not named:
        return []
    return [f"the prefix {' and '.join(named)} taken off"]


def _describe(content: Any) -> str:
    if not isinstance(content, dict):
        return f"one {type(content).__name__}"
    if not content:
        return "an empty dictionary"
    keys = [repr(key) for key in content]
    more = ""
    if len(keys) > 4:
        more = f" and {len(keys) - 4} more"
    return f"a dictionary with the keys {', '.join(keys[:4])}{more}"
