"""An Evaluation as lines for a screen."""

from __future__ import annotations

from typing import Iterator, List, Optional, Sequence, Tuple

from crnn.results import Comparison, Evaluation, Problem

SIMULATED = "SIMULATED  no chip ran this; its times are no chip's"


def lines(
    evaluation: Evaluation, comparison: Optional[Comparison], *, misses: int
) -> Iterator[str]:
    """Yield the summary, the worst ``misses`` and the comparison."""
    yield from summary(evaluation)
    for reading in evaluation.misses[:misses]:
        yield f"{reading.key}  label:{reading.label}  pred:{reading.text}"
    if comparison:
        yield from differences(comparison)


def summary(evaluation: Evaluation) -> List[str]:
    """Return the figures a person looks for first, a line each; a simulated run says so in its
    first line.
    """
    low, high = evaluation.interval95
    head = [SIMULATED] if evaluation.simulated else []
    return [
        *head,
        (
            f"accuracy   {evaluation.accuracy:.4f}  ({evaluation.correct} of {evaluation.total}"
            f" words; 95 % interval {low:.4f} to {high:.4f})"
        ),
        *([f"protocol   {evaluation.protocol['name']}"] if evaluation.protocol.get("name") else []),
        f"characters error rate {evaluation.cer:.4f}, 1-NED {evaluation.ned1:.4f}",
        f"speed      {evaluation.throughput:.0f} words/s  ({_run_by(evaluation)})",
    ]


def accuracy(evaluation: Evaluation) -> str:
    """Return accuracy and counts in a few words; those of a simulated run say so."""
    mark = ", SIMULATED" if evaluation.simulated else ""
    return (
        f"accuracy {evaluation.accuracy:.4f} ({evaluation.correct} of {evaluation.total}"
        f" words{mark})"
    )


def _run_by(evaluation: Evaluation) -> str:
    if evaluation.device == "none":
        return "scoring alone: another tool ran the model"
    threads = _count(evaluation.threads, "thread")
    return f"{evaluation.backend} on {evaluation.device}, batch {evaluation.batch}, {threads}"


def problems(evaluation: Evaluation, named: Sequence[Tuple[str, Problem]]) -> Iterator[str]:
    """Yield each reason with its count and its first few samples."""
    for reason, count in evaluation.skipped.items():
        yield f"{reason}: {count}"
        shown = [(key, problem) for key, problem in named if problem.reason == reason]
        for key, problem in shown:
            yield f"  {key}{': ' if problem.detail else ''}{problem.detail}"
        if count > len(shown):
            yield f"  and {count - len(shown)} more"


def differences(comparison: Comparison) -> Iterator[str]:
    """Yield the words that two runs read differently, then the paired test."""
    for word in comparison.differing:
        yield f"differs  {word.key}  label:{word.label}  this:{word.text}  other:{word.other}"
    test = comparison.test
    low, high = test.interval95
    mark = "(SIMULATED) " if comparison.simulated else ""
    yield (
        f"against    {mark}{_count(len(comparison.differing), 'word')}"
        f" read differently; right only here {test.only_second}, only there {test.only_first};"
        f" accuracy {test.difference:+.4f} (95 % interval {low:+.4f} to {high:+.4f}; McNemar p ="
        f" {test.p_value:.3g})"
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
