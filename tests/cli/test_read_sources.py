"""``crnn read`` of whatever holds words: folders, patterns, lists, LMDBs, bins, packs, archives."""

from __future__ import annotations

import base64
import contextlib
import io
import itertools
import json
import os
import subprocess
import sys
import tarfile
import tracemalloc
from pathlib import Path
from typing import Any, Dict, Iterator, List, Sequence

import lmdb
import numpy as np
import pytest
from PIL import Image

from crnn.cli.main import main
from crnn.errors import InputError
from crnn.samples.image_files import names_in
from crnn.samples.lmdb_writer import LmdbWriter
from crnn.samples.tars import TarImages
from tests.conftest import ROOT, Joined
from tests.images import noise
from tests.models import echo_pixels, write_bins, write_echo_model, write_wide_echo_model

NUMBERS = ("confidence", "probability")
WORDS = ("house", "1984", "tree", "a1", "bcd", "hello", "t0")


def png(text: str) -> bytes:
    file = io.BytesIO()
    Image.fromarray(echo_pixels(text)[0]).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_echo_model(tmp_path_factory.mktemp("model") / "echo.onnx")


@pytest.fixture
def crops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of images, where the command works beside it."""
    folder = tmp_path / "crops"
    folder.mkdir()
    for number, text in enumerate(WORDS, 1):
        (folder / f"w{number * 5}.png").write_bytes(png(text))
    monkeypatch.chdir(tmp_path)
    return folder


def lmdb_of(labels: Sequence[str]) -> None:
    writer = LmdbWriter(Path("words_lmdb"))
    for label in labels:
        writer.add(png(label.lower()), label)
    writer.finish()
    writer.close()


def lines_of(capsys: Joined) -> List[Dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@contextlib.contextmanager
def stdin_from(path: Path) -> Iterator[None]:
    """Let standard input be a file while the block runs."""
    kept = os.dup(0)
    with open(path, "rb") as file:
        os.dup2(file.fileno(), 0)
    try:
        yield
    finally:
        os.dup2(kept, 0)
        os.close(kept)


def texts(records: Sequence[Dict[str, Any]]) -> List[str]:
    return [record["text"] for record in records]


def test_a_folders_images_in_natural_order(model: Path, crops: Path, capsys: Joined) -> None:
    (crops / "labels.txt").write_text("w5.png other\n")
    (crops / ".hidden.png").write_bytes(b"")
    assert main(["read", str(model), "crops"]) == 0
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [row[0] for row in rows] == [f"crops/w{5 * number}.png" for number in range(1, 8)]
    assert [row[1] for row in rows] == list(WORDS)


def test_folders_below_are_read_when_asked(model: Path, crops: Path, capsys: Joined) -> None:
    (crops / "w12" / "deep").mkdir(parents=True)
    (crops / "w12" / "deep" / "x.jpg").write_bytes(png("deep"))
    os.symlink(crops, crops / "w12" / "loop")
    assert main(["read", str(model), "crops", "--jsonl"]) == 0
    assert texts(lines_of(capsys)) == list(WORDS)
    assert main(["read", str(model), "crops", "--jsonl", "--recursive"]) == 0
    assert texts(lines_of(capsys)) == [*WORDS[:2], "deep", *WORDS[2:]]


def test_a_folder_without_images_says_so(model: Path, crops: Path, capsys: Joined) -> None:
    (crops / "below").mkdir()
    (crops / "below" / "none").mkdir()
    assert main(["read", str(model), "crops/below"]) == 1
    assert "crops/below holds no image" in capsys.readouterr().err
    assert main(["read", str(model), "crops/below", "--recursive"]) == 1
    assert "neither crops/below nor a folder below it holds" in capsys.readouterr().err


def test_patterns_are_matched_here_too(model: Path, crops: Path, capsys: Joined) -> None:
    assert main(["read", str(model), "crops/w1*.png", "cr*", "--jsonl"]) == 0
    records = lines_of(capsys)
    assert [record["path"] for record in records[:2]] == ["crops/w10.png", "crops/w15.png"]
    assert len(records) == 2 + len(WORDS)
    assert main(["read", str(model), "nothing*"]) == 1
    assert "nothing* matches nothing" in capsys.readouterr().err
    # A name that only looks like a pattern is a name.
    (crops / "a[1].png").write_bytes(png("name"))
    assert main(["read", str(model), "crops/a[1].png"]) == 0
    assert capsys.readouterr().out.split("\t")[1] == "name"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\0"], ids=["lf", "crlf", "nul"])
def test_a_list(model: Path, crops: Path, capsys: Joined, end: str) -> None:
    names = [f"crops/w{5 * number}.png" for number in (3, 1, 3)]
    mark = "" if end == "\0" else "\ufeff"
    Path("list.txt").write_bytes((mark + end.join(names)).encode())
    null = ["-0"] if end == "\0" else []
    assert main(["read", str(model), *null, "--list", "list.txt", "--jsonl"]) == 0
    records = lines_of(capsys)
    assert [record["path"] for record in records] == names
    assert texts(records) == ["tree", "house", "tree"]


def test_a_list_follows_what_is_named(model: Path, crops: Path, capsys: Joined) -> None:
    Path("list.txt").write_text("crops/w5.png\n")
    assert main(["read", str(model), "--list", "list.txt", "crops/w10.png", "--jsonl"]) == 0
    assert texts(lines_of(capsys)) == ["1984", "house"]


def test_what_a_list_lacks_is_a_record(model: Path, crops: Path, capsys: Joined) -> None:
    (crops / "broken.png").write_bytes(png("lord")[:60])
    name = b"crops/caf\xe9.png"
    Path(os.fsdecode(name)).write_bytes(png("cafe"))
    rows = [b"crops/w5.png", b"crops/missing.png", b"", name, b"crops", b"crops/broken.png"]
    Path("list.txt").write_bytes(b"\n".join(rows))
    command = ["read", str(model), "--list", "list.txt"]
    assert main([*command, "--jsonl"]) == 0
    out, err = capsys.readouterr()
    records = [json.loads(line) for line in out.splitlines()]
    assert texts(records) == ["house", "", "", "cafe", "", ""]
    assert [record.get("problem") for record in records] == [
        None,
        "missing image",
        "missing image",
        None,
        "unreadable image",
        "broken image",
    ]
    assert all(record["confidence"] is None for record in records if "problem" in record)
    assert records[3]["path"] == "crops/caf\\xe9.png"
    assert base64.b64decode(records[3]["path_b64"]) == name
    assert ["path_b64" in record for record in records].count(True) == 1
    assert "4 of 6 words could not be read" in err
    assert "missing image: 2" in err
    assert main([*command, "--strict"]) == 3
    out, err = capsys.readouterr()
    assert [line.split("\t")[1] for line in out.splitlines()] == ["house", "cafe"]
    assert "crops/missing.png: missing image: there is no such file" in err
    assert "4 of 6 words could not be read" in err


def test_a_list_that_is_not_there_or_has_no_line(model: Path, crops: Path, capsys: Joined) -> None:
    assert main(["read", str(model), "--list", "none.txt"]) == 1
    assert "none.txt does not exist; expected a list of images" in capsys.readouterr().err
    Path("empty.txt").write_bytes(b"")
    assert main(["read", str(model), "--list", "empty.txt", "--jsonl"]) == 0
    assert capsys.readouterr().out == ""


def test_an_lmdb_with_and_without_labels(model: Path, crops: Path, capsys: Joined) -> None:
    lmdb_of(["House", "tree"])
    for place in ("words_lmdb", "words_lmdb/data.mdb"):
        assert main(["read", str(model), place, "--jsonl"]) == 0
        records = lines_of(capsys)
        assert texts(records) == ["house", "tree"]
        assert [record["label"] for record in records] == ["House", "tree"]
        assert [record["key"] for record in records] == ["test_1", "test_2"]
        assert {record["path"] for record in records} == {place}
    with lmdb.open("words_lmdb") as data, data.begin(write=True) as writing:
        writing.delete(b"label-000000002")
    assert main(["read", str(model), "words_lmdb", "--jsonl"]) == 0
    records = lines_of(capsys)
    assert texts(records) == ["house", "tree"]
    assert ["label" in record for record in records] == [True, False]


@pytest.mark.parametrize("pack", [False, True], ids=["bins", "pack"])
def test_bins_need_no_labels(model: Path, crops: Path, capsys: Joined, pack: bool) -> None:
    if pack:
        lmdb_of([text.upper() for text in WORDS])
        packing = ["prepare", "words_lmdb", "bins", "--pack", "--label", "label.txt"]
        assert main([*packing, "--spec", str(model)]) == 0
    else:
        write_bins(Path(), WORDS)
    place = "bins" if pack else "input_bin"
    capsys.readouterr()
    assert main(["read", str(model), place, "--jsonl"]) == 0
    records = lines_of(capsys)
    assert texts(records) == list(WORDS)
    assert records[0]["key"] == "test_1"
    assert records[0]["path"] == place
    assert ("label" in records[0]) is pack


def test_a_bin_of_another_name_or_size_is_a_record(
    model: Path, crops: Path, capsys: Joined
) -> None:
    bins = write_bins(Path(), WORDS[:3])
    (bins / "word.bin").write_bytes((bins / "test_1.bin").read_bytes())
    (bins / "test_2.bin").write_bytes(b"short")
    assert main(["read", str(model), "input_bin", "--jsonl"]) == 0
    records = lines_of(capsys)
    assert texts(records) == ["house", "", "tree", ""]
    assert [record.get("problem") for record in records[1:]] == [
        "wrong size",
        None,
        "misnamed bin",
    ]
    assert records[3]["key"] == "word.bin"


def tar_of(path: Path, members: Sequence[Any], mode: str = "w") -> Path:
    with tarfile.open(str(path), mode) as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz"])
def test_a_tars_images_in_its_order(model: Path, crops: Path, capsys: Joined, mode: str) -> None:
    members = [("b/2.png", png("house")), ("b/2.txt", b"label"), ("a.JPG", png("tree"))]
    broken = ("c.png", png("lord")[:60])
    tar_of(Path("shard.tar"), [*members, broken, ("d.png", png("last"))], mode)
    assert main(["read", str(model), "shard.tar", "--jsonl"]) == 0
    out, err = capsys.readouterr()
    records = [json.loads(line) for line in out.splitlines()]
    assert [record["key"] for record in records] == ["b/2.png", "a.JPG", "c.png", "d.png"]
    assert texts(records) == ["house", "tree", "", "last"]
    assert records[2]["problem"] == "broken image"
    assert {record["path"] for record in records} == {"shard.tar"}
    assert "1 of 4 words could not be read" in err
    assert main(["read", str(model), "shard.tar"]) == 0
    assert capsys.readouterr().out.startswith("shard.tar/b/2.png\thouse\t")


@pytest.mark.parametrize("damage", ["header", "cut", "garbage"])
def test_a_damaged_tar_is_read_up_to_the_damage(
    model: Path, crops: Path, capsys: Joined, damage: str
) -> None:
    one, two = png("house"), png("tree")
    path = tar_of(Path("shard.tar"), [("1.png", one), ("2.png", two), ("3.png", one)])
    data = bytearray(path.read_bytes())
    second = 512 + -(-len(one) // 512) * 512
    if damage == "header":
        data[second + 148 : second + 156] = b"7777777\0"
    elif damage == "cut":
        del data[second + 512 + 40 :]
    else:
        data[:] = b"x" * 2000
    path.write_bytes(data)
    assert main(["read", str(model), "shard.tar", "crops/w5.png", "--jsonl"]) == 0
    records = lines_of(capsys)
    read = [] if damage == "garbage" else ["house"]
    assert texts(records) == [*read, "", "house"]
    assert records[-2]["problem"] == "broken tar"
    assert main(["read", str(model), "shard.tar", "--strict"]) == 3


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2"])
def test_an_archive_is_known_by_what_it_holds(
    model: Path, crops: Path, capsys: Joined, mode: str
) -> None:
    # By its mark where it is not compressed, whatever it is called.
    tar_of(Path("shard.tar"), [("1.png", png("house"))], mode)
    name = "shard.tar"
    if mode == "w":
        Path(name).rename("shard.7")
        name = "shard.7"
    assert main(["read", str(model), name, "--jsonl"]) == 0
    assert texts(lines_of(capsys)) == ["house"]


def test_a_compressed_archive_may_end_or_be_damaged_anywhere(
    model: Path, crops: Path, capsys: Joined
) -> None:
    members = [(f"{number}.png", png("house")) for number in range(40)]
    whole = tar_of(Path("whole.tar.gz"), members, "w:gz").read_bytes()
    middle = len(whole) // 2
    cut, damaged = whole[:middle], bytearray(whole)
    damaged[middle : middle + 40] = bytes(40)
    for data in (cut, bytes(damaged)):
        Path("shard.tar.gz").write_bytes(data)
        assert main(["read", str(model), "shard.tar.gz", "--jsonl"]) == 0
        records = lines_of(capsys)
        assert texts(records[:-1]) == ["house"] * (len(records) - 1)
        assert 1 < len(records) < 40
        assert records[-1]["problem"] == "broken tar"


def test_a_member_above_the_limit_is_passed_over(
    model: Path, crops: Path, capsys: Joined, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CRNN_MAX_IMAGE_BYTES", "4000")
    tar_of(Path("shard.tar"), [("large.png", bytes(5000)), ("2.png", png("tree"))])
    assert main(["read", str(model), "shard.tar", "--jsonl"]) == 0
    large, good = lines_of(capsys)
    assert (large["problem"], good["text"]) == ("image too large", "tree")
    assert large["detail"] == "5000 bytes; the limit is 4000"


def test_a_list_or_an_archive_of_nothing_says_so(model: Path, crops: Path, capsys: Joined) -> None:
    Path("empty.list").write_bytes(b"")
    tar_of(Path("none.tar"), [("readme.txt", b"no image")])
    tar_of(Path("empty.tar"), [])
    found = {
        "--list empty.list": "empty.list lists no image: it is empty; expected a path a line",
        "none.tar": "none.tar holds no image: those of its members are read whose names end",
        "empty.tar": "empty.tar holds no image",
    }
    for words, said in found.items():
        assert main(["read", str(model), *words.split(), "--jsonl"]) == 0
        out, err = capsys.readouterr()
        assert out == ""
        assert said in err
    Path("zero.tar").write_bytes(b"")
    assert main(["read", str(model), "zero.tar", "--jsonl"]) == 0
    record, *others = lines_of(capsys)
    assert others == []
    assert record["detail"] == (
        "it is an empty file; an archive of no members has 1024 bytes at least"
    )


def header(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info.tobuf(tarfile.GNU_FORMAT)


def one_member(name: str, data: bytes, kind: bytes = tarfile.REGTYPE) -> bytes:
    return header(name, len(data), kind) + data + b"\0" * (-len(data) % 512)


HOSTILE = {
    "names": one_member("x", b"name\0", tarfile.GNUTYPE_LONGNAME) * 3000,
    "records": one_member("x", b"9 a=b\n", tarfile.XHDTYPE) * 3000,
    "length": one_member("x", b"99999999999999999999 a=b\n", tarfile.XHDTYPE),
    "name": header("x", 3 << 20, tarfile.GNUTYPE_LONGNAME) + b"n" * (3 << 20),
    "record": header("x", 3 << 20, tarfile.XHDTYPE) + b"9" * (3 << 20),
}


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("kind", sorted(HOSTILE))
def test_a_hostile_tar_is_read_up_to_what_is_hostile(
    model: Path, crops: Path, capsys: Joined, kind: str, first: bool
) -> None:
    image = one_member("1.png", png("tar"))
    before = b""
    if not first:
        before = image
    Path("s.tar").write_bytes(before + HOSTILE[kind] + image + b"\0" * 1024)
    tracemalloc.start()
    samples = list(TarImages(Path("s.tar")))
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 3 << 20
    problem = samples[-1].problem
    assert problem is not None
    assert problem.reason == "broken tar"
    assert len(samples) == 2 - first
    assert main(["read", str(model), "s.tar", "--strict"]) == 3


def test_a_damaged_xz_is_read_up_to_the_damage(tmp_path: Path) -> None:
    numbers = np.random.default_rng(1)
    members = [(f"{number}.png", numbers.bytes(40_000)) for number in range(60)]
    path = tar_of(tmp_path / "s.tar.xz", members, "w:xz")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(data)
    samples = list(TarImages(path))
    assert 0 < len(samples) < 60
    problem = samples[-1].problem
    assert problem is not None
    assert problem.reason == "broken tar"


@pytest.mark.parametrize("line", [1, 3])
def test_a_list_that_is_not_a_text_is_refused(
    model: Path, crops: Path, capsys: Joined, line: int
) -> None:
    Path("list").write_bytes(b"crops/w5.png\n" * (line - 1) + b"crops/w10.png\0crops/w15.png\0")
    assert main(["read", str(model), "--list", "list", "--jsonl"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert f"list line {line} has a NUL byte; expected a list of images, a path a line" in err
    assert "find -print0" in err
    if line == 1:
        assert main(["read", str(model), "--list", "list", "-0", "--jsonl"]) == 0
        assert texts(lines_of(capsys)) == ["1984", "tree"]


def test_a_tab_in_a_name_does_not_shift_the_columns(
    model: Path, crops: Path, capsys: Joined
) -> None:
    (crops / "w5.png").rename(crops / "w\t5.png")
    assert main(["read", str(model), "crops/w\t5.png", "crops/w10.png"]) == 0
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [row[:2] for row in rows] == [["crops/w\\t5.png", "house"], ["crops/w10.png", "1984"]]
    assert main(["read", str(model), "crops/w\t5.png", "--jsonl"]) == 0
    assert lines_of(capsys)[0]["path"] == "crops/w\t5.png"


def test_help_shows_that_a_source_may_be_lacking(capsys: Joined) -> None:
    assert main(["read", "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "MODEL [SOURCE [SOURCE ...]] Read words" in shown
    assert main(["read", "m.onnx"]) == 2
    assert "required: SOURCE" in capsys.readouterr().err


def test_what_an_archive_tells_is_not_kept(tmp_path: Path) -> None:
    peaks = []
    for count in (300, 3000):
        path = tar_of(tmp_path / f"{count}.tar", [(f"{n}.png", b"0") for n in range(count)])
        tracemalloc.start()
        assert sum(1 for _ in TarImages(path)) == count
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]


def test_a_list_without_end_is_read_as_it_comes() -> None:
    names = names_in(lambda: b"a.png\nb.png\nc", "nowhere", nul=False)
    assert list(itertools.islice(names, 4)) == [b"a.png", b"b.png", b"ca.png", b"b.png"]
    with pytest.raises(InputError, match="nowhere: a path has more than 1048576 bytes"):
        list(names_in(lambda: b"a" * 1000, "nowhere", nul=True))


def test_sources_one_after_the_other(model: Path, crops: Path, capsys: Joined) -> None:
    tar_of(Path("s.tar"), [("x.png", png("tar"))])
    write_bins(Path(), ["bin"])
    command = ["read", str(model), "crops/w10.png", "s.tar", "crops/w5.png", "input_bin", "crops"]
    assert main([*command, "--jsonl"]) == 0
    assert texts(lines_of(capsys)) == ["1984", "tar", "house", "bin", *WORDS]


def test_an_image_that_was_named_ends_as_ever(model: Path, crops: Path, capsys: Joined) -> None:
    command = ["read", str(model), "crops/w5.png", "nowhere.png", "crops"]
    assert main([*command, "--jsonl"]) == 1
    out, err = capsys.readouterr()
    assert texts([json.loads(line) for line in out.splitlines()]) == ["house", *WORDS]
    assert "nowhere.png does not exist; expected an image" in err
    assert f"1 of {len(WORDS) + 2} images could not be read" in err


def test_out_writes_records_and_prints_nothing(model: Path, crops: Path, capsys: Joined) -> None:
    (crops / "bad.png").write_bytes(b"nothing")
    assert main(["read", str(model), "crops", "--out", "r.jsonl"]) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert "8 records are in r.jsonl" in err
    written = Path("r.jsonl").read_text(encoding="utf-8")
    assert main(["read", str(model), "crops", "--jsonl"]) == 0
    assert capsys.readouterr().out == written


def test_out_as_a_table(model: Path, crops: Path, capsys: Joined) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    (crops / "bad.png").write_bytes(b"nothing")
    command = ["read", str(model), "crops", "--probability", "--alternatives", "2", "--characters"]
    assert main([*command, "--out", "r.jsonl"]) == 0
    assert main([*command, "--out", "r.parquet"]) == 0
    records = [json.loads(line) for line in Path("r.jsonl").read_text().splitlines()]
    table = parquet.read_table("r.parquet")
    assert table.num_rows == len(WORDS) + 1
    for record, row in zip(records, table.to_pylist()):
        assert {key: value for key, value in row.items() if value is not None} == {
            key: value for key, value in record.items() if value is not None
        }


def test_a_table_needs_pyarrow(
    model: Path, crops: Path, capsys: Joined, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow.parquet", None)
    assert main(["read", str(model), "crops", "--out", "r.parquet"]) == 4
    out, err = capsys.readouterr()
    assert out == ""
    assert "pip install 'crnn-ascend[parquet]'" in err
    assert not Path("r.parquet").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["crops", "-"], "goes with no other source"),
        (["-", "--list", "x"], "goes with no other source"),
        (["crops", "-0"], "-0 goes with --list and -"),
        (["crops", "--max-wait", "5"], "--max-wait goes with -"),
        (["crops", "--jsonl", "--json", "-"], "--json - prints one JSON alone"),
        (["crops", "--jsonl", "--out", "x.jsonl"], "one of them"),
        (["crops", "--out", "x.csv"], "expected a name that ends in .jsonl or .parquet"),
        ([], "SOURCE"),
    ],
)
def test_what_does_not_go_together(
    model: Path, crops: Path, capsys: Joined, options: List[str], said: str
) -> None:
    assert main(["read", str(model), *options]) == 2
    assert said in capsys.readouterr().err


def test_json_has_what_could_not_be_read(model: Path, crops: Path, capsys: Joined) -> None:
    tar_of(Path("s.tar"), [("x.png", png("tar")), ("y.png", b"no")])
    assert main(["read", str(model), "crops/w5.png", "s.tar", "--json", "-"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert [reading["text"] for reading in data["readings"]] == ["house", "tar"]
    assert "path" not in data["readings"][0]
    assert data["readings"][1]["path"] == "s.tar"
    assert [(problem["key"], problem["reason"]) for problem in data["problems"]] == [
        ("y.png", "not an image")
    ]


def test_widths_views_and_restrictions_go_with_each_source(
    crops: Path, tmp_path: Path, capsys: Joined
) -> None:
    wide = write_wide_echo_model(tmp_path / "wide.onnx", [80, 100, 200])
    for number, columns in enumerate((30, 100, 300, 60, 150)):
        Image.fromarray(noise(columns, 32)).save(crops / f"v{number}.png")
    names = [f"crops/v{number}.png" for number in range(5)]
    tar_of(Path("s.tar"), [(name, Path(name).read_bytes()) for name in names])
    Path("list.txt").write_text("\n".join(names))
    options = ["--views", "3", "--probability", "--allow", "0-9a-c", "--reject", "0.5", "--jsonl"]
    found: List[List[Dict[str, Any]]] = []
    numbers: List[List[float]] = []
    for source in (names, ["s.tar"], ["--list", "list.txt"], ["crops/v*.png"], ["-"]):
        with stdin_from(Path("list.txt")):
            assert main(["read", str(wide), *source, *options, "--batch", "2"]) == 0
        records = lines_of(capsys)
        assert [record["key"] for record in records] == names
        # How words fall into batches shows in the last digits.
        numbers.append([record.pop(name) for record in records for name in NUMBERS])
        for record in records:
            del record["path"]
        found.append(records)
    assert found[1:] == found[:1] * 4
    assert all(one == pytest.approx(numbers[0], rel=1e-4) for one in numbers)
    assert all({"rejected", "width", "view"} <= set(row) for row in found[0])
    assert len({row["width"] for row in found[0]}) > 1


def test_bins_are_read_in_the_views_that_they_were_prepared_in(
    model: Path, crops: Path, capsys: Joined
) -> None:
    lmdb_of(WORDS)
    prepared = ["prepare", "words_lmdb", "bins", "--label", "label.txt", "--spec", str(model)]
    assert main([*prepared, "--views", "3"]) == 0
    capsys.readouterr()
    found = []
    for source in (["bins"], ["words_lmdb", "--views", "3"]):
        assert main(["read", str(model), *source, "--jsonl"]) == 0
        records = lines_of(capsys)
        assert [record["key"] for record in records[:2]] == ["test_1", "test_2"]
        found.append([(row["text"], row["view"], row["probability"]) for row in records])
    assert found[0] == found[1]
    assert len(found[0]) == len(WORDS)


def test_many_are_decoded_by_other_processes_too(model: Path, crops: Path, capsys: Joined) -> None:
    count = 5100
    names = [f"crops/w{5 * (1 + number % 7)}.png" for number in range(count)]
    names[4000] = "crops/none.png"
    Path("list.txt").write_text("\n".join(names))
    command = ["read", str(model), "--list", "list.txt", "--jsonl", "--threads", "2"]
    assert main([*command, "--batch", "64"]) == 0
    records = lines_of(capsys)
    expected = [WORDS[number % 7] for number in range(count)]
    expected[4000] = ""
    assert texts(records) == expected


@pytest.mark.slow
def test_each_record_of_a_simulated_run_says_so(model: Path, crops: Path) -> None:
    crnn = f"{sys.executable} -m crnn"
    steps = [
        f"{crnn} compile {model} echo --batch 4 >&2",
        f"{crnn} read echo.om crops --jsonl",
        f"ls crops/* | {crnn} read echo.om -",
        f"{crnn} read echo.om crops/w5.png --jsonl",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "crnn.simulator", "--", "sh", "-ec", "\n".join(steps)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert texts(records[:7]) == list(WORDS)
    assert sorted(texts(records[7:14])) == sorted(WORDS)
    assert texts(records[14:]) == ["house"]
    assert [record["simulated"] for record in records] == [True] * 15
