"""``crnn dataset check``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, Dict

from crnn.cli import console
from crnn.cli.arguments import add_json, add_labelled_data, positive, put_json, read_alphabet
from crnn.errors import CheckError
from crnn.labels import DIGITS_AND_LETTERS

HELP = (
    "Check an LMDB: gaps, counts, images, labels; duplicates; images shared with another set. Exit"
    " 3 if it fails."
)
EXAMPLE = """  crnn dataset check MJ_lmdb
  crnn dataset check train_lmdb --against IIIT5K_lmdb --strict --json -"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_labelled_data(parser)
    parser.add_argument(
        "--against",
        type=Path,
        action="append",
        default=[],
        metavar="DATA",
        help="a set to keep apart",
    )
    parser.add_argument(
        "--alphabet", metavar="TEXT|@FILE", help="the model's characters (default: 0-9a-z)"
    )
    parser.add_argument(
        "--time-steps",
        type=positive,
        default=26,
        metavar="T",
        help="the model's time steps (default: 26)",
    )
    parser.add_argument(
        "--strict", action="store_true", help="fail for duplicates and shared images too"
    )
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Print what was found; `CheckError` unless the data pass."""
    from crnn.datasets.check import Verdict, check, parse_rules

    rules = parse_rules(read_alphabet(args.alphabet) or DIGITS_AND_LETTERS, args.time_steps)
    with console.progress("samples", None) as advance:
        found: Verdict = check(args.data, rules, against=args.against, advance=advance)
    passed = found.passed(strict=args.strict)
    fields: Dict[str, Any] = {"samples": found.samples, "verdict": "passed" if passed else "failed"}
    examples = {
        reason: [f"{one.key}: {one.problem.detail}".strip(": ") for one in few]
        for reason, few in found.examples.items()
    }
    kinds = {"errors": dict(found.errors), "warnings": dict(found.warnings)}
    if not put_json({**fields, **kinds, "examples": examples, "strict": args.strict}, args.json):
        console.out_fields({**fields, **{kind: counts or "none" for kind, counts in kinds.items()}})
        for reason, few in examples.items():
            console.note(f"{reason}: {'; '.join(few[:3])}{' …' if len(few) > 3 else ''}")
    if not passed:
        wrong = {**found.errors, **(found.warnings if args.strict else {})}
        raise CheckError(
            f"{args.data} fails:"
            f" {', '.join(f'{count} {reason}' for reason, count in wrong.items())}"
        )
    return 0
