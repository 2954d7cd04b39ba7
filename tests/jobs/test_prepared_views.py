"""Bins of several views of a word: prepared once, read as the pictures are."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Sequence

import pytest

from crnn.cli.main import main
from crnn.samples.bins import bin_name, bin_view, prepared_views
from crnn.views import SETS
from tests.conftest import ROOT
from tests.simulated import host

WORDS = ROOT / "examples" / "words_lmdb"


class Place(NamedTuple):
    """Models of one width and of three, and the pictures of some words."""

    fixed: Path
    wide: Path
    words: Path


@pytest.fixture(scope="module")
def place(shipped: Path, shipped_wide: Path, tmp_path_factory: pytest.TempPathFactory) -> Place:
    import lmdb

    folder = tmp_path_factory.mktemp("views")
    found = Place(shipped, shipped_wide, folder / "words")
    found.words.mkdir()
    # A process can have an LMDB open once only.
    copy = shutil.copytree(WORDS, folder / "copy")
    lines: List[str] = []
    with lmdb.open(str(copy), readonly=True, lock=False) as store, store.begin() as content:
        for number in range(1, 31):
            (found.words / f"{number}.png").write_bytes(content.get(b"image-%09d" % number))
            label = content.get(b"label-%09d" % number).decode()
            lines.append(f"{number}.png {label}\n")
    (found.words / "gt.txt").write_text("".join(lines), encoding="utf-8")
    return found


def prepared(folder: Path, words: Path, model: Path, *options: str) -> Path:
    bins = folder / "bins"
    command = ["prepare", str(words), str(bins), "--label", str(folder / "label.txt")]
    assert main([*command, "--spec", str(model), *options]) == 0
    return bins


def evaluated(folder: Path, model: Path, data: Path, *options: str) -> Dict[str, Any]:
    result, readings = folder / "result.json", folder / "readings.jsonl"
    command = ["evaluate", str(model), str(data), "--json", str(result)]
    if data.name == "bins":
        command += ["--label", str(folder / "label.txt")]
    assert main([*command, "--readings", str(readings), *options]) == 0
    found: Dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
    found["readings"] = lines_of(readings)
    return found


def lines_of(readings: Path) -> List[Dict[str, Any]]:
    """Return what was read, without the names of samples and the labels, which bins have folded."""
    found: List[Dict[str, Any]] = []
    for line in readings.read_text(encoding="utf-8").splitlines():
        reading = json.loads(line)
        del reading["key"], reading["label"]
        found.append(reading)
    return found


@pytest.mark.parametrize("options", [(), ("--per-width",), ("--dtype", "uint8")])
def test_bins_read_as_the_pictures_in_the_same_views(
    place: Place, tmp_path: Path, options: Sequence[str]
) -> None:
    bins = prepared(tmp_path, place.words, place.wide, "--views", "5", *options)
    for asked, count in (([], "5"), (["--views", "3"], "3"), (["--views", "1"], "1")):
        direct = evaluated(tmp_path, place.wide, place.words, "--batch", "4", "--views", count)
        found = evaluated(tmp_path, place.wide, bins, "--batch", "4", *asked)
        assert found["readings"] == direct["readings"]
        assert found.get("views") == direct.get("views")
        assert (found["total"], found["correct"]) == (direct["total"], direct["correct"])
        assert found["skipped"] == {}
    # So that the texts of a view that was not read would show.
    assert len({reading.get("view") for reading in direct["readings"]}) == 1
    five = evaluated(tmp_path, place.wide, bins)
    assert len(five["views"]["kept"]) > 2


def test_a_model_of_one_width_has_views_too(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bins = prepared(tmp_path, place.words, place.fixed, "--views", "5")
    said = " ".join(capsys.readouterr().out.split())
    assert "left out, since the model reads at one width: near2, near3: 60 views" in said
    assert prepared_views(bins) == ["near1", "rot+3", "rot-3"]
    assert {path.stat().st_size for path in bins.iterdir()} == {12800}
    direct = evaluated(tmp_path, place.fixed, place.words, "--views", "5")
    capsys.readouterr()
    found = evaluated(tmp_path, place.fixed, bins, "--views", "5")
    assert found["readings"] == direct["readings"]
    assert "near2, near3: 60 views of 30 words" in " ".join(capsys.readouterr().err.split())
    evaluated(tmp_path, place.fixed, bins)
    said = " ".join(capsys.readouterr().err.split())
    assert "read in 3 views, as the bins were prepared: near1, rot+3, rot-3" in said


def test_the_files_say_which_view_they_hold(place: Place, tmp_path: Path) -> None:
    info, summary = tmp_path / "crnn.info", tmp_path / "summary.json"
    options = ["--views", "inv.rot+3/near2", "--info", str(info), "--json", str(summary)]
    bins = prepared(tmp_path, place.words, place.wide, *options)
    assert json.loads((tmp_path / "bins.json").read_text("utf-8"))["views"] == {
        "near1": "test_{i}.bin",
        "inv.rot+3/near2": "test_{i}.inv.rot+3_near2.bin",
    }
    names = {path.name for path in bins.iterdir()}
    numbers = range(1, 31)
    assert names == {
        *(f"test_{number}.bin" for number in numbers),
        *(f"test_{number}.inv.rot+3_near2.bin" for number in numbers),
    }
    told = json.loads(summary.read_text("utf-8"))
    assert (told["samples"], told["bins"], told["labels"]) == (30, 60, 30)
    assert told["views"] == ["near1", "inv.rot+3/near2"]
    assert "left_out" not in told
    listed: List[str] = []
    for width in (80, 128, 200):
        for line in (tmp_path / f"crnn_w{width}.info").read_text("utf-8").splitlines():
            listed.append(os.path.basename(line.split()[1]))
    assert sorted(listed) == sorted(names)


@pytest.mark.parametrize("view", [view.name for view in SETS[18]])
def test_a_name_and_its_view(view: str) -> None:
    assert bin_view(bin_name(7, view)) == (7, view)


@pytest.mark.parametrize(
    "name",
    [
        "test_1.near1.bin",
        "test_1.rot+3/near2.bin",
        "test_1.3.bin",
        "test_1..bin",
        "test_01.inv.bin",
    ],
)
def test_what_names_no_view(name: str) -> None:
    assert bin_view(name) is None


def test_a_view_that_is_lost_is_counted_and_the_others_are_read(
    place: Place, tmp_path: Path
) -> None:
    bins = prepared(tmp_path, place.words, place.fixed, "--views", "3")
    whole = evaluated(tmp_path, place.fixed, bins)
    (bins / "test_1.rot+3.bin").unlink()
    (bins / "test_2.bin").write_bytes(b"cut")
    for view in prepared_views(bins):
        (bins / bin_name(3, view)).unlink()
    found = evaluated(tmp_path, place.fixed, bins)
    assert found["total"] == whole["total"] == 30
    assert found["skipped"] == {"view that cannot be read": 2, "missing bin": 1}
    assert [one["text"] for one in found["readings"][:3]] == [
        whole["readings"][0]["text"],
        whole["readings"][1]["text"],
        "",
    ]


def test_bins_that_are_not_the_datas_are_named(place: Place, tmp_path: Path) -> None:
    bins = prepared(tmp_path, place.words, place.fixed, "--views", "3")
    for name in ("test_99.rot-3.bin", "test_1.rot+9.bin"):
        shutil.copy(bins / "test_1.bin", bins / name)
    found = evaluated(tmp_path, place.fixed, bins)
    assert found["skipped"] == {"bin without label": 1, "misnamed bin": 1}


def refused(capsys: pytest.CaptureFixture[str], code: int, *words: str) -> str:
    capsys.readouterr()
    assert main(list(words)) == code
    return " ".join(capsys.readouterr().err.split())


def test_views_that_were_not_prepared_are_refused(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bins = prepared(tmp_path, place.words, place.fixed, "--views", "3")
    command = ["evaluate", str(place.fixed), str(bins), "--label", str(tmp_path / "label.txt")]
    error = refused(capsys, 2, *command, "--views", "rot+3,inv,crop")
    assert "was prepared in near1, rot+3, rot-3, without crop, inv" in error
    # What says otherwise than the kit names files says nothing of views.
    told = tmp_path / "bins.json"
    told.write_text(told.read_text("utf-8").replace("{i}.rot+3.bin", "{i}.bin"), encoding="utf-8")
    error = refused(capsys, 2, *command, "--views", "3")
    assert "holds bins, which are prepared already" in error


def test_a_pack_has_one_view(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pack = str(tmp_path / "words.pack")
    command = ["prepare", str(place.words), pack, "--pack", "--label", str(tmp_path / "label.txt")]
    error = refused(capsys, 2, *command, "--views", "3")
    assert "--views writes a bin for each view of a word, and a pack holds one a word" in error
    assert not os.path.exists(pack)
    assert main([*command, "--views", "1"]) == 0
    error = refused(capsys, 2, "evaluate", str(place.fixed), pack, "--views", "3")
    assert "holds bins, which are prepared already" in error


def test_a_folder_with_views_is_made_anew_and_one_with_others_files_is_not(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bins = prepared(tmp_path, place.words, place.fixed, "--views", "3")
    assert len(list(bins.iterdir())) == 90
    prepared(tmp_path, place.words, place.fixed)
    assert len(list(bins.iterdir())) == 30
    assert "views" not in json.loads((tmp_path / "bins.json").read_text("utf-8"))
    (bins / "test_1.mine.bin").write_bytes(b"mine")
    command = ["prepare", str(place.words), str(bins), "--label", str(tmp_path / "label.txt")]
    assert "not an earlier run's bins, such as test_1.mine.bin" in refused(capsys, 1, *command)


def test_an_om_in_the_simulator_reads_bins_as_it_reads_the_pictures(
    place: Place, tmp_path: Path
) -> None:
    bins = prepared(tmp_path, place.words, place.fixed, "--views", "3")
    om = str(tmp_path / "m.om")
    by_bins = ["evaluate", om, str(bins), "--label", "label.txt", "--readings", "b.jsonl"]
    with host(tmp_path):
        assert main(["compile", str(place.fixed), str(tmp_path / "m"), "--batch", "8"]) == 0
        assert main(by_bins) == 0
        direct = ["evaluate", om, str(place.words), "--views", "3", "--readings", "d.jsonl"]
        assert main(direct) == 0
    found = lines_of(tmp_path / "b.jsonl")
    assert found == lines_of(tmp_path / "d.jsonl")
    assert len({reading["view"] for reading in found}) > 1


def test_read_and_bench_tell_which_views_were_left_out(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    images = [str(place.words / f"{number}.png") for number in (1, 2, 3)]
    assert main(["read", str(place.fixed), *images, "--views", "5"]) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "left out, since the model reads at one width: near2, near3" in said
    assert "6 views of 3 images were left out" in said
    command = ["bench", str(place.fixed), "--data", str(place.words), "--batch", "1"]
    few = ["--loop", "1", "--warm-up", "1"]
    for views, told in (("5", True), ("3", False)):
        assert main([*command, *few, "--views", views]) == 0
        output = capsys.readouterr()
        said = " ".join((output.out + output.err).split())
        assert ("reads at one width: near2, near3" in said) is told
