"""CSV: quotes, columns, first rows that name them, encodings; and JSON lines of other keys."""

from __future__ import annotations

import contextlib
import csv
import io
from pathlib import Path
from typing import List, Optional, Sequence, Tuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crnn.cli.main import main
from crnn.errors import InputError, UsageError
from crnn.samples.annotations import read_annotations
from crnn.samples.lmdb import LmdbSamples
from tests.models import write_echo_model, write_images

Pairs = List[Tuple[str, str]]


def read(
    folder: Path,
    content: str,
    *,
    file: str = "labels.csv",
    columns: Optional[Tuple[str, str]] = None,
    encoding: Optional[str] = None,
) -> Tuple[Pairs, Sequence[str]]:
    path = folder / file
    path.write_bytes(content.encode(encoding or "utf-8"))
    found = read_annotations(path, columns=columns, encoding=encoding)
    return [(entry.name, entry.label) for entry in found.entries], found.notes


TABLES = {
    # id: (file, content, the pairs, the words of the note)
    "some quoted": (
        "labels.csv",
        '1.png,Tel\n2.png,"Coast, North"\n3.png,"say ""hi"""\n',
        [("1.png", "Tel"), ("2.png", "Coast, North"), ("3.png", 'say "hi"')],
        "",
    ),
    "most quoted": (
        "LABELS.CSV",
        '1.png,"a"\r\n2.png,"b,c"\r\n3.png,d\r\n',
        [("1.png", "a"), ("2.png", "b,c"), ("3.png", "d")],
        "",
    ),
    "all fields quoted": (
        "l.csv",
        '"1.png","a"\n"2.png",""""\n',
        [("1.png", "a"), ("2.png", '"')],
        "",
    ),
    "EasyOCR": (
        "labels.csv",
        'filename,words\n1.png,Tel\n2.png,"a,b"\n',
        [("1.png", "Tel"), ("2.png", "a,b")],
        "image 'filename', label 'words'",
    ),
    "pandas with its index": (
        "l.csv",
        ",Label,Image\n0,Tel,1.png\n1,x,2.png\n",
        [("1.png", "Tel"), ("2.png", "x")],
        "image 'Image', label 'Label'",
    ),
    "three columns": (
        "l.csv",
        "id,filename,text\n7,1.png,Tel\n8,2.png,x\n",
        [("1.png", "Tel"), ("2.png", "x")],
        "image 'filename', label 'text'",
    ),
    "a line for Excel": (
        "l.csv",
        "sep=;\nimage;label\n1.png;a,b\n2.png;c,d\n",
        [("1.png", "a,b"), ("2.png", "c,d")],
        "image 'image', label 'label'",
    ),
    "a line for Excel, quoted": (
        "l.csv",
        '\ufeff"SEP=|"\r\n1.png|a,b;c\r\n2.png|c\r\n',
        [("1.png", "a,b;c"), ("2.png", "c")],
        "",
    ),
    "a label's name above the images": (
        "l.csv",
        "word,score\n1.png,Tel\n2.png,x\n",
        [("1.png", "Tel"), ("2.png", "x")],
        "image 'word', label 'score'",
    ),
    "a first row of unknown words": (
        "l.csv",
        "picture,meaning\n1.png,Tel\n2.png,x\n",
        [("1.png", "Tel"), ("2.png", "x")],
        "image 'picture', label 'meaning'",
    ),
    "the label first": ("l.csv", "Tel,1.png\nx,2.png\n", [("1.png", "Tel"), ("2.png", "x")], ""),
    "semicolons": ("l.csv", "1.png;a,b\n2.png;x\n", [("1.png", "a,b"), ("2.png", "x")], ""),
    "tabs and quotes": (
        "l.tsv",
        'image\tlabel\n1.png\t"a ""b"""\n2.png\tc d\n',
        [("1.png", 'a "b"'), ("2.png", "c d")],
        "image 'image', label 'label'",
    ),
    "names without suffix": ("l.csv", "a,x\nb,y\n", [("a", "x"), ("b", "y")], ""),
    "MindSpore's SVT": ("l.csv", "1.png,a,0\n2.png,b,1\n", [("1.png", "a"), ("2.png", "b")], ""),
    "a line end in quotes": (
        "l.csv",
        '1.png,"a\nb"\n2.png,c\n',
        [("1.png", "a\nb"), ("2.png", "c")],
        "",
    ),
    "ICDAR's space": (
        "l.csv",
        '1.png, "a, b"\n2.png, c\n',
        [("1.png", "a, b"), ("2.png", "c")],
        "",
    ),
    "byte order mark": ("l.csv", "\ufeff1.png,a\n2.png,b\n", [("1.png", "a"), ("2.png", "b")], ""),
    "empty labels and rows": (
        "l.csv",
        "1.png,\n\n2.png,b\n,\n",
        [("1.png", ""), ("2.png", "b")],
        "",
    ),
}


@pytest.mark.parametrize("kind", TABLES)
def test_csv_is_read_as_csv(tmp_path: Path, kind: str) -> None:
    file, content, pairs, note = TABLES[kind]
    found, notes = read(tmp_path, content, file=file)
    assert found == pairs
    assert len(notes) == bool(note)
    assert note in "".join(notes)


CHOSEN = [
    ("7,Tel,1.png\n8,x,2.png\n", ("3", "2")),
    ("id,was,pic\n7,Tel,1.png\n8,x,2.png\n", ("pic", "was")),
    ("id,was,pic\n7,Tel,1.png\n8,x,2.png\n", ("PIC", "2")),
    ("id,was,pic\n7,Tel,1.png\n8,x,2.png\n", ("3", "2")),
    ("filename,text,key\nTel,zz,1.png\nx,zz,2.png\n", ("key", "filename")),
]


@pytest.mark.parametrize(("content", "columns"), CHOSEN)
def test_columns_are_taken_in_the_order_that_is_asked_for(
    tmp_path: Path, content: str, columns: Tuple[str, str]
) -> None:
    assert read(tmp_path, content, columns=columns)[0] == [("1.png", "Tel"), ("2.png", "x")]


REFUSED = [
    ("1.png,a,b\n2.png,c,d\n", None, "3 columns, and which is the label is not clear"),
    ("id,pic,val\n7,1.png,Tel\n8,2.png,x\n", None, "'id', 'pic', 'val'"),
    ("1.png,a\n2.png,b,c\n3.png,d\n", None, "line 2 .*3 columns; the others have 2"),
    ("1.png,a\n2.png\n3.png,d\n", None, "line 2 .*1 columns; the others have 2"),
    ('1.png,a\n2.png,"b"c\n3.png,d\n', None, "line 2 .*expected after"),
    ('1.png,a\n2.png,"b\n3.png,c"\n4.png,d\n', None, "a quote that is not closed"),
    ("1.png\n2.png\n", None, "has one column"),
    ("1.png,a\n", ("img", "2"), "has no column 'img'"),
    ("1.png,a\n", ("1", "3"), "has no column '3'; it has 2"),
]


@pytest.mark.parametrize(("content", "columns", "said"), REFUSED)
def test_what_is_unclear_or_broken_is_refused(
    tmp_path: Path, content: str, columns: Optional[Tuple[str, str]], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        read(tmp_path, content, columns=columns)


@given(
    st.lists(
        st.text(
            st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0"), max_size=12
        ).map(str.strip),
        min_size=1,
        max_size=8,
    ),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    st.sampled_from([(",", "l.csv"), ("\t", "l.tsv")]),
)
@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_what_pythons_csv_writes_reads_back(
    tmp_path: Path, labels: List[str], quoting: int, how: Tuple[str, str]
) -> None:
    sign, file = how
    pairs = [(f"{number}.png", label) for number, label in enumerate(labels)]
    text = io.StringIO()
    writer = csv.writer(text, delimiter=sign, quoting=quoting, lineterminator="\r\n")  # type: ignore[arg-type]
    writer.writerows(pairs)
    assert read(tmp_path, text.getvalue(), file=file)[0] == pairs


@pytest.mark.parametrize(
    "content",
    [
        "title\n1.png,x\n2.png,y\n",
        "filename,text,\n1.png,x\n2.png,y\n",
        "image,label,more\n1.png,x\n2.png,y\n3.png,z\n",
    ],
)
def test_a_first_row_of_another_width_is_named(tmp_path: Path, content: str) -> None:
    for columns in (None, ("1", "2"), ("2", "1")):
        with pytest.raises(InputError, match=r"line 1 .*columns; the others have 2"):
            read(tmp_path, content, columns=columns)


@given(
    st.lists(
        st.sampled_from(["1.png", "a", ",", ";", "\t", '"', '""', "\n", "\r\n", " ", "text", "\0"]),
        max_size=40,
    ),
    st.sampled_from([None, ("1", "2"), ("3", "1"), ("image", "text")]),
)
@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_whatever_stands_in_a_table_is_read_or_refused(
    tmp_path: Path, parts: List[str], columns: Optional[Tuple[str, str]]
) -> None:
    with contextlib.suppress(InputError):
        read(tmp_path, "".join(parts), columns=columns)


ENCODINGS = ["utf-16", "utf-16-le", "utf-16-be", "gb18030", "gbk", "big5", "utf-8-sig"]


@pytest.mark.parametrize("file", ["l.csv", "l.txt", "l.tsv"])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_other_encodings_are_read_by_their_names(tmp_path: Path, encoding: str, file: str) -> None:
    sign = {"l.csv": ",", "l.txt": " ", "l.tsv": "\t"}[file]
    content = f"1.png{sign}安全\n2.png{sign}物\n"
    assert read(tmp_path, content, file=file, encoding=encoding)[0] == [
        ("1.png", "安全"),
        ("2.png", "物"),
    ]


@pytest.mark.parametrize(
    ("encoding", "named"),
    [
        ("utf-16", "--encoding utf-16"),
        ("utf-16-le", "--encoding utf-16-le"),
        ("utf-16-be", "--encoding utf-16-be"),
        ("utf-32", "--encoding utf-32"),
        ("gbk", "--encoding gb18030"),
        ("gb18030", "--encoding gb18030"),
    ],
)
def test_another_encoding_is_refused_and_named(tmp_path: Path, encoding: str, named: str) -> None:
    # 装 in GBK is two bytes that are UTF-8 too: another letter, if its line were taken alone.
    (tmp_path / "l.txt").write_bytes("a.png\t装\nb.png\t实物图\n".encode(encoding))
    with pytest.raises(InputError, match="is not UTF-8") as caught:
        read_annotations(tmp_path / "l.txt")
    assert named in caught.value.hint


@pytest.mark.parametrize("bad", [0, 500, 1999])
def test_one_line_of_another_encoding_is_the_whole_file(tmp_path: Path, bad: int) -> None:
    lines = [f"{number}.png\tword\n".encode() for number in range(2000)]
    lines[bad] = b"x.png\tcaf\xe9\n"
    (tmp_path / "l.txt").write_bytes(b"".join(lines))
    with pytest.raises(InputError, match=f"is not UTF-8: line {bad + 1} is"):
        read_annotations(tmp_path / "l.txt")


@pytest.mark.parametrize("name", ["nonsense", "base64", "rot13", "ut\0f"])
def test_an_encoding_that_is_none_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "l.txt").write_text("a.png x\n")
    with pytest.raises(UsageError, match="Python knows no such encoding"):
        read_annotations(tmp_path / "l.txt", encoding=name)


def test_a_named_encoding_that_is_wrong_is_refused(tmp_path: Path) -> None:
    (tmp_path / "l.txt").write_bytes(b"a.png\tcaf\xe9\n")
    with pytest.raises(InputError, match="is not big5: line 1"):
        read_annotations(tmp_path / "l.txt", encoding="big5")


def test_a_file_of_utf8_under_another_name_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "l.txt").write_text("a.png\tgo\n", encoding="utf-8")
    with pytest.raises(InputError, match="is not utf-16: line 1") as caught:
        read_annotations(tmp_path / "l.txt", encoding="utf-16")
    assert caught.value.hint == "It is UTF-8: leave out --encoding."


@pytest.mark.parametrize(
    "content",
    [
        '{"img": "1.png", "txt": "a"}\n{"img": "2.png", "txt": "b"}\n',
        '{"1.png": "a", "2.png": "b"}\n',
        '[{"img": "1.png", "txt": "a"}]\n',
        '{\n  "1.png": "a"\n}\n',
        '[\n  {"img": "1.png"}\n]\n',
        '{"image": {"path": "1.png"}, "text": "a"}\n',
    ],
)
def test_json_of_other_keys_names_the_known_ones(tmp_path: Path, content: str) -> None:
    with pytest.raises(InputError, match="filename, file_name, .* text, label") as caught:
        read(tmp_path, content, file="l.txt")
    assert "--columns IMAGEKEY,LABELKEY" in caught.value.hint


def test_the_keys_of_json_lines_can_be_named(tmp_path: Path) -> None:
    path = tmp_path / "l.jsonl"
    path.write_text('{"img": "1.png", "txt": "a", "text": "z"}\n')
    found = read_annotations(path, "jsonl", columns=("img", "txt"))
    assert [(entry.name, entry.label) for entry in found.entries] == [("1.png", "a")]
    (tmp_path / "l.txt").write_text("1.png a\n")
    with pytest.raises(InputError, match="no columns to choose"):
        read_annotations(tmp_path / "l.txt", columns=("1", "2"))


def test_convert_and_evaluate_read_the_same_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = write_images(tmp_path / "words", ["good", "lamp"])
    (words / "annotation.txt").unlink()
    (words / "labels.csv").write_text('id,text,picture\n1,"good",1.png\n2,lamp,2.png\n')
    model = write_echo_model(tmp_path / "m.onnx")
    asked = ["--columns", "picture,text"]
    evaluate = ["evaluate", str(model), str(words), "--min-accuracy", "1", *asked]
    assert main(evaluate) == 0
    assert "the first row names the columns" in capsys.readouterr().err
    convert = ["dataset", "convert", "folder", str(words), str(tmp_path / "lmdb"), *asked]
    assert main([*convert, "--strict"]) == 0
    assert "the first row names the columns" in capsys.readouterr().err
    assert [sample.label for sample in LmdbSamples(tmp_path / "lmdb")] == ["good", "lamp"]
    prepare = ["prepare", str(words), str(tmp_path / "bins"), *asked]
    assert main([*prepare, "--label", str(tmp_path / "label.txt")]) == 0
    assert (tmp_path / "label.txt").read_text() == "test_1.bin:good\ntest_2.bin:lamp\n"
    bench = ["bench", str(model), "--data", str(words), "--loop", "1", "--batch", "1", *asked]
    assert main(bench) == 0


def test_the_keys_of_json_lines_need_no_form_beside_them(tmp_path: Path) -> None:
    lines = '{"pic": "1.png", "gt": "a"}\n{"pic": "2.png", "gt": "b"}\n'
    pairs, _ = read(tmp_path, lines, file="l.jsonl", columns=("pic", "gt"))
    assert pairs == [("1.png", "a"), ("2.png", "b")]
    pairs, _ = read(
        tmp_path,
        '{"image": "1.png", "text": "a", "raw": "b"}\n',
        columns=("image", "raw"),
        file="l",
    )
    assert pairs == [("1.png", "b")]


@pytest.mark.parametrize(
    ("content", "line"),
    [("1.png,a\n\n\n2.png\n3.png,c\n", 4), ('\n\n1.png,"a\n\nb"\n2.png\n3.png,c\n', 6)],
)
def test_empty_lines_of_a_table_are_counted(tmp_path: Path, content: str, line: int) -> None:
    with pytest.raises(InputError, match=f"line {line} .*1 columns"):
        read(tmp_path, content)


def test_an_empty_line_in_a_field_is_kept(tmp_path: Path) -> None:
    pairs, _ = read(tmp_path, '1.png,"a\n\nb"\n2.png,c\n')
    assert pairs == [("1.png", "a\n\nb"), ("2.png", "c")]


def test_lines_that_end_in_a_carriage_return_alone_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no row of CSV \(line 1: a carriage return by itself"):
        read(tmp_path, "1.png,a\r2.png,b\r")


def test_a_list_of_lists_in_json_is_no_list_of_lines(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected JSON lines, an object each line"):
        read(tmp_path, '[["1.png", "a"], ["2.png", "b"]]\n', file="l.json")
