"""Words that workers render in pieces: those of one process, to the byte; no Ray takes part."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any, Generator, List, Sequence, Tuple

import pytest

from crnn.cluster import rendering
from crnn.cluster.pieces import Entry, Pieces
from crnn.cluster.rendering import RenderJob, proof, words_of
from crnn.cluster.worker import Worker
from crnn.datasets.synth import render
from crnn.datasets.synth.generate import generate
from crnn.datasets.synth.render import Renderer
from crnn.errors import InputError
from crnn.jobs.run_folder import make_folder
from crnn.samples.lmdb import LmdbSamples
from tests.fonts import needs_fonts

pytestmark = needs_fonts
COUNT, SIZE = 130, 60
PATTERN = "[A-Za-z]{3,9}"
"""Texts that need no list of words."""


class Interrupted(Exception):
    pass


class ByWorkers:
    """Renders as the command has it done, in this process; after so many pieces it is ended."""

    def __init__(self, folder: Path, most: int = 100) -> None:
        self.folder = folder
        self.most = most
        self.done: List[Sequence[int]] = []

    def __call__(
        self, renderer: Renderer, folder: Path, first: int, last: int
    ) -> Generator[Tuple[bytes, str], None, None]:
        pieces = Pieces(folder, last, SIZE, first - 1)
        make_folder(folder / "shards")
        job = pickle.loads(pickle.dumps(RenderJob(pieces, renderer, proof(renderer))))
        worker = Worker(job, str(self.folder), 1)
        assert "error" not in worker.open(None, 0)
        # The last one first.
        for shard in reversed(pieces.unfinished()):
            if len(self.done) == self.most:
                raise Interrupted
            assert worker.read([shard.number], {}, {}) == {"left": [], "notes": []}
            self.done.append((shard.begin, shard.end))
        return words_of(pieces, first - 1)


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    return Renderer.create(7, pattern=PATTERN)


@pytest.fixture(scope="module")
def plain(renderer: Renderer, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    out = tmp_path_factory.mktemp("plain") / "out"
    generate(renderer, out, COUNT, processes=1)
    return (out / "data.mdb").read_bytes()


def test_pieces_are_joined_to_the_file_of_one_process(
    renderer: Renderer, plain: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "out"
    workers = ByWorkers(tmp_path)
    assert generate(renderer, out, COUNT, processes=1, elsewhere=workers) == 0
    assert workers.done == [(120, 130), (60, 120), (0, 60)]
    assert (out / "data.mdb").read_bytes() == plain
    assert [file.name for file in out.iterdir()] == ["data.mdb"]
    assert [file.name for file in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("on_a_cluster", [True, False])
def test_what_was_rendered_before_the_end_is_gone_on_with(
    renderer: Renderer,
    plain: bytes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    on_a_cluster: bool,
) -> None:
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "out"
    with pytest.raises(Interrupted):
        generate(renderer, out, COUNT, processes=1, elsewhere=ByWorkers(tmp_path, 2))
    assert not out.exists()
    if on_a_cluster:
        again = ByWorkers(tmp_path)
        generate(renderer, out, COUNT, processes=1, elsewhere=again)
        assert again.done == [(0, 60)]
    else:
        generate(renderer, out, COUNT, processes=1)
    assert (out / "data.mdb").read_bytes() == plain
    assert [file.name for file in out.iterdir()] == ["data.mdb"]
    assert [file.name for file in tmp_path.iterdir()] == ["out"]


def test_words_that_are_there_are_not_joined_twice(
    renderer: Renderer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = 0

    def stop(count: int) -> None:
        nonlocal done
        done += count
        if done == 70:
            raise Interrupted

    with pytest.raises(Interrupted):
        generate(renderer, tmp_path / "out", COUNT, processes=1, advance=stop)
    workers = ByWorkers(tmp_path)
    there = generate(renderer, tmp_path / "out", COUNT, processes=1, elsewhere=workers)
    assert 60 < there <= 70
    assert workers.done == [(120, 130), (60, 120)]
    expected = [renderer.sample(number) for number in range(1, COUNT + 1)]
    found = list(LmdbSamples(tmp_path / "out"))
    assert [(one.image, one.label) for one in found] == [(one.image, one.label) for one in expected]


def opened(job: RenderJob, place: Path) -> Any:
    return Worker(job, str(place), 1).open(None, 0)


def test_a_machine_that_renders_other_words_is_refused(
    renderer: Renderer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    job = RenderJob(Pieces(tmp_path, 10, 10), renderer, proof(renderer))
    assert "error" not in opened(job, tmp_path)
    # As of another OpenCV, by one byte of each picture.
    true = render.photographed
    monkeypatch.setattr(render, "photographed", lambda *words: true(*words) + b"\0")
    said = opened(job, tmp_path)
    assert said["error"] == "InputError"
    assert "renders other words than this machine" in said["message"]


def test_a_machine_without_the_fonts_is_refused(
    renderer: Renderer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    font = tmp_path / renderer.fonts[0].name
    font.write_bytes(renderer.fonts[0].read_bytes())
    own = Renderer.create(7, pattern=PATTERN, fonts=tmp_path)
    job = RenderJob(Pieces(tmp_path, 10, 10), own, proof(own))
    font.unlink()
    said = opened(job, tmp_path)
    assert said["error"] == "InputError"
    assert f"{font.name}: No such file or directory" in said["message"]


def test_a_word_that_ends_all_workers_is_named(
    renderer: Renderer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    pieces = Pieces(tmp_path, 10, 10)
    make_folder(tmp_path / "shards")
    worker = Worker(RenderJob(pieces, renderer, proof(renderer)), str(tmp_path), 1)
    worker.open(None, 0)
    assert worker.attempt([(0, 2)]) == {}
    said = worker.read([0], {4: ("ends its process", "so it is")}, {})
    assert said["error"] == "UnavailableError"
    assert said["message"] == "every worker that renders word 5 has ended"
    assert pieces.unfinished() == pieces.shards


@pytest.mark.parametrize("cut", [1, 4, 5, 30])
def test_a_piece_that_is_not_whole_is_refused(tmp_path: Path, cut: int) -> None:
    pieces = Pieces(tmp_path, 2, 2)
    make_folder(tmp_path / "shards")
    (shard,) = pieces.shards
    entries = [Entry({"labels": ["a"], "sizes": [3]}, b"end"), Entry({"labels": ["ü"]}, b"\n{}")]
    pieces.write(shard, entries)
    assert list(pieces.read(shard)) == entries
    whole = pieces.file(shard).read_bytes()
    pieces.file(shard).write_bytes(whole[:-cut])
    with pytest.raises(InputError, match="is not whole"):
        list(pieces.read(shard))


def test_many_words_make_larger_pieces_and_not_more() -> None:
    assert rendering.piece_size(10**6) == rendering.SIZE
    assert len(Pieces(Path(), 10**8, rendering.piece_size(10**8)).shards) == rendering.MOST
