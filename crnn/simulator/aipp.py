"""AIPP configuration files:

the text form of insert_op.proto's message, and the part of it that is simulated.
"""

from __future__ import annotations

import re
from typing import Dict, Iterator, List, Mapping, Tuple

from crnn.simulator.atc_flags import AtcError
from crnn.simulator.om_file import Aipp

_INT, _FLOAT, _BOOL, _TEXT, _MODE, _FORMAT = "int", "float", "bool", "text", "mode", "format"

FORMATS: Mapping[str, int] = {
    "YUV420SP_U8": 3,
    "XRGB8888_U8": 4,
    "NC1HWC0DI_FP16": 0,
    "NC1HWC0DI_S8": 0,
    "RGB888_U8": 3,
    "ARGB8888_U8": 4,
    "YUYV_U8": 0,
    "YUV422SP_U8": 0,
    "AYUV444_U8": 0,
    "YUV400_U8": 1,
    "RAW10": 0,
    "RAW12": 0,
    "RAW16": 0,
    "RAW24": 0,
    "RGB16": 0,
    "RGB20": 0,
    "RGB24": 0,
    "RGB8_IR": 0,
    "RGB16_IR": 0,
    "RGB24_IR": 0,
}
"""input_format's values; the channels of those that might be simulated."""

FIELDS: Mapping[str, str] = {
    "aipp_mode": _MODE,
    "related_input_rank": _INT,
    "related_input_name": _TEXT,
    "input_edge_idx": _INT,
    "max_src_image_size": _INT,
    "support_rotation": _BOOL,
    "input_format": _FORMAT,
    "csc_switch": _BOOL,
    "cpadding_value": _FLOAT,
    "rbuv_swap_switch": _BOOL,
    "ax_swap_switch": _BOOL,
    "single_line_mode": _BOOL,
    "src_image_size_w": _INT,
    "src_image_size_h": _INT,
    "crop": _BOOL,
    "load_start_pos_w": _INT,
    "load_start_pos_h": _INT,
    "crop_size_w": _INT,
    "crop_size_h": _INT,
    "resize": _BOOL,
    "resize_output_w": _INT,
    "resize_output_h": _INT,
    "padding": _BOOL,
    "left_padding_size": _INT,
    "right_padding_size": _INT,
    "top_padding_size": _INT,
    "bottom_padding_size": _INT,
    "padding_value": _FLOAT,
    **{f"mean_chn_{channel}": _INT for channel in range(4)},
    **{f"min_chn_{channel}": _FLOAT for channel in range(4)},
    **{f"var_reci_chn_{channel}": _FLOAT for channel in range(4)},
    **{f"matrix_r{row}c{column}": _INT for row in range(3) for column in range(3)},
    **{f"output_bias_{channel}": _INT for channel in range(3)},
    **{f"input_bias_{channel}": _INT for channel in range(3)},
    "raw_rgbir_to_f16_n": _INT,
}
_SWITCHES = (
    "csc_switch",
    "rbuv_swap_switch",
    "ax_swap_switch",
    "single_line_mode",
    "crop",
    "resize",
    "padding",
)
_PATTERNS: Mapping[str, str] = {
    _INT: r"[+-]?\d+",
    _FLOAT: r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?",
    _BOOL: r"true|false",
    _TEXT: r'"[^"]*"',
    _MODE: r"static|dynamic",
    _FORMAT: "|".join(FORMATS),
}
_TOKEN = re.compile(r'\s*(?:#[^\n]*\s*)*("[^"\n]*"|[{}:]|[^\s{}:#"]+)?')


def parse(text: str) -> Dict[str, str]:
    """Read the one ``aipp_op { … }`` message of a file:

    its fields' values as text, checked by their kinds.

    Args:
        text: The whole file.

    Returns:
        Each field's value as text.

    Raises:
        AtcError: The text is not a configuration of this form.
    """
    words = list(_words(text))
    if words[:2] != ["aipp_op", "{"] and words[:3] != ["aipp_op", ":", "{"]:
        raise _error("it does not begin with aipp_op {")
    words = words[words.index("{") + 1 :]
    fields: Dict[str, str] = {}
    while words and words[0] != "}":
        if len(words) < 3 or words[1] != ":":
            raise _error(f"{words[0]}: expected 'key: value'")
        name, _, value = words[:3]
        _check_field(name, value, fields)
        fields[name] = value
        words = words[3:]
    if words[:1] != ["}"]:
        raise _error("its brace is not closed")
    if words[1:]:
        raise _error("there is more behind the one aipp_op that is simulated")
    return fields


def read(text: str, inputs: List[Tuple[str, Tuple[int, ...]]]) -> Tuple[int, Aipp]:
    """Return which input is meant, and what is done to it; ``inputs`` are names with dims (N, C, H,
    W).

    Args:
        text: The whole file.
        inputs: The graph's inputs: name and dims (N, C, H, W).

    Returns:
        The input's index, and what is done to it.

    Raises:
        AtcError: ATC or the simulator refuses it.
    """
    fields = parse(text)
    for needed in ("aipp_mode", "input_format"):
        if needed not in fields:
            raise _error(f"{needed} is missing")
    if fields["aipp_mode"] != "static":
        raise _error("aipp_mode dynamic is not simulated")
    used = [name for name in _SWITCHES if fields.get(name) == "true"]
    if used and fields["input_format"] == "YUV400_U8" and used[0] == "csc_switch":
        raise _error("csc_switch must be off for YUV400_U8, which has one channel")
    if used:
        raise _error(f"{used[0]} is not simulated")
    index = _which(fields, [name for name, _ in inputs])
    return index, _checked(fields, inputs[index])


def _checked(fields: Mapping[str, str], tensor: Tuple[str, Tuple[int, ...]]) -> Aipp:
    name, dims = tensor
    channels = FORMATS[fields["input_format"]]
    if fields["input_format"] not in ("YUV400_U8", "RGB888_U8"):
        raise _error(f"input_format {fields['input_format']} is not simulated")
    if len(dims) != 4 or dims[1] != channels:
        raise _error(f"{fields['input_format']} has {channels} channels; input {name} is {dims}")
    width, height = int(fields.get("src_image_size_w", 0)), int(fields.get("src_image_size_h", 0))
    if not 2 <= width <= 4096 or not 1 <= height <= 4096:
        raise _error(
            f"src_image_size is {width}x{height}; expected a width of 2 to 4096 and a height of 1"
            " to 4096"
        )
    if (height, width) != dims[2:]:
        raise _error(
            f"src_image_size is {width}x{height} without crop or padding; input {name} is"
            f" {dims[3]}x{dims[2]}"
        )
    for channel in range(4):
        _check_range(fields, f"min_chn_{channel}", 0.0, 255.0)
        _check_range(fields, f"mean_chn_{channel}", 0.0, 255.0)
        _check_range(fields, f"var_reci_chn_{channel}", -65504.0, 65504.0)
    return Aipp(
        fields["input_format"],
        width,
        height,
        tuple(int(fields.get(f"mean_chn_{channel}", "0")) for channel in range(4)),
        tuple(float(fields.get(f"min_chn_{channel}", "0")) for channel in range(4)),
        tuple(float(fields.get(f"var_reci_chn_{channel}", "1")) for channel in range(4)),
    )


def _check_range(fields: Mapping[str, str], name: str, least: float, most: float) -> None:
    if not least <= float(fields.get(name, "0")) <= most:
        raise _error(f"{name} is {fields[name]}; expected {least:g} to {most:g}")


def _which(fields: Mapping[str, str], names: List[str]) -> int:
    if "related_input_name" in fields:
        name = fields["related_input_name"].strip('"')
        if name not in names:
            raise _error(f"related_input_name {name} is not an input")
        return names.index(name)
    rank = int(fields.get("related_input_rank", "0"))
    if not 0 <= rank < len(names):
        raise _error(f"related_input_rank is {rank}; the model has {len(names)} inputs")
    return rank


def _check_field(name: str, value: str, fields: Mapping[str, str]) -> None:
    if name not in FIELDS:
        raise _error(f"there is no field {name}")
    if name in fields:
        raise _error(f"{name} is given twice")
    kind = FIELDS[name]
    if not re.fullmatch(_PATTERNS[kind], value):
        article = "a"
        if kind == _INT:
            article = "an"
        raise _error(f"{name}: {value} is not {article} {kind}")


def _words(text: str) -> Iterator[str]:
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None or match.end() == position:
            raise _error(f"unreadable at {text[position : position + 20]!r}")
        position = match.end()
        if match.group(1):
            yield match.group(1)


def _error(text: str) -> AtcError:
    return AtcError("E10001", f"Parameter [--insert_op_conf]: {text}")
