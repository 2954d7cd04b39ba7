"""The messages of ge.proto, walked over with `crnn.protobuf`: safe on hostile bytes.

An OM's model definition holds megabytes of kernels, of which a few hundred bytes are of interest:
only what is asked for is copied. However large the message is, a limited number of fields is
visited.
"""

from __future__ import annotations

import contextlib
import itertools
from typing import Dict, Iterator, List, Optional, Tuple

from crnn import protobuf
from crnn.cann import (
    ATTR_BOOL,
    ATTR_INT,
    ATTR_LIST,
    ATTR_STRING,
    LIST_INT,
    LIST_STRING,
    MAP_KEY,
    MAP_VALUE,
)
from crnn.errors import InputError
from crnn.protobuf import Budget, WireError, signed

MAX_FIELDS = 1_000_000
"""A hundred times what a CRNN's definition has; visited in about two seconds."""
MAX_TEXT = 4096
MAX_ITEMS = 1024

Span = Tuple[int, int]
"""Where a nested message, text or packed list stands: start and end in the bytes."""


class Wire:
    """The fields of a message in ``data``; ``where`` names the source in errors.

    Raises `InputError` on damage.
    """

    def __init__(self, data: bytes, where: str) -> None:
        self.data = data
        self.where = where
        self._budget = Budget(MAX_FIELDS)

    @property
    def whole(self) -> Span:
        """The span of the outermost message."""
        return 0, len(self.data)

    def fields(self, span: Span) -> Iterator[Tuple[int, int, Optional[Span]]]:
        """Walk over a message: number, value of a varint (else 0), span of a length-delimited field
        (else None).

        Fixed 32- and 64-bit fields are passed over.
        """
        start, end = span
        with self._damage_told():
            for field in protobuf.walk(self.data, start, end, self._budget):
                if field.kind == protobuf.VARINT:
                    yield field.number, field.value, None
                elif field.kind == protobuf.BYTES:
                    yield field.number, 0, (field.start, field.end)

    def spans(self, span: Span, number: int) -> Iterator[Span]:
        """Walk over the length-delimited fields of one number."""
        return (
            inner for found, _, inner in self.fields(span) if found == number and inner is not None
        )

    def text(self, span: Span, limit: int = MAX_TEXT) -> str:
        """Return a text, fit to be shown:

        what cannot be printed becomes ``?``, and it is cut at ``limit`` bytes.
        """
        start, end = span[0], min(span[1], span[0] + limit)
        # Bytes cost time too: sixteen of them as much as a field.
        with self._damage_told():
            self._budget.spend((end - start) // 16, start)
        return printable(self.data[start:end])

    def first_text(self, span: Span, number: int, limit: int = MAX_TEXT) -> Optional[str]:
        """Return the first text field of a number, or None."""
        inner = next(self.spans(span, number), None)
        if inner is None:
            return None
        return self.text(inner, limit)

    def integers(self, span: Span, number: int) -> Tuple[int, ...]:
        """Return a repeated int64 field, packed or not."""
        values: List[int] = []
        for found, value, inner in self.fields(span):
            if found == number:
                self._extend(values, value, inner)
        return tuple(values)

    def attributes(self, span: Span, number: int, wanted: Tuple[str, ...]) -> Dict[str, Span]:
        """Return where the values of a message's attributes stand, for the names that begin with
        one of ``wanted``.
        """
        found: Dict[str, Span] = {}
        for entry in self.spans(span, number):
            name, value = "", None
            for field, _, inner in self.fields(entry):
                if field == MAP_KEY and inner is not None and inner[1] - inner[0] <= 256:
                    name = self.text(inner)
                elif field == MAP_VALUE:
                    value = inner
            if value is not None and name.startswith(wanted) and len(found) < MAX_ITEMS:
                found[name] = value
        return found

    def attribute_text(self, attributes: Dict[str, Span], name: str, limit: int = MAX_TEXT) -> str:
        """Return a text attribute; empty if it is absent or no text."""
        if name in attributes:
            return self.first_text(attributes[name], ATTR_STRING, limit) or ""
        return ""

    def attribute_integer(self, attributes: Dict[str, Span], name: str) -> Optional[int]:
        """Return an integer or boolean attribute; None if it is absent or neither."""
        values = (
            value
            for field, value, inner in (self.fields(attributes[name]) if name in attributes else ())
            if field in (ATTR_INT, ATTR_BOOL) and inner is None
        )
        value = next(values, None)
        if value is None:
            return None
        return signed(value)

    def attribute_integers(self, attributes: Dict[str, Span], name: str) -> Tuple[int, ...]:
        """Return a list of integers; empty if it is absent or none."""
        span = self._list(attributes, name)
        if span is None:
            return ()
        return self.integers(span, LIST_INT)

    def attribute_texts(self, attributes: Dict[str, Span], name: str) -> Tuple[str, ...]:
        """Return a list of texts; empty if it is absent or none."""
        span = self._list(attributes, name)
        if span is None:
            return ()
        spans = itertools.islice(self.spans(span, LIST_STRING), MAX_ITEMS)
        return tuple(self.text(inner) for inner in spans)

    def _list(self, attributes: Dict[str, Span], name: str) -> Optional[Span]:
        if name in attributes:
            return next(self.spans(attributes[name], ATTR_LIST), None)
        return None

    def _extend(self, values: List[int], value: int, inner: Optional[Span]) -> None:
        with self._damage_told():
            if inner is None:
                values.append(signed(value))
            else:
                self._extend_packed(values, inner)
            if len(values) > MAX_ITEMS:
                raise WireError(f"a list of more than {MAX_ITEMS} numbers")

    def _extend_packed(self, values: List[int], inner: Span) -> None:
        position, end = inner
        while position < end and len(values) <= MAX_ITEMS:
            self._budget.spend(1, position)
            value, position = protobuf.varint(self.data, position, end)
            values.append(signed(value))

    @contextlib.contextmanager
    def _damage_told(self) -> Iterator[None]:
        try:
            yield
        except WireError as error:
            raise InputError(
                f"{self.where} is damaged at byte {error.position or 0}: {error}",
                hint="Copy or compile the model again.",
            ) from error


def printable(text: bytes) -> str:
    """Return UTF-8 bytes as a text that is safe to print: what cannot be printed becomes ``?``."""
    decoded = text.decode("utf-8", "replace")
    if decoded.isprintable():
        return decoded
    return "".join(char if char.isprintable() else "?" for char in decoded)
