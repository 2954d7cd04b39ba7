"""What the ONNX read of the built-in pictures, kept in ``NAME.om.json`` for the box to compare."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Any, Callable, Dict, Mapping, Tuple

import numpy as np

from crnn.errors import InputError

MAX_LOGITS = 512 * 1024
"""Bytes of logits that are kept, as float32: with very many classes, those of fewer pictures."""
PICTURES = "strokes/1"
"""The pictures of `crnn.strokes`."""


@dataclass(frozen=True)
class Reference:
    """Texts and logits of the built-in pictures, as the ONNX model gave them.

    ``pictures`` names the pictures and ``pictures_sha256`` their pixels; ``logits`` are float32
    (T, n, K), those of the first n pictures.
    """

    pictures: str
    pictures_sha256: str
    texts: Tuple[str, ...]
    logits: np.ndarray

    def to_dict(self) -> Dict[str, Any]:
        """Return it as plain data; the logits as base64 of little-endian float32."""
        little = self.logits.astype("<f4")
        return {
            "pictures": self.pictures,
            "pictures_sha256": self.pictures_sha256,
            "texts": list(self.texts),
            "shape": list(self.logits.shape),
            "logits": base64.b64encode(little.tobytes()).decode("ascii"),
        }


def make_reference(pictures_sha256: str, texts: Tuple[str, ...], logits: np.ndarray) -> Reference:
    """Return what is kept of a reading.

    Args:
        pictures_sha256: The hash of the pixels that were read.
        texts: What was read, a text a picture.
        logits: float32 (T, N, K).

    Returns:
        The reference, with the logits of as many pictures as `MAX_LOGITS` holds.
    """
    steps, count, classes = logits.shape
    fitting = min(count, MAX_LOGITS // (4 * steps * classes))
    return Reference(PICTURES, pictures_sha256, texts, logits[:, :fitting])


def parse_reference(data: Mapping[str, Any], where: str) -> Reference:
    """Read what `Reference.to_dict` gave.

    Args:
        data: Plain data.
        where: Names the file in errors.

    Returns:
        The reference.

    Raises:
        InputError: A key is missing, unknown or wrong.
    """
    if set(data) != set(_CHECKS):
        odd = ", ".join(sorted(set(data) ^ set(_CHECKS)))
        raise InputError(f"{where}: reference: unknown or missing keys: {odd}")
    for key, check in _CHECKS.items():
        if not check(data[key]):
            raise InputError(f"{where}: reference: {key} is not what crnn compile writes")
    try:
        values = base64.b64decode(data["logits"], validate=True)
    except (ValueError, binascii.Error) as error:
        raise InputError(f"{where}: reference: logits are not base64: {error}") from error
    shape = tuple(data["shape"])
    size = 4
    for length in shape:
        size *= length
    if len(values) != size:
        raise InputError(
            f"{where}: reference: logits have {len(values)} bytes; expected {size} for {shape}"
        )
    logits = np.frombuffer(values, dtype="<f4").reshape(shape).astype(np.float32)
    return Reference(data["pictures"], data["pictures_sha256"], tuple(data["texts"]), logits)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _is_shape(value: Any) -> bool:
    if not isinstance(value, list) or len(value) != 3:
        return False
    return all(isinstance(size, int) and 0 <= size <= 1 << 20 for size in value)


_CHECKS: Mapping[str, Callable[[Any], bool]] = {
    "pictures": _is_text,
    "pictures_sha256": _is_text,
    "texts": _are_texts,
    "shape": _is_shape,
    "logits": _is_text,
}
