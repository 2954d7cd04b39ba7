"""``get_info.py``: the info file of a folder of bins or JPEGs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Optional, Sequence

from crnn.cli import Parser, console, run_script
from crnn.cli.numbers import positive
from crnn.samples.info import file_paths, write_info

EXAMPLE = """example:
  python get_info.py bin ./input_bin crnn.info 100 32
  python get_info.py jpg ./images crnn.info"""


def get_info(argv: Optional[Sequence[str]] = None) -> int:
    """Run the script and return its exit code."""
    parser = Parser(
        prog="get_info.py",
        description=(
            "Write the info file that benchmark tools take: a line 'i path width height' for each"
            " file."
        ),
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
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

    return run_script(parser, argv, _write, check)


def _write(args: argparse.Namespace) -> int:
    if args.kind == "bin":
        entries = [(path, args.width, args.height) for path in file_paths(args.folder, (".bin",))]
    else:
        from crnn.image import read_size

        entries = [
            (path, *read_size(Path(path))) for path in file_paths(args.folder, (".jpg", ".jpeg"))
        ]
    write_info(args.info, entries)
    console.out(f"{len(entries)} files in {args.info}")
    return 0
