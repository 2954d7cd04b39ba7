"""Preprocess: words with their labels to a folder of bins, a label file and an info file."""

from __future__ import annotations

import contextlib
import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Callable, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

from crnn.batch import Problem, Sample
from crnn.errors import InputError, UsageError
from crnn.files import atomic_file, atomic_folder, json_text, read_bounded
from crnn.image import TRANSPARENT, TURNED, taken_by
from crnn.labels import EMPTY_LABEL, LINE_BREAK, NO_LABEL, OUTSIDE, one_line, strip
from crnn.machine import versions
from crnn.samples.batches import CHUNK, decode_sample, in_order, in_order_by_processes
from crnn.samples.bins import bin_bytes, bin_index, bin_name, label_line
from crnn.samples.info import info_line, join
from crnn.samples.lmdb import NOT_UTF8, WRONG_COUNT
from crnn.samples.source import LabelledSource
from crnn.spec import ModelSpec

BINS_FORMAT = "crnn-bins/1"
"""The format of the file beside a folder of bins that says how they were made (docs/formats.md)."""

NAMED = 1000
"""The most samples of each reason that a summary names; all are counted."""

MANY = 5000
"""Samples from which on processes are worth their start; threads share one interpreter, and so
about one core.
"""
_AHEAD = 1024
"""Samples that are worked on in advance; what waits are labels."""

_Written = Tuple[int, Optional[str], bool, List[Tuple[str, Problem]]]
"""A sample's number, its label (None: left out), whether it has a bin, and what is remarkable, by
its name.
"""


@dataclass(frozen=True)
class PrepareRequest:
    """What to prepare and where to.

    ``out`` is a string because the info file repeats it as the user wrote it. ``oov`` says what
    becomes of labels with characters that the spec's alphabet lacks (after folding): kept, their
    samples dropped, or the characters stripped. ``skip_bad`` leaves samples without usable image
    out of the label file too. ``force`` replaces a folder that holds more than an earlier run's
    bins. ``workers`` threads or processes decode; None for all usable processors.
    """

    source: LabelledSource
    out: str
    label_file: Path
    spec: ModelSpec
    info_file: Optional[Path] = None
    dtype: str = "float32"
    oov: str = "keep"
    skip_bad: bool = False
    force: bool = False
    workers: Optional[int] = None


@dataclass(frozen=True)
class Prepared:
    """What was written, and what was remarkable.

    ``counts`` has a number for each reason, ``named`` the first samples of each by name. ``shape``
    is (C, H, W).
    """

    out: str
    label_file: str
    dtype: str
    shape: Tuple[int, ...]
    samples: int
    bins: int
    labels: int
    gaps: int
    counts: Mapping[str, int]
    named: Sequence[Tuple[str, Problem]]
    oov: str
    skip_bad: bool
    seconds: float
    spec: ModelSpec

    def to_dict(self) -> Dict[str, Any]:
        """Return the summary as plain data, the shape as (C, H, W)."""
        named = [
            {"key": key, "reason": problem.reason, "detail": problem.detail}
            for key, problem in self.named
        ]
        plain = asdict(self)
        del plain["spec"]  # the bins' own description has it
        return {"schema": "crnn-prepare/1", **plain, "named": named}


def prepare(
    request: PrepareRequest, advance: Callable[[int], None] = lambda count: None
) -> Prepared:
    """Write a bin for each usable image, and a line of the label file for each labelled sample.

    Beside the folder, `description_path` says how they were made.

    A label whose image cannot be used keeps its line, so that it counts as wrong, unless
    ``skip_bad``. Folder and files appear whole or not at all, the label file last.

    Args:
        request: What to prepare and where to.
        advance: Gets the number of samples done.

    Returns:
        What was written, and what was remarkable.

    Raises:
        InputError: Nothing could be prepared or written; everything is as it was before.
        UsageError: Two targets are the same place.
    """
    start = time.perf_counter()
    out = Path(request.out).resolve()
    targets = [path.resolve() for path in (request.label_file, request.info_file) if path]
    description = description_path(out)
    _check_targets(request, out, targets)
    _check_description(description, targets)
    work = _Preparation(request)
    with _write_errors(out), contextlib.ExitStack() as stack:
        # What is entered first is put in its place last.
        beside = {
            path: stack.enter_context(atomic_file(path)) for path in targets if path.parent != out
        }
        description_file = stack.enter_context(atomic_file(description))
        folder = stack.enter_context(atomic_folder(out))
        within = {
            path: stack.enter_context(open(folder / path.name, "wb"))
            for path in targets
            if path.parent == out
        }
        work.write(folder, *({**beside, **within}[path] for path in targets), advance=advance)
        if not work.bins:
            raise InputError(
                f"no sample of {request.source.path} could be prepared: {work.reasons()}"
            )
        description_file.write(_description(request).encode("utf-8"))
    for key, problem in request.source.faults():
        work.note(key, problem)
    return work.summary(time.perf_counter() - start)


def description_path(out: Path) -> Path:
    """Return the file that describes a folder of bins: ``input_bin.json`` beside ``input_bin``.

    It is beside the folder, not in it, since tools take each file of the folder for a sample.
    """
    return out.with_name(out.name + ".json")


def _description(request: PrepareRequest) -> str:
    """Return what the bins are and what made them, as JSON text of the format `BINS_FORMAT`."""
    described = {
        "format": BINS_FORMAT,
        "spec": request.spec.to_dict(),
        "dtype": request.dtype,
        "versions": versions(),
    }
    return json_text(described, indent=2) + "\n"


def summary_lines(summary: Prepared, show: int = 20) -> List[str]:
    """Return the summary as text.

    Args:
        summary: What was prepared.
        show: How many samples of each reason are named.

    Returns:
        Its lines.
    """
    shape = "x".join(map(str, summary.shape))
    lines = [
        f"{summary.samples} samples: {summary.bins} bins ({shape} {summary.dtype}) in"
        f" {summary.out}, {summary.labels} labels in {summary.label_file} ({summary.seconds:.1f} s)"
    ]
    if summary.gaps:
        lines.append(f"{summary.gaps} indices without sample: the bins' numbers have the same gaps")
    for reason, count in summary.counts.items():
        lines.append(f"{count} {reason}: {_consequence(reason, summary)}")
        named = [entry for entry in summary.named if entry[1].reason == reason][:show]
        for key, problem in named:
            line = f"  {key}"
            if problem.detail:
                line += f": {problem.detail}"
            lines.append(line)
        if count > len(named):
            lines.append(f"  and {count - len(named)} more")
    return lines


def _consequence(reason: str, summary: Prepared) -> str:
    if reason == OUTSIDE:
        return {
            "keep": "kept, and will count as wrong (--oov)",
            "drop": "samples dropped",
            "strip": "these characters stripped",
        }[summary.oov]
    empty = "kept"
    if summary.oov == "strip":
        empty = "kept; left out where stripping emptied it"
    known = {
        NO_LABEL: "left out",
        EMPTY_LABEL: empty,
        LINE_BREAK: "written as a space",
        WRONG_COUNT: "what is there was taken",
        NOT_UTF8: "what cannot be read was replaced",
    }
    if reason in known:
        return known[reason]
    if reason in (TRANSPARENT, TURNED):
        return taken_by(reason, summary.spec)
    if summary.skip_bad:
        return "left out (--skip-bad)"
    return "no bin, and will count as wrong (--skip-bad leaves them out)"


class _Preparation:
    """The work of one request and its counts."""

    def __init__(self, request: PrepareRequest) -> None:
        self.request = request
        self.samples = self.bins = self.labels = 0
        self._counts: Dict[str, int] = {}
        self._named: List[Tuple[str, Problem]] = []

    def write(
        self,
        folder: Path,
        labels: IO[bytes],
        info: Optional[IO[bytes]] = None,
        *,
        advance: Callable[[int], None],
    ) -> None:
        request = self.request
        write_bin = _BinWriter(request.source, folder, request.spec, request.dtype, request.oov)
        share = in_order
        if len(request.source) >= MANY:
            share = in_order_by_processes
        written = share(request.source.numbers(), write_bin, request.workers, ahead=_AHEAD)
        with contextlib.closing(written):
            done = 0
            for result in written:
                self._add(result, labels, info)
                if self.samples >= done + CHUNK:
                    advance(self.samples - done)
                    done = self.samples
            advance(self.samples - done)

    def note(self, key: str, problem: Problem) -> None:
        count = self._counts[problem.reason] = self._counts.get(problem.reason, 0) + 1
        if count <= NAMED:
            self._named.append((key, problem))

    def reasons(self) -> str:
        return ", ".join(f"{count} {reason}" for reason, count in self._counts.items())

    def summary(self, seconds: float) -> Prepared:
        request = self.request
        return Prepared(
            out=request.out,
            label_file=str(request.label_file),
            dtype=request.dtype,
            shape=request.spec.image_shape,
            samples=self.samples,
            bins=self.bins,
            labels=self.labels,
            gaps=request.source.gaps,
            counts=self._counts,
            named=self._named,
            oov=request.oov,
            skip_bad=request.skip_bad,
            seconds=seconds,
            spec=request.spec,
        )

    def _add(self, result: _Written, labels: IO[bytes], info: Optional[IO[bytes]]) -> None:
        number, label, has_bin, notes = result
        self.samples += 1
        for key, problem in notes:
            self.note(key, problem)
        if has_bin:
            if info:
                info.write(self._info_line(number).encode("utf-8"))
            self.bins += 1
        if label is not None and (has_bin or not self.request.skip_bad):
            labels.write(label_line(number, label).encode("utf-8"))
            self.labels += 1

    def _info_line(self, number: int) -> str:
        spec, out = self.request.spec, self.request.out
        return info_line(self.bins, join(out, bin_name(number)), spec.width, spec.height)


class _BinWriter:
    """Reads a sample, decodes it and writes its bin; shared by threads, or sent to processes, that
    do so at once.
    """

    def __init__(
        self, source: LabelledSource, folder: Path, spec: ModelSpec, dtype: str, oov: str
    ) -> None:
        self._source = source
        self._prefix = str(folder) + os.sep
        self._spec = spec
        self._alphabet = spec.alphabet
        self._raw = dtype == "uint8"
        self._oov = oov

    def __call__(self, number: int) -> _Written:
        notes: List[Tuple[str, Problem]] = []
        sample = self._source.sample(number)
        label = self._label(number, sample, notes)
        has_bin = label is not None and self._write(number, sample, notes)
        return number, label, has_bin, notes

    def _write(self, number: int, sample: Sample, notes: List[Tuple[str, Problem]]) -> bool:
        pixels, remarks = decode_sample(sample, self._spec)
        notes.extend((sample.key, Problem(remark)) for remark in remarks)
        if isinstance(pixels, Problem):
            notes.append((sample.key, pixels))
            return False
        if not self._raw:
            pixels = self._spec.normalise(pixels)
        with open(self._prefix + bin_name(number), "wb", buffering=0) as file:
            file.write(bin_bytes(pixels))
        return True

    def _label(
        self, number: int, sample: Sample, notes: List[Tuple[str, Problem]]
    ) -> Optional[str]:
        """Return the label to write, None for a sample to leave out."""
        if sample.label is None:
            notes.append((sample.key, Problem(NO_LABEL)))
            return None
        unreadable = self._source.label_problem(number)
        if unreadable:
            notes.append((sample.key, unreadable))
        folded = self._spec.fold(sample.label)
        label = one_line(folded)
        if label != folded:
            notes.append((sample.key, Problem(LINE_BREAK, repr(sample.label))))
        outside = self._alphabet.outside(label)
        if outside:
            notes.append((sample.key, Problem(OUTSIDE, f"{label!r} has {outside!r}")))
            if self._oov == "drop":
                return None
            if self._oov == "strip":
                label = strip(label, self._spec.characters)
        if not label:
            notes.append((sample.key, Problem(EMPTY_LABEL, repr(sample.label))))
            # An image without text would make an emptied label right.
            if sample.label:
                return None
        return label


@contextlib.contextmanager
def _write_errors(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(
            f"cannot write {error.filename or out}: {error.strerror}; nothing was changed",
            hint=(
                "Check the permissions of the folder that it is to stand in, and the space left on"
                " the disk."
            ),
        ) from error


def _check_targets(request: PrepareRequest, out: Path, targets: Sequence[Path]) -> None:
    """Refuse to write over what is not the kit's, or over the data itself."""
    if len(set(targets)) != len(targets) or out in targets:
        raise UsageError("OUT_DIR, --label and --info name the same place; expected three")
    for place, what in (
        (Path.cwd(), "the current folder"),
        (request.source.path.resolve(), "the data"),
    ):
        if out == place or out in place.parents:
            raise InputError(
                f"cannot write to {out}: it is, or holds, {what}, and would be replaced",
                hint="Name another folder.",
            )
    for path in targets:
        if path.is_dir():
            raise InputError(f"{path} is a folder; expected the name of a file to write")
        if out in path.parent.parents:
            raise InputError(
                f"cannot write {path}: the folder {out} is made anew, without folders in it"
            )
    _check_folder(request, out, targets)


def _check_folder(request: PrepareRequest, out: Path, targets: Sequence[Path]) -> None:
    """Refuse what cannot be made anew, or holds what an earlier run has not written."""
    if out.exists() and not out.is_dir():
        raise InputError(
            f"cannot write to {out}: it is a file; expected a folder, which is made anew"
        )
    if os.path.ismount(out):
        raise InputError(
            f"cannot write to {out}: it is a mount point, which cannot be replaced as a whole",
            hint="Name a folder inside it.",
        )
    if out.is_dir() and not request.force:
        _check_leftover(out, [path.name for path in targets if path.parent == out])


def _check_description(path: Path, targets: Sequence[Path]) -> None:
    """Refuse to write the bins' description over a file that is something else."""
    if path in targets:
        raise UsageError(
            f"{path} is where the bins are described; expected another name for --label and --info"
        )
    if not path.exists():
        return
    try:
        known = json.loads(read_bounded(path))
    except (InputError, OSError, ValueError, RecursionError):
        known = None
    if not isinstance(known, dict) or known.get("format") != BINS_FORMAT:
        raise InputError(
            f"cannot write {path}, which describes the bins: it stands there and is not an earlier"
            f" run's {BINS_FORMAT}; nothing was changed",
            hint="Name another folder for the bins, or move that file away.",
        )


def _check_leftover(out: Path, own: Sequence[str]) -> None:
    """Refuse a folder that holds anything but an earlier run's files."""
    entries = sorted(out.iterdir())
    strange = [
        entry.name
        for entry in entries
        if entry.is_dir() or not (entry.name in own or _is_bin(entry.name))
    ]
    if strange:
        raise InputError(
            f"{out} holds {len(strange)} entries that are not an earlier run's bins, such as"
            f" {strange[0]}",
            hint="Name another folder, or replace this one with all that is in it: --force",
        )


def _is_bin(name: str) -> bool:
    return bin_index(name) is not None
