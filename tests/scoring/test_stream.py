"""Batches through a runner: order, errors, no thread left behind, no array overwritten too soon."""

from __future__ import annotations

import collections
import contextlib
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Deque, Generator, Iterable, Iterator, List, Sequence, Tuple

import numpy as np
import pytest

from crnn.batch import Batch
from crnn.runners.onnx_runner import OnnxRunner
from crnn.samples.bins import BinFolder
from crnn.scoring import stream
from crnn.scoring.scorer import Scorer
from crnn.scoring.stream import ReadAhead, Shared, Stages, run_batches, run_shared
from crnn.spec import ModelSpec
from tests import models


def threads() -> int:
    return sum(thread.name == "crnn-prefetch" for thread in threading.enumerate())


def test_items_come_in_order() -> None:
    assert list(ReadAhead(iter(range(100)), ahead=3)) == list(range(100))
    assert threads() == 0


def test_an_error_is_raised_in_its_place() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise OSError("disk gone")

    ahead = ReadAhead(items())
    assert next(ahead) == 1
    with pytest.raises(OSError, match="disk gone"):
        next(ahead)
    assert threads() == 0


def test_no_more_than_asked_is_read_ahead() -> None:
    taken = 0

    def items() -> Iterator[int]:
        nonlocal taken
        for index in range(50):
            taken += 1
            yield index

    for given_out, _ in enumerate(ReadAhead(items(), ahead=2), 1):
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

    ahead = ReadAhead(items())
    next(ahead)
    ahead.close()
    assert threads() == 0
    assert closed.is_set()


SPEC = ModelSpec.default()
WORDS = [f"a{index}" for index in range(16)]


class Counted(BinFolder):
    """Bins that tell how many batches have been filled."""

    filled = 0
    closed = False

    def batches(self, size: int, *, keep: int = 1) -> Iterator[Batch]:
        for batch in super().batches(size, keep=keep):
            self.filled += 1
            yield batch

    def close(self) -> None:
        self.closed = True

    def wait(self, count: int) -> None:
        """Wait until so many batches, or all of them, have been filled."""
        deadline = time.monotonic() + 20
        while self.filled < min(count, len(self)) and time.monotonic() < deadline:
            time.sleep(0.001)


class Late(OnnxRunner):
    """Takes ``ahead`` batches, and runs each only when the reader is as far ahead as it can be."""

    source: Counted

    def _stream(self, pieces: Iterable[np.ndarray]) -> Generator[np.ndarray, None, None]:
        waiting: Deque[np.ndarray] = collections.deque()
        for taken, images in enumerate(pieces, 1):
            waiting.append(images)
            if len(waiting) == self.ahead:
                # Beside those that wait to be taken, one is in the reader's hand.
                self.source.wait(taken + stream.READ_AHEAD + 1)
                yield self._run(waiting.popleft())
        for images in waiting:
            yield self._run(images)


def read(folder: Path, ahead: int) -> Tuple[float, int]:
    """Return the accuracy, and how many batches' images were still right when they were given."""
    source = Counted(folder / "input_bin", folder / "label.txt", SPEC)
    scorer = Scorer(SPEC)
    intact = 0
    with Late(folder / "echo.onnx", threads=1) as runner:
        runner.source, runner.ahead = source, ahead
        for done, (batch, logits) in enumerate(run_batches(runner, source, 1)):
            source.wait(done + ahead + stream.READ_AHEAD + 1)
            intact += np.array_equal(batch.images[0], models.echo_image(WORDS[done]))
            scorer.add(batch, logits)
    assert source.closed
    return scorer.metric.accuracy, intact


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stream")
    models.write_bins(folder, WORDS, WORDS)
    models.write_echo_model(folder / "echo.onnx")
    return folder


@pytest.mark.parametrize("ahead", [1, 2, 5])
def test_no_array_is_overwritten_while_it_is_in_use(place: Path, ahead: int) -> None:
    assert read(place, ahead) == (1, len(WORDS))


def read_together(folder: Path, aheads: Sequence[int]) -> Tuple[List[float], int]:
    """Return the accuracy of several runners over one source, and how many batches' images were
    still right when they were given.
    """
    source = Counted(folder / "input_bin", folder / "label.txt", SPEC)
    scorers = [Scorer(SPEC) for _ in aheads]
    intact = 0
    with contextlib.ExitStack() as stack:
        runners = []
        for ahead in aheads:
            runner = stack.enter_context(Late(folder / "echo.onnx", threads=1))
            runner.source, runner.ahead = source, ahead
            runners.append(runner)
        stages = [Stages() for _ in aheads]
        for done, (batch, outputs) in enumerate(run_shared(runners, source, 1, stages)):
            source.wait(done + max(aheads) + stream.READ_AHEAD + 1)
            intact += np.array_equal(batch.images[0], models.echo_image(WORDS[done]))
            for scorer, logits in zip(scorers, outputs):
                scorer.add(batch, logits)
    assert source.closed
    assert source.filled == len(WORDS)
    assert threads() == 0
    for each in stages:
        assert {stage: len(values) for stage, values in each._seconds.items()} == {
            "read": len(WORDS),
            "infer": len(WORDS),
        }
    return [scorer.metric.accuracy for scorer in scorers], intact


@pytest.mark.parametrize("aheads", [(1, 1), (1, 4), (4, 1), (2, 5, 1)])
def test_runners_that_share_a_source_read_it_once(place: Path, aheads: Sequence[int]) -> None:
    assert read_together(place, aheads) == ([1.0] * len(aheads), len(WORDS))


@pytest.mark.parametrize("aheads", [(1, 4), (4, 1)])
def test_one_buffer_too_few_is_seen_by_those_that_share(
    place: Path, aheads: Sequence[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = BinFolder.batches
    monkeypatch.setattr(
        BinFolder, "batches", lambda self, size, *, keep: whole(self, size, keep=keep - 1)
    )
    accuracies, intact = read_together(place, aheads)
    assert min(accuracies) < 1
    assert intact < len(WORDS)


def test_what_the_quickest_has_taken_waits_for_the_slowest() -> None:
    shared = Shared(iter(range(5)), 2)
    first, second = shared.of(0), shared.of(1)
    assert [next(first) for _ in range(3)] == [0, 1, 2]
    assert list(second) == [0, 1, 2, 3, 4]
    assert list(first) == [3, 4]


@pytest.mark.parametrize("ahead", [1, 2, 5])
def test_one_buffer_too_few_is_seen(
    place: Path, ahead: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test above can fail: with an array less than `run_batches` asks for, words are lost."""
    whole = BinFolder.batches
    monkeypatch.setattr(
        BinFolder, "batches", lambda self, size, *, keep: whole(self, size, keep=keep - 1)
    )
    accuracy, intact = read(place, ahead)
    assert accuracy < 1
    assert intact < len(WORDS)


def test_the_stages_are_timed_batch_by_batch(place: Path) -> None:
    source = BinFolder(place / "input_bin", place / "label.txt", SPEC)
    stages = Stages()
    with OnnxRunner(place / "echo.onnx", threads=1) as runner:
        begin = time.perf_counter()
        assert len(list(run_batches(runner, source, 4, stages))) == 4
        wall = time.perf_counter() - begin
    assert {stage: len(values) for stage, values in stages._seconds.items()} == {
        "read": 4,
        "infer": 4,
    }
    # Each in a thread of its own, they took no longer than all of it.
    for values in stages._seconds.values():
        assert 0 < sum(values) <= wall


def test_waiting_for_data_is_not_inference(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]

    class Busy(OnnxRunner):
        def _run(self, images: np.ndarray) -> np.ndarray:
            now[0] += 2
            return super()._run(images)

    def slow(batches: Iterator[Batch]) -> Iterator[Batch]:
        for batch in batches:
            now[0] += 5
            yield batch

    source = BinFolder(place / "input_bin", place / "label.txt", SPEC)
    stages = Stages()
    with Busy(place / "echo.onnx", threads=1) as runner:
        monkeypatch.setattr(stream, "time", SimpleNamespace(perf_counter=lambda: now[0]))
        opened = contextlib.nullcontext(slow(source.batches(4, keep=2)))
        assert len(list(stream._through(runner, opened, stages))) == 4
        assert list(ReadAhead(slow(iter("abc")), 3, stages)) == ["a", "b", "c"]
    assert list(stages._seconds["infer"]) == [2.0] * 4
    assert list(stages._seconds["read"]) == [5.0] * 3


def test_a_stages_figures_are_milliseconds_a_batch() -> None:
    stages = Stages()
    for seconds in range(101):
        stages.add("infer", seconds)
    stages.add("read", 0.5)
    assert stages.summary() == {
        "infer": {"p50": 50_000.0, "p90": 90_000.0, "p99": 99_000.0, "sum": 5_050_000.0},
        "read": {"p50": 500.0, "p90": 500.0, "p99": 500.0, "sum": 500.0},
    }
