"""``crnn evaluate``."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Callable, List, Optional, Sequence, Tuple, Type, TypeVar, Union

from crnn.cann import OM_MAGIC
from crnn.cli import console
from crnn.cli.arguments import (
    STDOUT,
    add_batch,
    add_cluster,
    add_devices,
    add_json,
    add_label,
    add_list_options,
    add_output_axes,
    add_run,
    add_spec,
    add_threads,
    add_written,
    bound_threads,
    cluster_options,
    fraction,
    natural,
    put_json,
)
from crnn.cli.reading_options import (
    add_decoding,
    add_nearest_width,
    add_sure,
    add_views,
    add_width_rule,
    decoding_options,
    sure_options,
    sure_table,
    with_lexicon,
)
from crnn.errors import CheckError, KitError, UsageError
from crnn.filekind import starts_with
from crnn.files import require_target

if TYPE_CHECKING:
    from crnn.cluster.drive import ClusterOptions
    from crnn.jobs.evaluate import EvaluateOutcome, EvaluateRequest
    from crnn.jobs.evaluations import Column
    from crnn.reports.combined import Combined
    from crnn.reports.table import Cell
    from crnn.samples.source import LabelledSource

R = TypeVar("R")
PutTable = Callable[[Sequence[str], Sequence[Sequence[str]]], None]

HELP = "Read every word of a data set with a model and say how many are right."
EXAMPLE = """  crnn evaluate crnn.onnx words_lmdb --batch 64 --json result.json
  crnn evaluate crnn.om input_bin --label label.txt --min-accuracy 0.79
  crnn evaluate runs/synthetic words_lmdb more_lmdb   a table: each checkpoint on each set"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument(
        "model",
        type=Path,
        metavar="MODEL",
        help=(
            "an .onnx, an .om or a .pth, told by content; or a folder: of OMs alone a static set,"
            " else the models in it, for a table"
        ),
    )
    parser.add_argument(
        "data",
        type=Path,
        nargs="+",
        metavar="DATA",
        help="a folder of bins, an LMDB, a folder of images or of LMDBs; or several",
    )
    add_batch(parser)
    add_label(parser)
    add_list_options(parser)
    add_json(parser)
    add_run(parser)
    add_cluster(parser)
    parser.add_argument(
        "--keep-images",
        choices=("misses",),
        help=(
            "keep small pictures of the words read wrong beside the --json FILE, as FILE without"
            " .json and with .images.json: crnn report then needs no --data"
        ),
    )
    add_options(parser)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare what the historical script takes too."""
    parser.set_defaults(more=(), keep_images=None)
    add_devices(parser)
    add_threads(parser)
    parser.add_argument(
        "--output", metavar="NAME", help="the logits of a model that has several outputs"
    )
    parser.add_argument(
        "--save-outputs", type=Path, metavar="DIR", help="write the raw logits, one file a sample"
    )
    parser.add_argument(
        "--outputs-style",
        choices=("ais_bench", "benchmark"),
        default="ais_bench",
        help="name files NAME_0.bin, or NAME_1.bin (default: ais_bench, the former)",
    )
    parser.add_argument(
        "--rehearse",
        choices=("float16",),
        help="compute an ONNX as a chip would, in float16, on this processor: simulated",
    )
    parser.add_argument(
        "--protocol",
        metavar="NAME",
        help="count what a system counts: modelzoo, mindspore-ic, mindspore-iiit5k or tensorflow",
    )
    parser.add_argument(
        "--oov",
        choices=("keep", "drop", "strip"),
        help=(
            "labels with characters outside the alphabet: keep them, to count as wrong (default),"
            " drop their samples, or strip the characters"
        ),
    )
    add_views(parser)
    add_nearest_width(parser)
    add_checks(parser)


def add_checks(parser: argparse.ArgumentParser) -> None:
    """Declare how a model is read, what is shown and what is checked."""
    add_spec(parser)
    add_output_axes(parser)
    add_width_rule(parser)
    parser.add_argument(
        "--format",
        metavar="NAME",
        help=(
            "print as another system does: modelzoo, postpossess, mindspore-eval, mindspore-onnx,"
            " mindspore-310, sdk; or as a table: markdown"
        ),
    )
    parser.add_argument(
        "--readings",
        type=Path,
        metavar="FILE.jsonl|FILE.csv",
        help="write every reading: an object a line, or CSV where the name ends so",
    )
    add_written(parser, "readings")
    parser.add_argument(
        "--show-misses", type=natural, default=0, metavar="N", help="print the N worst misses"
    )
    parser.add_argument(
        "--show-differences",
        type=natural,
        default=20,
        metavar="N",
        help="print N of the words that --against reads otherwise, regressions first (default 20)",
    )
    parser.add_argument("--strict", action="store_true", help="exit 3 if any sample had a problem")
    parser.add_argument(
        "--min-accuracy",
        type=fraction,
        metavar="F",
        help="exit 3 below this fraction, such as 0.79",
    )
    parser.add_argument(
        "--against",
        type=Path,
        metavar="FILE",
        help="compare with another run's --json, or its --readings, JSON Lines or CSV",
    )
    add_max_differ(parser)
    add_sure(parser)
    add_decoding(parser)


def add_max_differ(parser: argparse.ArgumentParser) -> None:
    """Declare ``--max-differ``, which goes with ``--against``.

    Args:
        parser: The parser of the verb.
    """
    parser.add_argument(
        "--max-differ",
        type=natural,
        default=0,
        metavar="N",
        help="words that may differ from --against (default 0)",
    )


def run(args: argparse.Namespace) -> int:
    """Evaluate one model on one data set, or several on several."""
    if args.rehearse:
        bound_threads(args.threads)
    args.more, data = _rest_of_set(args.model, args.data)
    _refuse_models(data)
    data = _expanded(data, args.label)
    args.data = data[0]
    if args.folder is None and (args.resume or args.shard is not None):
        raise UsageError("--resume and --shard go with --run DIR")
    cluster = cluster_options(args)
    if len(data) > 1 or len(args.lexicon or ()) > 1 or _holds_models(args.model):
        return _table(args, data)
    if args.folder is not None:
        return _run_folder(args, cluster)
    return run_one(args)


def _rest_of_set(model: Path, words: Sequence[Path]) -> Tuple[List[Path], List[Path]]:
    """Return the OMs that stand before the data, which are a static set with the first, and the
    data.
    """
    data = list(words)
    more: List[Path] = []
    if _is_om(model):
        while len(data) > 1 and _is_om(data[0]):
            more.append(data.pop(0))
    return more, data


def _refuse_models(data: Sequence[Path]) -> None:
    """Refuse models in the place of data: several are a table's, and stand in a folder."""
    from crnn.filekind import ZIP
    from crnn.jobs.evaluations import SUFFIXES

    for place in data:
        if not place.is_file():
            continue
        if place.name.lower().endswith(SUFFIXES) or _is_om(place) or starts_with(place, ZIP):
            raise UsageError(
                f"{place} is a model, and stands where the data stand",
                hint="For a table of several models put them into one folder, and give that as"
                " MODEL.",
            )


def _is_om(path: Path) -> bool:
    return path.is_file() and starts_with(path, OM_MAGIC)


def _expanded(data: Sequence[Path], label: Optional[Path]) -> List[Path]:
    """Return the data sets with the LMDBs below a folder in its place."""
    if label is not None:
        return list(data)
    from crnn.samples.lmdb import lmdbs_below

    expanded: List[Path] = []
    for place in data:
        below = lmdbs_below(place)
        if below:
            console.note(f"{place}: {len(below)} data sets: {', '.join(map(str, below))}")
        expanded.extend(below or [place])
    return expanded


def _holds_models(path: Path) -> bool:
    if not path.is_dir():
        return False
    from crnn.jobs.evaluations import models_in

    return models_in(path) != [path]


def run_one(args: argparse.Namespace) -> int:
    """Evaluate, write the result, then say which checks failed."""
    if args.rehearse:
        bound_threads(args.threads)
    from crnn.jobs.evaluate import EvaluateRequest, evaluate

    require_format(args)
    request = request_of(EvaluateRequest, args)
    pictures = _source_of_pictures(args, request)
    outcome = evaluate(request, console.progress, screen=console)
    _keep_pictures(args, request, outcome, pictures)
    return present(args, outcome)


def _run_folder(args: argparse.Namespace, cluster: Optional[ClusterOptions]) -> int:
    """Evaluate in a folder, on a cluster where there is one, and show the result, or how far it
    is.
    """
    from crnn.jobs.evaluate import EvaluateRequest
    from crnn.jobs.runs import RunOptions, Unfinished, evaluate_run

    require_format(args)
    options = RunOptions(args.folder, args.resume, args.shard)
    request = request_of(EvaluateRequest, args)
    pictures = _source_of_pictures(args, request)
    outcome: Union[EvaluateOutcome, Unfinished]
    if cluster is None:
        outcome = evaluate_run(request, options, console.progress, screen=console)
    else:
        from crnn.cluster.verbs import evaluate_on

        outcome = evaluate_on(cluster, request, options, console.progress, console)
    if not isinstance(outcome, Unfinished):
        _keep_pictures(args, request, outcome, pictures)
        return present(args, outcome)
    for note in outcome.notes:
        console.note(note)
    console.say(
        f"{outcome.folder}: {outcome.words} of {outcome.total} words are read; the rest is for"
        " other jobs"
    )
    return 0


def _source_of_pictures(
    args: argparse.Namespace, request: EvaluateRequest
) -> Optional[LabelledSource]:
    """Return what has the pictures that are to be kept, closed, for an LMDB is open only once at a
    time in a process; None where none are to be kept.
    """
    if args.keep_images is None:
        return None
    from crnn.jobs.report.kept import place_beside, source_of_pictures
    from crnn.samples.annotations import ListOptions

    if args.json in (None, STDOUT):
        raise UsageError(
            "--keep-images lays pictures beside the result: say where that is, --json FILE"
        )
    require_target(place_beside(Path(args.json)))
    options = ListOptions(None, request.columns, request.encoding)
    source = source_of_pictures(request.data, request.label, options)
    source.close()
    return source


def _keep_pictures(
    args: argparse.Namespace,
    request: EvaluateRequest,
    outcome: EvaluateOutcome,
    source: Optional[LabelledSource],
) -> None:
    """Keep pictures of what was read wrong beside the result, where they were asked for."""
    if source is None:
        return
    from crnn.jobs.report.kept import keep_pictures, place_beside

    target = place_beside(Path(args.json))
    with contextlib.closing(source):
        kept = keep_pictures(
            outcome.evaluation, outcome.comparison, request.readings, source, target
        )
    console.note(f"{target}: pictures of {kept} words")


def _table(args: argparse.Namespace, data: Sequence[Path]) -> int:
    """Evaluate each model on each data set and show a table."""
    from crnn.jobs.evaluate import EvaluateOutcome, EvaluateRequest
    from crnn.jobs.evaluations import error_of, evaluate_all, failures, problems
    from crnn.reports import table, text

    _refuse_options_of_one(args, data)
    columns = _columns(args, data)
    rows = evaluate_all(request_of(EvaluateRequest, args), columns, console.progress)
    models = [row.model.name for row in rows]
    places = [column.name for column in columns]
    outcomes: List[EvaluateOutcome] = []
    notes: List[str] = []
    cells: List[List[table.Cell]] = []
    for row in rows:
        cells.append([])
        for cell in row.cells:
            if isinstance(cell, EvaluateOutcome):
                outcomes.append(cell)
                notes.extend(cell.notes)
                cells[-1].append(cell.evaluation)
            else:
                cells[-1].append(cell.message)
    for note in dict.fromkeys([*notes, *problems(rows, columns)]):
        console.note(note)
    pooled: List[Optional[Combined]] = []
    if not any(column.lexicon for column in columns):
        pooled = _pooled(columns, cells)
    if not put_json(table.to_dict(models, places, cells, pooled), args.json):
        if outcomes and all(outcome.evaluation.run.simulated for outcome in outcomes):
            console.say(text.simulated(outcomes[0].evaluation.run))
        _put_tables(args, models, [["model", *places], *table.cells(models, cells)], pooled)
    _raise_failures(failures(rows, columns), error_of(rows))
    return 0


def _pooled(columns: Sequence[Column], cells: Sequence[Sequence[Cell]]) -> List[Optional[Combined]]:
    """Return each model's row for all data sets; none where words would count twice."""
    from crnn.jobs.evaluations import repeated
    from crnn.reports import table

    twice = repeated(columns)
    if twice:
        console.note(f"{twice[0]} is named twice: no row has all data sets together")
        return []
    return list(table.together([column.name for column in columns], cells))


def _put_tables(
    args: argparse.Namespace,
    models: Sequence[str],
    rows: Sequence[Sequence[str]],
    pooled: Sequence[Optional[Combined]],
) -> None:
    """Show what was read on each data set, the head first, then on all of them together."""
    put_table = console.out_table
    if args.format:
        put_table = _out_markdown
    put_table(rows[0], rows[1:])
    _put_combined(models, pooled, put_table)
    if len(models) > 1:
        console.note("* the most words right on that data set")


def _out_markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from crnn.reports import markdown

    for line in markdown.table(head, rows):
        console.out(line)


def _put_combined(
    models: Sequence[str], pooled: Sequence[Optional[Combined]], put_table: PutTable
) -> None:
    """Show the data sets of each model together, where there are several."""
    from crnn.reports.combined import HEAD

    rows: List[List[str]] = []
    for model, one in zip(models, pooled):
        if one is not None:
            rows.append(one.cells(model))
    if rows:
        console.out("")
        put_table(HEAD, rows)


def _columns(args: argparse.Namespace, data: Sequence[Path]) -> List[Column]:
    """Return a column for each data set, and of each for each lexicon where there are several."""
    from crnn.jobs.evaluations import Column

    lexicons: List[str] = args.lexicon or []
    if len(lexicons) < 2:
        decoding = decoding_options(args)
        return [Column(place, decoding) for place in data]
    args.lexicon = None
    columns: List[Column] = []
    for place in data:
        for lexicon in lexicons:
            columns.append(Column(place, with_lexicon(args, lexicon), lexicon))
    return columns


def _raise_failures(broken: Sequence[str], unread: Optional[KitError]) -> None:
    if unread:
        for failure in broken:
            console.note(failure)
        raise unread
    if broken:
        raise CheckError("; ".join(broken))


def _refuse_options_of_one(args: argparse.Namespace, data: Sequence[Path]) -> None:
    from crnn.reports.formats import MARKDOWN

    if args.folder is not None:
        raise UsageError("--run is for one model and one DATA")
    options = ["readings", "save_outputs", "against", "show_misses", "keep_images"]
    if args.format != MARKDOWN:
        options.append("format")
    if len(data) > 1:
        options.append("label")
    for option in options:
        if getattr(args, option):
            raise UsageError(f"--{option.replace('_', '-')} is for one model and one DATA")


def require_format(args: argparse.Namespace) -> None:
    """Refuse a ``--format`` that does not exist, or that another option leaves no place for."""
    from crnn.reports.formats import format_named

    if not args.format:
        args.format = None
        return
    if args.json == STDOUT:
        raise UsageError("--format and --json - both want stdout; name a file with --json")
    format_named(args.format)


def present(args: argparse.Namespace, outcome: EvaluateOutcome) -> int:
    """Show an outcome as the options of `add_checks` and ``--json`` say."""
    from crnn.reports import text
    from crnn.reports.formats import format_named

    evaluation = outcome.evaluation
    for note in outcome.notes:
        console.note(note)
    for line in text.problems(evaluation, outcome.named):
        console.note(line)
    taken = False
    if args.json is not None:
        from crnn.reports.result_json import to_dict

        taken = put_json(to_dict(evaluation, outcome.comparison), args.json)
    _say_written(args)
    if args.format:
        taken = True
        for line in format_named(args.format).end(evaluation):
            console.out(line)
    # With something for programs on stdout, what is for people goes to stderr.
    shown = text.lines(
        evaluation, outcome.comparison, misses=args.show_misses, shown=args.show_differences
    )
    for line in [*shown, *sure_table(args, evaluation)]:
        if taken:
            console.note(line)
        else:
            console.say(line)
    if outcome.failures:
        raise CheckError("; ".join(outcome.failures))
    return 0


def _say_written(args: argparse.Namespace) -> None:
    """Say on a terminal which files were written: a pipe's reader has named them and looks."""
    if not sys.stderr.isatty():
        return
    for what, name in (("result", "json"), ("readings", "readings"), ("outputs", "save_outputs")):
        place = getattr(args, name, None)
        if place not in (None, STDOUT):
            console.note(f"{what} written: {place}")


def request_of(kind: Type[R], args: argparse.Namespace) -> R:
    """Return a request whose fields are the arguments of the same names."""
    if hasattr(args, "probability"):
        args.sure = sure_options(args)
        args.decoding = decoding_options(args)
    fields = {field.name: getattr(args, field.name) for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    return kind(**fields)
