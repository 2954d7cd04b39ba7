"""Sources that are broken or mean harm:

each has its message and exit code, and nothing is written elsewhere.
"""

from __future__ import annotations

import json
import os
import re
import struct
import zlib
from pathlib import Path
from typing import Any, Callable

import numpy as np
import pytest

from crnn.cli.main import main
from crnn.datasets import matfile
from tests.datasets import sources
from tests.datasets.sources import encoded, put, rectangle, scenes, tagged
from tests.tfrecords import write_examples

SECRET = "secret.png"


def bomb(folder: Path) -> None:
    entities = "".join(f'<!ENTITY e{n + 1} "{f"&e{n};" * 10}">' for n in range(9))
    put(folder / "words.xml", f'<!DOCTYPE t [<!ENTITY e0 "x">{entities}]><tagset>&e9;</tagset>')


def external(folder: Path) -> None:
    put(
        folder / "words.xml",
        '<!DOCTYPE t [<!ENTITY e SYSTEM "file:///etc/passwd">]><tagset><image>&e;</image></tagset>',
    )


def mat(folder: Path, data: bytes, name: str = "testdata.mat") -> None:
    put(folder / name, data)


def mat_header() -> bytes:
    return b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM"


def whole_mat(folder: Path) -> bytes:
    sources.iiit5k(folder)
    return (folder / "testdata.mat").read_bytes()


def cut_mat(folder: Path) -> None:
    mat(folder, whole_mat(folder)[:-20])


def garbled_mat(folder: Path) -> None:
    data = bytearray(whole_mat(folder))
    data[200:260] = b"\xff" * 60
    mat(folder, bytes(data))


def inflating_mat(folder: Path, rows: int = 30, size: int = 1 << 20) -> None:
    """Thirty kilobytes that inflate to thirty megabytes; the limits are lowered to less."""
    from scipy.io import savemat

    array = np.zeros((1, rows), dtype=[("ImgName", object), ("GroundTruth", object)])
    for row in range(rows):
        array[0, row] = ("a.png", np.zeros(size, dtype=np.uint8))
    savemat(folder / "testdata.mat", {"testdata": array}, do_compression=True)


def other_mat(folder: Path) -> None:
    from scipy.io import savemat

    savemat(folder / "testdata.mat", {"numbers": np.arange(3)})


def cell_mat(folder: Path) -> None:
    """Names that are numbers, and labels that are structs."""
    from scipy.io import savemat

    rows = np.zeros((1, 1), dtype=[("ImgName", object), ("GroundTruth", object)])
    rows[0, 0] = (np.arange(4.0), {"a": 1})
    savemat(folder / "testdata.mat", {"testdata": rows})


def uneven_synthtext(folder: Path) -> None:
    from scipy.io import savemat

    cells = np.empty((1, 1), dtype=object)
    cells[0, 0] = "a"
    savemat(folder / "gt.mat", {"imnames": cells, "wordBB": np.zeros((2, 4, 3)), "txt": cells})


def synthtext_without(folder: Path) -> None:
    from scipy.io import savemat

    savemat(folder / "gt.mat", {"imnames": np.zeros((1, 1), dtype=object)})


def synthtext_of(corners: Any, text: str = "word") -> Callable[[Path], None]:
    """A scene of one word with these corners."""

    def make(folder: Path) -> None:
        from scipy.io import savemat

        put(folder / "a.png", encoded("a"))
        cells = [np.empty((1, 1), dtype=object) for _ in range(3)]
        cells[0][0, 0] = "a.png"
        cells[1][0, 0] = corners
        cells[2][0, 0] = text
        savemat(folder / "gt.mat", dict(zip(("imnames", "wordBB", "txt"), cells)))

    return make


def names(*listed: str) -> Callable[[Path], None]:
    """A TSV that names these, beside one good word."""

    def make(folder: Path) -> None:
        put(folder / "good.png", encoded("good"))
        lines = [f"{name}\tword\n" for name in ("good.png", *listed)]
        put(folder / "labels.tsv", "".join(lines))

    return make


def link_out(folder: Path) -> None:
    names("link.png")(folder)
    (folder / "link.png").symlink_to(folder.parent / SECRET)


def link_folder_out(folder: Path) -> None:
    names(f"door/{SECRET}")(folder)
    (folder / "door").symlink_to(folder.parent)


def pipe(folder: Path) -> None:
    names("pipe.png")(folder)
    os.mkfifo(folder / "pipe.png")


def image_of(data: bytes) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        names("bad.png")(folder)
        put(folder / "bad.png", data)

    return make


def huge_png() -> bytes:
    """A header that promises 400 megapixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", 20000, 20000, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b""))
        + chunk(b"IEND", b"")
    )


def labels(*lines: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        put(folder / "a.png", encoded("a"))
        put(folder / "labels.tsv", "a.png\tgood\n" + "".join(lines))

    return make


def not_utf8(folder: Path) -> None:
    put(folder / "a.png", encoded("a"))
    put(folder / "labels.tsv", b"a.png\tgood\na.png\tcaf\xe9\n")


def boxes(*listed: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        put(folder / "a.png", sources.scene())
        put(
            folder / "words.xml",
            scenes(tagged("a.png", rectangle("good", "1", "1", "9", "9"), *listed)),
        )

    return make


def xml(text: str) -> Callable[[Path], None]:
    return lambda folder: put(folder / "words.xml", text) and None


def record(spoil: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        sources.tfrecord(folder)
        file = folder / "tfrecords/train_1.tfrecords"
        file.write_bytes(spoil(file.read_bytes()))

    return make


def features(**changed: list) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        put(folder / "a.tfrecords", b"")
        with open(folder / "a.tfrecords", "wb") as file:
            write_examples(file, [sources.example("good"), {**sources.example("bad"), **changed}])

    return make


def synth90k(annotation: str, lexicon: str | None = "cat\n") -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        put(folder / "a.jpg", encoded("cat", "JPEG"))
        put(folder / "annotation_train.txt", annotation)
        if lexicon is not None:
            put(folder / "lexicon.txt", lexicon)

    return make


TF = ["--alphabet", sources.ORD_CLASSES]
# id: (kind, source, further arguments, exit code with --strict, message)
HOSTILE = {
    "XML entities that grow": ("ic03", bomb, [], 1, "XML bombs"),
    "XML that includes a file": ("ic03", external, [], 1, "XML bombs"),
    "XML that is cut off": ("ic03", xml("<tagset><image>"), [], 1, "cannot be read as XML"),
    "XML of an unknown encoding": (
        "ic03",
        xml('<?xml version="1.0" encoding="klingon"?><a/>'),
        [],
        1,
        "as XML",
    ),
    "XML of something else": ("ic03", xml("<html><p/></html>"), [], 1, "holds no <image>"),
    "XML without names": ("ic03", xml("<t><image/></t>"), [], 1, "neither <imageName> nor file="),
    "XML without words": (
        "ic03",
        xml("<t><image><imageName>a.png</imageName></image></t>"),
        [],
        1,
        "nor a tag",
    ),
    "a box that is not a number": (
        "ic03",
        boxes(rectangle("b", "left", "1", "9", "9")),
        [],
        3,
        "bad box",
    ),
    "a box that is NaN": ("ic03", boxes(rectangle("b", "nan", "1", "9", "9")), [], 3, "bad box"),
    "a box that is endless": (
        "ic03",
        boxes(rectangle("b", "1", "1", "1e400", "9")),
        [],
        3,
        "bad box",
    ),
    "a box outside the image": (
        "ic03",
        boxes(rectangle("b", "500", "1", "9", "9")),
        [],
        3,
        "has no pixel",
    ),
    "a box turned inside out": (
        "ic03",
        boxes(rectangle("b", "50", "50", "-9", "9")),
        [],
        3,
        "has no pixel",
    ),
    "a box without a tag": ("ic03", boxes(rectangle("", "5", "5", "9", "9")), [], 3, "empty label"),
    "a scene outside the folder": (
        "svt",
        lambda folder: put(
            folder / "test.xml", scenes(tagged(f"../{SECRET}", rectangle("x", "0", "0", "9", "9")))
        ),
        [],
        1,
        "leads out of the folder",
    ),
    "a .mat of version 7.3": ("iiit5k", lambda f: mat(f, b"MATLAB 7.3 MAT-file"), [], 1, "HDF5"),
    "a .mat that is a pickle": (
        "iiit5k",
        lambda f: mat(f, b"\x80\x04cos\nsystem\n" * 20),
        [],
        1,
        "expected a MATLAB",
    ),
    "a .mat that is cut off": ("iiit5k", cut_mat, [], 1, "beyond the end"),
    "a .mat that is garbled": ("iiit5k", garbled_mat, [], 1, "cannot be read as a MATLAB file"),
    "a .mat that inflates": ("iiit5k", inflating_mat, [], 1, "inflates to more than"),
    "a .mat with one huge text": (
        "iiit5k",
        lambda f: inflating_mat(f, 1, 15 << 20),
        [],
        1,
        "the limit is 10485760",
    ),
    "a .mat of something else": ("iiit5k", other_mat, [], 1, "no struct array with ImgName"),
    "a .mat with numbers for names": ("iiit5k", cell_mat, [], 1, "bad annotation"),
    "SynthText without as many of each": ("synthtext", uneven_synthtext, [], 1, "hold .* scenes"),
    "SynthText without boxes": (
        "synthtext",
        synthtext_without,
        [],
        1,
        "holds no wordBB, txt; it holds imnames",
    ),
    "SynthText with a text for corners": (
        "synthtext",
        synthtext_of("corners"),
        [],
        1,
        "str for corners; expected numbers",
    ),
    "SynthText with three corners": (
        "synthtext",
        synthtext_of(np.zeros((2, 3))),
        [],
        1,
        "expected .2, 4, words.",
    ),
    "SynthText with a word too many": (
        "synthtext",
        synthtext_of(np.zeros((2, 4)), "two words"),
        [],
        1,
        "2 words and 1 boxes",
    ),
    "SynthText with an endless corner": (
        "synthtext",
        synthtext_of(np.full((2, 4), np.inf)),
        [],
        1,
        "bad box",
    ),
    "a name with ..": ("tsv", names(f"../{SECRET}"), [], 3, "leads out of the folder"),
    "a name with .. inside": (
        "tsv",
        names(f"sub/../../{SECRET}"),
        [],
        3,
        "leads out of the folder",
    ),
    "a name with .. and backslashes": (
        "tsv",
        names(rf"..\{SECRET}"),
        [],
        3,
        "leads out of the folder",
    ),
    "an absolute name": ("tsv", names("/etc/hostname"), [], 3, "leads out of the folder"),
    # CSV of Python before 3.11 takes no NUL at all.
    "a name with NUL": ("tsv", names("a\0.png"), [], 3, "is not a file name|contains NUL"),
    "a link that leads out": ("tsv", link_out, [], 3, "a link that leads out"),
    "a folder's link that leads out": ("tsv", link_folder_out, [], 3, "a link that leads out"),
    "a name of a folder": (
        "tsv",
        lambda f: (names("sub")(f), (f / "sub").mkdir()),
        [],
        3,
        "not a plain file",
    ),
    "a name of a pipe": ("tsv", pipe, [], 3, "not a plain file"),
    "a name beyond all length": ("tsv", names("x" * 5000), [], 3, "unreadable image"),
    "a name of nothing": ("tsv", names("lost.png"), [], 3, "missing image"),
    "an image of zero bytes": ("tsv", image_of(b""), [], 3, "empty image"),
    "an image that is text": ("tsv", image_of(b"<svg/>"), [], 3, "not an image"),
    "an image that is PostScript": (
        "tsv",
        image_of(b"%!PS-Adobe-3.0 EPSF-3.0\n"),
        [],
        3,
        "not an image",
    ),
    "an image that is cut off": ("tsv", image_of(encoded("word")[:80]), [], 3, "broken image"),
    "an image of 400 megapixels": ("tsv", image_of(huge_png()), [], 3, "image too large"),
    "a line without a label": ("tsv", labels("a.png\n"), [], 3, "bad annotation"),
    "a label of spaces": ("tsv", labels("a.png\t  \n"), [], 3, "empty label"),
    "a label with a control character": (
        "tsv",
        labels("a.png\ta\x07b\n"),
        [],
        3,
        "control character",
    ),
    "a label of a million letters": (
        "tsv",
        labels(f"a.png\t{'x' * 10**6}\n"),
        [],
        3,
        "larger than field limit",
    ),
    "a label that is not UTF-8": ("tsv", not_utf8, [], 1, "not UTF-8: line 2"),
    "an empty list": ("tsv", lambda f: put(f / "labels.tsv", ""), [], 1, "is empty"),
    "no list": ("tsv", lambda f: put(f / "a.png", encoded("a")), [], 1, "annotation"),
    "no source": ("ic13", lambda f: None, ["--annotation", "gone.txt"], 1, "does not exist"),
    "a list that is a Git LFS pointer": (
        "ic13",
        lambda f: put(
            f / "gt.txt", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
        ),
        [],
        1,
        "Git LFS pointer",
    ),
    "an index beyond the lexicon": (
        "synth90k",
        synth90k("a.jpg 0\na.jpg 7\n"),
        [],
        3,
        "an index from 0 to 0",
    ),
    "an index that is negative": (
        "synth90k",
        synth90k("a.jpg 0\n" * 1000 + "a.jpg -1\n"),
        [],
        3,
        "an index from 0",
    ),
    "indices without a lexicon": (
        "synth90k",
        synth90k("a.jpg 0\n", None),
        [],
        1,
        "no .*lexicon.txt to look them up",
    ),
    "records that are cut off": (
        "tfrecord",
        record(lambda data: data[:-9]),
        TF,
        1,
        "ends inside the record",
    ),
    "records with a bit changed": (
        "tfrecord",
        record(lambda data: data[:500] + bytes([data[500] ^ 1]) + data[501:]),
        TF,
        1,
        "the data's checksum is wrong",
    ),
    "records that are gzip": (
        "tfrecord",
        record(lambda data: zlib.compress(data)),
        TF,
        1,
        "length's checksum",
    ),
    "records without classes": ("tfrecord", sources.tfrecord, [], 2, "which character is which"),
    "a class without a character": (
        "tfrecord",
        features(labels=[99]),
        TF,
        3,
        "class 99 has no character",
    ),
    "a record without image": ("tfrecord", features(images=[]), TF, 3, "0 images"),
    "a record of half an image": (
        "tfrecord",
        features(images=[b"x" * 5000]),
        TF,
        3,
        "not an image",
    ),
}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    put(tmp_path / SECRET, encoded("secret"))
    (tmp_path / "source").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def outside(place: Path) -> dict[str, int]:
    return {
        str(path.relative_to(place)): path.lstat().st_mtime_ns
        for path in sorted(place.rglob("*"))
        if path.relative_to(place).parts[0] != "out" and path != place
    }


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_sources(case, place, capsys, monkeypatch):
    kind, make, arguments, code, message = HOSTILE[case]
    monkeypatch.setattr(matfile, "MAX_INFLATED", 20 << 20)
    monkeypatch.setattr(matfile, "MAX_ELEMENT", 10 << 20)
    make(place / "source")
    before = outside(place)
    assert main(["dataset", "convert", kind, "source", "out", "--strict", *arguments]) == code
    written = capsys.readouterr()
    assert re.search(message, written.err + written.out), written.err
    assert "Traceback" not in written.err
    assert outside(place) == before
    # What has one good word is written all the same, and --strict says so by its code; the rest
    # leaves nothing.
    assert (place / "out").exists() == (code == 3)
    if code == 3:
        assert b"secret" not in (place / "out/data.mdb").read_bytes()


def test_there_are_forty():
    assert len(HOSTILE) >= 40


TARGETS = {
    "a folder of the user's": (
        lambda out: put(out / "thesis.tex", "x"),
        [],
        1,
        "holds other things",
    ),
    "and with --force": (
        lambda out: put(out / "thesis.tex", "x"),
        ["--force"],
        1,
        "holds other things",
    ),
    "a file": (lambda out: put(out, "x"), ["--force"], 1, "is a link or a file"),
    "a link": (lambda out: out.symlink_to(out.parent), ["--force"], 1, "is a link or a file"),
    "an LMDB": (lambda out: put(out / "data.mdb", "x"), [], 1, "--force to replace it"),
    "an LMDB with --force": (lambda out: put(out / "data.mdb", "x"), ["--force"], 0, "written"),
    "an empty folder": (lambda out: out.mkdir(), [], 0, "written"),
}


@pytest.mark.parametrize("case", TARGETS)
def test_targets_that_are_there(case, place, capsys):
    make, arguments, code, message = TARGETS[case]
    sources.tsv(place / "source")
    make(place / "out")
    assert main(["dataset", "convert", "tsv", "source", "out", *arguments]) == code
    written = capsys.readouterr()
    assert message in written.err + written.out


def test_a_missing_parent_is_named(place, capsys):
    sources.tsv(place / "source")
    assert main(["dataset", "convert", "tsv", "source", "no/such/out"]) == 1
    assert "the folder no/such does not exist" in capsys.readouterr().err


def test_all_that_was_dropped_is_listed(place, capsys):
    names(*(f"lost_{number}.png" for number in range(30)))(place / "source")
    command = [
        "dataset",
        "convert",
        "tsv",
        "source",
        "out",
        "--report",
        "dropped.jsonl",
        "--json",
        "-",
    ]
    assert main(command) == 0
    lines = [json.loads(line) for line in (place / "dropped.jsonl").read_text().splitlines()]
    assert [line["name"] for line in lines] == [f"lost_{number}.png" for number in range(30)]
    fields = {"out": "out", "written": 1, "dropped": {"missing image": 30}, "unmatched_lexicons": 0}
    assert json.loads(capsys.readouterr().out) == fields
    # Again, in the place of the first.
    assert main([*command[:5], "--report", "dropped.jsonl", "--force"]) == 0
    told = capsys.readouterr().err
    assert told.count("dropped: lost_") == 10
    assert "dropped: lost_9.png: missing image" in told
    assert "… and 20 more; --report FILE lists all" in told
    assert len((place / "dropped.jsonl").read_text().splitlines()) == 30


def test_a_report_that_cannot_be_written_is_named(place, capsys):
    sources.tsv(place / "source")
    assert main(["dataset", "convert", "tsv", "source", "out", "--report", "no/such/file"]) == 1
    assert "cannot write no/such/file" in capsys.readouterr().err
    assert not (place / "out").exists()


REPORTS = {
    "the annotation": ("source/labels.tsv", [], "is the annotation file of source"),
    "an image": ("source/word_1.jpg", [], "is one of the images in source"),
    "a list in JSON": ("list.jsonl", [], "is not a report of a conversion"),
    "a number in JSON": ("number.json", [], "is not a report of a conversion"),
    "lists in one another": ("deep.json", [], "is not a report of a conversion"),
    "the target itself": ("out", [], "out is named twice, as out and as report"),
    "a file in the target": ("out/report.jsonl", ["--force"], "would stand in out"),
}


@pytest.mark.parametrize("case", REPORTS)
def test_a_report_takes_the_place_of_no_other_file(case, place, capsys):
    report, arguments, message = REPORTS[case]
    sources.tsv(place / "source")
    put(place / "list.jsonl", '{"filename": "a.png", "text": "a"}\n')
    put(place / "number.json", "7\n")
    put(place / "deep.json", "[" * 100_000)
    if arguments:
        put(place / "out/data.mdb", "old")
    before = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
    assert main(["dataset", "convert", "tsv", "source", "out", "--report", report, *arguments]) == 1
    assert message in capsys.readouterr().err
    assert {path: path.read_bytes() for path in place.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("form", ["lmdb", "folder"])
def test_a_conversion_that_fails_leaves_the_earlier_report(form, place):
    names("lost.png")(place / "source")
    command = [
        "dataset",
        "convert",
        "tsv",
        "source",
        "out",
        "--as",
        form,
        "--report",
        "dropped.jsonl",
    ]
    assert main(command) == 0
    before = (place / "dropped.jsonl").read_bytes()
    names("gone.png", "lost.png")(place / "source")
    assert main(command) == 1  # the target is there
    assert (place / "dropped.jsonl").read_bytes() == before
    (place / "source/good.png").unlink()
    assert main([*command, "--force"]) == 1  # no word is left
    assert (place / "dropped.jsonl").read_bytes() == before


def test_a_stopped_conversion_leaves_nothing(place, monkeypatch):
    from crnn.datasets import convert
    from crnn.datasets.options import ConvertOptions

    sources.tsv(place / "source")

    def stop(count: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert.convert("tsv", place / "source", place / "out", ConvertOptions(), advance=stop)
    assert sorted(path.name for path in place.iterdir()) == [SECRET, "source"]
