"""What a killed process left is removed by the next one in that place, and never anything else."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Iterator

import pytest

from crnn import exchange, files, leftovers
from crnn.cli.main import main
from crnn.errors import InputError
from crnn.files import atomic_folder, write_text
from crnn.leftovers import lives, temporary_file, this_process, tidy
from tests.processes import started, uncounted

DIES = """
import os, sys
from pathlib import Path
from crnn.leftovers import temporary_file, temporary_folder, PART, OLD
folder = Path(sys.argv[1])
temporary_file(folder)
(temporary_folder(folder, PART) / "half").write_text("")
if len(sys.argv) > 2:
    os.rename(folder / "d", temporary_folder(folder, OLD) / "d")
os.kill(os.getpid(), 9)
"""

LIVES = """
import sys
from pathlib import Path
from crnn.leftovers import temporary_folder, PART
print(temporary_folder(Path(sys.argv[1]), PART), flush=True)
sys.stdin.read()
"""


def killed(folder: Path, *more: str) -> None:
    command = [sys.executable, "-c", DIES, str(folder), *more]
    done = subprocess.run(command, check=False, env=uncounted())
    assert done.returncode == -signal.SIGKILL


def hidden(folder: Path) -> list[str]:
    return sorted(name for name in os.listdir(folder) if name.startswith("."))


@pytest.mark.parametrize("form", ["file", "folder"])
def test_the_next_write_removes_what_a_dead_process_left(form: str, tmp_path: Path) -> None:
    killed(tmp_path)
    assert len(hidden(tmp_path)) == 2
    if form == "file":
        write_text(tmp_path / "f", "x")
    else:
        with atomic_folder(tmp_path / "f"):
            pass
    assert os.listdir(tmp_path) == ["f"]


def test_what_lives_is_left_alone(tmp_path: Path) -> None:
    program = [sys.executable, "-c", LIVES, str(tmp_path)]
    with started(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=uncounted()) as child:
        theirs = Path(child.stdout.readline().decode().strip())
        descriptor, own = temporary_file(tmp_path)
        assert tidy(tmp_path) == []
        assert theirs.is_dir()
        assert own.exists()
        os.close(descriptor)


def test_what_is_not_of_this_machine_or_has_no_such_name_is_left_alone(tmp_path: Path) -> None:
    killed(tmp_path)
    name = next(name for name in hidden(tmp_path) if (tmp_path / name).is_dir())
    host, rest = name[len(".crnn-") :].split("-", 1)
    others = [
        f".crnn-other_{host}-{rest}",
        ".crnn-abcdefgh.part",  # of an earlier release
        f".crnn-{host}-{rest}.bak",
        f".crnn-{host}-x{rest}",
        f"crnn-{host}-{rest}",
    ]
    for other in others:
        shutil.copytree(tmp_path / name, tmp_path / other)
    link = tmp_path / f".crnn-{host}-{rest[: -len('.part')]}z.part"
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "kept").touch()
    link.symlink_to("far")
    tidy(tmp_path)
    # A link is not followed, whatever becomes of it.
    assert sorted(path.name for path in tmp_path.iterdir() if path != link) == sorted(
        [*others, "far"]
    )
    assert os.listdir(tmp_path / "far") == ["kept"]


def test_a_number_that_another_process_has_by_now_tells_nothing_alive(tmp_path: Path) -> None:
    killed(tmp_path)
    for name in hidden(tmp_path):
        host, _, start, rest = name[len(".crnn-") :].split("-", 3)
        os.rename(tmp_path / name, tmp_path / f".crnn-{host}-{os.getpid()}-{int(start) + 1}-{rest}")
    tidy(tmp_path)
    assert hidden(tmp_path) == []


def test_what_is_locked_is_left_alone_whatever_its_number(tmp_path: Path) -> None:
    # In a container of the same name, the process has a number that means nothing here.
    killed(tmp_path)
    folder = next(tmp_path / name for name in hidden(tmp_path) if (tmp_path / name).is_dir())
    with leftovers.locked(folder):
        tidy(tmp_path)
        assert folder.is_dir()
    tidy(tmp_path)
    assert not folder.exists()


def test_an_old_folder_comes_back_and_a_sentence_says_so(tmp_path: Path, capsys) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "old").touch()
    killed(tmp_path, "moved aside")
    assert not (tmp_path / "d").exists()
    # Not an LMDB, but it is there again.
    assert main(["dataset", "check", str(tmp_path / "d")]) == 1
    told = capsys.readouterr().err
    assert f"killed while it replaced {tmp_path}/d: the old one is back" in told
    assert os.listdir(tmp_path) == ["d"]
    assert os.listdir(tmp_path / "d") == ["old"]


def test_an_old_folder_whose_successor_is_there_is_removed(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    killed(tmp_path, "moved aside")
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "new").touch()
    assert tidy(tmp_path) == []
    assert os.listdir(tmp_path) == ["d"]
    assert os.listdir(tmp_path / "d") == ["new"]


def test_an_empty_successor_stays_too(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "old").touch()
    killed(tmp_path, "moved aside")
    (tmp_path / "d").mkdir()
    assert tidy(tmp_path) == []
    assert os.listdir(tmp_path) == ["d"]
    assert os.listdir(tmp_path / "d") == []


def test_nothing_is_known_of_another_machines_processes() -> None:
    own = this_process()
    assert lives(own)
    assert not lives(own._replace(start="1"))
    assert lives(own._replace(host="elsewhere", start="1"))


# Replacing a folder


@pytest.fixture(params=[0, errno.EINVAL, errno.ENOSYS, errno.EXDEV, errno.EPERM])
def refused(request, monkeypatch) -> Iterator[int]:
    """The system's answer to renameat2: its own, or a refusal."""
    if request.param:
        monkeypatch.setattr(exchange, "_renameat2", lambda first, second: request.param)
    return request.param


@pytest.fixture(params=["disk", "tmpfs"])
def place(request, tmp_path: Path) -> Iterator[Path]:
    if request.param == "disk":
        yield tmp_path
        return
    if not os.access("/dev/shm", os.W_OK):
        pytest.skip("no tmpfs here")
    folder = Path("/dev/shm") / f"crnn-test-{os.getpid()}"
    folder.mkdir()
    yield folder
    shutil.rmtree(folder)


def test_a_folder_is_replaced_however_the_system_answers(refused: int, place: Path) -> None:
    target = place / "d"
    for content in ("old", "new"):
        with atomic_folder(target) as folder:
            (folder / content).touch()
    assert os.listdir(target) == ["new"]
    assert os.listdir(place) == ["d"]


def test_the_folder_is_never_away_where_the_system_can_exchange(place: Path, monkeypatch) -> None:
    target = place / "d"
    target.mkdir()
    monkeypatch.setattr(files, "_move_aside_and_replace", None)
    with atomic_folder(target) as folder:
        (folder / "new").touch()
    assert os.listdir(target) == ["new"]


def test_another_answer_is_an_error_and_leaves_the_old(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(exchange, "_renameat2", lambda first, second: errno.EIO)
    (tmp_path / "d").mkdir()
    with pytest.raises(InputError, match="Input/output error; nothing was changed"), atomic_folder(
        tmp_path / "d"
    ) as folder:
        (folder / "new").touch()
    assert os.listdir(tmp_path) == ["d"]
    assert os.listdir(tmp_path / "d") == []


def test_the_call_by_its_number_does_the_same(tmp_path: Path, monkeypatch) -> None:
    import ctypes

    library = ctypes.CDLL(None, use_errno=True)

    class Older:
        """A C library that does not name the call."""

        syscall = library.syscall

    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: Older)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"was {name}").touch()
    assert exchange.exchanged(tmp_path / "a", tmp_path / "b")
    assert os.listdir(tmp_path / "a") == ["was b"]
    assert not exchange.exchanged(tmp_path / "a", Path("/dev/shm"))


SLOW_FULL = """
import sys
from pathlib import Path
from crnn.files import atomic_folder
with atomic_folder(Path(sys.argv[1])) as folder:
    (folder / "big").write_bytes(bytes(1 << 20))
"""


def mounted(kind: str, options: str, place: Path) -> list[str]:
    """Return the beginning of a command line: a file system is mounted for that process alone."""
    script = f'mount -t {kind} {kind} {options} {place} && exec "$@"'
    return ["unshare", "-m", "sh", "-c", script, "sh"]


def can_mount() -> bool:
    if shutil.which("unshare") is None:
        return False
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", "mount -t tmpfs tmpfs /mnt"], check=False, capture_output=True
    )
    return done.returncode == 0


@pytest.mark.skipif(not can_mount(), reason="mounting is refused here")
def test_a_full_disk_leaves_the_old_folder(tmp_path: Path) -> None:
    place = tmp_path / "small"
    place.mkdir()
    program = tmp_path / "program.py"
    program.write_text(SLOW_FULL)
    script = (
        f"mkdir {place}/d; touch {place}/d/old; {sys.executable} {program} {place}/d;"
        f" ls -A {place} {place}/d"
    )
    command = [*mounted("tmpfs", "-o size=100k", place), "sh", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=uncounted())
    assert "No space left on device" in done.stderr
    assert done.stdout.split() == [f"{place}:", "d", f"{place}/d:", "old"]


@pytest.mark.skipif(not can_mount(), reason="mounting is refused here")
def test_an_overlay_s_lower_layer_is_said_and_kept(tmp_path: Path) -> None:
    for name in ("lower/d", "upper", "work", "merged"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "lower/d/old").touch()
    options = f"-o lowerdir={tmp_path}/lower,upperdir={tmp_path}/upper,workdir={tmp_path}/work"
    place = tmp_path / "merged"
    program = tmp_path / "program.py"
    program.write_text(SLOW_FULL)
    script = (
        f"{sys.executable} {program} {place}/d; ls -A {place} {place}/d;"
        f" {sys.executable} {program} {place}/e; touch {place}/e/old;"
        f" {sys.executable} {program} {place}/e; ls -A {place}/e"
    )
    command = [*mounted("overlay", options, place), "sh", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=uncounted())
    assert "remove what stands there" in done.stderr
    assert done.stdout.split() == [f"{place}:", "d", f"{place}/d:", "old", "big"]
