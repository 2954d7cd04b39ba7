"""Saved runs to the page that shows them."""

from __future__ import annotations

import datetime
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

from crnn.errors import InputError, brief
from crnn.files import atomic_file
from crnn.jobs.compare import other_lengths
from crnn.jobs.report.album import Album
from crnn.jobs.report.benchmarks import drawn
from crnn.jobs.report.comparing import compared_in, compared_of
from crnn.jobs.report.inputs import (
    CLIPPED,
    Data,
    Inputs,
    Run,
    read_inputs,
    reader_of,
    word_of,
    words_of,
)
from crnn.jobs.report.pictures import NO_PICTURES, Pictures
from crnn.jobs.report.tally import Tally, Word, top_confusions
from crnn.jobs.runs import SoFar
from crnn.metrics import align, wilson
from crnn.reports.html.charts import Bar, Line, amounts, bars, curve
from crnn.reports.html.model import Compared, Figures, Miss, Page, Pair, Plot, RunPage
from crnn.reports.html.page import to_html
from crnn.reports.html.texts import of_confidence, texts_in
from crnn.reports.result_json import lengths_of
from crnn.version import version

Texts = Mapping[str, str]
ASPECTS = (1, 1.5, 2, 2.5, 3, 4, 5, 7)
HEIGHTS = (16, 24, 32, 48, 64, 96, 128)
_LONGEST_ALIGNED = 60
_ONE_RUN = "Give each result, then the readings of the same run."


@dataclass(frozen=True)
class ReportRequest:
    """What to report on and how; ``top`` is the most words of a table, ``common`` takes words that
    two runs share where they do not hold the same.
    """

    results: Sequence[Path]
    output: Path
    data: Sequence[Path] = ()
    top: int = 300
    lang: str = "en"
    common: bool = False


@dataclass(frozen=True)
class ReportOutcome:
    """The page that was written: its size, the wrong words shown of all, and what was left out."""

    path: Path
    size: int
    shown: int
    misses: int
    notes: Sequence[str]


def report(request: ReportRequest) -> ReportOutcome:
    """Write a page of saved results; no model is run.

    Args:
        request: What to report on.

    Returns:
        What was written.

    Raises:
        InputError: A file is not a result, or two runs do not belong together.
        UnavailableError: Jinja2 is missing.
    """
    texts = texts_in(request.lang)
    inputs = read_inputs(request.results)
    tallies = [_tally(run, request.top) for run in inputs.runs]
    if any(tally.of_paths for tally in tallies):
        texts = of_confidence(texts)
    compared = compared_of(inputs.runs, request.top, common=request.common)
    for saved in inputs.comparisons:
        compared.extend(compared_in(saved, request.top))
    album = Album(inputs.runs, request.data)
    for given, tally in zip(inputs.runs, tallies):
        album.want(given.data, (word.key for word in tally.misses()))
    for one in compared:
        album.want(one.data, (word.key for word in one.words))
    album.find()
    page = _page(inputs, tallies, compared, album, texts)
    html = to_html(page, texts, request.lang).encode("utf-8", errors="replace")
    with atomic_file(request.output) as file:
        file.write(html)
    notes: List[str] = []
    for run in page.runs:
        notes.extend(f"{run.figures.title}: {what}" for what in run.left_out)
    notes.extend([*album.notes, *_unused(inputs)])
    shown = sum(len(run.misses) for run in page.runs)
    misses = sum(run.misses_total for run in page.runs)
    return ReportOutcome(request.output, len(html), shown, misses, notes)


def _unused(inputs: Inputs) -> Iterator[str]:
    """Name what stands beside OMs of which there is no result."""
    models = {_model_hash(run) for run in inputs.runs}
    for digest, path in inputs.sidecar_paths.items():
        if digest not in models:
            yield f"{path}: not shown: no result here is of that OM"


def page_of_result(run: Run, top: int, texts: Texts) -> RunPage:
    """Return what a page shows of a result alone, without files beside it.

    Args:
        run: The result.
        top: The most words of a table.
        texts: The words of the page.

    Returns:
        The run's part of a page.
    """
    return _run_page(run, _tally(run, top), {}, NO_PICTURES, texts)


def _page(
    inputs: Inputs,
    tallies: Sequence[Tally],
    compared: Sequence[Compared],
    album: Album,
    texts: Texts,
) -> Page:
    runs = []
    for run, tally in zip(inputs.runs, tallies):
        runs.append(_run_page(run, tally, inputs.sidecars, album.of(run.data), texts))
    simulated = any(run.figures.simulated for run in runs)
    simulated = simulated or any(one.simulated for one in compared)
    simulated = simulated or any(one.simulated for one in inputs.benchmarks)
    sides = list(_sides(inputs.comparisons))
    simulated = simulated or any(side.simulated for side in sides)
    date = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d")
    return Page(
        runs,
        _combined(inputs.runs, runs, texts),
        [one.with_pictures(album.of(one.data).shown) for one in compared],
        [drawn(one, texts) for one in inputs.benchmarks],
        simulated,
        texts["made"].format(version=version(), date=date),
        sides,
    )


def _sides(comparisons: Sequence[Data]) -> Iterator[Figures]:
    """Yield the figures of each side of saved comparisons."""
    for saved in comparisons:
        for side in saved["sides"]:
            yield Figures(
                str(side.get("name")),
                side["correct"],
                side["total"],
                wilson(side["correct"], side["total"]),
                None,
                None,
                None,
                side.get("simulated") is True,
            )


def _tally(run: Run, top: int) -> Tally:
    tally = Tally(top, run.spec.fold)
    if run.readings is not None:
        told = _told_texts(run)
        for word in words_of(run.readings):
            tally.add(word)
            _require_told(run, word, told)
        _require_same(run, tally)
        return tally
    for number, entry in enumerate(run.result["misses"], 1):
        tally.add(word_of(entry, f"{run.title}, miss {number}"))
    return tally


def _told_texts(run: Run) -> Dict[str, str]:
    """Return the texts of the misses that a run's result names."""
    told: Dict[str, str] = {}
    for number, entry in enumerate(run.result.get("misses", ()), 1):
        word = word_of(entry, f"{run.title}, miss {number}")
        told[word.key] = word.text
    return told


def _require_told(run: Run, word: Word, told: Mapping[str, str]) -> None:
    """Refuse a reading that is not what the result before it says of that word."""
    text = told.get(word.key, word.text)
    if text != word.text:
        raise InputError(
            f"{run.readings}: {word.key} reads {brief(word.text)!r}; the result before it says"
            f" {brief(text)!r}, so they are not of one run",
            hint=_ONE_RUN,
        )


def _require_same(run: Run, tally: Tally) -> None:
    """Refuse readings that are not those of the result before them."""
    if not run.result:
        return
    counted = (tally.metric.correct, tally.metric.total)
    told = (run.result["correct"], run.result["total"])
    if counted[1] != told[1] or counted[0] < told[0]:
        raise InputError(
            f"{run.readings}: {counted[0]} of {counted[1]} words are right; the result before it"
            f" says {told[0]} of {told[1]}, so they are not of one run",
            hint=_ONE_RUN,
        )
    problem = other_lengths(
        lengths_of(run.result), lengths_of({"by_length": tally.metric.by_length})
    )
    if problem:
        raise InputError(
            f"{run.readings}: not of the same run as the result before it: {problem}", hint=_ONE_RUN
        )


def _run_page(
    run: Run, tally: Tally, sidecars: Mapping[str, Data], pictures: Pictures, texts: Texts
) -> RunPage:
    result = run.result
    figures = _figures(run, tally)
    left_out: List[str] = []
    plots = list(_plots(run, tally, pictures, texts))
    left_out.extend(_lacking(run, texts))
    if run.readings is None:
        left_out.append(texts["no_readings"])
    misses = []
    for word in tally.misses():
        misses.append(_miss(word, tally, pictures))
    if misses and not any(miss.picture for miss in misses):
        left_out.append(texts["no_pictures"])
    total = figures.total - figures.correct
    if result:
        total = result["misses_total"]
    return RunPage(
        figures,
        misses,
        total,
        top_confusions(tally.confusions),
        plots,
        dict(result.get("skipped") or {}),
        list(_provenance(result, sidecars, texts)),
        left_out,
        str(result.get("rehearsed") or ""),
        _kept(run, tally, texts),
    )


def _lacking(run: Run, texts: Texts) -> Iterator[str]:
    """Say what a run's folder does not hold."""
    kept = run.readings
    if not isinstance(kept, SoFar):
        return
    if kept.words < kept.total:
        yield texts["not_complete"].format(words=kept.words, total=kept.total)
    if not kept.confidences:
        yield texts["no_confidences"]


def _kept(run: Run, tally: Tally, texts: Texts) -> str:
    """Say what became of the words where a run rejected some, and all its readings are here."""
    if run.readings is None or not tally.rejected:
        return ""
    total = tally.metric.total
    kept = total - tally.rejected
    right = tally.metric.correct - tally.rejected_right
    return texts["kept_told"].format(
        rejected=tally.rejected,
        total=total,
        lost=tally.rejected_right,
        kept=kept,
        right=right,
        share=f"{100 * right / max(1, kept):.2f}",
    )


def _figures(run: Run, tally: Tally) -> Figures:
    result, metric = run.result, tally.metric
    sure = length = None
    if run.readings is not None:
        length = tally.mean_length
    if run.all_sure:
        sure = tally.mean_sure
    if result:
        return Figures(
            run.title,
            result["correct"],
            result["total"],
            wilson(result["correct"], result["total"]),
            result["cer"],
            sure,
            length,
            run.simulated,
            result.get("throughput"),
        )
    interval = wilson(metric.correct, metric.total)
    cer = metric.cer
    return Figures(
        run.title, metric.correct, metric.total, interval, cer, sure, length, run.simulated
    )


def _combined(inputs: Sequence[Run], runs: Sequence[RunPage], texts: Texts) -> List[Figures]:
    """Pool, for each model, the counts of its data sets, where it has several."""
    groups: Dict[str, List[int]] = {}
    for number, run in enumerate(inputs):
        groups.setdefault(_same_reader(run), []).append(number)
    found = []
    for numbers in groups.values():
        places = {inputs[number].data for number in numbers}
        if len(numbers) > 1 and len(places) == len(numbers):
            title = f"{texts['combined']}: {reader_of(inputs[numbers[0]].result)}"
            found.append(_pooled([runs[number].figures for number in numbers], title))
    return found


def _pooled(sets: Sequence[Figures], title: str) -> Figures:
    correct = sum(figures.correct for figures in sets)
    total = sum(figures.total for figures in sets)
    return Figures(
        title,
        correct,
        total,
        wilson(correct, total),
        None,
        _weighted([(figures.sure, figures.total) for figures in sets]),
        _weighted([(figures.length, figures.total) for figures in sets]),
        any(figures.simulated for figures in sets),
    )


def _same_reader(run: Run) -> str:
    """Return what is alike only of runs that read with one model in one way."""
    if not run.result:
        return run.title
    alike = [_model_hash(run), reader_of(run.result)]
    alike.extend(_plain(run.result.get(key)) for key in ("rehearsed", "protocol", "simulated"))
    return _plain(alike)


def _model_hash(run: Run) -> str:
    if not run.result:
        return run.title
    return str(run.result["model"].get("sha256"))


def _weighted(values: Sequence[Tuple[Optional[float], int]]) -> Optional[float]:
    total, count = 0.0, 0
    for value, words in values:
        if value is None:
            return None
        total += value * words
        count += words
    if not count:
        return None
    return total / count


def _miss(word: Word, tally: Tally, pictures: Pictures) -> Miss:
    label = word.label or ""
    notes = []
    if word.width is not None:
        notes.append(f"{word.width} px")
    if word.view:
        notes.append(word.view)
    return Miss(
        word.key,
        _told(label),
        _told(word.text),
        word.sure,
        ", ".join(notes),
        _pairs(word, tally),
        pictures.shown.get(word.key, ""),
        word.rejected,
    )


def _told(text: str) -> str:
    if len(text) == CLIPPED:
        return f"{text}…"
    return text


def _pairs(word: Word, tally: Tally) -> Sequence[Pair]:
    label, text = tally.folded(word)
    if max(len(label), len(text)) > _LONGEST_ALIGNED:
        return ()
    probabilities: Iterator[Optional[float]] = iter(())
    if len(word.characters) == len(text):
        probabilities = iter(word.characters)
    pairs = []
    for wanted, read in align(label, text):
        probability = None
        if read:
            probability = next(probabilities, None)
        pairs.append(Pair(wanted, read, probability))
    return pairs


def _plots(run: Run, tally: Tally, pictures: Pictures, texts: Texts) -> Iterator[Plot]:
    by_length = run.result.get("by_length") or tally.metric.by_length
    rows = []
    for length, counts in sorted(by_length.items(), key=lambda entry: int(entry[0])):
        rows.append(_bar(str(length), int(counts["correct"]), int(counts["total"])))
    if rows:
        yield Plot(texts["by_length"], bars(texts["by_length"], rows, texts["letters"]))
    yield from _plots_of_sizes(run, tally, pictures, texts)
    if run.readings is not None:
        yield from _plots_of_readings(run, tally, texts)
    stages = run.result.get("stages") or {}
    spent = [(name, float(values.get("sum", 0)) / 1000) for name, values in stages.items()]
    if spent:
        yield Plot(texts["stages"], amounts(texts["stages"], spent, "s"))


def _plots_of_readings(run: Run, tally: Tally, texts: Texts) -> Iterator[Plot]:
    rows = [_bar(str(width), *counts) for width, counts in sorted(tally.by_width.items())]
    if rows:
        yield Plot(texts["by_width"], bars(texts["by_width"], rows, texts["columns"]))
    if not run.all_sure:
        return
    reliability = tally.reliability()
    if reliability is None:
        return
    title = texts["reliability"]
    drawing = curve(title, [Line(reliability.points)], texts["mean_probability"], diagonal=True)
    note = texts["reliability_note"].format(error=f"{reliability.error:.3f}")
    yield Plot(title, drawing, note)
    title = texts["kept"]
    lowest = min(0.9, min(share for _, share in reliability.kept))
    line = Line(reliability.kept)
    yield Plot(title, curve(title, [line], texts["kept_axis"], diagonal=False, lowest=lowest))


def _plots_of_sizes(run: Run, tally: Tally, pictures: Pictures, texts: Texts) -> Iterator[Plot]:
    """Draw accuracy by the pictures' shapes, where it is known which words are wrong."""
    wrong = tally.wrong_keys
    complete = run.readings is not None
    if run.result and not complete:
        complete = len(run.result["misses"]) == run.result["misses_total"]
    if not pictures.sizes or not complete or wrong is None:
        return
    aspects: Dict[str, List[int]] = {}
    heights: Dict[str, List[int]] = {}
    for key, width, height in pictures.sizes:
        right = key not in wrong
        for counts, name in (
            (aspects, _class_of(width / height, ASPECTS)),
            (heights, _class_of(height, HEIGHTS)),
        ):
            entry = counts.setdefault(name, [0, 0])
            entry[0] += right
            entry[1] += 1
    note = ""
    if len(pictures.sizes) < pictures.of:
        note = f"{len(pictures.sizes)} / {pictures.of}"
    for name, counts, edges, across in (
        ("by_aspect", aspects, ASPECTS, "aspect"),
        ("by_height", heights, HEIGHTS, "pixels"),
    ):
        order = _names(edges)
        rows = [_bar(one, *counts[one]) for one in order if one in counts]
        yield Plot(texts[name], bars(texts[name], rows, texts[across]), note)


def _class_of(value: float, edges: Sequence[float]) -> str:
    names = _names(edges)
    for edge, name in zip(edges, names):
        if value < edge:
            return name
    return names[-1]


def _names(edges: Sequence[float]) -> List[str]:
    inner = [f"{low:g}\u2013{high:g}" for low, high in zip(edges, edges[1:])]
    return [f"< {edges[0]:g}", *inner, f"≥ {edges[-1]:g}"]


def _bar(name: str, correct: int, total: int) -> Bar:
    return Bar(name, correct / max(1, total), total, wilson(correct, total))


def _provenance(
    result: Data, sidecars: Mapping[str, Data], texts: Texts
) -> Iterator[Tuple[str, str]]:
    if not result:
        return
    model = result["model"]
    digest = str(model.get("sha256"))
    yield texts["model"], str(model.get("path"))
    yield texts["model_hash"], digest
    for name, weights in (model.get("external_data") or {}).items():
        yield texts["weights_hash"].format(name=name), str(weights)
    if digest in sidecars:
        sidecar = sidecars[digest]
        yield texts["onnx_hash"], str(sidecar.get("onnx_sha256"))
        yield texts["checkpoint_hash"], str(sidecar.get("checkpoint_sha256") or texts["unknown"])
        yield texts["atc"], " ".join(map(str, sidecar.get("command") or ()))
        yield texts["compiled_with"], _listed(sidecar.get("versions") or {})
    yield texts["spec"], _plain(model.get("spec"))
    yield texts["spec_from"], str(model.get("spec_from"))
    threads = f"{texts['threads']} {result.get('threads')}"
    yield texts["ran_on"], f"{result.get('backend')}, {result.get('device')}, {threads}"
    yield texts["versions"], _listed(result.get("versions") or {})
    yield from _circumstances(result, texts)


def _circumstances(result: Data, texts: Texts) -> Iterator[Tuple[str, str]]:
    """Yield what a run was of, and how it was asked for."""
    for name in ("data", "date"):
        if result.get(name):
            yield texts[name], str(result[name])
    if result.get("command"):
        yield texts["command"], " ".join(map(str, result["command"]))
    for name in ("rehearsed", "protocol", "decoding", "views", "widths_lacking"):
        if result.get(name):
            yield texts[name], _plain(result[name])


def _plain(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def _listed(versions: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
