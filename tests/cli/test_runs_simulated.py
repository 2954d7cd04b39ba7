"""``crnn evaluate --run`` on simulated chips that fail: others go on, or the run ends resumable."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, Dict

import pytest

from tests.two_chips import on_two_chips, write_words

COUNT = 150
"""Words: of a model that takes 4 at a time, three shards."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("simulated")
    write_words(folder, COUNT)
    evaluate(folder, "--json", "plain.json")
    return folder


def evaluate(
    folder: Path, *words: str, fail: str = "", devices: str = "0,1"
) -> subprocess.CompletedProcess[str]:
    data = ["m.om", "input_bin", "--label", "label.txt", "--batch", "4", "--device", devices]
    return on_two_chips(folder, "evaluate", *data, *words, fail=fail)


def result(path: Path) -> Dict[str, Any]:
    data: Dict[str, Any] = json.loads(path.read_text())
    for name in ("date", "command", "throughput", "stages"):
        del data[name]
    return data


def test_a_chip_that_fails_is_given_up_and_named(place: Path) -> None:
    ended = evaluate(
        place, "--run", "one", "--json", "one.json", fail="acl.mdl.execute_async:3:507011@1"
    )
    assert ended.returncode == 0, ended.stderr
    assert "npu:1 was given up, and others went on" in ended.stderr
    found = result(place / "one.json")
    assert list(found["given_up"]) == ["npu:1"]
    assert "507011" in found.pop("given_up")["npu:1"]
    assert found == result(place / "plain.json")
    # The records say it, so that it is not forgotten when the result is asked for again.
    again = evaluate(place, "--run", "one", "--resume", "--json", "again.json")
    assert again.returncode == 0, again.stderr
    assert list(result(place / "again.json")["given_up"]) == ["npu:1"]


@pytest.mark.parametrize("devices", ["0,1", "0"])
@pytest.mark.slow
def test_without_a_chip_left_the_run_can_be_gone_on_with(place: Path, devices: str) -> None:
    run = f"none{len(devices)}"
    fail = "acl.mdl.execute_async:3:507011"
    ended = evaluate(place, "--run", run, fail=fail, devices=devices)
    assert ended.returncode == 4, ended.stderr
    said = " ".join(ended.stderr.split())
    assert f"What was read is kept in {run}: go on with --resume." in said
    assert "Traceback" not in ended.stderr
    again = evaluate(place, "--run", run, "--resume", "--json", f"{run}.json", devices=devices)
    assert again.returncode == 0, again.stderr
    found, plain = result(place / f"{run}.json"), result(place / "plain.json")
    assert found.pop("device") == f"npu:{devices}"
    del plain["device"]
    assert found == plain


@pytest.mark.slow
def test_a_chip_that_hangs_is_given_up_after_a_minute(place: Path) -> None:
    ended = evaluate(
        place, "--run", "hung", "--json", "hung.json", fail="acl.mdl.execute_async:3:hang@0"
    )
    # The command has its result; the simulator minds that a process had to be killed.
    assert ended.returncode == 70, ended.stderr
    assert "broken rules: 1, leaks: 0" in ended.stderr
    assert "broken: cut-off" in ended.stderr
    found = result(place / "hung.json")
    assert "it gave no batch for 60 s" in found.pop("given_up")["npu:0"]
    assert found == result(place / "plain.json")


@pytest.mark.slow
def test_with_the_only_chip_hung_the_run_ends(place: Path) -> None:
    ended = evaluate(place, "--run", "alone", fail="acl.mdl.execute_async:3:hang", devices="0")
    assert ended.returncode == 4, ended.stderr
    assert "it gave no batch for 60 s" in " ".join(ended.stderr.split())
