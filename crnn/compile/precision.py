"""What an OM will compute in and give out, in a sentence, by ATC's flags."""

from __future__ import annotations

import shlex
from typing import Dict, List, Optional

_DEFAULT = "force_fp16"
_HALF = ("force_fp16", "fp16")
_FULL = ("force_fp32", "cube_fp16in_fp32out")


def precision_note(mode: Optional[str], aipp: bool, extra: str) -> str:
    """Say in which precision an OM computes, and what it takes and gives.

    Args:
        mode: The value of --precision_mode; None for ATC's own.
        aipp: Whether the OM takes pixels.
        extra: The further flags for ATC, as --extra has them: --precision_mode_v2, --output_type
            and --input_fp16_nodes change what is said.

    Returns:
        A sentence without its full stop.
    """
    flags = _flags(extra)
    chosen = flags.get("precision_mode_v2") or mode or _DEFAULT
    computes = f"precision mode {chosen}"
    if chosen in _HALF:
        computes = "ATC computes in FP16"
    elif chosen in _FULL:
        computes += " (the LSTMs stay in FP16: CANN's LSTM takes nothing else)"
    inputs = "FP32"
    if aipp:
        inputs = "uint8 (AIPP normalises)"
    elif flags.get("input_fp16_nodes"):
        inputs = "FP16"
    output = flags.get("output_type", "FP32").rpartition(":")[2]
    return f"{computes}; the input is {inputs}, the output {output}"


def _flags(extra: str) -> Dict[str, str]:
    """Read ``--a=1 --b 2``; hyphens in names as underscores, as ATC takes them."""
    words: List[str] = []
    try:
        words = shlex.split(extra)
    except ValueError:
        return {}
    found = {}
    name = ""
    for word in words:
        if word.startswith("-"):
            name, _, value = word.lstrip("-").partition("=")
            name = name.replace("-", "_")
            found[name] = value
        elif name:
            found[name] = word
    return found
