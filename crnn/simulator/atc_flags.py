"""ATC's command line: its grammar, the flags of each release, and what each value may be."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

from crnn import cann
from crnn.simulator.knobs import release_name

Release = Tuple[int, int]


class AtcError(Exception):
    """ATC ends with this error code."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code
        self.text = text


@dataclass(frozen=True)
class Flag:
    """A flag:

    its values if they can be listed, the code for another one, and the releases that have it.
    """

    values: Optional[Tuple[str, ...]] = None
    code: str = "E10001"
    since: Release = (0, 0)
    before: Release = (99, 0)
    simulated: bool = True


_BOOL = ("0", "1")
FLAGS: Mapping[str, Flag] = {
    "framework": Flag(("0", "1", "3", "5"), "E10007"),
    "model": Flag(),
    "output": Flag(),
    "soc_version": Flag(),
    "mode": Flag(("0", "1", "3", "5", "6")),
    "input_format": Flag(("NCHW", "ND", "NCDHW")),
    "input_shape": Flag(),
    "input_shape_range": Flag(simulated=False),
    "dynamic_batch_size": Flag(),
    "dynamic_image_size": Flag(simulated=False),
    "dynamic_dims": Flag(),
    "precision_mode": Flag(
        (
            "force_fp16",
            "force_fp32",
            "cube_fp16in_fp32out",
            "allow_fp32_to_fp16",
            "must_keep_origin_dtype",
            "allow_mix_precision",
            "allow_mix_precision_fp16",
            "allow_mix_precision_bf16",
            "allow_fp32_to_bf16",
        )
    ),
    "precision_mode_v2": Flag(
        ("fp16", "origin", "cube_fp16in_fp32out", "mixed_float16", "mixed_bfloat16"), since=(7, 0)
    ),
    "op_select_implmode": Flag(
        ("high_precision", "high_performance", "high_precision_for_all", "high_performance_for_all")
    ),
    "optypelist_for_implmode": Flag(),
    "op_precision_mode": Flag(since=(6, 0)),
    "output_type": Flag(),
    "out_nodes": Flag(),
    "input_fp16_nodes": Flag(),
    "insert_op_conf": Flag(),
    "buffer_optimize": Flag(("l2_optimize", "l1_optimize", "off_optimize")),
    "enable_small_channel": Flag(_BOOL, "E10005"),
    "external_weight": Flag(simulated=False, since=(6, 3)),
    "log": Flag(("debug", "info", "warning", "error", "null"), "E10010"),
    "op_debug_level": Flag(("0", "1", "2", "3", "4")),
    "op_compiler_cache_mode": Flag(("enable", "disable", "force"), since=(5, 1)),
    "op_compiler_cache_dir": Flag(since=(5, 1)),
    "deterministic": Flag(_BOOL, "E10005", since=(7, 0)),
    "auto_tune_mode": Flag(("RL,GA", "GA,RL", "RL", "GA"), before=(6, 0)),
    "om": Flag(simulated=False),
    "json": Flag(simulated=False),
}
"""Only what documentation of the CRNN path names; ATC has more.

The releases of some are approximate.
"""

MANDATORY = ("framework", "model", "output", "soc_version")

_SOCS: Mapping[str, Tuple[Release, Release]] = {
    "Ascend310": ((0, 0), (8, 3)),
    "Ascend710": ((0, 0), (5, 1)),
    "Ascend310P1": ((5, 1), (99, 0)),
    "Ascend310P3": ((5, 1), (99, 0)),
    "Ascend310B1": ((6, 2), (99, 0)),
    "Ascend310B4": ((6, 2), (99, 0)),
}
_PATH = re.compile(r"[A-Za-z0-9_\-./\u4e00-\u9fff]+")


def parse(words: Sequence[str]) -> Dict[str, str]:
    """Split a command line: ``--k=v``, ``--k v`` or ``-k=v``, hyphens in names as underscores.

    Args:
        words: The command line without the program's name.

    Returns:
        The flags by name.

    Raises:
        AtcError: ATC refuses it, with the documented code.
    """
    values: Dict[str, str] = {}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if not word.startswith("-") or not word.strip("-"):
            raise AtcError(
                "E10001", f"Value [{word}] is not an option: positional arguments are not taken"
            )
        hyphens = 1
        if word.startswith("--"):
            hyphens = 2
        name, equals, value = word[hyphens:].partition("=")
        name = name.replace("-", "_")
        if name not in FLAGS:
            raise AtcError("E10001", f"unknown command line flag [--{name}]")
        if not equals:
            if not rest:
                raise AtcError("E10001", f"flag [--{name}] is missing its value")
            value = rest.pop(0)
        if name in values:
            raise AtcError("E10001", f"flag [--{name}] is given twice")
        values[name] = value
    return values


def check(values: Mapping[str, str], release: Release) -> None:
    """See that every flag is one of this release, that none is missing, and that each value is
    right.

    Args:
        values: The flags by name.
        release: CANN's release, such as (6, 0).

    Raises:
        AtcError: ATC refuses it, with the documented code.
    """
    for name, value in values.items():
        _check_flag(name, value, release)
    missing = [name for name in MANDATORY if not values.get(name)]
    if missing:
        raise AtcError("E10054", f"The required parameter [--{missing[0]}] for ATC is empty")
    if values["framework"] != str(cann.ATC_FRAMEWORK_ONNX):
        raise AtcError("E10007", f"framework {values['framework']} is not simulated: only 5, ONNX")
    if values.get("mode", "0") != "0":
        raise AtcError(
            "E10001", f"mode {values['mode']} is not simulated: only 0, which writes an OM"
        )
    for name in ("model", "output", "insert_op_conf"):
        if name in values and not _PATH.fullmatch(values[name]):
            allowed = "letters, digits, _ - . / and Chinese characters"
            raise AtcError(
                "E10001",
                f"Value [{values[name]}] for parameter [--{name}] is invalid. Reason: only"
                f" {allowed}",
            )
    _check_soc(values["soc_version"], release)
    _check_pairs(values)


def _check_flag(name: str, value: str, release: Release) -> None:
    flag = FLAGS[name]
    if not flag.since <= release < flag.before:
        raise AtcError(
            "E10001", f"Parameter [--{name}] is not supported by CANN {release_name(release)}"
        )
    if not flag.simulated:
        raise AtcError("E10001", f"Parameter [--{name}] is not simulated")
    if flag.values is not None and value not in flag.values:
        text = (
            f"Value [{value}] for parameter [--{name}] is invalid. Reason: expected one of"
            f" {', '.join(flag.values)}"
        )
        raise AtcError(flag.code, text)


def _check_soc(soc: str, release: Release) -> None:
    since, before = _SOCS.get(soc, ((99, 0), (0, 0)))
    if not since <= release < before:
        known = [name for name, (first, last) in _SOCS.items() if first <= release < last]
        text = (
            f"Value [{soc}] for parameter [--soc_version] is invalid. Reason: expected one of"
            f" {', '.join(known)}"
        )
        raise AtcError("E10001", text)


def _check_pairs(values: Mapping[str, str]) -> None:
    if "precision_mode" in values and "precision_mode_v2" in values:
        raise AtcError("E10001", "[--precision_mode] and [--precision_mode_v2] exclude each other")
    _check_dims_gears(values)
    if "optypelist_for_implmode" in values and "op_select_implmode" not in values:
        raise AtcError("E10001", "[--optypelist_for_implmode] needs [--op_select_implmode]")
    modes = values.get("precision_mode", "") + values.get("precision_mode_v2", "")
    half = "bf16" in modes or "bfloat16" in modes
    if half and not values["soc_version"].startswith("Ascend310B"):
        raise AtcError("E10001", f"bfloat16 is not supported by {values['soc_version']}")


def _check_dims_gears(values: Mapping[str, str]) -> None:
    if "dynamic_dims" not in values:
        return
    for other in ("dynamic_batch_size", "insert_op_conf"):
        if other in values:
            raise AtcError("E10001", f"[--dynamic_dims] and [--{other}] exclude each other")
    if values.get("input_format") != "ND" or "input_shape" not in values:
        raise AtcError("E10001", "[--dynamic_dims] needs [--input_shape] and [--input_format=ND]")


def parse_shapes(text: str) -> Dict[str, Tuple[int, ...]]:
    """Read ``name:1,1,32,100;other:…``; -1 stands for a size that gears give.

    Args:
        text: The value as it was given.

    Returns:
        Each input's dims.

    Raises:
        AtcError: ATC refuses it, with the documented code.
    """
    shapes: Dict[str, Tuple[int, ...]] = {}
    for part in text.split(";"):
        name, colon, sizes = part.rpartition(":")
        if (
            not colon
            or not name
            or not re.fullmatch(r"(-?\d+|\d+~-?\d+)(,(-?\d+|\d+~-?\d+))*", sizes)
        ):
            raise AtcError(
                "E10002", f"Value [{text}] for parameter [--input_shape] is not name:n,c,h,w;…"
            )
        if "~" in sizes:
            raise AtcError(
                "E10040",
                f"[{sizes}]: a range ('~') is not allowed here; the simulator has no ranged shapes",
            )
        shapes[name] = tuple(int(size) for size in sizes.split(","))
        if any(size == 0 or size < -1 for size in shapes[name]):
            raise AtcError(
                "E10002",
                f"Value [{text}] for parameter [--input_shape] has a size that is not positive"
                " or -1",
            )
    return shapes


def parse_gears(text: str) -> Tuple[int, ...]:
    """Read ``1,4,8,16``: 2 to 100 different sizes from 1 to 2048.

    Args:
        text: The value as it was given.

    Returns:
        The sizes as given.

    Raises:
        AtcError: ATC refuses it, with the documented code.
    """
    words = text.split(",")
    if not all(re.fullmatch(r"-?\d+", word) for word in words):
        raise AtcError(
            "E10037",
            f"Value [{text}] for parameter [--dynamic_batch_size] is not a list of numbers",
        )
    gears = [int(word) for word in words]
    if len(gears) < cann.ATC_MIN_GEARS:
        raise AtcError(
            "E10035",
            f"[--dynamic_batch_size] has {len(gears)} profile; at least {cann.ATC_MIN_GEARS} are"
            " needed",
        )
    if len(gears) > cann.ATC_MAX_GEARS:
        raise AtcError(
            "E10036",
            f"[--dynamic_batch_size] has {len(gears)} profiles; at most {cann.ATC_MAX_GEARS} are"
            " taken",
        )
    bad = [gear for gear in gears if not 1 <= gear <= 2048]
    if bad:
        raise AtcError("E10038", f"[--dynamic_batch_size] holds {bad[0]}; expected 1 to 2048")
    if len(set(gears)) != len(gears):
        raise AtcError("E10039", f"[--dynamic_batch_size] holds the same profile twice: {text}")
    return tuple(gears)


def parse_dims_gears(text: str) -> Tuple[Tuple[int, ...], ...]:
    """Read ``1,100;4,100``: 2 to 100 different rows, each a number for every -1.

    Args:
        text: The value as it was given.

    Returns:
        The gears as given.

    Raises:
        AtcError: ATC refuses it, with the documented code.
    """
    rows = [row.split(",") for row in text.split(";")]
    if not all(re.fullmatch(r"\d+", word.strip()) for row in rows for word in row):
        raise AtcError(
            "E10037", f"Value [{text}] for parameter [--dynamic_dims] is not rows of numbers"
        )
    gears = [tuple(int(word) for word in row) for row in rows]
    if len(gears) < cann.ATC_MIN_GEARS:
        raise AtcError("E10035", f"[--dynamic_dims] has {len(gears)} profile; expected 2 or more")
    if len(gears) > cann.ATC_MAX_GEARS:
        raise AtcError(
            "E10036",
            f"[--dynamic_dims] has {len(gears)} profiles; at most {cann.ATC_MAX_GEARS} are taken",
        )
    if any(number < 1 for gear in gears for number in gear):
        raise AtcError("E10038", f"[--dynamic_dims] holds 0: {text}")
    if len(set(gears)) != len(gears):
        raise AtcError("E10039", f"[--dynamic_dims] holds the same profile twice: {text}")
    return tuple(gears)


def parse_out_nodes(text: str) -> List[Tuple[str, int]]:
    """Read ``node:0;other:0``.

    Args:
        text: The value as it was given.

    Returns:
        Each node's name, and the number of its output.

    Raises:
        AtcError: ATC refuses it, with the documented code.
    """
    nodes: List[Tuple[str, int]] = []
    for part in text.split(";"):
        name, _, number = part.rpartition(":")
        if not name or not re.fullmatch(r"\d+", number):
            raise AtcError(
                "E10001",
                f"Value [{text}] for parameter [--out_nodes] is invalid. Reason: expected"
                " node_name:output_index;…",
            )
        nodes.append((name, int(number)))
    return nodes


def parse_output_types(text: str) -> Dict[str, str]:
    """Read ``FP16`` (for "") or ``node:0:FP16;…``; values are NumPy's names.

    Args:
        text: The value as it was given.

    Returns:
        NumPy's dtype names by ``node:index``.

    Raises:
        AtcError: ATC refuses it, with the documented code.
    """
    names = {"FP32": "float32", "FP16": "float16"}
    if text in names:
        return {"": names[text]}
    types: Dict[str, str] = {}
    for part in text.split(";"):
        node, _, kind = part.rpartition(":")
        if kind not in names or not re.fullmatch(r".+:\d+", node):
            raise AtcError(
                "E10001",
                f"Value [{text}] for parameter [--output_type] is not simulated or invalid",
            )
        types[node] = names[kind]
    return types


def split_names(text: str) -> List[str]:
    """Split a list of names at ``;``.

    Args:
        text: The value as it was given.

    Returns:
        The names that are not empty.
    """
    return [name for name in text.split(";") if name]
