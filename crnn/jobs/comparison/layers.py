"""The sides of a comparison node by node, and a folder in which it can be done again."""

from __future__ import annotations

import collections
import contextlib
import json
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Counter, Dict, List, Optional, Sequence, Tuple

import numpy as np

from crnn.errors import InputError, UsageError
from crnn.export.node_tensors import FLOAT16, FLOAT32, Tensors, tensors_of
from crnn.filekind import ONNX, TORCH, kind_of
from crnn.files import atomic_folder, json_text, require_parent
from crnn.fingerprint import other_keys
from crnn.jobs.comparison.job import CompareOutcome, CompareRequest, Example
from crnn.jobs.comparison.sides import FLOAT16 as REHEARSED
from crnn.jobs.insides import NAME, read_insides
from crnn.jobs.layers import WORDS, compare_layers
from crnn.machine import versions
from crnn.reports.layers import HEADS, LayerReport, plot, rows_of, verdict
from crnn.results import Comparison, Side
from crnn.samples.bins import BINS_FORMAT, bin_bytes, bin_name, label_line
from crnn.spec import ModelSpec

USUAL = 16
"""Words that are compared where nobody says how many and none differs."""
_CLOSED = (
    "it does not show its inside: of an OM crnn compile --probe makes one that does, and what crnn"
    " evaluate --save-outputs keeps of that is a side"
)
_FLOAT32_MODES = ("cube_fp16in_fp32out", "force_fp32", "must_keep_origin_dtype", "origin")
"""ATC's precision modes that are not float16 throughout."""


@dataclass(frozen=True)
class Insight:
    """A side node by node against the reference.

    ``report`` is None where the side does not show its inside, and ``notes`` then say why; they say
    too what should be known of it. ``words`` is how many images were compared.
    """

    side: str
    report: Optional[LayerReport]
    words: int
    notes: Sequence[str]

    def lines(self) -> List[str]:
        """Return the verdict and the notes, a sentence each."""
        found = [f"{self.side}: {note}" for note in self.notes]
        if self.report is not None:
            found.insert(0, f"{self.side}, {self.words} words: {verdict(self.report)}")
        return found


@dataclass(frozen=True)
class _Words:
    """Words of one width as the reference takes them, float32 (N, C, H, W)."""

    keys: Sequence[str]
    labels: Sequence[Optional[str]]
    images: np.ndarray
    notes: Sequence[str]


def words_wanted(asked: int) -> int:
    """Return how many words' images a comparison has to keep.

    Args:
        asked: What ``--layers`` says; 0 for those that differ.

    Returns:
        The number.

    Raises:
        UsageError: More than are compared.
    """
    if asked > WORDS:
        raise UsageError(f"--layers {asked}: at most {WORDS} words are compared node by node")
    return asked or WORDS


def insights(
    request: CompareRequest, outcome: CompareOutcome, asked: int, save: Optional[Path]
) -> List[Insight]:
    """Compare each side with the reference node by node.

    Args:
        request: What was compared.
        outcome: What came of it, with the images of `words_wanted` words.
        asked: What ``--layers`` says; 0 for the words that differ.
        save: A new folder for what it takes to do it again; None for none.

    Returns:
        One for each side but the reference.

    Raises:
        InputError: The reference does not show its inside, or the folder exists.
    """
    first = request.sides[0]
    reference, rehearse = _model(first)
    if reference is None:
        raise InputError(
            f"--layers: {first} does not show its inside; expected a checkpoint or an ONNX as the"
            " first side"
        )
    if save is not None:
        _require_new(save)
    sides = outcome.result.sides
    found: List[Insight] = []
    for number, text in enumerate(request.sides[1:], 1):
        comparison = outcome.result.comparisons[number - 1]
        probe = Path(text) / NAME
        if Path(text).is_dir() and probe.is_file():
            notes = _of_suspects(number, sides, outcome.result.comparisons)
            found.append(_of_probe(text, reference, rehearse, notes))
            continue
        other, also = _model(text)
        if other is None:
            found.append(Insight(text, None, 0, [_CLOSED]))
            continue
        specs = (_spec(sides[0]), _spec(sides[number]))
        examples = _of_common_widths(outcome.examples, *specs)
        if outcome.examples and not examples:
            found.append(Insight(text, None, 0, [_other_widths(first, *specs)]))
            continue
        words = _words(examples, asked, specs[0])
        notes = [*words.notes, *_other_inputs(sides[0], sides[number])]
        report = compare_layers(
            tensors_of(reference, words.images[None], rehearse=rehearse),
            tensors_of(other, words.images[None], rehearse=also),
        )
        found.append(Insight(text, report, len(words.keys), notes))
        if save is not None:
            place = save
            if len(sides) > 2:
                place = save / f"side_{number}"
            _save(place, (first, text), words, report, _spec(sides[0]), comparison)
    return found


def table(insight: Insight) -> Tuple[Sequence[str], Sequence[Sequence[str]]]:
    """Return a side's table.

    Args:
        insight: Of a side that shows its inside.

    Returns:
        Its head and its rows.
    """
    rows: Sequence[Sequence[str]] = ()
    if insight.report is not None:
        rows = rows_of(insight.report)
    return HEADS, rows


def _model(text: str) -> Tuple[Optional[Path], bool]:
    """Return the file of a model that shows its inside, and whether it is rehearsed."""
    rehearse = text.startswith(REHEARSED)
    path = Path(text)
    if rehearse:
        path = Path(text[len(REHEARSED) :])
    # What is not a model raises: readings, results.
    with contextlib.suppress(InputError):
        if path.is_file() and kind_of(path) in (ONNX, TORCH):
            return path, rehearse
    return None, False


def _spec(side: Side) -> ModelSpec:
    assert side.run is not None
    return side.run.model.spec


def _of_common_widths(
    examples: Sequence[Example], first: ModelSpec, other: ModelSpec
) -> Sequence[Example]:
    """Return the words whose images both models can take; all where their widths are the same."""
    common = set(first.read_widths) & set(other.read_widths)
    if first.read_widths == other.read_widths:
        return examples
    kept: List[Example] = []
    for example in examples:
        if 0 in example.images and example.images[0].shape[2] in common:
            kept.append(example)
    return kept


def _other_widths(first: str, own: ModelSpec, other: ModelSpec) -> str:
    ours = ", ".join(map(str, own.read_widths))
    theirs = ", ".join(map(str, other.read_widths))
    return (
        f"it takes images of width {theirs}, and {first} has none of the words at that (it reads at"
        f" {ours}): compare models of one width, such as those that crnn export --width-rule off"
        " writes"
    )


def _words(examples: Sequence[Example], asked: int, spec: ModelSpec) -> _Words:
    """Choose the words, of the one width that most of them have."""
    chosen = _chosen(examples, asked)
    if not chosen:
        raise InputError("--layers: none of the words has an image that a model took")
    widths: Counter[int] = collections.Counter(example.images[0].shape[2] for example in chosen)
    width = max(widths, key=lambda each: widths[each])
    kept = [example for example in chosen if example.images[0].shape[2] == width]
    notes: List[str] = []
    if len(kept) < len(chosen):
        notes.append(f"{len(chosen) - len(kept)} words of other widths than {width} are left out")
    images = np.stack([example.images[0] for example in kept])
    if images.dtype == np.uint8:
        images = spec.table[images]
    labels = [example.label for example in kept]
    return _Words([example.key for example in kept], labels, images.astype(np.float32), notes)


def _chosen(examples: Sequence[Example], asked: int) -> Sequence[Example]:
    """Return as many words as were asked for, else those that differ, else the usual number."""
    seen = [example for example in examples if 0 in example.images]
    if asked:
        return seen[:asked]
    differing = [example for example in seen if example.differs]
    return differing or seen[:USUAL]


def _other_inputs(first: Side, other: Side) -> List[str]:
    keys = other_keys(_spec(first), _spec(other))
    if not keys:
        return []
    return [
        f"both got the images as {first.name} takes them, though their specs differ by"
        f" {', '.join(keys)}"
    ]


def _of_probe(text: str, reference: Path, rehearse: bool, notes: Sequence[str]) -> Insight:
    """Compare what a probing OM has left with what the reference gives for the same images."""
    insides = read_insides(Path(text))
    own = tensors_of(reference, insides.values, rehearse=rehearse)
    precision = FLOAT16
    if insides.precision.startswith(_FLOAT32_MODES):
        precision = FLOAT32
    report = compare_layers(own, Tensors(insides.tensors, {}, precision))
    count = insides.images.shape[0] * insides.images.shape[1]
    return Insight(text, report, count, notes)


def _of_suspects(number: int, sides: Sequence[Side], pairs: Sequence[Comparison]) -> List[str]:
    """Say whether a probe reads what the OM reads that is suspected: the other sides."""
    own = _texts(pairs[number - 1])
    notes: List[str] = []
    for other, pair in enumerate(pairs, 1):
        if other == number:
            continue
        theirs = _texts(pair)
        keys = [key for key in {**own, **theirs} if own.get(key) != theirs.get(key)]
        name = sides[other].name
        if keys:
            notes.append(
                f"it reads {len(keys)} words otherwise than {name}, such as {min(keys)}: with every"
                " node as an output ATC fuses less, and where the text goes wrong only in what it"
                " fuses, this table does not show it"
            )
        else:
            notes.append(f"it reads what {name} reads")
    if not notes:
        notes.append(
            "whether it reads what the plain OM reads is not known: give the outputs or the"
            " readings of that as a side too"
        )
    return notes


def _texts(pair: Comparison) -> Dict[str, str]:
    """Return the texts that are not the reference's, by their words."""
    return {word.key: word.text for word in pair.differing}


def _require_new(path: Path) -> None:
    require_parent(path)
    if path.exists():
        raise InputError(f"--save-layers {path}: it exists; name a new folder")


def _save(
    place: Path,
    pair: Tuple[str, str],
    words: _Words,
    report: LayerReport,
    spec: ModelSpec,
    comparison: Comparison,
) -> None:
    """Write the pair, its inputs as bins, what was found, and the command that finds it again."""
    place.parent.mkdir(exist_ok=True)
    with atomic_folder(place) as folder:
        names = []
        for letter, text in zip("ab", pair):
            path, rehearse = _model(text)
            assert path is not None
            _copy(path, folder / f"{letter}{path.suffix}")
            prefix = ""
            if rehearse:
                prefix = REHEARSED
            names.append(f"{prefix}{letter}{path.suffix}")
        _write_bins(folder, words, spec)
        command = ["crnn", "compare", *names, "--data", "input_bin", "--label", "label.txt"]
        command += ["--layers", str(len(words.keys))]
        line = " ".join(map(shlex.quote, command))
        (folder / "replay.sh").write_text(f"#!/bin/sh\n{line}\n", encoding="utf-8")
        about = {**report.to_dict(), "sides": list(pair), "keys": list(words.keys)}
        about["versions"] = versions()
        about["differing"] = comparison.differ
        (folder / "layers.json").write_text(json.dumps(about, indent=1), encoding="utf-8")
        (folder / "layers.svg").write_text(plot(report), encoding="utf-8")


def _copy(path: Path, target: Path) -> None:
    """Copy a model; weights beside an ONNX go into the copy."""
    if kind_of(path) == TORCH:
        shutil.copyfile(str(path), str(target))
        return
    from crnn.runners.onnx_file import load_external_data
    from crnn.runners.onnx_runner import load_graph

    target.write_bytes(load_external_data(load_graph(path), path).SerializeToString())


def _write_bins(folder: Path, words: _Words, spec: ModelSpec) -> None:
    bins = folder / "input_bin"
    bins.mkdir()
    lines = []
    for number, (image, label) in enumerate(zip(words.images, words.labels), 1):
        (bins / bin_name(number)).write_bytes(bin_bytes(image))
        lines.append(label_line(number, label or ""))
    (folder / "label.txt").write_text("".join(lines), encoding="utf-8")
    about = {"format": BINS_FORMAT, "spec": spec.to_dict(), "dtype": "float32"}
    text = json_text({**about, "versions": versions()}, indent=2)
    (folder / "input_bin.json").write_text(text + "\n", encoding="utf-8")
