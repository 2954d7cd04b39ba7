"""Which words are trained on, and as what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Tuple

from crnn.labels import NO_LABEL, OUTSIDE, TOO_LONG, steps, strip
from crnn.spec import ModelSpec

SHORT = "shorter than min_text_length"
LONG = "longer than max_text_length"


@dataclass(frozen=True)
class LabelRules:
    """Takes labels in, or says why not.

    Case is folded as the spec says; characters outside the alphabet are taken out where ``strip``
    is set, else they cost the word; so does a length outside the limits, unless ``cut`` cuts it. A
    label that CTC cannot spell in the network's time steps, repeated characters counted twice, is
    never taken: its loss would be infinite. ``most_steps`` are the network's where it has several
    widths; None for the spec's.
    """

    spec: ModelSpec
    strip: bool = False
    min_length: int = 1
    max_length: Optional[int] = None
    cut: bool = False
    most_steps: Optional[int] = None

    def __post_init__(self) -> None:
        # Kept here: millions of labels are looked at.
        object.__setattr__(self, "_known", frozenset(self.spec.characters))

    def take(self, label: Optional[str]) -> Tuple[str, str]:
        """Return the text to train on and "", or "" and the reason."""
        known = self._known  # type: ignore[attr-defined]
        if label is None:
            return "", NO_LABEL
        text = self.spec.fold(label)
        if not known.issuperset(text):
            if not self.strip:
                return "", OUTSIDE
            text = strip(text, known)
        if self.max_length is not None and len(text) > self.max_length:
            if not self.cut:
                return "", LONG
            text = text[: self.max_length]
        if len(text) < self.min_length:
            return "", SHORT
        if steps(text) > (self.most_steps or self.spec.time_steps):
            return "", TOO_LONG
        return text, ""
