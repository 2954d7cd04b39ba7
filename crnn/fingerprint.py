"""What a spec made of built-in pictures on some machine, so that two can be compared anywhere.

The accuracy of a model falls, and nothing says why, where its images are resized or normalised
otherwise than in training. The fingerprint of the inputs travels with a model and with its bins; it
is compared before anything is blamed on the model. Comparing needs nothing that decodes images;
`crnn.patterns` makes one.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

from crnn.spec import ModelSpec

PATTERNS = "patterns/1"
"""The pictures of `crnn.patterns`."""
FINGERPRINT_KEY = "crnn.inputs"
"""The key under which an ONNX file's ``metadata_props`` hold the fingerprint's JSON."""
CONSTANTS = ("divisor", "mean", "std")
INPUT_KEYS = ("height", "width", "color", "resizer", "orient", "background", "widths", *CONSTANTS)
"""The keys of a spec that say how an image becomes a model's input."""
_HASH = re.compile("[0-9a-f]{64}")
_WIDTH = re.compile("[1-9][0-9]{0,4}")


@dataclass(frozen=True)
class Fingerprint:
    """The inputs that a spec makes of the built-in patterns.

    ``pixels`` are pairs of a width in columns and the SHA-256, in hexadecimal, of the uint8 pixels
    (C, H, W) of all patterns at it, before normalisation, widths ascending; ``constants`` are those
    of the normalisation, in the order of `CONSTANTS`.
    """

    pixels: Tuple[Tuple[int, str], ...]
    constants: Tuple[float, ...]

    def covers(self, widths: Sequence[int]) -> bool:
        """Say whether it has the pixels at each of some widths.

        Args:
            widths: In columns.

        Returns:
            False where one is not among them.
        """
        return set(widths) <= {width for width, _ in self.pixels}

    def to_dict(self) -> Dict[str, Any]:
        """Return it as plain data."""
        pixels = {str(width): digest for width, digest in self.pixels}
        return {"patterns": PATTERNS, "pixels": pixels, **dict(zip(CONSTANTS, self.constants))}

    def to_json(self) -> str:
        """Return it as one line of JSON with sorted keys."""
        return json.dumps(self.to_dict(), sort_keys=True)


def fingerprint_in(metadata: Mapping[str, str]) -> Optional[Fingerprint]:
    """Return the fingerprint that an ONNX file carries.

    Args:
        metadata: The file's ``metadata_props``.

    Returns:
        None where it carries none that this kit can compare.
    """
    return read_fingerprint(metadata.get(FINGERPRINT_KEY, ""))


def read_fingerprint(text: str) -> Optional[Fingerprint]:
    """Read what `Fingerprint.to_json` gave.

    Args:
        text: The JSON; "" where there is none.

    Returns:
        None where it is something else, or of other patterns.
    """
    try:
        return parse_fingerprint(json.loads(text))
    except (ValueError, RecursionError):
        return None


def parse_fingerprint(data: object) -> Optional[Fingerprint]:
    """Read what `Fingerprint.to_dict` gave.

    Args:
        data: Plain data.

    Returns:
        None where it is something else, or of other patterns: then it cannot be compared, and a
        model is read without it.
    """
    if not isinstance(data, dict) or data.get("patterns") != PATTERNS:
        return None
    pixels = data.get("pixels")
    constants = [data.get(name) for name in CONSTANTS]
    if not _are_pixels(pixels) or not all(map(_is_number, constants)):
        return None
    pairs = sorted((int(width), digest) for width, digest in data["pixels"].items())
    return Fingerprint(tuple(pairs), tuple(float(data[name]) for name in CONSTANTS))


def other_keys(first: ModelSpec, second: ModelSpec) -> Sequence[str]:
    """Say by which keys two specs prepare images otherwise.

    Args:
        first: One.
        second: The other.

    Returns:
        Those of `INPUT_KEYS` that differ.
    """
    return [key for key in INPUT_KEYS if getattr(first, key) != getattr(second, key)]


def differences(
    first: Fingerprint,
    second: Fingerprint,
    names: Tuple[str, str],
    *,
    constants: bool = True,
) -> Sequence[str]:
    """Say what is unequal about two fingerprints.

    Args:
        first: One.
        second: The other.
        names: What each is called, as "the bins".
        constants: Whether the normalisation counts: not where pixels are compared that nobody has
            normalised yet.

    Returns:
        A sentence for each thing that is unequal; none where the inputs are the same at every
        width that both have.
    """
    one, two = names
    ours, theirs = dict(first.pixels), dict(second.pixels)
    common = sorted(set(ours) & set(theirs))
    said: List[str] = []
    if not common:
        said.append(f"{one} has width {_listed(ours)}, {two} {_listed(theirs)}")
    other = [width for width in common if ours[width] != theirs[width]]
    if other:
        said.append(
            f"{one} and {two} make other pixels of the same pictures at width {_listed(other)}:"
            " resized, coloured, turned or laid on a ground otherwise"
        )
    if not constants:
        return said
    for name, value, against in zip(CONSTANTS, first.constants, second.constants):
        if value != against:
            said.append(f"{name} is {value:g} in {one}, {against:g} in {two}")
    return said


def _listed(widths: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(widths)))


def _are_pixels(value: object) -> bool:
    if not isinstance(value, dict) or not value:
        return False
    widths = all(_WIDTH.fullmatch(str(width)) for width in value)
    return widths and all(_HASH.fullmatch(str(digest)) for digest in value.values())


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
