"""An Evaluation as lines for a screen."""

from __future__ import annotations

from typing import Any, Iterator, List, Mapping, Optional, Sequence, Tuple

from crnn.batch import Problem, problem_lines
from crnn.results import Comparison, Evaluation, RunInfo

SIMULATED = "SIMULATED  no chip ran this; its times are no chip's"


DIFFERENCES = 20
"""How many words that two runs read differently are shown where nothing else is asked for."""


def lines(
    evaluation: Evaluation,
    comparison: Optional[Comparison],
    *,
    misses: int,
    shown: int = DIFFERENCES,
) -> Iterator[str]:
    """Yield what a person reads of an evaluation.

    Args:
        evaluation: Its figures come first.
        comparison: Comes last, where there is one.
        misses: How many of the worst misses are shown.
        shown: How many of the words that differ are.

    Yields:
        A line each.
    """
    yield from summary(evaluation)
    if evaluation.sureness is not None:
        from crnn.reports import sureness

        yield from sureness.lines(evaluation.sureness)
    for reading in evaluation.misses[:misses]:
        yield f"{reading.key}  label:{_visible(reading.label)}  pred:{reading.text}"
    if comparison:
        yield from differences(comparison, shown)


def summary(evaluation: Evaluation) -> List[str]:
    """Return the figures a person looks for first, a line each; a simulated run says so in its
    first line.
    """
    low, high = evaluation.interval95
    found: List[str] = []
    if evaluation.run.simulated:
        found.append(simulated(evaluation.run))
    found.append(
        f"accuracy   {evaluation.accuracy:.4f}  ({evaluation.correct} of {evaluation.total}"
        f" words; 95 % interval {low:.4f} to {high:.4f})"
    )
    protocol = evaluation.protocol.get("name")
    if protocol:
        found.append(f"protocol   {protocol}")
    if evaluation.decoding:
        found.append(_restricted(evaluation.decoding))
    found.append(f"character error rate {evaluation.cer:.4f}, 1-NED {evaluation.one_minus_ned:.4f}")
    found.append(f"speed      {evaluation.throughput:.0f} words/s  ({_run_by(evaluation)})")
    for width, counts in evaluation.by_width.items():
        found.append(_at_width(width, counts))
    if evaluation.views:
        found.append(_of_views(evaluation.views))
    return found


def _of_views(views: Mapping[str, Any]) -> str:
    """Return which views gave the readings, and how many are right where all of them agree."""
    kept: List[str] = []
    for name, counts in views["kept"].items():
        kept.append(f"{name} {counts['words']}")
    agree = views["agree"]
    disagree = views["disagree"]
    return (
        f"views      kept {', '.join(kept)}; all agree on {_count(agree['words'], 'word')}"
        f" ({agree['accuracy']:.4f} right), not on {disagree['words']}"
        f" ({disagree['accuracy']:.4f} right)"
    )


def _restricted(decoding: Mapping[str, Any]) -> str:
    """Return what restricted the texts."""
    if "pattern" in decoding:
        return f"pattern    {decoding['pattern']}  (beam {decoding['beam']})"
    if "allow" in decoding:
        return f"allowed    {decoding['allow']}"
    how = str(decoding["method"])
    if how == "beam":
        how += f" {decoding['beam']}"
    return (
        f"lexicon    {decoding['lexicon']}  ({decoding['words']} words, {decoding['left_out']} left"
        f" out; {how})"
    )


def _at_width(width: int, counts: Mapping[str, float]) -> str:
    speed = ""
    if counts["words_per_second"]:
        speed = f", inference {counts['words_per_second']:.0f} words/s"
    words = int(counts["words"])
    right = int(counts["correct"])
    return f"width {width:<4} {counts['accuracy']:.4f}  ({right} of {words} words{speed})"


def simulated(run: RunInfo) -> str:
    """Return the line that stands before whatever came of a simulated run.

    Args:
        run: A simulated run.

    Returns:
        The line, with the precision where it was rehearsed.
    """
    if run.rehearsed:
        return f"{SIMULATED}; {run.rehearsed} was rehearsed on this processor"
    return SIMULATED


def accuracy(evaluation: Evaluation) -> str:
    """Return accuracy and counts in a few words; those of a simulated run say so.

    Args:
        evaluation: What was counted.

    Returns:
        The line.
    """
    mark = ""
    if evaluation.run.simulated:
        mark = ", SIMULATED"
    return (
        f"accuracy {evaluation.accuracy:.4f} ({evaluation.correct} of {evaluation.total}"
        f" words{mark})"
    )


def _visible(label: Optional[str]) -> str:
    r"""Return a label so that a space at its end, or a ``\r``, can be seen."""
    text = str(label)
    if text.isprintable() and text == text.strip():
        return text
    return repr(text)


def _run_by(evaluation: Evaluation) -> str:
    run = evaluation.run
    if run.backend is None:
        return "scoring alone: another tool ran the model"
    threads = _count(run.threads, "thread")
    return f"{run.backend} on {run.device}, batch {evaluation.batch}, {threads}"


def problems(evaluation: Evaluation, named: Sequence[Tuple[str, Problem]]) -> Iterator[str]:
    """Yield each reason with its count and its first few samples.

    Args:
        evaluation: Has the counts.
        named: Samples by name, each with its problem.

    Yields:
        A line each.
    """
    yield from problem_lines(evaluation.skipped, named)


def differences(comparison: Comparison, shown: int = DIFFERENCES) -> Iterator[str]:
    """Yield the words that two runs read differently, regressions first, then the paired test.

    Args:
        comparison: Of this run with another.
        shown: How many words are shown.

    Yields:
        A line each.
    """
    for word in comparison.differing[:shown]:
        mark = word.change or "differs"
        yield f"{mark}  {word.key}  label:{word.label}  this:{word.text}  other:{word.other}"
    more = comparison.differ - shown
    if more > 0:
        yield f"… and {more} more (--show-differences N shows them, --json FILE has them)"
    test = comparison.test
    low, high = test.interval95
    mark = ""
    if comparison.simulated:
        mark = "(SIMULATED) "
    yield (
        f"against    {mark}{_count(comparison.differ, 'word')}"
        f" read differently; right only here {test.only_second}, only there {test.only_first};"
        f" accuracy {test.difference:+.4f} (95 % interval {low:+.4f} to {high:+.4f}; McNemar p ="
        f" {test.p_value:.3g})"
    )


def _count(number: int, noun: str) -> str:
    if number == 1:
        return f"1 {noun}"
    return f"{number} {noun}s"
