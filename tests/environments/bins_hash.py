"""Hashes of what `crnn prepare` makes of an LMDB's words, and of JPEG copies of them.

python bins_hash.py hash DATA WORK       prepares DATA, an LMDB or a folder with labels.txt
python bins_hash.py copies LMDB FOLDER   writes the JPEG copies, in a folder for each kind
python bins_hash.py differ A B           says how far the bins of two folders are from another
"""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
from pathlib import Path
from typing import List

import lmdb
import numpy as np
from PIL import Image, features

KINDS = {
    "444": {"quality": 90, "subsampling": 0},
    "420": {"quality": 90, "subsampling": 2},
    "progressive": {"quality": 90, "progressive": True},
}


def bins_of(folder: Path) -> List[Path]:
    """Return the folder's bins, by their number."""
    return sorted(folder.glob("test_*.bin"), key=lambda path: int(path.stem[len("test_") :]))


def hash_of(data: Path, work: Path) -> None:
    """Prepare data into work and say the hash over the bins, one after the other."""
    annotation = data / "labels.txt"
    more = ["--annotation", str(annotation)] if annotation.exists() else []
    work.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "crnn", "prepare", str(data), str(work), "--force"]
    label = work.with_name(work.name + ".label.txt")
    subprocess.run([*command, "--label", str(label), *more], check=True, stdout=subprocess.DEVNULL)
    total = hashlib.sha256()
    bins = bins_of(work)
    for path in bins:
        total.update(path.read_bytes())
    say(f"{total.hexdigest()}  {len(bins)} bins of {data.name}, {versions()}")


def say(line: str) -> None:
    """Print a line at once: the whole takes minutes."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def versions() -> str:
    """Return what decodes and resizes here."""
    turbo = "-turbo" if features.check_feature("libjpeg_turbo") else ""
    jpeg = features.version_feature("libjpeg_turbo") or features.version_codec("jpg")
    pillow = features.version("pil")
    return f"Pillow {pillow}, libjpeg{turbo} {jpeg}, zlib {features.version_codec('zlib')}"


def copies(data: Path, out: Path) -> None:
    """Write each word of an LMDB as JPEG of each kind, in a folder of its own."""
    environment = lmdb.open(str(data), readonly=True, lock=False)
    with environment.begin() as transaction:
        count = int(transaction.get(b"num-samples"))
        words = [transaction.get(b"image-%09d" % number) for number in range(1, count + 1)]
    for kind, options in KINDS.items():
        folder = out / f"jpeg-{kind}"
        folder.mkdir(parents=True)
        lines = []
        for number, word in enumerate(words, 1):
            picture = Image.open(io.BytesIO(word)).convert("RGB")
            picture.save(folder / f"{number:06d}.jpg", "JPEG", **options)
            lines.append(f"{number:06d}.jpg x\n")
        (folder / "labels.txt").write_text("".join(lines), encoding="ascii")


def differ(first: Path, second: Path) -> None:
    """Print in how many bins two folders differ, and by how many levels of 255 at most."""
    different = 0
    levels = 0.0
    for path in bins_of(first):
        one = np.fromfile(path, np.float32)
        other = np.fromfile(second / path.name, np.float32)
        if one.tobytes() == other.tobytes():
            continue
        different += 1
        levels = max(levels, float(np.abs(one - other).max()) * 127.5)
    say(f"{first} and {second}: {different} bins differ, by up to {levels:.0f} levels")


VERBS = {"hash": hash_of, "copies": copies, "differ": differ}

if __name__ == "__main__":
    VERBS[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3]))
