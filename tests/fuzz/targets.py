"""The parsers that are fuzzed, and the files they start from."""

from __future__ import annotations

import copy
import json
import random
import struct
import tempfile
from pathlib import Path
from typing import Dict, List, Sequence

from crnn import cann
from crnn.ascend.sidecar import Sidecar, parse_sidecar
from crnn.presets import CrnnConfig
from crnn.samples.annotations import read_annotations
from crnn.samples.bins import read_labels
from crnn.spec import ModelSpec
from crnn.weights.checkpoint import load_checkpoint
from tests.ascend import om_writer
from tests.fuzz import foreign
from tests.fuzz.run import Target, by_path
from tests.real_data import real_data
from tests.weights import checkpoints


def _om_seeds() -> Dict[str, bytes]:
    seeds = dict(om_writer.SAMPLES)
    folder = real_data()
    if folder is not None:
        for path in sorted((folder / "om").glob("*.om")):
            seeds[path.name] = path.read_bytes()
    return seeds


def _parse_om(data: bytes) -> None:
    om = om_writer.parsed(data)
    json.dumps(om.to_dict(command=True), allow_nan=False)
    om.fields(command=True)
    str((om.batch_sizes, om.data_inputs))


def _mend_om(data: bytearray, chance: random.Random) -> None:
    """Put magic, header size and payload length right again."""
    if len(data) < cann.OM_HEADER_SIZE:
        return
    data[0:8] = cann.OM_MAGIC + struct.pack("<I", cann.OM_HEADER_SIZE)
    data[80] = 0
    payload = len(data) - cann.OM_HEADER_SIZE
    if any(data[184:192]):
        data[184:192] = struct.pack("<Q", payload)
    else:
        data[76:80] = struct.pack("<I", payload)


NAMES = (
    *(cann.OP_DATA, cann.OP_AIPP_DATA, cann.OP_NET_OUTPUT, cann.OP_CASE, "Conv2D"),
    *(cann.DYNAMIC_INPUT_NAME, cann.DYNAMIC_AIPP_NAME, "", "x\x1b\u202e", "y" * 5000),
)
OP_ATTRS = (
    *(
        cann.ATTR_INDEX,
        cann.ATTR_BATCH_NUM,
        cann.ATTR_GEAR_KIND,
        cann.ATTR_AIPP,
        cann.ATTR_AIPP_MODE,
    ),
    *(
        cann.ATTR_ORIGIN_DIMS,
        f"{cann.ATTR_PRED_VALUE}0",
        f"{cann.ATTR_PRED_VALUE}1",
        f"{cann.ATTR_PRED_VALUE}x",
    ),
)
MODEL_ATTRS = (
    *(cann.ATTR_SOC_VERSION, cann.ATTR_ATC_VERSION, cann.ATTR_ATC_CMDLINE, cann.ATTR_OUT_NODES),
    *(cann.ATTR_MEMORY_SIZE, cann.SIMULATED_ATTR),
)
TEXTS = (
    "static_aipp",
    "atc.bin --soc_version=Ascend310 --precision_mode",
    "/x/cann-8.5/bin/atc --soc-version x",
    *NAMES,
)
INTEGERS = (-1, 0, 1, 2, 3, 4, 16, 127, 128, 129, 1 << 31, -(1 << 63), (1 << 63) - 1)


def _integers(chance: random.Random) -> List[int]:
    return [chance.choice(INTEGERS) for _ in range(chance.choice((0, 1, 2, 4, 4, 4, 128, 129)))]


def _value(chance: random.Random) -> om_writer.Value:
    kind = chance.randrange(5)
    if kind == 0:
        return chance.choice(TEXTS)
    if kind == 1:
        return chance.choice(INTEGERS)
    if kind == 2:
        return chance.random() < 0.5
    return (
        _integers(chance)
        if kind == 3
        else [chance.choice(TEXTS) for _ in range(chance.randint(1, 3))]
    )


def _attributes(names: Sequence[str], chance: random.Random) -> Dict[str, om_writer.Value]:
    return {name: _value(chance) for name in chance.sample(names, chance.randint(0, len(names)))}


def _make_op(chance: random.Random) -> bytes:
    descs = (
        om_writer.tensor(chance.choice(tuple(cann.PROTO_DTYPE_NUMBER)), _integers(chance))
        for _ in range(chance.choice((0, 1, 1, 2)))
    )
    return om_writer.op(
        chance.choice(NAMES), chance.choice(NAMES), *descs, **_attributes(OP_ATTRS, chance)
    )


def _make_inout(chance: random.Random) -> bytes:
    tensors = [
        om_writer.inout_tensor(
            "t", chance.choice(tuple(cann.ACL_DTYPE)), _integers(chance), shape2=_integers(chance)
        )
        for _ in range(chance.randint(0, 3))
    ]
    numbers = [chance.randrange(1 << 64) for _ in range(chance.choice((0, 1, 4, 128, 129)))]
    rows = [(value, chance.randrange(1 << 20)) for value in numbers]
    return om_writer.in_out(tensors[:2], tensors[2:], batch=numbers, hw=chance.choice(((), rows)))


def _make_om(chance: random.Random) -> bytes:
    """An OM whose every length is right and whose content makes no sense."""
    ops = (_make_op(chance) for _ in range(chance.randint(0, 5)))
    definition = om_writer.definition(*ops, **_attributes(MODEL_ATTRS, chance))
    parts = [(cann.PARTITION_MODEL_DEF, definition), (cann.PARTITION_INOUT, _make_inout(chance))]
    parts.append((chance.choice((*cann.PARTITIONS, 99)), b"\x0a\x03abc"))
    chance.shuffle(parts)
    models = [parts[: chance.randint(1, 3)] for _ in range(chance.choice((1, 1, 1, 3)))]
    return om_writer.Writer(models, wide=chance.random() < 0.5).to_bytes()


def _make_sidecar(chance: random.Random) -> bytes:
    """A sidecar of which one or two values are of another kind."""
    data = json.loads(_sidecar_seeds()["sidecar"])
    for _ in range(chance.randint(1, 2)):
        where = chance.choice((data, data["spec"])) if isinstance(data.get("spec"), dict) else data
        key = chance.choice((*where, "other"))
        where[key] = copy.deepcopy(chance.choice(JSON_VALUES))
    return json.dumps(data).encode("utf-8")


JSON_VALUES = (
    *(None, True, 0, -1, 65536, 1 << 64, 10**400, 1e308, -1e39, 1e-50, float("nan"), float("inf")),
    *("", "aa", "\ud800", "é", "1" * 64, [], [1], [[]], ["x"], [True], {}, {"x": "y"}, {"x": []}),
)


def _parse_sidecar(data: bytes) -> None:
    parse_sidecar(data, Path("crnn.om.json")).to_json().encode("utf-8")


def _sidecar_seeds() -> Dict[str, bytes]:
    sidecar = Sidecar(
        ModelSpec(),
        "1" * 64,
        "2" * 64,
        None,
        ("atc", "--framework=5"),
        {"crnn": "1"},
        (1, 4),
        False,
    )
    return {"sidecar": sidecar.to_json().encode("utf-8")}


JSON_TOKENS = (
    b"null",
    b"true",
    b"-1",
    b"1e999",
    b"NaN",
    b"9" * 400,
    b"9" * 5000,
    b"[]",
    b"{}",
    b'""',
    b'"\\ud800"',
    b"[" * 2000,
)


def _checkpoint_seeds() -> Dict[str, bytes]:
    weights = checkpoints.state(CrnnConfig(channels=(1,) * 7, hidden=1, classes=37))
    files = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.pth"
        for legacy in (False, True):
            files[f"split, legacy {legacy}"] = checkpoints.save(
                path, checkpoints.split(weights), legacy=legacy
            ).read_bytes()
            whole = checkpoints.training(checkpoints.prefixed(weights))
            files[f"training, legacy {legacy}"] = checkpoints.save(
                path, whole, legacy=legacy
            ).read_bytes()
    return files


# Pickle: memo, tuple, reduce, build, mark; a number of any size; names that are allowed, and some
# that are not.
PICKLE_TOKENS = (
    b"q\x00",
    b"\x85",
    b"R",
    b"b",
    b"(",
    b"t",
    b"}",
    b"]",
    b"Q",
    b"\x81",
    b"\x8a\x08" + b"\xff" * 7 + b"\x7f",
    b"ctorch\nFloatStorage\n",
    b"ctorch._utils\n_rebuild_tensor_v2\n",
    b"ccollections\nOrderedDict\n",
    b"cnumpy\ndtype\n",
    b"cnumpy.core.multiarray\nscalar\n",
    b"cos\nsystem\n",
    b"X\x04\x00\x00\x00meta",
)

LINES = {
    "quoted": b'a.png, "label"\nb.png, "it\\"s"\r\n',
    "jsonl": b'{"filename": "a.png", "text": "label"}\n{"img_path": "b.png", "label": "x"}\n',
    "tab": "a.png\tlabel\nb.png\té\n".encode(),
    "comma": b"\xef\xbb\xbfa.png,label\nb.png,a,b,7\n",
}
LABELS = {
    "label.txt": b"test_1.bin:house\ntest_2.bin:a:b\n",
    "crlf": "test_10.bin:é\r\n\r\ntest_10.bin:\n".encode(),
}
LINE_TOKENS = (
    b"\n",
    b"\r",
    b"\0",
    b"\xff",
    b"\xef\xbb\xbf",
    b"\xc2\x85",
    b'"',
    b"\\",
    b",",
    b"test_0.bin:",
    *JSON_TOKENS,
)

TARGETS: Dict[str, Target] = {
    target.name: target
    for target in (
        Target(
            "checkpoint",
            by_path(load_checkpoint, "x.pth"),
            _checkpoint_seeds,
            tokens=PICKLE_TOKENS,
            short=200,
        ),
        Target(
            "om", _parse_om, _om_seeds, mend=_mend_om, make=_make_om, tokens=tuple(om_writer.PIECES)
        ),
        Target("sidecar", _parse_sidecar, _sidecar_seeds, make=_make_sidecar, tokens=JSON_TOKENS),
        Target(
            "annotations", by_path(read_annotations, "gt.txt"), lambda: LINES, tokens=LINE_TOKENS
        ),
        *foreign.TARGETS,
        Target("labels", by_path(read_labels, "label.txt"), lambda: LABELS, tokens=LINE_TOKENS),
    )
}
