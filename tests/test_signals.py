"""Signals: held back, taken for Ctrl-C, and left to the parent.

Real ones, mostly in processes of their own: what a test process inherits must not matter.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from typing import List

import pytest

from crnn.signals import handled, interrupts_blocked, uninterrupted


@pytest.fixture(autouse=True)
def _own_ctrl_c():
    """A background job of a shell inherits an ignored Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def run(script: str) -> subprocess.CompletedProcess:
    head = "import os, signal, sys; from crnn import signals; me = os.getpid()\n"
    head += "from crnn.cli.main import ended_as_interrupted\n"
    head += "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    head += "[signal.signal(n, signal.SIG_DFL) for n in signals.ENDING]\n"
    return subprocess.run(
        [sys.executable, "-c", head + script], capture_output=True, text=True, timeout=60
    )


def test_ctrl_c_waits_for_the_end_of_the_block() -> None:
    reached = False
    with pytest.raises(KeyboardInterrupt), uninterrupted():
        os.kill(os.getpid(), signal.SIGINT)
        reached = sum(range(100)) == 4950  # time for a handler to run
    assert reached
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_ignored_signal_is_not_answered() -> None:
    # As nohup leaves SIGHUP.
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    came: List[int] = []
    try:
        with handled(lambda number, frame: came.append(number), signal.SIGHUP, signal.SIGTERM):
            os.kill(os.getpid(), signal.SIGHUP)
            os.kill(os.getpid(), signal.SIGTERM)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
    assert came == [signal.SIGTERM]


def test_other_threads_need_no_shield() -> None:
    ran: List[bool] = []

    def work() -> None:
        with uninterrupted():
            ran.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert ran == [True]


def test_an_ignored_ctrl_c_stays_ignored() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with uninterrupted():
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_a_handler_is_put_back() -> None:
    seen: List[int] = []
    before = signal.getsignal(signal.SIGTERM)
    with handled(lambda number, frame: seen.append(number), signal.SIGINT, signal.SIGTERM):
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
    assert seen == [signal.SIGTERM, signal.SIGINT]
    assert signal.getsignal(signal.SIGTERM) == before
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_call_to_end_is_a_ctrl_c(name: str) -> None:
    done = run(
        f"""
with ended_as_interrupted() as ended:
    try:
        os.kill(me, signal.{name})
        sum(range(100))
    except KeyboardInterrupt:
        print(ended == [signal.{name}])
print(signal.getsignal(signal.{name}) is signal.SIG_DFL)
"""
    )
    assert done.stdout == "True\nTrue\n", done.stderr


def test_a_call_to_end_waits_for_what_is_not_interrupted() -> None:
    done = run(
        """
with ended_as_interrupted():
    try:
        with signals.uninterrupted():
            os.kill(me, signal.SIGTERM)
            print(sum(range(100)))
    except KeyboardInterrupt:
        print("interrupted")
"""
    )
    assert done.stdout == "4950\ninterrupted\n", done.stderr


def test_an_ignored_hangup_stays_ignored() -> None:
    done = run(
        """
signal.signal(signal.SIGHUP, signal.SIG_IGN)
with ended_as_interrupted() as ended:
    os.kill(me, signal.SIGHUP)
    print(ended)
"""
    )
    assert done.stdout == "[]\n", done.stderr


def test_termination_unwinds_the_stack() -> None:
    done = run(
        """
try:
    with signals.termination_raises():
        os.kill(me, signal.SIGTERM)
        sum(range(100))
finally:
    print("unwound")
"""
    )
    assert (done.returncode, done.stdout) == (128 + signal.SIGTERM, "unwound\n"), done.stderr


def test_children_inherit_a_blocked_ctrl_c() -> None:
    script = "import signal; print(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, []))"
    with interrupts_blocked(signal.SIGTERM):
        assert signal.SIGTERM in signal.pthread_sigmask(signal.SIG_BLOCK, [])
        child = subprocess.run(
            [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, check=True
        )
    assert child.stdout == "True\n"
    assert signal.SIGTERM not in signal.pthread_sigmask(signal.SIG_BLOCK, [])


def test_a_child_outlives_signals_until_its_time_is_up() -> None:
    done = run(
        """
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT, *signals.ENDING])
signals.left_to_parent(60)
for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
    os.kill(me, number)
print(signal.alarm(0) > 0)
"""
    )
    assert done.stdout == "True\n", done.stderr
