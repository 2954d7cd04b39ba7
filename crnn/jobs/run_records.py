"""What a run remembers of a batch, as lines: a record for each word, and one for the batch.

A record has the fields of a reading (docs/formats.md, readings), and beside them ``problem`` and
``detail`` where the word could not be read, ``steps`` where a model of several widths read it, and
``simulated``. The batch's own line has their number, its times in seconds, and what was found out
while it was read.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from json.encoder import encode_basestring
from typing import (
    Any,
    Dict,
    Iterator,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
    Union,
)

from crnn.batch import NOT_FINITE, Problem
from crnn.errors import InputError
from crnn.files import json_text
from crnn.jobs.run_folder import batch_line
from crnn.limits import limit
from crnn.reports.result_json import SIMULATED, reading_dict
from crnn.results import Alternative, Character, Reading
from crnn.scoring.rows import KeptReadings, Row
from crnn.scoring.scorer import PlainRows, Readings

Rows = Union[PlainRows, Sequence[Row]]
_DAMAGE = (KeyError, TypeError, ValueError, AttributeError, RecursionError, OverflowError)
"""What records raise that somebody has changed."""
_MORE = frozenset(["width", "view", "steps"])
"""The fields of records that `PlainRows` have no place for."""
_NUMBER = (float, int)
_LARGEST = (1 << 31) - 1
"""What a table has room for as a place or a width."""
_LONGEST_TIME = 1e12
"""Seconds; of greater ones there may be too many for a sum."""
_KINDS = {
    "key": (str,),
    "text": (str,),
    "label": (str, type(None)),
    "confidence": (float, int, type(None)),
    "probability": _NUMBER,
    "posterior": _NUMBER,
    "rejected": (bool,),
    "views_agree": (bool,),
    "view": (str,),
    "width": (int,),
    "steps": (int,),
    "problem": (str,),
    "detail": (str,),
    "simulated": (bool,),
    "alternatives": (list,),
    "characters": (list,),
    "character": (str,),
    "index": (int,),
    "first": (int,),
    "last": (int,),
}
"""What the fields of a record, of its alternatives and of its characters may be."""


@dataclass(frozen=True)
class Told:
    """What is remembered of a batch beside its words.

    ``seconds`` is its wall time, ``stages`` and ``by_width`` have those of
    `crnn.scoring.stream.Stages`, ``remarks`` are counted, ``extras`` are the problems that belong
    to no word, by their keys, and ``given_up`` the devices that failed, with the reason.
    """

    seconds: float = 0.0
    stages: Mapping[str, Sequence[float]] = field(default_factory=dict)
    by_width: Mapping[int, Tuple[int, float]] = field(default_factory=dict)
    remarks: Mapping[str, int] = field(default_factory=dict)
    extras: Sequence[Tuple[str, Problem]] = ()
    given_up: Mapping[str, str] = field(default_factory=dict)


class Kept(NamedTuple):
    """A batch's ``lines`` with their ends; ``exact`` where its rows count as those that
    `batch_of` makes of the lines.
    """

    lines: bytes
    exact: bool


def kept_lines(rows: Rows, told: Told, *, simulated: bool, waits: bool) -> Kept:
    """Return a batch's lines.

    Args:
        rows: What was read, as `Scorer.decode` returns it.
        told: What else is remembered.
        simulated: Whether it was simulated; each record then says so.
        waits: Whether words were read that are not among the rows.

    Returns:
        The lines.
    """
    records = _quick_lines(rows, simulated)
    exact = records is not None
    if records is None:
        entries = _entries(rows, simulated)
        records = "".join([json_text(entry) + "\n" for entry in entries]).encode("utf-8")
    about = {
        "seconds": round(told.seconds, 6),
        "stages": {name: _rounded(values) for name, values in told.stages.items()},
        "by_width": {str(width): list(times) for width, times in told.by_width.items()},
        "remarks": dict(told.remarks),
        "extras": [[key, problem.reason, problem.detail] for key, problem in told.extras],
        "given_up": dict(told.given_up),
    }
    kept = {name: value for name, value in about.items() if value}
    return Kept(records + batch_line(len(rows_keys(rows)), kept, waits=waits), exact)


def batch_as_kept(rows: Rows, kept: Kept, folded: Any, *, plain: bool) -> KeptBatch:
    """Return what `batch_of` makes of lines that were just made, at less cost.

    Args:
        rows: What the lines were made of.
        kept: What `kept_lines` has made of them.
        folded: As for `batch_of`.
        plain: As for `batch_of`.

    Returns:
        The batch.
    """
    if not kept.exact:
        return batch_of(kept.lines.split(b"\n")[:-1], folded, plain=plain)
    about = kept.lines[kept.lines.rindex(b"\n", 0, -1) + 1 :]
    return KeptBatch(rows, _told(json.loads(about)), len(rows_keys(rows)))


def rows_keys(rows: Rows) -> Sequence[str]:
    """Return the names of the rows' words.

    Args:
        rows: What was read.

    Returns:
        A name each.
    """
    if isinstance(rows, PlainRows):
        return rows.keys
    return [row.reading.key for row in rows]


def _rounded(values: Sequence[float]) -> List[float]:
    return [round(value, 6) for value in values]


def _quick_lines(rows: Rows, simulated: bool) -> Optional[bytes]:
    """Return the records of rows that are all alike, as `_entries` would have them but much
    quicker; None for other rows.
    """
    if not isinstance(rows, PlainRows) or rows.problems:
        return None
    readings = rows.readings
    if not isinstance(readings, Readings) or not readings.bare:
        return None
    said = ""
    if simulated:
        said = f'"{SIMULATED}": true, '
    sure = ["null"] * len(rows.keys)
    for row, confidence in readings.confidences.items():
        sure[row] = float.__repr__(confidence)
    keys = map(encode_basestring, rows.keys)
    labels = map(_label_text, rows.labels)
    texts = map(encode_basestring, readings.texts)
    lines = [
        f'{{"confidence": {number}, "key": {key}, "label": {label}, {said}"text": {text}}}\n'
        for number, key, label, text in zip(sure, keys, labels, texts)
    ]
    try:
        return "".join(lines).encode("utf-8")
    except UnicodeEncodeError:  # a file's name in another encoding
        return None


def _label_text(label: Optional[str]) -> str:
    if label is None:
        return "null"
    return encode_basestring(label)


def _entries(rows: Rows, simulated: bool) -> Iterator[Dict[str, Any]]:
    """Yield each row's record."""
    if isinstance(rows, PlainRows):
        for number, reading in enumerate(rows.readings):
            yield _entry(reading, rows.problems.get(number), None, simulated)
        return
    for row in rows:
        yield _entry(row.reading, row.problem, row.steps, simulated)


def _entry(
    reading: Reading, problem: Optional[Problem], steps: Optional[int], simulated: bool
) -> Dict[str, Any]:
    entry = reading_dict(reading)
    if problem is not None:
        entry["problem"] = problem.reason
        entry["detail"] = problem.detail
    if steps is not None:
        entry["steps"] = steps
    if simulated:
        entry[SIMULATED] = True
    return entry


@dataclass(frozen=True)
class KeptBatch:
    """A batch as it was written down; ``read`` are the words of it that a model has read."""

    rows: Rows
    told: Told
    read: int


def batch_of(lines: Sequence[bytes], folded: Any, *, plain: bool) -> KeptBatch:
    """Return what a batch's lines say.

    Args:
        lines: The records' and the batch's own.
        folded: Folds labels as they are compared (`ModelSpec.fold`).
        plain: Whether nothing is asked of single rows.

    Returns:
        The batch.

    Raises:
        InputError: They are not as `kept_lines` writes them.
    """
    try:
        _require_short(lines)
        *entries, about = json.loads(b"[" + b",".join(lines) + b"]")
        if about["batch"] != len(entries):
            raise ValueError(f"{len(entries)} records; expected {about['batch']}")
        for entry in entries:
            _require_kinds(entry)
        read = sum(map(_is_read, entries))
        if plain and not any(_MORE.intersection(entry) for entry in entries):
            return KeptBatch(_plain_rows(entries), _told(about), read)
        rows = [_row(entry, folded) for entry in entries]
        return KeptBatch(rows, _told(about), read)
    except _DAMAGE as error:
        raise InputError(
            f"records are not as crnn evaluate --run writes them: {str(error)[:200]}"
        ) from error


def _require_short(lines: Sequence[bytes]) -> None:
    """Refuse what nothing has read: comparing texts of megabytes takes minutes."""
    longest = max(map(len, lines))
    if longest > limit("line"):
        raise ValueError(f"a line has {longest} bytes; the limit is {limit('line')}")


def _require_kinds(entry: Dict[str, Any]) -> None:
    """Refuse fields of other kinds, which would be met long after it is known whose they are."""
    for name, value in entry.items():
        kind = type(value)
        if kind not in _KINDS.get(name, (kind,)):
            raise TypeError(f"{str(value)[:80]!r} in the place of a {name}")
        if kind in _NUMBER:
            _number(value)
        if kind is int and abs(value) > _LARGEST:
            raise ValueError(f"{str(value)[:80]} in the place of a {name}")
        if kind is list and name in _KINDS:
            for one in value:
                _require_kinds(one)
    if "alternatives" in entry or "characters" in entry:
        _reading(entry)


def _number(value: Any) -> float:
    if type(value) not in _NUMBER or not math.isfinite(value):
        raise ValueError(f"{str(value)[:80]!r} in the place of a number")
    return float(value)


def _time(value: Any) -> float:
    seconds = _number(value)
    if not 0 <= seconds < _LONGEST_TIME:
        raise ValueError(f"{seconds} in the place of seconds")
    return seconds


def _plain_rows(entries: Sequence[Dict[str, Any]]) -> PlainRows:
    problems: Dict[int, Problem] = {}
    late: Dict[int, Problem] = {}
    for number, entry in enumerate(entries):
        if "problem" not in entry:
            continue
        problem = Problem(entry["problem"], entry["detail"])
        if problem == NOT_FINITE:
            late[number] = NOT_FINITE
        else:
            problems[number] = problem
    texts = [_text(entry["text"]) for entry in entries]
    keys = [_text(entry["key"]) for entry in entries]
    labels = [_label(entry) for entry in entries]
    return PlainRows(keys, labels, KeptReadings(texts, entries, _reading), {**problems, **late})


def _text(value: Any) -> str:
    if type(value) is not str:
        raise TypeError(f"{str(value)[:80]!r} in the place of a text")
    return value


def _label(entry: Dict[str, Any]) -> Optional[str]:
    label = entry["label"]
    if label is None:
        return None
    return _text(label)


def _row(entry: Dict[str, Any], folded: Any) -> Row:
    problem = None
    if "problem" in entry:
        problem = Problem(entry["problem"], entry["detail"])
        if problem == NOT_FINITE:
            problem = NOT_FINITE
    truth = _label(entry)
    if truth is not None:
        truth = folded(truth)
    return Row(_reading(entry), truth, problem, entry.get("steps"))


def _reading(entry: Dict[str, Any]) -> Reading:
    more: Dict[str, Any] = {}
    for name in ("probability", "posterior", "rejected", "width", "view", "views_agree"):
        if name in entry:
            more[name] = entry[name]
    if "alternatives" in entry:
        more["alternatives"] = tuple(Alternative(**one) for one in entry["alternatives"])
    if "characters" in entry:
        more["characters"] = tuple(Character(**one) for one in entry["characters"])
    key, text = _text(entry["key"]), _text(entry["text"])
    return Reading(key, text, entry["confidence"], _label(entry), **more)


def _is_read(entry: Dict[str, Any]) -> bool:
    """Say whether a model has read a word, whatever came of it."""
    return "problem" not in entry or bool(entry["problem"] == NOT_FINITE.reason)


def _told(about: Dict[str, Any]) -> Told:
    times = about.get("by_width", {})
    extras = []
    for key, reason, detail in about.get("extras", ()):
        extras.append((_text(key), Problem(_text(reason), _text(detail))))
    stages = {}
    for name, values in about.get("stages", {}).items():
        stages[name] = [_time(value) for value in values]
    remarks = {}
    for remark, count in about.get("remarks", {}).items():
        remarks[remark] = int(_number(count))
    given_up = {}
    for device, reason in about.get("given_up", {}).items():
        given_up[device] = _text(reason)
    return Told(
        _time(about.get("seconds", 0.0)),
        stages,
        {int(width): (int(rows), _time(seconds)) for width, (rows, seconds) in times.items()},
        remarks,
        extras,
        given_up,
    )
