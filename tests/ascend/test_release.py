"""Everything is released once, last first, and the first error is the one raised."""

from __future__ import annotations

from typing import List

import pytest

from crnn.ascend.pyacl import AscendError
from crnn.ascend.release import Held, Releases


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


class Refusing(Held):
    """Held memory that CANN does not take back."""

    def release(self) -> None:
        raise AscendError("rt.free", 100001)


def test_the_error_of_a_block_is_told_before_that_of_giving_back() -> None:
    with pytest.raises(ValueError, match="of the block"), Refusing():
        raise ValueError("of the block")
    with pytest.raises(AscendError, match="100001"), Refusing():
        pass
