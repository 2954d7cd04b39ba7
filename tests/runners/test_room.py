"""Memory that is shared with another process: its places, and what becomes of them."""

from __future__ import annotations

import contextlib
import mmap
import multiprocessing
import os
from multiprocessing.connection import Connection
from typing import Iterator, List

import numpy as np
import pytest

from crnn.runners.room import Place, Room, Visitor


@pytest.fixture
def room() -> Iterator[Room]:
    opened = Room()
    yield opened
    opened.close()


def visit(pipe: Connection, visitor: Visitor, place: Place) -> None:
    """Turn the numbers in a place round."""
    numbers = visitor.view(place, (3,), "<f4")
    pipe.send(numbers.tolist())
    assert visitor.put(place, numbers[::-1].copy())


def test_another_process_sees_it_and_answers_in_it(room: Room) -> None:
    place = room.taken(12)
    assert place is not None
    assert room.put(place, np.array([1, 2, 3], dtype="<f4"))
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=visit, args=(theirs, room, place))
    process.start()
    process.join()
    assert process.exitcode == 0
    assert ours.recv() == [1, 2, 3]
    assert room.view(place, (3,), "<f4").tolist() == [3, 2, 1]


def test_an_array_that_is_not_of_one_piece_is_put_whole(room: Room) -> None:
    place = room.taken(48)
    assert place is not None
    array = np.arange(24, dtype=np.uint16).reshape(4, 6)[:, ::-1].transpose()
    assert room.put(place, array)
    np.testing.assert_array_equal(room.view(place, (6, 4), "<u2"), array)


def test_places_do_not_overlap_and_are_taken_again(room: Room) -> None:
    first, second = room.taken(10), room.taken(mmap.PAGESIZE + 1)
    assert first is not None
    assert second is not None
    assert (first.offset, second.offset) == (0, first.size)
    assert second.size == 2 * mmap.PAGESIZE
    room.give_back(first, 10)
    assert room.taken(5) == first


def test_the_next_places_have_room_for_what_came_back(room: Room) -> None:
    place = room.taken(10)
    assert place is not None
    assert not room.put(place, np.zeros(place.size + 1, dtype=np.uint8))
    room.give_back(place, place.size + 1)
    wider = room.taken(10)
    assert wider is not None
    assert wider.size > place.size


def test_a_room_has_an_end(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crnn.runners.room._MOST", 2 * mmap.PAGESIZE)
    assert room.taken(1) is not None
    assert room.taken(mmap.PAGESIZE + 1) is None
    assert room.taken(1) is not None
    assert room.taken(1) is None


def test_nothing_of_it_has_a_name(room: Room) -> None:
    place = room.taken(1 << 20)
    assert place is not None
    assert room.put(place, np.ones(1 << 20, dtype=np.uint8))
    assert all("(deleted)" in name for name in memories())
    assert len(memories()) == 2  # the room's own, and that of the place
    room.close()
    room.close()
    assert memories() == []


def memories() -> List[str]:
    """Return what this process has open of such memory."""
    found = []
    for entry in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):
            name = os.readlink(f"/proc/self/fd/{entry}")
            if "memfd:crnn" in name:
                found.append(name)
    return found


def test_without_such_memory_there_is_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "memfd_create")
    assert Room().taken(1) is None
