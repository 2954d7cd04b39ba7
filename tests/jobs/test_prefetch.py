"""Reading ahead: order, errors, and no thread left behind."""

from __future__ import annotations

import threading
from typing import Iterator

import pytest

from crnn.jobs.prefetch import prefetch


def threads() -> int:
    return sum(thread.name == "crnn-prefetch" for thread in threading.enumerate())


def test_items_come_in_order() -> None:
    assert list(prefetch(iter(range(100)), ahead=3)) == list(range(100))
    assert threads() == 0


def test_an_error_is_raised_in_its_place() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise OSError("disk gone")

    stream = prefetch(items())
    assert next(stream) == 1
    with pytest.raises(OSError, match="disk gone"):
        next(stream)
    assert threads() == 0


def test_no_more_than_asked_is_read_ahead() -> None:
    taken = 0

    def items() -> Iterator[int]:
        nonlocal taken
        for index in range(50):
            taken += 1
            yield index

    for given_out, _ in enumerate(prefetch(items(), ahead=2), 1):
        # Two wait in the queue, one in the thread's hand.
        assert taken - given_out <= 3


def test_closing_ends_the_thread_and_the_source() -> None:
    closed = threading.Event()

    def items() -> Iterator[int]:
        try:
            while True:
                yield 0
        finally:
            closed.set()

    stream = prefetch(items())
    next(stream)
    stream.close()
    assert threads() == 0
    assert closed.is_set()
