"""``crnn explain``."""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any, Dict

from crnn.cann import codes
from crnn.cli import console
from crnn.cli.arguments import add_json, put_json

HELP = "Say what a return code of ACL or an error code of ATC means, and what to do."
EXAMPLE = "  crnn explain 507011\n  crnn explain E10016 ACL_ERROR_RT_CONTEXT_NULL --json -"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument(
        "codes",
        nargs="+",
        metavar="CODE",
        help="a code (507011, 0x7BC83, E10016, EZ9999) or its ACL_… name",
    )
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Print each code's entry; return 1 if one of them is not documented."""
    entries = [_explain(code) for code in args.codes]
    if not put_json(entries, args.json):
        for entry in entries:
            console.out_fields(
                {key: value for key, value in entry.items() if key != "documented" and value}
            )
            console.out()
    if all(entry["documented"] for entry in entries):
        return 0
    return 1


def _explain(text: str) -> Dict[str, Any]:
    found = codes.code(text)
    reading = codes.reading(found.code if found else text)
    if found:
        entry = dataclasses.asdict(found)
        del entry["own"]
        return {**entry, "reading": reading, "documented": True}
    near = [f"{entry.code} {entry.meaning}" for entry in codes.nearest(text)]
    meaning = "not documented, and of no form that CANN uses"
    if codes.is_of_a_form(text):
        meaning = "not documented"
    return {
        "code": text,
        "meaning": meaning,
        "reading": reading,
        "nearest": near,
        "documented": False,
    }
