"""The option of how many times a word is read: ``--views``."""

from __future__ import annotations

import argparse

from crnn.cli.arguments import filled


def add_views(parser: argparse.ArgumentParser) -> None:
    """Declare ``--views``.

    Args:
        parser: The parser of the verb.
    """
    parser.add_argument(
        "--views",
        type=filled,
        metavar="N|NAMES",
        help=(
            "read each word in several views and keep the most probable reading: 1, 3, 5, 8, 18, or"
            " names such as near2,rot+3,inv (default: as the model's spec says, or 1)"
        ),
    )
