r"""Annotation files: one image and one label a line, in any of the forms that text recognition data
comes in.

==============  ==============================  =================================================
form            a line                          as in
==============  ==============================  =================================================
quoted          ``name, "label"``               ICDAR 2013, 2015 (``\"`` stands for a quote)
jsonl           ``{"filename": …, "text": …}``  MMOCR
tab             ``name<TAB>label``              PaddleOCR
comma-trailing  ``name,label,``                 MindSpore's ICDAR 2003
comma-index     ``name,label,7``                MindSpore's and TensorFlow's SVT
comma           ``name,label``                  MindSpore's IIIT5K
colon           ``name:label``                  this kit's label.txt
space           ``name label``                  MMOCR, lists extracted from an LMDB
==============  ==============================  =================================================

A line is split at its first separator, so labels may hold it. Files are UTF-8, with or without byte
order mark, and only LF or CRLF ends a line. Spaces between separator and label belong to neither.
"""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from typing import Callable, Dict, Iterator, NamedTuple, Optional, Sequence, Tuple, Union

from crnn.errors import InputError
from crnn.files import refuse_lfs_pointer, require_file, utf8_lines

IMAGE_SUFFIXES = (
    ".png",
    ".jpg",
    ".jpeg",
    ".bmp",
    ".gif",
    ".tif",
    ".tiff",
    ".webp",
    ".ppm",
    ".pgm",
    ".pbm",
    ".jp2",
)

_NAME_KEYS = ("filename", "file_name", "img_path", "image_path", "image", "path")
_LABEL_KEYS = ("text", "label")
_Pair = Tuple[str, str]


class Annotation(NamedTuple):
    """An image's name, its label, and the number of the line that says so."""

    name: str
    label: str
    line: int


class Annotations(NamedTuple):
    """What an annotation file says, in its order, and the form it was read in."""

    form: str
    entries: Sequence[Annotation]


def read_annotations(path: Path, form: Optional[str] = None) -> Annotations:
    """Read an annotation file in the one form of its lines.

    The form is the first of the table above that most lines have with a name that looks like an
    image file's, or else with any name.

    Args:
        path: The annotation file.
        form: The form of its lines; None to tell it by the content.

    Returns:
        Names and labels in the order of the file.

    Raises:
        InputError: A line does not fit; the message has its number.
    """
    require_file(path, "an annotation file, with an image and a label a line", stream=True)
    refuse_lfs_pointer(path)
    if form is not None and form not in FORMS:
        raise InputError(
            f"{form!r} is not a form of annotation; expected one of {', '.join(FORMS)}"
        )
    lines = list(_numbered(path))
    if not lines:
        raise InputError(f"{path} holds no annotations; expected an image and a label a line")
    if form is None:
        form = _detect(path, lines)
    entries = []
    for number, line in lines:
        pair = FORMS[form](line)
        if pair is None:
            raise InputError(
                f"{path} line {number} is {line[:80]!r}; expected the form {form!r}, as the others:"
                f" {EXAMPLES[form]}",
                hint=f"Mend the line, or name the file's form: one of {', '.join(FORMS)}.",
            )
        entries.append(Annotation(*pair, number))
    return Annotations(form, entries)


class BadLine(NamedTuple):
    """A line that does not fit the form of the others, its number, and why not."""

    text: str
    line: int
    why: str


def scan_annotations(
    path: Path, form: Optional[str] = None
) -> Iterator[Union[Annotation, BadLine]]:
    """Stream an annotation file of any length.

    Otherwise as `read_annotations`.

    Args:
        path: The annotation file.
        form: The form of its lines; None to tell it by the first 1000 lines.

    Yields:
        Each name with its label; a line that does not fit is given out, not raised.

    Raises:
        InputError: The file cannot be read.
    """
    require_file(path, "an annotation file, with an image and a label a line", stream=True)
    refuse_lfs_pointer(path)
    if form is not None and form not in FORMS:
        raise InputError(
            f"{form!r} is not a form of annotation; expected one of {', '.join(FORMS)}"
        )
    lines = _lines(path)
    if form is None:
        first = list(itertools.islice(lines, 1000))
        good = [line for line in first if not isinstance(line, BadLine)]
        if not good:
            raise InputError(f"{path} holds no annotations; expected an image and a label a line")
        form = _detect(path, good)
        lines = itertools.chain(first, lines)
    parse, example = FORMS[form], EXAMPLES[form]
    for line in lines:
        if isinstance(line, BadLine):
            yield line
            continue
        pair = parse(line[1])
        yield (
            BadLine(line[1], line[0], f"expected as in {example}")
            if pair is None
            else Annotation(*pair, line[0])
        )


def _detect(path: Path, lines: Sequence[Tuple[int, str]]) -> str:
    """Return the first form that most of the first lines have; the few that have not are then
    errors, not guesses.
    """
    first = lines[:1000]
    for is_name in (_is_image_name, bool):
        for form, parse in FORMS.items():
            pairs = [
                pair
                for pair in (parse(line) for _, line in first)
                if pair is not None and is_name(pair[0])
            ]
            if 2 * len(pairs) > len(first):
                return form
    number, line = lines[0]
    raise InputError(
        f"{path} line {number} is {line[:80]!r}; most lines have none of the known forms of an"
        " image and its label",
        hint="The forms: " + " · ".join(EXAMPLES.values()),
    )


def _is_image_name(name: str) -> bool:
    return (
        name.lower().endswith((*IMAGE_SUFFIXES, ".bin"))
        or re.fullmatch(r"image-[0-9]{9}", name) is not None
    )


def _quoted(line: str) -> Optional[_Pair]:
    match = re.fullmatch(r'([^,]+),\s*"(.*)"\s*', line)
    if match:
        return (match.group(1), re.sub(r'\\(["\\])', r"\1", match.group(2)))
    return None


def _jsonl(line: str) -> Optional[_Pair]:
    if not line.startswith("{"):
        return None
    try:
        data = json.loads(line)
    except (ValueError, RecursionError):
        return None
    names = [data[key] for key in _NAME_KEYS if key in data]
    labels = [data[key] for key in _LABEL_KEYS if key in data]
    if (
        len(names) != 1
        or len(labels) != 1
        or not isinstance(names[0], str)
        or not isinstance(labels[0], str)
    ):
        return None
    # JSON can spell half a surrogate pair, which is not text.
    if re.search("[\ud800-\udfff]", names[0] + labels[0]):
        return None
    return (names[0], labels[0])


def _split(separator: str, tail: str = "") -> Callable[[str], Optional[_Pair]]:
    pattern = re.compile(f"([^{separator}]+){separator} *(.*){tail}", re.DOTALL)

    def parse(line: str) -> Optional[_Pair]:
        match = pattern.fullmatch(line)
        if match:
            return (match.group(1), match.group(2))
        return None

    return parse


# The order is that of preference where several forms fit all lines.
FORMS: Dict[str, Callable[[str], Optional[_Pair]]] = {
    "quoted": _quoted,
    "jsonl": _jsonl,
    "tab": _split("\t"),
    "comma-trailing": _split(",", tail=","),
    "comma-index": _split(",", tail=",[0-9]+"),
    "comma": _split(","),
    "colon": _split(":"),
    "space": _split(" "),
}

EXAMPLES = {
    "quoted": 'a.png, "label"',
    "jsonl": '{"filename": "a.png", "text": "label"}',
    "tab": "a.png<TAB>label",
    "comma-trailing": "a.png,label,",
    "comma-index": "a.png,label,7",
    "comma": "a.png,label",
    "colon": "a.png:label",
    "space": "a.png label",
}


def _numbered(path: Path) -> Iterator[Tuple[int, str]]:
    """Yield the numbered lines, without blank ones; `InputError` for one that is not UTF-8."""
    for line in _lines(path):
        if isinstance(line, BadLine):
            raise InputError(f"{path} line {line.line} is {line.why}: {line.text}")
        yield line


def _lines(path: Path) -> Iterator[Union[Tuple[int, str], BadLine]]:
    for number, line, raw in utf8_lines(path):
        if line is None:
            yield BadLine(repr(raw[:80]), number, "not UTF-8")
        elif line.strip():
            yield number, line
