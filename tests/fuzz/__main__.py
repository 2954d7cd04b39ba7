"""``python -m tests.fuzz``: the long run."""

from __future__ import annotations

import argparse
import resource
import sys

from crnn.cli import console
from tests.fuzz.run import FuzzError, run
from tests.fuzz.targets import TARGETS

MEMORY = 4 << 30
"""Address space in bytes: a parser that allocates what a file merely claims runs into it."""


def main() -> int:
    """Run the targets and return 1 if one of them broke."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--target", choices=sorted(TARGETS), action="append", help="default: all")
    parser.add_argument(
        "--count", type=int, default=200_000, help="cases for each target (default %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=1, help="default %(default)s")
    parser.add_argument(
        "--first", type=int, default=0, help="the number of the first case, to run one again"
    )
    args = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    code = 0
    for name in args.target or sorted(TARGETS):
        try:
            report = run(TARGETS[name], args.count, args.seed, first=args.first)
        except FuzzError as error:
            console.note(str(error))
            code = 1
            continue
        endings = ", ".join(f"{count} {ending}" for ending, count in sorted(report.endings.items()))
        slowest = f"slowest {report.slowest * 1000:.0f} ms (case {report.slowest_case})"
        console.out(f"{name}: {args.count} cases in {report.seconds:.0f} s: {endings}; {slowest}")
    return code


if __name__ == "__main__":
    sys.exit(main())
