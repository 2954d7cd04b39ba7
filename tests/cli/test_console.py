"""What every verb does with a terminal, a pipe, an encoding, an empty argument and a machine that
refuses.
"""

from __future__ import annotations

import argparse
import errno
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Callable, List

import pytest

from crnn.cli import console
from crnn.cli.arguments import refuse_overwriting
from crnn.cli.main import main, run
from crnn.cli.scripts import post_processing
from tests.conftest import ROOT


def started(command: Callable[[], int]) -> int:
    """Run a command as a verb's is run."""
    return run(argparse.Namespace(run=lambda args: command()))


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def stdout_in(monkeypatch: pytest.MonkeyPatch, encoding: str) -> io.BytesIO:
    raw = io.BytesIO()
    monkeypatch.setattr(
        sys,
        "stdout",
        io.TextIOWrapper(raw, encoding=encoding, errors="backslashreplace", write_through=True),
    )
    return raw


@pytest.mark.parametrize(
    ("encoding", "shown"), [("utf-8", "✓ 字 é"), ("gbk", "v 字 é"), ("ascii", r"v \u5b57 \xe9")]
)
def test_what_an_encoding_lacks_is_escaped(
    monkeypatch: pytest.MonkeyPatch, encoding: str, shown: str
) -> None:
    raw = stdout_in(monkeypatch, encoding)
    console.out("✓ 字 é")
    assert raw.getvalue().decode(encoding) == f"{shown}\n"


@pytest.mark.parametrize("encoding", ["utf-8", "gbk", "ascii"])
def test_json_is_json_in_every_encoding(monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    value = {"path": "模型é😀", "name of no encoding": "\udcff"}
    raw = stdout_in(monkeypatch, encoding)
    console.out_json(value)
    assert json.loads(raw.getvalue().decode("utf-8")) == value


def test_doctor_prints_where_stdout_is_ascii() -> None:
    command = [sys.executable, "-m", "crnn", "doctor"]
    ascii_only = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, capture_output=True, env=ascii_only, text=True, encoding="ascii", check=False
    )
    assert "Traceback" not in done.stderr
    assert "v  Python" in done.stdout


ROWS = [["✓", "Python", "3.11", ""], ["✗", "driver", "none at all", "Install it."]]
HEAD = ["", "check", "found", "remedy"]


@pytest.mark.parametrize(
    ("columns", "line"), [("99", "✗  driver  none at all  Install it."), ("30", "   → Install it.")]
)
def test_remedies_stand_below_where_the_terminal_is_narrow(
    monkeypatch: pytest.MonkeyPatch, columns: str, line: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setattr(sys, "stdout", Terminal())
    console.out_remedies(HEAD, ROWS)
    assert line in sys.stdout.getvalue().splitlines()


@pytest.mark.parametrize(("columns", "wide"), [("30", False), ("", True), ("120", True)])
def test_in_a_pipe_the_environment_says_how_wide_a_line_is_or_it_is_80(
    columns: str, wide: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    console.out_remedies(HEAD, ROWS)
    assert ("✗  driver  none at all  Install it." in capsys.readouterr().out.splitlines()) is wide


def test_numbers_stand_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    console.out_fields({"channels": [16, 32], "inputs": ["a", "b"], "gears": []})
    assert capsys.readouterr().out.splitlines() == [
        "channels  16, 32",
        "inputs    a",
        "inputs    b",
        "gears     none",
    ]


def test_no_progress_on_a_dumb_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr(sys, "stderr", Terminal())
    with console.progress("reading", 3) as advance:
        advance(3)
    assert sys.stderr.getvalue() == ""


def test_progress_on_a_terminal_names_the_work_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", Terminal())
    with console.progress("reading", 3) as advance:
        advance(3)
    shown = sys.stderr.getvalue()
    assert "reading" in shown
    assert "3/3" in shown
    assert shown.endswith("\x1b[2K")


def test_progress_without_rich_is_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", Terminal())
    for module in ("rich.console", "rich.progress"):
        monkeypatch.setitem(sys.modules, module, None)
    with console.progress("reading", None) as advance:
        while "reading" not in sys.stderr.getvalue():
            advance(1)
    assert re.fullmatch(r"\rreading \d+/\?\r\x1b\[K", sys.stderr.getvalue())


CLOSED = """
import os, sys
from pathlib import Path
os.close(0)
sys.stdout = sys.stderr = None
os.close(1)
os.close(2)
from crnn.cli import console
console.prepare_streams()
console.out("to nowhere")
console.note("nor this")
with open(sys.argv[1], "w") as file:
    file.write(str(file.fileno()))
"""


def test_closed_streams_are_not_lent_to_files(tmp_path: Path) -> None:
    target = tmp_path / "number"
    subprocess.run(
        [sys.executable, "-c", CLOSED, str(target)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
    )
    assert int(target.read_text()) > 2


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(["evaluate", "", "input_bin"], id="a path"),
        pytest.param(["evaluate", "m.onnx", "input_bin", "--json", ""], id="a file or stdout"),
        pytest.param(["prepare", "words_lmdb", ""], id="a folder to write"),
    ],
)
def test_an_empty_name_is_refused(words: List[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    assert "the name is empty; is a variable of the shell not set?" in capsys.readouterr().err


def test_a_dash_is_no_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "m.onnx", "input_bin", "--readings", "-"]) == 2
    assert (
        "--readings: - is not a file here; for a file of that name say ./-"
        in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    "words", [["explain", "507011"], ["doctor"], ["dataset", "stats", "{data}"]], ids=" ".join
)
def test_json_goes_to_a_file_beside_the_text_or_alone_to_stdout(
    words: List[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [word.format(data=ROOT / "examples" / "words_lmdb") for word in words]
    target = tmp_path / "result.json"
    code = main(words)
    shown = capsys.readouterr().out
    assert main([*words, "--json", str(target)]) == code
    assert capsys.readouterr().out == shown
    assert main([*words, "--json", "-"]) == code
    assert capsys.readouterr().out == target.read_text("utf-8")


def test_json_that_cannot_be_written_is_said_before_the_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["import", "mindspore", "no.ckpt", "out.pth", "--json", str(tmp_path / "no" / "x.json")]
    assert main(words) == 1
    assert "the folder" in capsys.readouterr().err


def test_an_empty_result_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--pre_dir", "b", "--modelpath", "m", "--label", "l", "--json_output_file", ""]
    assert post_processing(words) == 2
    assert "--json_output_file: the name is empty" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "near"),
    [
        (["evaluat"], "(did you mean evaluate?)"),
        (["dataset", "statz"], "(did you mean stats?)"),
        (["evaluate", "m", "d", "--min-acc", "0.5"], "(did you mean --min-accuracy?)"),
    ],
)
def test_the_nearest_word_is_suggested(
    words: List[str], near: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    assert near in capsys.readouterr().err


@pytest.mark.parametrize(
    "number",
    [errno.EACCES, errno.ENOSPC, errno.EROFS, errno.ENXIO, errno.ENOTCONN],
    ids=errno.errorcode.get,
)
def test_what_the_machine_refuses_has_no_traceback(
    number: int, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused() -> int:
        raise OSError(number, os.strerror(number), "some/file")

    assert started(refused) == 1
    assert capsys.readouterr().err == f"crnn: error: some/file: {os.strerror(number)}\n"


def test_a_missing_package_is_the_machines_lack(capsys: pytest.CaptureFixture[str]) -> None:
    def without(name: str) -> Callable[[], int]:
        def command() -> int:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

        return command

    assert started(without("PIL")) == 4
    # Where another Python than the checkout's runs this, that one is named too.
    told = "crnn: error: this needs Pillow, which is not installed\n  pip install Pillow"
    assert capsys.readouterr().err.startswith(told)
    with pytest.raises(ModuleNotFoundError):
        started(without("crnn.nonsense"))


def test_a_name_in_another_encoding_has_no_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = os.fsdecode(os.fsencode(str(tmp_path)) + b"/gbk_\xd6\xd0")
    assert (
        main(
            [
                "prepare",
                str(ROOT / "examples" / "words_lmdb"),
                name,
                "--label",
                f"{tmp_path}/l",
                "--info",
                f"{tmp_path}/i",
            ]
        )
        == 1
    )
    assert "is not UTF-8, as names must be here" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["evaluate", "m.onnx", "bins", "--label", "label.txt", "--readings", "label.txt"],
        ["evaluate", "m.onnx", "bins", "--label", "label.txt", "--json", "m.onnx"],
        ["evaluate", "m.onnx", "bins", "--label", "label.txt", "--json", "link.onnx"],
        ["evaluate", "m.onnx", "bins", "--label", "label.txt", "--json", "r", "--readings", "r"],
        ["quantize", "m.onnx", "m.onnx", "--calibrate", "words"],
        ["bench", "m.onnx", "--data", "words", "--plot", "m.onnx"],
        ["prepare", "words", "bins", "--label", "words/data.mdb"],
        ["import", "torch", "m.onnx", "out.pth", "--json", "out.pth"],
        ["dataset", "stats", "words", "--plot", "words/data.mdb"],
        ["dataset", "show", "words", "words/data.mdb"],
        [
            "evaluate",
            "m.onnx",
            "bins",
            "--label",
            "label.txt",
            "--spec",
            "s.json",
            "--json",
            "s.json",
        ],
        ["export", "m.pth", "out.onnx", "--alphabet", "@label.txt", "--json", "label.txt"],
        # What is read without being named.
        ["evaluate", "m.onnx", "bins", "--label", "label.txt", "--json", "bins.json"],
        ["evaluate", "m.onnx", "bins", "--label", "label.txt", "--json", "bins/1.bin"],
        ["inspect", "m.om", "--json", "m.om.json"],
        ["prepare", "images", "out", "--label", "images/list.txt"],
        ["evaluate", "m.onnx", "images", "--readings", "images/list.txt"],
        ["dataset", "show", "images", "images/deep/a.png"],
        ["dataset", "stats", "images", "--plot", "images/deep/a.png"],
    ],
    ids=" ".join,
)
def test_no_file_of_the_command_is_overwritten(
    words: List[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("words", "bins", "images/deep"):
        (tmp_path / folder).mkdir(parents=True)
    names = ["m.onnx", "m.om", "label.txt", "s.json", "words/data.mdb", "bins/1.bin"]
    names += ["images/list.txt", "images/deep/a.png"]
    contents = dict(zip(names, names))
    contents["m.om.json"] = '{"format": "crnn-om/1"}'
    contents["bins.json"] = '{"format": "crnn-bins/1"}'
    for name, content in contents.items():
        (tmp_path / name).write_text(content)
    (tmp_path / "link.onnx").symlink_to("m.onnx")
    assert main(words) == 1
    assert re.search("would be (overwritten|lost)", capsys.readouterr().err)
    for name, content in contents.items():
        assert (tmp_path / name).read_text() == content


@pytest.mark.parametrize("name", ["bins/r.json", "bins.json", "images/r.html", "images/deep/x.txt"])
def test_results_of_before_may_be_written_anew(name: str, tmp_path: Path) -> None:
    (tmp_path / "images" / "deep").mkdir(parents=True)
    (tmp_path / "bins").mkdir()
    (tmp_path / "images" / "list.txt").write_text("a.png a\n")
    for other in ("bins/1.bin", name):
        (tmp_path / other).write_text('{"schema": "crnn-evaluation/1"}')
    args = argparse.Namespace(
        data=[tmp_path / "bins", tmp_path / "images"], json=str(tmp_path / name), written=("json",)
    )
    refuse_overwriting(args)


def test_any_other_system_error_is_a_bug_and_keeps_its_traceback() -> None:
    def buggy() -> int:
        raise FileNotFoundError(
            errno.ENOENT, "No such file or directory", "what the kit forgot to make"
        )

    with pytest.raises(FileNotFoundError):
        started(buggy)


HOSTILE = "a\x1b[2Jb\x07c\x9bd\u202ee\u2066f\u2028g\nh\ri\x7fj"
SHOWN = r"a\x1b[2Jb\x07c\x9bd\u202ee\u2066f\u2028g\nh\ri\x7fj"


def test_everything_foreign_is_shown_as_escapes(capsys: pytest.CaptureFixture[str]) -> None:
    from crnn.errors import InputError

    console.out(HOSTILE)
    console.note(HOSTILE)
    console.error(InputError(HOSTILE, lines=[HOSTILE], hint=HOSTILE))
    console.out_fields({HOSTILE: HOSTILE, "inner": {HOSTILE: [HOSTILE]}})
    console.out_table([HOSTILE], [[HOSTILE]])
    console.out_remedies(["", "check", "found", "remedy"], [[HOSTILE] * 4])
    console.say(HOSTILE)
    console.out_text(f"{HOSTILE}\nnext")
    written = capsys.readouterr()
    text = written.out + written.err
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u202e\u2066]", text)
    assert SHOWN in written.out.splitlines()[0]
    assert f"crnn: error: {SHOWN}" in written.err.splitlines()


def test_json_steers_no_terminal_and_keeps_its_value(capsys: pytest.CaptureFixture[str]) -> None:
    value = {"key\u202e": ["\x9b31m", "\x7f", "\u2028", "\u200f", "\x85", "a\nb", "\u4f60\u597d"]}
    console.out_json(value)
    out = capsys.readouterr().out
    assert json.loads(out) == value
    assert not re.search("[\x7f-\x9f\u2028\u200f\u202e]", out)
    assert "\u4f60\u597d" in out


def test_an_unknown_argument_is_shown_as_escapes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["read", "--\x1b[2J\u202e"]) == 2
    assert "\x1b" not in capsys.readouterr().err


def test_the_tab_and_the_world_s_letters_stay() -> None:
    from crnn.errors import shown

    text = "a\té字ע\u200dไ\U0001f600"
    assert shown(text) == text
    assert shown("\udcff") == r"\udcff"
