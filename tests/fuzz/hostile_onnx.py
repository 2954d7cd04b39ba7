"""ONNX files that do not end, or that say more than is good."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any, Callable, Dict, List

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from crnn.spec import METADATA_KEY, ModelSpec

Case = Callable[[random.Random, Path, Path], None]


def saved(
    path: Path,
    nodes: List[Any],
    constants: List[Any],
    *,
    shape: Any = (26, "n", 37),
    sparse: Any = (),
    domain: str = "",
) -> None:
    """Write a graph from ``x`` (n, 1, 32, 100) to ``y``."""
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 1, 32, 100])
    wanted = helper.make_tensor_value_info("y", TensorProto.FLOAT, list(shape))
    graph = helper.make_graph(
        nodes, "g", [given], [wanted], constants, sparse_initializer=list(sparse)
    )
    opsets = [helper.make_opsetid("", 11)]
    if domain:
        opsets.append(helper.make_opsetid(domain, 1))
    model = helper.make_model(graph, opset_imports=opsets, ir_version=6)
    path.write_bytes(model.SerializeToString())


def _ints(name: str, *values: int) -> Any:
    return numpy_helper.from_array(np.array(values, np.int64), name)


def _loop(chance: random.Random, path: Path, sound: Path) -> None:
    info = helper.make_tensor_value_info
    value, flag = TensorProto.FLOAT, TensorProto.BOOL
    same = helper.make_node("Identity", ["c"], ["c2"]), helper.make_node("Identity", ["v"], ["v2"])
    given = info("i", TensorProto.INT64, []), info("c", flag, []), info("v", value, None)
    wanted = info("c2", flag, []), info("v2", value, None)
    body = helper.make_graph(list(same), "b", list(given), list(wanted))
    true = numpy_helper.from_array(np.array(True), "true")
    saved(path, [helper.make_node("Loop", ["", "true", "x"], ["y"], body=body)], [true])


def _nested_if(chance: random.Random, path: Path, sound: Path) -> None:
    inner = [helper.make_node("Identity", ["x"], ["y0"])]
    for depth in range(chance.choice((3, 10, 20))):
        wanted = helper.make_tensor_value_info(f"y{depth}", TensorProto.FLOAT, None)
        branch = helper.make_graph(inner, f"b{depth}", [], [wanted])
        branches = {"then_branch": branch}
        if depth < 8:  # twice as many a level
            branches["else_branch"] = branch
        last = f"y{depth + 1}"
        inner = [helper.make_node("If", ["true"], [last], **branches)]
    inner.append(helper.make_node("Identity", [last], ["y"]))
    saved(path, inner, [numpy_helper.from_array(np.array(True), "true")])


def _constant_of_shape(chance: random.Random, path: Path, sound: Path) -> None:
    sizes = chance.choice(((1 << 31,), (1 << 16, 1 << 15), (1 << 40,), (-1, 5), (1 << 62, 1 << 62)))
    nodes = [
        helper.make_node("ConstantOfShape", ["s"], ["big"]),
        helper.make_node("ReduceSum", ["big"], ["y"]),
    ]
    saved(path, nodes, [_ints("s", *sizes)])


def _expand(chance: random.Random, path: Path, sound: Path) -> None:
    operator = chance.choice(("Expand", "Tile"))
    nodes = [
        helper.make_node(operator, ["x", "s"], ["big"]),
        helper.make_node("ReduceSum", ["big"], ["y"]),
    ]
    saved(path, nodes, [_ints("s", 1 << 10, 1 << 20, 1, 1)])


def _attributes(chance: random.Random, path: Path, sound: Path) -> None:
    node = helper.make_node("RandomNormal", [], ["big"], shape=[1 << 16, 1 << 16])
    saved(path, [node, helper.make_node("ReduceSum", ["big"], ["y"])], [])


def _sparse(chance: random.Random, path: Path, sound: Path) -> None:
    values = numpy_helper.from_array(np.ones(1, np.float32), "w")
    indices = numpy_helper.from_array(np.zeros(1, np.int64), "i")
    tensor = helper.make_sparse_tensor(values, indices, [chance.choice((800_000_000, 10**12))])
    saved(path, [helper.make_node("ReduceSum", ["w"], ["y"])], [], sparse=[tensor])


def _declared(chance: random.Random, path: Path, sound: Path) -> None:
    tensor = numpy_helper.from_array(np.zeros((2, 2), np.float32), "w")
    tensor.dims[0] = chance.choice((-1, 0, 10**9, 2**62))
    saved(path, [helper.make_node("Add", ["x", "w"], ["y"])], [tensor])


def _domain(chance: random.Random, path: Path, sound: Path) -> None:
    domain = chance.choice(("evil", "ai.onnx.preview.training", "\x1b[2J", "com.microsoft.evil"))
    saved(path, [helper.make_node("Run", ["x"], ["y"], domain=domain)], [], domain=domain)


def _rows(chance: random.Random, path: Path, sound: Path) -> None:
    """Give another count of rows than there are images, or another order of axes."""
    shape = chance.choice(
        ((26, 1, 37), (26, 0, 37), (1, 26, 37), (26, 37), (25, 1, 37), (26, 1, 36), (26, 3, 37))
    )
    declared = chance.choice((("t", "n", "k"), shape, None))
    constant = numpy_helper.from_array(np.zeros(shape, np.float32), "w")
    saved(
        path,
        [helper.make_node("Identity", ["w"], ["y"])],
        [constant],
        shape=declared or ("a", "b", "c"),
    )


def _steps(chance: random.Random, path: Path, sound: Path) -> None:
    nodes = [helper.make_node("ConstantOfShape", ["s"], ["y"])]
    saved(path, nodes, [_ints("s", 2_000_000, 1, 37)], shape=("t", "n", "k"))


def _spec(chance: random.Random, path: Path, sound: Path) -> None:
    model = onnx.load(str(sound))
    spec: Dict[str, Any] = ModelSpec.default().to_dict()
    key = chance.choice(
        ("height", "width", "time_steps", "alphabet", "divisor", "std", "blank", "format", "color")
    )
    spec[key] = chance.choice(
        (
            8000,
            65535,
            65536,
            -1,
            0,
            1e308,
            "x" * 10,
            None,
            [],
            10**30,
            True,
            "".join(map(chr, range(0x4E00, 0x9FFF))),
            "".join(chr(0x10000 + n) for n in range(900_000)),
        )
    )
    text = json.dumps(spec)
    if chance.random() < 0.2:
        text = chance.choice(("[" * 100_000, "9" * 100_000, "{", "x" * (80 << 20)))
    del model.metadata_props[:]
    helper.set_model_props(model, {METADATA_KEY: text})
    path.write_bytes(model.SerializeToString())


def _type(chance: random.Random, path: Path, sound: Path) -> None:
    model = onnx.load(str(sound))
    place = chance.choice((model.graph.input[0], model.graph.output[0]))
    place.type.tensor_type.elem_type = chance.choice((99, -5, 0, 8, 2**31 - 1))
    path.write_bytes(model.SerializeToString())


def _damaged(chance: random.Random, path: Path, sound: Path) -> None:
    data = bytearray(sound.read_bytes())
    for _ in range(chance.choice((1, 5, 50))):
        where = chance.choice((500, 5000, len(data)))
        data[chance.randrange(where)] = chance.randrange(256)
    path.write_bytes(data[: chance.choice((len(data), chance.randrange(len(data))))])


def _external(chance: random.Random, path: Path, sound: Path) -> None:
    model = onnx.load(str(sound))
    tensor = max(model.graph.initializer, key=lambda entry: entry.ByteSize())
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    where = chance.choice(("../x", "/etc/passwd", "/dev/zero", "w.bin", "", "a\0b", "\x1b[2J"))
    for key, value in (
        ("location", where),
        ("offset", chance.choice(("0", "-1", "9" * 30, "x"))),
        ("length", "999999999999"),
    ):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value
    path.with_name("w.bin").write_bytes(b"x")
    path.write_bytes(model.SerializeToString())


def with_names(path: Path, sound: Path, name: str) -> None:
    """Write a sound model whose names and metadata hold a text."""
    model = onnx.load(str(sound))
    old = model.graph.input[0].name
    model.graph.input[0].name = name
    for node in model.graph.node:
        for index, given in enumerate(node.input):
            if given == old:
                node.input[index] = name
    model.producer_name = name
    entry = model.metadata_props.add()
    entry.key, entry.value = name, name
    path.write_bytes(model.SerializeToString())


CASES: Dict[str, Case] = {
    "loop": _loop,
    "if": _nested_if,
    "constant of shape": _constant_of_shape,
    "expand": _expand,
    "attributes": _attributes,
    "sparse": _sparse,
    "declared": _declared,
    "domain": _domain,
    "rows": _rows,
    "steps": _steps,
    "spec": _spec,
    "type": _type,
    "damaged": _damaged,
    "external": _external,
}
