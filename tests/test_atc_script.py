"""The scripts at the top that find CANN: acl_env_x86.sh, acl_env_arm.sh, atc_crnn.sh."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Dict, List

import pytest

from crnn.ascend.environment import find_cann
from tests.ascend import om_writer
from tests.cann_trees import (
    ENV_SCRIPT,
    LATER_SCRIPTS,
    SET_ENV_8_5,
    TREES,
    Tree,
    cann_6_0,
    cann_8_5,
    nnrt_6_3,
    write,
)
from tests.conftest import ROOT
from tests.models import write_echo_model

SHELLS = [
    pytest.param(
        shell, marks=pytest.mark.skipif(shutil.which(shell) is None, reason=f"no {shell} here")
    )
    for shell in ("bash", "zsh")
]
SYSTEM = "/usr/bin:/bin"
SOURCE = f'. "{ROOT / ENV_SCRIPT}"'


def shell_run(shell: str, code: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run code in a bare shell: no start-up files, no variables but these."""
    bare = {"zsh": ["-f"], "bash": ["--norc", "--noprofile"]}
    command = [shell, *bare.get(shell, []), "-c", code]
    values: Dict[str, str] = {"PATH": SYSTEM, "HOME": "/nonexistent", **environ}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=values, cwd="/")


def variables(shell: str, before: str, tree: Tree, **environ: str) -> Dict[str, List[str]]:
    show = (
        'for n in PATH PYTHONPATH LD_LIBRARY_PATH ASCEND_TOOLKIT_HOME; do eval "echo $n=\\${$n:-}";'
        " done"
    )
    done = shell_run(shell, f"{before}\n{show}", ASCEND_INSTALL_ROOT=str(tree.root), **environ)
    assert done.returncode == 0, done.stderr
    pairs = (line.partition("=") for line in done.stdout.splitlines())
    return {name: value.split(":") for name, _, value in pairs}


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("layout", TREES)
def test_sets_what_the_installed_cann_needs_twice_over_in_a_strict_shell(
    layout: str, shell: str, tmp_path: Path
) -> None:
    tree = TREES[layout](tmp_path)
    found = variables(shell, f"set -eu; {SOURCE}; {SOURCE}", tree)
    for name in ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH"):
        assert len(found[name]) == len(set(found[name])), f"{name} holds an entry twice"
        assert "" not in found[name], f"{name} holds an empty entry, which means the current folder"
    assert found["PATH"][-2:] == SYSTEM.split(":")
    assert any((Path(folder) / "atc").is_file() for folder in found["PATH"]) == (layout != "nnrt")
    places = [Path(folder) for folder in found["PYTHONPATH"]]
    assert any(
        (folder / "acl.so").is_file() or (folder / "acl/acl.so").is_file() for folder in places
    )
    assert all(str(tree.root) in folder for folder in found["LD_LIBRARY_PATH"])


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("form", LATER_SCRIPTS)
def test_cann_s_own_script_from_8_5_on(form: str, shell: str, tmp_path: Path) -> None:
    tree = cann_8_5(tmp_path / "a folder")
    write(tree.home / "set_env.sh", LATER_SCRIPTS[form])
    before = f"set -eu; export MINE='it''s $HOME'; {SOURCE}; {SOURCE}"
    found = variables(shell, before, tree, PYTHONPATH="/mine")
    assert found["PATH"][-2:] == SYSTEM.split(":")
    assert [Path(folder).resolve() for folder in found["PATH"][:-2]] == [
        (tree.home / "bin").resolve()
    ]
    assert found["PYTHONPATH"][-1] == "/mine"
    assert (Path(found["PYTHONPATH"][0]) / "acl/acl.so").is_file()
    assert Path(found["ASCEND_TOOLKIT_HOME"][0]).resolve() == tree.home.resolve()
    assert (Path(found["LD_LIBRARY_PATH"][0])).resolve() == (tree.home / "lib64").resolve()


@pytest.mark.skipif(shutil.which("zsh") is None, reason="no zsh here")
def test_in_zsh_only_what_cann_has_set_is_taken_over(tmp_path: Path) -> None:
    tree = cann_8_5(tmp_path)
    odd = "two\nlines $HOME `id` 'single' \"double\" !"
    write(tree.home / "set_env.sh", f"{SET_ENV_8_5}export ODD={shlex.quote(odd)} PWD=/ SHLVL=77\n")
    code = (
        f"readonly -x MINE=kept; typeset -i SHLVL=3; {SOURCE} 2>/dev/null;"
        ' printf "%s|" "$MINE" "$SHLVL" "$PWD" "$ODD"'
    )
    done = shell_run("zsh", code, ASCEND_INSTALL_ROOT=str(tree.root))
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"kept|3|/|{odd}|"


@pytest.mark.parametrize("layout", TREES)
def test_shell_and_python_find_the_same_home(layout: str, tmp_path: Path) -> None:
    tree = TREES[layout](tmp_path)
    done = shell_run("bash", SOURCE, ASCEND_INSTALL_ROOT=str(tree.root))
    cann = find_cann({"ASCEND_INSTALL_ROOT": str(tree.root)})
    assert cann is not None
    (said,) = [line for line in done.stderr.splitlines() if "CANN at " in line]
    assert Path(said.split("CANN at ")[1]) == cann.home


@pytest.mark.parametrize("shell", SHELLS)
def test_keeps_the_callers_own_entries_and_options_and_leaves_no_function_behind(
    shell: str, tmp_path: Path
) -> None:
    tree = cann_6_0(tmp_path)
    code = (
        f"set -u; {SOURCE}; case $- in *e*) exit 9 ;; esac; case $- in *u*) ;; *) exit 8 ;; esac;"
        " typeset -f"
    )
    done = shell_run(shell, code, ASCEND_INSTALL_ROOT=str(tree.root))
    assert done.returncode == 0
    assert "_crnn" not in done.stdout
    found = variables(shell, SOURCE, tree, PYTHONPATH="/mine", LD_LIBRARY_PATH="/lib/mine")
    assert found["PYTHONPATH"][-1] == "/mine"
    assert found["LD_LIBRARY_PATH"][-1] == "/lib/mine"


@pytest.mark.parametrize("shell", SHELLS)
def test_without_cann_says_where_it_looked_and_returns_4(shell: str, tmp_path: Path) -> None:
    done = shell_run(
        shell, f"{SOURCE} || echo code $?; echo alive", ASCEND_INSTALL_ROOT=str(tmp_path)
    )
    assert done.stdout.split() == ["code", "4", "alive"]
    assert f"no CANN under ASCEND_INSTALL_ROOT={tmp_path}" in done.stderr
    assert "Ascend-cann-toolkit" in done.stderr


@pytest.mark.skipif(Path("/usr/local/Ascend").exists(), reason="CANN is installed here")
def test_looks_into_the_home_folder_when_nothing_else_is_said(tmp_path: Path) -> None:
    tree = cann_8_5(tmp_path / "Ascend")
    done = shell_run("bash", f"{SOURCE} && echo $ASCEND_TOOLKIT_HOME", HOME=str(tmp_path))
    assert done.stdout.strip() == str(tree.home)
    assert shell_run("bash", f"{SOURCE} || echo $?").stdout.strip() == "4"


def test_the_inference_package_has_no_atc_and_this_is_said(tmp_path: Path) -> None:
    done = shell_run("bash", SOURCE, ASCEND_INSTALL_ROOT=str(nnrt_6_3(tmp_path).root))
    assert done.returncode == 0
    assert "models can be run, not compiled" in done.stderr


def test_the_script_for_another_machine_names_the_right_one(tmp_path: Path) -> None:
    write(tmp_path / "uname", "#!/bin/sh\necho riscv64\n", executable=True)
    done = shell_run("bash", SOURCE, PATH=f"{tmp_path}:{SYSTEM}", ASCEND_INSTALL_ROOT=str(tmp_path))
    assert done.returncode == 4
    assert "this machine is riscv64" in done.stderr


def test_another_shell_is_told_which_to_use() -> None:
    done = shell_run("sh", f"{SOURCE} || echo code $?")
    if "CANN" not in done.stderr:  # where sh is bash, it works
        assert "source this file with bash or zsh" in done.stderr
    assert done.stdout == "code 4\n" or Path("/usr/local/Ascend").exists()


def test_a_version_that_is_not_the_latest_is_not_replaced_by_the_latest(tmp_path: Path) -> None:
    tree = cann_6_0(tmp_path)
    old = tree.root / "ascend-toolkit/5.1.RC2"
    shutil.copytree(tree.home, old)
    found = variables("bash", SOURCE, Tree(old, old, "5.1.RC2"))
    assert found["ASCEND_TOOLKIT_HOME"] == [str(old)]
    assert str(old / "bin") in found["PATH"]
    assert not any("latest" in folder for folder in found["PATH"])


# --- atc_crnn.sh


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_echo_model(tmp_path_factory.mktemp("model") / "echo.onnx")


@pytest.fixture(scope="module")
def om(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("om") / "made.om"
    path.write_bytes(om_writer.static())
    return path


def atc_crnn(*words: str, code: str = "", **environ: str) -> subprocess.CompletedProcess[str]:
    call = code or '"$0" "$@"'
    command = ["bash", "-euo", "pipefail", "-c", call, str(ROOT / "atc_crnn.sh"), *words]
    values = {"PATH": SYSTEM, "HOME": "/nonexistent", "CRNN_PYTHON": sys.executable, **environ}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=values, cwd="/")


def test_compiles_with_the_cann_it_finds_in_the_callers_environment(
    model: Path, om: Path, tmp_path: Path
) -> None:
    tree = cann_6_0(tmp_path / "root")
    log = tmp_path / "log"
    places = {
        "ASCEND_INSTALL_ROOT": str(tree.root),
        "FAKE_ATC_OM": str(om),
        "FAKE_ATC_LOG": str(log),
    }
    done = atc_crnn(
        str(model), str(tmp_path / "out"), "--log", "error", code='"$0" "$@" | cat', **places
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{tmp_path}/out.om\n"
    assert (tmp_path / "out.om").read_bytes() == om.read_bytes()
    assert "--log=error" in log.with_name("log.args").read_text().split()
    seen = dict(
        line.partition("=")[::2] for line in log.with_name("log.env").read_text().splitlines()
    )
    assert seen["PATH"] == f"{tree.home}/bin:{SYSTEM}"
    assert seen["PYTHONPATH"] == f"{tree.home}/python/site-packages"
    assert "VIRTUAL_ENV" not in seen


def test_an_atc_on_path_comes_first(model: Path, om: Path, tmp_path: Path) -> None:
    mine = write(
        tmp_path / "mine/atc",
        (cann_6_0(tmp_path / "root").home / "bin/atc").read_text(),
        executable=True,
    )
    done = atc_crnn(
        str(model),
        str(tmp_path / "out"),
        PATH=f"{mine.parent}:{SYSTEM}",
        ASCEND_INSTALL_ROOT=str(tmp_path / "root"),
        FAKE_ATC_OM=str(om),
    )
    assert done.returncode == 0, done.stderr
    assert (mine.parent / "log.args").is_file()
    assert "acl_env" not in done.stderr


def test_without_cann_it_exits_4_and_says_where_it_looked(model: Path, tmp_path: Path) -> None:
    done = atc_crnn(str(model), str(tmp_path / "out"), ASCEND_INSTALL_ROOT=str(tmp_path))
    assert done.returncode == 4
    assert f"no CANN under ASCEND_INSTALL_ROOT={tmp_path}" in done.stderr
    assert "install the toolkit package" in done.stderr


def test_without_arguments_it_shows_its_usage_and_not_what_cann_lacks(tmp_path: Path) -> None:
    done = atc_crnn(ASCEND_INSTALL_ROOT=str(tmp_path))
    assert done.returncode == 2
    assert "the following arguments are required: MODEL.onnx, NAME" in done.stderr
    assert "acl_env" not in done.stderr


def test_with_a_cann_that_cannot_compile_it_exits_4(model: Path, tmp_path: Path) -> None:
    tree = nnrt_6_3(tmp_path)
    done = atc_crnn(str(model), str(tmp_path / "out"), ASCEND_INSTALL_ROOT=str(tree.root))
    assert done.returncode == 4
    assert "this CANN has no ATC" in done.stderr


def test_dry_run_and_help_need_no_cann_and_a_link_to_the_script_works(
    model: Path, tmp_path: Path
) -> None:
    link = tmp_path / "link.sh"
    link.symlink_to(ROOT / "atc_crnn.sh")
    nothing = {"ASCEND_INSTALL_ROOT": str(tmp_path)}
    done = atc_crnn(
        str(model), "crnn_bs4", "--batch", "4", "--dry-run", code=f'"{link}" "$@"', **nothing
    )
    assert done.returncode == 0, done.stderr
    assert "acl_env" not in done.stderr
    assert done.stdout.startswith(f"atc --framework=5 --model={model} --output=crnn_bs4 ")
    assert "--input_shape=actual_input_1:4,1,32,100" in done.stdout
    called = atc_crnn(str(model), "o", "--dry-run", code='sh "$0" "$@"', **nothing)
    assert called.returncode == 0, called.stderr
    helped = atc_crnn("--help", **nothing)
    assert helped.returncode == 0
    assert "usage: crnn compile" in helped.stdout


@pytest.mark.parametrize("shell", SHELLS)
def test_a_link_to_the_script_is_as_good(shell: str, tmp_path: Path) -> None:
    tree = cann_6_0(tmp_path)
    link = tmp_path / "env.sh"
    link.symlink_to(ROOT / ENV_SCRIPT)
    assert variables(shell, f'. "{link}"', tree)["ASCEND_TOOLKIT_HOME"] != [""]
