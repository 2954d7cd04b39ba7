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

A line is split at its first separator, so labels may hold it. Files ending in .csv and .tsv are CSV
(`crnn.samples.tables`). All are UTF-8, with or without byte order mark, unless another encoding is
named, and only LF or CRLF ends a line. Spaces between separator and label belong to neither.
"""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import (
    Callable,
    Dict,
    Iterator,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
    Union,
)

from crnn.errors import InputError
from crnn.filekind import refuse_lfs_pointer, require_file
from crnn.samples.encoding import numbered_lines, text_encoding
from crnn.samples.tables import SUFFIXES, Table

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

LIST_SUFFIXES = (".txt", ".jsonl", ".tsv", ".csv")
"""Of annotation files, where a folder is to hold one."""

_NAME_KEYS = ("filename", "file_name", "img_path", "image_path", "image", "path")
_LABEL_KEYS = ("text", "label")
_Pair = Tuple[str, str]


class Annotation(NamedTuple):
    """An image's name, its label, and the number of the line that says so."""

    name: str
    label: str
    line: int


class Annotations(NamedTuple):
    """What an annotation file says, in its order, the form it was read in, and what a user should
    be told of how it was read.
    """

    form: str
    entries: Sequence[Annotation]
    notes: Sequence[str] = ()


class BadLine(NamedTuple):
    """A line that does not fit the form of the others, its number, and why not."""

    text: str
    line: int
    why: str


@dataclass(frozen=True)
class ListOptions:
    """What a user may say of an annotation file.

    ``form`` is the form of its lines, ``columns`` the image's and the label's (of CSV, by name or
    by number from 1; of JSON lines, their keys), ``encoding`` Python's name; None for what the
    content says, and for UTF-8.
    """

    form: Optional[str] = None
    columns: Optional[Tuple[str, str]] = None
    encoding: Optional[str] = None


class AnnotationFile:
    """An annotation file in the one form of its lines, streamed.

    A ``.csv`` or ``.tsv`` is read as CSV. Of any other file the form is the first of the table
    above that most of the first 1000 lines have with a name that looks like an image file's, or
    else with any name.

    Args:
        path: The annotation file.
        options: What the user says of it.

    Raises:
        InputError: The file cannot be read, or has none of the forms.
        UsageError: There is no encoding of that name.
    """

    def __init__(self, path: Path, options: ListOptions = ListOptions()) -> None:
        require_file(path, "an annotation file, with an image and a label a line")
        refuse_lfs_pointer(path)
        self.path = path
        self.encoding = text_encoding(path, options.encoding)
        self.form = options.form or self._form(options.columns)
        if self.form not in NAMED_FORMS:
            raise InputError(
                f"{self.form!r} is not a form of annotation; expected one of"
                f" {', '.join(NAMED_FORMS)}"
            )
        self._table: Optional[Table] = None
        self.notes: Sequence[str] = ()
        if self.form == CSV:
            self._table = Table(path, self._all_lines, options.columns, is_image_name)
            if self._table.note:
                self.notes = (self._table.note,)
            return
        self._parse = FORMS[self.form]
        if options.columns is not None:
            self._parse = self._by_keys(options.columns)

    def __iter__(self) -> Iterator[Union[Annotation, BadLine]]:
        """Yield each name with its label; a line that does not fit is given out, not raised."""
        if self._table is None:
            yield from self._parsed()
            return
        for row in self._table.pairs():
            if row.fault:
                yield BadLine(",".join(row.cells), row.line, row.fault)
            else:
                name, label = row.cells
                yield Annotation(name, label, row.line)

    def _parsed(self) -> Iterator[Union[Annotation, BadLine]]:
        for number, line in self._lines():
            pair = self._parse(line)
            if pair is None:
                yield BadLine(line, number, f"expected as in {EXAMPLES[self.form]}")
            else:
                yield Annotation(*pair, number)

    def _all_lines(self) -> Iterator[Tuple[int, str]]:
        return numbered_lines(self.path, self.encoding)

    def _lines(self) -> Iterator[Tuple[int, str]]:
        for number, line in self._all_lines():
            if line.strip():
                yield number, line

    def _form(self, columns: Optional[Tuple[str, str]]) -> str:
        first = list(itertools.islice(self._lines(), 1000))
        if not first:
            raise InputError(
                f"{self.path} holds no annotations; expected an image and a label a line"
            )
        if self.path.suffix.lower() in SUFFIXES:
            return CSV
        if columns is not None and first[0][1].startswith("{"):
            return JSONL  # the columns are the keys, which need not be those that are known
        return _detect(self.path, first)

    def _by_keys(self, columns: Tuple[str, str]) -> Callable[[str], Optional[_Pair]]:
        if self.form != JSONL:
            raise InputError(
                f"{self.path} is of the form {self.form!r}, which has no columns to choose",
                hint=f"--columns is for CSV (--form {CSV}) and for the keys of JSON lines.",
            )
        name, label = columns
        return lambda line: _json_pair(line, (name,), (label,))


def read_annotations(
    path: Path,
    form: Optional[str] = None,
    *,
    columns: Optional[Tuple[str, str]] = None,
    encoding: Optional[str] = None,
) -> Annotations:
    """Read an annotation file in the one form of its lines (`AnnotationFile`).

    Args:
        path: The annotation file.
        form: The form of its lines; None to tell it by the content.
        columns: The image's and the label's, see `ListOptions`.
        encoding: The file's; None for UTF-8.

    Returns:
        Names and labels in the order of the file.

    Raises:
        InputError: A line does not fit; the message has its number.
    """
    file = AnnotationFile(path, ListOptions(form, columns, encoding))
    entries: List[Annotation] = []
    for entry in file:
        if isinstance(entry, BadLine):
            raise _refused(file, entry)
        entries.append(entry)
    if not entries:
        raise InputError(f"{path} holds no annotations; expected an image and a label a line")
    return Annotations(file.form, entries, file.notes)


def _refused(file: AnnotationFile, entry: BadLine) -> InputError:
    named = f"Mend the line, or name the file's form: one of {', '.join(NAMED_FORMS)}."
    where = f"{file.path} line {entry.line} is {entry.text[:80]!r}"
    if file.form == CSV:
        return InputError(f"{where}: {entry.why}", hint=named)
    return InputError(
        f"{where}; expected the form {file.form!r}, as the others: {EXAMPLES[file.form]}",
        hint=named,
    )


def _detect(path: Path, lines: Sequence[Tuple[int, str]]) -> str:
    """Return the first form that most of the first lines have; the few that have not are then
    errors, not guesses.
    """
    first = lines[:1000]
    if _is_json(first[0][1]) and _jsonl(first[0][1]) is None:
        raise _unknown_json(path, *first[0])
    for is_name in (is_image_name, bool):
        for form, parse in FORMS.items():
            pairs = [
                pair
                for pair in (parse(line) for _, line in first)
                if pair is not None and is_name(pair[0])
            ]
            if 2 * len(pairs) > len(first):
                return form
    number, line = lines[0]
    if line.lstrip().startswith(("{", "[")):
        raise _unknown_json(path, number, line)
    raise InputError(
        f"{path} line {number} is {line[:80]!r}; most lines have none of the known forms of an"
        " image and its label",
        hint="The forms: " + " · ".join(EXAMPLES.values()),
    )


def _is_json(line: str) -> bool:
    """Say whether a line is, or begins, a JSON object or a list of them or of lists."""
    text = line.strip()
    return text in ("{", "[", "[{", "[[") or text.startswith(('{"', '[{"', '[["'))


def _unknown_json(path: Path, number: int, line: str) -> InputError:
    return InputError(
        f"{path} line {number} is {line[:80]!r}; expected JSON lines, an object each line, with one"
        f" of the keys {', '.join(_NAME_KEYS)} for the image and one of {', '.join(_LABEL_KEYS)}"
        f" for the label, both text: {EXAMPLES[JSONL]}",
        hint="Where an object a line has other keys: --columns IMAGEKEY,LABELKEY",
    )


def is_image_name(name: str) -> bool:
    """Say whether a name looks like an image file's, a bin's or an LMDB's key.

    Args:
        name: A name from a list.

    Returns:
        True where it does.
    """
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
    return _json_pair(line, _NAME_KEYS, _LABEL_KEYS)


def _json_pair(line: str, name_keys: Sequence[str], label_keys: Sequence[str]) -> Optional[_Pair]:
    if not line.startswith("{"):
        return None
    try:
        data = json.loads(line)
    except (ValueError, RecursionError):
        return None
    name = _only(data, name_keys)
    label = _only(data, label_keys)
    # JSON can spell half a surrogate pair, which is not text.
    if name is None or label is None or re.search("[\ud800-\udfff]", name + label):
        return None
    return (name, label)


def _only(data: Mapping[str, object], keys: Sequence[str]) -> Optional[str]:
    """Return the value of the only one of these keys that is there; None if it is not text."""
    found = [data[key] for key in keys if key in data]
    if len(found) == 1 and isinstance(found[0], str):
        return found[0]
    return None


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

CSV, JSONL = "csv", "jsonl"
NAMED_FORMS = (*FORMS, CSV)
"""What a user may call a form."""

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
"""A line of each form but CSV, of which there are many."""
