"""The kit for scripts and notebooks: the functions of ``crnn.__all__`` (docs/library.md).

Each is the verb of its name, with paths as text or `Path`, and prints nothing. Importing this needs
only what the box has; what a function needs is imported when it is called.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Dict,
    Iterator,
    List,
    Optional,
    Sequence,
    Type,
    TypeVar,
    Union,
)

from crnn.errors import UsageError
from crnn.spelling import did_you_mean

if TYPE_CHECKING:
    from crnn.compile.to_om import Built
    from crnn.export.quantize import Quantised
    from crnn.export.to_onnx import Export
    from crnn.jobs.evaluate import EvaluateOutcome
    from crnn.jobs.prepare import Prepared
    from crnn.spec import ModelSpec
    from crnn.weights.checkpoint import Checkpoint

Place = Union[str, Path]
Say = Callable[[str], None]
R = TypeVar("R")


def evaluate(
    model: Place, data: Place, label: Optional[Place] = None, **options: Any
) -> EvaluateOutcome:
    """Read every word of a data set and say how many are right, as ``crnn evaluate`` does.

    Args:
        model: An .onnx, .om or .pth, or the folder of a static set of OMs.
        data: A folder of bins, an LMDB, or a folder of images.
        label: The label file of bins, or the annotation of images.
        options: The verb's other options by the names of the fields of
            `crnn.jobs.evaluate.EvaluateRequest`: ``batch``, ``device``, ``threads``, ``spec``,
            ``readings``, ``against``, ``min_accuracy`` …

    Returns:
        The evaluation, what a person should see beside it, and the checks that did not hold: those
        are told, not raised.

    Raises:
        InputError: A file cannot be used.
        UsageError: There is not such an option, or two do not go together.
    """
    from crnn.jobs.evaluate import EvaluateRequest
    from crnn.jobs.evaluate import evaluate as work

    given = {"model": model, "data": data, "label": label, **options}
    return work(_request(EvaluateRequest, given), _no_progress)


def score(results: Place, label: Place, **options: Any) -> EvaluateOutcome:
    """Score the raw outputs that another tool has left, as ``crnn score`` does.

    Args:
        results: The folder of the outputs.
        label: The label file of the bins, or an annotation.
        options: The verb's other options by the names of the fields of
            `crnn.jobs.evaluate.ScoreRequest`.

    Returns:
        The same as of `evaluate`.

    Raises:
        InputError: The results or the labels cannot be used.
        UsageError: There is not such an option.
    """
    from crnn.jobs.evaluate import ScoreRequest
    from crnn.jobs.evaluate import score as work

    return work(
        _request(ScoreRequest, {"results": results, "label": label, **options}), _no_progress
    )


def prepare(
    data: Place,
    out: Place,
    label: Place = "label.txt",
    *,
    info: Optional[Place] = None,
    spec: Union[Place, ModelSpec, None] = None,
    annotation: Optional[Place] = None,
    columns: Optional[Sequence[str]] = None,
    encoding: Optional[str] = None,
    dtype: Optional[str] = None,
    oov: str = "keep",
    skip_bad: bool = False,
    force: bool = False,
    threads: Optional[int] = None,
    views: str = "1",
) -> Prepared:
    """Turn words into bins and a label file, as ``crnn prepare`` does.

    From 5000 words on it starts processes; the script that calls it needs no main guard.

    Args:
        data: An LMDB, or a folder of images.
        out: The folder for the bins; one of an earlier run is replaced.
        label: The label file to write.
        info: The info file to write.
        spec: The model to prepare for, its spec, or a preset's name; None for the kit's own.
        annotation: The list of a folder's images; None for its only text file.
        columns: A table's columns of image and label.
        encoding: The annotation's encoding; None for UTF-8.
        dtype: float32 or uint8; None for what the spec says.
        oov: keep, drop or strip: what becomes of labels that the alphabet does not spell.
        skip_bad: Whether words without usable image are left out of the labels.
        force: Whether a folder is replaced with all that is in it.
        threads: The most threads or processes; None for all usable processors.
        views: The views of a word that are written: 3, 5, 8 or 18, or names with commas between.

    Returns:
        What was written, and what was remarkable.

    Raises:
        InputError: Nothing could be prepared or written; everything is as it was before.
        UsageError: Two targets are the same place.
    """
    from crnn.jobs.prepare import PrepareRequest
    from crnn.jobs.prepare import prepare as work
    from crnn.samples.annotations import ListOptions
    from crnn.samples.source import open_labelled
    from crnn.views import parsed

    found = _spec(spec)
    pair = None
    if columns is not None:
        pair = (columns[0], columns[1])
    source = open_labelled(Path(data), _path(annotation), ListOptions(None, pair, encoding))
    if dtype is None:
        dtype = "float32"
        if found.input_dtype == "uint8":
            dtype = "uint8"
    request = PrepareRequest(
        source=source,
        out=str(out),
        label_file=Path(label),
        spec=found,
        info_file=_path(info),
        dtype=dtype,
        oov=oov,
        skip_bad=skip_bad,
        force=force,
        workers=threads,
        views=parsed(views),
    )
    return work(request)


def export_onnx(
    checkpoint: Place,
    target: Place,
    *,
    batch: Optional[int] = None,
    split_bilstm: bool = False,
    log_softmax: bool = False,
    alphabet: Optional[str] = None,
    width: Optional[int] = None,
    color: Optional[str] = None,
    lstm_gate_order: str = "ifgo",
    words: Optional[Place] = None,
) -> Export:
    """Write a checkpoint's network as ONNX and prove that it computes the same, as ``crnn export``
    does. It needs PyTorch.

    Args:
        checkpoint: A PyTorch checkpoint of any known layout.
        target: The file to write.
        batch: Fixes the batch size; None for any.
        split_bilstm: Whether each bidirectional LSTM is written as two forward ones.
        log_softmax: Whether the graph ends with log-probabilities.
        alphabet: The characters in class order, or ``@FILE``; None for the file's own.
        width: The images' width in pixels; None for the file's own.
        color: rgb or bgr, for three input channels.
        lstm_gate_order: igfo for checkpoints of the first NPU training stack.
        words: An LMDB whose first 2000 words must read the same, too.

    Returns:
        What was written, and what the self-check measured.

    Raises:
        InputError: A file cannot be used.
        CheckError: The graph does not pass its self-check; nothing was written.
    """
    from crnn.errors import needs

    with needs("torch", extra="torch"):
        import torch  # noqa: F401  the modules below import it at their top

    from crnn.alphabet_file import alphabet_of
    from crnn.export.graph import GraphOptions
    from crnn.export.sample_images import WordImages
    from crnn.export.to_onnx import OtherOrder
    from crnn.export.to_onnx import export_onnx as work
    from crnn.weights.checkpoint import load_checkpoint

    characters = None
    if alphabet is not None:
        characters = alphabet_of(alphabet).characters

    def load(order: str) -> Checkpoint:
        return load_checkpoint(
            Path(checkpoint),
            alphabet=characters,
            width=width,
            lstm_gate_order=order,
            color=color,
        )

    loaded = load(lstm_gate_order)
    order = {"ifgo": "igfo", "igfo": "ifgo"}[lstm_gate_order]
    options = GraphOptions(batch, split_bilstm, log_softmax)
    pictures = None
    if words is not None:
        pictures = WordImages(Path(words), loaded.spec)
    other = OtherOrder(order, lambda: load(order))
    export = work(loaded, Path(target), options, words=pictures, other=other)
    export.require_passed()
    return export


def compile_om(
    model: Place,
    name: Place,
    batch: Union[int, Sequence[int]] = 1,
    *,
    say: Optional[Say] = None,
    **options: Any,
) -> List[Built]:
    """Compile an ONNX model to an OM with ATC, as ``crnn compile`` does. It needs CANN.

    Args:
        model: The ONNX.
        name: The OM to write, NAME.om, with NAME.om.json beside it.
        batch: The batch size; several give one OM with gears, or with ``static_set`` one OM each.
        say: Gets the lines that the verb prints, ATC's among them; None for nobody.
        options: The verb's other options by the names of the fields of
            `crnn.compile.to_om.CompileRequest`: ``soc``, ``static_set``, ``gears``, ``aipp``,
            ``precision`` …

    Returns:
        The OMs that were written.

    Raises:
        InputError: ATC would reject the graph.
        UsageError: There is not such an option, or two do not go together.
        UnavailableError: There is no ATC.
        KitError: ATC failed; the message explains its codes.
    """
    from crnn.compile.to_om import CompileRequest, build, plan

    told = say or _silent
    batches: Sequence[int] = [batch] if isinstance(batch, int) else batch
    given = {"model": model, "name": name, "batches": tuple(batches), **options}
    todo = plan(_request(CompileRequest, given), os.environ)
    for note in todo.notes:
        told(note)
    return build(todo, os.environ, told)


def quantize(
    model: Place,
    target: Place,
    words: Optional[Place] = None,
    annotation: Optional[Place] = None,
    **options: Any,
) -> Quantised:
    """Write an int8 copy of an ONNX model for processors, as ``crnn quantize`` does.

    Args:
        model: A float ONNX.
        target: The file to write.
        words: An LMDB or a folder of images to calibrate on and to check with; None for the words
            inside the package.
        annotation: The list of a folder's images.
        options: ``calibrate`` (words that set ranges), ``max_drop``, ``spec``, ``output``,
            ``output_axes``.

    Returns:
        What was written, and how both models read the words that were held back.

    Raises:
        InputError: The model is quantised already, or there are too few words.
        CheckError: The copy reads worse, and not by chance; nothing was written.
    """
    from crnn.export.quantize import quantise

    return quantise(Path(model), Path(target), _path(words), _path(annotation), **options)


def _request(kind: Type[R], given: Dict[str, Any]) -> R:
    """Return a verb's request; paths may be text, and an unknown name is refused.

    Raises `UsageError` for a name that is not a field.
    """
    kinds = {field.name: str(field.type) for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    fields: Dict[str, Any] = {}
    for name, value in given.items():
        if name not in kinds:
            raise UsageError(f"{name} is not an option here{did_you_mean(name, sorted(kinds))}")
        if value is not None and kinds[name] in _PATHS:
            value = Path(value)
        fields[name] = value
    return kind(**fields)


_PATHS = ("Path", "Optional[Path]")
"""How the fields of requests that are paths are declared."""


def _path(place: Optional[Place]) -> Optional[Path]:
    if place is None:
        return None
    return Path(place)


def _spec(given: Union[Place, ModelSpec, None]) -> ModelSpec:
    from crnn.runners.open import open_spec
    from crnn.spec import ModelSpec

    if given is None:
        return ModelSpec.default()
    if isinstance(given, ModelSpec):
        return given
    return open_spec(str(given))


def _silent(text: str) -> None:
    """Say nothing."""


@contextlib.contextmanager
def _no_progress(label: str, total: Optional[int]) -> Iterator[Callable[[int], None]]:
    yield lambda count: None
