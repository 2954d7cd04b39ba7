"""CSV (RFC 4180) as spreadsheets, pandas and EasyOCR's trainer write it.

Which columns are the image and its label, and whether the first row names them, is told by the
rows or by the user.

Between the fields stands a comma, a tab, a semicolon or a bar; a field in double quotes may hold
them, line ends and doubled quotes. Spaces after the sign between fields belong to neither.
"""

from __future__ import annotations

import collections
import csv
import re
from pathlib import Path
from typing import Callable, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from crnn.errors import InputError

SUFFIXES = (".csv", ".tsv")
NAMES = frozenset(
    "filename file_name file name image image_name image_path img img_name img_path path filepath"
    " file_path imagename imagepath".split()
)
"""What a first row calls the image, in lower case."""
LABELS = frozenset(
    "label labels text texts word words transcription transcript gt ground_truth groundtruth"
    " caption string".split()
)
"""What a first row calls the label."""

_LOOKED_AT = 1000
_SIGNS = (",", "\t", ";", "|")
_TOLD_SIGN = re.compile('"?sep=([,\t;|])"?', re.IGNORECASE)
"""A first line by which Excel takes the sign between fields."""


class Row(NamedTuple):
    """The fields of a row, and the line at which it ends; ``fault`` is why it has none."""

    cells: Sequence[str]
    line: int
    fault: str = ""


class Columns(NamedTuple):
    """Where a table holds images and labels, from 0, and the first row where it names columns."""

    image: int
    label: int
    width: int
    head: Optional[Sequence[str]]


class Table:
    """The rows of a CSV.

    Args:
        path: The file, for messages.
        lines: Gives the file's numbered lines from the start, each time it is called.
        columns: The columns of image and label, by number from 1 or by name; None to tell them by
            the first rows.
        is_image: Says whether a name looks like an image file's.

    Raises:
        InputError: The columns cannot be told, or are not there.
    """

    def __init__(
        self,
        path: Path,
        lines: Callable[[], Iterator[Tuple[int, str]]],
        columns: Optional[Tuple[str, str]],
        is_image: Callable[[str], bool],
    ) -> None:
        self._path = path
        self._lines = lines
        self._is_image = is_image
        self._sign = self._best_sign()
        first: List[Row] = []
        why = ""
        for row in self._rows(self._sign):
            if not row.fault:
                first.append(row)
            elif not why:
                why = f" (line {row.line}: {row.fault})"
            if len(first) == _LOOKED_AT:
                break
        if not first:
            raise InputError(
                f"{path} holds no row of CSV{why}; expected an image and a label a row"
            )
        self.columns = self._choose([row.cells for row in first], columns)

    @property
    def note(self) -> str:
        """What was taken for the names of columns; "" where there is no such row."""
        head = self.columns.head
        if head is None:
            return ""
        return (
            f"{self._path}: the first row names the columns: image {head[self.columns.image]!r},"
            f" label {head[self.columns.label]!r}"
        )

    def pairs(self) -> Iterator[Row]:
        """Yield image and label of each row below the first that names columns."""
        image, label, width, head = self.columns
        skip = head is not None
        for row in self._rows(self._sign):
            if skip and not row.fault:
                skip = False
            elif row.fault:
                yield row
            elif len(row.cells) != width:
                fault = f"{len(row.cells)} columns; the others have {width}, and a field that"
                fault += " holds the sign between fields stands in double quotes"
                yield Row(row.cells, row.line, fault)
            else:
                yield Row((row.cells[image].strip(), row.cells[label]), row.line)

    def _rows(self, sign: str) -> Iterator[Row]:
        reader = csv.reader(self._texts(), delimiter=sign, skipinitialspace=True, strict=True)
        while True:
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                fault = str(error)
                if "new-line" in fault:
                    fault = "a carriage return by itself; a line ends in LF or CRLF"
                yield Row((), reader.line_num, fault)
                continue
            if not any(cell.strip() for cell in cells):
                continue
            if any("\n" in cell and sign in cell for cell in cells):
                yield Row(cells, reader.line_num, "a quote that is not closed in its row")
                continue
            yield Row(cells, reader.line_num)

    def _texts(self) -> Iterator[str]:
        """Yield the lines; one that tells a spreadsheet the sign between fields is left empty."""
        for number, text in self._lines():
            if number == 1 and _TOLD_SIGN.fullmatch(text):
                yield "\n"
            else:
                yield f"{text}\n"

    def _best_sign(self) -> str:
        for _, text in self._lines():
            told = _TOLD_SIGN.fullmatch(text)
            if told:
                return told[1]
            break
        signs = list(_SIGNS)
        if self._path.suffix.lower() == ".tsv":
            signs = ["\t", ",", ";", "|"]
        return max(signs, key=self._worth)

    def _worth(self, sign: str) -> Tuple[int, int]:
        """Return how many of the first rows this sign cuts, into an image's name among others and
        at all.
        """
        named = cut = 0
        for number, row in enumerate(self._rows(sign)):
            if number == 100:
                break
            if len(row.cells) > 1:
                cut += 1
                named += any(map(self._is_image, row.cells))
        return named, cut

    def _choose(self, rows: Sequence[Sequence[str]], asked: Optional[Tuple[str, str]]) -> Columns:
        width = self._width = collections.Counter(map(len, rows)).most_common(1)[0][0]
        if width < 2:
            raise InputError(
                f"{self._path} has one column; expected an image and a label a row, with a comma"
                " between"
            )
        first = [cell.strip() for cell in rows[0]]
        if asked:
            return self._asked(asked, first, rows, width)
        image = _one([cell.lower() in NAMES for cell in first])
        label = _one([cell.lower() in LABELS for cell in first])
        if image is not None and label is not None and len(first) == width:
            return Columns(image, label, width, first)
        found = self._image_column(rows, width)
        head = self._head(found, first, rows)
        if head is None or label == found:
            label = None
        if label is None:
            label = self._other(found, rows, width)
        if label is None:
            raise self._unclear(first, width, head)
        return Columns(found, label, width, head)

    def _asked(
        self,
        asked: Tuple[str, str],
        first: Sequence[str],
        rows: Sequence[Sequence[str]],
        width: int,
    ) -> Columns:
        places: List[int] = []
        named = False
        for word in asked:
            if word.isascii() and word.isdigit() and 1 <= int(word) <= width:
                places.append(int(word) - 1)
                continue
            lower = [cell.lower() for cell in first]
            if word.lower() not in lower or len(first) != width:
                raise InputError(
                    f"{self._path} has no column {word!r}; it has {width}, and the first row is"
                    f" {', '.join(map(repr, first))}",
                    hint="Give names of the first row, or numbers from 1: --columns IMAGE,LABEL",
                )
            places.append(lower.index(word.lower()))
            named = True
        head: Optional[Sequence[str]] = first
        if not named:
            head = self._head(places[0], first, rows)
            if head is None and len(first) == width:
                known = first[places[0]].lower() in NAMES and first[places[1]].lower() in LABELS
                if known:
                    head = first
        return Columns(places[0], places[1], width, head)

    def _image_column(self, rows: Sequence[Sequence[str]], width: int) -> int:
        """Return the column of most names like an image file's; the first where there is none."""
        counts = [0] * width
        for cells in rows:
            for place, cell in enumerate(cells[:width]):
                counts[place] += self._is_image(cell.strip())
        return counts.index(max(counts))

    def _head(
        self, image: int, first: Sequence[str], rows: Sequence[Sequence[str]]
    ) -> Optional[Sequence[str]]:
        """Return the first row where it alone has no image's name."""
        if len(rows) < 2 or len(first) != self._width or self._is_image(first[image]):
            return None
        like = sum(self._is_image(cells[image].strip()) for cells in rows[1:] if len(cells) > image)
        if 2 * like > len(rows) - 1:
            return first
        return None

    def _other(self, image: int, rows: Sequence[Sequence[str]], width: int) -> Optional[int]:
        """Return the column of the label where only one can be: that of two, or the one before a
        column of numbers or of nothing, as ICDAR 2003's and SVT's lists have them.
        """
        if width == 2:
            return 1 - image
        last = [cells[2].strip() for cells in rows if len(cells) == width]
        if width == 3 and image == 0 and all(not cell or cell.isdigit() for cell in last):
            return 1
        return None

    def _unclear(
        self, first: Sequence[str], width: int, head: Optional[Sequence[str]]
    ) -> InputError:
        example = "--columns 1,2"
        if head is not None:
            example = f"--columns {head[0]},{head[1]}"
        return InputError(
            f"{self._path} has {width} columns, and which is the label is not clear; the first row"
            f" is {', '.join(map(repr, first))}",
            hint=(
                "Name the image's and the label's, by the first row or by number:"
                f" --columns IMAGE,LABEL, such as {example}"
            ),
        )


def _one(matches: Sequence[bool]) -> Optional[int]:
    """Return the place of the only True; None where there is not exactly one."""
    if sum(matches) == 1:
        return list(matches).index(True)
    return None
