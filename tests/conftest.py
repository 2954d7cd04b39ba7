"""Fixtures that several parts' tests share, and what holds for every test."""

from __future__ import annotations

import contextlib
import gc
import io
import os
import re
import signal
from pathlib import Path
from typing import List

# Several test processes share the processors: idle threads must not spin in one another's way.
# NumPy's matrix library reads this as it is loaded, so here, before whatever loads it.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import hypothesis
import pytest
from _pytest.capture import CaptureResult

from tests import kind
from tests.lines import joined
from tests.real_data import real_data

# A shell starts a job in the background with Ctrl-C ignored, which every process that a test starts
# would inherit. SIGHUP stays as it is: a run under nohup has to outlive its terminal.
signal.signal(signal.SIGINT, signal.default_int_handler)

# A busy machine is slow, and nothing is wrong with a test for that.
hypothesis.settings.register_profile(
    "busy", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("busy")

# Lines are as wide as they are everywhere: 80 columns.
os.environ.pop("COLUMNS", None)

ROOT = Path(__file__).resolve().parent.parent
FIRST_WEIGHTS = ROOT / "tests" / "data" / "first_weights.pth"
"""The first weights that were shipped; figures of the docs that were measured with them stay."""

# The files that take most of the suite's time, the dearest first: `make fast` leaves them out.
SLOW = (
    "cluster/test_cluster.py",
    "fuzz/test_hostile.py",
    "training/test_loop.py",
    "test_page_commands.py",
    "test_real_widths.py",
    "training/test_faults.py",
    "test_own_words.py",
    "datasets/test_synth.py",
    "runners/test_ascend_runner.py",
    "runners/test_devices.py",
    "test_library.py",
    "decoding/test_real_words.py",
    "test_variants_simulated.py",
    "test_real_words.py",
    "fuzz/test_fuzz.py",
    "export/test_quantize.py",
    "test_compile_simulated.py",
    "test_shipped_weights.py",
    "test_sure_words.py",
    "cli/test_sure.py",
    "jobs/test_prepared_views.py",
    "test_ten_faults.py",
    "jobs/test_read_again.py",
    "cli/test_read_watch.py",
    "test_probe_simulated.py",
    "compile/test_like.py",
    "cli/test_widths.py",
    "cli/test_export.py",
    "export/test_int8_exact.py",
    "cli/test_process.py",
    "export/test_graph.py",
    "jobs/test_prepare_processes.py",
    "jobs/test_unreadable_labels.py",
    "runners/test_modes_simulated.py",
    "simulator/test_launcher.py",
    "simulator/test_page.py",
    "test_readme.py",
)

# Why a test may be skipped on a machine that has the real data: what the machine or its user is.
EXPECTED_SKIPS = re.compile(
    r"no GPU|there is a GPU|root reads what it likes|no zsh here|CANN is installed here"
    r"|no font with|standard library's modules came with 3.10"
    r"|mounting is refused here|PyTorch before 2.3|Pillow before 11|no qemu-x86_64|no Python [23]"
    r"|a Pillow without libjpeg-turbo|no Ray here|threads alone decode on Python 3.8"
)


def pytest_configure(config: pytest.Config) -> None:
    """Let files begin in the order of their tests (`pytest_collection_modifyitems`)."""
    # xdist would begin with those that have the most tests, and end with the dearest.
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False


def pytest_collection_modifyitems(items: List[pytest.Item]) -> None:
    """Mark the slow files, and put them first: one that began last would keep one process busy
    after all others are done.

    A name in the list that is not a file any more would mark nothing.
    """
    folder = ROOT / "tests"
    gone = [name for name in SLOW if not (folder / name).is_file()]
    if gone:
        raise pytest.UsageError(f"tests/conftest.py lists slow files that do not exist: {gone}")
    places = {folder / name: place for place, name in enumerate(SLOW)}
    for item in items:
        if item.path in places:
            item.add_marker("slow")
    items.sort(key=lambda item: places.get(item.path, len(places)))


def pytest_collection_finish() -> None:
    """Let Python's collector of garbage pass over what is there before the first test: thousands of
    tests, and modules that are large.
    """
    gc.freeze()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what this run has proved something for, since much depends on where it ran."""
    for line in kind.lines():
        terminalreporter.write_line(line)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):  # type: ignore[no-untyped-def]
    """Where the real data is, a skip for any other reason than the machine's kind is a failure."""
    report = (yield).get_result()
    if not report.skipped or hasattr(report, "wasxfail") or real_data() is None:
        return
    reason = str(report.longrepr[2])
    if not EXPECTED_SKIPS.search(reason):
        report.outcome = "failed"
        report.longrepr = f"an unexpected skip, with the real data here: {reason}"


class Joined:
    """pytest's capsys; sentences on stderr that were broken at 80 columns are whole again."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.disabled = capsys.disabled

    def readouterr(self) -> CaptureResult[str]:
        """Return what was printed since the last call."""
        out, err = self._capsys.readouterr()
        return CaptureResult(out, joined(err))


@pytest.fixture
def capsys(capsys: pytest.CaptureFixture[str]) -> Joined:
    """Tests look for sentences; how they are broken is what tests/cli/test_layout.py tests."""
    return Joined(capsys)


@pytest.fixture(scope="session")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped checkpoint as ONNX, exported once a process; tests read it or take a copy."""
    return _exported(tmp_path_factory.mktemp("shipped") / "crnn.onnx")


@pytest.fixture(scope="session")
def shipped_wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, of three widths."""
    return _exported(tmp_path_factory.mktemp("shipped") / "wide.onnx", "--widths", "80,128,200")


def _exported(path: Path, *options: str) -> Path:
    from crnn.cli.main import main

    # What it prints is not the test's that asks first.
    with contextlib.redirect_stdout(io.StringIO()):
        code = main(["export", str(ROOT / "examples" / "crnn_small.pth"), str(path), *options])
    assert code == 0
    return path


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real words and files that cannot be shipped; tests that need it skip where it
    is absent.
    """
    folder = real_data()
    if folder is None:
        pytest.skip("no real data here (CRNN_SHARED_DATA)")
    return folder
