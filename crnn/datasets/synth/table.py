"""The table of effects: how often each happens and how strong it is (``synth.yaml``)."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Mapping, Optional, Tuple, Union

from crnn import plain_yaml
from crnn.datasets.synth.limits import CHANCE, LIMITS, WHOLE
from crnn.errors import InputError, brief
from crnn.files import read_text
from crnn.spelling import nearest

Range = Tuple[float, float]

_BUILT_IN = Path(__file__).with_name("synth.yaml")
_SINGLE = ("chance", "mean", "spread", "warm", "blue")


@dataclass(frozen=True)
class Effect:
    """One line of the table:

    the chance that it happens, 1 where the line names none, and its ranges.
    """

    chance: float
    ranges: Mapping[str, Range]

    def happens(self, rng: random.Random) -> bool:
        """Draw whether the effect happens."""
        return rng.random() < self.chance

    def draw(self, rng: random.Random, name: str) -> float:
        """Draw a value from a range, evenly."""
        return rng.uniform(*self.ranges[name])

    def draw_whole(self, rng: random.Random, name: str) -> int:
        """Draw a whole number from a range, both ends included."""
        low, high = self.ranges[name]
        return rng.randint(int(low), int(high))


Table = Mapping[str, Effect]


def load_table(path: Optional[Path] = None) -> Table:
    """Return the built-in table, with the lines of ``path`` in the place of its own.

    Raises `InputError` for a line or value that the built-in table lacks, with the nearest that it
    has, for a range that runs backwards, and for a value outside its `LIMITS` or not as whole as it
    has to be.
    """
    lines = _read(_BUILT_IN)
    if path is not None:
        for name, values in _read(path).items():
            _known(name, lines, f"{path}: effect")
            if not isinstance(values, dict):
                raise InputError(
                    f"{path}: {name} is {brief(repr(values))}; expected values in braces, as in"
                    f" {lines[name]}"
                )
            for key in values:
                _known(key, lines[name], f"{path}: {name}:")
            lines[name] = {**lines[name], **values}
    where = path or _BUILT_IN
    return {
        name: _effect(f"{where}: {name}", values, LIMITS.get(name, {}))
        for name, values in lines.items()
    }


def _read(path: Path) -> Dict[str, Any]:
    try:
        data = plain_yaml.load(read_text(path), extra="datasets")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"{path} is not YAML: {error}") from error
    if not isinstance(data, dict):
        raise InputError(
            f"{path} holds {type(data).__name__}; expected lines of an effect and its values"
        )
    return data


def _effect(where: str, values: Mapping[str, Any], limits: Mapping[str, Range]) -> Effect:
    limits = {"chance": CHANCE, **limits}
    ranges = {
        name: _range(f"{where}: {name}", name, value, limits[name])
        for name, value in values.items()
    }
    chance = ranges.pop("chance", (1.0, 1.0))[0]
    return Effect(chance, ranges)


def _range(where: str, name: str, value: Union[float, list], limit: Range) -> Range:  # type: ignore[type-arg]
    whole = name in WHOLE
    expected = "a range, such as [0.1, 0.5]"
    pair: Any = value
    if name in _SINGLE:
        expected = "a number"
        pair = [value, value]
    if not isinstance(pair, list) or len(pair) != 2 or not all(_is_number(end) for end in pair):
        raise InputError(f"{where} is {brief(repr(value))}; expected {expected}")
    if pair[0] > pair[1]:
        raise InputError(f"{where} is {brief(repr(value))}; expected the smaller end first")
    # Asked so that it does not hold for NaN.
    inside = limit[0] <= pair[0] <= pair[1] <= limit[1]
    kind = ""
    if whole:
        kind = "whole numbers, "
    if not inside or (whole and any(end != int(end) for end in pair)):
        raise InputError(
            f"{where} is {brief(repr(value))}; expected {kind}{limit[0]:g} to {limit[1]:g}"
        )
    return (float(pair[0]), float(pair[1]))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _known(name: Any, known: Mapping[str, Any], where: str) -> None:
    if name not in known:
        near = nearest(name, known)
        hint = f"Did you mean {near}?"
        if near is None:
            hint = f"There are {', '.join(known)}."
        raise InputError(f"{where} {name!r} is unknown", hint=hint)
