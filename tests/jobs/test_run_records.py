"""What a run writes down of a batch: the bytes, and that they say what was read."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

import numpy as np
import pytest

from crnn.batch import NOT_FINITE, Batch, Problem
from crnn.errors import InputError
from crnn.files import json_text
from crnn.jobs.run_records import Told, batch_as_kept, batch_of, kept_lines
from crnn.reports.result_json import reading_dict
from crnn.scoring.scorer import PlainRows, Scorer
from tests.models import SPEC

TOLD = Told(0.01473149, {"infer": [0.0092914], "read": [0.00063, 0.5]})
ABOUT = '"seconds": 0.014731, "stages": {"infer": [0.009291], "read": [0.00063, 0.5]}}\n'


def rows_of(
    texts: List[str],
    labels: List[Optional[str]],
    problems: Optional[Dict[int, Problem]] = None,
    *,
    keys: Optional[List[str]] = None,
    confidences: bool = True,
) -> PlainRows:
    """Return what a scorer makes of logits that say these texts."""
    logits = np.zeros((SPEC.time_steps, len(texts), SPEC.classes), dtype=np.float32)
    for row, text in enumerate(texts):
        logits[:, row, 0] = 5
        for step, character in enumerate(text):
            logits[2 * step, row] = np.roll(
                logits[2 * step, row], SPEC.alphabet.table.index(character)
            )
    names = keys or [f"test_{row + 1}" for row in range(len(labels))]
    images = np.zeros((len(texts), *SPEC.image_shape), dtype=np.float32)
    batch = Batch(names, labels, images, problems or {})
    rows = Scorer(SPEC, confidences=confidences).decode(batch, logits)
    assert isinstance(rows, PlainRows)
    return rows


def test_the_bytes_of_plain_words() -> None:
    rows = rows_of(["a1", "b", ""], ["A1", 'q"\\', "ñ\n"], confidences=False)
    kept = kept_lines(rows, TOLD, simulated=False, waits=False)
    first, second = (repr(rows.readings[row].confidence) for row in (1, 2))
    assert kept.lines.decode() == (
        '{"confidence": null, "key": "test_1", "label": "A1", "text": "a1"}\n'
        f'{{"confidence": {first}, "key": "test_2", "label": "q\\"\\\\", "text": "b"}}\n'
        f'{{"confidence": {second}, "key": "test_3", "label": "ñ\\n",'
        ' "text": ""}\n'
        '{"batch": 3, ' + ABOUT
    )


def test_the_bytes_of_words_with_problems() -> None:
    problems = {1: Problem("missing bin", "test_2.bin")}
    rows = rows_of(["a"], ["a", None], problems, confidences=False)
    told = Told(
        remarks={"turned by EXIF": 2}, extras=[("x", Problem("p", "d"))], given_up={"npu:1": "hung"}
    )
    kept = kept_lines(rows, told, simulated=True, waits=True)
    assert kept.lines.decode() == (
        '{"confidence": null, "key": "test_1", "label": "a", "simulated": true, "text": "a"}\n'
        '{"confidence": null, "detail": "test_2.bin", "key": "test_2", "label": null,'
        ' "problem": "missing bin", "simulated": true, "text": ""}\n'
        '{"batch": 2, "extras": [["x", "p", "d"]], "given_up": {"npu:1": "hung"},'
        ' "remarks": {"turned by EXIF": 2}, "waits": true}\n'
    )


KINDS: Dict[str, Dict[str, Any]] = {
    "plain": {"texts": ["a", "b1"], "labels": ["a", "ü\u2028\x7f"]},
    "all wrong": {"texts": ["", ""], "labels": ["a", "b"], "confidences": False},
    "a name in another encoding": {
        "texts": ["a", "b"],
        "labels": ["a", "b"],
        "keys": ["caf\udce9.png", "b.png"],
    },
    "no label": {"texts": ["a", "b"], "labels": ["a", None]},
    "a problem": {"texts": ["b"], "labels": ["a", "b"], "problems": {0: Problem("gone", "é")}},
    "not finite": {"texts": ["a", "b"], "labels": ["a", "b"], "problems": {1: NOT_FINITE}},
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("simulated", [False, True])
def test_what_is_quick_is_what_one_by_one_gives(kind: str, simulated: bool) -> None:
    values = dict(KINDS[kind])
    if values.get("problems") == {1: NOT_FINITE}:
        del values["problems"]
        rows = rows_of(**values)
        rows = rows._replace(problems={1: NOT_FINITE})
    else:
        rows = rows_of(**values)
    kept = kept_lines(rows, TOLD, simulated=simulated, waits=False)
    expected = ""
    for number, reading in enumerate(rows.readings):
        entry = reading_dict(reading)
        if number in rows.problems:
            problem = rows.problems[number]
            entry.update(problem=problem.reason, detail=problem.detail)
        if simulated:
            entry["simulated"] = True
        expected += json_text(entry) + "\n"
    about = f'{{"batch": {len(rows.keys)}, {ABOUT}'
    assert kept.lines == (expected + about).encode()


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_counted_at_once_is_what_the_lines_say(kind: str) -> None:
    values = dict(KINDS[kind])
    values.pop("problems", None)
    labels = values["labels"]
    values["labels"] = labels[: len(values["texts"])]
    rows = rows_of(**values)._replace(problems=KINDS[kind].get("problems", {}))
    kept = kept_lines(rows, TOLD, simulated=False, waits=False)
    at_once, later = Scorer(SPEC), Scorer(SPEC)
    quick = batch_as_kept(rows, kept, SPEC.fold, plain=True)
    slow = batch_of(kept.lines.split(b"\n")[:-1], SPEC.fold, plain=True)
    assert quick.told == slow.told
    assert quick.read == slow.read
    at_once.count(quick.rows)
    later.count(slow.rows)
    assert at_once.misses == later.misses
    assert at_once.skipped == later.skipped
    assert at_once.metric.by_length == later.metric.by_length
    assert at_once.metric.one_minus_ned == later.metric.one_minus_ned


PLAIN = {"key": "k", "text": "a", "label": "a", "confidence": 0.5}


@pytest.mark.parametrize("plain", [True, False])
@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"text": 3}, "'3' in the place of a text"),
        ({"label": 3}, "'3' in the place of a label"),
        ({"confidence": True}, "'True' in the place of a confidence"),
        ({"width": 1 << 70}, "in the place of a width"),
        ({"steps": -(1 << 70)}, "in the place of a steps"),
        ({"probability": None}, "'None' in the place of a probability"),
        ({"alternatives": [{"text": 3, "probability": 0.5}]}, "'3' in the place of a text"),
        ({"alternatives": [{"text": "a", "probability": "0"}]}, "'0' in the place of a prob"),
        ({"characters": [{"character": "a", "index": "0"}]}, "'0' in the place of a index"),
    ],
)
def test_a_record_of_other_kinds_is_refused(
    changed: Dict[str, Any], message: str, plain: bool
) -> None:
    lines = [json_text({**PLAIN, **changed}).encode(), b'{"batch": 1}']
    with pytest.raises(InputError, match=f"not as crnn evaluate --run writes them: .*{message}"):
        batch_of(lines, SPEC.fold, plain=plain)


@pytest.mark.parametrize("told", [0, 2])
def test_a_batch_of_another_number_of_records_is_refused(told: int) -> None:
    lines = [json_text(PLAIN).encode(), b'{"batch": %d}' % told]
    with pytest.raises(InputError, match=f"1 records; expected {told}"):
        batch_of(lines, SPEC.fold, plain=True)
    lines[1] = b'{"batch": 1}'
    assert batch_of(lines, SPEC.fold, plain=True).read == 1
