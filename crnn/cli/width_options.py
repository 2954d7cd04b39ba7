"""The options about widths that verbs share."""

from __future__ import annotations

import argparse
import dataclasses
from typing import TYPE_CHECKING, Sequence

from crnn.errors import UsageError
from crnn.widths import Widths, parsed

if TYPE_CHECKING:
    from crnn.spec import ModelSpec


def add_width_rule(parser: argparse.ArgumentParser) -> None:
    """Declare ``--width-rule``.

    Args:
        parser: The verb's.
    """
    parser.add_argument(
        "--width-rule",
        choices=("aspect", "off"),
        help=(
            "of a model with several widths: read each word at the one that fits its aspect"
            " (default), or all at the fixed one"
        ),
    )


def add_nearest_width(parser: argparse.ArgumentParser) -> None:
    """Declare ``--nearest-width``.

    Args:
        parser: The parser of the verb.
    """
    parser.add_argument(
        "--nearest-width",
        action="store_true",
        help="where OMs lack a width that their spec names, take the nearest that they have; the"
        " result then says so",
    )


def add_widths(parser: argparse.ArgumentParser) -> None:
    """Declare ``--widths`` and ``--factor``.

    Args:
        parser: The verb's.
    """
    parser.add_argument(
        "--widths",
        type=_widths,
        metavar="W,W,…",
        help=(
            "read each word at the width of these that fits its aspect, such as 80,100,128,160,200;"
            " the ONNX then takes any width"
        ),
    )
    parser.add_argument(
        "--factor",
        type=float,
        metavar="F",
        help="a word of W by H pixels goes to the width nearest to F * W / H (default: 36)",
    )


def by_widths(spec: ModelSpec, args: argparse.Namespace) -> ModelSpec:
    """Return a spec with the widths that the options name.

    Args:
        spec: The model's own.
        args: With ``widths`` and ``factor``.

    Returns:
        The spec; the own one where no option is set.

    Raises:
        InputError: A width or the factor is outside its range.
        UsageError: A factor without widths.
    """
    own = spec.widths
    if args.widths:
        own = dataclasses.replace(own or Widths(), list=tuple(args.widths))
    if args.factor is not None:
        if own is None:
            raise UsageError(
                "--factor belongs to --widths, and the model names no widths itself",
                hint="Name them, as in --widths 80,100,128,160,200.",
            )
        own = dataclasses.replace(own, factor=args.factor)
    return dataclasses.replace(spec, widths=own)


def _widths(text: str) -> Sequence[int]:
    try:
        return parsed(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"{text[:80]!r}: expected whole numbers from 1 to 65535 with commas between them"
        ) from error
