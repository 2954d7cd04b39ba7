"""The options of what may be read: a lexicon, a pattern, some characters; and of alternatives."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any, Dict, List, Optional

from crnn.cli.arguments import natural, path, positive
from crnn.errors import UsageError

if TYPE_CHECKING:
    from crnn.decoding.decoder import DecodingOptions

NONE = "none"
"""A column of a table without a lexicon."""


def add_decoding(parser: argparse.ArgumentParser, *, samples: bool = True) -> None:
    """Declare what may be read.

    Args:
        parser: The parser of the verb.
        samples: Whether the verb reads data sets, which may keep lexicons.
    """
    group = parser.add_argument_group("what may be read")
    names, told = "FILE", "one of these words: a file of UTF-8, a word a line"
    if samples:
        names = "FILE|per-sample|full"
        told += (
            "; the list that the LMDB keeps for each sample (the smallest; per-sample:2 the next);"
            " or the LMDB's list for all. Several, and none, are columns of a table"
        )
    group.add_argument("--lexicon", action="append", metavar=names, help=told)
    if samples:
        group.add_argument(
            "--lexicons",
            type=path,
            metavar="LMDB|FILE",
            help=(
                "where the samples' lexicons are, if DATA is not their LMDB: an LMDB, or a file as"
                " crnn dataset extract writes it, lexicons.txt"
            ),
        )
    group.add_argument(
        "--lexicon-method",
        choices=("auto", "exact", "beam", "paper"),
        default="auto",
        help=(
            "score every word (auto: up to 1000), those that a beam keeps (auto: above), or, as in"
            " the CRNN paper, those within edit distance 3 of what is read without"
        ),
    )
    group.add_argument(
        "--allow",
        metavar="LIST",
        help="these characters alone, such as 0-9A-Z; case counts as the model folds it",
    )
    group.add_argument(
        "--pattern",
        metavar="PATTERN",
        help="a text of this pattern, such as '[a-z]{2}[0-9]{4}' (docs/decoding.md)",
    )
    group.add_argument(
        "--beam",
        type=positive,
        default=10,
        metavar="N",
        help="beginnings of texts that a beam keeps (default 10)",
    )
    group.add_argument(
        "--alternatives",
        type=natural,
        default=0,
        metavar="N",
        help="the N likeliest texts of each word with their probabilities, in the JSON",
    )


def decoding_options(args: argparse.Namespace) -> Optional[DecodingOptions]:
    """Return what the options of `add_decoding` say.

    Args:
        args: The parsed arguments, with at most one lexicon.

    Returns:
        The options; None where nothing was asked.

    Raises:
        UsageError: Several lexicons.
    """
    lexicons: List[str] = args.lexicon or []
    if len(lexicons) > 1:
        raise UsageError("--lexicon may be given once here; crnn evaluate makes a table of several")
    lexicon: Optional[str] = None
    if lexicons and lexicons[0] != NONE:
        lexicon = lexicons[0]
    asked = (lexicon, args.allow, args.pattern, args.alternatives or None)
    if asked == (None,) * 4:
        if args.lexicon_method != "auto" and not lexicons:
            raise UsageError("--lexicon-method goes with --lexicon")
        return None
    from crnn.decoding.decoder import DecodingOptions

    return DecodingOptions(
        lexicon=lexicon,
        method=args.lexicon_method,
        beam=args.beam,
        allow=args.allow,
        pattern=args.pattern,
        alternatives=args.alternatives,
    )


def decoding_arguments(args: argparse.Namespace) -> Dict[str, Any]:
    """Return what the options of `add_decoding` say as arguments of `crnn.recognizer.Recognizer`.

    Args:
        args: The parsed arguments, with at most one lexicon.

    Returns:
        The arguments by their names; none where nothing was asked.

    Raises:
        UsageError: Several lexicons.
    """
    options = decoding_options(args)
    if options is None:
        return {}
    return {
        "lexicon": options.lexicon,
        "lexicon_method": options.method,
        "allow": options.allow,
        "pattern": options.pattern,
        "beam": options.beam,
        "alternatives": options.alternatives,
    }


def with_lexicon(args: argparse.Namespace, lexicon: str) -> Optional[DecodingOptions]:
    """Return the options of a column of a table of several lexicons.

    Args:
        args: The parsed arguments.
        lexicon: The column's, or `NONE`.

    Returns:
        The column's options; None where nothing but the lexicon was asked and there is none.
    """
    one = argparse.Namespace(**vars(args))
    one.lexicon = [lexicon]
    if lexicon == NONE:
        one.lexicon_method = "auto"
    return decoding_options(one)
