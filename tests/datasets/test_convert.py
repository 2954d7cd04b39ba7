"""Each kind of source gives its words, cut where they are, with their lexicons."""

from __future__ import annotations

import io
from pathlib import Path

import lmdb
import numpy as np
import pytest
from PIL import Image

from crnn.datasets.convert import KINDS, convert, read_lexicons
from crnn.datasets.options import Options
from crnn.samples.lexicons import decode_lexicons
from crnn.samples.lmdb import LmdbSamples
from tests.datasets import sources


def words(lmdb_path: Path) -> list[str | None]:
    return [sample.label for sample in LmdbSamples(lmdb_path)]


def value(path: Path, key: bytes) -> bytes:
    with lmdb.open(str(path), readonly=True, lock=False) as environment, environment.begin() as reading:
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
    ("tfrecord", sources.tfrecord, {"ord_map": "ord_map.json", "split": "train"}, ["cab", "7up", "hello"]),
    ("tfrecord", sources.tfrecord, {"alphabet": sources.ORD_CLASSES}, ["cab", "7up", "hello"]),
    ("tsv", sources.tsv, {}, sources.WORDS),
    ("folder", sources.tsv, {}, sources.WORDS),
    ("folder", sources.ic13, {}, sources.WORDS),
    ("folder", sources.named, {"label_from_name": "last"}, ["Hello", "7th"]),
]


def options_of(folder: Path, given: dict[str, str]) -> Options:
    return Options(**{key: folder / text if key in ("annotation", "ord_map") else text for key, text in given.items()})


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
    convert("folder", tmp_path / "out", tmp_path / "again", Options(annotation=tmp_path / "out/annotation.txt"))
    assert words(tmp_path / "again") == expected


def test_the_same_source_gives_the_same_bytes(tmp_path):
    sources.ic13(tmp_path / "source")
    for name in ("a", "b"):
        convert("ic13", tmp_path / "source", tmp_path / name, Options())
    assert (tmp_path / "a/data.mdb").read_bytes() == (tmp_path / "b/data.mdb").read_bytes()


def test_whole_images_are_stored_as_they_are(tmp_path):
    folder = sources.ic13(tmp_path / "source")
    convert("ic13", folder, tmp_path / "out", Options())
    assert value(tmp_path / "out", b"image-000000001") == (folder / "word_1.png").read_bytes()


def test_boxes_lose_their_fractions_and_are_clipped_on_both_axes(tmp_path):
    convert("ic03", sources.ic03_scenes(tmp_path / "source"), tmp_path / "out", Options())
    # The scene's pixel (x, y) is (x, y, 0).
    one, corner, edge = (crop(tmp_path / "out", index) for index in (1, 2, 3))
    assert (one[0, 0].tolist(), one[-1, -1].tolist()) == ([10, 20, 0], [39, 29, 0])
    assert (corner[0, 0].tolist(), corner[-1, -1].tolist()) == ([0, 0, 0], [19, 9, 0])
    assert (edge[0, 0].tolist(), edge[-1, -1].tolist()) == ([190, 90, 0], [199, 99, 0])


def test_corners_are_cut_by_the_rectangle_around_them(tmp_path):
    convert("synthtext", sources.synthtext(tmp_path / "source"), tmp_path / "out", Options())
    first, second = crop(tmp_path / "out", 1), crop(tmp_path / "out", 2)
    assert (first[0, 0].tolist(), first[-1, -1].tolist()) == ([10, 5, 0], [40, 20, 0])
    assert (second[0, 0].tolist(), second[-1, -1].tolist()) == ([50, 30, 0], [89, 59, 0])


def test_raw_tfrecord_images_keep_their_pixels(tmp_path):
    folder = sources.tfrecord(tmp_path / "source")
    convert("tfrecord", folder, tmp_path / "out", Options(alphabet=sources.ORD_CLASSES))
    assert crop(tmp_path / "out", 1).tobytes() == sources.example("cab")["images"][0]


def test_lexicons_are_kept(tmp_path):
    convert("iiit5k", sources.iiit5k(tmp_path / "a"), tmp_path / "iiit5k", Options())
    assert decode_lexicons(value(tmp_path / "iiit5k", b"lexicon-000000003")) == (
        ("CAFÉ", "ELSE"),
        ("CAFÉ", "ELSE", "MORE", "WORDS"),
    )
    assert decode_lexicons(value(tmp_path / "iiit5k", b"lexicon")) == (("CAFÉ", "ELSE", "Hello"),)
    convert("svt", sources.svt(tmp_path / "b"), tmp_path / "svt", Options())
    assert value(tmp_path / "svt", b"lexicon-000000002") == b"ROOM DOOR"


def test_lexicons_of_other_making_are_taken_too(tmp_path):
    folder = sources.ic03_scenes(tmp_path / "a")
    each = sources.put(tmp_path / "each.txt", "a ONE,TWO\nb THREE\n")
    whole = sources.put(tmp_path / "whole.txt", "ALL\nWORDS\n")
    convert("ic03", folder, tmp_path / "out", Options(lexicons=each, lexicon=whole))
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
        items = list(KINDS[kind](annotations / file, Options()).items)
        assert not [item for item in items if isinstance(item, Dropped)]
        counts[kind] = (len(items), sum(len(item.tags) for item in items))
    assert counts == {"ic03": (246, 1156), "ic15": (4468, 4468), "iiit5k": (2000, 2000)}


def test_real_words_are_read_right(shared_data):
    annotations = shared_data / "annotations"
    quoted = {
        item.name: item.tags[0].label for item in KINDS["ic15"](annotations / "ic15/train_gt.txt", Options()).items
    }
    assert [quoted[f"word_{n}.png"] for n in (1, 1013, 1018, 1409)] == ["Genaxis Theatre", 'READER"', '"SCAN"', "CAFÉ"]
    bound = list(KINDS["iiit5k"](annotations / "iiit5k/trainCharBound.mat", Options()).items)
    truths = [sample.label for sample in LmdbSamples(shared_data / "IIIT5K_train_lmdb")]
    assert [item.tags[0].label for item in bound] == truths


def test_damaged_labels_of_the_real_ic03_are_dropped(tmp_path, shared_data):
    from xml.etree import ElementTree

    xml = shared_data / "annotations/ic03/words.xml"
    # One large image, linked: what is inside the boxes is not the matter here.
    large = sources.put(tmp_path / "images/large.jpg", sources.encoded("x", "JPEG", (1600, 1200), "L"))
    for name in {element.text for element in ElementTree.parse(xml).iter("imageName")}:
        (tmp_path / "images" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "images" / name).symlink_to(large)
    report = convert("ic03", xml, tmp_path / "out", Options(images=tmp_path / "images"))
    assert (report.written, dict(report.dropped)) == (1150, {"damaged label": 6})


@pytest.mark.parametrize(
    ("line", "lexicon"),
    [("a/x.jpg ONE,TWO", ("ONE", "TWO")), ("x\tA,B two", ("A,B", "two")), ("x ONE, ,TWO,", ("ONE", "TWO"))],
)
def test_lexicons_come_in_two_forms(tmp_path, line, lexicon):
    assert read_lexicons(sources.put(tmp_path / "list.txt", f"{line}\n\n")) == {"x": lexicon}


def test_the_real_lexicons_of_svt_are_read(shared_data):
    lexicons = read_lexicons(shared_data / "annotations/svt/svt_lex.txt")
    assert (len(lexicons), all(lexicons.values())) == (249, True)
    assert lexicons["18_01"][:3] == ("THE", "TRIPLE", "DOOR")
