"""``crnn compile --like``: an OM, or a set, once more for another chip or CANN, and compared with
what the old one has read.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Dict, List

import pytest

from crnn.ascend.sidecar import read_sidecar, write_sidecar
from crnn.cli.main import main
from crnn.compile.like import recorded
from crnn.errors import InputError
from tests.models import write_echo_model, write_images, write_wide_echo_model
from tests.simulated import host, ran

TEXTS = ["house", "aa", "foot"]
OLD = ["--data", "images"]


def simulate(folder: Path, jobs: Dict[str, List[str]], options: str) -> Dict[str, Any]:
    """Run commands on one simulated host."""
    answers: Dict[str, Any] = {}
    with host(folder, options):
        for name, words in jobs.items():
            done = ran(words)
            answers[name] = {"code": done.returncode, "said": done.stderr, "out": done.stdout}
    return answers


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("like")
    write_echo_model(folder / "m.onnx")
    write_echo_model(folder / "other.onnx", dtype=2)
    write_wide_echo_model(folder / "wide.onnx", (80, 100))
    write_images(folder / "images", TEXTS)
    for name in ("set", "widths", "new", "mixed"):
        (folder / name).mkdir()
    extra = "--extra=--op_select_implmode=high_precision"
    simulate(
        folder,
        {
            "old": ["compile", "m.onnx", "old", "--batch", "4", extra],
            "gears": ["compile", "m.onnx", "gears", "--batch", "1,4", "--gears", "dims"],
            "set": ["compile", "m.onnx", "set/m", "--batch", "1,4", "--static-set"],
            "widths": ["compile", "wide.onnx", "widths/m", "--widths", "all", "--batch", "1,2"],
            "aipp": ["compile", "m.onnx", "aipp", "--aipp", "--precision", "force_fp32"],
            "read": ["evaluate", "old.om", "images", "--readings", "old.jsonl"],
        },
        "--soc Ascend310 --cann 5.0.4",
    )
    lines = (folder / "old.jsonl").read_text().replace('"aa"', '"ab"', 3)
    (folder / "other.jsonl").write_text(lines)
    return folder


@pytest.fixture(scope="module")
def answers(place: Path) -> Dict[str, Any]:
    against = ["--against", "old.jsonl", *OLD]
    return simulate(
        place,
        {
            "old": ["compile", "m.onnx", "new_old", "--like", "old.om", *against],
            "gears": ["compile", "m.onnx", "new_gears", "--like", "gears.om"],
            "set": ["compile", "m.onnx", "new/m", "--like", "set", *against],
            "widths": ["compile", "wide.onnx", "mixed/m", "--like", "widths"],
            "aipp": ["compile", "m.onnx", "new_aipp", "--like", "aipp.om"],
            "other": [
                *("compile", "m.onnx", "new_other", "--like", "old.om"),
                *("--against", "other.jsonl", *OLD),
            ],
            "mixed": ["compile", "m.onnx", "mixed/x", "--like", "set", *against],
        },
        "--soc Ascend310 --cann 8.0",
    )


def commands(place: Path, name: str) -> List[str]:
    return list(read_sidecar(place / f"{name}.om.json").command)


@pytest.mark.slow
def test_the_flags_are_the_old_ones(place: Path, answers: Dict[str, Any]) -> None:
    for name in ("old", "gears", "aipp"):
        assert answers[name]["code"] == 0, answers[name]["said"]
        old = [word for word in commands(place, name) if "--output=" not in word]
        new = [word for word in commands(place, f"new_{name}") if "--output=" not in word]
        if name == "aipp":
            old = [word.replace("aipp.aipp.cfg", "new_aipp.aipp.cfg") for word in old]
        assert new == old
    assert "--op_select_implmode=high_precision" in commands(place, "new_old")
    assert read_sidecar(place / "new_old.om.json").versions["cann"] == "8.0.0"


def test_another_chip_is_another_flag(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(place)
    words = ["compile", "m.onnx", "x", "--like", "old.om", "--dry-run"]
    assert main([*words, "--soc", "Ascend310P3"]) == 0
    assert "--soc_version=Ascend310P3" in capsys.readouterr().out
    assert main(words) == 0
    assert "--soc_version=Ascend310 " in capsys.readouterr().out


def test_sets_become_sets(place: Path, answers: Dict[str, Any]) -> None:
    assert answers["set"]["code"] == 0, answers["set"]["said"]
    assert answers["widths"]["code"] == 0, answers["widths"]["said"]
    assert sorted(path.name for path in (place / "new").glob("*.om")) == ["m_bs1.om", "m_bs4.om"]
    names = sorted(path.name for path in (place / "mixed").glob("*.om"))
    assert names == ["m_w100_bs1.om", "m_w100_bs2.om", "m_w80_bs1.om", "m_w80_bs2.om"]


def test_the_new_one_is_compared_with_the_old_ones_readings(
    place: Path, answers: Dict[str, Any]
) -> None:
    for name in ("old", "set"):
        assert "SAME TEXT: 3 of 3 words" in answers[name]["out"]
    assert answers["other"]["code"] == 3
    assert "1 of 3 words differ" in answers["other"]["out"]
    assert (place / "new_other.om").exists()
    assert answers["mixed"]["code"] == 2
    assert "not of the new set" in answers["mixed"]["said"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["other.onnx", "x", "--like", "old.om"], 1, "is not the ONNX that old.om was compiled"),
        (["m.onnx", "old", "--like", "old.om"], 2, "is to be compiled again"),
        (["m.onnx", "x", "--like", "old.om", "--batch", "2"], 2, "--batch: --like takes it"),
        (["m.onnx", "x", "--like", "old.om", "--against", "old.jsonl"], 2, "go together"),
        (["m.onnx", "x", "--against", "old.jsonl", *OLD], 2, "--against goes with --like"),
        (["m.onnx", "x", "--like", "none.om"], 1, "none.om does not exist"),
        (["m.onnx", "x", "--like", "bare.om"], 1, "bare.om has no bare.om.json beside it"),
    ],
)
def test_what_is_refused(
    words: List[str],
    code: int,
    said: str,
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(place)
    (place / "bare.om").write_bytes((place / "old.om").read_bytes())
    assert main(["compile", *words, "--dry-run"]) == code
    assert said in " ".join(capsys.readouterr().err.split())


def test_a_set_that_is_not_whole(place: Path, tmp_path: Path) -> None:
    for path in (place / "widths").iterdir():
        if not path.name.startswith("m_w80_bs2"):
            (tmp_path / path.name).write_bytes(path.read_bytes())
    with pytest.raises(InputError, match="holds 3 OMs; a whole set of these .* has 4"):
        recorded(tmp_path)


def test_oms_that_do_not_belong_together(place: Path, tmp_path: Path) -> None:
    for path in (place / "set").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    sidecar = read_sidecar(tmp_path / "m_bs4.om.json")
    flags = [word.replace("Ascend310", "Ascend310P3") for word in sidecar.command]
    write_sidecar(tmp_path / "m_bs4.om", dataclasses.replace(sidecar, command=tuple(flags)))
    with pytest.raises(InputError, match="different flags"):
        recorded(tmp_path)


def test_oms_of_different_models_are_not_a_set(place: Path, tmp_path: Path) -> None:
    for path in (place / "set").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    sidecar = read_sidecar(tmp_path / "m_bs4.om.json")
    write_sidecar(tmp_path / "m_bs4.om", dataclasses.replace(sidecar, onnx_sha256="0" * 64))
    with pytest.raises(InputError, match="its OMs were compiled from different ONNX models"):
        recorded(tmp_path)


def test_other_classes_than_the_old_ones_are_refused(
    place: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(place)
    sidecar = read_sidecar(place / "old.om.json")
    turned = dataclasses.replace(sidecar.spec, characters=sidecar.spec.characters[::-1])
    (tmp_path / "old.om").write_bytes((place / "old.om").read_bytes())
    write_sidecar(tmp_path / "old.om", dataclasses.replace(sidecar, spec=turned))
    words = ["compile", "m.onnx", "x", "--like", str(tmp_path / "old.om"), "--dry-run"]
    assert main(words) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert "is read by other classes than m.onnx carries" in said
    assert f"--spec {tmp_path / 'old.om.json'}" in said
