"""What the frameworks computed, computed again from their own files."""

from __future__ import annotations

import dataclasses
import re
import time
import tracemalloc
from pathlib import Path
from typing import Any, Dict

import numpy as np
import onnxruntime
import pytest
import torch

from crnn.alphabet_file import read_ord_map
from crnn.errors import InputError, UsageError
from crnn.export.graph import GraphOptions, build_graph
from crnn.labels import DIGITS_AND_LETTERS, Alphabet
from crnn.network import CRNN
from crnn.presets import LETTERS_AND_DIGITS, SPECS, VARIANTS, CrnnConfig, time_steps
from crnn.weights.checkpoint import Checkpoint, load_checkpoint
from crnn.weights.conversion import Classes, take_mindspore, take_tensorflow, take_torch
from crnn.weights.mindspore_file import read_mindspore_file
from crnn.weights.renaming import from_mindspore, from_tensorflow, reorder_classes
from tests.foreign import MINDSPORE, TENSORFLOW, case
from tests.weights.test_mindspore_file import dims, parameter

KEPT = Classes(keep=True)
ORD_MAP = TENSORFLOW / "ord_map.json"
LIMIT = 1e-5


def take(source: str, target: Path, classes: Classes) -> Checkpoint:
    if source in ("crnn", "npu", "crnn.pb"):
        return take_tensorflow(TENSORFLOW / source, target, ord_map=ORD_MAP, classes=classes)
    return take_mindspore(MINDSPORE / source, target, classes=classes)


def outputs(checkpoint: Checkpoint, images: np.ndarray) -> Dict[str, np.ndarray]:
    with torch.no_grad():
        found = {"torch": checkpoint.model(torch.from_numpy(images)).numpy()}
    for options in (
        GraphOptions(),
        GraphOptions(split_bilstm=True),
        GraphOptions(batch=len(images)),
    ):
        session = onnxruntime.InferenceSession(
            build_graph(checkpoint, options), providers=["CPUExecutionProvider"]
        )
        found[str(options)] = session.run(None, {"actual_input_1": images})[0]
    return found


@pytest.mark.parametrize(
    ("source", "name", "variant", "steps"),
    [
        ("v2.ckpt", "v2", "mindspore-v2", 24),
        ("v2_training.ckpt", "v2", "mindspore-v2", 24),
        ("v2_sliced.ckpt", "v2", "mindspore-v2", 24),
        ("v2.safetensors", "v2", "mindspore-v2", 24),
        ("v1.ckpt", "v1", "mindspore-v1", 24),
        ("mindocr.ckpt", "mindocr", "mindocr-vgg7", 24),
        ("crnn", "tensorflow", "tensorflow", 25),
        ("npu", "tensorflow", "tensorflow", 25),
        ("crnn.pb", "tensorflow", "tensorflow", 25),
    ],
)
def test_outputs_are_the_frameworks(
    tmp_path: Path, source: str, name: str, variant: str, steps: int
) -> None:
    pixels, logits = case(name)
    kept = take(source, tmp_path / "kept.pth", KEPT)
    assert dataclasses.replace(kept.model.config, channels=(), hidden=0) == dataclasses.replace(
        VARIANTS[variant], channels=(), hidden=0
    )
    assert kept.spec_from == "file"
    assert kept.spec.time_steps == steps == len(logits)
    images = kept.spec.table[pixels]
    for how, found in outputs(kept, images).items():
        assert np.abs(found - logits).max() <= LIMIT, how
    moved = take(source, tmp_path / "moved.pth", Classes())
    assert moved.spec.alphabet == Alphabet(DIGITS_AND_LETTERS)
    rows = [kept.spec.alphabet.table.index(character) for character in moved.spec.alphabet.table]
    for how, found in outputs(moved, images).items():
        assert np.abs(found - logits[:, :, rows]).max() <= LIMIT, how


@pytest.mark.parametrize("prefix", ["network.", "crnn.", "model._backbone."])
@pytest.mark.parametrize("version", ["v1", "v2", "mindocr"])
def test_a_wrappers_prefix_is_taken_off(tmp_path: Path, version: str, prefix: str) -> None:
    plain = read_mindspore_file(MINDSPORE / f"{version}.ckpt")
    body = b"".join(
        parameter(f"{head}{tag}", "Float32", dims(*array.shape), array.tobytes())
        for head in (f"moments.{prefix}", prefix)
        for tag, array in plain.items()
    )
    (tmp_path / "x.ckpt").write_bytes(body)
    expected = from_mindspore(MINDSPORE / f"{version}.ckpt")
    found = from_mindspore(tmp_path / "x.ckpt")
    assert set(found.weights) == set(expected.weights)
    for name, tensor in expected.weights.items():
        assert torch.equal(found.weights[name], tensor), name
    assert f"the prefix {prefix} taken off" in found.notes


def test_class_orders_are_the_sources(tmp_path: Path) -> None:
    assert take("v2.ckpt", tmp_path / "a.pth", KEPT).spec.alphabet == Alphabet(
        LETTERS_AND_DIGITS, 36
    )
    assert take("crnn", tmp_path / "b.pth", KEPT).spec.alphabet == Alphabet(
        read_ord_map(ORD_MAP), 36
    )
    wanted = take("v2.ckpt", tmp_path / "c.pth", Classes(wanted="zyx0"))
    assert wanted.spec.alphabet == Alphabet("zyx0")
    assert wanted.model.config.classes == 5


def test_reordered_rows_are_exact() -> None:
    weights = from_mindspore(MINDSPORE / "v2.ckpt").weights
    moved = reorder_classes(weights, Alphabet(LETTERS_AND_DIGITS, 36), Alphabet(DIGITS_AND_LETTERS))
    for part in ("weight", "bias"):
        old, new = (some[f"rnn.1.embedding.{part}"] for some in (weights, moved))
        assert torch.equal(new[0], old[36])
        assert torch.equal(new[1], old[26])  # 0
        assert torch.equal(new[11], old[0])  # a
    with pytest.raises(InputError, match="no class for 'Ä'"):
        reorder_classes(weights, Alphabet(LETTERS_AND_DIGITS, 36), Alphabet("aÄ"))


def test_forget_bias_is_added_once() -> None:
    weights = from_tensorflow(TENSORFLOW / "crnn").weights
    with np.load(TENSORFLOW / "crnn.npz") as data:
        name = "shadow_net/sequence_rnn_module/stack_bidirectional_rnn/cell_0/bidirectional_rnn/bw/lstm_cell/bias"  # noqa: E501
        stored = data[f"value:{name}"]
    np.testing.assert_array_equal(
        weights["rnn.0.rnn.bias_ih_l0_reverse"][12:24].numpy(), stored[24:36] + np.float32(1)
    )
    assert not weights["rnn.0.rnn.bias_hh_l0_reverse"].any()


def flat_lstm(path: Path) -> Path:
    from tests.weights.test_mindspore_file import dims, parameter

    path.write_bytes(parameter("rnn.0.rnn.weight", "Float32", dims(6, 1, 1), bytes(24)))
    return path


def test_refusals(tmp_path: Path) -> None:
    with pytest.raises(
        InputError,
        match=r"one flat tensor \(rnn\.0\.rnn\.weight, \(6, 1, 1\)\), as MindSpore up to 1\.5",
    ):
        from_mindspore(flat_lstm(tmp_path / "old.ckpt"))
    with pytest.raises(UsageError, match=r"--version v1, but .* the names of v2"):
        from_mindspore(MINDSPORE / "v2.ckpt", "v1")
    with pytest.raises(InputError, match="63 classes|37 classes, the alphabet gives 4"):
        take_mindspore(MINDSPORE / "v2.ckpt", tmp_path / "x.pth", alphabet="abc", classes=Classes())
    with pytest.raises(
        InputError, match=r"incomplete or another network: missing vgg\.conv1\.conv\.weight"
    ):
        from_mindspore(truncated(tmp_path / "half.ckpt"))
    assert not (tmp_path / "x.pth").exists()


def truncated(path: Path) -> Path:
    """The fixture without its first parameter."""
    data = (MINDSPORE / "v2.ckpt").read_bytes()
    assert data[:1] == b"\x0a"
    length = (data[1] & 127) | data[2] << 7
    path.write_bytes(data[3 + length :])
    return path


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "is not an ord_map.json"),
        ("{", "is not an ord_map.json"),
        ('{"0_index": "x"}', "is not an ord_map.json"),
        ('{"1_index": "97"}', "is not an ord_map.json"),
        ('{"0_index": "99999999999"}', "is not an ord_map.json"),
        ("{}", "holds no class"),
        ('{"0_index": "97", "97_ord": "3"}', "contradicts itself: class 0 is 'a' one way only"),
    ],
)
def test_bad_ord_maps(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "ord_map.json"
    path.write_text(content)
    with pytest.raises(InputError, match=re.escape(message)):
        read_ord_map(path)


def test_torch_checkpoints_change_gates_classes_and_alphabet(tmp_path: Path) -> None:
    plain = take("v2.ckpt", tmp_path / "plain.pth", KEPT)
    bare = tmp_path / "bare.pth"
    state = plain.model.state_dict()
    torch.save(state, bare)
    # A file that says nothing of itself: a preset gives the network, the alphabet and the place of
    # its blank.
    again = take_torch(
        bare,
        tmp_path / "again.pth",
        preset="mindspore-v2",
        alphabet=LETTERS_AND_DIGITS,
        blank_last=True,
        classes=Classes(),
    )
    moved = take("v2.ckpt", tmp_path / "moved.pth", Classes())
    assert again.spec == moved.spec
    assert again.model.config == moved.model.config
    for name, tensor in moved.model.state_dict().items():
        assert torch.equal(tensor, again.model.state_dict()[name]), name
    swapped = take_torch(
        tmp_path / "moved.pth", tmp_path / "igfo.pth", lstm_gate_order="igfo", classes=KEPT
    )
    old, new = (
        some.model.state_dict()["rnn.0.rnn.weight_ih_l0"].chunk(4) for some in (moved, swapped)
    )
    assert [next(i for i in range(4) if torch.equal(block, old[i])) for block in new] == [
        0,
        2,
        1,
        3,
    ]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("pooling", "wide"),
        ("epsilon", -1.0),
        ("batchnorms", [9]),
        ("between", 1),
        ("last_convolution", None),
        (None, 3),
    ],
)
def test_a_wrong_structure_is_refused(tmp_path: Path, key: Any, value: Any) -> None:
    take("v2.ckpt", tmp_path / "x.pth", KEPT)
    content = torch.load(tmp_path / "x.pth", weights_only=True)
    content["crnn.config"] = {**content["crnn.config"], key: value} if key else value
    torch.save(content, tmp_path / "x.pth")
    with pytest.raises(InputError, match=r"crnn\.config is .*; expected pooling"):
        load_checkpoint(tmp_path / "x.pth")


@pytest.mark.parametrize(
    ("variant", "width", "steps"),
    [
        ("modelzoo", 100, 26),
        ("mindspore-v2", 100, 24),
        ("tensorflow", 100, 25),
        ("sierkinhane", 160, 41),
    ],
)
def test_specs_have_their_networks_time_steps(variant: str, width: int, steps: int) -> None:
    assert SPECS[variant].width == width
    assert time_steps(width, VARIANTS[variant]) == SPECS[variant].time_steps == steps
    assert VARIANTS[variant].in_channels == SPECS[variant].channels


def test_every_preset_has_a_network_and_a_spec() -> None:
    assert set(VARIANTS) == set(SPECS) - {"mindspore-native"}
    for name, config in VARIANTS.items():
        assert time_steps(SPECS[name].width, config) == SPECS[name].time_steps


@pytest.mark.parametrize(
    ("variant", "zeros", "unused", "published"),
    [
        # Trained values only; the rest count statistics too. "zeros" are biases that the source
        # does not have.
        ("modelzoo", r".*running_(mean|var)", 0, 8_331_301),
        # vgg.bn1 has 4 x 512 values.
        ("mindspore-v2", r"cnn\.conv\d\.bias", 2048, 8_338_661),
        # ... and version 1 a backward half of its second LSTM.
        ("mindspore-v1", r"cnn\.conv\d\.bias|.*bias_hh", 2048 + 768 * 1024 + 1024, 8_718_053),
        ("tensorflow", r"cnn\.conv[2-6]\.bias|rnn\.1\.embedding\.bias|.*bias_hh", 0, 8_725_632),
    ],
)
def test_full_size_has_the_published_number_of_values(
    variant: str, zeros: str, unused: int, published: int
) -> None:
    with torch.device("meta"):
        state = CRNN(VARIANTS[variant]).state_dict()
    counts = {
        name: tensor.numel()
        for name, tensor in state.items()
        if not name.endswith("num_batches_tracked")
    }
    assert (
        sum(count for name, count in counts.items() if not re.match(zeros, name)) + unused
        == published
    )


def test_narrow_networks_need_eight_columns() -> None:
    assert time_steps(8, VARIANTS["mindspore-v2"]) == 1
    with pytest.raises(InputError, match="expected at least 8"):
        time_steps(7, VARIANTS["mindspore-v2"])
    assert CrnnConfig() == VARIANTS["modelzoo"]


def test_a_full_size_file_is_read_in_seconds_and_twice_its_memory(tmp_path: Path) -> None:
    from tests.weights.test_mindspore_file import dims, parameter

    small = read_mindspore_file(MINDSPORE / "v2.ckpt")
    wide = {8: 64, 12: 256, 16: 512, 48: 1024, 24: 512, 3: 3, 2: 2, 37: 37}
    path = tmp_path / "full.ckpt"
    with open(path, "wb") as file:
        for slot in ("", "accum.", "stat."):
            for name, array in small.items():
                shape = tuple(
                    256 if name.startswith("rnn") and side == 12 else wide[side]
                    for side in array.shape
                )
                shape = (*shape[:2], 3, 3) if array.ndim == 4 and array.shape[2] == 3 else shape
                content = np.full(shape, 0.01, dtype="<f4").tobytes()
                file.write(parameter(slot + name, "Float32", dims(*shape), content))
    size = path.stat().st_size
    assert size > 95_000_000
    tracemalloc.start()
    start = time.process_time()
    try:
        foreign = from_mindspore(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert time.process_time() - start < 30
    assert peak < 2.5 * size
    assert sum(tensor.numel() for tensor in foreign.weights.values()) > 8_000_000
