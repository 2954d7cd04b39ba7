"""Numbers on a command line, refused where they make no sense."""

from __future__ import annotations

import argparse
import contextlib


def positive(text: str) -> int:
    """Parse a whole number from 1."""
    return _whole(text, 1)


def natural(text: str) -> int:
    """Parse a whole number from 0."""
    return _whole(text, 0)


def fraction(text: str) -> float:
    """Parse a fraction from 0 to 1."""
    with contextlib.suppress(ValueError):
        if 0 <= float(text) <= 1:
            return float(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no fraction from 0 to 1; write 79 % as 0.79")


def milliseconds(text: str) -> float:
    """Parse a time above 0."""
    with contextlib.suppress(ValueError):
        if 0 < float(text) < 1e9:
            return float(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no number of milliseconds; write 20 or 2.5")


def _whole(text: str, least: int) -> int:
    # A limit in digits, since Python refuses to parse very long ones.
    if text.isascii() and text.isdigit() and len(text) < 10 and int(text) >= least:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {least}")
