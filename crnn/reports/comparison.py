"""Sides beside each other: lines for a screen, and the JSON of ``crnn-comparison/1``."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence

from crnn.reports.result_json import against_dict, difference_dict, run_dict
from crnn.reports.text import DIFFERENCES, SIMULATED
from crnn.results import Comparison, Difference, LogDifferences, RunInfo, Side, SideBySide, SweepRun

SCHEMA = "crnn-comparison/1"
LONGEST = 100
"""Characters of a label or text that a line shows."""


def lines(result: SideBySide, *, shown: int = DIFFERENCES) -> Iterator[str]:
    """Yield what a person reads of a comparison, the verdict first.

    Args:
        result: Sides over the same words.
        shown: How many of the words that differ are shown of each side.

    Yields:
        A line each.
    """
    if any(side.simulated for side in result.sides):
        yield SIMULATED
    for letter, comparison in zip(_letters(1), result.comparisons):
        begin = ""
        if len(result.comparisons) > 1:
            begin = f"{letter}: "
        yield f"{begin}{verdict(comparison)}"
    if not result.comparisons:
        yield sweep_verdict(result.sweep)
    for letter, side in zip(_letters(0), result.sides):
        yield _side(letter, side)
    for sentence in result.inputs:
        yield f"inputs     {sentence}"
    for letter, comparison in zip(_letters(1), result.comparisons):
        yield from _comparison(letter, comparison, shown)
    yield from _sweep(result, shown)
    yield from result_lines(result.failures, result.checks)


def verdict(comparison: Comparison) -> str:
    """Say in a few words whether two sides read the same.

    Args:
        comparison: Of a side with the reference.

    Returns:
        "SAME TEXT: 2000 of 2000 words", or "12 of 2000 words differ".
    """
    words = comparison.words
    if not comparison.differ:
        return f"SAME TEXT: {words} of {words} words"
    return f"{comparison.differ} of {words} words differ"


def sweep_verdict(runs: Sequence[SweepRun]) -> str:
    """Say in a few words whether models read the same however they are run.

    Args:
        runs: Each combination of batch, device and threads.

    Returns:
        "SAME TEXT in 12 runs", or in how many the text differs.
    """
    other = sum(run.differ > 0 for run in runs)
    if not other:
        return f"SAME TEXT in {len(runs)} runs with other batches, devices or threads"
    return f"ANOTHER TEXT in {other} of {len(runs)} runs with other batches, devices or threads"


def _sweep(result: SideBySide, shown: int) -> Iterator[str]:
    if not result.sweep:
        return
    if result.comparisons:
        yield sweep_verdict(result.sweep)
    for letter, side in zip(_letters(0), result.sides):
        runs = [run for run in result.sweep if run.side == side.name]
        for place, batches in _same(runs).items():
            yield f"{letter} reads the same on {place}: batch {', '.join(map(str, batches))}"
        for run in runs:
            if not run.differ:
                continue
            where = f"{letter} on {_place(run)}, batch {run.batch}"
            yield f"{where}: {run.differ} of {run.words} words differ"
            for word in run.differing[:shown]:
                yield _word("now", word, first="at first")


def _same(runs: Sequence[SweepRun]) -> Dict[str, List[int]]:
    """Return the batches with which a model reads the same, by device and threads."""
    found: Dict[str, List[int]] = {}
    for run in runs:
        if not run.differ:
            found.setdefault(_place(run), []).append(run.batch)
    return found


def _place(run: SweepRun) -> str:
    return f"{run.device}, threads {run.threads}"


def result_lines(failures: Sequence[str], checks: Mapping[str, float]) -> Iterator[str]:
    """Yield how the checks came out.

    Args:
        failures: Those that did not hold, a sentence each.
        checks: What was asked for.

    Yields:
        PASS with what was asked for, or FAIL with each reason.
    """
    if failures:
        for failure in failures:
            yield f"FAIL       {failure}"
        return
    asked = []
    for name, limit in checks.items():
        asked.append(f"--{name.replace('_', '-')} {limit}")
    yield f"PASS       {', '.join(asked)}"


def to_dict(result: SideBySide) -> Dict[str, Any]:
    """Return a comparison as plain data.

    Args:
        result: Sides over the same words.

    Returns:
        The fields of ``crnn-comparison/1``.
    """
    comparisons: List[Dict[str, Any]] = []
    for side, comparison in zip(result.sides[1:], result.comparisons):
        comparisons.append(comparison_dict(result.sides[0].name, side.name, comparison))
    differ = sum(comparison.differ for comparison in result.comparisons)
    differ += sum(run.differ for run in result.sweep)
    data: Dict[str, Any] = {
        "schema": SCHEMA,
        "same_text": not differ,
        "passed": not result.failures,
        "checks": dict(result.checks),
        "failures": list(result.failures),
        "sides": [_side_dict(side) for side in result.sides],
        "comparisons": comparisons,
        "inputs": list(result.inputs),
        "notes": list(result.notes),
        "date": result.date,
        "command": list(result.command),
        "simulated": any(side.simulated for side in result.sides),
    }
    if result.data:
        data["data"] = result.data
    if result.sweep:
        data["sweep"] = [_sweep_dict(run) for run in result.sweep]
    return data


def comparison_dict(first: str, second: str, comparison: Comparison) -> Dict[str, Any]:
    """Return one side beside the reference as plain data.

    Args:
        first: The reference's name.
        second: The side's.
        comparison: Of the two.

    Returns:
        The fields of a result's ``against``, and what that lacks.
    """
    data = against_dict(comparison)
    data.update(
        {
            "first": first,
            "second": second,
            "words_compared": comparison.words,
            "both_wrong": comparison.both_wrong,
            "left_out": dict(comparison.left_out),
            "only_in_first": comparison.alone[0],
            "only_in_second": comparison.alone[1],
        }
    )
    if comparison.logits is not None:
        data["log_probabilities"] = dataclasses.asdict(comparison.logits)
    return data


def _sweep_dict(run: SweepRun) -> Dict[str, Any]:
    return {
        "side": run.side,
        "batch": run.batch,
        "device": run.device,
        "threads": run.threads,
        "words_compared": run.words,
        "differing": run.differ,
        "words": [difference_dict(word) for word in run.differing],
    }


def _side_dict(side: Side) -> Dict[str, Any]:
    data: Dict[str, Any] = {
        "name": side.name,
        "kind": side.kind,
        "words": side.words,
        "correct": side.correct,
        "total": side.total,
        "accuracy": side.accuracy,
        "interval95": list(side.interval95),
        "skipped": dict(side.skipped),
        "simulated": side.simulated,
    }
    if side.run is not None:
        data.update(run_dict(side.run))
    return data


def _letters(first: int) -> Iterator[str]:
    """Yield A, B, C … from the one of this number on, and after Z the numbers."""
    for number in itertools.count(first):
        if number < 26:
            yield chr(ord("A") + number)
        else:
            yield str(number + 1)


def _side(letter: str, side: Side) -> str:
    mark = ""
    if side.simulated:
        mark = ", SIMULATED"
    if not side.total:
        counts = f"{side.words} words, none with a label"
    else:
        low, high = side.interval95
        counts = (
            f"{side.accuracy:.4f}  ({side.correct} of {side.total} words; 95 % interval"
            f" {low:.4f} to {high:.4f})"
        )
    return f"{letter}  {counts}  {_clipped(side.name)}, {_ran(side.kind, side.run)}{mark}"


def _ran(kind: str, run: Optional[RunInfo]) -> str:
    if run is None or run.backend is None:
        return kind
    if run.rehearsed:
        return f"{run.backend} of {run.rehearsed}"
    return f"{run.backend} on {run.device}"


def _comparison(letter: str, comparison: Comparison, shown: int) -> Iterator[str]:
    test = comparison.test
    if test.total:
        low, high = test.interval95
        yield (
            f"{letter} against A: right only in A {test.only_first}, only in {letter}"
            f" {test.only_second}, wrong in both {comparison.both_wrong}; accuracy"
            f" {test.difference:+.4f} (95 % interval {low:+.4f} to {high:+.4f}; McNemar p ="
            f" {test.p_value:.3g})"
        )
    if comparison.logits is not None:
        yield from _logits(letter, comparison.logits)
    for reason, count in comparison.left_out.items():
        yield f"{letter} against A: log-probabilities of {count} words not compared: {reason}"
    if any(comparison.alone):
        yield (
            f"words left out: {comparison.alone[0]} that {letter} lacks, {comparison.alone[1]} that"
            " A lacks"
        )
    for word in comparison.differing[:shown]:
        yield _word(letter, word)
    more = comparison.differ - shown
    if shown and more > 0:
        yield f"… and {more} more (--show-differences N shows them, --json FILE has them)"


def _logits(letter: str, logits: LogDifferences) -> Iterator[str]:
    yield (
        f"{letter} against A: log-probabilities differ by at most {logits.largest:.3g} (in"
        f" {_clipped(logits.key)}), on average by {logits.mean:.3g}, in {logits.classes} classes of"
        f" {logits.words} words"
    )
    yield (
        f"{letter} against A: margins differ by at most {logits.margin_largest:.3g}, on average by"
        f" {logits.margin_mean:.3g}; A's narrowest is {logits.narrowest:.3g}"
    )


def _word(letter: str, word: Difference, first: str = "A") -> str:
    mark = word.change or "differs"
    margins = ""
    if word.margins is not None:
        margins = f"  margins:{word.margins[0]:.3g}, {word.margins[1]:.3g}"
    return (
        f"{mark}  {_clipped(word.key)}  label:{_clipped(str(word.label))}"
        f"  {first}:{_clipped(word.other)}  {letter}:{_clipped(word.text)}{margins}"
    )


def _clipped(text: str) -> str:
    if len(text) > LONGEST:
        return f"{text[:LONGEST]}…"
    return text
