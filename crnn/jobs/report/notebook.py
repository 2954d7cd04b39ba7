"""Results as a notebook shows them: parts of the report's page, from its templates."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path
from typing import Any, Mapping, Optional, Sequence

from crnn.errors import InputError
from crnn.files import read_bounded
from crnn.jobs.evaluate import EvaluateOutcome
from crnn.jobs.report.benchmarks import benchmark_of, drawn
from crnn.jobs.report.build import page_of_result
from crnn.jobs.report.comparing import saved_comparison
from crnn.jobs.report.inputs import Run
from crnn.jobs.report.pictures import data_address
from crnn.reports import bench
from crnn.reports.html.model import BenchmarkRows, Compared, Part, ReadWord, RunPage
from crnn.reports.html.page import to_fragment
from crnn.reports.html.texts import ENGLISH, of_confidence
from crnn.reports.result_json import against_dict, to_dict
from crnn.results import Benchmark, Comparison, Evaluation, Reading

TOP = 20
"""Words of a table: a cell is no page."""
MOST = 50


def html_of(value: object) -> Optional[str]:
    """Return what a notebook shows of a value.

    Args:
        value: An evaluation, with or without its comparison, a comparison, a benchmark, a reading
            or a list of them.

    Returns:
        HTML; None for anything else, of which a notebook shows the text.
    """
    if isinstance(value, EvaluateOutcome):
        compared: Sequence[Compared] = ()
        if value.comparison is not None:
            simulated = value.evaluation.run.simulated
            compared = [_compared(value.comparison, simulated=simulated)]
        part = Part([_run(value.evaluation)], compared)
        return to_fragment(part, _texts_of(value.evaluation))
    if isinstance(value, Evaluation):
        return to_fragment(Part([_run(value)]), _texts_of(value))
    if isinstance(value, Comparison):
        return to_fragment(Part(compared=[_compared(value)]), ENGLISH)
    if isinstance(value, Benchmark):
        return to_fragment(Part(benchmarks=[_benchmark(value)]), ENGLISH)
    if isinstance(value, Reading):
        return _readings([value])
    if isinstance(value, list):
        return _readings(value)
    return None


def _run(evaluation: Evaluation) -> RunPage:
    result = to_dict(evaluation)
    title = evaluation.run.model.path.name
    if evaluation.data:
        title = f"{title} · {evaluation.data}"
    page = page_of_result(Run(title, result), TOP, _texts_of(evaluation))
    # What a command line would have to give is not what a notebook lacks.
    return dataclasses.replace(page, left_out=())


def _texts_of(evaluation: Evaluation) -> Mapping[str, str]:
    if evaluation.sureness is None:
        return of_confidence(ENGLISH)
    return ENGLISH


def _compared(comparison: Comparison, *, simulated: bool = False) -> Compared:
    saved = against_dict(comparison)
    return saved_comparison("this run", saved, TOP, simulated=simulated)


def _benchmark(benchmark: Benchmark) -> BenchmarkRows:
    return drawn(benchmark_of(bench.to_dict(benchmark), Path("the benchmark")), ENGLISH)


def _readings(readings: Sequence[Any]) -> str:
    words = [_word(reading) for reading in readings[:MOST]]
    texts = ENGLISH
    if not any(reading.probability is not None for reading in readings[:MOST]):
        texts = of_confidence(texts)
    return to_fragment(Part(words=words, more=max(0, len(readings) - MOST)), texts)


def _word(reading: Reading) -> ReadWord:
    sure = reading.probability
    if sure is None:
        sure = reading.confidence
    picture = ""
    if reading.image is not None:
        picture = _picture(reading.image)
    label = reading.label or ""
    return ReadWord(reading.key, label, reading.text, sure, picture, reading.rejected is True)


def _png(picture: Any) -> bytes:
    """Return a PIL image as a file's bytes."""
    file = io.BytesIO()
    picture.convert("RGB").save(file, "PNG")
    return file.getvalue()


def _picture(image: object) -> str:
    """Return a small picture of what was read; "" where it is not there any more."""
    if isinstance(image, bytes):
        return data_address(image)
    if hasattr(image, "convert"):
        return data_address(_png(image))
    try:
        return data_address(read_bounded(Path(str(image)), "image_bytes"))
    except (InputError, OSError):
        return ""
