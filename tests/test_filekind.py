"""Kinds of files, told by golden first bytes and not by names."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from crnn.ascend.om_reader import read_om
from crnn.cli.main import main
from crnn.errors import InputError
from crnn.filekind import OM, ONNX, TORCH, kind_of
from tests.conftest import ROOT

WORDS = ROOT / "examples" / "words_lmdb"


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"IMOD", OM),
        (b"PK\x03\x04", TORCH),
        (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", TORCH),
        (b"\x80\x02}q", ONNX),  # a pickle that is not PyTorch's: a reader says what is wrong
        (b"\x08\x06\x12\x04crnn", ONNX),
    ],
)
def test_kind_of(head, kind, tmp_path):
    path = tmp_path / "model.txt"
    path.write_bytes(head + bytes(20))
    assert kind_of(path) == kind


def test_a_git_lfs_pointer_is_not_a_model(tmp_path):
    path = tmp_path / "model.om"
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(InputError, match="Git LFS pointer"):
        kind_of(path)


def varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2]) + varint(len(content)) + content


GRAPH = field(1, field(1, b"input") + field(2, b"Placeholder")) + field(1, field(1, b"w"))
SAVED = b"\x08\x01" + field(2, field(1, field(1, b"serve") + b"x" * 300))
CKPT = field(1, field(1, b"cnn.conv0.weight") + field(2, field(1, b"\x04") + field(3, bytes(64))))
MINDIR = field(1, b"0.1.1") + field(2, b"MindSpore") + field(3, b"1.9.0")
TABLE = bytes(40) + 0xDB4775248B80FB57.to_bytes(8, "little")
TENSORS = (2).to_bytes(8, "little") + b"{}" + bytes(100)

# Name, content, what it is said to be, and what the remedy names.
FOREIGN = {
    "any JSON": ("a.json", b'{"a": [1, 2]}', "JSON, not a model", "--spec"),
    "a list of JSON": ("model.onnx", b"\xef\xbb\xbf [1, 2, 3]", "JSON, not a model", "--spec"),
    "JSON cut off": ("x", b'\n{"a": ', "JSON, not a model", "--spec"),
    "JSON that is too deep": ("x", b"[" * 100_000, "JSON, not a model", "--spec"),
    "JSON whose first part ends within a character": (
        "x",
        b'{"ab": "' + "字".encode() * 400 + b'"}',
        "JSON, not a model",
        "--spec",
    ),
    "a sidecar": ("m.om.json", b'{"format": "crnn-om/2"}', "the file beside an OM", "m.om"),
    "a spec": ("s.json", b'{"format": "crnn-spec/1"}', "a spec, not a model", "--spec"),
    "a result": ("r.json", b'{"schema": "crnn-evaluation/1"}', "a result of this kit", "model"),
    "MindSpore's weights": ("a.ckpt", CKPT, "a checkpoint of MindSpore", "import mindspore"),
    "the same, renamed": ("a.onnx", CKPT, "a checkpoint of MindSpore", "import mindspore"),
    "MindIR": ("a.mindir", MINDIR, "a MindIR", "import mindspore"),
    "safetensors": ("a.safetensors", TENSORS, "safetensors", "import mindspore"),
    "a frozen graph": ("a.pb", GRAPH, "a frozen graph of TensorFlow", "import tensorflow"),
    "a SavedModel": ("saved_model.pb", SAVED, "a SavedModel of TensorFlow", "variables/variables"),
    "TensorFlow 1": ("a.ckpt", TABLE, "a checkpoint of TensorFlow", "import tensorflow"),
    "its data": ("m.data-00000-of-00001", b"\x01" * 64, "the data of a Ten", "import tensorflow"),
    "its note": ("checkpoint", b'model_checkpoint_path: "m"', "TensorFlow's note", "PREFIX"),
    "Keras": ("a.h5", b"\x89HDF\r\n\x1a\n" + bytes(99), "HDF5", ""),
    "TFLite": ("a.tflite", b"\x1c\0\0\0TFL3" + bytes(99), "a TFLite model", "import tensorflow"),
    "an LMDB": ("data.mdb", bytes(16) + b"\xde\xc0\xef\xbe" + bytes(99), "an LMDB", "DATA"),
    "an image": ("a.png", b"\x89PNG\r\n\x1a\n" + bytes(99), "an image", "crnn read"),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_what_is_not_a_model_is_named_with_its_verb(kind: str, tmp_path: Path) -> None:
    name, content, what, remedy = FOREIGN[kind]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as caught:
        kind_of(tmp_path / name)
    assert f"{tmp_path / name} is {what}" in caught.value.message
    assert remedy in caught.value.hint


VERBS = {
    "evaluate": ["evaluate", "FILE", str(WORDS)],
    "read": ["read", "FILE", "word.png"],
    "bench": ["bench", "FILE", "--data", str(WORDS)],
    "compile": ["compile", "FILE", "om"],
    "quantize": ["quantize", "FILE", "q.onnx"],
    "inspect": ["inspect", "FILE"],
    "export": ["export", "FILE", "o.onnx"],
    "import torch": ["import", "torch", "FILE", "o.pth"],
    "import check": ["import", "check", "FILE", "FILE", "--data", str(WORDS)],
    "spec set": ["spec", "set", "FILE", "modelzoo", "-o", "o.onnx"],
    "train": ["train", "synthetic", f"train={WORDS}", "start_from=FILE", "--out", "run"],
    "doctor": ["doctor", "FILE"],
}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("kind", ["a sidecar", "MindIR", "MindSpore's weights", "a SavedModel"])
def test_every_verb_says_it_in_one_sentence(
    kind: str,
    verb: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    name, content, what, remedy = FOREIGN[kind]
    (tmp_path / name).write_bytes(content)
    code = main([word.replace("FILE", name) for word in VERBS[verb]])
    said = capsys.readouterr()
    assert code == 1
    text = " ".join((said.out + said.err).split())
    assert f"is {what}" in text
    assert remedy in text
    assert "Traceback" not in text


@pytest.mark.parametrize("given", ["folder", "folder/saved_model.pb"])
def test_a_saved_model_is_imported_by_its_variables(
    given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "saved_model.pb").write_bytes(SAVED)
    (tmp_path / "map.json").write_text('{"0_index": "122", "122_ord": "0"}')
    assert main(["import", "tensorflow", given, "o.pth", "--ord-map", "map.json"]) == 1
    said = capsys.readouterr().err
    assert "is a SavedModel of TensorFlow" in said
    assert "folder/variables/variables" in said
    assert main(["evaluate", "folder", str(WORDS)]) == 1
    assert "folder/variables/variables" in capsys.readouterr().err


def om2(path: Path, prefix: str = "") -> Path:
    """An archive with the entries and the order of GE's."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{prefix}manifest.json", '{"model_num":1,"compatibility":{}}')
        archive.writestr(f"{prefix}data/model_0/model_meta.json", "{}")
    return path


@pytest.mark.parametrize("name", ["m.om2", "m.om", "m.onnx"])
@pytest.mark.parametrize("prefix", ["", "m/"])
@pytest.mark.parametrize("verb", ["inspect", "evaluate", "doctor"])
def test_an_om2_is_named_for_what_it_is(
    verb: str, prefix: str, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = om2(tmp_path / name, prefix)
    words = [verb, str(path)]
    if verb == "evaluate":
        words.append(str(ROOT / "examples" / "words_lmdb"))
    assert main(words) == 1
    said = capsys.readouterr().err
    assert f"{name} is an OM2, a zip archive that ATC of CANN 9.1 writes with --mode=7" in said
    assert "Compile the ONNX to an OM" in said


def test_an_om2_among_a_folders_oms_is_named(tmp_path: Path) -> None:
    om2(tmp_path / "set_bs1.om")
    with pytest.raises(InputError, match="is an OM2"):
        read_om(tmp_path / "set_bs1.om")


def test_other_zip_archives_are_no_om2(tmp_path: Path) -> None:
    path = tmp_path / "m.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("m/data.pkl", b"")
        archive.writestr("manifest.json", "{}")
    assert kind_of(path) == TORCH
