"""CANN's installations as they lie on disk, release by release, small and without a compiler in
them.
"""

from __future__ import annotations

import platform
import textwrap
from pathlib import Path
from typing import Callable, Dict, NamedTuple

MACHINE = platform.machine()
ENV_SCRIPT = "acl_env_arm.sh" if MACHINE in ("aarch64", "arm64") else "acl_env_x86.sh"

ATC = """\
#!/bin/sh
# Stands for ATC: notes how it was called, and copies the OM that the test made.
here=$(dirname "$0")
log=${FAKE_ATC_LOG:-$here/log}
env > "$log.env"; pwd > "$log.pwd"; printf '%s\\n' "$@" > "$log.args"
echo "ATC start working now, please wait for a moment."
if [ -n "$FAKE_ATC_SAYS" ]; then printf '%s\\n' "$FAKE_ATC_SAYS"; fi
for word in "$@"; do
    case $word in --output=*) output=${word#--output=} ;; esac
done
: > fusion_result.json; mkdir -p kernel_meta
if [ -n "$FAKE_ATC_SLEEP" ]; then sleep "$FAKE_ATC_SLEEP" & echo $! > "$log.child"; wait; fi
if [ -d "$FAKE_ATC_OM" ]; then FAKE_ATC_OM=$FAKE_ATC_OM/$(basename "$output").om; fi
if [ -n "$FAKE_ATC_OM" ]; then cp "$FAKE_ATC_OM" "$output.om"; fi
exit "${FAKE_ATC_EXIT:-0}"
"""

# The vendor's scripts append to variables that may be unset, which set -u forbids, and end with a
# failing test.
SET_ENV = """\
export ASCEND_TOOLKIT_HOME={home}
export LD_LIBRARY_PATH=${{ASCEND_TOOLKIT_HOME}}/lib64:$LD_LIBRARY_PATH
export PYTHONPATH=${{ASCEND_TOOLKIT_HOME}}/python/site-packages:$PYTHONPATH
export PATH=${{ASCEND_TOOLKIT_HOME}}/bin:$PATH
export ASCEND_OPP_PATH=${{ASCEND_TOOLKIT_HOME}}/opp
test -d /nonexistent
"""


# From 8.5 on the vendor's script finds itself by BASH_SOURCE and keeps a list in a variable that
# zsh ties to PATH; three forms that do what those of 8.5 and 9.1 do, and one that exports its list.
SET_ENV_8_5 = """\
#!/bin/bash
curfile=$(readlink -f "${BASH_SOURCE[0]}")
home=$(cd "$(dirname "$curfile")"; pwd)
prepend_env() {
    local name="$1" path="$2"
    if [ -z "${!name}" ]; then
        export "$name"="$path"
    elif [[ ":${!name}:" != *":$path:"* ]]; then
        export "$name"="$path:${!name}"
    fi
}
prepend_env PATH "$home/bin"
prepend_env LD_LIBRARY_PATH "$home/lib64"
prepend_env PYTHONPATH "$home/python/site-packages"
export ASCEND_TOOLKIT_HOME=$home ASCEND_HOME_PATH=$home
export ASCEND_OPP_PATH=$home/opp
"""
SET_ENV_9_1 = """\
#!/bin/bash
_curpath="$(dirname "${BASH_SOURCE[0]}")"
path="$_curpath/bin:$PATH"
export PATH="$path"
unset path
export LD_LIBRARY_PATH="$_curpath/lib64:$LD_LIBRARY_PATH"
export PYTHONPATH="$_curpath/python/site-packages:$PYTHONPATH"
export ASCEND_TOOLKIT_HOME="$_curpath" ASCEND_OPP_PATH="$_curpath/opp"
[ -d /nonexistent ] && echo never
"""
SET_ENV_LISTS = SET_ENV_9_1.replace("unset path", "export path")
LATER_SCRIPTS = {"8.5": SET_ENV_8_5, "9.1": SET_ENV_9_1, "exports its list": SET_ENV_LISTS}


class Tree(NamedTuple):
    """An installation: the root given as ASCEND_INSTALL_ROOT, its home, its version."""

    root: Path
    home: Path
    version: str


def write(path: Path, text: str = "", *, executable: bool = False) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    path.chmod(0o755 if executable else 0o644)
    return path


def _info(folder: Path, version: str, package: str = "toolkit") -> None:
    write(
        folder / f"ascend_{package}_install.info",
        f"package_name=Ascend-cann-{package}\nversion={version}\narch={MACHINE}\nos=linux\npath={folder}\n",
    )


def _split_home(home: Path) -> None:
    """Releases before 5.1: a folder for each component."""
    write(home / "atc/bin/atc", ATC, executable=True)
    for place in (
        "atc/ccec_compiler/bin",
        "atc/python/site-packages",
        "atc/lib64",
        "acllib/lib64",
        "opp",
        "toolkit/bin",
    ):
        (home / place).mkdir(parents=True)
    write(home / "pyACL/python/site-packages/acl/acl.so")
    write(home / "atc/version.info", "Version=1.79.22.1.220\n")


def _joined_home(home: Path) -> None:
    """Releases from 5.1."""
    write(home / "bin/atc", ATC, executable=True)
    write(home / "python/site-packages/acl/acl.so")
    for place in ("lib64", "opp"):
        (home / place).mkdir(parents=True)


def cann_20_1(root: Path) -> Tree:
    home = root / f"ascend-toolkit/latest/{MACHINE}-linux_gcc7.3.0"
    _split_home(home)
    _info(home, "20.1.rc1")
    return Tree(root, home, "20.1.rc1")


def cann_5_0_2(root: Path) -> Tree:
    home = root / "ascend-toolkit/latest"
    _split_home(home)
    _info(home / f"{MACHINE}-linux", "5.0.2")
    return Tree(root, home, "5.0.2")


def cann_5_0_4(root: Path) -> Tree:
    """Only the versions' own folder, without the link to the latest."""
    home = root / "ascend-toolkit/5.0.4.alpha002"
    _split_home(home)
    script = SET_ENV.format(home=home).replace("/bin:$PATH", "/atc/bin:$PATH")
    write(
        home / "bin/setenv.bash",
        script.replace("/python/site-packages", "/pyACL/python/site-packages/acl"),
    )
    return Tree(root, home, "5.0.4.alpha002")


def cann_6_0(root: Path) -> Tree:
    home = root / "ascend-toolkit/latest"
    _joined_home(home)
    write(root / "ascend-toolkit/set_env.sh", SET_ENV.format(home=home))
    write(
        home / "version.cfg",
        "# version: 1.0\nruntime_running_version=[1.84.15.1.310:6.0.RC1]\n"
        "toolkit_running_version=[1.84.15.1.310:6.0.RC1]\n",
    )
    return Tree(root, home, "6.0.RC1")


def cann_8_0(root: Path) -> Tree:
    """The root is the toolkit's own folder, as a user may give it."""
    toolkit = root / "ascend-toolkit"
    home = toolkit / "latest"
    _joined_home(home)
    write(toolkit / "set_env.sh", SET_ENV.format(home=home))
    write(home / "compiler/version.info", "Version=7.3.0.1.231\nversion_dir=8.0.RC2\n")
    return Tree(toolkit, home, "8.0.RC2")


def cann_8_5(root: Path) -> Tree:
    real = root / "cann-8.5.0"
    _joined_home(real)
    _info(real / f"{MACHINE}-linux", "8.5.0")
    (root / "cann").symlink_to("cann-8.5.0")
    home = root / "cann"
    write(real / "set_env.sh", SET_ENV.format(home=home))
    return Tree(root, home, "8.5.0")


def nnrt_6_3(root: Path) -> Tree:
    """The package that runs models and compiles none."""
    home = root / "nnrt/latest"
    write(home / "python/site-packages/acl/acl.so")
    write(home / "lib64/libascendcl.so")
    write(root / "nnrt/set_env.sh", SET_ENV.format(home=home))
    _info(home, "6.3.RC2", "nnrt")
    return Tree(root, home, "6.3.RC2")


TREES: Dict[str, Callable[[Path], Tree]] = {
    "20.1": cann_20_1,
    "5.0.2": cann_5_0_2,
    "5.0.4": cann_5_0_4,
    "6.0": cann_6_0,
    "8.0": cann_8_0,
    "8.5": cann_8_5,
    "nnrt": nnrt_6_3,
}
