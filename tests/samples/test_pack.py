"""A pack and its index give what a folder of bins gives; what is not whole is refused."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any, List, Tuple

import numpy as np
import pytest
from PIL import Image

from crnn.batch import Batch, Problem
from crnn.cli.main import main
from crnn.errors import InputError, UsageError
from crnn.filekind import is_pack
from crnn.jobs.prepare import Prepared, PrepareRequest, prepare
from crnn.jobs.views import ViewJob
from crnn.samples.bins import MISSING, BinFolder
from crnn.samples.lmdb import LmdbSamples
from crnn.samples.lmdb_writer import new_lmdb
from crnn.samples.pack import HEAD_BYTES, PackedBins
from crnn.samples.source import open_labelled, open_source
from crnn.spec import ModelSpec
from crnn.widths import Widths
from tests.models import SPEC as ECHO
from tests.models import write_echo_model

SPEC = replace(ModelSpec.default(), height=4, width=6)
WIDTHS = replace(SPEC, widths=Widths(factor=4.0, list=(4, 6, 12)))
LABELS = ["one", 'a"b', "drei:", "ümlaut", "5", "six", "seven"]
BROKEN = 3


def picture(index: int) -> bytes:
    file = io.BytesIO()
    pixels = np.random.default_rng(index).integers(0, 256, (9, 5 + 5 * index), dtype=np.uint8)
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def words(tmp_path: Path) -> Path:
    path = tmp_path / "lmdb"
    with new_lmdb(path) as writer:
        for index, label in enumerate(LABELS, 1):
            writer.add(b"broken" if index == BROKEN else picture(index), label)
    return path


def prepared(words: Path, name: str, *, spec: ModelSpec = SPEC, **options: Any) -> Prepared:
    source = LmdbSamples(words)
    request = PrepareRequest(
        source, str(words.parent / name), words.parent / f"{name}.txt", spec, **options
    )
    summary = prepare(request)
    source.close()
    return summary


def taken(batches: Any) -> List[Tuple[Any, ...]]:
    found = []
    for batch in batches:
        assert isinstance(batch, Batch)
        reasons = {row: problem.reason for row, problem in batch.problems.items()}
        found.append((batch.keys, batch.labels, batch.images.copy(), reasons, batch.positions))
    return found


def require_same(first: List[Tuple[Any, ...]], second: List[Tuple[Any, ...]]) -> None:
    assert len(first) == len(second)
    for one, other in zip(first, second):
        np.testing.assert_array_equal(one[2], other[2])
        assert (*one[:2], *one[3:]) == (*other[:2], *other[3:])


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
@pytest.mark.parametrize("size", [1, 2, 4, 16])
@pytest.mark.parametrize("spec", [SPEC, WIDTHS], ids=["one width", "several"])
def test_a_pack_gives_what_a_folder_of_bins_gives(
    words: Path, spec: ModelSpec, size: int, dtype: str
) -> None:
    folder = prepared(words, "bins", spec=spec, dtype=dtype)
    packed = prepared(words, "words.pack", spec=spec, dtype=dtype, pack=True)

    assert (packed.bins, packed.labels, packed.counts) == (6, 7, folder.counts)
    place = words.parent
    labels = place / "bins.txt"
    assert (place / "words.pack.txt").read_bytes() == labels.read_bytes()
    bins = BinFolder(place / "bins", labels, spec)
    source = open_source(place / "words.pack", spec)
    assert isinstance(source, PackedBins)
    assert source.dtype == bins.dtype
    assert list(source.every_label()) == list(bins.every_label())
    require_same(taken(source.batches(size, keep=2)), taken(bins.batches(size, keep=2)))
    # A second time, after it was closed.
    source.close()
    require_same(taken(source.batches(size, keep=2)), taken(bins.batches(size, keep=2)))
    source.close()


@pytest.mark.parametrize("size", [1, 2, 16])
@pytest.mark.parametrize("spec", [SPEC, WIDTHS], ids=["one width", "several"])
def test_samples_that_do_not_stand_side_by_side(words: Path, spec: ModelSpec, size: int) -> None:
    prepared(words, "bins", spec=spec)
    prepared(words, "words.pack", spec=spec, pack=True)
    labels = words.parent / "some.txt"
    labels.write_text("".join(f"test_{number}.bin:word\n" for number in (1, 2, 4, 6, 7)))
    bins = BinFolder(words.parent / "bins", labels, spec)
    packed = PackedBins(words.parent / "words.pack", spec, labels)
    for ranges in (None, [(0, 5)], [(1, 3), (3, 5)], [(4, 5)]):
        found = taken(packed.batches(size, keep=2, ranges=ranges))
        require_same(found, taken(bins.batches(size, keep=2, ranges=ranges)))
    packed.close()


def test_the_pack_is_the_bins_after_its_head_and_the_index_is_json(words: Path) -> None:
    prepared(words, "bins")
    prepared(words, "words.pack", pack=True)
    content = (words.parent / "words.pack").read_bytes()
    index = json.loads((words.parent / "words.pack.json").read_text(encoding="utf-8"))

    numbers = [number for number in range(1, 8) if number != BROKEN]
    bins = [(words.parent / "bins" / f"test_{number}.bin").read_bytes() for number in numbers]
    assert content[HEAD_BYTES:] == b"".join(bins)
    assert content[:HEAD_BYTES].startswith(b"crnn-pack/1 " + index["id"].encode())
    assert (index["format"], index["dtype"], index["shape"]) == (
        "crnn-pack/1",
        "float32",
        [1, 4, 6],
    )
    assert ModelSpec.from_dict(index["spec"]) == SPEC
    assert index["samples"][0] == ["test_1", HEAD_BYTES, 6, "one"]
    assert index["samples"][BROKEN - 1] == ["test_3", None, 0, "drei:"]
    assert index["samples"][BROKEN] == ["test_4", HEAD_BYTES + 2 * 96, 6, "ümlaut"]


def test_a_sample_without_image_is_told_by_its_name(words: Path) -> None:
    prepared(words, "words.pack", pack=True)
    [batch] = PackedBins(words.parent / "words.pack", SPEC).batches(8)
    problem = batch.problems[BROKEN - 1]
    assert problem == Problem(MISSING, f"{words.parent / 'words.pack'}: test_3.bin")


def test_bad_samples_may_be_left_out(words: Path) -> None:
    summary = prepared(words, "words.pack", pack=True, skip_bad=True)
    assert (summary.bins, summary.labels) == (6, 6)
    assert len(PackedBins(words.parent / "words.pack", SPEC)) == 6


def test_a_label_file_stands_above_the_index(words: Path, tmp_path: Path) -> None:
    prepared(words, "words.pack", pack=True)
    labels = tmp_path / "mine.txt"
    labels.write_text("test_2.bin:mine\ntest_9.bin:unknown\n")
    [batch] = open_source(tmp_path / "words.pack", SPEC, label=labels).batches(4, keep=1)
    assert (batch.keys, batch.labels) == (["test_2", "test_9"], ["mine", "unknown"])
    assert list(batch.problems) == [1]


def test_another_runs_index_is_refused(words: Path) -> None:
    prepared(words, "words.pack", pack=True)
    pack = words.parent / "words.pack"
    old = pack.read_bytes()
    prepared(words, "words.pack", pack=True)
    pack.write_bytes(old)
    with pytest.raises(InputError, match="not of one run"):
        PackedBins(pack, SPEC)


def test_a_pack_that_has_gone_meanwhile_is_told(words: Path) -> None:
    prepared(words, "words.pack", pack=True)
    pack = words.parent / "words.pack"
    opened = PackedBins(pack, SPEC)
    pack.unlink()
    with pytest.raises(InputError, match="cannot be read: No such file"):
        list(opened.batches(4))


def test_a_pack_cut_short_is_refused(words: Path) -> None:
    prepared(words, "words.pack", pack=True)
    pack = words.parent / "words.pack"
    pack.write_bytes(pack.read_bytes()[:-1])
    with pytest.raises(InputError, match="cut short"):
        PackedBins(pack, SPEC)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("\n]}", "", "its end is missing"),
        ('"format": "crnn-pack/1"', '"format": "crnn-pack/9"', "its format is"),
        ('"dtype": "float32"', '"dtype": "float64"', "its dtype is 'float64'"),
        ('"dtype": "float32"', '"dtype": ["float32"]', "its dtype is"),
        ('"id": "', '"id": "é', "its id is"),
        ("\n]}\n", "\n]}\n[]\n", "something stands behind its end"),
        ('["test_1", 64, 6, "one"]', '["test_1", 64, 6, "\\ud800"]', "a line of it is"),
        ('["test_1", 64,', '["test_1", 63,', "begins at 63"),
        ('["test_1", 64,', '["test_1", 1e3,', "begins at 1000.0"),
        ('["test_1", 64, 6,', '["test_1", 64, 7,', "is 7 wide"),
        ('["test_1", 64, 6, "one"]', '["../1", 64, 6, "one"]', "a line of it is"),
        ('["test_1", 64, 6, "one"]', '["test_1", 64, 6, 1]', "a line of it is"),
        ('["test_1", 64, 6, "one"]', "[" * 3000, "a line of it is"),
        ('"samples": [', '"words": [', "its first line"),
        ('"samples": [', '"sampled": [', "its first line"),
        ('{"dtype"', '["dtype"', "its first line"),
        ('"spec": {', '"spec": [], "old": {', "it has no spec"),
    ],
)
def test_a_damaged_index_is_refused(words: Path, old: str, new: str, said: str) -> None:
    prepared(words, "words.pack", pack=True)
    index = words.parent / "words.pack.json"
    text = index.read_text(encoding="utf-8")
    assert old in text
    index.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(InputError, match="not the index of a pack") as caught:
        PackedBins(words.parent / "words.pack", SPEC)
    assert said in caught.value.message


@pytest.mark.parametrize(
    ("old", "new"),
    [('["test_2", 160,', '["test_2", 64,'), ('["test_1", 64,', '["test_1", 67,')],
    ids=["the same place", "three bytes on"],
)
def test_samples_that_overlap_are_refused(words: Path, old: str, new: str) -> None:
    prepared(words, "words.pack", pack=True)
    index = words.parent / "words.pack.json"
    text = index.read_text(encoding="utf-8")
    assert old in text
    index.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(InputError, match="test_2 begins before the sample in front of it ends"):
        PackedBins(words.parent / "words.pack", SPEC)


@pytest.mark.parametrize("spec", [SPEC, WIDTHS], ids=["one width", "several"])
def test_an_index_that_calls_floats_bytes_is_refused(words: Path, spec: ModelSpec) -> None:
    prepared(words, "words.pack", pack=True, spec=spec)
    index = words.parent / "words.pack.json"
    text = index.read_text(encoding="utf-8")
    index.write_text(text.replace('"dtype": "float32"', '"dtype": "uint8"'), encoding="utf-8")
    with pytest.raises(InputError, match="it holds float32, and the index was changed"):
        PackedBins(words.parent / "words.pack", spec)


def test_a_pack_is_not_taken_for_an_lmdb(words: Path) -> None:
    prepared(words, "words.pack", pack=True)
    with pytest.raises(InputError, match=r"is a pack of prepared bins") as caught:
        open_labelled(words.parent / "words.pack")
    assert "evaluate, bench and calibrate read packs" in str(caught.value.hint)


def test_another_models_pack_is_refused(words: Path) -> None:
    prepared(words, "words.pack", pack=True)
    pack = words.parent / "words.pack"
    with pytest.raises(InputError, match=r"holds images \(1, 4, 6\)"):
        PackedBins(pack, replace(SPEC, height=5))
    with pytest.raises(InputError, match="prepared at the one width 6"):
        PackedBins(pack, WIDTHS)
    (words.parent / "words.pack.json").unlink()
    with pytest.raises(InputError, match="does not exist"):
        PackedBins(pack, SPEC)


def test_what_is_no_pack_is_not_written_over(words: Path) -> None:
    pack = words.parent / "words.pack"
    pack.write_bytes(b"mine")
    with pytest.raises(InputError, match="not an earlier run's pack"):
        prepared(words, "words.pack", pack=True)
    assert pack.read_bytes() == b"mine"
    prepared(words, "words.pack", pack=True, force=True)
    assert is_pack(pack)
    prepared(words, "words.pack", pack=True)
    with pytest.raises(InputError, match="it is a file"):
        prepared(words, "words.pack")


def test_where_nothing_can_be_prepared_the_old_pack_stays(words: Path, tmp_path: Path) -> None:
    prepared(words, "words.pack", pack=True)
    before = {path.name: path.read_bytes() for path in tmp_path.glob("words.pack*")}
    bad = tmp_path / "bad"
    with new_lmdb(bad) as writer:
        writer.add(b"broken", "word")
    with pytest.raises(InputError, match="no sample of"):
        prepared(bad, "words.pack", pack=True)
    assert {path.name: path.read_bytes() for path in tmp_path.glob("*pack*")} == before


def test_the_commands(words: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    model = write_echo_model(tmp_path / "echo.onnx")
    spec = tmp_path / "spec.json"
    spec.write_text(ECHO.to_json())
    place = ["--spec", str(spec), "--label", str(tmp_path / "label.txt")]
    assert main(["prepare", str(words), str(tmp_path / "p"), "--pack", *place]) == 0
    assert "in the pack" in " ".join(capfd.readouterr().out.split())
    assert main(["evaluate", str(model), str(tmp_path / "p"), "--strict"]) == 3
    assert "missing bin: 1" in capfd.readouterr().err
    again = ["prepare", str(words), str(tmp_path / "p"), "--pack", *place]
    assert main([*again, "--info", str(tmp_path / "i")]) == 2
    assert main([*again, "--json", str(tmp_path / "s.json")]) == 0
    assert json.loads((tmp_path / "s.json").read_text())["pack"] is True


def test_a_pack_has_no_views(words: Path) -> None:
    prepared(words, "words.pack", pack=True)
    pack = words.parent / "words.pack"
    with pytest.raises(UsageError, match="holds bins, which are prepared already"):
        ViewJob(pack, "3", SPEC, characters=False)
    job = ViewJob(pack, None, replace(SPEC, views="3"), characters=False)
    assert not job.several
    assert job.notes(7) == ["the model asks for several views of a word; bins are read in one"]
