"""What a file may ask for: numbers that are bounded before anything is read or allocated.

docs/formats.md has them as a table. Each can be set by an environment variable, ``CRNN_MAX_LINE``
for "line" and so on, where a sound file needs more.
"""

from __future__ import annotations

import os
from typing import Mapping, NamedTuple

from crnn.errors import UsageError


class Limit(NamedTuple):
    """A limit: its value unless the user sets another, and what it is about."""

    value: int
    what: str


LIMITS: Mapping[str, Limit] = {
    "lexicon": Limit(1_000_000, "words in a lexicon"),
    "line": Limit(1 << 20, "bytes in a line of a text file"),
    "lines": Limit(20_000_000, "lines in a text file"),
    "text": Limit(64 << 20, "bytes in a recipe, a spec, a sidecar or another small text"),
    "result": Limit(512 << 20, "bytes in a result JSON or JSON Lines of readings"),
    "image_bytes": Limit(256 << 20, "bytes in an image file"),
    "pixels": Limit(50_000_000, "pixels in an image"),
    "side": Limit(65_535, "pixels along a side of an image"),
    "pixels_at_once": Limit(100_000_000, "pixels decoded at once, over all threads"),
    "input_values": Limit(1 << 20, "values in a model's image, as its spec says"),
    "steps": Limit(8192, "time steps of a model, as its spec says"),
    "characters": Limit(65_536, "characters in an alphabet"),
    "output_values": Limit(2 << 20, "values in a model's logits of one image"),
    "tensor_bytes": Limit(1 << 30, "bytes in a constant of an ONNX graph, as it declares"),
    "nodes": Limit(20_000, "operators in an ONNX graph"),
    "weights": Limit(100_000_000, "weights in a network, as a recipe says"),
    "yaml": Limit(512 << 10, "characters in YAML"),
    "yaml_depth": Limit(20, "lists and maps inside one another in YAML"),
}

PREFIX = "CRNN_MAX_"


def limit(name: str) -> int:
    """Return a limit.

    Args:
        name: Its name in `LIMITS`.

    Returns:
        What the environment says, or its own value.

    Raises:
        UsageError: The environment's is not a whole number from 1.
    """
    variable = PREFIX + name.upper()
    text = os.environ.get(variable, "")
    if not text:
        return LIMITS[name].value
    if not text.isascii() or not text.isdigit() or len(text) > 18 or int(text) < 1:
        raise UsageError(f"{variable} is {text[:80]!r}; expected a whole number from 1")
    return int(text)


def advice(name: str) -> str:
    """Return what to do where a limit is in the way.

    Args:
        name: Its name in `LIMITS`.

    Returns:
        A sentence for a hint.
    """
    return f"If that is meant, set the limit: {PREFIX}{name.upper()}=NUMBER"
