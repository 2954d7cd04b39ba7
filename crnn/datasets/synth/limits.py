"""What the values of the table of effects may be:

beyond it they cannot be drawn, or leave nothing to read.
"""

from __future__ import annotations

from typing import Mapping, Tuple

MAX_STEPS = 25
"""The longest label, with one step more for each repeated letter; the network has 26 steps."""

CHANCE = (0.0, 1.0)

# In the units of synth.yaml, both ends included. A label has as many letters as steps at most;
# strokes of no width leave a hollow letter empty; corners moved further inwards would cross in a
# narrow letter.
LIMITS: Mapping[str, Mapping[str, Tuple[float, float]]] = {
    "raised": {"factor": (0.2, 1)},
    "digits": {"length": (1, MAX_STEPS)},
    "random": {"length": (1, MAX_STEPS)},
    "length": {"mean": (1, MAX_STEPS), "spread": (0, MAX_STEPS)},
    "size": {"pixels": (8, 128)},
    "spacing": {"gap": (-0.3, 1)},
    "wide": {"gap": (-0.3, 1)},
    "initial": {"factor": (0.5, 2)},
    "dance": {"rise": (-0.5, 0.5)},
    "stretch": {"factor": (0.25, 4)},
    "condensed": {"factor": (0.25, 4)},
    "extended": {"factor": (0.25, 4)},
    "heavier": {"pixels": (0, 16)},
    "lighter": {"pixels": (0, 16)},
    "lamps": {"pitch": (0.04, 0.25)},
    "outline": {"pixels": (0, 16)},
    "hollow": {"pixels": (1, 16)},
    "block": {"depth": (0, 0.5)},
    "shadow": {"offset": (0, 1), "blur": (0, 0.5), "opacity": (0, 1)},
    "curve": {"rise": (-1, 1)},
    "rotation": {"degrees": (-180, 180)},
    "shear": {"factor": (-1, 1)},
    "slant": {"degrees": (-45, 45)},
    "perspective": {"shift": (-0.3, 0.3)},
    "crop": {"margin": (-0.2, 2)},
    "neighbours": {"gap": (0, 2)},
    "pieces": {"shown": (0, 1), "gap": (0, 1)},
    "contrast": {"gap": (0, 255)},
    "colour": {"saturation": (0, 1)},
    "hue": {"warm": (0, 1), "blue": (0, 1)},
    "gradient": {"span": (0, 255)},
    "texture": {"cell": (0.01, 5), "span": (0, 255)},
    "panel": {"span": (0, 255)},
    "clutter": {"count": (1, 64), "span": (0, 255)},
    "border": {"pixels": (1, 16)},
    "fill": {"span": (0, 255)},
    "glow": {"blur": (0, 1), "opacity": (0, 1)},
    "relief": {"depth": (0, 0.25), "span": (0, 255), "opacity": (0, 1)},
    "worn": {"cell": (0.01, 5), "share": (0, 0.8)},
    "light": {"span": (0, 1)},
    "resolution": {"height": (4, 256)},
    "blur": {"sigma": (0, 0.25)},
    "motion": {"pixels": (1, 32)},
    "screen": {"cell": (2, 32), "span": (0, 255)},
    "sharpen": {"amount": (0, 8)},
    "noise": {"sigma": (0, 128)},
    "gamma": {"exponent": (0.1, 10)},
    "jpeg": {"quality": (1, 100)},
}

WHOLE = ("length", "pixels", "count", "quality")
"""Values that are drawn as whole numbers, and given as such."""
