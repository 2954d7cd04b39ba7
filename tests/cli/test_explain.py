"""``crnn explain``."""

from __future__ import annotations

import json

import pytest

from crnn.cli.main import main


def test_a_code_of_acl(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "145013"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "code     145013"
    assert lines[1] == "name     ACL_ERROR_GE_DYNAMIC_BATCH_SIZE_INVALID"
    assert lines[2] == "meaning  the batch is not one of the gears"
    assert "crnn inspect MODEL.om" in " ".join(" ".join(lines).split())
    assert lines[-2] == "reading  a mistake of the caller, reported by GE"


@pytest.mark.parametrize("text", ["EZ9999", "e10016", "ACL_ERROR_RT_CONTEXT_NULL", "0"])
def test_what_may_be_asked_for(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", text]) == 0
    assert "remedy" in capsys.readouterr().out


def test_several_codes_one_of_which_is_not_documented(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "E10016", "507099"]) == 1
    out = capsys.readouterr().out
    assert "a name in input_shape is not in the graph" in out
    assert (
        "meaning  not documented\nreading  an internal fault, reported by the runtime\nnearest "
        " 507057" in out
    )


def test_nonsense(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "nonsense"]) == 1
    assert (
        capsys.readouterr().out
        == "code     nonsense\nmeaning  not documented, and of no form that CANN uses\n\n"
    )


def test_json_alone_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "207001", "999999", "--json", "-"]) == 1
    known, unknown = json.loads(capsys.readouterr().out)
    assert (known["code"], known["name"], known["documented"]) == (
        "207001",
        "ACL_ERROR_RT_MEMORY_ALLOCATION",
        True,
    )
    assert sorted(known) == ["cause", "code", "documented", "meaning", "name", "reading", "remedy"]
    assert (unknown["documented"], unknown["reading"], unknown["nearest"]) == (False, None, [])


@pytest.mark.parametrize("text", ["E99999", "W12345", "EZ0123", "999999", "0xF423F", "EX0001"])
def test_what_looks_like_a_code_is_not_called_of_no_form(
    text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", text]) == 1
    out = capsys.readouterr().out
    assert "not documented" in out
    assert "of no form" not in out


def test_hexadecimal(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "0x7BC83"]) == 0
    assert capsys.readouterr().out.startswith("code     507011\n")
