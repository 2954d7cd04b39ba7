"""Reading LMDBs: what is there counts, whatever num-samples says."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Callable, Mapping, Optional

import lmdb
import pytest

from crnn.batch import Sample
from crnn.errors import InputError
from crnn.samples.lmdb import LmdbSamples

Make = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Write an LMDB with these keys and values."""

    def write(content: Mapping[str, bytes], name: str = "words") -> Path:
        folder = tmp_path / name
        with lmdb.open(str(folder), map_size=1 << 24) as environment, environment.begin(
            write=True
        ) as writing:
            for key, value in content.items():
                writing.put(key.encode(), value)
        (folder / "lock.mdb").unlink()
        return folder

    return write


def words(*indices: int, count: Optional[int] = None) -> dict[str, bytes]:
    content = {"num-samples": str(len(indices) if count is None else count).encode()}
    for index in indices:
        content[f"image-{index:09d}"] = f"picture {index}".encode()
        content[f"label-{index:09d}"] = f"Word{index}".encode()
    return content


@pytest.mark.parametrize("inner", ["", "data.mdb"])
def test_samples_come_in_index_order_and_nothing_is_written(make: Make, inner: str) -> None:
    folder = make(words(*range(1, 13)))
    before = sorted((entry.name, entry.stat().st_mtime_ns) for entry in folder.iterdir())
    samples = LmdbSamples(folder / inner)
    assert len(samples) == 12
    assert list(samples)[9:] == [
        Sample("test_10", b"picture 10", "Word10"),
        Sample("test_11", b"picture 11", "Word11"),
        Sample("test_12", b"picture 12", "Word12"),
    ]
    assert (samples.gaps, samples.extras()) == (0, [])
    samples.close()
    assert sorted((entry.name, entry.stat().st_mtime_ns) for entry in folder.iterdir()) == before


def test_a_bare_file_of_another_name(make: Make, tmp_path: Path) -> None:
    (make(words(1)) / "data.mdb").rename(tmp_path / "iiit5k.lmdb")
    assert [sample.label for sample in LmdbSamples(tmp_path / "iiit5k.lmdb")] == ["Word1"]


def test_gaps_are_kept_and_counted(make: Make) -> None:
    samples = LmdbSamples(make(words(2, 3, 7)))
    assert [(number, sample.key) for number, sample in samples.numbered()] == [
        (2, "test_2"),
        (3, "test_3"),
        (7, "test_7"),
    ]
    assert (len(samples), samples.gaps) == (3, 4)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (words(1, 2, 3, count=5), "it says 5; found 3 samples"),
        (words(1, 2, 3, count=2), "it says 2; found 3 samples"),
        (words(1, 2, 3, count=0), "it says 0; found 3 samples"),
        (words(1, 2, 3, count=-3), "it says -3; found 3 samples"),
        ({**words(1, 2, 3), "num-samples": b"many"}, "it says 'many'; found 3 samples"),
        ({**words(1, 2, 3), "num-samples": b"\xff\xfe"}, "found 3 samples"),
        (
            {key: value for key, value in words(1, 2, 3).items() if key != "num-samples"},
            "there is no such key; found 3",
        ),
    ],
    ids=["too many", "too few", "none", "negative", "no number", "no text", "missing"],
)
def test_a_wrong_count_is_reported_and_what_is_there_is_read(
    make: Make, content: Mapping[str, bytes], what: str
) -> None:
    samples = LmdbSamples(make(content))
    assert len(list(samples)) == len(samples) == 3
    [(key, problem)] = samples.extras()
    assert (key, problem.reason) == ("num-samples", "wrong num-samples")
    assert what in problem.detail


def test_a_hole_and_a_stray_key_do_not_add_up_to_a_sound_file(make: Make) -> None:
    content = words(1, 2, 3)
    del content["label-000000002"]
    samples = LmdbSamples(make({**content, "author": b"someone"}))
    assert [sample.label for sample in samples] == ["Word1", None, "Word3"]


def without(content: Mapping[str, bytes], *indices: int) -> dict[str, bytes]:
    ends = tuple(f"{index:09d}" for index in indices)
    return {key: value for key, value in content.items() if not key.endswith(ends)}


TWENTY = words(*range(1, 21))
UNEVEN = {
    "one beyond the count": {**without(TWENTY, 5), **words(21), "num-samples": b"20"},
    "two keys of other kinds": {**without(TWENTY, 5), "lexicon": b"a b", "created": b"today"},
    "two keys before all": {**without(TWENTY, 5), "author": b"someone", "created": b"today"},
    "two keys after all": {**without(TWENTY, 5), "title": b"words", "version": b"1"},
    "a key between the kinds": {**without(TWENTY, 5), "images": b"20", "kind": b"crops"},
}


@pytest.mark.parametrize("case", UNEVEN)
def test_as_many_keys_as_there_should_be_hide_no_gap(make: Make, case: str) -> None:
    samples = LmdbSamples(make(UNEVEN[case]))
    indices = list(samples.numbers())
    assert indices == sorted(int(key[-9:]) for key in UNEVEN[case] if key.startswith("image-"))
    again = LmdbSamples(samples.path)
    assert (len(again), again.gaps) == (len(indices), indices[-1] - len(indices))
    assert again.gaps == 1


def test_reading_sets_right_what_the_ends_of_the_keys_hide(make: Make) -> None:
    # Ten digits: between the first image and the last, but no sample's.
    samples = LmdbSamples(
        make({**without(TWENTY, 5), "image-0000000050": b"", "label-0000000050": b""})
    )
    assert len(list(samples)) == len(samples) == 19
    assert (samples.gaps, [problem.reason for _, problem in samples.faults()]) == (
        1,
        ["wrong num-samples"],
    )


PARTED = {
    **UNEVEN,
    "none missing": words(*range(1, 8)),
    "gaps": words(2, 3, 7, 8),
    "a label missing": {
        key: value for key, value in words(1, 2, 3, 4).items() if key != "label-000000003"
    },
    "an image missing": {
        key: value for key, value in words(1, 2, 3, 4).items() if key != "image-000000002"
    },
}


@pytest.mark.parametrize("case", PARTED)
def test_parts_add_up_to_the_whole(make: Make, case: str) -> None:
    samples = LmdbSamples(make(PARTED[case]))
    whole = list(LmdbSamples(samples.path))
    for cut in range(len(whole) + 1):
        assert [*samples.part(0, cut), *samples.part(cut, len(whole))] == whole
    assert list(pickle.loads(pickle.dumps(samples)).part(1, 3)) == whole[1:3]


def test_every_label_and_the_images_without_one(make: Make) -> None:
    sound = LmdbSamples(make(words(1, 2, 3), "sound"))
    assert list(sound.unlabelled()) == []
    content = words(1, 2, 3, 4)
    del content["label-000000002"], content["image-000000003"]
    samples = LmdbSamples(make(content))
    assert list(samples.unlabelled()) == ["test_2"]
    assert list(samples.every_label()) == [
        ("test_1", "Word1"),
        ("test_3", "Word3"),
        ("test_4", "Word4"),
        ("test_2", None),
    ]
    one_less = {key: value for key, value in words(1, 2, 3).items() if key != "label-000000002"}
    assert list(LmdbSamples(make(one_less, "less")).unlabelled()) == ["test_2"]


# Each makes up the number of keys, at another place among them.
@pytest.mark.parametrize("more", ["author", "imagery", "label-0", "lexicon", "version"])
@pytest.mark.parametrize("gone", [1, 2, 3])
def test_as_many_keys_as_there_should_be_hide_no_lost_label(
    make: Make, more: str, gone: int
) -> None:
    content = {**words(1, 2, 3), more: b""}
    del content[f"label-{gone:09d}"]
    assert list(LmdbSamples(make(content)).unlabelled()) == [f"test_{gone}"]


def test_missing_images_and_labels(make: Make) -> None:
    content = words(1, 2, 3)
    del content["image-000000002"], content["label-000000003"]
    first, second, third = LmdbSamples(make(content))
    assert (first.problem, third.problem) == (None, None)
    assert second.image is None
    assert second.problem is not None
    assert (second.problem.reason, second.problem.detail) == (
        "missing image",
        "no key image-000000002",
    )
    assert (third.image, third.label) == (b"picture 3", None)


def test_labels_that_are_not_utf8_are_read_with_replacements_and_named(make: Make) -> None:
    samples = LmdbSamples(make({**words(1, 2), "label-000000002": "字".encode("gbk")}))
    assert samples.extras() == []
    assert [sample.label for sample in samples] == ["Word1", "\ufffd\ufffd"]
    [(key, problem)] = samples.extras()
    assert (key, problem.reason, problem.detail) == (
        "test_2",
        "label not UTF-8",
        repr("字".encode("gbk")),
    )


def test_labels_are_taken_as_they_are(make: Make) -> None:
    labels = ["a:b", " two words ", "naïve", "one\ntwo", "", '{"text": "x"}']
    content = words(*range(1, len(labels) + 1))
    content.update(
        {f"label-{index:09d}": label.encode() for index, label in enumerate(labels, start=1)}
    )
    assert [sample.label for sample in LmdbSamples(make(content))] == labels


def test_keys_of_other_kinds_do_no_harm(make: Make) -> None:
    others = {
        "image-1": b"",
        "image-000000000": b"",
        "image-0000000011": b"",
        "imageset": b"",
        "label-x": b"",
        "z": b"",
    }
    assert [sample.key for sample in LmdbSamples(make({**words(1, 2), **others}))] == [
        "test_1",
        "test_2",
    ]


def test_two_iterations_at_once_and_reading_again_after_closing(make: Make) -> None:
    samples = LmdbSamples(make(words(1, 2)))
    assert [(a.key, b.key) for a, b in zip(samples, samples)] == [
        ("test_1", "test_1"),
        ("test_2", "test_2"),
    ]
    samples.close()
    samples.close()
    assert len(list(samples)) == 2


def test_it_travels_to_another_process(make: Make) -> None:
    samples = LmdbSamples(make(words(1, 2)))
    program = "import pickle, sys; print([s.label for s in pickle.load(sys.stdin.buffer)])"
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=pickle.dumps(samples),
        capture_output=True,
        check=True,
    )
    assert done.stdout.decode().strip() == "['Word1', 'Word2']"


def test_one_that_has_gone_meanwhile_is_told(make: Make) -> None:
    folder = make(words(1, 2))
    samples = LmdbSamples(folder)
    samples.close()
    (folder / "data.mdb").unlink()
    with pytest.raises(InputError, match="data.mdb: No such file"):
        pickle.dumps(samples)


def test_what_is_no_such_lmdb(make: Make, tmp_path: Path) -> None:
    sound = (make(words(1, 2), "sound") / "data.mdb").read_bytes()
    rows = {
        "absent": (None, "absent does not exist"),
        "empty.mdb": (b"", "empty.mdb is empty; expected an LMDB"),
        "zeros.mdb": (bytes(8192), "zeros.mdb cannot be read as an LMDB: MDB_INVALID"),
        "text.mdb": (b"hello" * 2000, "text.mdb cannot be read as an LMDB: MDB_INVALID"),
        "pointer.mdb": (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
            "is a Git LFS pointer",
        ),
        "short.mdb": (
            sound[:8192],
            "short.mdb is cut off: it has 8192 bytes; its header says at least",
        ),
        "header.mdb": (sound[:100], "header.mdb cannot be read as an LMDB"),
    }
    for name, (content, message) in rows.items():
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=message):
            LmdbSamples(tmp_path / name)
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match=r"folder is not an LMDB: there is no data\.mdb in it"):
        LmdbSamples(tmp_path / "folder")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "holds no samples: it is empty"),
        ({"num-samples": b"0"}, "holds no samples: it has the keys 'num-samples'"),
        ({"a": b"1", "b": b"2"}, "holds no samples: it has the keys 'a', 'b'"),
        (
            {"num-samples": b"1", "label-000000001": b'{"filename": "1.jpg", "text": "GRAND"}'},
            'holds labels but no images; its first label is \'{"filename"',
        ),
    ],
    ids=["empty", "count only", "other keys", "MMOCR's labels"],
)
def test_lmdbs_without_words(make: Make, content: Mapping[str, bytes], message: str) -> None:
    with pytest.raises(InputError, match=message):
        LmdbSamples(make(content))


def test_damage_inside_is_an_input_error(make: Make, tmp_path: Path) -> None:
    folder = make(words(*range(1, 400)))
    data = bytearray((folder / "data.mdb").read_bytes())
    for page in range(2, len(data) // 4096):
        data[page * 4096 + 10 : page * 4096 + 12] = b"\x40\x00"  # the page's kind
    (folder / "data.mdb").write_bytes(data)
    with pytest.raises(InputError, match="is damaged: page"):
        list(LmdbSamples(folder))


def test_the_real_words(shared_data: Path) -> None:
    samples = LmdbSamples(shared_data / "IIIT5K_train_lmdb")
    assert (len(samples), samples.gaps, samples.extras()) == (2000, 0, [])
    assert sum(sample.image is not None and sample.label is not None for sample in samples) == 2000
    samples.close()
    assert [sample.label for sample in LmdbSamples(shared_data / "toy_lmdb" / "imgs.lmdb")][:2] == [
        "GRAND",
        "HOTEL",
    ]
    with pytest.raises(InputError, match="holds labels but no images"):
        LmdbSamples(shared_data / "toy_lmdb" / "label.lmdb")
