"""Samples to batches by threads: what comes out is in order, whole, and bounded."""

from __future__ import annotations

import collections
import contextlib
import io
import itertools
import multiprocessing
import os
import sys
import threading
import time
from concurrent.futures import Future, wait
from dataclasses import replace
from pathlib import Path
from typing import Any, Iterable, Iterator, List, TypeVar

import numpy as np
import pytest
from PIL import Image

from crnn.batch import Problem, Sample
from crnn.errors import InputError
from crnn.image import decode
from crnn.samples import batches
from crnn.samples.batches import CHUNK, Handed, by_processes, image_batches
from crnn.samples.lmdb import LmdbSamples
from crnn.samples.lmdb_writer import new_lmdb
from crnn.samples.source import ImageSource
from crnn.spec import ModelSpec
from crnn.widths import Widths

T = TypeVar("T")
SPEC = replace(ModelSpec.default(), height=4, width=8)
WIDTHS = replace(SPEC, widths=Widths(factor=4.0, list=(6, 8, 12)))


def picture(index: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(index).integers(0, 256, (9, 20), dtype=np.uint8)).save(
        file, "PNG"
    )
    return file.getvalue()


def samples(count: int) -> list[Sample]:
    return [Sample(f"k{index}", picture(index), f"w{index}") for index in range(count)]


@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize("size", [1, 7, CHUNK, 64])
def test_all_come_in_order_whatever_the_batch_and_the_threads(size: int, workers: int) -> None:
    words = samples(50)
    batches = []
    for batch in image_batches(words, SPEC, size, workers=workers):
        assert len(batch.images) == len(batch.keys) == len(batch.labels)
        batches.append((batch.keys, batch.labels, batch.images.copy()))
    assert [len(keys) for keys, _, _ in batches] == [size] * (50 // size) + (
        [50 % size] if 50 % size else []
    )
    assert [key for keys, _, _ in batches for key in keys] == [word.key for word in words]
    assert [label for _, labels, _ in batches for label in labels] == [word.label for word in words]
    expected = np.stack([SPEC.table[decode(word.image or b"", SPEC)] for word in words])
    np.testing.assert_array_equal(np.concatenate([images for _, _, images in batches]), expected)
    assert expected.dtype == np.float32


def test_pixels_on_request() -> None:
    [batch] = image_batches(samples(3), SPEC, 4, dtype="uint8")
    assert batch.images.dtype == np.uint8
    np.testing.assert_array_equal(batch.images[2], decode(picture(2), SPEC))


def test_batches_hold_their_size_of_readable_images_among_bad_ones() -> None:
    words = samples(5)
    words[1] = Sample("k1", b"hello", "w1")
    words[2] = Sample("k2", None, "w2", Problem("missing image", "line 3"))
    words[4] = Sample("k4", None, None)
    first, last = image_batches(words, SPEC, 2, keep=2)
    assert (first.keys, first.labels) == (["k0", "k1", "k2", "k3"], ["w0", "w1", "w2", "w3"])
    assert first.images.shape == (2, 1, 4, 8)
    assert [(row, problem.reason) for row, problem in first.problems.items()] == [
        (1, "not an image"),
        (2, "missing image"),
    ]
    assert first.problems[2].detail == "line 3"
    assert (last.keys, len(last.images), last.problems[0].reason) == (["k4"], 0, "missing image")


def test_samples_without_image_do_not_wait_for_ever() -> None:
    gone = (Sample(str(number), None, None) for number in itertools.count())
    found = image_batches(gone, ModelSpec(), 4, workers=1)
    with contextlib.closing(found):
        for batch in itertools.islice(found, 3):
            assert len(batch.problems) == batches.PROBLEMS
            assert batch.images.shape == (0, 1, 32, 100)
    last = replace(samples(1)[0], key="last")
    some = [Sample(str(number), None, None) for number in range(batches.PROBLEMS)]
    made = list(image_batches([*some, last], ModelSpec(), 4, workers=1))
    assert [len(batch.keys) for batch in made] == [batches.PROBLEMS, 1]
    assert len(made[1].images) == 1


def test_nothing_gives_nothing() -> None:
    assert list(image_batches([], SPEC, 2)) == []


def test_the_limit_on_pixels_is_passed_on() -> None:
    [batch] = image_batches(samples(1), SPEC, 2, max_pixels=100)
    assert batch.problems[0].reason == "image too large"


def test_kept_batches_stay_and_memory_does_not_grow() -> None:
    seen: list[tuple[np.ndarray, np.ndarray]] = []
    addresses = set()
    for batch in image_batches(samples(40), SPEC, 2, keep=3):
        for images, copy in seen[-3:]:
            np.testing.assert_array_equal(images, copy)
        seen.append((batch.images, batch.images.copy()))
        addresses.add(batch.images.__array_interface__["data"][0])
    assert (len(seen), len(addresses)) == (20, 4)


def test_an_endless_source_is_read_only_so_far_and_closing_ends_the_threads() -> None:
    taken = 0

    def endless() -> Iterator[Sample]:
        nonlocal taken
        for taken in itertools.count(1):
            yield Sample(str(taken), picture(0), None)

    before = threading.active_count()
    batches = image_batches(endless(), SPEC, 16, workers=2)
    next(batches)
    next(batches)
    assert threading.active_count() > before
    assert taken <= 2 * 16 + 16 + 3 * CHUNK
    batches.close()
    assert threading.active_count() == before


def test_an_error_of_the_source_comes_through_and_ends_the_threads() -> None:
    def failing() -> Iterator[Sample]:
        yield from samples(20)
        raise InputError("the disk is gone")

    before = threading.active_count()
    with pytest.raises(InputError, match="the disk is gone"):
        list(image_batches(failing(), SPEC, 4, workers=2))
    assert threading.active_count() == before


@pytest.fixture
def many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LmdbSamples:
    """An LMDB for which processes are worth their start, since so few are many here."""
    monkeypatch.setattr(batches, "MANY", 300)
    monkeypatch.setattr(batches, "PROCESS_CHUNK", 16)
    with new_lmdb(tmp_path / "lmdb") as writer:
        for index in range(300):
            writer.add(b"broken" if index % 50 == 7 else picture(index % 90), f"w{index}")
    return LmdbSamples(tmp_path / "lmdb")


class Begun:
    """Knows when the processes that decode have begun; until then all is decoded here."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._futures: List[Future[Any]] = []
        done = batches._done
        monkeypatch.setattr(batches, "_done", lambda begun: done(self._seen(begun)))

    def _seen(self, futures: List[Future[Any]]) -> List[Future[Any]]:
        self._futures = futures
        return futures

    def waited_for(self, items: Iterable[T], first: int) -> Iterator[T]:
        """Yield items; all but so many once the processes have begun."""
        source = iter(items)
        yield from itertools.islice(source, first)
        wait(self._futures)
        yield from source


@pytest.mark.parametrize("numbered", [True, False])
@pytest.mark.parametrize("spec", [SPEC, WIDTHS], ids=["one width", "several"])
def test_processes_give_what_threads_give(
    many: LmdbSamples, spec: ModelSpec, numbered: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = Begun(monkeypatch)
    samples = list(many)
    if not numbered:
        samples = [replace(sample, number=None) for sample in samples]
    found = {}
    for again in (many, None):
        found[again is None] = [
            (batch.keys, batch.labels, batch.images.copy(), batch.problems, batch.positions)
            for batch in image_batches(
                begun.waited_for(samples, 20), spec, 32, workers=2, again=again
            )
        ]
    assert len(found[True]) == len(found[False]) > 9
    for one, other in zip(found[True], found[False]):
        np.testing.assert_array_equal(one[2], other[2])
        assert (*one[:2], *one[3:]) == (*other[:2], *other[3:])


def repeated(piece: List[int]) -> Handed:
    return Handed(piece, piece * 1000, piece)


def test_a_result_in_shared_memory_stays_until_the_next_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An array of 1000 where another process made it, of one element where this one did."""
    begun = Begun(monkeypatch)
    pieces = begun.waited_for([repeated([value]) for value in range(60)], 2)
    lengths = collections.Counter()
    task, number = np.array, 0
    with contextlib.closing(by_processes(pieces, task, 2, ahead=1, passing=True)) as results:
        for piece, result in results:
            assert piece == [number]
            # Whatever the other process has in hand is done now.
            time.sleep(0.01)
            assert set(result.tolist()) == {number}
            lengths[len(result)] += 1
            number += 1
    assert number == 60
    assert set(lengths) == {1, 1000}


def filled(piece: List[int]) -> np.ndarray:
    """Return so many bytes of a value."""
    size, value = piece
    return np.full(size, value, dtype=np.uint8)


def test_a_result_too_large_for_shared_memory_comes_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = Begun(monkeypatch)
    # More than there are places.
    sizes = [10, 10, *[batches._Shared.SIZE + 9] * 30]
    words = [[size, value] for value, size in enumerate(sizes)]
    pieces = begun.waited_for(map(Handed.whole, words), 2)
    with contextlib.closing(by_processes(pieces, filled, 2, ahead=1, passing=True)) as results:
        for (size, value), result in results:
            assert len(result) == size
            assert set(result.tobytes()) == {value}


def test_without_memory_to_share_results_come_by_the_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "memfd_create")
    begun = Begun(monkeypatch)
    pieces = begun.waited_for([Handed.whole([size]) for size in range(12)], 2)
    with contextlib.closing(by_processes(pieces, np.zeros, 2, ahead=1, passing=True)) as results:
        assert [len(result) for _, result in results] == list(range(12))


class Slow:
    """A task that another process takes long to receive."""

    def __call__(self, piece: object) -> int:
        return os.getpid()

    def __setstate__(self, state: object) -> None:
        time.sleep(2)

    def __getstate__(self) -> int:
        return 1


def test_nobody_waits_for_a_process_that_has_not_begun() -> None:
    pieces = iter([Handed.whole([number]) for number in range(100)])
    with contextlib.closing(by_processes(pieces, Slow(), 2, ahead=1)) as results:
        assert {result for _, result in results} == {os.getpid()}


class Held:
    """A task that another process does only once there is a file, if that takes no minute."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._parent = os.getpid()
        self._end = time.monotonic() + 60

    def __call__(self, piece: List[Any]) -> Any:
        while os.getpid() != self._parent and not self._file.exists():
            if time.monotonic() > self._end:
                break
            time.sleep(0.01)
        return piece[0]


def test_another_process_always_has_pieces_that_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that it does, one beside it, one for the time in which this process learns of a result;
    meanwhile this process does as many.
    """
    begun = Begun(monkeypatch)

    def taken() -> Iterator[Handed]:
        for number in range(20):
            # Three before the process has begun, three of its own, three beside them.
            if number == 9:
                (tmp_path / "go").touch()
            yield Handed([number], [str(number)], [number])

    task = Held(tmp_path / "go")
    pieces = begun.waited_for(taken(), 2)
    with contextlib.closing(by_processes(pieces, task, 2, ahead=1)) as results:
        found = [(piece, result) for piece, result in results]
    assert [piece for piece, _ in found] == [[number] for number in range(20)]
    assert [result for _, result in found[:9]] == [0, 1, 2, "3", "4", "5", 6, 7, 8]


class Counted(bytes):
    """An image that is counted while it is held."""

    alive = 0

    def __new__(cls, image: bytes) -> Counted:
        cls.alive += 1
        return super().__new__(cls, image)

    def __del__(self) -> None:
        Counted.alive -= 1


@pytest.mark.skipif(sys.version_info < (3, 9), reason="threads alone decode on Python 3.8")
def test_no_image_is_held_longer_than_it_is_worked_on(
    many: LmdbSamples, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = Begun(monkeypatch)
    most = []

    def counted() -> Iterator[Sample]:
        for sample in many:
            assert sample.image is not None
            yield replace(sample, image=Counted(sample.image))
            most.append(Counted.alive)

    taken = begun.waited_for(counted(), 20)
    for _ in image_batches(taken, SPEC, 32, workers=2, again=many):
        pass
    # The piece that is being collected, and the one before it.
    size = batches.PROCESS_CHUNK
    assert size <= max(most) <= 2 * size + 1


def test_processes_start_without_threads_that_they_do_not_need(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = "OPENBLAS_NUM_THREADS"
    monkeypatch.delenv(name, raising=False)
    two = [Handed.whole([1]), Handed.whole([2])]
    with contextlib.closing(by_processes(iter(two), np.array, 2, ahead=1)) as results:
        next(results)
        (child,) = multiprocessing.active_children()
        environ = Path(f"/proc/{child.pid}/environ")
        deadline = time.monotonic() + 60
        # Before the child runs its own program, the file has what was its parent's, or nothing.
        while f"{name}=1".encode() not in environ.read_bytes().split(b"\0"):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert name not in os.environ


@pytest.mark.skipif(sys.version_info < (3, 9), reason="threads alone decode on Python 3.8")
def test_many_samples_are_decoded_by_another_process_too(many: LmdbSamples) -> None:
    source = ImageSource(many, SPEC, workers=2)
    taken = source.batches(32, keep=1)
    next(taken)
    assert len(multiprocessing.active_children()) == 1
    taken.close()  # type: ignore[attr-defined]
    assert multiprocessing.active_children() == []
    source.close()


def test_few_samples_start_no_process(many: LmdbSamples, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "MANY", 301)
    source = ImageSource(many, SPEC, workers=2)
    taken = source.batches(32, keep=1)
    next(taken)
    assert multiprocessing.active_children() == []
    taken.close()  # type: ignore[attr-defined]
    source.close()
