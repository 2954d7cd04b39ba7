"""The result JSON, ``crnn-evaluation/2``; docs/formats.md describes it."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Optional, Tuple, Union

from crnn.errors import InputError
from crnn.filekind import require_file
from crnn.files import json_text, open_input, read_bounded, utf8_lines
from crnn.limits import limit
from crnn.results import Comparison, Difference, Evaluation, Reading, RunInfo
from crnn.spec import newest, numbered, optional_keys

SCHEMA = "crnn-evaluation/1"
ADDED = (frozenset(["against", "by_width", "command", "data", "date", "decoding"]),)
"""The keys that the formats 2, 3 … of a result added (`crnn.spec.numbered`)."""
COLUMNS = ("key", "label", "text", "confidence")
"""The columns of readings as CSV."""
SIMULATED = "simulated"
"""A column, and a key of a line, of a run on the Ascend simulator alone."""
SEPARATORS = {".csv": ",", ".tsv": "\t"}
WORDS_KEPT = 1000
"""The most words that two runs read differently in a result."""
TITLE = "Overall statistical evaluation"


def to_dict(evaluation: Evaluation, comparison: Optional[Comparison] = None) -> Dict[str, Any]:
    """Return the evaluation as plain data, with the list of string pairs of ModelZoo's results.

    Args:
        evaluation: The result of an evaluation.
        comparison: Of it with another run.

    Returns:
        The fields of ``crnn-evaluation/1``, or of a later one where it has keys of that.
    """
    data = {field.name: getattr(evaluation, field.name) for field in dataclasses.fields(evaluation)}
    del data["run"]
    data.update(run_dict(evaluation.run))
    data["misses"] = [reading_dict(reading) for reading in evaluation.misses]
    data["by_length"] = {str(length): counts for length, counts in evaluation.by_length.items()}
    data["ned1"] = data.pop("one_minus_ned")
    data["command"] = list(evaluation.command)
    if comparison is not None:
        data["against"] = against_dict(comparison)
    del data["sureness"]
    if evaluation.sureness is not None:
        from crnn.reports import sureness

        data["sureness"] = sureness.to_dict(evaluation.sureness)
    data["by_width"] = {str(width): counts for width, counts in evaluation.by_width.items()}
    for name in ("by_width", "command", "data", "date", "decoding", "views"):
        if not data[name]:
            del data[name]
    data["schema"] = numbered(SCHEMA, ADDED, data)
    data["title"] = TITLE
    classes = len(evaluation.run.model.spec.characters) + 1
    data["value"] = [
        {"key": "Number of images", "value": str(evaluation.total)},
        {"key": "Number of classes", "value": str(classes)},
        {"key": "Top1 accuracy", "value": f"{100 * evaluation.accuracy:.2f}%"},
    ]
    return data


def against_dict(comparison: Comparison) -> Dict[str, Any]:
    """Return a comparison as plain data.

    Args:
        comparison: Of a run with another.

    Returns:
        Counts, the paired test and the first words, regressions first.
    """
    test = comparison.test
    return {
        "file": comparison.file,
        "simulated": comparison.simulated,
        "total": test.total,
        "differing": comparison.differ,
        "regressions": test.only_first,
        "improvements": test.only_second,
        "difference": test.difference,
        "interval95": list(test.interval95),
        "p_value": test.p_value,
        "words": [difference_dict(word) for word in comparison.differing[:WORDS_KEPT]],
    }


def difference_dict(word: Difference) -> Dict[str, Any]:
    """Return a word that two runs read differently as plain data.

    Args:
        word: What both read.

    Returns:
        Its fields; ``margins`` only where they are known.
    """
    data = dataclasses.asdict(word)
    if word.margins is None:
        del data["margins"]
    return data


def run_dict(run: RunInfo) -> Dict[str, Any]:
    """Return what has run a model as the fields of a result.

    Args:
        run: What has run it.

    Returns:
        ``model``, ``backend``, ``device``, ``threads``, ``versions`` and ``simulated``, and
        ``rehearsed``, ``given_up`` and ``widths_lacking`` where there is something to say; outputs
        that another tool has left are of the backend "files" and the device "none".
    """
    model: Dict[str, Any] = {
        "path": run.model.path.name,
        "sha256": run.model.sha256,
        "spec": run.model.spec.to_dict(),
        "spec_from": run.model.spec_from,
    }
    if run.model.external_data:
        model["external_data"] = dict(run.model.external_data)
    data: Dict[str, Any] = {
        "model": model,
        "backend": run.backend or "files",
        "device": run.device or "none",
        "threads": run.threads,
        "versions": dict(run.versions),
        "simulated": run.simulated,
    }
    if run.rehearsed:
        data["rehearsed"] = run.rehearsed
    if run.given_up:
        data["given_up"] = dict(run.given_up)
    if run.lacking:
        data["widths_lacking"] = list(run.lacking)
    return data


def reading_dict(reading: Reading) -> Dict[str, Any]:
    """Return a reading as plain data.

    Args:
        reading: What a model read.

    Returns:
        Its fields; of those with a default only the ones that are set.
    """
    # dataclasses.asdict looks into each value, which takes longer than reading a word's pixels.
    data: Dict[str, Any] = {}
    for name, may_lack in _FIELDS.items():
        value = getattr(reading, name)
        if value is not None or not may_lack:
            data[name] = value
    for name in ("alternatives", "characters"):
        if name in data:
            data[name] = tuple(dataclasses.asdict(one) for one in data[name])
    return data


_FIELDS = {field.name: field.default is None for field in dataclasses.fields(Reading)}
"""A reading's fields that are written, and whether each is left out where it is not set."""
del _FIELDS["image"]


def reading_line(reading: Reading, *, simulated: bool = False) -> str:
    """Return a reading as one line of JSON Lines.

    Args:
        reading: What a model read.
        simulated: Whether it was simulated; the line then says so.

    Returns:
        The line, with its end.
    """
    data = reading_dict(reading)
    if simulated:
        data["simulated"] = True
    return json_text(data) + "\n"


def is_newer(schema: str) -> bool:
    """Say whether a schema is of a result that a newer kit has written.

    Args:
        schema: What a JSON says of itself.

    Returns:
        True for a number of ``crnn-evaluation`` that this kit does not know.
    """
    stem = SCHEMA.partition("/")[0]
    return schema.startswith(f"{stem}/") and optional_keys(SCHEMA, ADDED, schema) is None


def require_schema(schema: str, path: Path, *, hint: str) -> None:
    """Refuse what is not a result of crnn evaluate that this kit knows.

    Args:
        schema: What the JSON says of itself.
        path: Its file.
        hint: What to do where it is something else.

    Raises:
        InputError: It is something else, or a newer kit's.
    """
    if optional_keys(SCHEMA, ADDED, schema) is not None:
        return
    expected = newest(SCHEMA, ADDED)
    raise InputError(f"{path}: the schema is {schema[:80]!r}; expected {expected}", hint=hint)


@dataclass(frozen=True)
class EarlierRun:
    """What an earlier run read, by key.

    With ``only_misses``, the words that it does not hold were read right. ``labels`` are those of
    ``texts``, where they have one; ``lengths`` says how many of all labels have a length, and is
    empty where that is not known.
    """

    texts: Mapping[str, str]
    only_misses: bool
    total: int
    simulated: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    lengths: Mapping[int, int] = field(default_factory=dict)


def read_run(path: Path) -> EarlierRun:
    """Read an earlier run.

    Args:
        path: Its JSON Lines of readings, or its result JSON.

    Returns:
        What it read.

    Raises:
        InputError: The file is neither, a key stands twice, or a result holds only some of its
            misses.
    """
    require_file(path, "a result JSON, or the JSON Lines or CSV of --readings")
    try:
        text = _text_of(path)
        if path.suffix.lower() in SEPARATORS:
            return _run_of_table(text, path)
        # Not splitlines: a label may hold what Unicode calls a line's end, and JSON does not.
        lines = text.rstrip("\n").split("\n")
        if _is_reading(lines[0]):
            return _run_of_lines(lines, path)
        return _run_of_result(json.loads(text), path)
    except (ValueError, RecursionError, csv.Error) as error:
        raise InputError(
            f"{path}: neither a result JSON nor JSON Lines of readings: {error}"
        ) from error


def _text_of(path: Path) -> str:
    # Bytes, for Python would turn a CR in a CSV's text into a line's end.
    return read_bounded(path, "result").decode("utf-8-sig")


def _run_of_table(text: str, path: Path) -> EarlierRun:
    separator = SEPARATORS[path.suffix.lower()]
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    header = next(rows, [])
    if tuple(header[: len(COLUMNS)]) != COLUMNS:
        raise InputError(
            f"{path}: its first line is {separator.join(header)[:80]!r}; expected readings as"
            f" --readings writes them, {separator.join(COLUMNS)}"
        )
    texts: Dict[str, str] = {}
    labels: Dict[str, str] = {}
    simulated = False
    for row in rows:
        entry = dict(zip(header, row))
        if len(row) != len(header):
            raise InputError(f"{path}, line {rows.line_num}: {len(row)} columns of {len(header)}")
        if entry["key"] in texts:
            raise InputError(f"{path}, line {rows.line_num}: the key {entry['key']!r} stands twice")
        texts[entry["key"]] = entry["text"]
        if entry["label"]:
            labels[entry["key"]] = entry["label"]
        simulated = simulated or entry.get(SIMULATED) == "true"
    return EarlierRun(texts, False, len(texts), simulated, labels)


def holds_readings(path: Path) -> bool:
    """Say whether a file holds readings, by its name's ending or its first line.

    Args:
        path: A file.

    Returns:
        True for CSV, and where the first line is an object with a key and a text.
    """
    if path.suffix.lower() in SEPARATORS:
        return True
    with open_input(path) as file:
        first = file.readline(limit("line"))
    try:
        entry = json.loads(first)
    except (ValueError, RecursionError):
        return False
    return isinstance(entry, dict) and "key" in entry and "text" in entry


def entries(path: Path) -> Iterator[Tuple[Any, str]]:
    """Read JSON Lines one by one.

    Args:
        path: Their file.

    Yields:
        What a line holds, and its file and line for errors.

    Raises:
        InputError: A line is not JSON.
    """
    for number, line, _ in utf8_lines(path):
        where = f"{path}, line {number}"
        if line is None:
            raise InputError(f"{where}: not UTF-8, as JSON is")
        yield entry_of(line, where), where


def entry_of(line: Union[str, bytes], where: str) -> Any:
    """Read a line of readings or records.

    Args:
        line: JSON.
        where: The file and line, for errors.

    Returns:
        Its value.

    Raises:
        InputError: It is not JSON.
    """
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: not JSON: {error}") from error


def _is_reading(line: str) -> bool:
    try:
        return _holds_reading(json.loads(line))
    except (ValueError, RecursionError):
        return False


def _holds_reading(entry: Any) -> bool:
    return (
        isinstance(entry, dict)
        and isinstance(entry.get("key"), str)
        and isinstance(entry.get("text"), str)
    )


def _run_of_lines(lines: List[str], path: Path) -> EarlierRun:
    texts: Dict[str, str] = {}
    labels: Dict[str, str] = {}
    simulated = False
    for number, line in enumerate(lines, 1):
        if not _is_reading(line):
            raise InputError(f"{path}, line {number}: not a reading (an object with key and text)")
        entry = json.loads(line)
        if entry["key"] in texts:
            raise InputError(f"{path}, line {number}: the key {entry['key']!r} stands twice")
        texts[entry["key"]] = entry["text"]
        if isinstance(entry.get("label"), str):
            labels[entry["key"]] = entry["label"]
        simulated = simulated or entry.get("simulated") is True
    return EarlierRun(texts, False, len(texts), simulated, labels)


def _run_of_result(data: Any, path: Path) -> EarlierRun:
    known = isinstance(data, dict) and optional_keys(SCHEMA, ADDED, data.get("schema"))
    if known is None or known is False:
        hint = ""
        if isinstance(data, dict) and is_newer(str(data.get("schema"))):
            hint = "A newer kit wrote it: compare with that one."
        raise InputError(
            f"{path}: not a result of crnn evaluate (schema {newest(SCHEMA, ADDED)}), and not JSON"
            " Lines of readings",
            hint=hint,
        )
    misses: Any = data.get("misses")
    wrong = data.get("misses_total")
    total = data.get("total")
    whole = isinstance(misses, list) and all(map(_holds_reading, misses))
    if not whole or not isinstance(wrong, int) or not isinstance(total, int):
        raise InputError(
            f"{path}: a result of crnn evaluate without its misses, misses_total or total as it"
            " writes them",
            hint="Run that evaluation again.",
        )
    if wrong > len(misses):
        raise InputError(
            f"{path} holds {len(misses)} of its {wrong} misses, so its texts are not all known",
            hint=(
                "Run that evaluation again with --readings FILE.jsonl and compare against that"
                " file."
            ),
        )
    texts = {miss["key"]: miss["text"] for miss in misses}
    simulated = data.get("simulated") is True
    return EarlierRun(texts, True, total, simulated, _labels_of(misses), lengths_of(data))


def _labels_of(misses: List[Dict[str, Any]]) -> Dict[str, str]:
    labels: Dict[str, str] = {}
    for miss in misses:
        if isinstance(miss.get("label"), str):
            labels[miss["key"]] = miss["label"]
    return labels


def lengths_of(data: Mapping[str, Any]) -> Dict[int, int]:
    """Return how many labels have each length, by which one data set is told from another.

    Args:
        data: A result's JSON.

    Returns:
        The count of each length; empty where the result does not say it.
    """
    by_length = data.get("by_length")
    lengths: Dict[int, int] = {}
    if not isinstance(by_length, dict):
        return lengths
    for length, counts in by_length.items():
        if not isinstance(counts, dict) or not isinstance(counts.get("total"), int):
            return {}
        lengths[int(length)] = counts["total"]
    return lengths
