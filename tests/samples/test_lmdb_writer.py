from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import lmdb
import pytest

from crnn.errors import InputError
from crnn.samples.lexicons import decode_lexicons, encode_lexicons
from crnn.samples.lmdb import LmdbSamples
from crnn.samples.lmdb_writer import LmdbWriter, new_lmdb


def contents(path: Path) -> dict[bytes, bytes]:
    with lmdb.open(
        str(path), readonly=True, lock=False
    ) as environment, environment.begin() as reading:
        return dict(reading.cursor())


def test_the_layout_is_the_usual_one(tmp_path):
    with new_lmdb(tmp_path / "out") as writer:
        assert [
            writer.add(b"one", "eins"),
            writer.add(b"two", "zwei", [["zwei", "drei"], ["x"]]),
        ] == [1, 2]
        writer.set_lexicon(["eins", "zwei"])
    assert contents(tmp_path / "out") == {
        b"image-000000001": b"one",
        b"image-000000002": b"two",
        b"label-000000001": b"eins",
        b"label-000000002": b"zwei",
        b"lexicon": b"eins zwei",
        b"lexicon-000000002": b"zwei drei\nx",
        b"num-samples": b"2",
    }
    assert os.listdir(tmp_path / "out") == ["data.mdb"]


def test_the_map_grows_with_the_data_and_no_further(tmp_path):
    with new_lmdb(tmp_path / "out") as writer:
        for _ in range(60):
            writer.add(os.urandom(1 << 20), "a")
    size = (tmp_path / "out/data.mdb").stat().st_size
    assert 60 << 20 < size < 64 << 20
    # Blocks on disk, not only the size that the file claims.
    assert (tmp_path / "out/data.mdb").stat().st_blocks * 512 < 64 << 20
    assert len(LmdbSamples(tmp_path / "out")) == 60


def test_one_image_larger_than_the_map_fits(tmp_path):
    with new_lmdb(tmp_path / "out") as writer:
        writer.add(bytes(100 << 20), "a")
    assert len(contents(tmp_path / "out")[b"image-000000001"]) == 100 << 20


def test_the_same_samples_give_the_same_file(tmp_path):
    for name in ("a", "b"):
        with new_lmdb(tmp_path / name) as writer:
            for index in range(2500):
                writer.add(b"%d" % index * (index % 700), f"label {index}")
    assert (tmp_path / "a/data.mdb").read_bytes() == (tmp_path / "b/data.mdb").read_bytes()


def test_nothing_is_left_of_a_failure(tmp_path):
    with pytest.raises(ValueError, match="enough"), new_lmdb(tmp_path / "out") as writer:
        for _ in range(3000):
            writer.add(b"x" * 1000, "a")
        raise ValueError("enough")
    assert not list(tmp_path.iterdir())


# SIGXFSZ is ignored by Python, so that the write fails as on a full disk; the limit holds for the
# child alone.
FULL = """
import resource, sys
from pathlib import Path
from crnn.samples.lmdb_writer import new_lmdb
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
with new_lmdb(Path(sys.argv[1])) as writer:
    for _ in range(300):
        writer.add(bytes(100000), "a")
"""


@pytest.mark.parametrize("size", [4096, 1 << 20], ids=["at the start", "at a batch"])
def test_a_full_disk_is_an_error_of_the_users_and_leaves_nothing(tmp_path, size):
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path / "out"), str(size)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert f"InputError: the LMDB {tmp_path}/out cannot be written: " in done.stderr
    assert "space left on the disk" in done.stderr
    assert os.listdir(tmp_path) == []


def test_what_was_there_survives_a_failure(tmp_path):
    with new_lmdb(tmp_path / "out") as writer:
        writer.add(b"old", "a")
    with pytest.raises(ValueError, match="enough"), new_lmdb(
        tmp_path / "out", force=True
    ) as writer:
        writer.add(b"new", "a")
        raise ValueError("enough")
    assert contents(tmp_path / "out")[b"image-000000001"] == b"old"


def test_an_unfinished_lmdb_shows_it_and_can_be_continued(tmp_path):
    writer = LmdbWriter(tmp_path)
    for index in range(1500):
        writer.add(b"x", f"{index}")
    writer.close()  # the first batch of 1000 is committed
    assert [problem.reason for _, problem in LmdbSamples(tmp_path).extras()] == [
        "wrong num-samples"
    ]
    writer = LmdbWriter(tmp_path)
    assert writer.count == 1000
    writer.add(b"x", "1000")
    writer.finish()
    writer.close()
    assert [sample.label for sample in LmdbSamples(tmp_path)] == [
        f"{index}" for index in range(1001)
    ]
    assert not LmdbSamples(tmp_path).extras()


def test_a_write_beside_an_lmdb_of_another_is_refused(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="is a link or a file"), new_lmdb(tmp_path / "file"):
        pass


@pytest.mark.parametrize(
    ("lexicons", "value"),
    [
        ([["a", "b"]], b"a b"),
        ([["a"], ["b", "c"]], b"a\nb c"),
        ([["Genaxis Theatre", "x"]], b"Genaxis Theatre x"),  # white space separates
        ([[]], b""),
    ],
)
def test_lexicons_are_lines_of_words(lexicons, value):
    assert encode_lexicons(lexicons) == value
    assert decode_lexicons(value) == tuple(tuple(" ".join(words).split()) for words in lexicons)


def test_lexicons_are_read_back(tmp_path):
    with new_lmdb(tmp_path / "out") as writer:
        writer.add(b"one", "a", [["a", "b"], ["a", "b", "c"]])
        writer.add(b"two", "b")
        writer.set_lexicon(["x", "y"])
    samples = LmdbSamples(tmp_path / "out")
    assert (samples.lexicons(1), samples.lexicons(2)) == ((("a", "b"), ("a", "b", "c")), ())
    assert samples.lexicon() == ("x", "y")
