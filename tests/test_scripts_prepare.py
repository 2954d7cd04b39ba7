"""parse_testdata.py, get_info.py and crnn prepare as their users call them; what bad input gets is
a line, no trace.
"""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Callable, List

import lmdb
import numpy as np
import pytest
from PIL import Image

from crnn.cli.main import main
from crnn.cli.scripts import get_info
from crnn.cli.verbs.prepare import parse_testdata
from crnn.spec import ModelSpec

ROOT = Path(__file__).resolve().parent.parent


def picture() -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.arange(3000, dtype=np.uint8).reshape(30, 100)).save(file, "PNG")
    return file.getvalue()


def write_lmdb(folder: Path, *labels: str) -> None:
    with lmdb.open(str(folder), map_size=1 << 22) as environment, environment.begin(
        write=True
    ) as writing:
        writing.put(b"num-samples", str(len(labels)).encode())
        for index, label in enumerate(labels, start=1):
            writing.put(b"image-%09d" % index, b"hello" if label == "bad" else picture())
            writing.put(b"label-%09d" % index, label.encode())


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder but for an LMDB, a folder of images and files of other kinds."""
    monkeypatch.chdir(tmp_path)
    write_lmdb(tmp_path / "IIIT5K_lmdb", "You", "Rescue")
    write_lmdb(tmp_path / "bad_lmdb", "bad", "bad")
    write_lmdb(tmp_path / "empty_lmdb")
    for folder in ("photos", "bare", "my bins", "input_bin", "results", "good"):
        (tmp_path / folder).mkdir()
    (tmp_path / "photos" / "a.png").write_bytes(picture())
    (tmp_path / "photos" / "gt.txt").write_text("a.png,Ay\n")
    (tmp_path / "my bins" / "test_1.bin").write_bytes(b"")
    (tmp_path / "results" / "report.pdf").write_bytes(b"")
    (tmp_path / "bare" / "a.jpg").write_bytes(b"hello")
    (tmp_path / "good" / "a.jpg").write_bytes(picture())
    (tmp_path / "file").write_text("hello " * 2000)
    (tmp_path / "nothing").write_text("")
    (tmp_path / "pointer").write_text(
        "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
    )
    (tmp_path / "spec.json").write_text(ModelSpec(characters="abc").to_json())
    (tmp_path / "gt.txt").write_text("a.png,x\nb.png\nc.png,z\n")
    return tmp_path


def script(name: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a script of the repository's top in the current folder, without help from the
    environment.
    """
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return subprocess.run(
        [sys.executable, str(ROOT / name), *words],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )


def test_parse_testdata_without_arguments(here: Path) -> None:
    done = script("parse_testdata.py", "--info", "crnn.info")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(
        r"2 samples: 2 bins \(1x32x100 float32\) in \./input_bin, 2 labels in label\.txt \(\d+\.\d"
        r" s\)",
        " ".join(done.stdout.split()),
    )
    assert (here / "label.txt").read_text() == "test_1.bin:you\ntest_2.bin:rescue\n"
    assert (here / "input_bin" / "test_1.bin").stat().st_size == 12800
    info = script("get_info.py", "bin", "./input_bin", "again.info", "100", "32")
    assert (info.returncode, info.stdout) == (0, "2 files in again.info\n")
    assert (here / "again.info").read_bytes() == (here / "crnn.info").read_bytes()


def test_the_constants_at_the_top_are_what_counts(here: Path) -> None:
    text = (ROOT / "parse_testdata.py").read_text()
    assert 'test_dir = "./IIIT5K_lmdb"\noutput_bin = "./input_bin"\n' in text
    assert parse_testdata("./photos", "./elsewhere", []) == 0
    assert (here / "elsewhere" / "test_1.bin").exists()
    assert parse_testdata("./photos", "./elsewhere", ["IIIT5K_lmdb"]) == 0
    assert (here / "elsewhere" / "test_2.bin").exists()
    assert parse_testdata("./photos", "./elsewhere", ["IIIT5K_lmdb", "third"]) == 0
    assert (here / "third" / "test_2.bin").exists()


def test_an_absent_default_says_how_to_name_another(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert parse_testdata("./absent", "./elsewhere", []) == 1
    err = capsys.readouterr().err
    assert err.startswith("crnn: error: absent does not exist; expected an LMDB")
    assert "\n  It is the default. Name yours: python parse_testdata.py LMDB OUT_DIR\n" in err


@pytest.mark.skipif(
    sys.version_info < (3, 10), reason="the list of the standard library's modules came with 3.10"
)
@pytest.mark.parametrize("words", [["bin", "input_bin", "a.info", "100", "32"], ["--help"]])
def test_get_info_imports_nothing_beyond_the_standard_library(here: Path, words: List[str]) -> None:
    (here / "input_bin" / "test_1.bin").write_bytes(b"")
    program = (
        "import runpy, sys\n"
        "class Block:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] not in {*sys.stdlib_module_names, 'crnn'}:\n"
        "            raise ImportError('blocked: ' + name)\n"
        "sys.meta_path.insert(0, Block())\n"
        f"sys.path.insert(0, {str(ROOT)!r})\n"
        f"sys.argv = ['get_info.py', *{words!r}]\n"
        f"runpy.run_path({str(ROOT / 'get_info.py')!r}, run_name='__main__')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_jpegs(here: Path) -> None:
    for name, size in (("b.JPEG", (7, 5)), ("a.jpg", (3, 2))):
        Image.new("RGB", size).save(here / "photos" / name, "JPEG")
    assert get_info(["jpg", "photos", "jpg.info"]) == 0
    assert (here / "jpg.info").read_text() == "0 photos/a.jpg 3 2\n1 photos/b.JPEG 7 5\n"


def test_json_alone_on_stdout(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_lmdb(here / "mixed", "You", "bad", "Café")
    assert main(["prepare", "mixed", "out", "--json", "-"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["schema"] == "crnn-prepare/1"
    assert (found["samples"], found["bins"], found["labels"], found["shape"]) == (
        3,
        2,
        3,
        [1, 32, 100],
    )
    assert found["counts"] == {"label outside the alphabet": 1, "not an image": 1}
    assert found["named"][1] == {
        "key": "test_3",
        "reason": "label outside the alphabet",
        "detail": "'café' has 'é'",
    }
    assert main(["prepare", "mixed", "out", "--json", "summary.json"]) == 0
    written = json.loads((here / "summary.json").read_text())
    assert {**written, "seconds": 0} == {**found, "seconds": 0}
    assert "1 not an image: no bin, and will count as wrong" in capsys.readouterr().out


def test_options_reach_the_work(here: Path) -> None:
    words = [
        "photos",
        "out",
        "--annotation",
        "photos/gt.txt",
        "--form",
        "comma",
        "--label",
        "l.txt",
    ]
    assert main(["prepare", *words, "--dtype", "uint8", "--threads", "1"]) == 0
    assert (here / "out" / "test_1.bin").stat().st_size == 3200
    assert (here / "l.txt").read_text() == "test_1.bin:ay\n"
    assert main(["prepare", *words, "--spec", "spec.json", "--oov", "strip"]) == 0
    assert (here / "l.txt").read_text() == "test_1.bin:a\n"
    (here / "model.om.json").write_text(json.dumps({"spec": ModelSpec(width=60).to_dict()}))
    assert main(["prepare", *words, "--spec", "model.om.json", "--skip-bad"]) == 0
    assert (here / "out" / "test_1.bin").stat().st_size == 32 * 60 * 4
    assert main(["prepare", "photos", "results", "--force"]) == 0
    assert sorted(path.name for path in (here / "results").iterdir()) == ["test_1.bin"]


def prepare(*words: str) -> int:
    return main(["prepare", *words])


def historical(*words: str) -> int:
    return parse_testdata("./gone_lmdb", "./input_bin", list(words))


def info(*words: str) -> int:
    return get_info(list(words))


BAD: list[tuple[Callable[..., int], list[str], int, str]] = [
    (historical, [], 1, r"gone_lmdb does not exist; expected an LMDB "),
    (
        historical,
        ["no/such/lmdb"],
        1,
        r"no/such/lmdb does not exist; expected an LMDB.*nor does its folder no/such",
    ),
    (historical, ["file"], 1, r"file cannot be read as an LMDB: MDB_INVALID"),
    (historical, ["nothing"], 1, r"nothing is empty; expected an LMDB"),
    (historical, ["pointer"], 1, r"pointer is a Git LFS pointer.*\n.*git lfs pull"),
    (
        historical,
        ["empty_lmdb"],
        1,
        r"empty_lmdb/data\.mdb holds no samples: it has the keys 'num-samples'",
    ),
    (historical, ["bad_lmdb"], 1, r"no sample of bad_lmdb could be prepared: 2 not an image"),
    (
        historical,
        ["bare"],
        1,
        r"bare needs one annotation file.*found none that ends in \.txt.*\n.*--annotation",
    ),
    (historical, ["IIIT5K_lmdb", "file"], 1, r"file: it is a file; expected a folder"),
    (
        historical,
        ["IIIT5K_lmdb", "."],
        1,
        r"it is, or holds, the current folder, and would be replaced",
    ),
    (historical, ["IIIT5K_lmdb", "no/such"], 1, r"the folder .*/no does not exist\n.*mkdir -p"),
    (
        historical,
        ["IIIT5K_lmdb", "results"],
        1,
        r"results holds 1 entries .*such as report\.pdf\n.*--force",
    ),
    (historical, ["IIIT5K_lmdb", "out", "third"], 2, r"unrecognized arguments: third"),
    (historical, ["IIIT5K_lmdb", "out", "--lable", "x"], 2, r"--lable.*did you mean --label\?"),
    (historical, ["IIIT5K_lmdb", "out", "--forc"], 2, r"--forc.*did you mean"),
    (prepare, [], 2, r"the following arguments are required: DATA, OUT_DIR"),
    (prepare, ["IIIT5K_lmdb"], 2, r"the following arguments are required: OUT_DIR"),
    (prepare, ["IIIT5K_lmdb", "out", "--oov", "ignore"], 2, r"invalid choice: 'ignore' .*keep"),
    (prepare, ["IIIT5K_lmdb", "out", "--dtype", "float16"], 2, r"invalid choice: 'float16'"),
    (prepare, ["IIIT5K_lmdb", "out", "--threads", "0"], 2, r"'0' is not a whole number from 1"),
    (
        prepare,
        ["IIIT5K_lmdb", "out", "--label", "photos"],
        1,
        r"photos is a folder; expected the name of a file",
    ),
    (
        prepare,
        ["IIIT5K_lmdb", "out", "--label", "no/l.txt"],
        1,
        r"the folder .*no does not exist\n.*mkdir -p",
    ),
    (prepare, ["IIIT5K_lmdb", "out", "--label", "out"], 2, r"name the same place; expected three"),
    (
        prepare,
        ["IIIT5K_lmdb", "my bins", "--info", "x.info"],
        1,
        r"'my bins/test_1\.bin' holds white space",
    ),
    (prepare, ["IIIT5K_lmdb", "out", "--json", "no/x.json"], 1, r"the folder no does not exist"),
    (
        prepare,
        ["IIIT5K_lmdb", "out", "--annotation", "gt.txt"],
        1,
        r"IIIT5K_lmdb is not a folder of images",
    ),
    (
        prepare,
        ["IIIT5K_lmdb", "out", "--spec", "gone.json"],
        1,
        r"no file gone\.json, and no preset of that name",
    ),
    (prepare, ["IIIT5K_lmdb", "out", "--spec", "file"], 1, r"file is not an ONNX file, an OM or a"),
    (prepare, ["IIIT5K_lmdb", "out", "--spec", "photos"], 1, r"photos holds no \.om at all"),
    (
        prepare,
        ["photos", "out", "--annotation", "gone.txt"],
        1,
        r"gone\.txt does not exist; expected an annotation file",
    ),
    (
        prepare,
        ["photos", "out", "--annotation", "gt.txt"],
        1,
        r"gt\.txt line 2 is 'b\.png'; expected the form 'comma'",
    ),
    (
        prepare,
        ["photos", "out", "--form", "xml"],
        1,
        r"'xml' is not a form of annotation; expected one of quoted",
    ),
    (
        prepare,
        ["IIIT5K_lmdb", "IIIT5K_lmdb", "--force"],
        1,
        r"it is, or holds, the data, and would be replaced",
    ),
    (
        prepare,
        ["IIIT5K_lmdb", "/proc/out"],
        1,
        r"cannot write /proc/.*(nothing was changed|is write-protected)",
    ),
    (info, [], 2, r"the following arguments are required: kind, DIR, OUT\.info"),
    (info, ["png", "photos", "x.info"], 2, r"invalid choice: 'png'"),
    (info, ["bin", "input_bin", "x.info"], 2, r"bin needs W and H, as in: 100 32"),
    (info, ["bin", "input_bin", "x.info", "100"], 2, r"bin needs W and H"),
    (info, ["jpg", "photos", "x.info", "100", "32"], 2, r"jpg takes no W and H"),
    (info, ["bin", "input_bin", "x.info", "100", "-32"], 2, r"'-32' is not a whole number from 1"),
    (info, ["bin", "input_bin", "x.info", "wide", "32"], 2, r"'wide' is not a whole number from 1"),
    (
        info,
        ["bin", "gone", "x.info", "100", "32"],
        1,
        r"gone does not exist; expected a folder of \.bin files",
    ),
    (
        info,
        ["bin", "file", "x.info", "100", "32"],
        1,
        r"file is a file; expected a folder of \.bin files",
    ),
    (info, ["bin", "input_bin", "x.info", "100", "32"], 1, r"input_bin holds no \.bin files"),
    (info, ["jpg", "photos", "x.info"], 1, r"photos holds no \.jpg or \.jpeg files"),
    (info, ["jpg", "bare", "x.info"], 1, r"bare/a\.jpg: not an image: begins with b'hello'"),
    (
        info,
        ["bin", "my bins", "x.info", "100", "32"],
        1,
        r"'my bins/test_1\.bin' holds white space",
    ),
    (info, ["jpg", "good", "no/x.info"], 1, r"the folder no does not exist"),
]


@pytest.mark.parametrize(
    ("command", "words", "code", "message"),
    BAD,
    ids=[f"{row[0].__name__} {' '.join(row[1])}" for row in BAD],
)
def test_bad_input_gets_a_line_and_an_exit_code(
    here: Path,
    capsys: pytest.CaptureFixture[str],
    command: Callable[..., int],
    words: list[str],
    code: int,
    message: str,
) -> None:
    before = sorted(str(path) for path in here.rglob("*"))
    assert command(*words) == code
    said = capsys.readouterr()
    assert re.search(message, said.err), said.err
    assert said.out == ""
    assert "Traceback" not in said.err
    assert sorted(str(path) for path in here.rglob("*")) == before
