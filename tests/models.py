"""Small real models for tests, and images that they read as a given text."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Optional, Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from crnn.spec import METADATA_KEY, ModelSpec
from crnn.widths import Widths

SPEC = ModelSpec.default()


def write_echo_model(
    path: Path,
    *,
    batch: Optional[int] = None,
    spec: Optional[ModelSpec] = SPEC,
    dtype: int = TensorProto.FLOAT,
    axes: str = "TNK",
    open_sizes: bool = False,
) -> Path:
    """Write an ONNX file that reads what `echo_image` writes: logit k of step t is pixel (row k,
    column t).

    Rows end at 31, so it reads the first 31 characters of the alphabet only. ``spec`` None leaves
    the metadata out. ``axes`` is the order of the output's, and ``open_sizes`` leaves their sizes
    out of the file.
    """
    size = "batch" if batch is None else batch
    cast = [helper.make_node("Cast", ["actual_input_1"], ["image"], to=TensorProto.FLOAT)]
    nodes = [
        *cast,
        helper.make_node("Slice", ["image", "starts", "ends", "axes"], ["cut"]),
        helper.make_node("Pad", ["cut", "pads"], ["padded"]),
        helper.make_node("Squeeze", ["padded"], ["squeezed"], axes=[1]),
        helper.make_node(
            "Transpose", ["squeezed"], ["output1"], perm=["NKT".index(axis) for axis in axes]
        ),
    ]
    sizes = {"T": 26, "N": size, "K": 37}
    shape = [axis if open_sizes else sizes[axis] for axis in axes]
    constants = {"starts": [0], "ends": [26], "axes": [3], "pads": [0, 0, 0, 0, 0, 0, 5, 0]}
    graph = helper.make_graph(
        nodes,
        "echo",
        [helper.make_tensor_value_info("actual_input_1", dtype, [size, 1, 32, 100])],
        [helper.make_tensor_value_info("output1", TensorProto.FLOAT, shape)],
        [
            numpy_helper.from_array(np.array(value, dtype=np.int64), name)
            for name, value in constants.items()
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6)
    if spec is not None:
        helper.set_model_props(model, {METADATA_KEY: spec.to_json()})
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, str(path))
    return path


def write_width_model(path: Path) -> Path:
    """Write an ONNX file that takes any batch and any width: logits (width / 4, N, 32), the largest
    of four neighbours of each row.
    """
    nodes = [
        helper.make_node("MaxPool", ["image"], ["pooled"], kernel_shape=[1, 4], strides=[1, 4]),
        helper.make_node("Squeeze", ["pooled"], ["squeezed"], axes=[1]),
        helper.make_node("Transpose", ["squeezed"], ["logits"], perm=[2, 0, 1]),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 1, 32, "width"])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["steps", "batch", 32])
    graph = helper.make_graph(nodes, "wide", [image], [logits])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, str(path))
    return path


def write_wide_echo_model(
    path: Path, widths: Optional[Sequence[int]] = None, *, axes: str = "TNK"
) -> Path:
    """Write an ONNX file that takes any batch and any width, and reads what `wide_echo_image`
    writes: logit k of step t is pixel (row k, column 4t), of width / 4 + 1 steps.

    ``widths`` are those that its spec names; None for the default spec.
    """
    nodes = [
        helper.make_node("Slice", ["actual_input_1", "starts", "ends", "axes", "by"], ["cut"]),
        helper.make_node("Pad", ["cut", "pads"], ["padded"]),
        helper.make_node("Squeeze", ["padded"], ["squeezed"], axes=[1]),
        helper.make_node(
            "Transpose", ["squeezed"], ["output1"], perm=["NKT".index(axis) for axis in axes]
        ),
    ]
    sizes = {"T": "steps", "N": "batch", "K": 37}
    constants = {
        "starts": [0],
        "ends": [1 << 30],
        "axes": [3],
        "by": [4],
        "pads": [0, 0, 0, 0, 0, 0, 5, 1],
    }
    graph = helper.make_graph(
        nodes,
        "echo",
        [
            helper.make_tensor_value_info(
                "actual_input_1", TensorProto.FLOAT, ["batch", 1, 32, "width"]
            )
        ],
        [
            helper.make_tensor_value_info(
                "output1", TensorProto.FLOAT, [sizes[axis] for axis in axes]
            )
        ],
        [
            numpy_helper.from_array(np.array(value, dtype=np.int64), name)
            for name, value in constants.items()
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6)
    spec = dataclasses.replace(SPEC, output_axes=axes)
    if widths is not None:
        spec = dataclasses.replace(spec, widths=Widths(list=tuple(widths)))
    helper.set_model_props(model, {METADATA_KEY: spec.to_json()})
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, str(path))
    return path


def wide_echo_image(text: str, width: int) -> np.ndarray:
    """Return the float32 image (1, 32, width) that the model of `write_wide_echo_model` reads as
    ``text``, at most width / 8 characters of 0-9a-u.
    """
    pixels = np.zeros((1, 32, width), dtype=np.uint8)
    pixels[0, 0] = 128
    for position, character in enumerate(text):
        pixels[0, SPEC.alphabet.table.index(character), 8 * position] = 255
    image: np.ndarray = SPEC.table[pixels]
    return image


def wide_echo_images(texts: Sequence[str], width: int) -> np.ndarray:
    """Return the images of several texts, (N, 1, 32, width)."""
    return np.stack([wide_echo_image(text, width) for text in texts])


def echo_pixels(text: str) -> np.ndarray:
    """Return a uint8 image (1, 32, 100) that the echo model reads as ``text``, at most 13
    characters of 0-9a-u.
    """
    pixels = np.zeros((1, 32, 100), dtype=np.uint8)
    pixels[0, 0, :26] = 128  # blank wherever nothing is brighter
    for position, character in enumerate(text):
        pixels[0, SPEC.alphabet.table.index(character), 2 * position] = 255
    return pixels


def echo_image(text: str) -> np.ndarray:
    """Return the float32 image (1, 32, 100) of `echo_pixels`."""
    image: np.ndarray = SPEC.table[echo_pixels(text)]
    return image


def echo_images(texts: Sequence[str]) -> np.ndarray:
    """Return the images of several texts, (N, 1, 32, 100)."""
    return np.stack([echo_image(text) for text in texts])


def write_bins(folder: Path, texts: Sequence[str], labels: Optional[Sequence[str]] = None) -> Path:
    """Write ``input_bin/test_{i}.bin`` and ``label.txt`` into a folder, as the historical script
    does.
    """
    bins = folder / "input_bin"
    bins.mkdir()
    lines = []
    for index, (text, label) in enumerate(zip(texts, labels or texts), 1):
        (bins / f"test_{index}.bin").write_bytes(echo_image(text).astype("<f4").tobytes())
        lines.append(f"test_{index}.bin:{label}\n")
    (folder / "label.txt").write_text("".join(lines), encoding="utf-8")
    return bins


def write_images(
    folder: Path, texts: Sequence[str], labels: Optional[Sequence[str]] = None
) -> Path:
    """Write a folder of PNG files and their annotation file, the names in it in order."""
    folder.mkdir()
    lines = []
    for index, (text, label) in enumerate(zip(texts, labels or texts), 1):
        Image.fromarray(echo_pixels(text)[0]).save(folder / f"{index}.png")
        lines.append(f"{index}.png {label}\n")
    (folder / "annotation.txt").write_text("".join(lines), encoding="utf-8")
    return folder
