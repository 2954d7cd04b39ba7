"""``--nearest-width``, for the verbs that run a set of OMs."""

from __future__ import annotations

import argparse


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
