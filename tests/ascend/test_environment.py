"""What of CANN, driver and devices is found, on real folders."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Optional, Tuple

import pytest

from crnn.ascend.environment import (
    Chip,
    Version,
    cann_of,
    device_nodes,
    driver_version,
    find_cann,
    missing_nodes,
    npu_smi,
    parse_npu_smi,
    python_range,
    read_cann,
    search_roots,
    sourced_cann,
)
from tests.cann_trees import MACHINE, TREES, cann_5_0_2, cann_6_0, cann_8_5, nnrt_6_3, write

# The forms of npu-smi's table: a 310 card of driver 21.0.3, a 310P of 22 and later, a training card
# with two pairs.
SMI_310 = """\
+------------------------------------------------------------------------------+
| npu-smi 21.0.3.1                     Version: 21.0.3.1                       |
+-------------------+-----------------+----------------------------------------+
| NPU     Name      | Health          | Power(W)          Temp(C)              |
| Chip    Device    | Bus-Id          | AICore(%)         Memory-Usage(MB)     |
+===================+=================+========================================+
| 1       310       | OK              | 12.8              49                   |
| 0       0         | 0000:01:00.0    | 0                 2621 / 8192          |
+-------------------+-----------------+----------------------------------------+
| 1       310       | Warning         | 12.8              49                   |
| 1       1         | NA              | 0                 2600 / 8192          |
+===================+=================+========================================+
"""
SMI_310P = """\
| 0     310P3                 | OK              | NA           32                0     / 0                 |
| 0     0                     | 0000:01:00.0    | 0            3497 / 44213                                |
| NPU     Chip                | Process id      | Process name             | Process memory(MB)            |
| No running processes found in NPU 0                                                                        |
"""  # noqa: E501
SMI_910B = """\
| 0     910B3               | OK            | 96.7        50                0    / 0             |
| 0                         | 0000:C1:00.0  | 0           839  / 15170      3401 / 65536         |
"""


@pytest.mark.parametrize("layout", TREES)
def test_finds_home_version_and_machine_of_every_layout(layout: str, tmp_path: Path) -> None:
    tree = TREES[layout](tmp_path)
    cann = find_cann({"ASCEND_INSTALL_ROOT": str(tree.root)})
    assert cann is not None
    assert cann.home.resolve() == tree.home.resolve()
    assert str(cann.version) == tree.version
    assert cann.has_atc == (layout != "nnrt")
    assert cann.architecture == MACHINE or layout in ("5.0.4", "6.0", "8.0")
    assert (cann.set_env is None) == (layout in ("20.1", "5.0.2"))


def test_the_search_goes_from_the_system_to_the_home_folder_and_the_newest_version_first(
    tmp_path: Path,
) -> None:
    home = tmp_path / "home"
    environ = {"HOME": str(home)}
    assert search_roots(environ, tmp_path) == [tmp_path / "usr/local/Ascend", home / "Ascend"]
    assert find_cann(environ, tmp_path) is None
    mine = cann_6_0(home / "Ascend")
    found = find_cann(environ, tmp_path)
    assert found is not None
    assert found.home == mine.home
    root = tmp_path / "usr/local/Ascend"
    for version in ("cann-8.5.0", "cann-8.10.0"):
        write(root / version / "set_env.sh")
    found = find_cann(environ, tmp_path)
    assert found is not None
    assert found.home == root / "cann-8.10.0"
    assert found.version is not None
    assert found.version.pair == (8, 10)


def test_the_install_root_replaces_the_search_even_where_it_is_empty(tmp_path: Path) -> None:
    cann_6_0(tmp_path / "usr/local/Ascend")
    assert find_cann({"ASCEND_INSTALL_ROOT": str(tmp_path / "empty")}, tmp_path) is None


def test_variables_that_are_set_come_before_what_is_installed(tmp_path: Path) -> None:
    cann_6_0(tmp_path / "usr/local/Ascend")
    other = cann_8_5(tmp_path / "opt")
    found = find_cann({"ASCEND_TOOLKIT_HOME": str(other.home)}, tmp_path)
    assert found is not None
    assert str(found.version) == "8.5.0"
    assert sourced_cann({}) is None
    assert sourced_cann({"ASCEND_TOOLKIT_HOME": str(tmp_path / "gone")}) is None
    old = cann_5_0_2(tmp_path / "old")
    sourced = sourced_cann({"ASCEND_OPP_PATH": str(old.home / "opp")})
    assert sourced is not None
    assert sourced.home == old.home


@pytest.mark.parametrize("place", ["bin/atc", "atc/bin/atc"])
def test_an_atc_tells_its_cann(place: str, tmp_path: Path) -> None:
    tree = cann_6_0(tmp_path) if place == "bin/atc" else cann_5_0_2(tmp_path)
    cann = cann_of(tree.home / place)
    assert cann is not None
    assert str(cann.version) == tree.version
    assert cann_of(write(tmp_path / "elsewhere/atc.sh")) is None


def test_a_home_without_any_version_file_is_named_by_its_folder_or_not_at_all(
    tmp_path: Path,
) -> None:
    (tmp_path / "ascend-toolkit/5.1.RC1/acllib").mkdir(parents=True)
    assert str(read_cann(tmp_path / "ascend-toolkit/5.1.RC1").version) == "5.1.RC1"
    (tmp_path / "x/acllib").mkdir(parents=True)
    assert read_cann(tmp_path / "x").version is None


@pytest.mark.parametrize(
    ("text", "pair"),
    [
        ("5.0.4.alpha002", (5, 0)),
        ("6.0.RC1", (6, 0)),
        ("10.0", (10, 0)),  # as numbers, not as text
        ("20.1.rc1", (2, 1)),  # before 3.x
        ("1.80.T15.0.B156", None),  # a component's number
        ("latest", None),
        ("", None),
    ],
)
def test_versions_are_compared_as_numbers(text: str, pair: Optional[Tuple[int, int]]) -> None:
    version = Version.parse(text)
    assert (version and version.pair) == pair


@pytest.mark.parametrize(
    ("version", "newest"),
    [("20.1", 7), ("3.2.0", 7), ("5.0.4", 9), ("6.0.1", 9), ("7.0", 10), ("8.1.RC1", 11)],
)
def test_newest_python_by_cann(version: str, newest: int) -> None:
    parsed = Version.parse(version)
    assert parsed is not None
    assert python_range(parsed) == ((3, 7), (3, newest))


@pytest.mark.parametrize(
    ("text", "chips"),
    [
        (SMI_310, [Chip("310", "OK", 2621, 8192), Chip("310", "Warning", 2600, 8192)]),
        (SMI_310P, [Chip("310P3", "OK", 3497, 44213)]),
        (SMI_910B, [Chip("910B3", "OK", 3401, 65536)]),
        (
            (
                "DrvMngGetConsoleLogLevel failed. (g_conLogLevel=3)\ndcmi module initialize failed."
                " ret is -8005\n"
            ),
            [],
        ),
        ("", []),
    ],
    ids=["310", "310P3", "910B3", "no driver", "empty"],
)
def test_npu_smi_is_read_in_its_forms(text: str, chips: list[Chip]) -> None:
    assert parse_npu_smi(text) == chips


def test_the_chips_name_becomes_atcs_soc_version() -> None:
    assert [chip.soc for chip in parse_npu_smi(SMI_310P)] == ["Ascend310P3"]


@pytest.mark.parametrize(("code", "known"), [(0, True), (1, False)])
def test_npu_smi_is_asked_on_path(
    code: int, known: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(
        tmp_path / "npu-smi",
        f"#!/bin/sh\ncat <<'END'\n{SMI_310P}END\nexit {code}\n",
        executable=True,
    )
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert npu_smi() == ([Chip("310P3", "OK", 3497, 44213)] if known else None)


def test_without_npu_smi_nothing_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert npu_smi() is None


def test_driver_and_device_files(tmp_path: Path) -> None:
    assert driver_version(tmp_path) is None
    assert device_nodes(tmp_path) == []
    write(
        tmp_path / "usr/local/Ascend/driver/version.info",
        "Version=23.0.rc2\nascendhal_version=7.1\n",
    )
    for name in ("davinci10", "davinci2", "davinci_manager", "devmm_svm"):
        write(tmp_path / "dev" / name)
    assert driver_version(tmp_path) == "23.0.rc2"
    assert device_nodes(tmp_path) == ["davinci2", "davinci10"]
    assert missing_nodes(tmp_path) == ["/dev/hisi_hdc"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads what it likes")
def test_a_file_that_may_not_be_read_is_no_version(tmp_path: Path) -> None:
    tree = nnrt_6_3(tmp_path)
    (tree.home / "ascend_nnrt_install.info").chmod(0)
    assert read_cann(tree.home).version is None
