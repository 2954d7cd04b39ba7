"""Preprocess: words with their labels to a folder of bins, a label file and an info file."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import secrets
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import (
    IO,
    Any,
    Callable,
    Dict,
    Generator,
    Iterator,
    List,
    Mapping,
    Optional,
    Sequence,
    Tuple,
    Union,
)

import numpy as np

from crnn.batch import Problem, Sample
from crnn.errors import InputError, UsageError
from crnn.filekind import is_pack
from crnn.files import atomic_file, atomic_folder, json_text, read_bounded
from crnn.image import REMARKS, Bounds, taken_by
from crnn.labels import EMPTY_LABEL, LINE_BREAK, NO_LABEL, OUTSIDE, one_line, strip
from crnn.machine import usable_cpus, versions
from crnn.patterns import fingerprint_of
from crnn.samples.batches import (
    CHUNK,
    MANY,
    PROCESS_CHUNK,
    Handed,
    ViewMaker,
    by_processes,
    by_threads,
    decode_sample,
    pieces,
)
from crnn.samples.bins import (
    BINS_FORMAT,
    bin_name,
    bin_view,
    description_path,
    files_of_views,
    is_width_folder,
    label_line,
    width_folder,
)
from crnn.samples.info import info_line, join
from crnn.samples.lmdb import NOT_UTF8, WRONG_COUNT
from crnn.samples.pack import IndexWriter, PackedSample, head, is_index
from crnn.samples.source import LabelledSource
from crnn.spec import ModelSpec
from crnn.views import SETS, View, available, left_out_note, parsed

NAMED = 1000
"""The most samples of each reason that a summary names; all are counted."""

_AHEAD = 1024
"""Samples that are worked on in advance; what waits are labels."""

Written = Tuple[int, Optional[str], Sequence[int], List[Tuple[str, Problem]]]
"""A sample's number, its label (None: left out), the width of each of its bins (one a view; none
where it has no pixels), and what is remarkable, by its name.
"""

_Piece = Tuple[Sequence[int], Tuple[List[Written], np.ndarray]]
Elsewhere = Callable[["BinDecoder"], Generator[_Piece, None, None]]
"""Has samples decoded: gets what decodes them by their numbers, and yields numbers with what it
returned for them, in the source's order.
"""


@dataclass(frozen=True)
class PrepareRequest:
    """What to prepare and where to.

    ``out`` is a string because the info file repeats it as the user wrote it. ``oov`` says what
    becomes of labels with characters that the spec's alphabet lacks (after folding): kept, their
    samples dropped, or the characters stripped. ``skip_bad`` leaves samples without usable image
    out of the label file too. ``force`` replaces a folder that holds more than an earlier run's
    bins. ``per_width`` puts each width's bins, of a spec with several, into a folder of its own.
    ``workers`` threads or processes decode; None for all usable processors. ``pack`` writes
    one file in the folder's place, and its index in that of the description (`crnn.samples.pack`).
    ``views`` of a word have a bin each; those that the spec has no width for are left out.
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
    pack: bool = False
    per_width: bool = False
    views: Sequence[View] = SETS[1]

    def kept_views(self) -> Sequence[View]:
        """Return the views that are written, the word as it is first."""
        return available(self.views, len(self.spec.read_widths))

    def info_files(self) -> Mapping[int, Path]:
        """Return the info file of each width; of a spec with one width, the file itself."""
        info = self.info_file
        if info is None:
            return {}
        if self.spec.widths is None:
            return {self.spec.width: info}
        return {
            width: info.with_name(f"{info.stem}_w{width}{info.suffix}")
            for width in self.spec.read_widths
        }


@dataclass(frozen=True)
class Prepared:
    """What was written, and what was remarkable.

    ``counts`` has a number for each reason, ``named`` the first samples of each by name. ``shape``
    is (C, H, W); with several widths W is the widest, and ``by_width`` has the bins of each.
    ``views`` are the names of those written where a word has several, ``left_out`` of those that
    were asked for and have no width.
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
    pack: bool = False
    by_width: Mapping[int, int] = field(default_factory=dict)
    views: Sequence[str] = ()
    left_out: Sequence[str] = ()

    def to_dict(self) -> Dict[str, Any]:
        """Return the summary as plain data, the shape as (C, H, W)."""
        named = [
            {"key": key, "reason": problem.reason, "detail": problem.detail}
            for key, problem in self.named
        ]
        plain = asdict(self)
        del plain["spec"]  # the bins' own description has it
        if not self.pack:
            del plain["pack"]
        plain["by_width"] = {str(width): count for width, count in self.by_width.items()}
        for key in ("by_width", "views", "left_out"):
            if not plain[key]:
                del plain[key]
        return {"schema": "crnn-prepare/1", **plain, "named": named}


def prepare(
    request: PrepareRequest,
    advance: Callable[[int], None] = lambda count: None,
    elsewhere: Optional[Elsewhere] = None,
) -> Prepared:
    """Write a bin for each usable image, and a line of the label file for each labelled sample.

    Beside the folder, `description_path` says how they were made.

    A label whose image cannot be used keeps its line, so that it counts as wrong, unless
    ``skip_bad``. Folder and files appear whole or not at all, the label file last.

    Args:
        request: What to prepare and where to.
        advance: Gets the number of samples done.
        elsewhere: Who decodes; None for threads or processes of this machine.

    Returns:
        What was written, and what was remarkable.

    Raises:
        InputError: Nothing could be prepared or written; everything is as it was before.
        UsageError: Two targets are the same place.
    """
    start = time.perf_counter()
    out = Path(request.out).resolve()
    if request.per_width and request.spec.widths is None:
        raise UsageError(
            "--per-width is for several widths, and the spec has one",
            hint="Name them, as in --widths 80,128,200, or a model that has them: --spec MODEL.",
        )
    infos = {width: path.resolve() for width, path in request.info_files().items()}
    targets = [request.label_file.resolve(), *infos.values()]
    description = description_path(out)
    _check_targets(request, out, targets)
    _check_description(description, targets)
    work = _Preparation(request, elsewhere)
    with _write_errors(out), contextlib.ExitStack() as stack:
        # What is entered first is put in its place last.
        beside = {
            path: stack.enter_context(atomic_file(path)) for path in targets if path.parent != out
        }
        description_file = stack.enter_context(atomic_file(description))
        if request.pack:
            pack = _Pack(stack.enter_context(atomic_file(out)), description_file, request)
            work.write(pack, beside[targets[0]], {}, advance=advance)
            pack.finish()
        else:
            folder = stack.enter_context(atomic_folder(out))
            within = {
                path: stack.enter_context(open(folder / path.name, "wb"))
                for path in targets
                if path.parent == out
            }
            files = {**beside, **within}
            for name in _folders(request):
                (folder / name).mkdir()
            info = {width: files[path] for width, path in infos.items()}
            work.write(_Folder(folder), files[targets[0]], info, advance=advance)
            description_file.write(_description(request).encode("utf-8"))
        if not work.bins:
            raise InputError(
                f"no sample of {request.source.path} could be prepared: {work.reasons()}"
            )
    for key, problem in request.source.faults():
        work.note(key, problem)
    return work.summary(time.perf_counter() - start)


def _folders(request: PrepareRequest) -> Sequence[str]:
    """Return the folders that the bins stand in, below their own."""
    if not request.per_width:
        return ()
    return [width_folder(width) for width in request.spec.read_widths]


def _description(request: PrepareRequest) -> str:
    """Return what the bins are and what made them, as JSON text of the format `BINS_FORMAT`."""
    described = {"format": BINS_FORMAT, **_about(request)}
    if request.per_width:
        described["per_width"] = True
    names = _names(request.kept_views())
    if len(names) > 1:
        described["views"] = dict(files_of_views(names))
    return json_text(described, indent=2) + "\n"


def _names(views: Sequence[View]) -> Sequence[str]:
    return [view.name for view in views]


def _about(request: PrepareRequest) -> Dict[str, Any]:
    about = {"spec": request.spec.to_dict(), "dtype": request.dtype, "versions": versions()}
    inputs = fingerprint_of(request.spec)
    if inputs is not None:
        about["inputs"] = inputs.to_dict()
    return about


def summary_lines(summary: Prepared, show: int = 20) -> List[str]:
    """Return the summary as text.

    Args:
        summary: What was prepared.
        show: How many samples of each reason are named.

    Returns:
        Its lines.
    """
    shape = "x".join(map(str, summary.shape))
    place = "in"
    if summary.pack:
        place = "in the pack"
    if summary.by_width:
        channels, height, _ = summary.shape
        shape = f"{channels}x{height} and several widths,"
    lines = [
        f"{summary.samples} samples: {summary.bins} bins ({shape} {summary.dtype}) {place}"
        f" {summary.out}, {summary.labels} labels in {summary.label_file} ({summary.seconds:.1f} s)"
    ]
    for width, count in summary.by_width.items():
        lines.append(f"width {width}: {count} bins")
    if summary.views:
        lines.append(f"a bin for each view: {', '.join(summary.views)}")
    if summary.left_out:
        asked = parsed(",".join(summary.left_out))
        lines.extend(left_out_note(asked, len(summary.spec.read_widths), summary.samples))
    if summary.gaps:
        lines.append(f"{summary.gaps} indices without sample: the bins' numbers have the same gaps")
    for reason, count in summary.counts.items():
        lines.append(_reason_line(reason, count, summary))
        named = [entry for entry in summary.named if entry[1].reason == reason][:show]
        for key, problem in named:
            line = f"  {key}"
            if problem.detail:
                line += f": {problem.detail}"
            lines.append(line)
        if count > len(named):
            lines.append(f"  and {count - len(named)} more")
    return lines


def _reason_line(reason: str, count: int, summary: Prepared) -> str:
    if reason in REMARKS:
        # Worded as an evaluation on the images words it.
        return f"{reason}: {count}, {taken_by(reason, summary.spec)}"
    return f"{count} {reason}: {_consequence(reason, summary)}"


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
    if summary.skip_bad:
        return "left out (--skip-bad)"
    return "no bin, and will count as wrong (--skip-bad leaves them out)"


class _Folder:
    """Where bins go to a file each.

    What decodes them writes them too, so that all processors take part in the writing.
    """

    def __init__(self, path: Path) -> None:
        self.path: Optional[Path] = path

    def add(self, written: Sequence[Written], pixels: np.ndarray) -> None:
        """Do nothing: they are written."""


class _Pack:
    """Where bins go to one file, whose index is written along."""

    def __init__(self, file: IO[bytes], index: IO[bytes], request: PrepareRequest) -> None:
        self.path: Optional[Path] = None
        self._file = file
        self._spec = request.spec
        self._keeps_bad = not request.skip_bad
        self._values = _values_of(request)
        identity = secrets.token_hex(16)
        self._at = file.write(head(identity))
        about = {**_about(request), "shape": list(request.spec.image_shape)}
        self._index = IndexWriter(index, about, identity)

    def add(self, written: Sequence[Written], pixels: np.ndarray) -> None:
        """Append the samples that have pixels, and a line of the index for each that counts."""
        values = self._values(pixels)
        self._file.write(memoryview(values.data).cast("B"))
        column = values.itemsize * self._spec.channels * self._spec.height
        for number, label, widths, _ in written:
            place = None
            width = 0
            if widths:
                place, width = self._at, widths[0]
                self._at += column * width
            if label is not None and (widths or self._keeps_bad):
                self._index.add(PackedSample(number, place, width, label))

    def finish(self) -> None:
        self._index.finish()


class _Preparation:
    """The work of one request and its counts."""

    def __init__(self, request: PrepareRequest, elsewhere: Optional[Elsewhere]) -> None:
        self.request = request
        self._elsewhere = elsewhere
        self.samples = self.bins = self.labels = 0
        self._counts: Dict[str, int] = {}
        self._named: List[Tuple[str, Problem]] = []
        self._at_width: Dict[int, int] = dict.fromkeys(request.spec.read_widths, 0)
        self._views = _names(request.kept_views())

    def write(
        self,
        place: Union[_Folder, _Pack],
        labels: IO[bytes],
        info: Mapping[int, IO[bytes]],
        *,
        advance: Callable[[int], None],
    ) -> None:
        decode = BinDecoder(self.request, place.path)
        if self._elsewhere is None:
            decoded = self._here(decode)
        else:
            decoded = self._elsewhere(decode)
        with contextlib.closing(decoded) as done:
            for numbers, (written, pixels) in done:
                place.add(written, pixels)
                for result in written:
                    self._add(result, labels, info)
                advance(len(numbers))

    def _here(self, decode: BinDecoder) -> Generator[_Piece, None, None]:
        """Have words decoded on this machine."""
        workers = self.request.workers or usable_cpus()
        numbers = decode.source.numbers()
        if workers > 1 and len(decode.source) >= MANY:
            handed = map(Handed.whole, pieces(numbers, PROCESS_CHUNK))
            return by_processes(handed, decode, workers, ahead=_AHEAD)
        return by_threads(pieces(numbers, CHUNK), decode, workers, ahead=_AHEAD)

    def note(self, key: str, problem: Problem) -> None:
        count = self._counts[problem.reason] = self._counts.get(problem.reason, 0) + 1
        if count <= NAMED:
            self._named.append((key, problem))

    def reasons(self) -> str:
        return ", ".join(f"{count} {reason}" for reason, count in self._counts.items())

    def summary(self, seconds: float) -> Prepared:
        request = self.request
        by_width: Mapping[int, int] = {}
        if request.spec.widths is not None:
            by_width = self._at_width
        views: Sequence[str] = ()
        if len(self._views) > 1:
            views = self._views
        left_out = [name for name in _names(request.views) if name not in self._views]
        channels, height, _ = request.spec.image_shape
        return Prepared(
            out=request.out,
            label_file=str(request.label_file),
            dtype=request.dtype,
            shape=(channels, height, request.spec.read_widths[-1]),
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
            pack=request.pack,
            by_width=by_width,
            views=views,
            left_out=left_out,
        )

    def _add(self, result: Written, labels: IO[bytes], info: Mapping[int, IO[bytes]]) -> None:
        number, label, widths, notes = result
        self.samples += 1
        for key, problem in notes:
            self.note(key, problem)
        for view, width in zip(self._views, widths):
            if info:
                info[width].write(self._info_line(number, width, view).encode("utf-8"))
            self.bins += 1
            self._at_width[width] += 1
        if label is not None and (widths or not self.request.skip_bad):
            labels.write(label_line(number, label).encode("utf-8"))
            self.labels += 1

    def _info_line(self, number: int, width: int, view: str) -> str:
        out = self.request.out
        if self.request.per_width:
            out = join(out, width_folder(width))
        path = join(out, bin_name(number, view))
        return info_line(self._at_width[width], path, width, self.request.spec.height)


class BinDecoder:
    """Reads samples, decodes them and, where there is a folder, writes their bins; shared by
    threads, or sent to processes, that do so at once.
    """

    def __init__(self, request: PrepareRequest, folder: Optional[Path]) -> None:
        self.source = request.source
        self._folder = folder
        self._folders = _folders(request)
        self._per_width = request.per_width
        self._spec = request.spec
        self._alphabet = request.spec.alphabet
        self._values = _values_of(request)
        self._oov = request.oov
        views = request.kept_views()
        self._views = _names(views)
        self._maker: Optional[ViewMaker] = None
        if len(views) > 1:
            # Only views need it.
            from crnn.samples.views import PictureViews

            self._maker = PictureViews(request.spec, views)

    def __call__(self, numbers: Sequence[int]) -> Tuple[List[Written], np.ndarray]:
        """Return what became of each sample, and the pixels C, H, W, one after the other, of those
        that have any, where they are not written yet.
        """
        column = self._spec.channels * self._spec.height
        most = column * self._spec.read_widths[-1]
        pixels = np.empty(len(numbers) * len(self._views) * most, dtype=np.uint8)
        bounds = Bounds.now()
        done: List[Written] = []
        at = 0
        for number, sample in zip(numbers, self.source.several(numbers)):
            notes: List[Tuple[str, Problem]] = []
            label = self._label(number, sample, notes)
            widths: Sequence[int] = ()
            if label is not None:
                widths = self._decode(sample, pixels[at:], bounds, notes)
                at += column * sum(widths)
            done.append((number, label, widths, notes))
        if self._folder is None:
            return done, pixels[:at]
        self._write(done, self._values(pixels[:at]), self._folder)
        return done, pixels[:0]

    def passed_over(self, number: int, why: Problem) -> Written:
        """Take note of a sample whose image nobody decodes.

        Args:
            number: The sample's.
            why: The problem that it has.

        Returns:
            What became of it; where it is written already, by whoever was wrong, it is removed.
        """
        sample = self.source.sample(number)
        notes: List[Tuple[str, Problem]] = []
        label = self._label(number, sample, notes)
        if label is not None:
            notes.append((sample.key, why))
        if self._folder is not None:
            for below in self._folders or [""]:
                for view in self._views:
                    with contextlib.suppress(FileNotFoundError):
                        (self._folder / below / bin_name(number, view)).unlink()
        return number, label, (), notes

    def _decode(
        self, sample: Sample, out: np.ndarray, bounds: Bounds, notes: List[Tuple[str, Problem]]
    ) -> Sequence[int]:
        """Return the width of each view of the image; none where it cannot be used."""
        if self._maker is not None:
            return _put_views(self._maker, sample, out, notes)
        result, remarks = decode_sample(sample, self._spec, out, bounds)
        notes.extend((sample.key, Problem(remark)) for remark in remarks)
        if isinstance(result, Problem):
            notes.append((sample.key, result))
            return ()
        return (result,)

    def _write(self, done: Sequence[Written], values: np.ndarray, folder: Path) -> None:
        """Write a bin for each view of each sample that has pixels.

        Nothing is copied: each bin is written from its place among the values.
        """
        column = self._spec.channels * self._spec.height
        at = 0
        for number, _, widths, _ in done:
            for view, width in zip(self._views, widths):
                name = bin_name(number, view)
                if self._per_width:
                    name = f"{width_folder(width)}{os.sep}{name}"
                end = at + column * width
                _write_new(f"{folder}{os.sep}{name}", values[at:end])
                at = end

    def _label(
        self, number: int, sample: Sample, notes: List[Tuple[str, Problem]]
    ) -> Optional[str]:
        """Return the label to write, None for a sample to leave out."""
        if sample.label is None:
            notes.append((sample.key, Problem(NO_LABEL)))
            return None
        unreadable = self.source.label_problem(number)
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


def _put_views(
    make: ViewMaker, sample: Sample, out: np.ndarray, notes: List[Tuple[str, Problem]]
) -> Sequence[int]:
    """Decode a sample and put the pixels of its views one after the other.

    Args:
        make: Makes the views.
        sample: An encoded image.
        out: Gets the pixels, uint8 C, H, W of each view.
        notes: Gets what is remarkable, by the sample's name.

    Returns:
        The width of each view; none where the image cannot be used.
    """
    seen, remarks = make(sample)
    notes.extend((sample.key, Problem(remark)) for remark in remarks)
    widths: List[int] = []
    at = 0
    for view in seen:
        if isinstance(view.image, Problem):
            notes.append((sample.key, view.image))
            return ()
        end = at + view.image.size
        out[at:end] = view.image.reshape(-1)
        widths.append(view.image.shape[2])
        at = end
    return widths


def _values_of(request: PrepareRequest) -> Callable[[np.ndarray], np.ndarray]:
    """Return what makes pixels (n, C, H, W) the bins' content, little-endian."""
    if request.dtype == "uint8":
        return np.ascontiguousarray
    # Every pixel is a place in the table: clipping spares looking for others.
    return functools.partial(np.take, request.spec.table.astype("<f4"), mode="clip")


def _write_new(path: str, values: np.ndarray) -> None:
    """Write a file that nothing else knows of yet, by three calls of the system.

    What stands there can only be the same, of a lost worker that may even be writing still.
    """
    content = memoryview(values.data).cast("B")
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        done = os.write(file, content)
        while done < len(content):
            # A disk that is full takes a part; the next call says so.
            done += os.write(file, content[done:])
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from error
    finally:
        os.close(file)


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
    if request.pack:
        _check_pack(request, out)
        return
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


def _check_pack(request: PrepareRequest, out: Path) -> None:
    """Refuse what has no meaning for a pack, and a target that an earlier run has not written.

    An earlier run's pack is replaced, as a folder of bins is.
    """
    if request.info_file:
        raise UsageError(
            "--info names a file for each sample, and a pack is one file: leave one out"
        )
    if len(request.kept_views()) > 1:
        raise UsageError(
            "--views writes a bin for each view of a word, and a pack holds one a word: leave one"
            " out"
        )
    if out.is_dir():
        raise InputError(f"cannot write the pack {out}: it is a folder", hint="Name a file.")
    if out.exists() and not is_pack(out) and not request.force:
        raise InputError(
            f"cannot write the pack {out}: it stands there and is not an earlier run's pack",
            hint="Name another file, or replace this one: --force",
        )


def _check_description(path: Path, targets: Sequence[Path]) -> None:
    """Refuse to write the bins' description over a file that is something else."""
    if path in targets:
        raise UsageError(
            f"{path} is where the bins are described; expected another name for --label and --info"
        )
    if not path.exists() or is_index(path):
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
    strange = [entry.name for entry in entries if not _is_own(entry, own)]
    if strange:
        raise InputError(
            f"{out} holds {len(strange)} entries that are not an earlier run's bins, such as"
            f" {strange[0]}",
            hint="Name another folder, or replace this one with all that is in it: --force",
        )


def _is_own(entry: Path, own: Sequence[str]) -> bool:
    """Say whether an earlier run may have written an entry of the folder of bins."""
    if not entry.is_dir():
        return entry.name in own or _is_bin(entry.name)
    if not is_width_folder(entry.name):
        return False
    return all(_is_bin(each.name) for each in entry.iterdir())


def _is_bin(name: str) -> bool:
    return bin_view(name) is not None
