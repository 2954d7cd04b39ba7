"""The files that a report is made from: results, readings, benchmarks, and those beside OMs."""

from __future__ import annotations

import contextlib
import csv
import functools
import io
import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple, Union

from crnn.errors import InputError
from crnn.filekind import require_file
from crnn.files import json_text, open_input, read_bounded
from crnn.jobs.report.benchmarks import benchmark_of, sweep_of
from crnn.jobs.report.tally import Word
from crnn.jobs.run_folder import RunFolder
from crnn.jobs.runs import SoFar, is_run, open_evaluation, so_far
from crnn.jobs.sweep import SCHEMA as SWEEP
from crnn.limits import limit
from crnn.reports import bench, comparison, result_json
from crnn.reports.html.model import BenchmarkRows
from crnn.spec import ModelSpec, optional_keys

Data = Mapping[str, Any]
Readings = Union[Path, SoFar]
"""A file of readings, or what the folders of a run hold."""
MANY = "crnn-evaluations/1"
OM = "crnn-om"
MOST_WORDS = 1 << 53
"""The largest count that is looked at; floats are whole numbers up to it."""
_STEMS = frozenset(
    name.partition("/")[0]
    for name in (result_json.SCHEMA, bench.SCHEMA, comparison.SCHEMA, MANY, SWEEP)
)
"""The names of the formats that a page is made of, whatever their number."""
_MARK = re.compile(rb'"simulated"\s*:\s*true')
"""The mark in a line of JSON. No text within it holds that: its quotes would be escaped."""
_NUMBERS = ("confidence", "probability")
"""The columns of a table of readings that are numbers."""
LONGEST_NUMBER = 9
"""Digits of a label's length."""
CLIPPED = 1000
"""Characters of a label or text that are looked at; no CTC network reads as many."""


@dataclass(frozen=True)
class Run:
    """A run: its result, its readings, or both.

    ``result`` is the JSON of ``crnn evaluate`` or ``score``, empty where only readings are there;
    ``file`` is where it lies, None where that holds the results of several runs; ``marked`` says
    whether its readings tell that they were simulated.
    """

    title: str
    result: Data
    readings: Optional[Readings] = None
    file: Optional[Path] = None
    marked: bool = False

    @property
    def data(self) -> str:
        """The data set's name, "" where it is not known."""
        return str(self.result.get("data", ""))

    @property
    def simulated(self) -> bool:
        """Whether the run was simulated."""
        return self.marked or self.result.get("simulated") is True

    @property
    def all_sure(self) -> bool:
        """Whether readings are there, and the words that were right have a confidence too."""
        if isinstance(self.readings, SoFar):
            return self.readings.confidences
        return self.readings is not None

    @property
    def spec(self) -> ModelSpec:
        """How the run's labels are folded, among others; the default where no result tells it."""
        if not self.result:
            return ModelSpec.default()
        return ModelSpec.from_dict(self.result["model"].get("spec"), where="the result's spec")


@dataclass(frozen=True)
class Inputs:
    """What the files held; ``sidecars`` and their paths are by the SHA-256 of their OM,
    ``comparisons`` what ``crnn compare`` wrote.
    """

    runs: Sequence[Run]
    benchmarks: Sequence[BenchmarkRows]
    sidecars: Mapping[str, Data]
    sidecar_paths: Mapping[str, Path]
    comparisons: Sequence[Data] = ()


def read_inputs(paths: Sequence[Path]) -> Inputs:
    """Read results, and find out which readings belong to which.

    Args:
        paths: JSON of evaluate, score, compare or bench, readings (JSON Lines or CSV),
            ``NAME.om.json``, folders of ``crnn evaluate --run``. Readings right after a result are
            that run's; other readings are a run by themselves. Folders right after each other
            that are parts of one run are that run.

    Returns:
        The runs in the order given, benchmarks, and what stands beside OMs.

    Raises:
        InputError: A file is none of these, or of a newer kit's format.
    """
    runs: List[Run] = []
    benchmarks: List[BenchmarkRows] = []
    comparisons: List[Data] = []
    sidecars: Dict[str, Data] = {}
    sidecar_paths: Dict[str, Path] = {}
    folders = _folders(paths)
    for path in paths:
        if _takes_readings(runs, path, folders):
            continue
        data = _json(path)
        schema = str(data.get("schema") or data.get("format") or "")
        if schema.startswith(f"{OM}/"):
            digest = str(data.get("om_sha256"))
            sidecars[digest] = data
            sidecar_paths[digest] = path
        elif optional_keys(bench.SCHEMA, bench.ADDED, schema) is not None:
            benchmarks.append(benchmark_of(data, path))
        elif schema == comparison.SCHEMA:
            comparisons.append(_sound_comparison(data, path))
        elif schema == SWEEP:
            benchmarks.append(sweep_of(data, path))
        elif schema == MANY:
            runs.extend(_runs_of_many(data, path))
        else:
            _require_result(data, schema, path)
            runs.append(Run(_title(data), data, file=path))
    if not runs and not benchmarks and not comparisons:
        raise InputError(
            "no result to report on; expected the JSON of evaluate, score, compare or bench"
        )
    return Inputs(runs, benchmarks, sidecars, sidecar_paths, comparisons)


def _folders(paths: Sequence[Path]) -> Dict[Path, List[RunFolder]]:
    """Open the runs' folders: under the first of each run all of its parts that stand right after
    each other, under the others none.
    """
    found: Dict[Path, List[RunFolder]] = {}
    parts: List[RunFolder] = []
    for path in paths:
        if path in found or not is_run(path):
            parts = []
            continue
        run = open_evaluation(path)
        found[path] = []
        if not parts or parts[0].kept != run.kept or parts[0].complete():
            parts = found[path]
        parts.append(run)
    return found


def _run_of_folders(folders: Sequence[RunFolder]) -> Iterator[Run]:
    if not folders:
        return
    kept = so_far(folders)
    # As a result's file has it: keys in order, lists.
    result = json.loads(json_text(result_json.to_dict(kept.evaluation())))
    yield Run(_title(result), result, kept)


def words_of(readings: Readings) -> Iterator[Word]:
    """Yield readings, one at a time.

    Args:
        readings: JSON Lines or CSV, as ``--readings`` writes them, or what a run holds.

    Yields:
        The words in the file's order, or in that of the run's data.

    Raises:
        InputError: A line is not a reading.
    """
    if isinstance(readings, Path):
        yield from _words_of_file(readings)
        return
    for lines in readings.lines():
        for line in lines[:-1]:
            where = str(readings.run.path)
            yield word_of(result_json.entry_of(line, where), where)


def _words_of_file(path: Path) -> Iterator[Word]:
    separator = result_json.SEPARATORS.get(path.suffix.lower())
    if separator is not None:
        yield from _words_of_table(path, separator)
        return
    for entry, where in result_json.entries(path):
        yield word_of(entry, where)


def word_of(entry: Any, where: str) -> Word:
    """Return a reading of a JSON as a word.

    Args:
        entry: What the JSON held.
        where: The file and line, for errors.

    Returns:
        The word; of labels and texts the first thousand characters.

    Raises:
        InputError: It is not a reading.
    """
    if not isinstance(entry, dict) or not isinstance(entry.get("key"), str):
        raise InputError(f"{where}: not a reading (an object with key and text)")
    text, label = entry.get("text"), entry.get("label")
    if not isinstance(text, str) or not isinstance(label, (str, type(None))):
        raise InputError(f"{where}: not a reading; expected its text and label as strings")
    if label is not None:
        label = label[:CLIPPED]
    sure = _number(entry.get("probability"))
    of_path = False
    if sure is None:
        sure = _number(entry.get("confidence"))
        of_path = sure is not None
    width = entry.get("width")
    if not isinstance(width, int):
        width = None
    return Word(
        entry["key"],
        label,
        text[:CLIPPED],
        sure,
        width,
        str(entry.get("view") or "")[:40],
        entry.get("rejected") is True,
        _probabilities(entry.get("characters")),
        of_path,
    )


def simulated_readings(path: Path) -> bool:
    """Say whether any of a file's readings was simulated: files are joined, too.

    Args:
        path: JSON Lines or CSV of readings.

    Returns:
        Whether it says so.
    """
    separator = result_json.SEPARATORS.get(path.suffix.lower())
    if separator is not None:
        with open_input(path) as file:
            text = io.TextIOWrapper(file, "utf-8-sig", errors="replace", newline="")
            rows = csv.DictReader(text, delimiter=separator, strict=True)
            with contextlib.suppress(csv.Error):
                return any(row.get(result_json.SIMULATED) == "true" for row in rows)
        return False
    with open_input(path) as file:
        lines = iter(functools.partial(file.readline, limit("line")), b"")
        return any(_MARK.search(line) for line in lines)


def _probabilities(characters: Any) -> Tuple[float, ...]:
    if not isinstance(characters, list):
        return ()
    found = []
    for character in characters:
        if not isinstance(character, dict):
            return ()
        probability = _number(character.get("probability"))
        if probability is None:
            return ()
        found.append(probability)
    return tuple(found)


def _number(value: Any) -> Optional[float]:
    if not _is_number(value):
        return None
    return min(1.0, max(0.0, float(value)))


def _takes_readings(
    runs: List[Run], path: Path, folders: Mapping[Path, Sequence[RunFolder]]
) -> bool:
    """Add a file of readings or a run's folders; say whether it is one."""
    if path in folders:
        runs.extend(_run_of_folders(folders[path]))
        return True
    require_file(path, "a result JSON, readings, the folder of a run, or NAME.om.json")
    if not result_json.holds_readings(path):
        return False
    if runs and runs[-1].result and runs[-1].readings is None:
        last = runs.pop()
        runs.append(Run(last.title, last.result, path, last.file, simulated_readings(path)))
    else:
        runs.append(Run(path.name, {}, path, marked=simulated_readings(path)))
    return True


def _typed(row: Mapping[str, Any]) -> Dict[str, Any]:
    """Return a row of a table with what JSON Lines have in the place of its strings."""
    entry: Dict[str, Any] = dict(row)
    for name in _NUMBERS:
        if entry.get(name):
            entry[name] = float(entry[name])
    if entry.get("width"):
        entry["width"] = int(entry["width"])
    if entry.get("rejected") == "true":
        entry["rejected"] = True
    return entry


def _words_of_table(path: Path, separator: str) -> Iterator[Word]:
    with open_input(path) as file:
        text = io.TextIOWrapper(file, "utf-8-sig", errors="replace", newline="")
        rows = csv.DictReader(text, delimiter=separator, strict=True)
        try:
            for row in rows:
                yield word_of(_typed(row), f"{path}, line {rows.line_num}")
        except (csv.Error, ValueError, TypeError) as error:
            raise InputError(f"{path}, line {rows.line_num}: {error}") from error


def _json(path: Path) -> Dict[str, Any]:
    try:
        data = json.loads(read_bounded(path, "result").decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{path}: neither a result JSON nor readings: {error}",
            hint=(
                "A report is of what runs have left: crnn evaluate MODEL DATA --json r.json"
                " --readings r.jsonl"
            ),
        ) from error
    if not isinstance(data, dict):
        raise InputError(
            f"{path}: a JSON {type(data).__name__}; expected a result of crnn evaluate"
        )
    return data


def _require_result(data: Data, schema: str, path: Path) -> None:
    hint = "Give the JSON that crnn evaluate, score, compare or bench wrote with --json."
    if schema.partition("/")[0] in _STEMS:
        hint = "A newer kit wrote it: report on it with that one."
    result_json.require_schema(schema, path, hint=hint)
    wrong = next(_wrong_keys(data), None)
    if wrong is not None:
        raise InputError(
            f"{path}: its {wrong!r} is not as crnn evaluate writes it",
            hint="Run that evaluation again.",
        )


def _wrong_keys(data: Data) -> Iterator[str]:
    """Yield the keys of a result that the page cannot be made from."""
    for name, check in _NEEDED.items():
        if not check(data.get(name)):
            yield name
    for name, check in _OPTIONAL.items():
        if name in data and not check(data[name]):
            yield name
    if data["correct"] > data["total"]:
        yield "correct"


def _is_model(value: Any) -> bool:
    if not isinstance(value, dict) or not _is_text_table(value.get("external_data", {})):
        return False
    texts = [value.get(name, "") for name in ("path", "sha256", "spec_from")]
    return isinstance(value.get("spec"), dict) and _is_text_list(texts)


def _is_by_length(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    for length, counts in value.items():
        if not (length.isascii() and length.isdigit()) or len(length) > LONGEST_NUMBER:
            return False
        if not _has_counts(counts, ("correct", "total")) or counts["correct"] > counts["total"]:
            return False
    return True


def _is_stages(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    return all(isinstance(spent, dict) and _is_number(spent.get("sum")) for spent in value.values())


def _is_table(value: Any) -> bool:
    return isinstance(value, dict)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_text_list(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _is_text_table(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_text, value.values()))


def _is_count_table(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_count, value.values()))


def _is_interval(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_is_number, value))


def _is_readings(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_table, value))


def _is_comparison(saved: Any) -> bool:
    counts = ("total", "differing", "regressions", "improvements")
    if not _has_counts(saved, counts) or not isinstance(saved.get("words"), list):
        return False
    numbers = [saved.get("difference"), saved.get("p_value")]
    if not _is_interval(saved.get("interval95")) or not all(map(_is_number, numbers)):
        return False
    needed = {"key", "text", "other"}
    return all(isinstance(word, dict) and needed.issubset(word) for word in saved["words"])


def _sound_comparison(data: Data, path: Path) -> Data:
    """Return a comparison, once it is known to be as ``crnn compare`` writes it."""
    sides, found = data.get("sides"), data.get("comparisons")
    sound = isinstance(sides, list) and all(map(_is_side, sides))
    if not sound or not isinstance(found, list) or not all(map(_is_comparison, found)):
        raise InputError(
            f"{path}: not a comparison as crnn compare writes it", hint="Run it again."
        )
    return data


def _is_side(side: Any) -> bool:
    if not _has_counts(side, ("correct", "total")) or not _is_flag(side.get("simulated", False)):
        return False
    return bool(side["correct"] <= side["total"])


def _has_counts(value: Any, names: Sequence[str]) -> bool:
    return isinstance(value, dict) and all(_is_count(value.get(name)) for name in names)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_WORDS


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    # A comparison, not a conversion: JSON may hold an integer that no float can.
    return -sys.float_info.max <= value <= sys.float_info.max


def _runs_of_many(data: Data, path: Path) -> Iterator[Run]:
    models = data.get("models")
    if not isinstance(models, list):
        raise InputError(f"{path}: its 'models' is not as crnn evaluate writes it")
    for model in models:
        if not isinstance(model, dict) or not isinstance(model.get("results"), list):
            raise InputError(f"{path}: its 'models' is not as crnn evaluate writes it")
        for entry in model["results"]:
            if not isinstance(entry, dict):
                raise InputError(f"{path}: its 'results' is not as crnn evaluate writes it")
            result = entry.get("result")
            if not isinstance(result, dict):
                continue
            _require_result(result, str(result.get("schema")), path)
            named = dict(result)
            named.setdefault("data", str(entry.get("data", "")))
            yield Run(_title(named), named)


def _title(data: Data) -> str:
    title = reader_of(data)
    if data.get("data"):
        return f"{title} · {data['data']}"
    return title


def reader_of(data: Data) -> str:
    """Return what has read: the model, and what restricted its texts.

    Args:
        data: A result.

    Returns:
        Such as "m.onnx, lexicon words.txt".
    """
    title = str(data["model"].get("path", ""))
    decoding = data.get("decoding") or {}
    for name in ("lexicon", "pattern", "allow"):
        if decoding.get(name):
            title += f", {name} {decoding[name]}"
    return title


_NEEDED: Mapping[str, Callable[[Any], bool]] = {
    "accuracy": _is_number,
    "cer": _is_number,
    "correct": _is_count,
    "total": _is_count,
    "misses_total": _is_count,
    "misses": _is_readings,
    "model": _is_model,
}
_OPTIONAL: Mapping[str, Callable[[Any], bool]] = {
    "against": _is_comparison,
    "backend": _is_text,
    "batch": _is_count,
    "by_length": _is_by_length,
    "by_width": _is_table,
    "command": _is_text_list,
    "data": _is_text,
    "date": _is_text,
    "decoding": _is_table,
    "device": _is_text,
    "given_up": _is_text_table,
    "interval95": _is_interval,
    "ned1": _is_number,
    "protocol": _is_table,
    "rehearsed": _is_text,
    "simulated": _is_flag,
    "skipped": _is_count_table,
    "stages": _is_stages,
    "sureness": _is_table,
    "threads": _is_count,
    "throughput": _is_number,
    "versions": _is_text_table,
    "views": _is_table,
}
