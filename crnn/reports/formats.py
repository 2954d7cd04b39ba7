"""Results in the words of other systems, for the scripts that parse them."""

from __future__ import annotations

import json
import re
from typing import Callable, Iterator, Mapping, NamedTuple

from crnn.errors import UsageError
from crnn.reports import markdown
from crnn.reports.result_json import to_dict
from crnn.results import Evaluation, Reading
from crnn.spec import ModelSpec

STARS = "*" * 50
MARKDOWN = "markdown"
"""The one format that a table of several data sets has too."""

OnReading = Callable[[Reading, ModelSpec], Iterator[str]]
AtEnd = Callable[[Evaluation], Iterator[str]]


class Format(NamedTuple):
    """The lines for one reading, and those at the end."""

    reading: OnReading
    end: AtEnd


def _silent(reading: Reading, spec: ModelSpec) -> Iterator[str]:
    return iter(())


def _nothing(evaluation: Evaluation) -> Iterator[str]:
    return iter(())


def _title_and_value(evaluation: Evaluation) -> Iterator[str]:
    data = to_dict(evaluation)
    yield json.dumps({"title": data["title"], "value": data["value"]}, ensure_ascii=False)


def _pred_and_label(reading: Reading, spec: ModelSpec) -> Iterator[str]:
    if reading.label is not None:
        yield f"{reading.text}  ::  {spec.fold(reading.label)}"


def _counts(evaluation: Evaluation) -> Iterator[str]:
    yield f"correct num:  {evaluation.correct} , total num:  {evaluation.total}"


def _mindspore_eval(evaluation: Evaluation) -> Iterator[str]:
    yield from _counts(evaluation)
    yield f"result: {{'CRNNAccuracy': {evaluation.accuracy}}}"


def _mindspore_onnx(evaluation: Evaluation) -> Iterator[str]:
    yield from _counts(evaluation)
    yield f"result: {evaluation.accuracy}"


def _mindspore_310(evaluation: Evaluation) -> Iterator[str]:
    yield from _counts(evaluation)
    yield f"result CRNNAccuracy is:  {evaluation.accuracy}"


def _image_and_text(reading: Reading, spec: ModelSpec) -> Iterator[str]:
    name = reading.key
    index = re.fullmatch(r"test_([0-9]{1,9})", name)
    if index:
        name = f"image-{int(index[1]):09d}"
    yield f"{name} {reading.text or '-'}"


def _miss(reading: Reading, spec: ModelSpec) -> Iterator[str]:
    if reading.label is not None and reading.text != spec.fold(reading.label):
        yield f"label:{spec.fold(reading.label)}  pred:{reading.text}"


def _rates(evaluation: Evaluation) -> Iterator[str]:
    rate = 100 * evaluation.accuracy
    yield from (STARS, f"rightNum: {evaluation.correct}", f"totalNum: {evaluation.total}")
    yield from (f"accuracy_rate {rate:.2f}", STARS)


def _markdown(evaluation: Evaluation) -> Iterator[str]:
    low, high = evaluation.interval95
    simulated = ""
    if evaluation.run.simulated:
        simulated = ", SIMULATED"
    row = [
        evaluation.run.model.path.name,
        f"{evaluation.data} {evaluation.total}{simulated}",
        str(evaluation.correct),
        f"{evaluation.accuracy:.4f}",
        f"{low:.4f} to {high:.4f}",
        f"{evaluation.cer:.4f}",
    ]
    head = ["model", "words", "right", "accuracy", "95 % interval", "character error rate"]
    yield from markdown.table(head, [row])


FORMATS: Mapping[str, Format] = {
    "modelzoo": Format(_silent, _title_and_value),
    "postpossess": Format(_miss, _rates),
    "mindspore-eval": Format(_pred_and_label, _mindspore_eval),
    "mindspore-onnx": Format(_silent, _mindspore_onnx),
    "mindspore-310": Format(_pred_and_label, _mindspore_310),
    "sdk": Format(_image_and_text, _nothing),
    MARKDOWN: Format(_silent, _markdown),
}
"""modelzoo: the title-and-value JSON. postpossess: the lines of ``postpossess_CRNN_pytorch.py``.
mindspore-…: those of ``eval.py``, ``eval_onnx.py`` and the 310's ``acc.log``. sdk: image and text a
line, as the MindX SDK's script.
"""


def format_named(name: str) -> Format:
    """Return a format by name.

    Args:
        name: One of `FORMATS`.

    Returns:
        The format.

    Raises:
        UsageError: There is none of that name.
    """
    if name not in FORMATS:
        raise UsageError(f"there is no format {name!r}; expected one of {', '.join(FORMATS)}")
    return FORMATS[name]
