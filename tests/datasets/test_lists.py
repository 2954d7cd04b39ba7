"""Lists as others' tools write them: class numbers, backslashes, absolute paths, indices from 0."""

from __future__ import annotations

from pathlib import Path
from typing import List, Sequence

import lmdb
import pytest
from PIL import Image

from crnn.cli.main import main
from crnn.errors import InputError
from crnn.samples.annotations import ListOptions
from crnn.samples.classes import ClassNumbers
from crnn.samples.folders import FolderSamples
from crnn.samples.lmdb import LmdbSamples
from tests.models import echo_pixels, write_echo_model

LIST = "blank\n一\n丁\n七\n万\n"


def images(folder: Path, names: Sequence[str]) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(echo_pixels("good")[0]).save(folder / name)
    return folder


def convert(folder: Path, text: str, *options: str) -> int:
    (folder / "gt.txt").write_text(text, encoding="utf-8")
    out = folder.parent / "lmdb"
    source = ["dataset", "convert", "folder", str(folder), str(out), "--force"]
    return main([*source, "--annotation", str(folder / "gt.txt"), *options])


def labels(folder: Path) -> List[str]:
    return [sample.label or "" for sample in LmdbSamples(folder.parent / "lmdb")]


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (LIST, "gbk"),
        (LIST, "utf-8"),
        (LIST.replace("blank\n", ""), "utf-8-sig"),
        (LIST.replace("\n", "\r\n"), "gb18030"),
        (LIST.replace("blank", "BLANK").rstrip(), "utf-8"),
    ],
)
def test_class_numbers_become_their_characters(tmp_path: Path, content: str, encoding: str) -> None:
    (tmp_path / "std.txt").write_bytes(content.encode(encoding))
    words = images(tmp_path / "words", ["a.png", "b.png", "c.png"])
    classes = ["--classes", str(tmp_path / "std.txt")]
    assert convert(words, "a.png 2 1 3\nb.png 4 4 1\nc.png 3\n", *classes, "--strict") == 0
    assert labels(words) == ["丁一七", "万万一", "七"]


@pytest.mark.parametrize("bad", ["0", "5", "1 x", "99999999999999999999", "-1"])
def test_a_number_without_character_costs_its_word(
    tmp_path: Path, bad: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "std.txt").write_text(LIST, encoding="utf-8")
    words = images(tmp_path / "words", ["a.png", "b.png"])
    assert convert(words, f"a.png 1 2\nb.png {bad}\n", "--classes", str(tmp_path / "std.txt")) == 0
    assert labels(words) == ["一丁"]
    assert "gt.txt line 2: bad annotation" in capsys.readouterr().err


NUMBERS = [
    "a.png 2 1 3\nb.png 4 4 1\n",
    "a.png\t89 201 241\nb.png\t7\n",
    "a.png 1  2\nb.png 10 20\n",
    "a.png,12 34\n",
]


@pytest.mark.parametrize("text", NUMBERS)
def test_numbers_are_not_taken_for_texts_unasked(
    tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = images(tmp_path / "words", ["a.png", "b.png"])
    assert convert(words, text) == 1
    said = capsys.readouterr().err
    assert "--classes FILE" in said
    assert "--classes none" in said
    assert not (tmp_path / "lmdb").exists()
    model = write_echo_model(tmp_path / "m.onnx")
    assert main(["evaluate", str(model), str(words)]) == 1
    assert "--classes FILE" in capsys.readouterr().err
    assert convert(words, text, "--classes", "none") == 0
    assert labels(words)[0].split() == text.splitlines()[0][6:].split()


@pytest.mark.parametrize(
    "text", ["a.png 12\nb.png 7\n", "a.png 1 2\nb.png x\n", "a.png 1 2\nb.png 1,5 3\n"]
)
def test_other_labels_of_digits_are_texts(tmp_path: Path, text: str) -> None:
    words = images(tmp_path / "words", ["a.png", "b.png"])
    assert convert(words, text, "--strict") == 0
    assert len(labels(words)) == 2


def test_a_list_of_classes_holds_a_character_a_line(tmp_path: Path) -> None:
    (tmp_path / "std.txt").write_text("blank\na\nbc\n")
    with pytest.raises(InputError, match="class 2 is 'bc'; expected one character a line"):
        ClassNumbers.read(tmp_path / "std.txt")
    (tmp_path / "std.txt").write_text("a\n \nb\n\n")
    assert ClassNumbers.read(tmp_path / "std.txt").text("1 2 3") == "a b"


@pytest.mark.parametrize(
    "heads",
    [
        ["train\\", "train\\"],
        ["C:/Users/someone/plates/train/", "C:/Users/someone/plates/train/"],
        ["C:\\Users\\someone\\plates\\train\\", "C:\\Users\\someone\\plates\\train\\"],
        ["\\\\server\\share\\plates\\train\\", "\\\\server\\share\\plates\\train\\"],
        ["/home/someone/plates/train/", "/home/someone/plates/train/"],
        ["C:/plates/train/", "D:/plates/train/"],
        ["./train/", "train/"],
    ],
)
def test_lists_of_another_machine_find_their_images(tmp_path: Path, heads: List[str]) -> None:
    plates = images(tmp_path / "plates", ["train/a.png", "train/b.png", "b.png"])
    text = f"{heads[0]}a.png\tDVH56\n{heads[1]}b.png\tDYV72\n"
    assert convert(plates, text, "--strict") == 0
    assert labels(plates) == ["DVH56", "DYV72"]
    samples = FolderSamples(plates, plates / "gt.txt", ListOptions())
    assert [sample.image for sample in samples] == [
        (plates / "train" / name).read_bytes() for name in ("a.png", "b.png")
    ]


def test_the_remedy_for_images_elsewhere_works(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plates = images(tmp_path / "elsewhere", ["a.png"])
    lists = tmp_path / "lists"
    lists.mkdir()
    text = "C:\\Users\\someone\\a.png\tDVH56\n"
    assert convert(lists, text) == 1
    assert "--images DIR" in capsys.readouterr().err
    assert convert(lists, text, "--images", str(plates)) == 0
    assert f"C:/Users/someone/ is taken for {plates}" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["/etc/passwd", "C:/../secret", "\\..\\secret", "/a/../../secret"])
def test_no_path_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    plates = images(tmp_path / "plates", ["a.png"])
    (tmp_path / "secret").write_bytes(b"x")
    (plates / "gt.txt").write_text(f"{name}\tx\na.png\ty\n")
    first = next(iter(FolderSamples(plates, plates / "gt.txt")))
    assert first.image is None
    assert first.problem is not None


def write_from_zero(path: Path, words: Sequence[str], first: int = 0, pixels: str = "") -> Path:
    with lmdb.open(str(path), map_size=1 << 24) as environment, environment.begin(
        write=True
    ) as transaction:
        for index, word in enumerate(words, first):
            image = Path(path.parent / "one.png")
            Image.fromarray(echo_pixels(pixels or word)[0]).save(image)
            transaction.put(b"image-%09d" % index, image.read_bytes())
            transaction.put(b"label-%09d" % index, word.encode())
        transaction.put(b"num-samples", str(len(words)).encode())
    return path


@pytest.mark.parametrize("words", [["good"], ["good", "lamp"], ["a", "b", "c", "d"]])
def test_an_lmdb_that_begins_at_0_loses_no_word(
    tmp_path: Path, words: List[str], capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_from_zero(tmp_path / "lmdb", words)
    samples = LmdbSamples(path)
    assert (len(samples), samples.gaps, samples.faults()) == (len(words), 0, [])
    assert [sample.label for sample in samples] == words
    assert (len(samples), samples.gaps) == (len(words), 0)
    assert [label for _, label in samples.labels()] == words
    model = write_echo_model(tmp_path / "m.onnx")
    assert main(["evaluate", str(model), str(path), "--min-accuracy", "1", "--strict"]) == 0
    assert f"({len(words)} of {len(words)} words" in capsys.readouterr().out
    assert main(["prepare", str(path), str(tmp_path / "bins"), "--label", str(tmp_path / "l")]) == 0
    expected = [f"test_{index}.bin:{word}" for index, word in enumerate(words)]
    assert (tmp_path / "l").read_text().splitlines() == expected
    bins = ["evaluate", str(model), str(tmp_path / "bins"), "--label", str(tmp_path / "l")]
    assert main([*bins, "--min-accuracy", "1", "--strict"]) == 0


def test_gaps_are_counted_from_0_where_0_is_there(tmp_path: Path) -> None:
    path = write_from_zero(tmp_path / "lmdb", ["a", "b", "c"])
    with lmdb.open(str(path)) as environment, environment.begin(write=True) as transaction:
        transaction.delete(b"image-000000001")
        transaction.delete(b"label-000000001")
    assert (len(LmdbSamples(path)), LmdbSamples(path).gaps) == (2, 1)


def test_the_sdks_list_is_lowered_as_the_original_lowers_it(tmp_path: Path) -> None:
    path = write_from_zero(tmp_path / "IIIT5K", ["RESCUE", "You", "ÉTÉ"], 1, "good")
    arguments = ["dataset", "extract", str(path), str(tmp_path / "out"), "--form", "sdk"]
    assert main(arguments) == 0
    lines = (tmp_path / "out" / "IIIT5K_gt.txt").read_text(encoding="utf-8").splitlines()
    assert [line.partition(" ")[2] for line in lines] == ["rescue", "you", "été"]
