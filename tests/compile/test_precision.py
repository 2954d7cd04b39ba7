"""The sentence about precision agrees with ATC's flags, --extra's included."""

from __future__ import annotations

from typing import Optional

import pytest

from crnn.compile.precision import precision_note

HALF = "ATC computes in FP16"
FULL = "precision mode force_fp32 (the LSTMs stay in FP16: CANN's LSTM takes nothing else)"


@pytest.mark.parametrize(
    ("mode", "aipp", "extra", "said"),
    [
        (None, False, "", f"{HALF}; the input is FP32, the output FP32"),
        (None, True, "", f"{HALF}; the input is uint8 (AIPP normalises), the output FP32"),
        ("force_fp32", False, "", f"{FULL}; the input is FP32, the output FP32"),
        (
            None,
            False,
            "--precision_mode_v2=origin --output_type=FP16",
            "precision mode origin; the input is FP32, the output FP16",
        ),
        (None, False, "--precision-mode-v2 fp16", f"{HALF}; the input is FP32, the output FP32"),
        (None, False, "--output_type=Conv_0:0:FP16", f"{HALF}; the input is FP32, the output FP16"),
        (None, False, "--input_fp16_nodes=x", f"{HALF}; the input is FP16, the output FP32"),
        (None, False, "--log='", f"{HALF}; the input is FP32, the output FP32"),
    ],
)
def test_precision_note(mode: Optional[str], aipp: bool, extra: str, said: str) -> None:
    assert precision_note(mode, aipp, extra) == said
