"""YAML of plain values: text, numbers, booleans, nothing, lists and maps, and no more.

Tags, anchors and aliases are refused: a tag may name any type, and aliases let a few lines stand
for gigabytes. Every scalar keeps the text that was typed beside the value that it is taken for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Dict, Iterator, List, Union

from crnn.errors import needs
from crnn.limits import limit

_WORDS = {
    **dict.fromkeys("true True TRUE yes Yes YES on On ON".split(), True),
    **dict.fromkeys("false False FALSE no No NO off Off OFF".split(), False),
    **dict.fromkeys(["", "~", "null", "Null", "NULL"]),
}
"""Plain words with a value of their own, as in YAML 1.1."""
_DECIMAL = re.compile(r"[-+]?(0|[1-9][0-9_]{0,39})")
_HEX = re.compile(r"[-+]?0x[0-9a-fA-F_]{0,39}[0-9a-fA-F]")
_FLOAT = re.compile(
    r"[-+]?([0-9][0-9_]{0,99}\.[0-9_]{0,99}|\.[0-9][0-9_]{0,99})([eE][-+][0-9]{1,9})?"
)
_SPECIAL = re.compile(r"([-+]?)\.(inf|Inf|INF|nan|NaN|NAN)")


class YamlError(ValueError):
    """A text that is not YAML of plain values; the message says where."""


@dataclass(frozen=True)
class Scalar:
    """A value and the text that was typed for it.

    ``quoted`` says whether it stood in quotes, or as a block of text: then the value is the text.
    """

    value: Any
    text: str
    quoted: bool = False


Node = Union[Scalar, List[Any], Dict[str, Any]]
"""A scalar, a list of nodes, or a map of text to nodes."""


def load(text: str, *, extra: str = "torch") -> Any:
    """Read YAML of plain values.

    Args:
        text: The YAML.
        extra: The kit's extra that brings PyYAML, for the message where it is absent.

    Returns:
        Text, numbers, booleans, None, lists, and dictionaries with text as keys.

    Raises:
        YamlError: It is not YAML, too large or too deep, or holds a tag, an anchor or an alias.
    """
    return values(parse(text, extra=extra))


def values(node: Node) -> Any:
    """Return the values of a node.

    Args:
        node: What `parse` gave.

    Returns:
        Plain data.
    """
    if isinstance(node, dict):
        return {key: values(value) for key, value in node.items()}
    if isinstance(node, list):
        return [values(entry) for entry in node]
    return node.value


def parse(text: str, *, extra: str = "torch") -> Node:
    """Read YAML of plain values, with the text of every scalar.

    Args:
        text: The YAML.
        extra: The kit's extra that brings PyYAML, for the message where it is absent.

    Returns:
        The document's node; a scalar of None for an empty one.

    Raises:
        YamlError: See `load`.
    """
    with needs("PyYAML", extra=extra):
        import yaml
    if len(text) > limit("yaml"):
        raise YamlError(f"it has more than {limit('yaml')} characters")
    try:
        events = yaml.parse(text, yaml.SafeLoader)
        found = [event for event in _content(events) if event is not None]
        reader = _Reader(iter(found))
        if not found:
            return Scalar(None, "")
        node = reader.node(next(reader.events), 0)
        if next(reader.events, None) is not None:
            raise YamlError("it holds a second document")
    except yaml.YAMLError as error:
        raise YamlError(" ".join(str(error).split())) from error
    return node


def _content(events: Any) -> Iterator[Any]:
    """Yield the events of nodes, and refuse what is not plain before anything is built."""
    deepest, depth = limit("yaml_depth"), 0
    for event in events:
        kind = type(event).__name__
        if kind == "AliasEvent":
            raise _refused(event, f"the alias *{event.anchor}")
        if getattr(event, "anchor", None) is not None:
            raise _refused(event, f"the anchor &{event.anchor}")
        if getattr(event, "tag", None) is not None:
            raise _refused(event, f"the tag {event.tag}")
        if kind in ("SequenceStartEvent", "MappingStartEvent"):
            depth += 1
            if depth > deepest:
                raise YamlError(f"{_place(event)} lists and maps are more than {deepest} deep")
        if kind in ("SequenceEndEvent", "MappingEndEvent"):
            depth -= 1
        if not kind.startswith(("Stream", "Document")):
            yield event


class _Reader:
    """Events to nodes."""

    def __init__(self, events: Iterator[Any]) -> None:
        self.events = events

    def node(self, event: Any, depth: int) -> Node:
        kind = type(event).__name__
        if kind == "ScalarEvent":
            return _scalar(event)
        if kind == "SequenceStartEvent":
            return self._list(depth)
        return self._map(depth)

    def _list(self, depth: int) -> List[Node]:
        entries: List[Node] = []
        for event in self.events:
            if type(event).__name__ == "SequenceEndEvent":
                break
            entries.append(self.node(event, depth + 1))
        return entries

    def _map(self, depth: int) -> Dict[str, Node]:
        entries: Dict[str, Node] = {}
        for event in self.events:
            if type(event).__name__ == "MappingEndEvent":
                break
            if type(event).__name__ != "ScalarEvent":
                raise YamlError(f"{_place(event)} a list or map is the key of a value")
            entries[str(event.value)] = self.node(next(self.events), depth + 1)
        return entries


def _scalar(event: Any) -> Scalar:
    text = str(event.value)
    if event.style:
        return Scalar(text, text, quoted=True)
    return Scalar(_taken_for(text), text)


def _taken_for(text: str) -> Any:
    """Return the value of a plain scalar, itself where it is none of the known forms."""
    if text in _WORDS:
        return _WORDS[text]
    if _DECIMAL.fullmatch(text):
        return int(text.replace("_", ""))
    if _HEX.fullmatch(text):
        return int(text.replace("_", ""), 16)
    if _FLOAT.fullmatch(text):
        return float(text.replace("_", ""))
    special = _SPECIAL.fullmatch(text)
    if special:
        return float(special[1] + special[2])
    return text


def _refused(event: Any, what: str) -> YamlError:
    return YamlError(f"{_place(event)} {what} is not a plain value")


def _place(event: Any) -> str:
    return f"line {event.start_mark.line + 1}, column {event.start_mark.column + 1}:"
