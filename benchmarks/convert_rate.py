"""How fast a long Synth90k annotation converts, and in how much memory: python
benchmarks/convert_rate.py [LINES].

Writes 1000 rendered words as files and an annotation of LINES lines (1 000 000) that names them in
turn, converts it, and prints the rate and the process's own memory after every tenth of the words.
The files are soon in the system's cache, so the disk's reading is not measured. Needs about 4 GB of
disk for a million lines, where temporary files go.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from pathlib import Path

from crnn.datasets.convert import convert
from crnn.datasets.options import ConvertOptions
from crnn.datasets.synth.render import Renderer

IMAGES = 1000


def main(lines: int) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        labels = write_source(folder / "source", lines)
        start, marks, done = time.perf_counter(), [], 0

        def advance(count: int) -> None:
            nonlocal done
            done += count
            if done % max(1, lines // 10) == 0:
                marks.append(resident())
                print(
                    f"{done:>10} words  {done / (time.perf_counter() - start):8.0f} words/s "
                    f" {marks[-1]:7.1f} MB"
                )

        report = convert(
            "synth90k", folder / "source", folder / "out", ConvertOptions(), advance=advance
        )
        seconds = time.perf_counter() - start
        size = (folder / "out/data.mdb").stat().st_size
        rate = report.written / seconds
        print(
            f"{report.written} words of {len(labels)} labels in {seconds:.0f} s: {rate:.0f} words/s"
        )
        print(
            f"{size / 1e9:.2f} GB on disk; memory grew by {marks[-1] - marks[0]:.1f} MB after the"
            " first tenth"
        )


def write_source(folder: Path, lines: int) -> list[str]:
    """Write images, lexicon and annotation; return the lexicon."""
    renderer = Renderer.create(1)
    labels = []
    for index in range(IMAGES):
        sample = renderer.sample(index + 1)
        path = folder / f"{index // 100}/{index % 100}/{index}_{sample.label}_{index}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(sample.image or b"")
        labels.append(str(sample.label))
    (folder / "lexicon.txt").write_text("".join(f"{label.lower()}\n" for label in labels))
    with open(folder / "annotation_train.txt", "w") as file:
        for line in range(lines):
            index = line % IMAGES
            file.write(
                f"./{index // 100}/{index % 100}/{index}_{labels[index]}_{index}.jpg {index}\n"
            )
    return labels


def resident() -> float:
    """Return the process's memory in MB: what it owns, without the pages of mapped files."""
    try:
        fields = Path("/proc/self/status").read_text()
        return int(fields.split("RssAnon:")[1].split()[0]) / 1024
    except (OSError, IndexError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
