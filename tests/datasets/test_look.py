"""check, stats, show, extract, merge and split, on LMDBs with known faults."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import lmdb
import matplotlib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from crnn.batch import Sample
from crnn.cli.main import main
from crnn.datasets import stats as stats_module
from crnn.datasets.convert import convert
from crnn.datasets.extract import extract
from crnn.datasets.glyphs import Glyphs, names_of
from crnn.datasets.merge import merge, split
from crnn.datasets.options import ConvertOptions
from crnn.datasets.show import choose, contact_sheet
from crnn.datasets.stats import ASPECTS, SIZES, held, stats
from crnn.datasets.synth.fonts import find_fonts
from crnn.errors import InputError, UsageError
from crnn.image import size_of
from crnn.samples.lmdb import LmdbSamples
from crnn.samples.lmdb_writer import new_lmdb
from tests.datasets.sources import encoded
from tests.lines import joined
from tests.processes import uncounted

DEJAVU = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"


def make(path: Path, *words: tuple[str, str] | str) -> Path:
    """An LMDB of labels, each with the image of another text where a pair says so."""
    with new_lmdb(path) as writer:
        for word in words:
            shown, label = word if isinstance(word, tuple) else (word, word)
            writer.add(encoded(shown), label)
    return path


def change(path: Path, **values: bytes | None) -> Path:
    with lmdb.open(str(path), map_size=1 << 24, lock=False) as environment, environment.begin(
        write=True
    ) as writing:
        for name, value in values.items():
            key = name.replace("_", "-").encode()
            writing.delete(key) if value is None else writing.put(key, value)
    return path


def labels(path: Path) -> list[str | None]:
    return [sample.label for sample in LmdbSamples(path)]


# id: (what is done to an LMDB of "one", "two", "three"; reason and count; exit code; with --strict)
FAULTS = {
    "nothing": ({}, {}, {}, 0, 0),
    "a gap": (
        {"image_000000002": None, "label_000000002": None},
        {"gap in the numbering": 1, "wrong num-samples": 1},
        {},
        3,
        3,
    ),
    "a wrong count": ({"num_samples": b"7"}, {"wrong num-samples": 1}, {}, 3, 3),
    "no count": ({"num_samples": None}, {"wrong num-samples": 1}, {}, 3, 3),
    "no image": ({"image_000000002": None}, {"missing image": 1}, {}, 3, 3),
    "no label": ({"label_000000002": None}, {"no label": 1}, {}, 3, 3),
    "an image cut off": ({"image_000000002": encoded("two")[:90]}, {"broken image": 1}, {}, 3, 3),
    "an empty image": ({"image_000000002": b""}, {"empty image": 1}, {}, 3, 3),
    "an empty label": ({"label_000000002": b""}, {"empty label": 1}, {}, 3, 3),
    "a label outside": ({"label_000000002": b"two!"}, {"label outside the alphabet": 1}, {}, 3, 3),
    "a label not UTF-8": (
        {"label_000000002": b"tw\xff"},
        {"label outside the alphabet": 1, "label not UTF-8": 1},
        {},
        3,
        3,
    ),
    "capitals are folded": ({"label_000000002": b"TWO"}, {}, {}, 0, 0),
    "26 letters fit": ({"label_000000002": b"ab" * 13}, {}, {}, 0, 0),
    "27 letters do not": ({"label_000000002": b"ab" * 13 + b"c"}, {"label too long": 1}, {}, 3, 3),
    "25 letters with a repeat do": ({"label_000000002": b"ab" * 12 + b"b"}, {}, {}, 0, 0),
    "26 letters with a repeat do not": (
        {"label_000000002": b"ab" * 12 + b"bc"},
        {"label too long": 1},
        {},
        3,
        3,
    ),
    "an image twice": (
        {"image_000000003": encoded("one"), "label_000000003": b"ONE"},
        {},
        {"same image and label as an earlier one": 1},
        0,
        3,
    ),
    "an image with two labels": (
        {"image_000000003": encoded("one")},
        {},
        {"same image as an earlier one, another label": 1},
        0,
        3,
    ),
}


@pytest.mark.parametrize("case", FAULTS)
def test_check_finds(case, tmp_path, capsys):
    changes, errors, warnings, code, strict_code = FAULTS[case]
    path = change(make(tmp_path / "words", "one", "two", "three"), **changes)
    assert main(["dataset", "check", str(path), "--json", "-"]) == code
    found = json.loads(capsys.readouterr().out)
    assert (found["errors"], found["warnings"]) == (errors, warnings)
    assert found["verdict"] == ("failed" if code else "passed")
    assert main(["dataset", "check", str(path), "--strict"]) == strict_code
    out, err = capsys.readouterr()
    assert all(reason in out and reason in err for reason in (*errors, *warnings))


def test_check_names_the_samples(tmp_path, capsys):
    path = change(
        make(tmp_path / "words", "one", "two", "three"),
        label_000000002=b"a b",
        image_000000003=encoded("one"),
    )
    main(["dataset", "check", str(path)])
    err = capsys.readouterr().err
    assert "test_2: 'a b' holds ' '" in err
    assert "test_3: as test_1" in err


def test_check_finds_the_test_in_the_training(tmp_path, capsys):
    train, test = (
        make(tmp_path / "train", "one", "two", "three"),
        make(tmp_path / "test", "nine", "two"),
    )
    command = ["dataset", "check", str(train), "--against", str(test)]
    assert main(command) == 0
    assert main(["dataset", "check", str(train), "--against", str(train)]) == 0
    assert "image is in the other set too: test_2: in" in capsys.readouterr().err
    assert main([*command, "--strict"]) == 3


def test_check_takes_other_alphabets_and_steps(tmp_path, capsys):
    path = make(tmp_path / "words", "Ab", "aB")
    assert main(["dataset", "check", str(path), "--alphabet", "abAB"]) == 0
    assert main(["dataset", "check", str(path), "--alphabet", "abA"]) == 3
    assert main(["dataset", "check", str(path), "--time-steps", "1"]) == 3
    (tmp_path / "letters.txt").write_text("ab\n")
    assert main(["dataset", "check", str(path), "--alphabet", f"@{tmp_path}/letters.txt"]) == 0


def test_real_words_pass(shared_data, capsys):
    assert main(["dataset", "check", str(shared_data / "IIIT5K_train_lmdb"), "--strict"]) == 0


def test_stats_count(tmp_path, capsys):
    path = make(tmp_path / "words", "one", "TWO", "Three", "11", "iPod")
    found = stats(change(path, image_000000005=b"broken"))
    assert found.lengths == {2: 1, 3: 2, 4: 1, 5: 1}
    assert found.cases == {"lower": 1, "upper": 1, "title": 1, "digits": 1, "mixed": 1}
    assert (found.samples, found.labelled, found.measured) == (5, 5, 4)
    assert found.quantiles["aspect"] == [3.0] * 7
    assert found.histograms["height"]["16 to 32"] == 4
    assert main(["dataset", "stats", str(path), "--plot", str(tmp_path / "plot.png")]) == 0
    assert "16 to 32  4      100.0" in capsys.readouterr().out
    assert size_of((tmp_path / "plot.png").read_bytes()) == (1200, 800)


def test_labels_of_any_script_are_plotted(tmp_path):
    path = make(tmp_path / "words", "中文", "$x$", "\\")
    assert main(["dataset", "stats", str(path), "--plot", str(tmp_path / "plot.png")]) == 0


def test_show_draws_a_sheet(tmp_path, capsys):
    path = change(make(tmp_path / "words", *"abcdefghij"), image_000000002=b"broken")
    assert main(["dataset", "show", str(path), str(tmp_path / "sheet.png"), "--columns", "4"]) == 0
    assert size_of((tmp_path / "sheet.png").read_bytes()) == (4 * 174 + 6, 3 * 96 + 6)
    assert (
        main(
            ["dataset", "show", str(path), str(tmp_path / "two.png"), "--keys", "test_1", "test_3"]
        )
        == 0
    )
    assert main(["dataset", "show", str(path), str(tmp_path / "no.png"), "--keys", "test_99"]) == 1
    assert "has no test_99" in capsys.readouterr().err
    assert not (tmp_path / "no.png").exists()


def test_show_takes_no_more_columns_than_words(tmp_path):
    path = make(tmp_path / "words", "one", "two", "three")
    assert (
        main(["dataset", "show", str(path), str(tmp_path / "row.png"), "--columns", "100000000"])
        == 0
    )
    assert size_of((tmp_path / "row.png").read_bytes()) == (3 * 174 + 6, 96 + 6)


def test_a_sheet_that_nothing_opens_is_refused():
    words = [Sample("test_1", encoded("one"), "one")] * 12_000
    with pytest.raises(
        InputError, match="a sheet of 12000 words, 8 in a row, would be 1398x144006 pixels"
    ):
        contact_sheet(words)


def test_show_draws_keys_in_the_order_given(tmp_path):
    path = make(tmp_path / "words", "one", "two", "three")
    wanted = ["test_3", "test_1"]
    samples = choose(LmdbSamples(path), 9, keys=wanted, seed=0)
    assert [sample.key for sample in samples] == wanted
    target = tmp_path / "sheet.png"
    assert main(["dataset", "show", str(path), str(target), "--keys", *wanted]) == 0
    sheet = contact_sheet(samples, keys=True)
    assert sheet.size == (2 * 174 + 6, 96 + 18 + 6)
    with Image.open(target) as drawn:
        assert np.array_equal(np.asarray(drawn), np.asarray(sheet))
    # The key is a line of its own below the label.
    assert (np.asarray(sheet.convert("L"))[6 + 72 + 18 : 6 + 72 + 36] < 128).any()


def test_a_long_label_stays_in_its_place(tmp_path):
    samples = [Sample("test_1", encoded("one"), "W" * 60), Sample("test_2", encoded("one"), "")]
    sheet = np.asarray(contact_sheet(samples).convert("L"))
    label_line = sheet[6 + 72 : 6 + 72 + 18]
    assert (label_line[:, :174] < 128).any()
    assert not (label_line[:, 174:] < 128).any()


def test_the_sheet_says_which_characters_no_font_has():
    none = Glyphs("a\ue000\ufdd0字", folders=[])
    assert none.lacking == "字", "Latin letters are Pillow's own"
    samples = [Sample("test_1", encoded("one"), "字")]
    plain, told = (contact_sheet(samples, glyphs=g) for g in (Glyphs("a", DEJAVU), none))
    assert told.size == (plain.size[0], plain.size[1] + 18)
    assert names_of("字") == "U+5B57"


def test_show_says_it_too(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("crnn.datasets.glyphs.PREFERRED", ())
    monkeypatch.setattr("crnn.datasets.glyphs.MOST", 0)
    path = make(tmp_path / "words", ("x", "aé字"))
    words = ["dataset", "show", str(path), str(tmp_path / "s.png"), "--font", str(DEJAVU)]
    assert main(words) == 0
    assert capsys.readouterr().err == (
        "no font here has U+5B57: drawn as ?; --font FILE gives one that has them\n"
    )
    assert main([*words[:-1], str(tmp_path / "words" / "data.mdb")]) == 1
    assert "is not a font that can be read" in capsys.readouterr().err


def test_a_collection_of_fonts_is_read(tmp_path):
    """As most Chinese fonts come: what a .ttf holds, behind a list of faces."""
    collection(DEJAVU, tmp_path / "some.ttc")
    assert find_fonts(tmp_path, "aé") == [tmp_path / "some.ttc"]
    glyphs = Glyphs("aé字", tmp_path / "some.ttc", folders=[])
    assert glyphs.lacking == "字"
    assert {"a", "é"} <= set(glyphs.files)
    with pytest.raises(InputError, match="no font with glyphs for '字'; it has 1 font files"):
        find_fonts(tmp_path, "字")


def collection(font, target):
    data = bytearray(font.read_bytes())
    head = struct.pack(">4sIII", b"ttcf", 0x10000, 1, 16)
    (tables,) = struct.unpack_from(">H", data, 4)
    for number in range(tables):
        place = 12 + 16 * number + 8
        (offset,) = struct.unpack_from(">I", data, place)
        struct.pack_into(">I", data, place, offset + len(head))
    target.write_bytes(head + bytes(data))


def test_bars_are_of_equal_bins_and_no_length_is_left_out():
    for bounds in (SIZES, ASPECTS):
        assert len({high - low for low, high in zip(bounds, bounds[1:])}) == 1
    assert stats_module._every_length({2: 5, 5: 1}) == {"2": 5, "3": 0, "4": 0, "5": 1}
    assert held({"a": 0, "b": 1, "c": 0, "d": 2, "e": 0}) == {"b": 1, "c": 0, "d": 2}


def test_show_says_it_as_json(tmp_path, capsys):
    path, sheet = make(tmp_path / "words", "one", "two"), tmp_path / "sheet.png"
    command = ["dataset", "show", str(path), str(sheet), "--json"]
    assert main([*command, "-"]) == 0
    assert json.loads(capsys.readouterr().out) == {"words": 2, "sheet": str(sheet)}
    assert main([*command, str(tmp_path / "show.json")]) == 0
    assert json.loads((tmp_path / "show.json").read_text()) == {"words": 2, "sheet": str(sheet)}
    assert "words" in capsys.readouterr().out


def test_words_are_chosen_evenly_and_again(tmp_path):
    path = make(tmp_path / "words", *"abcdefghij")
    picks = [
        tuple(s.label for s in choose(LmdbSamples(path), 3, keys=None, seed=seed))
        for seed in range(200)
    ]
    assert picks[7] == tuple(s.label for s in choose(LmdbSamples(path), 3, keys=None, seed=7))
    counts = {letter: sum(letter in pick for pick in picks) for letter in "abcdefghij"}
    assert 35 < min(counts.values()) <= max(counts.values()) < 90


# What a label can be once it has been through a converter: stripped, without control characters.
label = (
    st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=30)
    .map(str.strip)
    .filter(lambda text: text and "\ufffd" not in text and "ï¿½" not in text)
)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(label, st.sampled_from(["PNG", "JPEG", "BMP", "GIF"])), min_size=1, max_size=8
    )
)
def test_lmdb_to_files_and_back(tmp_path_factory, words):
    folder = tmp_path_factory.mktemp("trip")
    with new_lmdb(folder / "words") as writer:
        for text, kind in words:
            writer.add(encoded(text, kind), text, [[text.split()[0], "other"]])
    extract(folder / "words", folder / "files")
    files = folder / "files"
    options = ConvertOptions(
        annotation=files / "annotation.txt", form="tab", lexicons=files / "lexicons.txt"
    )
    convert("folder", files, folder / "again", options)
    first, second = LmdbSamples(folder / "words"), LmdbSamples(folder / "again")
    assert [(s.image, s.label) for s in first] == [(s.image, s.label) for s in second]
    assert [first.lexicons(n) for n in range(1, 9)] == [second.lexicons(n) for n in range(1, 9)]


def test_a_lexicon_without_words_survives_the_way_to_files_and_back(tmp_path):
    with new_lmdb(tmp_path / "words") as writer:
        writer.add(encoded("one"), "one", [[]])
        writer.add(encoded("two"), "two", [["two", "too"]])
    extract(tmp_path / "words", tmp_path / "files")
    assert (tmp_path / "files/lexicons.txt").read_text() == "word_000000002\ttwo too\n"
    files = tmp_path / "files"
    options = ConvertOptions(
        annotation=files / "annotation.txt", form="tab", lexicons=files / "lexicons.txt"
    )
    convert("folder", files, tmp_path / "again", options)
    again = LmdbSamples(tmp_path / "again")
    assert (again.lexicons(1), again.lexicons(2)) == ((), (("two", "too"),))


def test_labels_that_are_not_utf8_are_left_out_and_counted(tmp_path, capsys):
    make(tmp_path / "words", "one", "two", "three", "four")
    path = change(tmp_path / "words", label_000000002=b"caf\xe9")
    extracted = ["dataset", "extract", str(path)]
    part = str(tmp_path / "part")
    commands = (
        ["dataset", "merge", str(path), "--out", str(tmp_path / "merged")],
        [
            "dataset",
            "split",
            str(path),
            "--seed",
            "1",
            "--part",
            f"{part}1=0.5",
            "--part",
            f"{part}2=0.5",
        ],
        [*extracted, str(tmp_path / "files")],
        [*extracted, str(tmp_path / "sdk"), "--form", "sdk"],
    )
    for command in commands:
        assert main([*command, "--json", "-"]) == 0
        assert json.loads(capsys.readouterr().out)["skipped"] == {"label not UTF-8": 1}
    assert labels(tmp_path / "merged") == ["one", "three", "four"]
    assert sorted(labels(tmp_path / "part1") + labels(tmp_path / "part2")) == [
        "four",
        "one",
        "three",
    ]
    written = (tmp_path / "files/annotation.txt").read_text() + (
        tmp_path / "sdk/words_gt.txt"
    ).read_text()
    assert "\ufffd" not in written
    assert written.count("three") == 2


@pytest.mark.parametrize("form", ["tab", "comma", "space", "quoted"])
def test_every_form_is_read_back_by_its_content(form, tmp_path):
    words = ["one", 'say "hi"', "a,b", "x:y", "back\\slash"]
    extract(make(tmp_path / "words", *words), tmp_path / "files", form=form)
    convert(
        "folder",
        tmp_path / "files",
        tmp_path / "again",
        ConvertOptions(annotation=tmp_path / "files/annotation.txt"),
    )
    assert labels(tmp_path / "again") == words


def test_extract_writes_the_sdk_form(tmp_path, capsys):
    path = change(
        make(tmp_path / "IIIT5K_lmdb", "one", "two", "three"),
        image_000000002=None,
        label_000000003=b"a\nb",
    )
    assert main(["dataset", "extract", str(path), str(tmp_path / "out"), "--form", "sdk"]) == 0
    assert (
        tmp_path / "out/IIIT5K_lmdb_gt.txt"
    ).read_text() == "image-000000001 one\nimage-000000003 a b\n"
    assert sorted(os.listdir(tmp_path / "out/IIIT5K_lmdb_img")) == [
        "image-000000001.jpg",
        "image-000000003.jpg",
    ]
    out = capsys.readouterr().out
    assert "missing image" in out
    assert "line break in label" in out
    assert main(["dataset", "extract", str(path), str(tmp_path / "out"), "--form", "sdk"]) == 1


def test_merge_keeps_order_and_lexicons(tmp_path):
    with new_lmdb(tmp_path / "a") as writer:
        writer.add(encoded("one"), "one", [["one", "won"]])
        writer.set_lexicon(["one"])
    make(tmp_path / "b", "two", "one")
    done = merge([tmp_path / "a", tmp_path / "b"], tmp_path / "out")
    merged = LmdbSamples(tmp_path / "out")
    assert [sample.label for sample in merged] == ["one", "two", "one"]
    assert (merged.lexicons(1), merged.lexicons(2), merged.lexicon()) == (
        (("one", "won"),),
        (),
        ("one",),
    )
    assert (dict(done.words), dict(done.skipped)) == ({str(tmp_path / "out"): 3}, {})
    done = merge([tmp_path / "a", tmp_path / "b"], tmp_path / "once", drop_duplicates=True)
    assert (labels(tmp_path / "once"), sum(done.skipped.values())) == (["one", "two"], 1)


def test_check_and_merge_say_what_they_compare(tmp_path, capsys):
    path = make(tmp_path / "words", "one", ("one", "ONE"), ("one", "one"))
    assert main(["dataset", "check", str(path), "--json", "-"]) == 0
    checked = json.loads(capsys.readouterr().out)["warnings"]
    done = merge([path], tmp_path / "once", drop_duplicates=True)
    assert (labels(tmp_path / "once"), list(done.skipped.values())) == (["one", "ONE"], [1])
    # Two by the one measure, one by the other: they must not go by one name.
    assert list(checked.values()) == [2]
    assert not set(checked) & set(done.skipped)


def test_an_lmdb_can_be_merged_into_itself(tmp_path):
    path = make(tmp_path / "a", "one")
    merge([path, make(tmp_path / "b", "two")], path, force=True)
    assert labels(path) == ["one", "two"]


@pytest.mark.parametrize("by", ["image", "label"])
def test_split_leaks_nothing(by, tmp_path):
    # Forty images, twenty labels in two cases, every fourth image twice, two images under a second
    # label.
    words = [(f"{n}", f"W{n % 20}" if n % 2 else f"w{n % 20}") for n in range(40)]
    words += [(f"{n}", f"w{n % 20}") for n in range(0, 40, 4)] + [("1", "other"), ("5", "other")]
    path = make(tmp_path / "words", *words)
    parts = [(tmp_path / "train", 0.7), (tmp_path / "val", 0.3)]
    split(path, parts, seed=3, by=by)
    sides = [[(s.image, (s.label or "").lower()) for s in LmdbSamples(part)] for part, _ in parts]
    assert sorted(sides[0] + sides[1]) == sorted(
        (encoded(shown), text.lower()) for shown, text in words
    )
    assert not {image for image, _ in sides[0]} & {image for image, _ in sides[1]}
    if by == "label":
        assert not {text for _, text in sides[0]} & {text for _, text in sides[1]}
    assert 0.6 < len(sides[0]) / len(words) < 0.8


def test_split_goes_by_its_seed(tmp_path):
    path = make(tmp_path / "words", *"abcdefghijklmnopqrst")
    shares = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        split(path, [(tmp_path / f"{name}1", 0.75), (tmp_path / f"{name}2", 0.25)], seed=seed)
        shares.append(labels(tmp_path / f"{name}1"))
    assert shares[0] == shares[1] != shares[2]
    assert [len(share) for share in shares] == [15, 15, 15]
    assert all(share == sorted(share) for share in shares)


BAD_SPLITS = {
    "shares that do not add up": (["a=0.5", "b=0.4"], 2, "expected a sum of 1"),
    "one part": (["a=1"], 2, "expected a sum of 1"),
    "the same part twice": (["a=0.5", "./a=0.5"], 2, "two parts have the same path"),
    "a part inside another": (["n=0.5", "n/b=0.5"], 2, "the part n/b lies in the part n"),
    "and the other way round": (["./n/b/c=0.5", "n=0.5"], 2, "lies in the part n;"),
    "no share": (["a"], 2, "is not an LMDB=FRACTION"),
    "percent": (["a=90", "b=10"], 2, "not a fraction from 0 to 1"),
    "too few words": (["a=0.9", "b=0.1"], 1, "would be empty"),
}


@pytest.mark.parametrize("case", BAD_SPLITS)
def test_bad_splits(case, tmp_path, monkeypatch, capsys):
    parts, code, message = BAD_SPLITS[case]
    monkeypatch.chdir(tmp_path)
    make(tmp_path / "words", "one")
    arguments = [word for part in parts for word in ("--part", part)]
    assert main(["dataset", "split", "words", "--seed", "1", *arguments]) == code
    assert message in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["words"]


FULL = """
import resource, sys
from crnn.cli.main import main
resource.setrlimit(resource.RLIMIT_FSIZE, (100000,) * 2)
sys.exit(main(sys.argv[1:]))
"""


def test_a_part_that_cannot_be_finished_leaves_all_parts_as_they_were(tmp_path):
    with new_lmdb(tmp_path / "words") as writer:
        for number in range(20):
            writer.add(encoded(f"{number}"), f"{number}")
        writer.add(bytes(200000), "beyond the limit for a file")
    first, last = make(tmp_path / "first", "old"), make(tmp_path / "last", "old")
    command = ["dataset", "split", str(tmp_path / "words"), "--seed", "1", "--force"]
    command += ["--part", f"{first}=0.5", "--part", f"{last}=0.5"]
    done = subprocess.run(
        [sys.executable, "-c", FULL, *command],
        # What counts the lines would meet the limit too.
        env=uncounted(),
        capture_output=True,
        text=True,
        check=False,
    )
    # The seed puts the large image into the first part, which is the last to be put in its place.
    assert f"error: the LMDB {first} cannot be written: " in joined(done.stderr)
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert (labels(first), labels(last)) == (["old"], ["old"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first", "last", "words"]


def test_split_by_nonsense_is_refused(tmp_path):
    with pytest.raises(UsageError, match="split by 'colour'"):
        split(
            make(tmp_path / "words", "one"),
            [(tmp_path / "a", 0.5), (tmp_path / "b", 0.5)],
            seed=1,
            by="colour",
        )
