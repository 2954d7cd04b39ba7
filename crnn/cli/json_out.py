"""``--json FILE|-``: what a verb has to say, for programs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, Optional

from crnn.cli import console, filled
from crnn.cli.written import add_written

STDOUT = "-"


def add_json(parser: argparse.ArgumentParser) -> None:
    """Declare ``--json``."""
    parser.add_argument(
        "--json",
        type=filled,
        metavar="FILE|-",
        help="write the result as JSON too, or print JSON alone",
    )
    add_written(parser, "json")


def require_json(target: Optional[str]) -> None:
    """Refuse a file that cannot be written; to be asked before the work whose result it takes."""
    if target not in (None, STDOUT):
        from crnn.files import require_target

        require_target(Path(target))


def put_json(value: Any, target: Optional[str]) -> bool:
    """Write ``value`` where ``--json`` says, if it was given; True if that is stdout, which is then
    taken.
    """
    if target == STDOUT:
        console.out_json(value)
        return True
    if target is not None:
        from crnn.files import json_text, write_text

        write_text(Path(target), json_text(value, indent=1) + "\n")
    return False
