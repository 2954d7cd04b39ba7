"""Raw logits, a file a sample: written as the tools name them that run an OM by themselves, and
read as such tools, or MindSpore, have left them.

=====================  =============================================  ==========
file                   written by                                     values
=====================  =============================================  ==========
``NAME_1.bin``         benchmark, in ``dumpOutput_deviceN/``          float32
``NAME_0.bin``         ais_bench and ais_infer, in a timestamp folder  float32
``NAME_0.bin``         MindSpore's 310 program, in ``result_Files/``  float16
``NAME_output_0.bin``  msame                                          float32
``NAME_0.npy``         ais_bench --outfmt NPY                         any float
``NAME_0.txt``         ais_bench --outfmt TXT, msame --outfmt TXT     numbers
=====================  =============================================  ==========

Each holds (T, 1, K), the ``.bin`` ones without header. Of a model that reads at several widths T
follows from the file's size, and must be about what the width's share of the fixed one's is. Needs
only NumPy.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Dict, Generator, List, Mapping, Optional, Sequence, Set, Tuple, Union

import numpy as np

from crnn.batch import Batch, Problem
from crnn.errors import InputError
from crnn.filekind import require_file
from crnn.files import natural_key, open_input
from crnn.presets import SPECS
from crnn.results import Model, RunInfo
from crnn.runners.base import run_info
from crnn.samples.annotations import ListOptions, read_annotations
from crnn.samples.bins import REPEATED, bin_name, read_labels
from crnn.scoring.stream import Stages
from crnn.spec import ModelSpec

STYLES = {"ais_bench": "_0.bin", "benchmark": "_1.bin"}
SIMULATED_MARK = "simulated.json"
"""Beside outputs of the Ascend simulator, so that what is scored from them says so too."""

MISSING = "missing result"
WRONG_SIZE = "result of another size"
NO_LABEL = "result without label"
RESULTS = "NAME_0.bin or NAME_1.bin, NAME_output_0.bin, or the same as .npy or .txt"
FORMS = (".bin", ".npy", ".txt")
"""The forms of results; of a folder that has several the first is read."""
_NUMBERS = ("_0", "_1")
_MSAME = "_output"
_MOST_BYTES = 64 << 20
DTYPES = ("<f4", "<f2")
_ROWS = 256
_NEAR = 2
"""How many time steps more or fewer than its share a width may give."""


Labels = Mapping[str, Optional[str]]
"""The label of each sample, by the stem of its file's name."""


class OutputWriter:
    """Writes each sample's logits (T, 1, K), little-endian float32, to ``NAME_0.bin`` or
    ``NAME_1.bin``.

    Args:
        folder: Where to; it exists.
        style: One of `STYLES`.
        simulated: Whether the Ascend simulator gave the logits; a file then says so.
    """

    def __init__(self, folder: Path, style: str, *, simulated: bool = False) -> None:
        self._folder = folder
        self._ending = STYLES[style]
        self._names: Set[str] = set()
        if simulated:
            (folder / SIMULATED_MARK).write_text('{"simulated": true}\n', encoding="utf-8")

    def add(self, batch: Batch, logits: np.ndarray) -> None:
        """Write the files of a batch's readable rows.

        Args:
            batch: The samples, n of them readable.
            logits: (T, n, K), those of the readable rows in their order.

        Raises:
            InputError: A second sample of the same file name.
        """
        rows = np.ascontiguousarray(logits.transpose(1, 0, 2), dtype="<f4")
        for row, output in zip(batch.readable, rows):
            name = Path(batch.keys[row]).stem
            if name in self._names:
                raise InputError(
                    f"two samples would both be written as {name}{self._ending}; rename one of them"
                )
            self._names.add(name)
            (self._folder / f"{name}{self._ending}").write_bytes(output.tobytes())


class ResultFolder:
    """A folder of raw outputs and its labels, scored by a spec, or by what the files' size tells
    where it is None.

    Sizes tell T and the type apart: 26 steps are read by the default spec, 24 as MindSpore's own
    classes. ``folder`` may also be the one above the tool's own, where that is the only one.
    ``labels`` are what ``label_file`` holds, by the stem of the file that was read, where the
    caller knows them. Raises `InputError`.
    """

    def __init__(
        self,
        folder: Path,
        label_file: Path,
        spec: Optional[ModelSpec] = None,
        options: ListOptions = ListOptions(),  # noqa: B008  frozen
        *,
        labels: Optional[Labels] = None,
    ) -> None:
        self._repeated: Sequence[str] = ()
        if labels is None:
            labels, self._repeated = _labels(label_file, options)
        self.labels: Labels = labels
        several = spec is not None and spec.widths is not None
        self.folder, self._files = _find(folder, self.labels, several=several)
        self.simulated = (self.folder / SIMULATED_MARK).exists()
        known = [name for name in self.labels if name in self._files]
        if not known:
            files = set(self._files.values())
            hint = "Give the label file of the bins or images that the tool has read."
            if any(f"{name}.bin" in files for name in self.labels):
                hint = "These are the bins that a tool reads: give the folder that it wrote."
            raise InputError(
                f"none of the {len(self.labels)} names in {label_file} has a result in"
                f" {self.folder}, which begins with {min(self._files.values(), key=natural_key)}",
                hint=hint,
            )
        self._widths: Mapping[int, int] = {}
        """The width that each number of time steps belongs to, of a model with several."""
        paths = [self.folder / self._files[name] for name in known]
        if spec is not None and spec.widths is not None:
            self.spec = spec
            self._widths = _steps_of_widths(spec)
            self._dtype = _dtype_of_widths(paths, spec, self._widths)
        else:
            self.spec, self._dtype = _layout(paths, spec)
        self.notes: Sequence[str] = ()
        self._spec_from = "given"
        if spec is None:
            self.notes = (f"{self.folder}: {_described(self.spec, self._dtype)}",)
            self._spec_from = "default"

    def __len__(self) -> int:
        return len(self.labels)

    def info(self) -> RunInfo:
        """Return what is known of the run: another tool's, of a model that is not here."""
        model = Model(self.folder, "", self.spec, self._spec_from)
        return run_info(model, simulated=self.simulated)

    def batches(
        self, stages: Optional[Stages] = None
    ) -> Generator[Tuple[Batch, Optional[np.ndarray]], None, None]:
        """Read the results.

        Args:
            stages: Gets the time of "read".

        Yields:
            Rows, with the float32 logits (T, n, K) of those that have them, None where none has.
        """
        stages = stages or Stages()
        names = list(self.labels)
        for start in range(0, len(names), _ROWS):
            begin = time.perf_counter()
            if self._widths:
                groups = self._by_width(names[start : start + _ROWS], start)
                stages.add("read", time.perf_counter() - begin)
                yield from groups
                continue
            result = self._batch(names[start : start + _ROWS])
            stages.add("read", time.perf_counter() - begin)
            yield result

    def _batch(self, keys: Sequence[str]) -> Tuple[Batch, Optional[np.ndarray]]:
        problems: Dict[int, Problem] = {}
        outputs: List[np.ndarray] = []
        for row, key in enumerate(keys):
            problem = self._read(key, outputs)
            if problem:
                problems[row] = problem
        logits = None
        if outputs:
            logits = _stacked(outputs, self.spec, self.spec.time_steps)
        labels = [self.labels[key] for key in keys]
        no_images = np.empty((len(outputs), 0))
        return Batch(keys, labels, no_images, problems), logits

    def _by_width(
        self, keys: Sequence[str], start: int
    ) -> List[Tuple[Batch, Optional[np.ndarray]]]:
        """Read some results; a batch for each number of time steps, the last one without results
        that can be read.
        """
        rows: Dict[int, List[int]] = {}
        outputs: Dict[int, List[np.ndarray]] = {}
        problems: Dict[int, Problem] = {}
        for row, key in enumerate(keys):
            found = self._read_any(key)
            if isinstance(found, Problem):
                problems[row] = found
                continue
            steps = found.size // self.spec.classes
            rows.setdefault(steps, []).append(row)
            outputs.setdefault(steps, []).append(found)
        groups: List[Tuple[Batch, Optional[np.ndarray]]] = []
        for steps in sorted(rows):
            logits = _stacked(outputs[steps], self.spec, steps)
            batch = Batch(
                [keys[row] for row in rows[steps]],
                [self.labels[keys[row]] for row in rows[steps]],
                np.empty((len(rows[steps]), 0)),
                positions=[start + row for row in rows[steps]],
                settled=start,
                width=self._widths[steps],
            )
            groups.append((batch, logits))
        last = Batch(
            [keys[row] for row in problems],
            [self.labels[keys[row]] for row in problems],
            np.empty((0, 0)),
            dict(enumerate(problems.values())),
            positions=[start + row for row in problems],
            settled=start + len(keys),
        )
        return [*groups, (last, None)]

    def _read_any(self, key: str) -> Union[np.ndarray, Problem]:
        """Return a result's values, of any width, or what is wrong with it."""
        if key not in self._files:
            return Problem(MISSING)
        path = self.folder / self._files[key]
        try:
            values = _values(path, self._dtype)
        except ValueError as error:
            return Problem(WRONG_SIZE, f"{path.name}: {error}")
        steps, rest = divmod(values.size, self.spec.classes)
        if rest or steps not in self._widths:
            return Problem(
                WRONG_SIZE,
                f"{path.name}: {values.size} values, {values.size / self.spec.classes:g} time"
                f" steps of {self.spec.classes} classes, which no width of the spec gives",
            )
        return values

    def extras(self) -> List[Tuple[str, Problem]]:
        """Return the results that have no label, and the labels given twice."""
        problems = [(name, Problem(REPEATED)) for name in self._repeated]
        for name, file in self._files.items():
            if name not in self.labels:
                problems.append((file, Problem(NO_LABEL)))
        return problems

    def _read(self, key: str, outputs: List[np.ndarray]) -> Optional[Problem]:
        if key not in self._files:
            return Problem(MISSING)
        path = self.folder / self._files[key]
        count = self.spec.time_steps * self.spec.classes
        if path.suffix != ".bin":
            try:
                outputs.append(_numbers_of(path, count))
            except ValueError as error:
                return Problem(WRONG_SIZE, f"{path.name}: {error}")
            return None
        expected = count * self._dtype.itemsize
        with open_input(path) as file:
            data = file.read(expected + 1)
        if len(data) != expected:
            size = path.stat().st_size
            return Problem(WRONG_SIZE, f"{self._files[key]}: {size} bytes; expected {expected}")
        outputs.append(np.frombuffer(data, dtype=self._dtype))
        return None


def _stacked(outputs: Sequence[np.ndarray], spec: ModelSpec, steps: int) -> np.ndarray:
    """Return the logits (T, n, K) of n files, float32."""
    # A file is one image's: of three axes those of the time and of the classes are left.
    own = spec.output_axes.replace("N", "")
    sizes = {"T": steps, "K": spec.classes}
    stacked = np.stack(outputs).reshape(len(outputs), *(sizes[axis] for axis in own))
    order = [f"N{own}".index(axis) for axis in "TNK"]
    return stacked.transpose(order).astype(np.float32)


def _values(path: Path, dtype: np.dtype) -> np.ndarray:
    """Return the values of a result; raises `ValueError` where they are not numbers."""
    if path.suffix != ".bin":
        flat: np.ndarray = _stored(path).reshape(-1).astype(np.float32)
        return flat
    size = path.stat().st_size
    if size > _MOST_BYTES or size % dtype.itemsize:
        raise ValueError(f"{size} bytes; expected {dtype.name} of one word")
    with open_input(path) as file:
        return np.frombuffer(file.read(size), dtype=dtype)


def _steps_of_widths(spec: ModelSpec) -> Mapping[int, int]:
    """Return, for each number of time steps that the model may give, the width that gives it.

    How many a width gives is known of the fixed one alone: the others give about their share of
    them, by the network's padding one or two more or fewer.
    """
    found: Dict[int, int] = {}
    widest = spec.read_widths[-1]
    for steps in range(1, spec.time_steps * widest // spec.width + _NEAR + 1):
        for width in spec.read_widths:
            distance = abs(steps - spec.time_steps * width / spec.width)
            before = found.get(steps)
            nearer = before is None or distance < abs(steps - spec.time_steps * before / spec.width)
            if distance <= _NEAR and nearer:
                found[steps] = width
    return found


def _dtype_of_widths(paths: Sequence[Path], spec: ModelSpec, widths: Mapping[int, int]) -> np.dtype:
    """Return the type by which the first files hold what some width of the model gives."""
    if paths[0].suffix != ".bin":
        return np.dtype(DTYPES[0])
    sizes = [path.stat().st_size for path in paths[:_ROWS]]
    right: Dict[str, int] = {}
    for name in DTYPES:
        row = spec.classes * np.dtype(name).itemsize
        right[name] = sum(size % row == 0 and size // row in widths for size in sizes)
    # Of equals float32: float16 comes from MindSpore's program alone.
    best = max(DTYPES, key=lambda name: right[name])
    if right[best]:
        return np.dtype(best)
    shown = ", ".join(map(str, spec.read_widths))
    raise InputError(
        f"{paths[0]} has {sizes[0]} bytes; expected the logits of one word in float32 or float16,"
        f" {spec.classes} classes a time step, for an image of {shown} columns",
        hint=(
            "Run the tool on one width at a time, with an output batch axis of 1 (ais_bench"
            " --output_batchsize_axis 1) or with batch 1; name the model's spec with --spec."
        ),
    )


def _labels(path: Path, options: ListOptions) -> Tuple[Labels, Sequence[str]]:
    """Return the label by the stem of the file that was read, and the bins that a label.txt names
    twice.

    ``path`` is a label.txt of bins or an annotation file.
    """
    require_file(path, "a label file")
    with open(path, "rb") as file:
        head = file.readline(200).lstrip(b"\xef\xbb\xbf")
    if head.startswith(b"test_") and b".bin:" in head:
        by_index, repeated = read_labels(path)
        by_name: Labels = {f"test_{index}": label for index, label in sorted(by_index.items())}
        return by_name, [bin_name(index) for index in repeated]
    labels: Dict[str, Optional[str]] = {}
    found = read_annotations(path, columns=options.columns, encoding=options.encoding)
    for entry in found.entries:
        name = Path(entry.name).stem
        if name in labels:
            raise InputError(
                f"{path} line {entry.line}: a second image of the name {name}, whose results are"
                " one file"
            )
        labels[name] = entry.label
    return labels, ()


def _numbers_of(path: Path, count: int) -> np.ndarray:
    """Return the float32 values of a result in NumPy's format or as text.

    Raises `ValueError` where they are not as many numbers.
    """
    values = _stored(path)
    if values.size != count:
        raise ValueError(f"{values.size} values; expected {count}")
    flat: np.ndarray = values.reshape(-1).astype(np.float32)
    return flat


def _stored(path: Path) -> np.ndarray:
    size = path.stat().st_size
    if size > _MOST_BYTES:
        raise ValueError(f"{size} bytes; the limit is {_MOST_BYTES}")
    try:
        if path.suffix == ".npy":
            values = np.load(path, allow_pickle=False)
        else:
            words = path.read_text(encoding="ascii").replace(",", " ").split()
            values = np.array(words, dtype=np.float32)
    except (OSError, ValueError, EOFError, SyntaxError) as error:
        raise ValueError(f"not numbers in {path.suffix[1:]} form") from error
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "fiu":
        raise ValueError("expected an array of numbers")
    return values


def _find(folder: Path, labels: Labels, *, several: bool = False) -> Tuple[Path, Dict[str, str]]:
    """Return the folder that holds the results, and the file of each name; of several widths each
    may have a folder in it, as a tool was run on each.
    """
    if not folder.is_dir():
        state = "does not exist"
        if folder.exists():
            state = "is a file"
        raise InputError(f"{folder} {state}; expected a folder of results")
    places: Dict[Path, Dict[str, str]] = {}
    for place in (folder, *_folders(folder)):
        files = _results(place, labels)
        if files:
            places[place] = files
    if folder in places:
        return folder, places[folder]
    if not places:
        raise InputError(f"{folder} holds no results ({RESULTS}){_instead(folder)}")
    if several:
        return folder, _together(folder, places)
    if len(places) > 1:
        names = ", ".join(place.name for place in list(places)[:4])
        raise InputError(
            f"{folder} holds no results ({RESULTS}) of its own; {len(places)} folders in it do:"
            f" {names}",
            hint="Name the one to score.",
        )
    return next(iter(places.items()))


def _together(folder: Path, places: Mapping[Path, Mapping[str, str]]) -> Dict[str, str]:
    """Return the files of all folders below one, by their samples."""
    together: Dict[str, str] = {}
    for place, files in places.items():
        for name, file in files.items():
            path = f"{place.name}/{file}"
            if name in together:
                raise InputError(
                    f"{folder} holds {together[name]} and {path}: two outputs of one sample;"
                    " expected one",
                    hint="Leave the results of one run for each width.",
                )
            together[name] = path
    return together


def _folders(folder: Path) -> List[Path]:
    folders = [entry for entry in folder.iterdir() if entry.is_dir()]
    return sorted(folders, key=lambda entry: natural_key(entry.name))


def _instead(folder: Path) -> str:
    files = sorted((entry.name for entry in folder.iterdir() if entry.is_file()), key=natural_key)
    if not files:
        return ""
    return f"; it holds {', '.join(files[:3])}"


def _results(folder: Path, labels: Labels) -> Dict[str, str]:
    """Return the results in a folder by the names of their samples, of one form alone."""
    found = sorted(entry.name for entry in folder.iterdir() if _is_result(entry))
    for form in FORMS:
        files = _by_sample(folder, [file for file in found if file.endswith(form)], labels)
        if files:
            return files
    return {}


def _is_result(entry: Path) -> bool:
    return entry.suffix in FORMS and entry.stem.endswith(_NUMBERS) and entry.is_file()


def _by_sample(folder: Path, found: Sequence[str], labels: Labels) -> Dict[str, str]:
    files: Dict[str, str] = {}
    for file in found:
        name = file.rpartition("_")[0]
        bare = name[: -len(_MSAME)]
        # A sample may be called so itself.
        if name.endswith(_MSAME) and name not in labels and bare:
            name = bare
        if name in files:
            raise InputError(
                f"{folder} holds {files[name]} and {file}: two outputs of one sample; expected one"
            )
        files[name] = file
    return files


def _layout(paths: Sequence[Path], spec: Optional[ModelSpec]) -> Tuple[ModelSpec, np.dtype]:
    """Return spec and type by the first file whose size is right for one; the others may be cut
    off.
    """
    specs = [SPECS["modelzoo"], SPECS["mindspore-native"]]
    if spec:
        specs = [spec]
    if paths[0].suffix != ".bin":
        return _layout_of_numbers(paths, specs)
    fitting: Dict[int, Tuple[ModelSpec, np.dtype]] = {}
    for candidate in specs:
        values = candidate.time_steps * candidate.classes
        for dtype in map(np.dtype, DTYPES):
            fitting[values * dtype.itemsize] = (candidate, dtype)
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


def _layout_of_numbers(
    paths: Sequence[Path], specs: Sequence[ModelSpec]
) -> Tuple[ModelSpec, np.dtype]:
    """Return the spec that the first readable file has the values of; they are read as float32."""
    fitting = {candidate.time_steps * candidate.classes: candidate for candidate in specs}
    found = ""
    for path in paths[:_ROWS]:
        try:
            count = _stored(path).size
        except ValueError as error:
            found = found or f"{path}: {error}"
            continue
        if count in fitting:
            return fitting[count], np.dtype("<f4")
        found = f"{path} holds {count} values"
        if any(count % one == 0 for one in fitting):
            found += ", several words' worth"
    sizes = " or ".join(f"({candidate.time_steps}, 1, {candidate.classes})" for candidate in specs)
    raise InputError(
        f"{found}; expected those of one word a file, {sizes}",
        hint=(
            "Name the model's spec with --spec; where the tool ran batches, run it with an output"
            " batch axis of 1 (ais_bench --output_batchsize_axis 1)."
        ),
    )


def _described(spec: ModelSpec, dtype: np.dtype) -> str:
    shape = f"({spec.time_steps}, 1, {spec.classes})"
    order = f"{spec.characters}, then the blank"
    if spec.blank == 0:
        order = f"blank, then {spec.characters}"
    return f"read as {shape} {dtype.name} with the classes {order}; --spec says otherwise"
