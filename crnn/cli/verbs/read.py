"""``crnn read``."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Iterable, Iterator, List, Optional, Sequence

from crnn.cli import console
from crnn.cli.arguments import (
    STDOUT,
    add_batch,
    add_cluster,
    add_json,
    add_output_axes,
    add_reading,
    add_run,
    add_threads,
    add_written,
    cluster_options,
    filled,
    listing,
    path,
    put_json,
)
from crnn.cli.reading_options import (
    add_decoding,
    add_nearest_width,
    add_sure,
    add_views,
    add_width_rule,
    decoding_arguments,
    sure_options,
)
from crnn.errors import CheckError, InputError, UsageError, shown

if TYPE_CHECKING:
    from crnn.batch import Sample
    from crnn.cluster.drive import ClusterOptions
    from crnn.reading.out import Collected, Counted, Out
    from crnn.reading.run import ReadRun
    from crnn.reading.watch import Done
    from crnn.recognizer import Recognizer
    from crnn.samples.unlabelled import Words

HELP = "Read words, wherever they are: a line each, with path, text and confidence."
EXAMPLE = (
    "  crnn read crnn.onnx word1.png word2.jpg\n"
    "  crnn read crnn.onnx crops --recursive --out readings.jsonl\n"
    "  find crops -name '*.png' -print0 | crnn read crnn.onnx - -0"
)
STDIN = "-"
_STDIN_NUMBER = 0
_BLOCK = 1 << 16


class Sources(argparse.Action):
    """What is read; other options may stand in its place, and help shows it so."""

    may_lack = True

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: Optional[str] = None,
    ) -> None:
        """Take the sources."""
        setattr(namespace, self.dest, values)


class InPlaceOfSources(argparse.Action):
    """An option that says what is read: no source has to be named then."""

    sources: argparse.Action

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: Optional[str] = None,
    ) -> None:
        """Take the option."""
        setattr(namespace, self.dest, values)
        self.sources.required = False


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument(
        "model", type=Path, metavar="MODEL", help="an .onnx, an .om or a .pth, told by content"
    )
    sources = parser.add_argument(
        "sources",
        action=Sources,
        nargs="+",
        type=filled,
        default=[],
        metavar="SOURCE",
        help="images of one word each; folders of them, LMDBs, bins, packs, tar archives; patterns"
        " of these; or - for paths on stdin, read as they come",
    )
    _add_sources(parser, sources)
    _add_outputs(parser)
    add_run(parser)
    add_cluster(parser)
    add_batch(parser)
    add_reading(parser)
    add_output_axes(parser)
    add_width_rule(parser)
    add_views(parser)
    add_sure(parser, labelled=False)
    add_decoding(parser, samples=False)
    parser.add_argument("--device", default="", help="cpu or cuda; for an OM a chip's number")
    add_threads(parser)
    add_nearest_width(parser)


def _add_sources(parser: argparse.ArgumentParser, sources: argparse.Action) -> None:
    group = parser.add_argument_group("what is read")
    group.add_argument(
        "--recursive", action="store_true", help="folders with the folders below them"
    )
    listed = group.add_argument(
        "--list",
        action=InPlaceOfSources,
        type=listing,
        metavar="FILE",
        help="the images of a list, a path a line",
    )
    assert isinstance(listed, InPlaceOfSources)
    listed.sources = sources
    watched = group.add_argument(
        "--watch",
        action=InPlaceOfSources,
        type=path,
        metavar="DIR",
        help="the images that appear in a folder, each when it has not changed for a second, until"
        " Ctrl-C or SIGTERM",
    )
    assert isinstance(watched, InPlaceOfSources)
    watched.sources = sources
    done = group.add_mutually_exclusive_group()
    done.add_argument(
        "--done",
        type=path,
        metavar="FILE",
        help="of --watch: list the files that were read, and pass over those that are in the list",
    )
    done.add_argument(
        "--move", type=path, metavar="DIR", help="of --watch: move the files that were read there"
    )
    group.add_argument(
        "-0", "--null", action="store_true", help="a NUL ends each path of --list and of -"
    )
    group.add_argument(
        "--max-wait",
        type=_milliseconds,
        metavar="MS",
        help="of -: how long a word may wait for others to share its batch (default: not at all)",
    )
    group.add_argument(
        "--strict",
        action="store_true",
        help="exit 3 where a word of a folder, list, archive or pipe could not be read",
    )


def _add_outputs(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("where to")
    add_json(group)  # type: ignore[arg-type]
    group.add_argument(
        "--jsonl",
        action="store_true",
        help="print JSON Lines, an object a word, flushed as they are read; of - always",
    )
    group.add_argument(
        "--out",
        type=path,
        metavar="FILE",
        help="write the records to FILE.jsonl, or as a table to FILE.parquet ('.[parquet]')",
    )
    add_written(parser, "json", "out", "done")


def _milliseconds(text: str) -> float:
    with contextlib.suppress(ValueError):
        if 0 <= float(text) < 1e9:
            return float(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a number of milliseconds; write 20 or 2.5")


def run(args: argparse.Namespace) -> int:
    """Read every image that can be read; exit 1 after them if one that was named could not."""
    _require_sound(args)
    from crnn.reading.out import Collected, Counted, require_file_out
    from crnn.reports.text import SIMULATED

    cluster = cluster_options(args)
    if args.out is not None:
        require_file_out(args.out)
    if cluster is not None:
        return _run_on(cluster, args)
    unreadable: List[InputError] = []
    collected = Collected()
    with contextlib.ExitStack() as stack:
        recognizer = stack.enter_context(_recognizer(args))
        for note in recognizer.notes:
            console.note(note)
        if recognizer.simulated:
            console.note(SIMULATED)
        kept = _kept(args, recognizer)
        if kept is not None and kept.run.unfinished():
            _say_unfinished(kept)
            return 0
        counted = Counted(_outs(args, stack, collected))
        if kept is not None:
            for some in kept.records(simulated=recognizer.simulated):
                counted.add(some)
        elif STDIN in args.sources:
            _read_stdin(args, recognizer, counted)
        elif args.watch is not None:
            _read_watched(args, recognizer, counted)
        else:
            _read_sources(args, recognizer, counted, unreadable)
    put_json(collected.result(simulated=recognizer.simulated), args.json)
    _say(args, recognizer, counted)
    return _end(args, counted, unreadable)


def _end(args: argparse.Namespace, counted: Counted, unreadable: Sequence[InputError]) -> int:
    """Say what could not be read, and return the exit code."""
    for problem in unreadable:
        console.error(problem)
    if unreadable:
        named = len(unreadable) + counted.words
        raise InputError(f"{len(unreadable)} of {named} images could not be read")
    if args.strict and counted.unreadable:
        raise CheckError(f"{counted.unreadable} of {counted.words} words could not be read")
    return 0


def _run_on(cluster: ClusterOptions, args: argparse.Namespace) -> int:
    """Read into the run's folder on a cluster, and show the records."""
    from crnn.cluster.verbs import ReadOrder, read_on
    from crnn.reading.out import Collected, Counted
    from crnn.reports.text import SIMULATED

    order = ReadOrder(args.model, args.folder, args.resume, args.batch, _arguments(args))
    there = read_on(cluster, order, _named_files(args), console.progress, console.note)
    if there.simulated:
        console.note(SIMULATED)
    collected = Collected()
    with contextlib.ExitStack() as stack:
        counted = Counted(_outs(args, stack, collected))
        for some in there.records():
            counted.add(some)
    put_json(collected.result(simulated=there.simulated), args.json)
    _say_counted(args, counted)
    return _end(args, counted, [])


def _recognizer(args: argparse.Namespace) -> Recognizer:
    from crnn.recognizer import Recognizer

    return Recognizer(args.model, device=args.device, threads=args.threads, **_arguments(args))


def _arguments(args: argparse.Namespace) -> Dict[str, Any]:
    """Return the arguments of `Recognizer` but for what it runs on."""
    return {
        "batch": args.batch,
        "spec": args.spec,
        "output": args.output,
        "output_axes": args.output_axes,
        "nearest_width": args.nearest_width,
        "width_rule": args.width_rule,
        "views": args.views,
        **_sure(args),
        **decoding_arguments(args),
    }


def _read_sources(
    args: argparse.Namespace,
    recognizer: Recognizer,
    counted: Counted,
    unreadable: List[InputError],
) -> None:
    """Read what was named, then the list."""
    from crnn.reading.records import records_of
    from crnn.samples.unlabelled import LIST, TAR, nothing_in

    for words in _words(args):
        before = counted.words
        records = records_of(recognizer, words, workers=args.threads, unreadable=unreadable.append)
        with contextlib.closing(records):
            for some in records:
                counted.add(some)
        if counted.words == before and words.kind in (LIST, TAR):
            console.note(nothing_in(words))


def _kept(args: argparse.Namespace, recognizer: Recognizer) -> Optional[ReadRun]:
    """Read into the run's folder, and return the run; None where none was asked for."""
    if args.folder is None:
        return None
    from crnn.reading.run import open_run

    kept = open_run(
        args.folder,
        _named_files(args),
        recognizer.opened,
        resume=args.resume,
        shard=args.shard,
    )
    for told in kept.read(recognizer.opened, workers=args.threads):
        console.note(told)
    return kept


def _named_files(args: argparse.Namespace) -> Iterator[Sample]:
    """Yield the image files that are to be read."""
    from crnn.reading.run import refuse_kind
    from crnn.samples.unlabelled import samples_in

    if STDIN in args.sources:
        yield from _from_stdin(args)
        return
    begins = not (args.folder / "run.json").exists()
    for words in _words(args):
        refuse_kind(words.kind)
        if words.named and begins:
            _require_there(words.paths)
        yield from samples_in(words)


def _require_there(paths: Iterable[str]) -> None:
    """Refuse a name that was mistyped before a run is made of it."""
    for name in paths:
        if not Path(name).exists():
            raise InputError(f"{shown(name)}: no such file or folder")


def _say_unfinished(kept: ReadRun) -> None:
    console.say(
        f"{kept.run.path}: {kept.run.words_done()} of {kept.run.count} words are read; the rest is"
        " for other jobs"
    )


def _words(args: argparse.Namespace) -> Iterator[Words]:
    from crnn.samples.unlabelled import listed, told_apart

    yield from told_apart(args.sources, recursive=args.recursive)
    if args.list is not None:
        yield listed(args.list, nul=args.null)


def _read_stdin(args: argparse.Namespace, recognizer: Recognizer, counted: Counted) -> None:
    """Read the images whose paths come from stdin, each as soon as it is there."""
    from crnn.reading.live import read_as_they_come
    from crnn.reading.records import as_records

    wait = (args.max_wait or 0) / 1000
    for came in read_as_they_come(recognizer.opened, _from_stdin(args), max_wait=wait):
        counted.add(list(as_records(came.rows, None, simulated=recognizer.simulated)))


def _from_stdin(args: argparse.Namespace) -> Iterator[Sample]:
    from crnn.samples.image_files import names_in, of_file

    for name in names_in(_block_of_stdin, "stdin", nul=args.null):
        yield of_file(os.fsdecode(name))


def _block_of_stdin() -> bytes:
    # Not through sys.stdin, which waits until its buffer is full.
    try:
        return os.read(_STDIN_NUMBER, _BLOCK)
    except OSError as error:
        raise InputError(f"stdin cannot be read: {error.strerror}") from error


def _read_watched(args: argparse.Namespace, recognizer: Recognizer, counted: Counted) -> None:
    """Read the images that appear in a folder, until a signal ends it."""
    from crnn.reading.live import read_as_they_come
    from crnn.reading.records import as_records
    from crnn.reading.watch import Listed, Moved, Remembered, Watch
    from crnn.signals import ENDING, handled

    done: Done = Remembered()
    if args.done is not None:
        done = Listed(args.done)
    elif args.move is not None:
        done = Moved(args.watch, args.move)
    watch = Watch(args.watch, done, recursive=args.recursive)

    def stop(number: int, frame: object) -> None:
        if watch.stopped.is_set():
            raise KeyboardInterrupt
        watch.stopped.set()

    with handled(stop, signal.SIGINT, *ENDING):
        for came in read_as_they_come(recognizer.opened, watch.samples()):
            counted.add(list(as_records(came.rows, None, simulated=recognizer.simulated)))
            console.flush()
            for _ in came.samples:
                watch.mark()
    console.note(f"stopped: {counted.words} words were read")


def _say(args: argparse.Namespace, recognizer: Recognizer, counted: Counted) -> None:
    """Say what else there is to know of the words that were read."""
    from crnn.image import remark_lines

    for line in remark_lines(recognizer.remarks, recognizer.spec):
        console.note(line)
    words = counted.words - counted.unreadable
    if recognizer.views_left_out:
        left_out = len(recognizer.views_left_out) * words
        console.note(f"{left_out} views of {words} images were left out")
    _say_counted(args, counted)


def _say_counted(args: argparse.Namespace, counted: Counted) -> None:
    from crnn.batch import problem_lines

    if args.out is not None:
        console.note(f"{counted.words} records are in {args.out}")
    if counted.unreadable:
        console.note(f"{counted.unreadable} of {counted.words} words could not be read")
        for line in problem_lines(counted.problems.counts, counted.problems.named):
            console.note(line)


def _require_sound(args: argparse.Namespace) -> None:
    """Refuse options that do not go together."""
    live = STDIN in args.sources
    if live and (len(args.sources) > 1 or args.list is not None):
        raise UsageError("- reads paths from stdin until it ends, and goes with no other source")
    if args.max_wait is not None and not live:
        raise UsageError("--max-wait goes with -: other sources are read in full batches")
    if args.null and not live and args.list is None:
        raise UsageError("-0 goes with --list and -")
    _require_sound_run(args)
    if args.watch is not None:
        _require_watch_alone(args)
    elif args.done is not None or args.move is not None:
        raise UsageError("--done and --move go with --watch")
    _require_one_output(args, lines=live or args.jsonl)


def _require_sound_run(args: argparse.Namespace) -> None:
    if args.folder is None and (args.resume or args.shard is not None):
        raise UsageError("--resume and --shard go with --run DIR")
    if args.folder is not None and args.max_wait is not None:
        raise UsageError("--max-wait does not go with --run, which reads in full batches")


def _require_watch_alone(args: argparse.Namespace) -> None:
    if args.sources or args.list is not None:
        raise UsageError("--watch goes with no other source")
    if args.folder is not None:
        raise UsageError("--run is for what is there when it begins, and --watch waits for more")
    if args.out is not None or args.json is not None:
        option = "--json"
        if args.out is not None:
            option = "--out"
        raise UsageError(
            f"{option} is written at the end, and --watch has none",
            hint="Send stdout to a file: crnn read MODEL --watch DIR --jsonl >>readings.jsonl",
        )


def _require_one_output(args: argparse.Namespace, *, lines: bool) -> None:
    if args.json == STDOUT and lines:
        raise UsageError("--json - prints one JSON alone: --json FILE goes with - and --jsonl")
    if args.out is not None and args.jsonl:
        raise UsageError("--jsonl prints the records, and --out writes them to a file: one of them")


def _outs(args: argparse.Namespace, stack: contextlib.ExitStack, collected: Collected) -> List[Out]:
    """Return what takes the records; a file is finished with the stack."""
    from crnn.reading.out import JsonLines, TextLines, file_out

    found: List[Out] = []
    if args.json is not None:
        found.append(collected)
    if args.out is not None:
        found.append(stack.enter_context(file_out(args.out)))
    elif STDIN in args.sources or args.jsonl:
        found.append(JsonLines(console))
    elif args.json != STDOUT:
        found.append(TextLines(console))
    return found


def _sure(args: argparse.Namespace) -> Dict[str, Any]:
    """Return the arguments of `Recognizer` that say how sure it is."""
    options = sure_options(args)
    if options is None:
        return {}
    from crnn.jobs.sure import SureJob

    job = SureJob(options)
    return {
        "probability": job.decoding.probability,
        "characters": options.characters,
        "reject": job.threshold,
    }
