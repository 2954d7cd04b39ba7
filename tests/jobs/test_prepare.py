"""Preprocess: golden bins, policies, and folders that are replaced whole or not at all."""

from __future__ import annotations

import io
import json
import resource
from dataclasses import replace
from pathlib import Path
from typing import Callable

import lmdb
import numpy as np
import PIL
import pytest
from PIL import Image

from crnn.errors import InputError, UsageError
from crnn.jobs.prepare import Prepared, PrepareRequest, prepare, summary_lines
from crnn.samples.bins import BinFolder
from crnn.samples.folders import FolderSamples
from crnn.samples.lmdb import LmdbSamples
from crnn.spec import ModelSpec

SPEC = ModelSpec.default()
Run = Callable[..., Prepared]


def picture(index: int = 0) -> bytes:
    file = io.BytesIO()
    Image.fromarray(
        np.random.default_rng(index).integers(0, 256, (30, 70, 3), dtype=np.uint8)
    ).save(file, "PNG")
    return file.getvalue()


def historical(data: bytes) -> bytes:
    """The bin of an image as Pillow and NumPy alone compute it, across first, then down."""
    gray = Image.open(io.BytesIO(data)).convert("L")
    across = gray.resize((100, gray.height), Image.BICUBIC)
    pixels = np.asarray(across.resize((100, 32), Image.BICUBIC), np.float32)
    return ((pixels / np.float32(255) - np.float32(0.5)) / np.float32(0.5)).astype("<f4").tobytes()


def write_lmdb(folder: Path, samples: dict[int, tuple[bytes | None, str | None]]) -> Path:
    with lmdb.open(str(folder), map_size=1 << 24) as environment, environment.begin(
        write=True
    ) as writing:
        writing.put(b"num-samples", str(len(samples)).encode())
        for index, (image, label) in samples.items():
            if image is not None:
                writing.put(b"image-%09d" % index, image)
            if label is not None:
                writing.put(b"label-%09d" % index, label.encode())
    return folder


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Prepare samples in an empty current folder, to ``input_bin`` and ``label.txt`` where options
    do not say.
    """
    monkeypatch.chdir(tmp_path)
    runs = 0

    def work(samples: dict[int, tuple[bytes | None, str | None]], **options: object) -> Prepared:
        nonlocal runs
        runs += 1
        source = LmdbSamples(write_lmdb(tmp_path / f"words{runs}", samples))
        settings = {"out": "input_bin", "label_file": Path("label.txt"), "spec": SPEC, **options}
        return prepare(PrepareRequest(source=source, **settings))  # type: ignore[arg-type]

    return work


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def names(path: Path) -> list[str]:
    """What stands there, the data aside."""
    return sorted(entry.name for entry in path.iterdir() if not entry.name.startswith("words"))


WORDS = {1: (picture(1), "You"), 2: (picture(2), "2nd"), 5: (picture(5), "RESCUE")}


def test_bins_and_labels_are_the_historical_ones(run: Run, tmp_path: Path) -> None:
    summary = run(WORDS, info_file=Path("crnn.info"), out="./input_bin")
    assert contents(tmp_path / "input_bin") == {
        f"test_{i}.bin": historical(picture(i)) for i in (1, 2, 5)
    }
    assert len(historical(picture(1))) == 12800
    assert Path("label.txt").read_bytes() == b"test_1.bin:you\ntest_2.bin:2nd\ntest_5.bin:rescue\n"
    assert (
        Path("crnn.info").read_text()
        == "0 ./input_bin/test_1.bin 100 32\n1 ./input_bin/test_2.bin 100 32\n2"
        " ./input_bin/test_5.bin 100 32\n"
    )
    assert names(tmp_path) == ["crnn.info", "input_bin", "input_bin.json", "label.txt"]
    assert (summary.samples, summary.bins, summary.labels, summary.gaps) == (3, 3, 3, 2)
    assert summary.counts == {}


def test_uint8_bins_are_the_pixels(run: Run, tmp_path: Path) -> None:
    run(WORDS, dtype="uint8")
    pixels = np.asarray(
        Image.open(io.BytesIO(picture(5))).convert("L").resize((100, 32), Image.BICUBIC)
    )
    assert (tmp_path / "input_bin" / "test_5.bin").read_bytes() == pixels.tobytes()
    assert pixels.nbytes == 3200


def test_what_is_written_is_what_is_read(run: Run, tmp_path: Path) -> None:
    run({**WORDS, 7: (b"hello", "a:b c")})
    [batch] = BinFolder(tmp_path / "input_bin", tmp_path / "label.txt", SPEC).batches(8)
    assert list(zip(batch.keys, batch.labels)) == [
        ("test_1", "you"),
        ("test_2", "2nd"),
        ("test_5", "rescue"),
        ("test_7", "a:b c"),
    ]
    assert [problem.reason for problem in batch.problems.values()] == ["missing bin"]


def test_the_spec_rules(run: Run, tmp_path: Path) -> None:
    spec = replace(
        SPEC,
        width=60,
        color="rgb",
        characters="RESCUEyou2nd".replace("E", "") + "E",
        fold_case=False,
    )
    run(WORDS, spec=spec, label_file=tmp_path / "case.txt")
    assert (tmp_path / "input_bin" / "test_1.bin").stat().st_size == 3 * 32 * 60 * 4
    assert (
        tmp_path / "case.txt"
    ).read_text() == "test_1.bin:You\ntest_2.bin:2nd\ntest_5.bin:RESCUE\n"


OOV = {
    index: (picture(index), label)
    for index, label in enumerate(["Zoë", "don't", "字", "ok", ""], start=1)
}


@pytest.mark.parametrize(
    ("oov", "labels", "counts"),
    [
        (
            "keep",
            "test_1.bin:zoë\ntest_2.bin:don't\ntest_3.bin:字\ntest_4.bin:ok\ntest_5.bin:\n",
            {"label outside the alphabet": 3, "empty label": 1},
        ),
        (
            "drop",
            "test_4.bin:ok\ntest_5.bin:\n",
            {"label outside the alphabet": 3, "empty label": 1},
        ),
        # Of 字 nothing is left, and an empty reading must not make it right.
        (
            "strip",
            "test_1.bin:zo\ntest_2.bin:dont\ntest_4.bin:ok\ntest_5.bin:\n",
            {"label outside the alphabet": 3, "empty label": 2},
        ),
    ],
)
def test_labels_outside_the_alphabet(
    run: Run, tmp_path: Path, oov: str, labels: str, counts: dict[str, int]
) -> None:
    summary = run(OOV, oov=oov)
    assert (tmp_path / "label.txt").read_text(encoding="utf-8") == labels
    assert sorted(contents(tmp_path / "input_bin")) == [
        line.partition(":")[0] for line in labels.splitlines()
    ]
    assert summary.counts == counts
    assert [(key, problem.detail) for key, problem in summary.named][:2] == [
        ("test_1", "'zoë' has 'ë'"),
        ("test_2", '''"don't" has "'"'''),
    ]


BAD = {
    1: (picture(1), "one"),
    2: (b"", "two"),
    3: (b"hello", "three"),
    4: (picture(4)[:600], "four"),
    5: (None, "five"),
    6: (picture(6), None),
    7: (picture(7), "two\nlines"),
    8: (picture(8), "8"),
}


@pytest.mark.parametrize("skip_bad", [False, True])
def test_bad_samples_are_counted_and_named(run: Run, tmp_path: Path, skip_bad: bool) -> None:
    summary = run(BAD, skip_bad=skip_bad)
    assert sorted(contents(tmp_path / "input_bin")) == ["test_1.bin", "test_7.bin", "test_8.bin"]
    kept = (
        []
        if skip_bad
        else ["test_2.bin:two", "test_3.bin:three", "test_4.bin:four", "test_5.bin:five"]
    )
    lines = ["test_1.bin:one", *kept, "test_7.bin:two lines", "test_8.bin:8"]
    assert (tmp_path / "label.txt").read_text().splitlines() == lines
    assert (summary.samples, summary.bins, summary.labels) == (8, 3, len(lines))
    assert summary.counts == {
        "no label": 1,
        "line break in label": 1,
        "label outside the alphabet": 1,  # the space
        "empty image": 1,
        "not an image": 1,
        "broken image": 1,
        "missing image": 1,
    }
    text = "\n".join(summary_lines(summary))
    consequence = "left out (--skip-bad)" if skip_bad else "no bin, and will count as wrong"
    assert f"1 empty image: {consequence}" in text
    assert "  test_3: begins with b'hello'; expected one of PNG" in text
    assert "1 line break in label: written as a space\n  test_7: 'two\\nlines'" in text
    assert "1 no label: left out\n  test_6" in text


def test_gaps_and_a_wrong_count_are_said(run: Run) -> None:
    lines = summary_lines(run({2: (picture(2), "two"), 9: (picture(9), "9é")}), show=0)
    assert "7 indices without sample: the bins' numbers have the same gaps" in lines
    assert "1 label outside the alphabet: kept, and will count as wrong (--oov)" in lines
    assert "  and 1 more" in lines


def test_a_folder_of_images_is_numbered_by_its_annotation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    Path("photos/b.png").write_bytes(picture(1))
    Path("photos/a.png").write_bytes(picture(2))
    Path("gt.txt").write_text("b.png,Bee\n../secret.png,x\na.png,Ay\n")
    request = PrepareRequest(
        FolderSamples(Path("photos"), Path("gt.txt")), "out", Path("label.txt"), SPEC
    )
    summary = prepare(request)
    assert contents(tmp_path / "out") == {
        "test_1.bin": historical(picture(1)),
        "test_3.bin": historical(picture(2)),
    }
    assert Path("label.txt").read_text() == "test_1.bin:bee\ntest_2.bin:x\ntest_3.bin:ay\n"
    assert [(key, problem.reason) for key, problem in summary.named] == [
        ("../secret.png", "unsafe name")
    ]


def test_an_earlier_runs_folder_is_replaced(run: Run, tmp_path: Path) -> None:
    run(WORDS)
    run({9: (picture(9), "nine")})
    assert sorted(contents(tmp_path / "input_bin")) == ["test_9.bin"]
    assert (tmp_path / "label.txt").read_text() == "test_9.bin:nine\n"
    assert names(tmp_path) == ["input_bin", "input_bin.json", "label.txt"]


def test_what_made_the_bins_stands_beside_them(run: Run, tmp_path: Path) -> None:
    spec = replace(SPEC, width=60)
    run(WORDS, spec=spec, dtype="uint8")

    described = json.loads((tmp_path / "input_bin.json").read_bytes())

    assert sorted(described) == ["dtype", "format", "inputs", "spec", "versions"]
    assert described["format"] == "crnn-bins/1"
    assert described["dtype"] == "uint8"
    assert ModelSpec.from_dict(described["spec"]) == spec
    assert described["versions"]["pillow"] == PIL.__version__
    assert described["versions"]["numpy"] == np.__version__
    assert "lmdb" in described["versions"]


def test_anothers_file_is_not_written_over(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "input_bin.json"
    for text in ('{"format": "crnn-om/1"}', "[1]", "hello"):
        file.write_text(text)
        with pytest.raises(InputError, match=r"input_bin\.json.*not an earlier run's crnn-bins/1"):
            run(WORDS)
        assert file.read_text() == text
        assert names(tmp_path) == ["input_bin.json"]
    with pytest.raises(UsageError, match="where the bins are described"):
        run(WORDS, label_file=file)


def test_label_and_info_within_the_folder(run: Run, tmp_path: Path) -> None:
    options = {"label_file": Path("input_bin/label.txt"), "info_file": Path("input_bin/crnn.info")}
    run(WORDS, **options)
    run({9: (picture(9), "nine")}, **options)
    assert sorted(contents(tmp_path / "input_bin")) == ["crnn.info", "label.txt", "test_9.bin"]
    assert (tmp_path / "input_bin" / "label.txt").read_text() == "test_9.bin:nine\n"


def test_a_link_to_a_folder_stays_a_link(run: Run, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "input_bin").symlink_to("elsewhere")
    run(WORDS)
    assert (tmp_path / "input_bin").is_symlink()
    assert len(contents(tmp_path / "elsewhere")) == 3


def test_a_folder_that_holds_anything_else_is_refused_without_force(
    run: Run, tmp_path: Path
) -> None:
    (tmp_path / "input_bin" / "thesis").mkdir(parents=True)
    (tmp_path / "input_bin" / "test_1.bin").write_bytes(b"old")
    with pytest.raises(
        InputError,
        match=r"input_bin holds 1 entries that are not an earlier run's.*thesis\n.*--force",
    ):
        run(WORDS)
    assert (tmp_path / "input_bin" / "test_1.bin").read_bytes() == b"old"
    run(WORDS, force=True)
    assert sorted(contents(tmp_path / "input_bin")) == ["test_1.bin", "test_2.bin", "test_5.bin"]


@pytest.mark.parametrize(
    "name", ["label.txt", "test_01.bin", "test_1.bin.txt", "other.bin", ".hidden"]
)
def test_files_that_no_run_left_there(run: Run, tmp_path: Path, name: str) -> None:
    (tmp_path / "input_bin").mkdir()
    (tmp_path / "input_bin" / name).write_bytes(b"")
    with pytest.raises(InputError, match=f"such as {name}"):
        run(WORDS)


@pytest.mark.parametrize("folder", ["w100", "w1000", "thesis"])
def test_a_widths_folder_that_holds_anything_else_is_not_an_earlier_runs(
    run: Run, tmp_path: Path, folder: str
) -> None:
    below = tmp_path / "input_bin" / folder
    below.mkdir(parents=True)
    for name in ("test_1.bin", "test_2.bin", "thesis.txt"):
        (below / name).write_bytes(b"mine")
    with pytest.raises(InputError, match=f"that are not an earlier run's bins, such as {folder}"):
        run(WORDS)
    assert sorted(contents(below)) == ["test_1.bin", "test_2.bin", "thesis.txt"]


def test_a_disk_that_takes_a_part_of_a_bin_ends_the_run(tmp_path: Path) -> None:
    source = LmdbSamples(write_lmdb(tmp_path / "words", WORDS))
    request = PrepareRequest(source, str(tmp_path / "bins"), tmp_path / "label.txt", SPEC)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # Of a bin's 12 800 bytes.
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, hard))
    try:
        with pytest.raises(InputError, match=r"test_\d.bin: File too large; nothing was changed"):
            prepare(request)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert names(tmp_path) == []


class Unplugged(Exception):
    pass


@pytest.mark.parametrize("error", [Unplugged, KeyboardInterrupt])
def test_an_interrupt_leaves_the_old_run_whole(
    run: Run, tmp_path: Path, error: type[BaseException]
) -> None:
    run(WORDS, info_file=Path("crnn.info"))
    before = (
        contents(tmp_path / "input_bin"),
        Path("label.txt").read_bytes(),
        Path("crnn.info").read_bytes(),
    )
    source = LmdbSamples(
        write_lmdb(tmp_path / "words", {i: (picture(i), "new") for i in range(1, 200)})
    )
    request = PrepareRequest(
        source, "input_bin", Path("label.txt"), SPEC, info_file=Path("crnn.info")
    )

    def unplug(count: int) -> None:
        raise error

    with pytest.raises(error):
        prepare(request, unplug)
    assert before == (
        contents(tmp_path / "input_bin"),
        Path("label.txt").read_bytes(),
        Path("crnn.info").read_bytes(),
    )
    assert names(tmp_path) == ["crnn.info", "input_bin", "input_bin.json", "label.txt"]


def test_nothing_to_write_leaves_nothing(run: Run, tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match="no sample of .* could be prepared: 1 empty image, 1 not an image"
    ):
        run({1: (b"", "one"), 2: (b"hello", "two")})
    with pytest.raises(InputError, match="could be prepared: 2 no label"):
        run({1: (picture(1), None), 2: (picture(2), None)})
    assert names(tmp_path) == []


def test_places_that_cannot_be_meant(run: Run, tmp_path: Path) -> None:
    Path("file").write_text("")
    rows: list[tuple[type[Exception], str, dict[str, object]]] = [
        (InputError, "the current folder, and would be replaced", {"out": "."}),
        (
            InputError,
            "the current folder, and would be replaced",
            {"out": str(tmp_path.parent), "force": True},
        ),
        (InputError, "the data, and would be replaced", {"out": "words3", "force": True}),
        (InputError, "file: it is a file; expected a folder", {"out": "file"}),
        (InputError, "the folder .*nowhere does not exist\n.*mkdir -p", {"out": "nowhere/bins"}),
        (
            InputError,
            "the folder .*nowhere does not exist\n.*mkdir -p",
            {"label_file": Path("nowhere/label.txt")},
        ),
        (
            InputError,
            "the folder .*nowhere does not exist\n.*mkdir -p",
            {"info_file": Path("nowhere/crnn.info")},
        ),
        (
            InputError,
            "words8 is a folder; expected the name of a file",
            {"label_file": Path("words8")},
        ),
        (
            InputError,
            "input_bin is made anew, without folders in it",
            {"label_file": Path("input_bin/sub/label.txt")},
        ),
        (UsageError, "name the same place", {"label_file": Path("input_bin")}),
        (UsageError, "name the same place", {"info_file": Path("./label.txt")}),
        (InputError, "holds white space", {"out": "my bins", "info_file": Path("crnn.info")}),
        (
            InputError,
            "/proc: it is a mount point.*\nName a folder inside it",
            {"out": "/proc", "force": True},
        ),
        (
            InputError,
            "cannot write /proc/.*(nothing was changed\nCheck the permissions|is write-protected)",
            {"out": "/proc/bins"},
        ),
    ]
    for kind, message, options in rows:
        with pytest.raises(kind, match=message):
            run(WORDS, **options)
        assert names(tmp_path) == ["file"]


@pytest.mark.slow
def test_real_words_are_pillows_bit_for_bit(shared_data: Path, tmp_path: Path) -> None:
    source = LmdbSamples(shared_data / "IIIT5K_train_lmdb")
    request = PrepareRequest(source, str(tmp_path / "bins"), tmp_path / "label.txt", SPEC)
    summary = prepare(request)
    labels = (tmp_path / "label.txt").read_text(encoding="utf-8").splitlines()
    assert (summary.bins, len(labels), summary.counts) == (2000, 2000, {})
    for sample, line in zip(source, labels):
        assert line == f"{sample.key}.bin:{(sample.label or '').lower()}"
        assert (tmp_path / "bins" / f"{sample.key}.bin").read_bytes() == historical(
            sample.image or b""
        )
