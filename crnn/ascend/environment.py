"""What of CANN, the driver and the devices this machine has: pure reading of folders, variables and
npu-smi's text.

The folders searched, in this order, are written a second time in ``acl_env.sh`` for the shell; a
test holds the two together.
"""

from __future__ import annotations

import grp
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterator, List, Mapping, Optional, Tuple

from crnn.cann import (
    DEVICE_GROUP,
    DEVICE_NODES,
    DRIVER_VERSION_FILE,
    INSTALL_ROOT_VARIABLE,
    INSTALL_ROOTS,
)
from crnn.files import natural_key

_TREES = ("cann", "ascend-toolkit/latest", "latest", "nnae/latest", "nnrt/latest", ".")
_MARKS = (
    "set_env.sh",
    "bin/setenv.bash",
    "bin/atc",
    "atc/bin/atc",
    "compiler/bin/atc",
    "acllib",
    "pyACL",
    "python/site-packages/acl",
    "lib64/libascendcl.so",
)
_ARCHITECTURES = ("x86_64", "aarch64")


@dataclass(frozen=True)
class Version:
    """A CANN version as it is compared:

    major and minor; ``text`` is the whole name, such as 6.0.RC1.
    """

    major: int
    minor: int
    text: str = ""

    @classmethod
    def parse(cls, text: str) -> Optional[Version]:
        """Read '5.0.4.alpha002', '8.0.RC2' or '20.1.rc1'; None for anything else, component numbers
        (1.80.…) too.

        20.x came before 3.x and is compared as 2.x.
        """
        match = re.match(r"\s*V?(\d{1,2})\.(\d{1,2})(?![\d])", text)
        if not match or int(match.group(1)) < 2:
            return None
        major = int(match.group(1))
        return cls(2 if major == 20 else major, int(match.group(2)), text.strip())

    def __str__(self) -> str:
        return self.text or f"{self.major}.{self.minor}"

    @property
    def pair(self) -> Tuple[int, int]:
        """What versions are compared by."""
        return self.major, self.minor


@dataclass(frozen=True)
class Cann:
    """An installed CANN."""

    home: Path
    """The folder of its parts: …/ascend-toolkit/latest, …/cann, …/nnrt/latest."""
    version: Optional[Version]
    architecture: str
    """x86_64, aarch64, or empty where the folder does not say."""
    set_env: Optional[Path]
    """The script that sets its variables; None for the layouts that had none."""

    @property
    def has_atc(self) -> bool:
        """Whether ATC belongs to it: nnrt and nnae have none or part of one."""
        return any(
            (self.home / place).exists() for place in ("bin/atc", "atc/bin/atc", "compiler/bin/atc")
        )

    def __str__(self) -> str:
        return f"CANN {self.version or 'of unknown version'} at {self.home}"


@dataclass(frozen=True)
class Chip:
    """A device as npu-smi lists it; memory in MB, None where it is not said."""

    name: str
    health: str
    memory_used: Optional[int] = None
    memory_total: Optional[int] = None

    @property
    def soc(self) -> str:
        """The value for ATC's --soc_version."""
        return f"Ascend{self.name}"


def search_roots(environ: Mapping[str, str], root: Path = Path("/")) -> List[Path]:
    """Return the folders under which CANN is looked for: ASCEND_INSTALL_ROOT alone where it is set.

    It is the folder that holds ``ascend-toolkit``, ``cann`` or ``nnrt``, or one of these.

    Args:
        environ: Environment variables.
        root: The file system's root, for which tests give a folder.

    Returns:
        The folders, in the order of the search.
    """
    if environ.get(INSTALL_ROOT_VARIABLE):
        return [Path(environ[INSTALL_ROOT_VARIABLE])]
    home = environ.get("HOME", "")
    folders = [
        folder.replace("~", home, 1)
        for folder in INSTALL_ROOTS
        if home or not folder.startswith("~")
    ]
    return [
        Path(folder) if folder.startswith(home or "~") else root / folder.lstrip("/")
        for folder in folders
    ]


def find_cann(environ: Mapping[str, str], root: Path = Path("/")) -> Optional[Cann]:
    """Find the CANN whose variables are set, else the first that is installed.

    Args:
        environ: Environment variables.
        root: The file system's root, for which tests give a folder.

    Returns:
        The CANN, None where there is none.
    """
    if not environ.get(INSTALL_ROOT_VARIABLE):
        sourced = sourced_cann(environ)
        if sourced:
            return sourced
    for place in search_roots(environ, root):
        for home in _homes(place):
            return read_cann(home)
    return None


def sourced_cann(environ: Mapping[str, str]) -> Optional[Cann]:
    """Find the CANN whose variables this environment holds.

    Args:
        environ: Environment variables.

    Returns:
        The CANN, None where no variable names an existing folder.
    """
    for name in ("ASCEND_TOOLKIT_HOME", "ASCEND_HOME_PATH", "ASCEND_NNAE_HOME", "ASCEND_NNRT_HOME"):
        value = environ.get(name, "")
        if value and Path(value).is_dir():
            return read_cann(Path(value))
    # Layouts before set_env.sh know only the operators' folder.
    opp = environ.get("ASCEND_OPP_PATH", "")
    if opp and Path(opp).is_dir():
        return read_cann(Path(opp).parent)
    return None


def cann_of(program: Path) -> Optional[Cann]:
    """Find the CANN that a program belongs to.

    Args:
        program: A program's path, such as ``…/latest/bin/atc``.

    Returns:
        The CANN, None where none is recognised.
    """
    folders = [
        folder for start in (program.resolve(), program) for folder in list(start.parents)[:5]
    ]
    # <arch>-linux and the components hold copies of the layout; the folder above them knows the
    # version.
    inner = ("atc", "compiler", "x86_64-linux", "aarch64-linux")
    found = [
        read_cann(folder) for folder in folders if _is_home(folder) and folder.name not in inner
    ]
    return next((cann for cann in found if cann.version), found[0] if found else None)


def read_cann(home: Path) -> Cann:
    """Describe the CANN whose parts lie in ``home``."""
    # The script beside "latest" names the latest, so it serves no other version.
    if home.name == "latest":
        beside = home.parent
    else:
        beside = home
    scripts = (home / "set_env.sh", beside / "set_env.sh", home / "bin/setenv.bash")
    return Cann(
        home=home,
        version=_version(home),
        architecture=_architecture(home),
        set_env=next((script for script in scripts if script.is_file()), None),
    )


def python_range(cann: Version) -> Tuple[Tuple[int, int], Tuple[int, int]]:
    """Return the Pythons that this CANN's installation guide names.

    Args:
        cann: A version of CANN.

    Returns:
        Oldest and newest, each as (major, minor).
    """
    if cann.pair == (8, 0) and "RC" in cann.text.upper():
        return (3, 7), _NEWEST_OF_8_0_RC
    for first, newest in _PYTHONS:
        if cann.pair >= first:
            return (3, 7), newest
    return (3, 7), (3, 7)


# Newest Python by CANN, from the installation guides' lists of dependencies; the oldest is 3.7 for
# all of them.
_PYTHONS: Tuple[Tuple[Tuple[int, int], Tuple[int, int]], ...] = (
    ((9, 1), (3, 14)),
    ((8, 5), (3, 13)),
    ((8, 0), (3, 11)),
    ((6, 2), (3, 10)),
    ((5, 0), (3, 9)),
)


_NEWEST_OF_8_0_RC = (3, 10)
"""8.0's release candidates name 3.10; 3.11 came with 8.0.0."""


def driver_version(root: Path = Path("/")) -> Optional[str]:
    """Return the version that stands in the driver's version.info.

    Args:
        root: The file system's root, for which tests give a folder.

    Returns:
        The version, None without a driver.
    """
    values = _key_values(root / DRIVER_VERSION_FILE.lstrip("/"))
    return values.get("Version") or values.get("version")


def device_nodes(root: Path = Path("/")) -> List[str]:
    """Return the names of the chips' device files, davinci0, davinci1, …, in order.

    Args:
        root: The file system's root, for which tests give a folder.

    Returns:
        The names without their folder.
    """
    folder = root / "dev"
    if folder.is_dir():
        names = [entry.name for entry in folder.iterdir()]
    else:
        names = []
    return sorted((name for name in names if re.fullmatch(r"davinci[0-9]+", name)), key=natural_key)


def missing_nodes(root: Path = Path("/")) -> List[str]:
    """Find which of the three device files that every chip needs are absent.

    Args:
        root: The file system's root, for which tests give a folder.

    Returns:
        The paths of those that are absent.
    """
    return [node for node in DEVICE_NODES if not (root / node.lstrip("/")).exists()]


def in_group(group: str = DEVICE_GROUP) -> Optional[bool]:
    """Say whether this process belongs to the group that may open devices.

    Args:
        group: The group's name.

    Returns:
        True for a member and for root; None where there is no such group.
    """
    if os.geteuid() == 0:
        return True
    try:
        wanted = grp.getgrnam(group).gr_gid
    except KeyError:
        return None
    return wanted in {os.getegid(), *os.getgroups()}


def parse_npu_smi(text: str) -> List[Chip]:
    """Read ``npu-smi info``: two lines a chip, the first with its name and health, the second with
    its memory.

    Text in another form gives the chips that could be told, or none.
    """
    chips: List[Chip] = []
    for line in text.splitlines():
        head = re.match(r"\|\s*\d+\s+(?:Ascend\s*)?(\d{3}\w*)\s*\|\s*([A-Za-z]+)\s*\|", line)
        if head and head.group(2) != "NA":
            chips.append(Chip(name=head.group(1), health=head.group(2)))
        elif chips and chips[-1].memory_total is None:
            # Training cards list two pairs, of which the last is the chip's own memory.
            pairs = re.findall(r"(\d+)\s*/\s*(\d+)", line)
            if pairs and "|" in line:
                used, total = pairs[-1]
                chips[-1] = Chip(chips[-1].name, chips[-1].health, int(used), int(total))
    return chips


def npu_smi(timeout: float = 20.0) -> Optional[List[Chip]]:
    """List the chips by running ``npu-smi info``.

    Args:
        timeout: Seconds after which it is given up.

    Returns:
        The chips in its order; None where there is no npu-smi or it fails.
    """
    try:
        done = subprocess.run(
            ["npu-smi", "info"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=timeout,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode == 0:
        return parse_npu_smi(done.stdout.decode("utf-8", "replace"))
    return None


def _homes(place: Path) -> Iterator[Path]:
    for tree in _TREES:
        for home in (place / tree, *_newest(place / tree)):
            if _is_home(home):
                yield home
                break
            nested = [home / f"{architecture}-linux_gcc7.3.0" for architecture in _ARCHITECTURES]
            found = next((folder for folder in nested if _is_home(folder)), None)
            if found:
                yield found
                break


def _newest(tree: Path) -> List[Path]:
    """Where the link to the newest is missing, the versions themselves, newest first."""
    if tree.name == "latest":
        folder, pattern = tree.parent, r"\d+\..*"
    elif tree.name == "cann":
        folder, pattern = tree.parent, r"cann-\d+\..*"
    else:
        return []
    if folder.is_dir():
        names = [entry.name for entry in folder.iterdir()]
    else:
        names = []
    return [
        folder / name
        for name in sorted((n for n in names if re.fullmatch(pattern, n)), key=natural_key)
    ][::-1]


def _is_home(folder: Path) -> bool:
    return any((folder / mark).exists() for mark in _MARKS)


def _version(home: Path) -> Optional[Version]:
    for text in _version_texts(home):
        version = Version.parse(text)
        if version:
            return version
    return None


def _version_texts(home: Path) -> Iterator[str]:
    """Everything that may tell the version, most trustworthy first."""
    running = _key_values(home / "version.cfg")
    for name in ("toolkit_running_version", "toolkit_installed_version", *sorted(running)):
        # [component's number:CANN's version]
        yield running.get(name, "").strip("[]").rpartition(":")[2]
    inner = [home, *(home / f"{architecture}-linux" for architecture in _ARCHITECTURES)]
    for folder in inner:
        for package in ("toolkit", "nnae", "nnrt"):
            yield _key_values(folder / f"ascend_{package}_install.info").get("version", "")
    for folder in (*inner, home / "compiler", home / "runtime", home / "atc"):
        # Only version_dir is CANN's; Version is the component's, except in the topmost folder.
        yield _key_values(folder / "version.info").get("version_dir", "")
    top = _key_values(home / "version.info")
    yield top.get("Version") or top.get("version") or ""
    for folder in (home, *inner):
        for part in folder.resolve().parts[:-4:-1]:
            yield re.sub(r"^cann-", "", part)


def _architecture(home: Path) -> str:
    for architecture in _ARCHITECTURES:
        if (home / f"{architecture}-linux").is_dir() or f"{architecture}-linux" in str(
            home.resolve()
        ):
            return architecture
    for package in ("toolkit", "nnae", "nnrt"):
        value = _key_values(home / f"ascend_{package}_install.info").get("arch", "")
        if value in _ARCHITECTURES:
            return value
    return ""


def _key_values(path: Path) -> Dict[str, str]:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    pairs = (
        line.partition("=") for line in lines if "=" in line and not line.lstrip().startswith("#")
    )
    return {key.strip(): value.strip().strip('"') for key, _, value in pairs}
