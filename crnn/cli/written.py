"""The files that a command writes: none of them may be another file of the command."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Dict, FrozenSet, Iterator, Tuple

from crnn.errors import InputError


def add_written(parser: argparse.ArgumentParser, *names: str) -> None:
    """Declare which arguments, by the names of their values, are files that the command writes."""
    parser.set_defaults(written=(*(parser.get_default("written") or ()), *names))


def refuse_overwriting(args: argparse.Namespace) -> None:
    """Raise `InputError` where a file to be written is another file of the command, or of an LMDB:

    it would be lost.
    """
    written = frozenset(getattr(args, "written", ()))
    known: Dict[Path, str] = {}
    for name, path in sorted(_paths(args, written), key=lambda entry: entry[0] in written):
        place = path.resolve()
        if name in written and place in known and not (place.is_dir() or place.is_char_device()):
            raise InputError(
                f"{path} is named twice, as {known[place]} and as {name}, and would be overwritten"
            )
        if name in written and place.name in ("data.mdb", "lock.mdb") and place.exists():
            raise InputError(
                f"{path} is part of an LMDB, which would be lost; expected another file for {name}"
            )
        known[place] = name


def _paths(args: argparse.Namespace, written: FrozenSet[str]) -> Iterator[Tuple[str, Path]]:
    for name, value in vars(args).items():
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, Path):
                yield name, one
            elif isinstance(one, str) and name in written and one != "-":
                yield name, Path(one)
