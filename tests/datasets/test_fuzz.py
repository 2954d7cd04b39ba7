"""Whatever bytes a source is made of, it is read or refused; no other exception leaves a
converter.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crnn.datasets.convert import KINDS
from crnn.datasets.options import ConvertOptions
from crnn.datasets.pictures import Dropped, Picture, WordLoader
from crnn.errors import InputError
from tests.datasets import sources

FILES = [
    ("iiit5k", sources.iiit5k, "testdata.mat"),
    ("iiit5k", sources.charbound, "trainCharBound.mat"),
    ("synthtext", sources.synthtext, "gt.mat"),
    ("ic03", sources.ic03_scenes, "words.xml"),
    ("svt", sources.svt, "test.xml"),
    ("ic13", sources.ic13, "gt.txt"),
    ("synth90k", sources.synth90k, "annotation_train.txt"),
    ("tsv", sources.tsv, "labels.tsv"),
    ("tfrecord", sources.tfrecord, "tfrecords/train_1.tfrecords"),
]


@pytest.fixture(scope="module", params=FILES, ids=[f"{kind}-{name}" for kind, _, name in FILES])
def case(request, tmp_path_factory) -> tuple[str, Path, bytes]:
    kind, make, name = request.param
    folder = make(tmp_path_factory.mktemp("source"))
    return kind, folder / name, (folder / name).read_bytes()


def read(kind: str, file: Path) -> None:
    with contextlib.suppress(InputError):
        found = KINDS[kind](file, ConvertOptions(alphabet=sources.ORD_CLASSES, images=file.parent))
        for item in found.items:
            assert isinstance(item, (Dropped, Picture))
            for word in WordLoader(found.root)(item):
                assert isinstance(word, Dropped) or word.label


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=6),
    st.integers(0, 10**6),
)
def test_changed_bytes_and_cut_files(case, changes, length):
    kind, file, data = case
    spoilt = bytearray(data)
    for place, value in changes:
        spoilt[place % len(spoilt)] = value
    file.write_bytes(spoilt)
    read(kind, file)
    file.write_bytes(data[: length % len(data)])
    read(kind, file)


@settings(max_examples=25, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes(case, data):
    kind, file, _ = case
    file.write_bytes(data)
    read(kind, file)
