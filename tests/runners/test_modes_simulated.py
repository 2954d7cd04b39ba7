"""A whole process under the simulator, by release and run mode: it exits 0 only where no rule was
broken and nothing left, and 70 otherwise.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict

import pytest

from tests.ascend.machine import write_om
from tests.conftest import ROOT

SCRIPT = """
import sys, threading
from pathlib import Path
from crnn.errors import KitError
from crnn.runners.open import open_runner
from tests.models import echo_images
from tests.runners.streamed import WORDS, batches, read

def use(runner, wrong):
    found = read(runner.run(echo_images(WORDS)))
    for logits in runner.stream(batches()):
        found += read(logits)
    found += read(runner.run(echo_images(WORDS)))
    if found != 3 * WORDS:
        wrong.append(found)

def main():
    wrong, stages = [], []
    with open_runner(Path(sys.argv[1])) as runner:
        use(runner, wrong)
        threads = [threading.Thread(target=use, args=(runner, wrong)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        runner.lap = stages.append
        use(runner, wrong)
    print(wrong, sorted(set(stages)))

if __name__ == "__main__":
    try:
        main()
    except KitError as error:
        print(error.message)  # and the simulator ends with 70, having told the broken rule
"""


def simulate(tmp_path: Path, om: Path, *knobs: str) -> Dict[str, Any]:
    """Run the script: run, stream, run, two threads on one runner, stages; the report."""
    script, report = tmp_path / "script.py", tmp_path / "report.json"
    script.write_text(SCRIPT, encoding="utf-8")
    words = [sys.executable, "-m", "crnn.simulator", "--report", str(report), *knobs, "--"]
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*words, sys.executable, str(script), str(om)],
        capture_output=True,
        text=True,
        timeout=120,
        env=environ,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "[] ['compute', 'host to device']\n"
    found: Dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    return found


def test_a_model_is_run_one_way_only(tmp_path: Path) -> None:
    calls = simulate(tmp_path, write_om(tmp_path / "m.om", batches=(1, 4), gears=True))["calls"]
    assert "acl.mdl.execute" not in calls
    assert calls["acl.mdl.execute_async"] > 30


@pytest.mark.parametrize("release", ["6.0", "8.3", "8.5"])
def test_on_the_chip_itself_batches_begin_on_64_bytes(tmp_path: Path, release: str) -> None:
    om = write_om(tmp_path / "m.om", soc="Ascend310B4")
    knobs = ("--run-mode", "device", "--soc", "Ascend310B4", "--cann", release)
    assert simulate(tmp_path, om, *knobs)["clean"]


@pytest.mark.parametrize("release", ["8.0", "8.5", "9.0"])
def test_where_events_last_none_is_reset(tmp_path: Path, release: str) -> None:
    om = write_om(tmp_path / "m.om", soc="Ascend310P3")
    calls = simulate(tmp_path, om, "--soc", "Ascend310P3", "--cann", release)["calls"]
    assert calls["acl.rt.create_event_ex_with_flag"] == calls["acl.rt.destroy_event"]
    assert not {"acl.rt.create_event", "acl.rt.reset_event"} & set(calls)


@pytest.mark.parametrize("release", ["5.0", "6.0", "7.0"])
def test_before_8_0_each_event_is_reset_by_who_waited_for_it(tmp_path: Path, release: str) -> None:
    calls = simulate(tmp_path, write_om(tmp_path / "m.om"), "--cann", release)["calls"]
    assert calls["acl.rt.reset_event"] == calls["acl.rt.stream_wait_event"] > 0
    assert calls["acl.rt.create_event"] == calls["acl.rt.destroy_event"]
