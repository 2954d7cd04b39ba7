"""Bins that workers write, and what the command joins: those of one process; no Ray takes part."""

from __future__ import annotations

import pickle
import secrets
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, Generator, List, Mapping, Optional, Sequence

import pytest
from PIL import Image

from crnn.batch import Problem
from crnn.cluster.pieces import Pieces
from crnn.cluster.preparing import PrepareJob, joined, piece_size
from crnn.cluster.worker import Worker
from crnn.jobs.prepare import BinDecoder, Prepared, PrepareRequest, prepare
from crnn.jobs.run_folder import make_folder
from crnn.samples.source import open_labelled
from crnn.spec import ModelSpec
from crnn.views import parsed
from crnn.widths import Widths
from tests.datasets.sources import put
from tests.models import write_images

COUNT, SIZE = 300, 128
WORDS = [str(number) for number in range(COUNT)]
ENDS = ("ends its process", "so it is")


class ByWorkers:
    """Decodes as the command has it done, in this process."""

    def __init__(self, place: Path, passed: Mapping[int, Sequence[str]], threads: int) -> None:
        self.place, self.passed, self.threads = place, passed, threads

    def __call__(self, decoder: BinDecoder) -> Generator[Any, None, None]:
        count = sum(1 for _ in decoder.source.numbers())
        made = Pieces(Path(tempfile.mkdtemp(dir=self.place)), count, SIZE)
        make_folder(made.path / "shards")
        job = pickle.loads(pickle.dumps(PrepareJob(made, pickle.dumps(decoder))))
        worker = Worker(job, str(self.place), self.threads)
        opened = worker.open(None, 0)
        assert "error" not in opened, opened
        # One that is lost has written bins before.
        assert worker.attempt([(0, count)]) == {}
        for shard in reversed(made.unfinished()):
            said = worker.read([shard.number], self.passed, {})
            assert said == {"left": [], "notes": []}
        worker.close()
        yield from joined(made)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of images, of which one cannot be read, one is missing and one has no label."""
    write_images(tmp_path / "images", WORDS)
    annotation = tmp_path / "images" / "annotation.txt"
    lines = annotation.read_text().splitlines()
    annotation.write_text("\n".join([*lines, "gone.png word", "301.png wörd"]) + "\n")
    put(tmp_path / "images" / "5.png", b"broken")
    put(tmp_path / "images" / "301.png", (tmp_path / "images" / "1.png").read_bytes())
    monkeypatch.chdir(tmp_path)
    # A pack's identity.
    monkeypatch.setattr(secrets, "token_hex", lambda count: "7" * 2 * count)
    return tmp_path


def files_in(folder: Path) -> Dict[str, bytes]:
    found = {}
    for file in folder.rglob("*"):
        if file.is_file():
            found[str(file.relative_to(folder))] = file.read_bytes()
    return found


def prepared(
    place: Path, name: str, elsewhere: Optional[ByWorkers] = None, **more: Any
) -> Prepared:
    source = open_labelled(Path(more.pop("data", "images")))
    folder = place / name
    folder.mkdir()
    spec = more.pop("spec", ModelSpec.default())
    request = PrepareRequest(
        source, f"{name}/out", Path(name, "label.txt"), spec, workers=1, **more
    )
    summary = prepare(request, elsewhere=elsewhere)
    return replace(summary, seconds=0.0, out="", label_file="")


CASES: List[Dict[str, Any]] = [
    {},
    {"dtype": "uint8", "skip_bad": True, "oov": "strip"},
    {"pack": True},
    {"pack": True, "dtype": "uint8", "skip_bad": True, "oov": "drop"},
    {"views": parsed("3")},
]


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("case", CASES)
def test_workers_prepare_what_one_process_prepares(
    place: Path, case: Dict[str, Any], threads: int
) -> None:
    alone = prepared(place, "alone", **case)
    there = prepared(place, "there", ByWorkers(place, {}, threads), **case)
    assert alone.bins > COUNT - 10
    assert sum(alone.counts.values()) >= 3
    assert there == alone
    assert files_in(place / "there") == files_in(place / "alone")


def test_several_widths_have_their_folders_and_info_files(place: Path) -> None:
    for number, width in ((7, 60), (130, 160)):
        Image.new("L", (width, 32), 7).save(place / "images" / f"{number}.png")
    spec = replace(ModelSpec.default(), widths=Widths(list=(80, 128)))
    case = {"spec": spec, "per_width": True}
    alone = prepared(place, "alone", info_file=Path("alone", "x.info"), **case)
    there = prepared(
        place, "there", ByWorkers(place, {}, 1), info_file=Path("there", "x.info"), **case
    )
    assert there == alone
    found = files_in(place / "there")
    assert {"out/w80/test_7.bin", "out/w128/test_130.bin"} <= set(found)
    plain = files_in(place / "alone")
    for name in ("x_w80.info", "x_w128.info"):
        plain[name] = plain[name].replace(b"alone/", b"there/")
    assert found == plain


def test_numbers_have_the_gaps_of_the_data(place: Path) -> None:
    import lmdb

    with lmdb.open("gappy", map_size=1 << 22) as environment, environment.begin(
        write=True
    ) as writing:
        image = (place / "images" / "7.png").read_bytes()
        for number in (1, 2, 5, 9, 300):
            writing.put(b"image-%09d" % number, image)
            writing.put(b"label-%09d" % number, b"7")
        writing.put(b"num-samples", b"5")
    alone = prepared(place, "alone", data="gappy")
    there = prepared(place, "there", ByWorkers(place, {2: ENDS}, 1), data="gappy")
    assert alone.gaps == there.gaps == 295
    expected = files_in(place / "alone")
    del expected["out/test_5.bin"]
    assert files_in(place / "there") == expected


@pytest.mark.parametrize("pack", [False, True])
def test_words_that_end_their_workers_are_problems_and_have_no_bin(place: Path, pack: bool) -> None:
    passed = {0: ENDS, 127: ENDS, 130: ENDS, 301: ENDS}
    workers = ByWorkers(place, passed, 1)
    alone = prepared(place, "alone")
    there = prepared(place, "there", workers, pack=pack)
    assert there.counts["ends its process"] == 4
    assert (there.samples, there.labels) == (alone.samples, alone.labels)
    assert there.bins == alone.bins - 4
    if not pack:
        expected = files_in(place / "alone")
        for number in (1, 128, 131, 302):
            del expected[f"out/test_{number}.bin"]
        assert files_in(place / "there") == expected
    skipped = prepared(place, "skipped", ByWorkers(place, passed, 1), skip_bad=True)
    assert skipped.labels == alone.bins - 4


def test_pieces_are_neither_few_nor_large() -> None:
    assert piece_size(1) == 128
    assert len(Pieces(Path(), 10**6, piece_size(10**6)).shards) < 257
    assert piece_size(10**9) == 16384


def test_the_data_may_be_named_from_the_commands_folder(
    place: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    source = open_labelled(Path("images"))
    request = PrepareRequest(source, "out", Path("l.txt"), ModelSpec.default())
    job = PrepareJob(Pieces(Path("pieces"), 10, 10), pickle.dumps(BinDecoder(request, None)))
    make_folder(place / "pieces" / "shards")
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    worker = Worker(pickle.loads(pickle.dumps(job)), str(place), None)
    worker.open(None, 0)
    assert worker.read([0], {}, {}) == {"left": [], "notes": []}
    ((numbers, (written, pixels)),) = list(joined(job.pieces))
    assert numbers == list(range(1, 11))
    assert len(pixels) == 9 * 3200
    assert written[4][3][0][1] == Problem("not an image", written[4][3][0][1].detail)
