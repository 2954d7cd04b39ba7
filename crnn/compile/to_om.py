"""An ONNX model to OMs:

checked before ATC, compiled by it, read back after it, and only then put in place.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import (
    Any,
    Dict,
    Generator,
    Iterable,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
)

from crnn.ascend.environment import Version, cann_of, find_cann, npu_smi, search_roots, sourced_cann
from crnn.ascend.fit import misfits, without_probe
from crnn.ascend.om import Om
from crnn.ascend.om_reader import read_om
from crnn.ascend.reference import Reference, make_reference
from crnn.ascend.sidecar import Probe, Sidecar, write_sidecar
from crnn.cann import SOC_VERSIONS
from crnn.compile.aipp import aipp_config
from crnn.compile.atc import (
    GEAR_KINDS,
    TUNE_NOTE,
    AtcJob,
    AtcRun,
    Say,
    atc_environment,
    check_batches,
    check_gears,
    check_precision,
    check_run,
    check_tune,
    knows_lstm,
    may_need_split,
    run_atc,
    safe_path,
    split_extra,
)
from crnn.compile.precision import precision_note
from crnn.compile.preflight import check_graph, doubts
from crnn.compile.probe import accepted, nodes_shown, outputs_in_order, refuse_several
from crnn.compile.widths import (
    ADVISED,
    Sizes,
    chosen_widths,
    has_free_width,
    sizes_of,
    spec_of_set,
    static_copy,
)
from crnn.ctc import greedy
from crnn.errors import CheckError, InputError, KitError, UnavailableError, UsageError, needs
from crnn.export.adjust import adjusted
from crnn.export.split_bilstm import needs_split, split_directions
from crnn.filekind import refuse_lfs_pointer, require_file, sha256
from crnn.files import atomic_file, require_parent
from crnn.fingerprint import Fingerprint, fingerprint_in
from crnn.machine import versions
from crnn.runners.onnx_file import hash_external_data, load_external_data
from crnn.runners.onnx_runner import OnnxRunner, load_graph
from crnn.runners.open import spec_given
from crnn.spec import CHECKPOINT_KEY, ModelSpec, spec_in
from crnn.strokes import digest, stroke_pictures

DEFAULT_SOC = "Ascend310"
OTHER_SOCS = (
    *("Ascend710", "Ascend910", "Ascend910A", "Ascend910B", "Ascend910ProA", "Ascend910ProB"),
    *("Ascend910PremiumA", "Ascend910B1", "Ascend910B2", "Ascend910B3", "Ascend910B4"),
)
"""Chips that CANN knows besides the kit's own (`SOC_VERSIONS`), for the spelling of their names."""


UNKNOWN_CANN = (
    "the version of ATC's CANN is not known, so it is taken for a new one; --cann VERSION says it"
)


@dataclass(frozen=True)
class CompileRequest:
    """What is to be compiled. ``name`` is the OM's path, with or without ``.om``.

    One batch gives a static OM; several give gears, or with ``static_set`` one OM each,
    ``NAME_bs1.om`` …; ``gears`` is their kind, "batch" or "dims". ``widths`` give one OM for each
    width and batch, ``NAME_w128_bs16.om`` …, or with gears of dims one; none of them stands for
    those that the model names itself, None for its fixed width. ``soc`` None asks npu-smi, ``cann``
    None the installation. ``timeout`` is in seconds for each run of ATC. ``probe`` makes every
    node's output one of the OM's.
    """

    model: Path
    name: Path
    batches: Tuple[int, ...] = (1,)
    static_set: bool = False
    gears: str = GEAR_KINDS[0]
    soc: Optional[str] = None
    precision: Optional[str] = None
    aipp: bool = False
    log: str = "info"
    debug: bool = False
    tune: bool = False
    extra: str = ""
    split_bilstm: bool = False
    cann: Optional[Version] = None
    timeout: Optional[float] = None
    spec: Optional[str] = None
    output: Optional[str] = None
    output_axes: Optional[str] = None
    widths: Optional[Tuple[int, ...]] = None
    probe: bool = False


@dataclass(frozen=True)
class CompilePlan:
    """What will be done:

    one job an OM, in the names the user gave; ``graph`` is what ATC gets, ``notes`` why. Of a set
    of widths it gets a copy of it at the OM's width, of ``sizes``. ``spec`` is what the OMs are
    read by.
    """

    request: CompileRequest
    jobs: Tuple[AtcJob, ...]
    graph: Any
    rewritten: bool
    spec: ModelSpec
    onnx_sha256: str
    external_data: Mapping[str, str]
    checkpoint_sha256: Optional[str]
    cann: Optional[Version]
    atc: Optional[Path]
    notes: Tuple[str, ...]
    sizes: Sizes
    inputs: Optional[Fingerprint] = None
    shown: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """The tensors that the OM is to show, by their nodes; none but with ``request.probe``."""

    def spec_of(self, job: AtcJob) -> ModelSpec:
        """Return the spec at an OM's width; at the first where it has several."""
        return self.sizes.spec_of(self.spec, job.widths)

    def graph_of(self, job: AtcJob) -> Any:
        """Return what ATC gets for an OM."""
        return self.sizes.copy_of(job.widths) or self.graph


@dataclass(frozen=True)
class Built:
    """An OM that stands in its place."""

    path: Path
    om: Om
    job: AtcJob
    seconds: float

    def to_dict(self) -> Dict[str, Any]:
        """Return it as plain data."""
        widths = {}
        if self.job.widths:
            widths["widths"] = list(self.job.widths)
        return {
            "path": str(self.path),
            **widths,
            "batch_sizes": list(self.job.batches),
            "sha256": self.om.sha256,
            "bytes": self.om.bytes,
            "precision": self.om.precision,
            "soc_version": self.job.soc,
            "command": self.job.command,
            "seconds": round(self.seconds, 3),
            "simulated": self.om.simulated,
        }


class _Group(NamedTuple):
    """What one OM takes: its batches, and its widths where it is of some."""

    batches: Tuple[int, ...]
    widths: Tuple[int, ...]


def _is_set(request: CompileRequest, widths: Sequence[int]) -> bool:
    """Whether there is one OM for each size: of widths there is, unless they become gears."""
    return request.static_set or (bool(widths) and request.gears != "dims")


def _groups(request: CompileRequest, widths: Tuple[int, ...]) -> List[_Group]:
    """Return what each OM takes."""
    if not _is_set(request, widths):
        return [_Group(tuple(request.batches), widths)]
    if not widths:
        return [_Group((batch,), ()) for batch in request.batches]
    return [_Group((batch,), (width,)) for width in widths for batch in request.batches]


def plan(request: CompileRequest, environ: Mapping[str, str]) -> CompilePlan:
    """Check everything that can be checked without ATC and return what will be run.

    Args:
        request: What the command line asks for.
        environ: Environment variables.

    Returns:
        What will be run.

    Raises:
        InputError: ATC would reject the graph.
        UsageError: Options contradict each other.
    """
    notes: List[str] = []
    name = _output_name(request.name)
    if request.widths != ():
        _check_sizes(request, request.widths or ())
    atc, version = _installed(request, environ)
    if atc is not None and version is None:
        notes.append(UNKNOWN_CANN)
    if request.tune:
        check_tune(version, request.model)
        notes.append(TUNE_NOTE)
    source = _source(request, notes)
    spec, graph, rewritten = source.spec, source.graph, source.rewritten
    groups = _groups(request, source.widths)
    input_name = _checked(source, groups, version, request)
    sizes = source.sizes
    if request.split_bilstm and needs_split(graph):
        rewritten = True
        if sizes.copies:
            sizes = sizes.split(str(request.model))
        else:
            graph = split_directions(graph, time_steps=spec.time_steps, where=str(request.model))
        notes.append(
            "ATC gets a copy in which each LSTM of two directions is two forward ones, which"
            " compute the same"
        )
    shown = _shown(request, source.widths, graph)
    notes += doubts(graph, version)
    soc = _soc(request, version, notes)
    check_precision(request.precision, soc)
    if not safe_path(request.model.resolve()) or not safe_path(name):
        notes.append(
            "a path holds characters that ATC refuses: ATC gets temporary names, the OM its own"
        )
    notes.append(precision_note(request.precision, request.aipp, request.extra))
    todo = CompilePlan(
        request=request,
        jobs=tuple(_job(request, name, group, input_name, spec, soc, shown) for group in groups),
        graph=graph,
        rewritten=rewritten,
        spec=spec,
        onnx_sha256=sha256(request.model),
        external_data=source.external_data,
        checkpoint_sha256=source.checkpoint_sha256,
        cann=version,
        atc=atc,
        notes=tuple(notes),
        sizes=sizes,
        inputs=source.inputs,
        shown=shown,
    )
    aipp_files(todo)  # what AIPP does not take is refused before ATC runs
    return todo


@dataclass(frozen=True)
class _Source:
    """The ONNX as OMs are made of it, and what it says of itself."""

    graph: Any
    rewritten: bool
    spec: ModelSpec
    widths: Tuple[int, ...]
    sizes: Sizes
    external_data: Mapping[str, str]
    checkpoint_sha256: Optional[str]
    inputs: Optional[Fingerprint]


def _source(request: CompileRequest, notes: List[str]) -> _Source:
    """Load the ONNX, and find out what each of its widths gives."""
    graph = _load(request.model)
    outside = hash_external_data(graph, request.model)
    graph = load_external_data(graph, request.model)
    graph = adjusted(graph, request.model, spec=request.spec, output=request.output)
    rewritten = request.output is not None
    metadata = {entry.key: entry.value for entry in graph.metadata_props}
    own = spec_given(_spec(request.model, metadata, notes), None, request.output_axes)
    widths = chosen_widths(request.widths, own, request.model)
    if widths:
        _check_sizes(request, widths)
    spec = spec_of_set(own, widths)
    if own.widths is not None and not widths:
        notes.append(
            f"the model names {len(own.widths.list)} widths, and this OM has {spec.width} alone:"
            " every word is read at that one; --widths all compiles for each"
        )
    if not widths and has_free_width(graph):
        graph, rewritten = static_copy(graph, spec), True
    if len(widths) > ADVISED:
        notes.append(f"{len(widths)} widths: for a chip 3 or 4 are advised (crnn dataset stats)")
    return _Source(
        graph=graph,
        rewritten=rewritten,
        spec=spec,
        widths=widths,
        sizes=sizes_of(graph, spec, widths, request.model, copied=_is_set(request, widths)),
        external_data=outside,
        checkpoint_sha256=_hash(metadata.get(CHECKPOINT_KEY)),
        inputs=_inputs(metadata, spec),
    )


def _inputs(metadata: Mapping[str, str], spec: ModelSpec) -> Optional[Fingerprint]:
    """Return the ONNX's fingerprint of its inputs; one that is made here where it has none, or not
    of all the widths; None where nothing here decodes images.
    """
    carried = fingerprint_in(metadata)
    if carried is not None and carried.covers(spec.read_widths):
        return carried
    with contextlib.suppress(ImportError):
        from crnn.patterns import fingerprint_of

        return fingerprint_of(spec)
    return None


def _shown(request: CompileRequest, widths: Sequence[int], graph: Any) -> Mapping[str, str]:
    """Return the tensors that the OM is to show, by their nodes; none but of a probe."""
    if not request.probe:
        return {}
    others = {
        "--widths": bool(widths),
        "--static-set": request.static_set,
        "--split-bilstm": request.split_bilstm,
    }
    refuse_several(request.batches, others)
    return nodes_shown(graph)


def _check_sizes(request: CompileRequest, widths: Sequence[int]) -> None:
    """Refuse batches, gears and widths that do not go together."""
    count = max(1, len(widths))
    gears = len(request.batches) * count > 1 and not _is_set(request, widths)
    check_batches(request.batches, gears=gears, widths=count)
    check_gears(
        request.gears,
        request.batches,
        static_set=request.static_set,
        aipp=request.aipp,
        widths=count,
    )
    if widths and request.gears == "dims" and request.split_bilstm:
        raise UsageError(
            "--split-bilstm and --gears dims over widths exclude each other: the copy turns the"
            " time by a constant, which is of one width",
            hint="Leave --gears dims out: --widths then gives one OM for each width.",
        )


def _checked(
    source: _Source, groups: Sequence[_Group], cann: Optional[Version], request: CompileRequest
) -> str:
    """Refuse what ATC would refuse of any OM; return the name of the graph's image input."""
    name = ""
    for group in groups:
        image = check_graph(
            source.sizes.copy_of(group.widths) or source.graph,
            spec=source.sizes.spec_of(source.spec, group.widths),
            batches=group.batches,
            cann=cann,
            where=str(request.model),
            widths=group.widths,
        )
        name = image.name
    return name


def _job(
    request: CompileRequest,
    name: Path,
    group: _Group,
    input_name: str,
    spec: ModelSpec,
    soc: str,
    shown: Iterable[str],
) -> AtcJob:
    """Return what ATC is asked for one OM: ``NAME``, ``NAME_bs16`` or ``NAME_w128_bs16``."""
    output, aipp = name, name
    channels, height, width = spec.image_shape
    if len(group.widths) == 1:
        width = group.widths[0]
        aipp = name.with_name(f"{name.name}_w{width}")
        output = aipp
    if _is_set(request, group.widths):
        output = output.with_name(f"{output.name}_bs{group.batches[0]}")
    config = None
    if request.aipp:
        config = aipp.with_name(f"{aipp.name}.aipp.cfg")
    log = request.log
    if request.debug:
        log = "debug"
    return AtcJob(
        model=request.model,
        output=output,
        input_name=input_name,
        image_shape=(channels, height, width),
        batches=group.batches,
        soc=soc,
        log=log,
        precision=request.precision,
        aipp=config,
        tune=request.tune,
        extra=split_extra(request.extra, Path.cwd()),
        gears=request.gears,
        widths=group.widths,
        out_nodes=tuple(shown),
    )


def aipp_files(todo: CompilePlan) -> Dict[Path, str]:
    """Return the AIPP files that ATC gets.

    Args:
        todo: What `plan` gave.

    Returns:
        The text of each, by its path; none where the chip does not prepare the images.

    Raises:
        InputError: AIPP does not take what a spec asks for.
    """
    files = {}
    for job in todo.jobs:
        if job.aipp is not None:
            files[job.aipp] = aipp_config(todo.spec_of(job))
    return files


def build(todo: CompilePlan, environ: Mapping[str, str], say: Say) -> List[Built]:
    """Run ATC for each job.

    The OMs, each with its ``NAME.om.json``, are put in place when all of them are good.

    Args:
        todo: What `plan` gave.
        environ: Environment variables.
        say: Takes each line that ATC prints.

    Returns:
        The OMs that were written.

    Raises:
        UnavailableError: There is no ATC.
        CheckError: An OM is another model than the spec says.
        KitError: ATC failed.
    """
    if todo.atc is None:
        raise _no_atc(environ)
    for job in todo.jobs:
        require_parent(job.output)
    with _workplace() as folder:
        made = []
        for job in todo.jobs:
            if job.out_nodes:
                made.append(_compile_probe(todo, job, folder, environ, say))
                continue
            todo, om, run = _compile_or_split(todo, job, folder, environ, say)
            made.append((job, om, run))
        references: Dict[int, Optional[Reference]] = {}
        for job in todo.jobs:
            width = todo.spec_of(job).width
            if width not in references:
                references[width] = _reference(todo, job, say)
        return [
            _place(todo, job, om, run, references[todo.spec_of(job).width]) for job, om, run in made
        ]


def _reference(todo: CompilePlan, job: AtcJob, say: Say) -> Optional[Reference]:
    """Let the ONNX read the built-in pictures, for the box to compare; None where it cannot."""
    spec = todo.spec_of(job)
    pictures = stroke_pictures(spec)
    try:
        runner = OnnxRunner(todo.request.model)
        if todo.request.output is not None:
            runner.take(todo.request.output)
        if job.widths or todo.request.spec or todo.request.output_axes:
            runner.read_by(spec)
        with runner:
            logits = runner.run(pictures)
    except KitError as error:
        say(f"no readings are kept for crnn doctor --run: {error.message}")
        return None
    texts = tuple(greedy(logits, todo.spec.alphabet))
    return make_reference(digest(pictures), texts, logits)


def _compile_probe(
    todo: CompilePlan, job: AtcJob, folder: Path, environ: Mapping[str, str], say: Say
) -> Tuple[AtcJob, Om, AtcRun]:
    """Compile with every node as an output; where ATC refuses that, with those that it takes."""
    try:
        return (job, *_compile(todo, job, folder, environ, say))
    except InputError as error:
        refusal = error
    say("refused; halves of the nodes are tried, to find those that ATC does not show")

    def accepts(nodes: Sequence[str]) -> bool:
        try:
            _compile(todo, dataclasses.replace(job, out_nodes=tuple(nodes)), folder, environ, say)
        except InputError:
            return False
        return True

    logits = todo.graph.graph.output[0].name
    needed = next(node for node, tensor in todo.shown.items() if tensor == logits)
    kept = accepted(job.out_nodes, needed, accepts)
    if not kept:
        message, *lines = refusal.parts
        raise InputError(message, lines=lines, hint=_way_out(todo)) from refusal
    hidden = [node for node in job.out_nodes if node not in kept]
    say(f"{len(hidden)} nodes are not shown: {', '.join(hidden)}")
    job = dataclasses.replace(job, out_nodes=tuple(kept))
    return (job, *_compile(todo, job, folder, environ, say))


def _compile_or_split(
    todo: CompilePlan, job: AtcJob, folder: Path, environ: Mapping[str, str], say: Say
) -> Tuple[CompilePlan, Om, AtcRun]:
    """Compile; where an ATC of 5.0 refuses, once more with LSTMs of one direction.

    Returns the plan that ATC took, too.
    """
    try:
        return (todo, *_compile(todo, job, folder, environ, say))
    except InputError as error:
        split = None
        if may_need_split(todo.cann):
            split = _split(todo)
        if split is None:
            hint = f"{error.hint} {_way_out(todo)}".strip()
            raise InputError(error.message, hint=hint) from error
    say(f"refused; once more with LSTMs of one direction, as CANN {todo.cann} may need them")
    return (split, *_compile(split, job, folder, environ, say))


def _split(todo: CompilePlan) -> Optional[CompilePlan]:
    """Return the plan with LSTMs of one direction; None where there is nothing to split."""
    if todo.rewritten or not needs_split(todo.graph):
        return None
    where = str(todo.request.model)
    if todo.sizes.copies:
        return dataclasses.replace(todo, sizes=todo.sizes.split(where), rewritten=True)
    if todo.sizes.steps:
        # Gears over widths: the copy turns the time by a constant, which is of one width.
        return None
    graph = split_directions(todo.graph, time_steps=todo.spec.time_steps, where=where)
    return dataclasses.replace(todo, graph=graph, rewritten=True)


def _way_out(todo: CompilePlan) -> str:
    """Say what else can be tried after ATC's refusal, where an LSTM may be the reason."""
    if not any(node.op_type == "LSTM" for node in todo.graph.graph.node):
        return ""
    if not knows_lstm(todo.cann):
        return (
            f"CANN {todo.cann} is not known to compile a standard LSTM: compile with CANN 5.0.2 or"
            " newer. The OM runs under that CANN or a newer one."
        )
    if todo.sizes.steps and not todo.sizes.copies:
        return (
            "If it is the LSTM of two directions that it refuses: leave --gears dims out and add"
            " --split-bilstm."
        )
    if not todo.rewritten and needs_split(todo.graph):
        return "If it is the LSTM of two directions that it refuses: --split-bilstm."
    return ""


def _compile(
    todo: CompilePlan, job: AtcJob, folder: Path, environ: Mapping[str, str], say: Say
) -> Tuple[Om, AtcRun]:
    """Run ATC for a job, and look whether the OM is what was asked for."""
    staged = _staged(todo, job, folder)
    place = folder
    if todo.request.debug:
        place = job.output.with_name(f"{job.output.name}_debug").resolve()
        place.mkdir(exist_ok=True)
    run = run_atc(
        [str(todo.atc), *staged.command[1:]],
        folder=place,
        environ=atc_environment(environ, debug=todo.request.debug, tune=todo.request.tune),
        timeout=todo.request.timeout,
        say=say,
    )
    if todo.request.debug:
        (place / "atc.log").write_text(f"{run.output}\n", encoding="utf-8")
    file = Path(f"{staged.output}.om")
    check_run(run, file)
    om = read_om(file)
    steps = {width: todo.sizes.steps[width] for width in job.widths}
    wrong = list(misfits(without_probe(om, _probe(todo, job, om)), todo.spec, job.batches, steps))
    if wrong:
        raise CheckError(
            f"{job.output}.om: ATC said success, but the OM does not fit the spec",
            lines=wrong,
            hint=(
                "Nothing was written. Compare with the ONNX: crnn inspect on it, and look at"
                " --extra."
            ),
        )
    return om, run


def _probe(todo: CompilePlan, job: AtcJob, om: Om) -> Optional[Probe]:
    """Return which tensors an OM's outputs are; None where it is not a probe."""
    if not job.out_nodes:
        return None
    tensors = [todo.shown[node] for node in outputs_in_order(om, job.out_nodes)]
    return Probe(tuple(tensors), todo.graph.graph.output[0].name)


def _staged(todo: CompilePlan, job: AtcJob, folder: Path) -> AtcJob:
    """The job as ATC gets it: in a folder of its own, by names that it takes."""
    output = folder / re.sub(r"[^A-Za-z0-9_.-]", "_", job.output.name)
    model = job.model.resolve()
    copied = todo.sizes.copy_of(job.widths) is not None
    if copied or todo.rewritten or not safe_path(model):
        with needs("onnx"):
            import onnx
        name = "model"
        if todo.rewritten:
            name = "split"
        if copied:
            name = f"{name}_w{job.widths[0]}"
        model = folder / f"{name}.onnx"
        if not model.exists():
            onnx.save(todo.graph_of(job), str(model))
    aipp = None
    if job.aipp:
        aipp = folder / "aipp.cfg"
        aipp.write_text(aipp_config(todo.spec_of(job)), encoding="ascii")
    return dataclasses.replace(job, model=model, output=output, aipp=aipp)


def _place(
    todo: CompilePlan, job: AtcJob, om: Om, run: AtcRun, reference: Optional[Reference]
) -> Built:
    """Put an OM in its place, after the file beside it."""
    path = Path(f"{job.output}.om")
    with needs("onnx"):
        import onnx
    made_with = {
        **versions(),
        "onnx": str(onnx.__version__),
        "cann": str(todo.cann) if todo.cann else "unknown",
        "atc": om.atc_version,
    }
    sidecar = Sidecar(
        # With AIPP the OM takes pixels, and whoever prepares words for it should know.
        spec=dataclasses.replace(todo.spec, input_dtype="uint8") if job.aipp else todo.spec,
        om_sha256=om.sha256,
        onnx_sha256=todo.onnx_sha256,
        checkpoint_sha256=todo.checkpoint_sha256,
        command=tuple(job.command),
        versions=made_with,
        batch_sizes=job.batches,
        widths=job.widths,
        simulated=om.simulated,
        external_data=todo.external_data,
        reference=reference,
        inputs=todo.inputs,
        probe=_probe(todo, job, om),
    )
    with open(om.file, "rb") as source, atomic_file(path) as target:
        shutil.copyfileobj(source, target)
        # Before the OM takes its name: an OM without its own sidecar would be read by the default
        # spec.
        write_sidecar(path, sidecar)
    return Built(path, om, job, run.seconds)


@contextlib.contextmanager
def _workplace() -> Generator[Path, None, None]:
    """A folder for one compilation, whose path ATC takes:

    it leaves kernels and reports wherever it runs.
    """
    places = [
        Path(tempfile.gettempdir()).resolve(),
        Path("/tmp"),  # noqa: S108  mkdtemp is below
        Path("/var/tmp"),  # noqa: S108
    ]
    place = next(
        (place for place in places if safe_path(place) and os.access(place, os.W_OK)), None
    )
    if place is None:
        raise UnavailableError(
            f"no temporary folder whose path ATC takes: {', '.join(map(str, places))}",
            hint="Set TMPDIR to a writable folder with letters, digits, _ - and . in its path.",
        )
    folder = Path(tempfile.mkdtemp(prefix="crnn-atc-", dir=str(place)))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _installed(
    request: CompileRequest, environ: Mapping[str, str]
) -> Tuple[Optional[Path], Optional[Version]]:
    """The atc on PATH and the version of its CANN, where they can be told."""
    found = shutil.which("atc", path=environ.get("PATH"))
    if found:
        atc = Path(found)
    else:
        atc = None
    if request.cann is not None or atc is None:
        return atc, request.cann
    owner, sourced = cann_of(atc), sourced_cann(environ)
    return atc, (owner and owner.version) or (sourced and sourced.version) or None


def _no_atc(environ: Mapping[str, str]) -> UnavailableError:
    cann = find_cann(environ)
    if cann is None:
        places = ", ".join(str(place) for place in search_roots(environ))
        return UnavailableError(
            f"there is no atc on PATH and no CANN under {places}",
            hint=(
                "Install CANN's toolkit package (Ascend-cann-toolkit_VERSION_linux-ARCH.run"
                " --install), or set ASCEND_INSTALL_ROOT to where it lies, then source"
                " acl_env_x86.sh or acl_env_arm.sh."
            ),
        )
    if not cann.has_atc:
        return UnavailableError(
            f"there is no atc on PATH, and {cann} has none: it runs models only",
            hint=(
                "Compile where the toolkit package is installed and copy NAME.om and NAME.om.json"
                " here."
            ),
        )
    script = cann.set_env or "acl_env_x86.sh (or acl_env_arm.sh)"
    return UnavailableError(
        f"there is no atc on PATH; {cann} has one", hint=f"source {script}, or use ./atc_crnn.sh"
    )


def _load(path: Path) -> Any:
    require_file(path, "an ONNX model")
    refuse_lfs_pointer(path)
    return load_graph(path)


def _spec(path: Path, metadata: Mapping[str, str], notes: List[str]) -> ModelSpec:
    carried = spec_in(metadata, path)
    if carried is not None:
        return carried
    notes.append(
        "the ONNX carries no spec: the default one is taken (gray 32x100, 0-9a-z, 26 steps)"
    )
    return ModelSpec.default()


def _soc_meant(text: str) -> str:
    """Return the name of a chip as CANN spells it; empty where none can be meant."""
    bare = re.sub(r"(?i)^ascend", "", text.strip()).strip(" _-").replace(" ", "")
    if not re.fullmatch(r"[0-9]\w*", bare):
        return ""
    for name in (*SOC_VERSIONS, *OTHER_SOCS):
        if name.lower() == f"ascend{bare.lower()}":
            return name
    return f"Ascend{bare.upper()}"


def _soc(request: CompileRequest, cann: Optional[Version], notes: List[str]) -> str:
    if request.soc:
        meant = _soc_meant(request.soc)
        known = meant == request.soc or meant not in (*SOC_VERSIONS, *OTHER_SOCS)
        if not (known and re.fullmatch(r"Ascend\w+", request.soc)):
            near = ""
            if meant:
                near = f"Did you mean {meant}? "
            raise UsageError(
                f"--soc {request.soc}: expected a name such as Ascend310 or Ascend310P3",
                hint=f"{near}npu-smi info shows the part after Ascend.",
            )
        return request.soc
    chips = npu_smi()
    if not chips:
        notes.append(
            f"no chip is listed by npu-smi: compiling for {DEFAULT_SOC}; --soc names another"
        )
        return DEFAULT_SOC
    if cann is not None and cann.pair < (5, 1) and chips[0].soc.startswith("Ascend310P"):
        notes.append(f"npu-smi lists {chips[0].soc}, which CANN {cann} knows as Ascend710")
        return "Ascend710"
    names = sorted({chip.soc for chip in chips})
    more = ""
    if len(names) > 1:
        more = f" (of {', '.join(names)}; --soc names another)"
    notes.append(f"compiling for {chips[0].soc}, the chip that npu-smi lists{more}")
    return chips[0].soc


def _output_name(name: Path) -> Path:
    if name.name.endswith(".om") and name.name != ".om":
        bare = name.with_name(name.name[:-3])
    else:
        bare = name
    if not bare.name or bare.name.startswith("."):
        raise UsageError(f"{name}: expected a name for the OM, such as crnn_bs1")
    if Path(f"{bare}.om").is_dir():
        raise InputError(f"{bare}.om is a folder; expected a place for the OM")
    require_parent(bare)
    return bare


def _hash(text: Optional[str]) -> Optional[str]:
    if text and re.fullmatch(r"[0-9a-f]{64}", text):
        return text
    return None
