"""Each kind of source gives its words, cut where they are, with their lexicons."""

from __future__ import annotations

import io
from pathlib import Path

import lmdb
import numpy as np
import pytest
from PIL import Image

from crnn.cli.main import main
from crnn.datasets.convert import KINDS, convert, match_lexicons, read_lexicons
from crnn.datasets.options import ConvertOptions
from crnn.errors import InputError
from crnn.samples.lexicons import decode_lexicons
from crnn.samples.lmdb import LmdbSamples
from tests.datasets import sources
from tests.tfrecords import write_examples


def words(lmdb_path: Path) -> list[str | None]:
    return [sample.label for sample in LmdbSamples(lmdb_path)]


def value(path: Path, key: bytes) -> bytes:
    with lmdb.open(
        str(path), readonly=True, lock=False
    ) as environment, environment.begin() as reading:
        return reading.get(key)


def crop(path: Path, index: int) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(value(path, b"image-%09d" % index))))


CASES = [
    # kind, source, options, words
    ("iiit5k", sources.iiit5k, {}, ["Hello", "7TH", "CAFÉ"]),
    ("iiit5k", sources.charbound, {"split": "train"}, ["You", "iPod"]),
    ("ic03", sources.ic03_scenes, {}, ["one", "B&H", "edge"]),
    ("ic03", sources.ic03_crops, {}, ["self", "A & B", '"quote"']),
    ("svt", sources.svt, {}, ["LIVING", "ROOM"]),
    ("ic13", sources.ic13, {}, sources.WORDS),
    ("ic15", sources.ic13, {}, sources.WORDS),
    ("synth90k", sources.synth90k, {}, ["lube", "cat"]),
    ("synth90k", sources.synth90k, {"annotation": "label.txt"}, ["Lube", "CAT"]),
    ("synthtext", sources.synthtext, {}, ["Lines:", "lost", "Kevin's"]),
    (
        "tfrecord",
        sources.tfrecord,
        {"ord_map": "ord_map.json", "split": "train"},
        ["cab", "7up", "hello"],
    ),
    ("tfrecord", sources.tfrecord, {"alphabet": sources.ORD_CLASSES}, ["cab", "7up", "hello"]),
    ("tsv", sources.tsv, {}, sources.WORDS),
    ("folder", sources.tsv, {}, sources.WORDS),
    ("folder", sources.ic13, {}, sources.WORDS),
    ("folder", sources.named, {"label_from_name": "last"}, ["Hello", "7th"]),
    ("synth90k", sources.synth90k_archive, {}, ["lube", "cat"]),
    ("synth90k", sources.synth90k_deepspark, {}, ["CAT", "Lube"]),
    ("synth90k", sources.synth90k_deepspark, {"annotation": "label.txt"}, ["Lube", "CAT"]),
]


def options_of(folder: Path, given: dict[str, str]) -> ConvertOptions:
    return ConvertOptions(
        **{
            key: folder / text if key in ("annotation", "ord_map") else text
            for key, text in given.items()
        }
    )


@pytest.mark.parametrize(("kind", "make", "given", "expected"), CASES)
def test_a_source_gives_its_words(tmp_path, kind, make, given, expected):
    folder = make(tmp_path / "source")
    report = convert(kind, folder, tmp_path / "out", options_of(folder, given))
    assert (report.written, dict(report.dropped)) == (len(expected), {})
    assert words(tmp_path / "out") == expected
    assert not LmdbSamples(tmp_path / "out").extras()


def test_every_kind_is_tested():
    assert {case[0] for case in CASES} == set(KINDS)


@pytest.mark.parametrize(("kind", "make", "given", "expected"), CASES[:10])
def test_a_source_gives_the_same_words_as_a_folder(tmp_path, kind, make, given, expected):
    folder = make(tmp_path / "source")
    convert(kind, folder, tmp_path / "out", options_of(folder, given), form="folder")
    convert(
        "folder",
        tmp_path / "out",
        tmp_path / "again",
        ConvertOptions(annotation=tmp_path / "out/annotation.txt"),
    )
    assert words(tmp_path / "again") == expected


def test_the_same_source_gives_the_same_bytes(tmp_path):
    sources.ic13(tmp_path / "source")
    for name in ("a", "b"):
        convert("ic13", tmp_path / "source", tmp_path / name, ConvertOptions())
    assert (tmp_path / "a/data.mdb").read_bytes() == (tmp_path / "b/data.mdb").read_bytes()


def test_whole_images_are_stored_as_they_are(tmp_path):
    folder = sources.ic13(tmp_path / "source")
    convert("ic13", folder, tmp_path / "out", ConvertOptions())
    assert value(tmp_path / "out", b"image-000000001") == (folder / "word_1.png").read_bytes()


def test_boxes_lose_their_fractions_and_are_clipped_on_both_axes(tmp_path):
    convert("ic03", sources.ic03_scenes(tmp_path / "source"), tmp_path / "out", ConvertOptions())
    # The scene's pixel (x, y) is (x, y, 0).
    one, corner, edge = (crop(tmp_path / "out", index) for index in (1, 2, 3))
    assert (one[0, 0].tolist(), one[-1, -1].tolist()) == ([10, 20, 0], [39, 29, 0])
    assert (corner[0, 0].tolist(), corner[-1, -1].tolist()) == ([0, 0, 0], [19, 9, 0])
    assert (edge[0, 0].tolist(), edge[-1, -1].tolist()) == ([190, 90, 0], [199, 99, 0])


def test_corners_are_cut_by_the_rectangle_around_them(tmp_path):
    convert("synthtext", sources.synthtext(tmp_path / "source"), tmp_path / "out", ConvertOptions())
    first, second = crop(tmp_path / "out", 1), crop(tmp_path / "out", 2)
    assert (first[0, 0].tolist(), first[-1, -1].tolist()) == ([10, 5, 0], [40, 20, 0])
    assert (second[0, 0].tolist(), second[-1, -1].tolist()) == ([50, 30, 0], [89, 59, 0])


def test_raw_tfrecord_images_keep_their_pixels(tmp_path):
    folder = sources.tfrecord(tmp_path / "source")
    convert("tfrecord", folder, tmp_path / "out", ConvertOptions(alphabet=sources.ORD_CLASSES))
    assert crop(tmp_path / "out", 1).tobytes() == sources.example("cab")["images"][0]


def raw(first: bytes) -> bytes:
    return first + bytes(100 * 32 * 3 - len(first))


def jpeg_of_9600_bytes() -> bytes:
    image = sources.encoded("cab", "JPEG", (100, 32))
    comment = 100 * 32 * 3 - len(image) - 4
    return image[:2] + b"\xff\xfe" + (comment + 2).to_bytes(2, "big") + b" " * comment + image[2:]


def test_an_encoded_image_as_long_as_raw_ones_is_stored_as_it_is(tmp_path):
    image = jpeg_of_9600_bytes()
    with open(tmp_path / "a.tfrecords", "wb") as file:
        write_examples(file, [{**sources.example("cab"), "images": [image]}])
    convert(
        "tfrecord",
        tmp_path / "a.tfrecords",
        tmp_path / "out",
        ConvertOptions(alphabet=sources.ORD_CLASSES),
    )
    assert value(tmp_path / "out", b"image-000000001") == image


@pytest.mark.parametrize(
    "mark", [b"\xff\xd8", b"\xff\xd8\xff", b"BM", b"P4", b"P5", b"P6", b"GIF89a", b"\x89PNG"]
)
def test_raw_pixels_may_begin_like_an_image_file(tmp_path, mark):
    with open(tmp_path / "a.tfrecords", "wb") as file:
        write_examples(file, [{**sources.example("cab"), "images": [raw(mark)]}])
    convert(
        "tfrecord",
        tmp_path / "a.tfrecords",
        tmp_path / "out",
        ConvertOptions(alphabet=sources.ORD_CLASSES),
    )
    assert crop(tmp_path / "out", 1).tobytes() == raw(mark)


def test_lexicons_are_kept(tmp_path):
    convert("iiit5k", sources.iiit5k(tmp_path / "a"), tmp_path / "iiit5k", ConvertOptions())
    assert decode_lexicons(value(tmp_path / "iiit5k", b"lexicon-000000003")) == (
        ("CAFÉ", "ELSE"),
        ("CAFÉ", "ELSE", "MORE", "WORDS"),
    )
    assert decode_lexicons(value(tmp_path / "iiit5k", b"lexicon")) == (("CAFÉ", "ELSE", "Hello"),)
    convert("svt", sources.svt(tmp_path / "b"), tmp_path / "svt", ConvertOptions())
    assert value(tmp_path / "svt", b"lexicon-000000002") == b"ROOM DOOR"


def test_lexicons_of_other_making_are_taken_too(tmp_path):
    folder = sources.ic03_scenes(tmp_path / "a")
    each = sources.put(tmp_path / "each.txt", "a ONE,TWO\nb THREE\n")
    whole = sources.put(tmp_path / "whole.txt", "ALL\nWORDS\n")
    convert("ic03", folder, tmp_path / "out", ConvertOptions(lexicons=each, lexicon=whole))
    assert value(tmp_path / "out", b"lexicon-000000002") == b"ONE TWO"
    assert value(tmp_path / "out", b"lexicon") == b"ALL WORDS"


def test_real_annotations_give_the_published_counts(tmp_path, shared_data):
    """Every image that they name stands here as one small image; the words must be all there."""
    from crnn.datasets.pictures import Dropped

    annotations = shared_data / "annotations"
    counts = {}
    for kind, file in (
        ("ic03", "ic03/words.xml"),
        ("ic15", "ic15/train_gt.txt"),
        ("iiit5k", "iiit5k/trainCharBound.mat"),
    ):
        items = list(KINDS[kind](annotations / file, ConvertOptions()).items)
        assert not [item for item in items if isinstance(item, Dropped)]
        counts[kind] = (len(items), sum(len(item.tags) for item in items))
    assert counts == {"ic03": (246, 1156), "ic15": (4468, 4468), "iiit5k": (2000, 2000)}


def test_real_words_are_read_right(shared_data):
    annotations = shared_data / "annotations"
    quoted = {
        item.name: item.tags[0].label
        for item in KINDS["ic15"](annotations / "ic15/train_gt.txt", ConvertOptions()).items
    }
    assert [quoted[f"word_{n}.png"] for n in (1, 1013, 1018, 1409)] == [
        "Genaxis Theatre",
        'READER"',
        '"SCAN"',
        "CAFÉ",
    ]
    bound = list(KINDS["iiit5k"](annotations / "iiit5k/trainCharBound.mat", ConvertOptions()).items)
    truths = [sample.label for sample in LmdbSamples(shared_data / "IIIT5K_train_lmdb")]
    assert [item.tags[0].label for item in bound] == truths


def test_damaged_labels_of_the_real_ic03_are_dropped(tmp_path, shared_data):
    from xml.etree import ElementTree

    xml = shared_data / "annotations/ic03/words.xml"
    # One large image, linked: what is inside the boxes is not the matter here.
    large = sources.put(
        tmp_path / "images/large.jpg", sources.encoded("x", "JPEG", (1600, 1200), "L")
    )
    for name in {element.text for element in ElementTree.parse(xml).iter("imageName")}:
        (tmp_path / "images" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "images" / name).symlink_to(large)
    report = convert("ic03", xml, tmp_path / "out", ConvertOptions(images=tmp_path / "images"))
    assert (report.written, dict(report.dropped)) == (1150, {"damaged label": 6})


@pytest.mark.parametrize(
    ("line", "lexicon"),
    [
        ("x ONE,TWO", ("ONE", "TWO")),
        ("x\tA,B two", ("A,B", "two")),
        ("x ONE, ,TWO,", ("ONE", "TWO")),
    ],
)
def test_lexicons_come_in_two_forms(tmp_path, line, lexicon):
    assert read_lexicons(sources.put(tmp_path / "list.txt", f"{line}\n\n")) == {"x": lexicon}


def test_lexicons_are_known_by_the_names_as_written(tmp_path):
    lines = "a/x.jpg ONE\nb/x.jpg TWO\nc/w.2 THREE\nnone \ntab\t\ncommas ,,\r\n"
    assert read_lexicons(sources.put(tmp_path / "list.txt", lines)) == {
        "a/x.jpg": ("ONE",),
        "b/x.jpg": ("TWO",),
        "c/w.2": ("THREE",),
    }


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("x ONE\ny TWO\nx ONE\n", "line 3 is a second one for 'x'"),
        ("x ONE\ny\n", "line 2 is 'y'; expected an image"),
    ],
)
def test_bad_lists_of_lexicons_are_refused(tmp_path, lines, message):
    with pytest.raises(InputError, match=message):
        read_lexicons(sources.put(tmp_path / "list.txt", lines))


MATCHES = {
    "full names": (
        ["a/1.png", "b/1.png"],
        ["a/1.png", "b/1.png"],
        {"a/1.png": "a/1.png", "b/1.png": "b/1.png"},
    ),
    "without suffix": (
        ["c/w.2.png", "c/w.3.PNG"],
        ["c/w.2", "c/w.3"],
        {"c/w.2.png": "c/w.2", "c/w.3.PNG": "c/w.3"},
    ),
    "without folder": (
        ["a/1.png", "b/2.png"],
        ["1.png", "2"],
        {"a/1.png": "1.png", "b/2.png": "2"},
    ),
    "two images of one base name": (["a/1.png", "b/1.png"], ["1"], {}),
    "two images of one stem": (["1.png", "1.jpg"], ["1"], {}),
    "one of them has the name itself": (["a/1.png", "1.png"], ["1.png"], {"1.png": "1.png"}),
    "in either order": (["1.png", "a/1.png"], ["1.png"], {"1.png": "1.png"}),
    "another folder's": (["b/1.png"], ["a/1.png", "a/1"], {}),
    "a stem that is not a suffix's": (["w.2"], ["w"], {}),
    "the other has a line of its own": (
        ["a/1.png", "b/1.png"],
        ["1", "b/1.png"],
        {"b/1.png": "b/1.png"},
    ),
    "two lines for one image": (["a/1.png"], ["1", "a/1"], {"a/1.png": "a/1"}),
    "the same image twice": (["a/1.png", "a/1.png"], ["1"], {"a/1.png": "1"}),
}


@pytest.mark.parametrize("case", MATCHES)
def test_an_image_gets_no_other_images_lexicon(case):
    names, listed, matches = MATCHES[case]
    assert match_lexicons(names, dict.fromkeys(listed)) == matches


def test_lexicons_that_are_no_images_are_counted(tmp_path, capsys):
    for number, name in enumerate(["a/1.png", "b/1.png", "c/w.2.png"]):
        sources.put(tmp_path / "words" / name, sources.encoded(str(number)))
    sources.put(tmp_path / "words/gt.tsv", "a/1.png\tcat\nb/1.png\tsun\nc/w.2.png\tdog\n")
    each = sources.put(tmp_path / "each.txt", "a/1.png cat,car\nb/1 sun,son\nw.2 dog,dig\n")
    command = [
        "dataset",
        "convert",
        "tsv",
        str(tmp_path / "words"),
        str(tmp_path / "out"),
        "--lexicons",
        str(each),
    ]
    assert main([*command, "--strict"]) == 0
    samples = LmdbSamples(tmp_path / "out")
    assert [samples.lexicons(index) for index in (1, 2, 3)] == [
        (("cat", "car"),),
        (("sun", "son"),),
        (("dog", "dig"),),
    ]
    samples.close()
    sources.put(each, "1 cat,car\nb/1.png sun,son\nlost dog,dig\n")
    assert main([*command, "--force"]) == 0
    assert "by a short name: 2 ('1', 'lost')" in capsys.readouterr().err
    samples = LmdbSamples(tmp_path / "out")
    assert [samples.lexicons(index) for index in (1, 2, 3)] == [(), (("sun", "son"),), ()]
    samples.close()
    assert main([*command, "--force", "--strict"]) == 3
    assert "2 lines of" in capsys.readouterr().err


def test_the_real_lexicons_of_svt_are_read(shared_data):
    lexicons = read_lexicons(shared_data / "annotations/svt/svt_lex.txt")
    assert (len(lexicons), all(lexicons.values())) == (249, True)
    assert lexicons["18_01"][:3] == ("THE", "TRIPLE", "DOOR")
