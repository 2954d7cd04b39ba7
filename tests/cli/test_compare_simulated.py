"""``crnn compare --devices``, ``--threads`` and ``--batches`` of an OM on simulated chips."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, Dict

import pytest

from tests.lines import joined
from tests.two_chips import on_two_chips, write_words

COUNT = 23
"""Words: neither of batches of 4 nor of 3."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("simulated")
    write_words(folder, COUNT)
    return folder


def compare(folder: Path, *words: str, fail: str = "") -> subprocess.CompletedProcess[str]:
    data = ["--data", "input_bin", "--label", "label.txt", "--json", "found.json"]
    (folder / "found.json").unlink(missing_ok=True)
    return on_two_chips(folder, "compare", *words, *data, fail=fail)


def test_the_text_is_the_same_on_each_chip_and_on_both(place: Path) -> None:
    devices = ["--devices", "0,1,0+1"]
    done = compare(place, "m.onnx", "m.om", *devices, "--threads", "1,2", "--batches", "4,3")
    assert done.returncode == 0, done.stderr
    data: Dict[str, Any] = json.loads((place / "found.json").read_text())
    found = [
        (run["side"], run["device"], run["batch"], run["threads"], run["differing"])
        for run in data["sweep"]
    ]
    # Chips are an OM's alone; threads make no difference to it.
    assert found == [
        *(("m.onnx", "cpu", batch, count, 0) for batch, count in ((4, 2), (3, 1), (3, 2))),
        *(("m.om", f"npu:{chips}", 4, 1, 0) for chips in ("0", "1", "0,1")),
        *(("m.om", f"npu:{chips}", 3, 1, 0) for chips in ("0", "1", "0,1")),
    ]
    assert {run["words_compared"] for run in data["sweep"]} == {COUNT}
    assert data["same_text"]
    assert data["simulated"]
    said = joined(done.stdout)
    assert "SAME TEXT in 9 runs" in said
    assert "SIMULATED" in said


def test_a_chip_that_fails_is_not_one_that_reads_the_same(place: Path) -> None:
    # Six batches at first, six on chip 0: the 14th is the second one on chip 1.
    fail = "acl.mdl.execute_async:14:507011@1"
    done = compare(place, "m.om", "--batch", "4", "--devices", "0,1", fail=fail)
    assert done.returncode == 4, done.stderr
    assert "507011" in joined(done.stderr)
    assert "SAME TEXT" not in done.stdout
    assert not (place / "found.json").exists()
