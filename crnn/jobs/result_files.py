"""Scoring the raw outputs that another tool has left: a file a sample, as benchmark, ais_bench or
MindSpore write them.

====================  =============================================  ==========
file                  written by                                     values
====================  =============================================  ==========
``NAME_1.bin``        benchmark, in ``dumpOutput_deviceN/``          float32
``NAME_0.bin``        ais_bench and ais_infer, in a timestamp folder  float32
``NAME_0.bin``        MindSpore's 310 program, in ``result_Files/``  float16
====================  =============================================  ==========

Each holds (T, 1, K), without header. Needs only NumPy.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from crnn.errors import InputError
from crnn.files import natural_key, require_file
from crnn.jobs.outputs import SIMULATED_MARK
from crnn.jobs.score import OnReading, Scorer
from crnn.jobs.stream import Scored, evaluation_of
from crnn.jobs.timing import Stages
from crnn.presets import SPECS
from crnn.results import Batch, Problem
from crnn.runners.base import Model
from crnn.samples.annotations import read_annotations
from crnn.samples.bins import REPEATED, bin_name, read_labels
from crnn.spec import ModelSpec

MISSING = "missing result"
WRONG_SIZE = "result of another size"
NO_LABEL = "result without label"
ENDINGS = ("_0.bin", "_1.bin")
DTYPES = ("<f4", "<f2")
_ROWS = 256


class ResultFolder:
    """A folder of raw outputs and its labels, scored by a spec, or by what the files' size tells
    where it is None.

    Sizes tell T and the type apart: 26 steps are read by the default spec, 24 as MindSpore's own
    classes. ``folder`` may also be the one above the tool's own, where that is the only one. Raises
    `InputError`.
    """

    backend = "files"
    device = "none"
    threads = 1
    versions: Mapping[str, str] = {}

    def __init__(self, folder: Path, label_file: Path, spec: Optional[ModelSpec] = None) -> None:
        self.labels, self._repeated = _labels(label_file)
        self.folder, self._files = _find(folder)
        self.simulated = (self.folder / SIMULATED_MARK).exists()
        known = [name for name in self.labels if name in self._files]
        if not known:
            raise InputError(
                f"none of the {len(self.labels)} names in {label_file} has a result in"
                f" {self.folder}, which begins with {min(self._files.values(), key=natural_key)}",
                hint="Give the label file of the bins or images that the tool has read.",
            )
        self.spec, self._dtype = _layout([self.folder / self._files[name] for name in known], spec)
        self.model = Model(self.folder, "", self.spec, "default" if spec is None else "given")
        self.notes: Sequence[str] = (
            () if spec else (f"{self.folder}: {_described(self.spec, self._dtype)}",)
        )

    def __len__(self) -> int:
        return len(self.labels)

    def batches(self) -> Iterator[Tuple[Batch, Optional[np.ndarray]]]:
        """Yield rows with the logits (T, n, K) of those that have them."""
        names = list(self.labels)
        steps, classes = self.spec.time_steps, self.spec.classes
        for start in range(0, len(names), _ROWS):
            keys = names[start : start + _ROWS]
            problems: Dict[int, Problem] = {}
            outputs: List[np.ndarray] = []
            for row, key in enumerate(keys):
                problem = self._read(key, outputs)
                if problem:
                    problems[row] = problem
            logits = None
            if outputs:
                shape = (len(outputs), steps, classes)
                logits = np.stack(outputs).reshape(shape).transpose(1, 0, 2).astype(np.float32)
            yield (
                Batch(
                    keys, [self.labels[key] for key in keys], np.empty((len(outputs), 0)), problems
                ),
                logits,
            )

    def extras(self) -> List[Tuple[str, Problem]]:
        """Return the results that have no label, and the labels given twice."""
        unlabelled = [
            (file, Problem(NO_LABEL))
            for name, file in self._files.items()
            if name not in self.labels
        ]
        return [*((name, Problem(REPEATED)) for name in self._repeated), *unlabelled]

    def _read(self, key: str, outputs: List[np.ndarray]) -> Optional[Problem]:
        if key not in self._files:
            return Problem(MISSING)
        data = (self.folder / self._files[key]).read_bytes()
        expected = self.spec.time_steps * self.spec.classes * self._dtype.itemsize
        if len(data) != expected:
            return Problem(
                WRONG_SIZE, f"{self._files[key]}: {len(data)} bytes; expected {expected}"
            )
        outputs.append(np.frombuffer(data, dtype=self._dtype))
        return None


def score_folder(
    results: ResultFolder,
    *,
    on_reading: Optional[OnReading] = None,
    advance: Callable[[int], None] = lambda n: None,
) -> Scored:
    """Score every label of a result folder as `evaluate` would have scored the model that wrote
    it.
    """
    stages = Stages()
    scorer = Scorer(results.spec, on_reading)
    start = time.perf_counter()
    for batch, logits in stages.timed("read", results.batches()):
        begin = time.perf_counter()
        scorer.add(batch, logits)
        stages.add("score", time.perf_counter() - begin)
        advance(len(batch.keys))
    seconds = time.perf_counter() - start
    for key, problem in results.extras():
        scorer.report(key, problem)
    return Scored(evaluation_of(results, scorer, stages, 1, seconds), scorer.named)


def _labels(path: Path) -> Tuple[Dict[str, str], Sequence[str]]:
    """Return the label by the stem of the file that was read, and the bins that a label.txt names
    twice.

    ``path`` is a label.txt of bins or an annotation file.
    """
    require_file(path, "a label file")
    with open(path, "rb") as file:
        head = file.readline(200).lstrip(b"\xef\xbb\xbf")
    if head.startswith(b"test_") and b".bin:" in head:
        by_index, repeated = read_labels(path)
        return {f"test_{index}": label for index, label in sorted(by_index.items())}, list(
            map(bin_name, repeated)
        )
    labels: Dict[str, str] = {}
    for entry in read_annotations(path).entries:
        name = Path(entry.name).stem
        if name in labels:
            raise InputError(
                f"{path} line {entry.line}: a second image of the name {name}, whose results are"
                " one file"
            )
        labels[name] = entry.label
    return labels, ()


def _find(folder: Path) -> Tuple[Path, Dict[str, str]]:
    """Return the folder that holds the results, and the file of each name."""
    if not folder.is_dir():
        raise InputError(
            f"{folder} {'is a file' if folder.exists() else 'does not exist'}; expected a folder of"
            " results"
        )
    places = {
        place: files
        for place in (folder, *_folders(folder))
        for files in [_results(place)]
        if files
    }
    if folder in places:
        return folder, places[folder]
    if len(places) != 1:
        names = ", ".join(place.name for place in list(places)[:4])
        raise InputError(
            f"{folder} holds no results (NAME_0.bin or NAME_1.bin)"
            + (f" of its own; {len(places)} folders in it do: {names}" if places else ""),
            hint="Name the one to score." if places else "",
        )
    return next(iter(places.items()))


def _folders(folder: Path) -> List[Path]:
    return sorted(
        (entry for entry in folder.iterdir() if entry.is_dir()),
        key=lambda entry: natural_key(entry.name),
    )


def _results(folder: Path) -> Dict[str, str]:
    files: Dict[str, str] = {}
    for entry in folder.iterdir():
        name = entry.name
        if name.endswith(ENDINGS) and entry.is_file():
            if name[:-6] in files:
                raise InputError(
                    f"{folder} holds {files[name[:-6]]} and {name}: two outputs of one sample;"
                    " expected one"
                )
            files[name[:-6]] = name
    return files


def _layout(paths: Sequence[Path], spec: Optional[ModelSpec]) -> Tuple[ModelSpec, np.dtype]:
    """Return spec and type by the first file whose size is right for one; the others may be cut
    off.
    """
    specs = [spec] if spec else [SPECS["modelzoo"], SPECS["mindspore-native"]]
    layouts = [(candidate, np.dtype(name)) for candidate in specs for name in DTYPES]
    fitting = {
        candidate.time_steps * candidate.classes * dtype.itemsize: (candidate, dtype)
        for candidate, dtype in layouts
    }
    for path in paths:
        size = path.stat().st_size
        if size in fitting:
            return fitting[size]
    size = paths[0].stat().st_size
    sizes = " or ".join(f"({candidate.time_steps}, 1, {candidate.classes})" for candidate in specs)
    if size and any(size % expected == 0 for expected in fitting):
        raise InputError(
            f"{paths[0]} has {size} bytes, several words' worth; expected one a file, {sizes} in"
            " float32 or float16",
            hint=(
                "Run the tool with an output batch axis of 1 (ais_bench --output_batchsize_axis 1),"
                " or with batch 1."
            ),
        )
    raise InputError(
        f"{paths[0]} has {size} bytes; expected {sizes} in float32 or float16",
        hint="Name the model's spec with --spec: a preset, the model itself, or a spec's JSON.",
    )


def _described(spec: ModelSpec, dtype: np.dtype) -> str:
    shape = f"({spec.time_steps}, 1, {spec.classes})"
    order = (
        f"blank, then {spec.alphabet}" if spec.blank == 0 else f"{spec.alphabet}, then the blank"
    )
    return f"read as {shape} {dtype.name} with the classes {order}; --spec says otherwise"
