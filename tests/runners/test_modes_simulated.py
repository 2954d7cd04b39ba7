"""The whole life of a runner under the simulator, by release and run mode: no rule is broken, and
nothing is left. Once as a process, which exits 70 otherwise.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Dict, List

import pytest

from crnn.runners.base import Runner
from crnn.runners.open import open_runner
from tests.ascend.machine import write_om
from tests.conftest import ROOT
from tests.models import echo_images
from tests.runners.streamed import WORDS, batches, read
from tests.simulated import host

PROGRAM = """
import sys
from pathlib import Path
from tests.runners.test_modes_simulated import live

live(Path(sys.argv[1]))
"""


def use(runner: Runner, wrong: List[List[str]]) -> None:
    """Run, stream and run; keep what was read wrong."""
    found = read(runner.run(echo_images(WORDS)))
    for logits in runner.stream(batches()):
        found += read(logits)
    found += read(runner.run(echo_images(WORDS)))
    if found != 3 * WORDS:
        wrong.append(found)


def live(om: Path) -> None:
    """Use a runner from one thread, from two at a time, and with its stages measured."""
    wrong: List[List[str]] = []
    stages: List[str] = []
    with open_runner(om) as runner:
        use(runner, wrong)
        threads = [threading.Thread(target=use, args=(runner, wrong)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        runner.lap = stages.append
        use(runner, wrong)
    assert wrong == []
    assert sorted(set(stages)) == ["compute", "host to device"]


def calls_of(om: Path, options: str = "") -> Dict[str, int]:
    """Return how often such a life calls each function of pyACL."""
    with host(om.parent, options) as findings:
        live(om)
    return findings.calls


def test_a_process_ends_clean(tmp_path: Path) -> None:
    om = write_om(tmp_path / "m.om", batches=(1, 4), gears=True)
    words = [sys.executable, "-m", "crnn.simulator", "--", sys.executable, "-c", PROGRAM, str(om)]
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        words, capture_output=True, text=True, timeout=120, env=environ, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_model_is_run_one_way_only(tmp_path: Path) -> None:
    calls = calls_of(write_om(tmp_path / "m.om", batches=(1, 4), gears=True))
    assert "acl.mdl.execute" not in calls
    assert calls["acl.mdl.execute_async"] > 30


@pytest.mark.parametrize("release", ["6.0", "8.3", "8.5"])
def test_on_the_chip_itself_batches_begin_on_64_bytes(tmp_path: Path, release: str) -> None:
    om = write_om(tmp_path / "m.om", soc="Ascend310B4")
    calls_of(om, f"--run-mode device --soc Ascend310B4 --cann {release}")


@pytest.mark.parametrize("release", ["8.0", "8.5", "9.0"])
def test_where_events_last_none_is_reset(tmp_path: Path, release: str) -> None:
    om = write_om(tmp_path / "m.om", soc="Ascend310P3")
    calls = calls_of(om, f"--soc Ascend310P3 --cann {release}")
    assert calls["acl.rt.create_event_ex_with_flag"] == calls["acl.rt.destroy_event"]
    assert not {"acl.rt.create_event", "acl.rt.reset_event"} & set(calls)


@pytest.mark.parametrize("release", ["5.0", "6.0", "7.0"])
def test_before_8_0_each_event_is_reset_by_who_waited_for_it(tmp_path: Path, release: str) -> None:
    calls = calls_of(write_om(tmp_path / "m.om"), f"--cann {release}")
    assert calls["acl.rt.reset_event"] == calls["acl.rt.stream_wait_event"] > 0
    assert calls["acl.rt.create_event"] == calls["acl.rt.destroy_event"]
