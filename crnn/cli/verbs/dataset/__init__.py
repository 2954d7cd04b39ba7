"""``crnn dataset``: one module a subcommand, each with what a verb's module has."""

from __future__ import annotations

import argparse
import importlib

from crnn.cli.main import add_command

HELP = "Convert, check, show, merge, split and render data sets."
EXAMPLE = """  crnn dataset convert iiit5k IIIT5K/ IIIT5K_lmdb --split test
  crnn dataset check IIIT5K_lmdb
  crnn dataset synth words_lmdb --count 100000 --seed 1"""

COMMANDS = ("convert", "check", "stats", "show", "extract", "merge", "split", "synth")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the subcommands and their arguments."""
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name in COMMANDS:
        module = importlib.import_module(f"crnn.cli.verbs.dataset.{name}")
        command = add_command(commands, name, module)
        command.set_defaults(run_command=module.run, parser=command)


def run(args: argparse.Namespace) -> int:
    """Run the subcommand."""
    return int(args.run_command(args))
