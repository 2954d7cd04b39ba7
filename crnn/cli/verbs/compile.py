"""``crnn compile``."""

from __future__ import annotations

import argparse
import os
import shlex
from pathlib import Path
from typing import Dict, Mapping, Optional, Sequence, Tuple, Union

from crnn.ascend.environment import Version
from crnn.cli import console
from crnn.cli.arguments import (
    add_json,
    add_label,
    add_output_axes,
    add_reading,
    positive,
    put_json,
)
from crnn.cli.verbs.evaluate import add_max_differ
from crnn.compile.atc import GEAR_KINDS, LOG_LEVELS, PRECISION_MODES, AtcJob
from crnn.errors import CheckError, UsageError

HELP = "Compile an ONNX model to an OM with ATC, for Ascend chips."
EXAMPLE = """  crnn compile crnn.onnx crnn_bs1
  crnn compile crnn.onnx crnn_bs16 --batch 16 --soc Ascend310P3
  crnn compile crnn.onnx crnn_gears --batch 1,4,8,16       one OM, four batch sizes
  crnn compile crnn.onnx crnn_dims --batch 1,4,8,16 --gears dims   the same, by --dynamic_dims
  crnn compile crnn.onnx crnn --batch 1,4,8 --static-set   crnn_bs1.om, crnn_bs4.om, crnn_bs8.om
  crnn compile crnn.onnx crnn --widths all --batch 1,16    crnn_w80_bs1.om, crnn_w80_bs16.om …
  crnn compile crnn.onnx crnn_310p --like crnn_bs1.om --soc Ascend310P3
  crnn compile crnn.onnx crnn_probe --probe --batch 16      which node errs (crnn compare --layers)
  crnn compile crnn.onnx crnn_u8 --aipp --dry-run          show the command and the AIPP file"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument(
        "model", type=Path, metavar="MODEL.onnx", help="the model, as crnn export writes it"
    )
    parser.add_argument(
        "name",
        type=Path,
        metavar="NAME",
        help="the OM to write: NAME.om, and NAME.om.json beside it",
    )
    parser.add_argument(
        "--batch",
        type=_batches,
        default=(1,),
        metavar="N[,N…]",
        help="batch size (default 1); several give one OM with gears",
    )
    parser.add_argument(
        "--static-set", action="store_true", help="one OM for each batch size instead of gears"
    )
    parser.add_argument(
        "--widths",
        type=_widths,
        metavar="W[,W…]|all",
        help="one OM for each width and batch, or with --gears dims one OM; all: those that the"
        " model names",
    )
    parser.add_argument(
        "--gears",
        choices=GEAR_KINDS,
        default=GEAR_KINDS[0],
        help="the kind of gears: --dynamic_batch_size, or --dynamic_dims (default: %(default)s)",
    )
    parser.add_argument(
        "--soc",
        metavar="NAME",
        help="the chip, such as Ascend310P3 (default: npu-smi's, or Ascend310)",
    )
    parser.add_argument(
        "--precision",
        choices=PRECISION_MODES,
        metavar="MODE",
        help=f"ATC's --precision_mode (default: force_fp16): {', '.join(PRECISION_MODES)}",
    )
    parser.add_argument(
        "--probe",
        action="store_true",
        help="an OM that shows every node's output: crnn evaluate --save-outputs keeps them, and"
        " crnn compare --layers shows them",
    )
    parser.add_argument("--aipp", action="store_true", help="uint8 input, normalised on the chip")
    _add_atc(parser)
    _add_like(parser)
    add_reading(parser)
    add_output_axes(parser)
    add_json(parser)


def _add_atc(parser: argparse.ArgumentParser) -> None:
    """Declare how ATC is run."""
    parser.add_argument(
        "--log", choices=LOG_LEVELS, default="info", help="ATC's log level (default: %(default)s)"
    )
    parser.add_argument(
        "--debug", action="store_true", help="dump graphs and ATC's log into NAME_debug/"
    )
    parser.add_argument(
        "--tune", action="store_true", help="Auto Tune (hours; CANN up to 5.x, AOE took its place)"
    )
    parser.add_argument(
        "--extra", default="", metavar="FLAGS", help='further flags for ATC: --extra="--a=1 --b=2"'
    )
    parser.add_argument(
        "--split-bilstm",
        action="store_true",
        help="give ATC two forward LSTMs for each of two directions (CANN 5.0: done by itself after"
        " a refusal)",
    )
    parser.add_argument(
        "--cann", type=_version, metavar="VERSION", help="compile as for this CANN (default: ATC's)"
    )
    parser.add_argument(
        "--timeout", type=positive, metavar="SECONDS", help="stop ATC after this long"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="print the command and the AIPP file, run nothing"
    )


def _add_like(parser: argparse.ArgumentParser) -> None:
    """Declare how an OM is compiled once more."""
    parser.add_argument(
        "--like",
        type=Path,
        metavar="OLD.om",
        help="compile as this OM (or set of them: its folder) was, by the file beside it; --soc and"
        " --cann say what is new",
    )
    parser.add_argument(
        "--against",
        type=Path,
        metavar="OLD.jsonl",
        help="with --like: what the old OM has read of --data (evaluate --readings); the new one"
        " must read the same",
    )
    parser.add_argument("--data", type=Path, metavar="DATA", help="the words of --against")
    add_label(parser)
    add_max_differ(parser)


def _require_like(args: argparse.Namespace) -> None:
    """Refuse options that the old OM decides, and those that belong to others."""
    if args.like is None:
        if args.against is not None:
            raise UsageError("--against goes with --like")
        return
    given = {
        "--batch": args.batch != (1,),
        "--static-set": args.static_set,
        "--widths": args.widths is not None,
        "--gears": args.gears != GEAR_KINDS[0],
        "--precision": args.precision is not None,
        "--aipp": args.aipp,
        "--tune": args.tune,
        "--extra": bool(args.extra),
    }
    for option, typed in given.items():
        if typed:
            raise UsageError(f"{option}: --like takes it from the old OM; leave it out")
    if (args.against is None) != (args.data is None):
        raise UsageError("--against and --data go together: readings, and the words they are of")


def run(args: argparse.Namespace) -> int:
    """Compile, or show what would be run."""
    from crnn.compile.to_om import CompileRequest, aipp_files, build, plan

    _require_like(args)

    request = CompileRequest(
        model=args.model,
        name=args.name,
        batches=args.batch,
        static_set=args.static_set,
        gears=args.gears,
        soc=args.soc,
        precision=args.precision,
        aipp=args.aipp,
        log=args.log,
        debug=args.debug,
        tune=args.tune,
        extra=args.extra,
        split_bilstm=args.split_bilstm,
        cann=args.cann,
        timeout=args.timeout,
        spec=args.spec,
        output=args.output,
        output_axes=args.output_axes,
        widths=args.widths,
        probe=args.probe,
    )
    old = None
    if args.like is not None:
        from crnn.compile.like import check_plan, recorded, request_like, require_own_folder

        old = recorded(args.like)
        request = request_like(old, request)
    todo = plan(request, os.environ)
    if old is not None:
        check_plan(old, todo)
        if args.against is not None:
            require_own_folder(todo)
    for text in todo.notes:
        console.note(text)
    if args.dry_run:
        _show(todo.jobs, aipp_files(todo), args.json)
        return 0
    built = build(todo, os.environ, lambda line: console.relay(f"atc: {line}"))
    taken = put_json([one.to_dict() for one in built], args.json)
    if not taken:
        for one in built:
            console.out(f"{one.path}{'  (simulated)' if one.om.simulated else ''}")
    if args.against is not None:
        _compare(args, [one.path for one in built], taken=taken)
    return 0


def _compare(args: argparse.Namespace, built: Sequence[Path], *, taken: bool) -> None:
    """Let the new OM read the words, and compare with what the old one has read."""
    from crnn.jobs.comparison.job import CompareRequest, compare
    from crnn.reports import comparison as report

    side = built[0]
    if len(built) > 1:
        side = side.parent
    request = CompareRequest(
        [str(args.against), str(side)],
        args.data,
        args.label,
        max_differ=args.max_differ,
        typed=args.typed,
    )
    result = compare(request, console.progress).result
    for line in report.lines(result):
        if taken:
            console.note(line)
        else:
            console.say(line)
    if result.failures:
        raise CheckError("; ".join(result.failures))


def _show(jobs: Sequence[AtcJob], aipp: Mapping[Path, str], json: Optional[str]) -> None:
    texts: Union[str, Dict[str, str], None] = None
    if len(aipp) == 1:
        texts = next(iter(aipp.values()))
    elif aipp:
        texts = {str(path): text for path, text in aipp.items()}
    if put_json({"commands": [job.command for job in jobs], "aipp": texts}, json):
        return
    for path, text in aipp.items():
        console.out(f"# {path}")
        console.out_text(text.rstrip())
    for job in jobs:
        console.out(" ".join(shlex.quote(word) for word in job.command))


def _widths(text: str) -> Tuple[int, ...]:
    """Return the widths that are named; none for those of the model itself."""
    if text == "all":
        return ()
    return tuple(sorted({positive(part) for part in text.split(",")}))


def _batches(text: str) -> Tuple[int, ...]:
    return tuple(positive(part) for part in text.split(","))


def _version(text: str) -> Optional[Version]:
    version = Version.parse(text)
    if version is None:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a CANN version such as 5.0.4, 6.0.RC1 or 8.0"
        )
    return version
