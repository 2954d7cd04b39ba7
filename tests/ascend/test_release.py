"""Everything is released once, last first, and the first error is the one raised."""

from __future__ import annotations

import os
import signal
import threading
from typing import List

import pytest

from crnn.ascend.pyacl import AscendError
from crnn.ascend.release import Releases, uninterrupted


def test_all_are_released_last_first_though_some_fail() -> None:
    done: List[int] = []

    def release(number: int) -> None:
        done.append(number)
        if number in (2, 4):
            raise AscendError("rt.free", 100000 + number)

    held = Releases()
    for number in range(1, 6):
        held.push(release, number)
    with pytest.raises(AscendError, match="100004"):
        held.close()
    assert done == [5, 4, 3, 2, 1]
    held.close()
    assert len(done) == 5


def test_an_interrupt_in_one_release_keeps_none_from_being_made() -> None:
    done: List[int] = []

    def interrupt() -> None:
        raise KeyboardInterrupt

    held = Releases()
    held.push(done.append, 1)
    held.push(interrupt)
    held.push(done.append, 2)
    with pytest.raises(KeyboardInterrupt):
        held.close()
    assert done == [2, 1]


def test_ctrl_c_waits_for_the_end_of_the_block() -> None:
    reached = False
    with pytest.raises(KeyboardInterrupt), uninterrupted():
        os.kill(os.getpid(), signal.SIGINT)
        reached = sum(range(100)) == 4950  # time for a handler to run
    assert reached
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_other_threads_need_no_shield() -> None:
    ran: List[bool] = []

    def work() -> None:
        with uninterrupted():
            ran.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert ran == [True]
