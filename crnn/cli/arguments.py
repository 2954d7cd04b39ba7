"""Arguments that several verbs share: numbers, names, alphabets, ``--json`` and written files."""

from __future__ import annotations

import argparse
import atexit
import contextlib
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, FrozenSet, Iterator, List, Optional, Sequence, Tuple

from crnn.cli import console
from crnn.cli.inputs import unnamed_input
from crnn.errors import InputError, UsageError
from crnn.files import open_input, unnamed_file
from crnn.leftovers import tidy
from crnn.limits import advice, limit

if TYPE_CHECKING:
    from crnn.cluster.drive import ClusterOptions
    from crnn.spec import ModelSpec

STDOUT = "-"
"""What ``--json`` takes for stdout."""


def filled(text: str) -> str:
    """Parse the name of a file or folder.

    Args:
        text: The argument as it was typed.

    Returns:
        The same text.

    Raises:
        argparse.ArgumentTypeError: The text is empty: usually a shell variable that is not set.
    """
    if not text:
        raise argparse.ArgumentTypeError("the name is empty; is a variable of the shell not set?")
    return text


def path(text: str) -> Path:
    """Parse the path of a file or folder; ``-`` is refused, since it would name stdin elsewhere.

    Args:
        text: The argument as it was typed.

    Returns:
        The path.

    Raises:
        argparse.ArgumentTypeError: The text is empty or ``-``.
    """
    if text == "-":
        raise argparse.ArgumentTypeError("- is not a file here; for a file of that name say ./-")
    return Path(filled(text))


def positive(text: str) -> int:
    """Parse a whole number from 1.

    Args:
        text: The argument as it was typed.

    Returns:
        The number.

    Raises:
        argparse.ArgumentTypeError: The text is something else.
    """
    return _whole(text, 1)


def natural(text: str) -> int:
    """Parse a whole number from 0.

    Args:
        text: The argument as it was typed.

    Returns:
        The number.

    Raises:
        argparse.ArgumentTypeError: The text is something else.
    """
    return _whole(text, 0)


def fraction(text: str) -> float:
    """Parse a fraction from 0 to 1.

    Args:
        text: The argument as it was typed.

    Returns:
        The fraction.

    Raises:
        argparse.ArgumentTypeError: The text is something else.
    """
    with contextlib.suppress(ValueError):
        if 0 <= float(text) <= 1:
            return float(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a fraction from 0 to 1; write 79 % as 0.79")


def milliseconds(text: str) -> float:
    """Parse a time above 0.

    Args:
        text: The argument as it was typed.

    Returns:
        The time in milliseconds.

    Raises:
        argparse.ArgumentTypeError: The text is something else.
    """
    with contextlib.suppress(ValueError):
        if 0 < float(text) < 1e9:
            return float(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a number of milliseconds; write 20 or 2.5")


def _whole(text: str, least: int) -> int:
    # A limit in digits, since Python refuses to parse very long ones.
    if text.isascii() and text.isdigit() and len(text) < 10 and int(text) >= least:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {least}")


def read_alphabet(text: Optional[str]) -> Optional[str]:
    """Return the characters of an alphabet: given as they are, or as ``@FILE``.

    Args:
        text: The argument; None where it was not given.

    Returns:
        The characters in the order of their classes, or None. What was done to a file is printed.

    Raises:
        InputError: The file cannot be read, or a file was named without ``@``.
    """
    from crnn.alphabet_file import alphabet_of

    if text is None:
        return None
    given = alphabet_of(text)
    for note in given.notes:
        console.note(note)
    return given.characters


def add_color(parser: argparse.ArgumentParser) -> None:
    """Declare ``--color``, the order of a checkpoint's three input channels.

    Args:
        parser: The parser of the verb.
    """
    parser.add_argument(
        "--color",
        choices=("rgb", "bgr"),
        help="the order of three input channels (default: the file's, or rgb; OpenCV's is bgr)",
    )


def add_reading(parser: argparse.ArgumentParser) -> None:
    """Declare how a model is read: ``--spec`` and ``--output``.

    Args:
        parser: The parser of the verb.
    """
    add_spec(parser)
    parser.add_argument(
        "--output", metavar="NAME", help="the logits of a model that has several outputs"
    )


def listing(text: str) -> Path:
    """Parse the name of a list of labels, which may come from a pipe (``<(…)``, /dev/stdin): its
    content is then kept in a file without a name, since lists are read more than once.

    Args:
        text: The argument as it was typed.

    Returns:
        The path of a file, or of what is not there.

    Raises:
        argparse.ArgumentTypeError: The text is empty or ``-``, or the pipe cannot be read.
    """
    named = path(text)
    try:
        if not (named.is_fifo() or named.is_char_device()):
            return named
        return _kept(named)
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{text} cannot be read: {error.strerror}") from error


_KEPT = contextlib.ExitStack()
atexit.register(_KEPT.close)
"""What is kept until this process ends."""


def _kept(pipe: Path) -> Path:
    most = limit("result")
    with open_input(pipe, stream=True) as source:
        content = source.read(most + 1)
    if len(content) > most:
        raise InputError(f"{pipe} gives more than {most} bytes", hint=advice("result"))
    return _KEPT.enter_context(unnamed_file(content))


def add_run(parser: argparse.ArgumentParser) -> None:
    """Declare ``--run``, ``--resume`` and ``--shard``.

    Args:
        parser: The parser of the verb.
    """
    parser.add_argument(
        "--run",
        dest="folder",
        type=Path,
        metavar="DIR",
        help="keep each batch's readings in this folder, so that the run can be gone on with",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on with the run in --run, or share it with others; begin it where there is none",
    )
    parser.add_argument(
        "--shard",
        metavar="N/M",
        help="do the N-th of M parts of the run in --run, such as 3/16, and no other",
    )


def add_cluster(
    parser: argparse.ArgumentParser,
    what: str = "do the run in --run",
    which: str = "of a model that runs on processors, of --threads each",
) -> None:
    """Declare ``--cluster`` and ``--cluster-cpus``.

    Args:
        parser: The parser of the verb.
        what: What the workers do, for the help.
        which: Which of them ``--cluster-cpus`` limits.
    """
    parser.add_argument(
        "--cluster",
        type=filled,
        metavar="auto|ADDRESS|local",
        help=(
            f"let the workers of a Ray cluster {what}: the one that runs on this"
            " machine, that of a head such as 10.0.0.1:6379, or one that is begun here for it"
            " ('.[cluster]')"
        ),
    )
    parser.add_argument(
        "--cluster-cpus",
        type=positive,
        metavar="N",
        help=(f"of --cluster: the most workers {which} (default: as many as there are, of one)"),
    )


def cluster_options(args: argparse.Namespace) -> Optional[ClusterOptions]:
    """Return what the options of `add_cluster` say; None where no cluster was asked for.

    Args:
        args: The parsed arguments.

    Returns:
        The options.

    Raises:
        UsageError: They do not go with others.
        UnavailableError: Ray is not installed.
    """
    if not asks_for_cluster(args):
        return None
    if args.folder is None:
        raise UsageError(
            "--cluster goes with --run DIR, a folder that all machines of the cluster see"
        )
    if args.shard is not None:
        raise UsageError("--shard does not go with --cluster, which does all shards")
    if args.device:
        raise UsageError(
            f"--device {args.device} does not go with --cluster: each worker takes the chip that"
            " it was granted"
        )
    return cluster_of(args, args.threads)


def asks_for_cluster(args: argparse.Namespace) -> bool:
    """Say whether the options of `add_cluster` ask for a cluster.

    Args:
        args: The parsed arguments.

    Returns:
        Whether they do.

    Raises:
        UsageError: One of them goes with the other.
    """
    if args.cluster is None and args.cluster_cpus is not None:
        raise UsageError("--cluster-cpus goes with --cluster")
    return args.cluster is not None


def cluster_of(args: argparse.Namespace, threads: Optional[int]) -> ClusterOptions:
    """Return the cluster that was asked for.

    Args:
        args: The parsed arguments.
        threads: The processors of a worker; None for one.

    Returns:
        The options.

    Raises:
        UsageError: It is not an address.
        UnavailableError: Ray is not installed.
    """
    from crnn.cluster.drive import ClusterOptions, require_address, require_ray

    require_address(args.cluster)
    require_ray()
    return ClusterOptions(args.cluster, args.cluster_cpus, threads)


def add_annotation(parser: argparse.ArgumentParser) -> None:
    """Declare ``--annotation``.

    Args:
        parser: The parser of the verb.
    """
    parser.add_argument(
        "--annotation",
        type=listing,
        metavar="FILE",
        help="image and label a line, for a folder of images (default: its only text file)",
    )


def add_label(parser: argparse.ArgumentParser) -> None:
    """Declare ``--label``, the truths of bins or of images.

    Args:
        parser: The parser of the verb.
    """
    parser.add_argument(
        "--label",
        "--annotation",
        type=listing,
        metavar="FILE",
        help="label file of bins, annotation file of images",
    )


def add_spec(parser: argparse.ArgumentParser) -> None:
    """Declare ``--spec``.

    Args:
        parser: The parser of the verb.
    """
    parser.add_argument(
        "--spec",
        metavar="FILE|NAME",
        help=(
            "read the model by this spec: a preset, another model, or a spec's JSON, which may"
            " hold only the keys that differ"
        ),
    )


def background(text: str) -> str:
    """Parse the colour that is put under transparent pixels.

    Args:
        text: The argument as it was typed: white, black or #rrggbb.

    Returns:
        The colour as #rrggbb.

    Raises:
        argparse.ArgumentTypeError: The text is something else.
    """
    found = {"white": "#ffffff", "black": "#000000"}.get(text.lower(), text.lower())
    if re.fullmatch("#[0-9a-f]{6}", found):
        return found
    raise argparse.ArgumentTypeError(f"{text!r} is not a colour: white, black or #rrggbb")


def add_picture_options(parser: argparse.ArgumentParser) -> None:
    """Declare ``--orient`` and ``--background``, which the spec then carries.

    Args:
        parser: The parser of the verb.
    """
    parser.add_argument(
        "--orient",
        action="store_true",
        help="turn images as their EXIF tag says (default: as stored, as in training)",
    )
    parser.add_argument(
        "--background",
        type=background,
        metavar="COLOUR",
        help=(
            "white, black or #rrggbb under transparent pixels (default: their own colour, as in"
            " training)"
        ),
    )


def by_picture_options(spec: ModelSpec, args: argparse.Namespace) -> ModelSpec:
    """Return a spec with what the options of `add_picture_options` say.

    Args:
        spec: The spec that is changed.
        args: The parsed arguments.

    Returns:
        The spec; the same where neither was given.
    """
    import dataclasses

    orient = spec.orient or args.orient
    ground = args.background or spec.background
    return dataclasses.replace(spec, orient=orient, background=ground)


def columns(text: str) -> Tuple[str, str]:
    """Parse two columns of a table.

    Args:
        text: The argument as it was typed: IMAGE,LABEL, each a name or a number from 1.

    Returns:
        The image's column and the label's.

    Raises:
        argparse.ArgumentTypeError: They are not two, or they are the same.
    """
    words = [word.strip() for word in text.split(",")]
    if len(words) != 2 or not all(words) or words[0] == words[1]:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not IMAGE,LABEL: two names of the first row, or two numbers from 1"
        )
    return words[0], words[1]


def add_list_options(parser: argparse.ArgumentParser) -> None:
    """Declare ``--columns`` and ``--encoding``, of an annotation file.

    Args:
        parser: The parser of the verb.
    """
    parser.add_argument(
        "--columns",
        type=columns,
        metavar="IMAGE,LABEL",
        help="the annotation's columns: names of a CSV's first row or numbers from 1; JSON's keys",
    )
    parser.add_argument(
        "--encoding",
        type=filled,
        metavar="NAME",
        help="the annotation's encoding, such as utf-16 or gb18030 (default: utf-8)",
    )


def add_output_axes(parser: argparse.ArgumentParser) -> None:
    """Declare ``--output-axes``.

    Args:
        parser: The parser of the verb.
    """
    parser.add_argument(
        "--output-axes",
        type=str.upper,
        choices=("TNK", "NTK", "NKT"),  # those of crnn.spec, which would need NumPy for --help
        help="the order of the logits' axes: T time steps, N images, K classes (default: TNK)",
    )


def add_batch(parser: argparse.ArgumentParser) -> None:
    """Declare ``--batch N``, the images that a model is given at a time.

    Args:
        parser: The parser of the verb.
    """
    parser.add_argument(
        "--batch", type=positive, default=16, metavar="N", help="images a batch (default 16)"
    )


def add_devices(parser: argparse.ArgumentParser) -> None:
    """Declare ``--device``, where a model runs.

    Args:
        parser: The parser of the verb.
    """
    parser.add_argument(
        "--device", default="", help="cpu or cuda; for an OM a chip's number, or several: 0,1"
    )


def add_threads(parser: argparse.ArgumentParser) -> None:
    """Declare ``--threads N``.

    Args:
        parser: The parser of the verb.
    """
    parser.add_argument(
        "--threads", type=positive, metavar="N", help="processor threads (default: all usable)"
    )


def add_labelled_data(parser: argparse.ArgumentParser) -> None:
    """Declare ``DATA``, a data set that is looked at.

    Args:
        parser: The parser of the verb.
    """
    parser.add_argument(
        "data", type=Path, metavar="DATA", help="an LMDB, or a folder of images with its annotation"
    )


def add_json(parser: argparse.ArgumentParser) -> None:
    """Declare ``--json FILE|-``.

    Args:
        parser: The parser of the verb.
    """
    parser.add_argument(
        "--json",
        type=filled,
        metavar="FILE|-",
        help="write the result as JSON too, or print JSON alone",
    )
    add_written(parser, "json")


def require_json(target: Optional[str]) -> None:
    """Refuse a ``--json`` file that cannot be written, before the work whose result it takes.

    Args:
        target: The argument of ``--json``; None where it was not given.

    Raises:
        InputError: The file cannot be written.
    """
    if target not in (None, STDOUT):
        from crnn.files import require_target

        require_target(Path(target))


def put_json(value: Any, target: Optional[str]) -> bool:
    """Write a result where ``--json`` says, if it was given.

    Args:
        value: What `json.dumps` takes.
        target: The argument of ``--json``; None where it was not given.

    Returns:
        True where the JSON went to stdout, which then takes nothing else.

    Raises:
        InputError: The file cannot be written.
    """
    if target == STDOUT:
        console.out_json(value)
        return True
    if target is not None:
        from crnn.files import json_text, write_text

        write_text(Path(target), json_text(value, indent=1) + "\n")
    return False


def add_written(parser: argparse.ArgumentParser, *names: str) -> None:
    """Declare which arguments are files that the command writes.

    Args:
        parser: The parser of the verb.
        names: The names that the arguments' values have in the parsed namespace.
    """
    before = parser.get_default("written") or ()
    parser.set_defaults(written=(*before, *names))


def put_back(args: argparse.Namespace) -> List[str]:
    """Put back what a killed command had moved aside, where something that is named is missing.

    Args:
        args: The parsed command line.

    Returns:
        A sentence for each folder that was put back.
    """
    folders: Dict[Path, None] = {}
    for _, named in _paths(args, frozenset((*getattr(args, "written", ()), "out"))):
        if not os.path.lexists(named):
            folders[named.parent] = None
    told: List[str] = []
    for folder in folders:
        told += tidy(folder)
    return told


def refuse_overwriting(args: argparse.Namespace) -> None:
    """Refuse a command that would overwrite one of its own inputs, or a part of an LMDB or a run.

    Args:
        args: The parsed command line.

    Raises:
        InputError: A file to be written is named twice, is a part of an LMDB or a run, or is
            something that the command reads without its being named.
    """
    written = frozenset(getattr(args, "written", ()))
    known: Dict[Path, str] = {}
    inputs: List[Path] = []
    inputs_first = sorted(_paths(args, written), key=lambda entry: entry[0] in written)
    for name, named in inputs_first:
        # Not by `resolve`, which fails of a link that leads to itself: one image of many.
        place = Path(os.path.realpath(named))
        if name in written:
            _refuse_lmdb_part(named, place, name)
            _refuse_run_part(named, place, name, getattr(args, "folder", None))
            _refuse_named_twice(named, place, name, known)
            _refuse_unnamed(named, place, inputs)
        else:
            inputs.append(place)
        known[place] = name


def bound_threads(threads: Optional[int]) -> None:
    """Set the threads of NumPy's matrix library for a rehearsal; it reads them as it is loaded, and
    not later.

    By default it takes all processors, and on busy ones its threads wait for one another, many
    times longer than they compute.

    Args:
        threads: How many; None for one.
    """
    if "numpy" not in sys.modules:
        os.environ.setdefault("OPENBLAS_NUM_THREADS", str(threads or 1))


def _refuse_named_twice(named: Path, place: Path, name: str, known: Dict[Path, str]) -> None:
    if place not in known or place.is_dir() or place.is_char_device():
        return
    raise InputError(
        f"{named} is named twice, as {known[place]} and as {name}, and would be overwritten"
    )


def _refuse_unnamed(named: Path, place: Path, inputs: Sequence[Path]) -> None:
    what = unnamed_input(place, inputs)
    if what:
        raise InputError(
            f"{named} is {what}, and would be overwritten", hint="Name a file of its own."
        )


def _refuse_lmdb_part(named: Path, place: Path, name: str) -> None:
    if place.name in ("data.mdb", "lock.mdb") and place.exists():
        raise InputError(
            f"{named} is part of an LMDB, which would be lost; expected another file for {name}"
        )


def _refuse_run_part(named: Path, place: Path, name: str, run: Optional[Path]) -> None:
    """Refuse what `crnn.jobs.run_folder` keeps in a folder, be it there yet or not."""
    folder = place.parent
    if folder.name == "shards":
        folder = folder.parent
    elif place.name != "run.json" and not place.name.startswith("listing-"):
        return
    if (run is not None and folder == Path(os.path.realpath(run))) or _is_run(folder):
        raise InputError(
            f"{named} is part of the run in {folder}, which would be lost; expected another file"
            f" for {name}"
        )


def _is_run(folder: Path) -> bool:
    """Say whether a folder holds a run, and not a file that happens to be called as its are."""
    from crnn.jobs.run_folder import read_run_json

    try:
        read_run_json(folder)
    except (InputError, OSError):
        return False
    return True


def _paths(args: argparse.Namespace, written: FrozenSet[str]) -> Iterator[Tuple[str, Path]]:
    # What is read may be a pattern, so it is no path yet.
    texts = written | {"sources"}
    for name, value in vars(args).items():
        if isinstance(value, list):
            values = value
        else:
            values = [value]
        for one in values:
            if isinstance(one, Path):
                yield name, one
            elif isinstance(one, str) and name in texts and one != STDOUT:
                yield name, Path(one)
            elif isinstance(one, str) and name == "sides":
                # Models may stand behind a word, as in float16:MODEL.onnx.
                yield name, Path(one.rpartition("float16:")[2])
            elif isinstance(one, str) and name != "typed" and _names_file(one):
                yield name, Path(one.lstrip("@"))


def _names_file(text: str) -> bool:
    """Say whether a word is a file's name too, as a spec's may be, or an alphabet's, @FILE."""
    return os.path.isfile(text.lstrip("@"))  # noqa: PTH113  Path's raises of a long word
