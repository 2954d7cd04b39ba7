"""The historical scripts at the repository's top, as they are called by those who know them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Optional, Sequence

from crnn.cli import Parser, filled, run_script
from crnn.cli import evaluate as evaluate_verb
from crnn.cli.json_out import STDOUT
from crnn.cli.numbers import positive
from crnn.cli.written import add_written


def pth2onnx(argv: Optional[Sequence[str]] = None) -> int:
    """``pth2onnx.py``: ``crnn export`` by its historical name."""
    from crnn.cli import export

    parser = Parser(
        prog="pth2onnx.py",
        description=export.HELP,
        epilog="example:\n  python pth2onnx.py crnn.pth crnn.onnx",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    export.add_arguments(parser)
    return run_script(parser, argv, export.run)


def post_processing(argv: Optional[Sequence[str]] = None) -> int:
    """``post_CRNN_pytorch_acl.py``: evaluate a folder of bins and write the accuracy JSON."""
    parser = Parser(
        prog="post_CRNN_pytorch_acl.py",
        description=(
            "Read the bins that parse_testdata.py wrote with a model and write the accuracy as"
            " JSON."
        ),
        epilog=(
            "example:\n  python post_CRNN_pytorch_acl.py --pre_dir ./input_bin --batchsize 1"
            " --modelpath crnn.om --label label.txt --json_output_file result"
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
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
        help="an .om or .onnx",
    )
    parser.add_argument(
        "--label", type=Path, required=True, metavar="FILE", help="the label.txt of the bins"
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
    evaluate_verb.add_options(parser)
    return run_script(parser, argv, evaluate_verb.run_one)


def _json_file(text: str) -> str:
    return filled(text) if text == STDOUT or text.endswith(".json") else f"{filled(text)}.json"
