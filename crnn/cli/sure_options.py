"""The options of how sure a model is: ``--probability``, ``--characters``, ``--reject`` and
``--views``.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Iterator, Optional

from crnn.cli.arguments import filled, fraction, path

if TYPE_CHECKING:
    from crnn.jobs.sure import SureOptions
    from crnn.results import Evaluation


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
        help="of each character its class, probability, first and last column in the picture",
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
            " names such as near2,rot+3,inv (default: as the model's spec says, or 1)"
        ),
    )
