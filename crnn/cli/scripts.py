"""The historical scripts at the repository's top, as they are called by those who know them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Optional, Sequence

from crnn.cli import console
from crnn.cli.arguments import STDOUT, add_json, add_written, filled, listing, positive
from crnn.cli.main import run_script, script_parser
from crnn.cli.verbs import evaluate as evaluate_verb
from crnn.cli.verbs import score as score_verb
from crnn.cli.verbs.evaluate import add_checks
from crnn.samples.info import bins_of_size, file_paths, write_info


def pth2onnx(argv: Optional[Sequence[str]] = None) -> int:
    """``pth2onnx.py``: ``crnn export`` by its historical name."""
    from crnn.cli.verbs import export

    parser = script_parser(
        "pth2onnx.py",
        export.HELP,
        "  python pth2onnx.py crnn.pth crnn.onnx",
    )
    export.add_arguments(parser)
    return run_script(parser, argv, export.run)


def post_processing(argv: Optional[Sequence[str]] = None) -> int:
    """``post_CRNN_pytorch_acl.py``: evaluate a folder of bins and write the accuracy JSON."""
    parser = script_parser(
        "post_CRNN_pytorch_acl.py",
        ("Read the bins that parse_testdata.py wrote with a model and write the accuracy as JSON."),
        (
            "  python post_CRNN_pytorch_acl.py --pre_dir ./input_bin --batchsize 1"
            " --modelpath crnn.om --label label.txt --json_output_file result"
        ),
    )
    parser.add_argument(
        "--pre_dir", dest="data", type=Path, required=True, metavar="DIR", help="the folder of bins"
    )
    parser.add_argument(
        "--batchsize", dest="batch", type=positive, default=1, metavar="N", help="default 1"
    )
    parser.add_argument(
        "--modelpath",
        dest="model",
        type=Path,
        required=True,
        metavar="MODEL",
        help="an .om, the folder of a set of OMs, or an .onnx",
    )
    parser.add_argument(
        "--label", type=listing, required=True, metavar="FILE", help="the label.txt of the bins"
    )
    parser.add_argument(
        "--json_output_file",
        type=_json_file,
        dest="json",
        default="result",
        metavar="NAME",
        help="written as NAME.json (default result)",
    )
    add_written(parser, "json")
    parser.set_defaults(columns=None, encoding=None)
    evaluate_verb.add_options(parser)
    return run_script(parser, argv, _evaluated)


def _evaluated(args: argparse.Namespace) -> int:
    """Evaluate, and name the file with the result, whose suffix may have been added."""
    code = evaluate_verb.run_one(args)
    if args.json != STDOUT:
        console.note(f"the result is in {args.json}")
    return code


def postpossess(argv: Optional[Sequence[str]] = None) -> int:
    """``postpossess_CRNN_pytorch.py``: ``crnn score`` with the lines of the historical script."""
    parser = script_parser(
        "postpossess_CRNN_pytorch.py",
        score_verb.HELP,
        "  python postpossess_CRNN_pytorch.py result/dumpOutput_device0 label.txt",
    )
    parser.add_argument(
        "results",
        type=Path,
        nargs=1,
        metavar="RESULT",
        help="the folder of NAME_0.bin or NAME_1.bin",
    )
    parser.add_argument("label", type=listing, metavar="LABEL", help="the label.txt of the bins")
    add_json(parser)
    add_checks(parser)
    parser.set_defaults(format="postpossess", columns=None, encoding=None)
    return run_script(parser, argv, score_verb.run)


def _json_file(text: str) -> str:
    if text == STDOUT or text.endswith(".json"):
        return filled(text)
    return f"{filled(text)}.json"


GET_INFO_EXAMPLE = """\
  python get_info.py bin ./input_bin crnn.info 100 32
  python get_info.py jpg ./images crnn.info"""


def get_info(argv: Optional[Sequence[str]] = None) -> int:
    """Run the script and return its exit code."""
    parser = script_parser(
        "get_info.py",
        (
            "Write the info file that benchmark tools take: a line 'i path width height' for each"
            " file."
        ),
        GET_INFO_EXAMPLE,
    )
    parser.add_argument(
        "kind", choices=("bin", "jpg"), help="the files: prepared bins, or JPEG images"
    )
    parser.add_argument("folder", metavar="DIR", help="the folder they stand in")
    parser.add_argument("info", type=Path, metavar="OUT.info", help="the file to write")
    parser.add_argument(
        "width", type=positive, nargs="?", metavar="W", help="width of the bins' images"
    )
    parser.add_argument(
        "height", type=positive, nargs="?", metavar="H", help="height of the bins' images"
    )

    def check(args: argparse.Namespace) -> None:
        if (args.kind == "bin") != (args.height is not None):
            parser.error(
                "bin needs W and H, as in: 100 32" if args.kind == "bin" else "jpg takes no W and H"
            )

    return run_script(parser, argv, _write_info_file, check)


def _write_info_file(args: argparse.Namespace) -> int:
    if args.kind == "bin":
        paths = bins_of_size(args.folder, args.width, args.height)
        entries = [(path, args.width, args.height) for path in paths]
    else:
        from crnn.image import read_size

        entries = [
            (path, *read_size(Path(path))) for path in file_paths(args.folder, (".jpg", ".jpeg"))
        ]
    write_info(args.info, entries)
    console.out(f"{len(entries)} files in {args.info}")
    return 0
