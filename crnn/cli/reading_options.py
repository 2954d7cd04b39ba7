"""The options of how words are read, shared by verbs: at which widths and in which views, what may
be read, and how sure a model is.
"""

from __future__ import annotations

import argparse
import dataclasses
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Optional, Sequence

from crnn.cli.arguments import filled, fraction, natural, path, positive
from crnn.errors import UsageError
from crnn.widths import Widths, parsed

if TYPE_CHECKING:
    from crnn.decoding.decoder import DecodingOptions
    from crnn.jobs.sure import SureOptions
    from crnn.results import Evaluation
    from crnn.spec import ModelSpec

NONE = "none"
"""A column of a table without a lexicon."""

DEFAULT_BEAM = 10


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
            " the CRNN paper, those within edit distance 3 of what is read without (default: auto)"
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
        default=DEFAULT_BEAM,
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
        if args.beam != DEFAULT_BEAM and not lexicons:
            raise UsageError("--beam goes with --lexicon, --pattern or --alternatives")
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


def add_sure(parser: argparse.ArgumentParser, *, labelled: bool = True) -> None:
    """Declare what is asked of how sure a model is.

    Args:
        parser: The parser of the verb.
        labelled: Whether the verb knows which words are right.
    """
    group = parser.add_argument_group("how sure")
    told = "the probability of each text, over all its CTC paths"
    if labelled:
        told += ", and how well it tells right from wrong"
    group.add_argument("--probability", action="store_true", help=told)
    group.add_argument(
        "--characters",
        action="store_true",
        help="of each character its class, probability, first and last column in the picture,"
        " in the JSON",
    )
    threshold = group.add_mutually_exclusive_group()
    threshold.add_argument(
        "--reject", type=fraction, metavar="P", help="reject words less probable than this"
    )
    if labelled:
        threshold.add_argument(
            "--reject-for",
            type=fraction,
            metavar="F",
            help="find the P for which this fraction of the kept words is right, such as 0.99",
        )
    threshold.add_argument(
        "--reject-from",
        type=path,
        metavar="RESULT.json",
        help="reject by the P that evaluate --reject-for found on another set",
    )


def sure_options(args: argparse.Namespace) -> Optional[SureOptions]:
    """Return what the options of `add_sure` say.

    Args:
        args: The parsed arguments.

    Returns:
        The options; None where nothing was asked.
    """
    asked = [args.reject, getattr(args, "reject_for", None), args.reject_from]
    if not args.probability and not args.characters and asked == [None] * 3:
        return None
    from crnn.jobs.sure import SureOptions

    return SureOptions(
        probability=args.probability,
        characters=args.characters,
        reject=args.reject,
        reject_for=getattr(args, "reject_for", None),
        reject_from=args.reject_from,
    )


def sure_table(args: argparse.Namespace, evaluation: Evaluation) -> Iterator[str]:
    """Yield the reliability table and the accuracy of the surest words, where asked for.

    Args:
        args: The parsed arguments.
        evaluation: Has the figures.

    Yields:
        A line each.
    """
    if args.probability and evaluation.sureness is not None:
        from crnn.reports.sureness import table

        yield from table(evaluation.sureness)


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
            " names such as near2,rot+3,inv (default: as the model's spec says, or 1; of bins those"
            " that they were prepared in)"
        ),
    )
