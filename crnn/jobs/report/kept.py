"""Small pictures of the words that a run read wrong, kept beside its result for later reports."""

from __future__ import annotations

import base64
import binascii
import json
from pathlib import Path
from typing import Any, Dict, Mapping, Optional, Set, Tuple

from crnn.errors import UsageError
from crnn.files import atomic_file, json_text, read_bounded
from crnn.jobs.report.inputs import words_of
from crnn.jobs.report.pictures import ADDRESS, pictures_in
from crnn.jobs.report.tally import Tally
from crnn.results import Comparison, Evaluation
from crnn.samples.annotations import ListOptions
from crnn.samples.source import LabelledSource, holds_bins, open_labelled

SCHEMA = "crnn-images/1"
MOST = 1000
"""The surest of the wrong words that are kept, beside the worst ones that the result names."""
_WEBP = (b"RIFF", b"WEBP")


def place_beside(result: Path) -> Path:
    """Return where the pictures of a result are kept.

    Args:
        result: The result JSON, such as ``r.json``.

    Returns:
        Such as ``r.images.json``, in the same folder.
    """
    return result.with_suffix(".images.json")


def source_of_pictures(data: Path, label: Optional[Path], options: ListOptions) -> LabelledSource:
    """Open the data set of a run whose pictures are to be kept.

    Args:
        data: What is evaluated.
        label: The annotation of a folder of images, where one was named.
        options: How that is read.

    Returns:
        The data set.

    Raises:
        InputError: It is not a data set.
        UsageError: It holds bins, whose pictures are gone.
    """
    if holds_bins(data):
        raise UsageError(
            f"--keep-images: {data} holds bins, which are not pictures",
            hint="Evaluate on the LMDB or the images.",
        )
    return open_labelled(data, label, options)


def keep_pictures(
    evaluation: Evaluation,
    comparison: Optional[Comparison],
    readings: Optional[Path],
    source: LabelledSource,
    target: Path,
) -> int:
    """Keep small pictures of the words that a report of a run may show.

    Args:
        evaluation: What came of the run: the worst wrong words.
        comparison: The words that changed, where it was compared.
        readings: All readings, where they were written: the surest wrong words.
        source: The data set.
        target: The file to write.

    Returns:
        How many pictures it holds.

    Raises:
        InputError: The data set or the readings cannot be read.
    """
    wanted = {reading.key for reading in evaluation.misses}
    if comparison is not None:
        wanted.update(word.key for word in comparison.differing[:MOST])
    if readings is not None:
        tally = Tally(MOST, evaluation.run.model.spec.fold)
        for word in words_of(readings):
            tally.add(word)
        wanted.update(word.key for word in tally.misses())
    shown = pictures_in(source, wanted)
    images = {key: address[len(ADDRESS) :] for key, address in shown.items()}
    kept = {
        "schema": SCHEMA,
        **_identity(evaluation.run.model.sha256, evaluation.data, evaluation.date),
        "images": images,
    }
    with atomic_file(target) as file:
        file.write(json_text(kept).encode("utf-8") + b"\n")
    return len(images)


def kept_pictures(
    result_file: Path, result: Mapping[str, Any], wanted: Set[str]
) -> Tuple[Mapping[str, str], str]:
    """Return the pictures that a run has kept beside its result.

    Args:
        result_file: The result JSON.
        result: What it holds.
        wanted: The names of the words to be shown.

    Returns:
        Pictures as data addresses, by name; and why they cannot be used, "" where they can or
        where there are none.
    """
    path = place_beside(result_file)
    if not path.is_file():
        return {}, ""
    try:
        kept = json.loads(read_bounded(path, "result").decode("utf-8"))
    except (ValueError, RecursionError):
        return {}, f"{path}: not JSON, so no pictures are taken from it"
    if not isinstance(kept, dict) or kept.get("schema") != SCHEMA:
        return {}, f"{path}: not pictures as crnn evaluate --keep-images writes them ({SCHEMA})"
    own = _identity(result["model"].get("sha256"), result.get("data"), result.get("date"))
    if any(kept.get(name) != value for name, value in own.items()):
        return {}, f"{path}: the pictures of another run than {result_file.name}; not taken"
    images = kept.get("images")
    found: Dict[str, str] = {}
    if isinstance(images, dict):
        for key in wanted.intersection(images):
            if _is_picture(images[key]):
                found[key] = ADDRESS + images[key]
    return found, ""


def _identity(model: Any, data: Any, date: Any) -> Mapping[str, Any]:
    """Return what tells a run from others."""
    return {"model_sha256": model, "data": data, "date": date}


def _is_picture(text: Any) -> bool:
    if not isinstance(text, str):
        return False
    try:
        content = base64.b64decode(text.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        return False
    return (content[:4], content[8:12]) == _WEBP
