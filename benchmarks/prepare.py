"""prepare: the kit's, twice the rate of one core's bare work, and the historical way.

python benchmarks/prepare.py --data words_lmdb --words 4000
"""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import common
import lmdb
import numpy as np
from PIL import Image

from crnn.image import decode
from crnn.jobs.prepare import PrepareRequest, prepare
from crnn.samples.lmdb import LmdbSamples


def bare(words: common.Repeated, folder: Path) -> None:
    """Decode, resize, normalise and write, one after the other."""
    for number, sample in words.numbered():
        with open(f"{folder}/test_{number}.bin", "wb", buffering=0) as file:
            file.write(common.SPEC.normalise(decode(sample.image or b"", common.SPEC)))


def historical(data: Path, count: int, folder: Path) -> None:
    """Do as the historical script did:

    a transaction, an image, a tensor and a file for each word.
    """
    import torch

    labels = []
    with lmdb.open(
        str(data), readonly=True, lock=False, readahead=False, meminit=False
    ) as environment:
        total = int(environment.begin().get(b"num-samples"))
        for number in range(1, count + 1):
            index = (number - 1) % total + 1
            with environment.begin(write=False) as transaction:
                file = io.BytesIO()
                file.write(transaction.get(f"image-{index:09d}".encode()))
                file.seek(0)
                image = Image.open(file).convert("L")
                labels.append(str(transaction.get(f"label-{index:09d}".encode()).decode()))
            image = image.resize((100, 32), Image.BICUBIC)
            tensor = (
                torch.from_numpy(np.array(image))
                .view(32, 100, 1)
                .permute(2, 0, 1)
                .contiguous()
                .float()
                .div(255)
            )
            tensor.sub_(0.5).div_(0.5)
            np.array(tensor.unsqueeze(0).numpy(), dtype=np.float32).tofile(
                f"{folder}/test_{number}.bin"
            )
            with open(folder / "label.txt", "a") as file:
                file.write(f"test_{number}.bin:{labels[-1].lower()}\n")


def main() -> None:
    """Measure and print."""
    parser = common.arguments(__doc__)
    parser.add_argument("--words", type=int, default=4000, help="words a run (default 4000)")
    args = parser.parse_args()
    import torch

    torch.set_num_threads(args.threads)
    common.head("prepare", args)
    with common.scratch() as name:
        folders = {
            key: Path(name) / key for key in ("crnn prepare", "bare, one core", "historical")
        }

        def empty(contender: str) -> None:
            # All write new files: the kit never writes into a folder that is in use.
            shutil.rmtree(folders[contender], ignore_errors=True)
            if contender != "crnn prepare":
                folders[contender].mkdir()

        # Only one user may open an LMDB at a time within a process.
        source = common.Repeated(args.data, args.words)

        def kit() -> None:
            prepare(
                PrepareRequest(
                    source,
                    str(folders["crnn prepare"]),
                    Path(name) / "label.txt",
                    common.SPEC,
                    workers=args.threads,
                )
            )
            source.close()

        def limit() -> None:
            bare(source, folders["bare, one core"])
            source.close()

        seconds = common.interleaved(
            {
                "crnn prepare": kit,
                "bare, one core": limit,
                "historical": lambda: historical(args.data, args.words, folders["historical"]),
            },
            args,
            before=empty,
        )
        _require_equal(folders, min(args.words, len(LmdbSamples(args.data))))
    common.show_rates(seconds, args.words)
    limits = [value / args.threads for value in seconds["bare, one core"]]
    common.show_ratio(
        "crnn prepare / the limit (threads x one core)",
        limits,
        seconds["crnn prepare"],
        "at least 0.85",
    )
    common.show_ratio("crnn prepare / historical", seconds["historical"], seconds["crnn prepare"])


def _require_equal(folders: dict, count: int) -> None:
    for number in range(1, count + 1):
        kit, bare_, old = (
            (folder / f"test_{number}.bin").read_bytes() for folder in folders.values()
        )
        if not kit == bare_ == old:
            raise SystemExit(f"test_{number}.bin differs: the three did not do the same work")


if __name__ == "__main__":
    common.run(main)
