"""A static set is named by its files; OMs that are not known to be one are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Sequence

import pytest

from crnn.ascend.om_reader import read_om
from crnn.ascend.sidecar import Sidecar, write_sidecar
from crnn.cli.main import main
from crnn.errors import InputError
from crnn.filekind import sha256
from crnn.runners.ascend_runner import set_of
from tests.ascend.machine import SPEC, clean, machine, write_om
from tests.models import write_bins

TEXTS = ["abc", "def", "hello", "net", "foot"]


def om(path: Path, batch: int, *, onnx: str = "a" * 64) -> Path:
    write_om(path, batches=(batch,))
    beside = Sidecar(
        spec=SPEC,
        om_sha256=read_om(path).sha256,
        onnx_sha256=onnx,
        checkpoint_sha256=None,
        command=("atc",),
        versions={},
        batch_sizes=(batch,),
        simulated=True,
    )
    write_sidecar(path, beside)
    return path


@pytest.mark.parametrize("order", [(1, 4), (4, 1), (4, 2, 1)])
def test_leading_oms_are_one_set(order: Sequence[int], tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    paths = [om(tmp_path / f"m{batch}.om", batch) for batch in order[:-1]]
    paths.append(om(tmp_path / "elsewhere" / "last.om", order[-1]))
    bins = write_bins(tmp_path, TEXTS)
    result = tmp_path / "r.json"
    words = ["evaluate", *map(str, paths), str(bins), "--label", str(tmp_path / "label.txt")]
    with machine() as findings:
        assert main([*words, "--json", str(result), "--batch", "5"]) == 0
    clean(findings)
    data = json.loads(result.read_text())
    assert data["accuracy"] == 1
    # 5 words are a 4 and a 1: both OMs ran.
    assert findings.calls["acl.mdl.load_from_file"] == len(order)
    assert findings.calls["acl.mdl.execute_async"] == 2


def test_the_hash_of_the_files_is_theirs_in_the_order_of_the_batches(tmp_path: Path) -> None:
    first, second = om(tmp_path / "b.om", 4), om(tmp_path / "a.om", 1)
    assert set_of([first, second]) == set_of([second, first]) == [second, first]
    assert sha256(first) != sha256(second)


def other(tmp_path: Path) -> Sequence[Path]:
    return [om(tmp_path / "a.om", 1), om(tmp_path / "b.om", 4, onnx="b" * 64)]


def without_sidecar(tmp_path: Path) -> Sequence[Path]:
    return [om(tmp_path / "a.om", 1), write_om(tmp_path / "b.om", batches=(4,))]


def twice(tmp_path: Path) -> Sequence[Path]:
    return [om(tmp_path / "a.om", 4), om(tmp_path / "b.om", 4)]


REFUSED: Any = {
    "another ONNX": (other, "are not a set: they were compiled from different ONNX models"),
    "no sidecar": (without_sidecar, "b.om has no b.om.json beside it"),
    "one batch twice": (twice, "are both of batch 4; a set has each once"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_others_are_no_set(kind: str, tmp_path: Path) -> None:
    make, message = REFUSED[kind]
    with pytest.raises(InputError, match=message):
        set_of(make(tmp_path))


@pytest.mark.parametrize("kind", REFUSED)
def test_the_command_refuses_them(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make, message = REFUSED[kind]
    bins = write_bins(tmp_path, TEXTS)
    paths = list(map(str, make(tmp_path)))
    with machine():
        code = main(["evaluate", *paths, str(bins), "--label", str(tmp_path / "label.txt")])
    assert code == 1
    assert message in capsys.readouterr().err


def test_one_om_and_its_data_are_as_before(tmp_path: Path) -> None:
    path = om(tmp_path / "a.om", 4)
    bins = write_bins(tmp_path, TEXTS)
    with machine():
        words = ["evaluate", str(path), str(bins), "--label", str(tmp_path / "label.txt")]
        assert main([*words, "--min-accuracy", "1"]) == 0
