"""Annotation files: each form, told by content, and what fits none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crnn.errors import InputError
from crnn.samples.annotations import EXAMPLES, FORMS, read_annotations


def read(
    folder: Path, content: str | bytes, form: str | None = None
) -> tuple[str, list[tuple[str, str]]]:
    path = folder / "gt.txt"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    annotations = read_annotations(path, form)
    return annotations.form, [(entry.name, entry.label) for entry in annotations.entries]


FILES = {
    # id: (content, form, the last pair)
    "IIIT5K": ("train/1_1.png,you\ntrain/2_1.png,RESCUE\n", "comma", ("train/2_1.png", "RESCUE")),
    "commas in labels": ("a.png,you\nb.png,1,000\nc.png,x\n", "comma", ("c.png", "x")),
    "a space after the comma": ("a.png, you\nb.png, me\n", "comma", ("b.png", "me")),
    "ICDAR 2003": (
        "1_word.jpg,self,\n2_word.jpg,adhesive,\n",
        "comma-trailing",
        ("2_word.jpg", "adhesive"),
    ),
    "ICDAR 2013": (
        'word_1.png, "Tiredness"\r\nword_2.png, "kills"\r\n',
        "quoted",
        ("word_2.png", "kills"),
    ),
    "byte order mark": ('\ufeffword_1.png, "A"\r\nword_2.png, "B"', "quoted", ("word_2.png", "B")),
    "escaped quotes": (
        'w_1.png, "x"\nw_2.png, "\\"a\\\\b,\\" c"\n',
        "quoted",
        ("w_2.png", '"a\\b," c'),
    ),
    "SVT": ("img_0.jpg,LIVING,0\nimg_1.jpg,ROOM,0\n", "comma-index", ("img_1.jpg", "ROOM")),
    "MMOCR": (
        "1223731.jpg GRAND\n1223733.jpg HOTEL CALIFORNIA\n",
        "space",
        ("1223733.jpg", "HOTEL CALIFORNIA"),
    ),
    "extracted LMDB": (
        "image-000000001 you\nimage-000000002 a,b:c\n",
        "space",
        ("image-000000002", "a,b:c"),
    ),
    "label.txt": (
        "test_1.bin:you\ntest_3.bin:12:30, noon\n",
        "colon",
        ("test_3.bin", "12:30, noon"),
    ),
    "TSV": ("a.png\tyou\nb.png\tone, two: three\n", "tab", ("b.png", "one, two: three")),
    "MMOCR's JSON lines": (
        '{"filename": "a b.jpg", "text": "é\\n"}\n',
        "jsonl",
        ("a b.jpg", "é\n"),
    ),
    "other keys": ('{"file_name": "a.jpg", "label": "x", "box": [1]}\n', "jsonl", ("a.jpg", "x")),
    "spaces in names": ("my photo.png,x y\nmy other.png,z\n", "comma", ("my other.png", "z")),
    "commas in names": ("a,b.png\tx\nc,d.png\ty\n", "tab", ("c,d.png", "y")),
    "names without suffix": ("one two\nthree four\n", "space", ("three", "four")),
    "names without suffix, colons": ("one:two\nthree:four five\n", "colon", ("three", "four five")),
    "empty labels": ("a.png,\nb.png,\nc.png,x\nd.png,y\ne.png,z\n", "comma", ("e.png", "z")),
    "blank lines": ("\n\na.png x\n  \n\r\nb.png y\n\n", "space", ("b.png", "y")),
    "a line separator that ends no line": (
        "a.png x\u2028y\nb.png \x85z\x0b\n",
        "space",
        ("b.png", "\x85z\x0b"),
    ),
    "non-ASCII": ("a.png 字\nb.png naïve\n", "space", ("b.png", "naïve")),
    "capitals in suffixes": ("A.PNG,x\nB.JPG,y\n", "comma", ("B.JPG", "y")),
    "one line": ("a.png x", "space", ("a.png", "x")),
}


@pytest.mark.parametrize("kind", FILES)
def test_forms_are_told_by_content(tmp_path: Path, kind: str) -> None:
    content, form, last = FILES[kind]
    found, pairs = read(tmp_path, content)
    assert (found, pairs[-1]) == (form, last)


def test_the_form_can_be_named(tmp_path: Path) -> None:
    content = "a.png,10,000\nb.png,20,000\n"
    assert read(tmp_path, content) == ("comma-index", [("a.png", "10"), ("b.png", "20")])
    assert read(tmp_path, content, "comma") == ("comma", [("a.png", "10,000"), ("b.png", "20,000")])


BAD = {
    "empty": (b"", None, "gt.txt is empty"),
    "blank": (b"\n \n", None, "holds no annotations"),
    "prose": (
        b"hello\nworld\n",
        None,
        "line 1 is 'hello'; most lines have none of the known forms",
    ),
    "XML": (b"<tagset>\n</tagset>\n", None, "line 1 is '<tagset>'; most lines"),
    "a line without label": (
        b"a.png,x\nb.png\nc.png,y\n",
        None,
        "line 2 is 'b.png'; expected the form 'comma'",
    ),
    # Taken as plain commas, all three labels would be wrong.
    "a line without quotes": (
        b'a.png, "x"\nb.png, y\nc.png, "z"\n',
        None,
        "line 2 is .*; expected the form 'quoted'",
    ),
    "a line number counts blank lines": (b"a.png,x\n\n\nb.png\nc.png,y\n", None, "line 4 is"),
    "unknown form": (
        b"a.png,x\n",
        "xml",
        "'xml' is not a form of annotation; expected one of quoted, jsonl, tab",
    ),
    "another form": (
        b"a.png,x\n",
        "colon",
        "line 1 is .*; expected the form 'colon', as the others: a.png:label",
    ),
    "not UTF-8": (
        b"a.png x\nb.png \xd7\xd6\n",
        None,
        r"is not UTF-8: line 2 is b'b.png \\xd7\\xd6",
    ),
    "UTF-16": ("a.png x\n".encode("utf-16"), None, "is not UTF-8: line 1 is"),
    "JSON cut off": (
        b'{"path": "a", "text": "x"}\n{"path"\n{"path": "b", "text": "y"}\n',
        None,
        "line 2 is",
    ),
    "JSON with a number": (b'{"filename": "a.png", "text": 7}\n', "jsonl", "line 1 is"),
    "JSON with two labels": (
        b'{"filename": "a.png", "text": "x", "label": "y"}\n',
        "jsonl",
        "line 1 is",
    ),
    "JSON with half a character": (
        b'{"filename": "a.png", "text": "\\ud800"}\n',
        "jsonl",
        "line 1 is",
    ),
    "deep JSON": (b'{"a":' * 100_000 + b"\n", "jsonl", "line 1 is"),
    "Git LFS pointer": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
        None,
        "Git LFS pointer",
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_fits_no_form_is_refused_with_its_line(tmp_path: Path, kind: str) -> None:
    content, form, message = BAD[kind]
    with pytest.raises(InputError, match=message):
        read(tmp_path, content, form)


def test_examples_are_of_their_form() -> None:
    assert list(FORMS) == list(EXAMPLES)
    for form, parse in FORMS.items():
        assert parse(EXAMPLES[form].replace("<TAB>", "\t")) == ("a.png", "label")


def quote(label: str) -> str:
    return label.replace("\\", "\\\\").replace('"', '\\"')


WRITERS = {
    "quoted": lambda name, label: f'{name}, "{quote(label)}"',
    "jsonl": lambda name, label: json.dumps({"filename": name, "text": label}),
    "tab": "{}\t{}".format,
    "comma-trailing": "{},{},".format,
    "comma-index": "{},{},7".format,
    "comma": "{},{}".format,
    "colon": "{}:{}".format,
    "space": "{} {}".format,
}
LABELS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n"), max_size=12)
NAMES = st.from_regex(r"[a-z0-9_/]{1,8}\.(png|jpg|JPEG)", fullmatch=True)


@pytest.mark.parametrize("form", FORMS)
@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    pairs=st.lists(
        st.tuples(NAMES, LABELS.map(lambda label: label.lstrip(" "))), min_size=1, max_size=5
    )
)
@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["LF", "CRLF"])
@pytest.mark.slow
def test_any_label_comes_back_in_its_named_form(
    tmp_path: Path, form: str, end: str, pairs: list[tuple[str, str]]
) -> None:
    content = "".join(WRITERS[form](name, label) + end for name, label in pairs)
    assert read(tmp_path, content, form) == (form, pairs)


@settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    content=st.one_of(
        st.binary(max_size=80), st.text('a.png, :"\\\t\n{}', max_size=60).map(str.encode)
    )
)
def test_any_bytes_are_read_or_refused(tmp_path: Path, content: bytes) -> None:
    try:
        _, pairs = read(tmp_path, content)
    except InputError:
        return
    assert pairs
    assert all(name and "\n" not in name + label for name, label in pairs)


def test_real_files(shared_data: Path) -> None:
    words = read_annotations(shared_data / "annotations" / "ic15" / "train_gt.txt")
    assert (words.form, len(words.entries)) == ("quoted", 4468)
    assert words.entries[0][:2] == ("word_1.png", "Genaxis Theatre")
    assert words.entries[1012][:2] == ("word_1013.png", 'READER"')
    assert words.entries[1017].label == '"SCAN"'
    for name, form in (("old_label.txt", "space"), ("old_label.jsonl", "jsonl")):
        toy = read_annotations(shared_data / "toy_lmdb" / name)
        assert (toy.form, [entry.label for entry in toy.entries[:4]]) == (
            form,
            ["GRAND", "HOTEL", "HOTEL", "PACIFIC"],
        )
