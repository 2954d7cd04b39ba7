"""A node of an ONNX graph, as far as the rehearsal reads it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, List, Mapping, NoReturn, Optional, Tuple

import numpy as np

Inputs = List[Optional[np.ndarray]]
"""A node's inputs by position; None for one that is left out."""


class NotModelledError(Exception):
    """A graph holds something that the rehearsal has no model of."""


@dataclass(frozen=True)
class Node:
    """A node: its operator, its name, and its attributes by name.

    ``opset`` is ONNX's version of the operator. ``exact`` has the graph's constants before they are
    rounded, by name.
    """

    operator: str
    name: str
    inputs: Tuple[str, ...]
    outputs: Tuple[str, ...]
    attributes: Mapping[str, Any]
    opset: int
    exact: Mapping[str, np.ndarray]

    def refuse(self, what: str = "") -> NoReturn:
        """Raise `NotModelledError` for the node's operator, with what is special about it."""
        whole = self.operator
        if what:
            whole = f"{self.operator} with {what}"
        raise NotModelledError(
            f"float16 is rehearsed for the operators of the kit's own exports, and {whole} (node"
            f" {self.name}) is not one of them"
        )

    def read(self, *names: str, **only: Any) -> Mapping[str, Any]:
        """Return the attributes, having refused any that is not known.

        Args:
            names: Attributes that may have any value.
            only: Attributes with the one value that is modelled.

        Returns:
            The attributes that are set, by name.

        Raises:
            NotModelledError: An attribute is another one, or has another value.
        """
        for name, value in self.attributes.items():
            if name in names:
                continue
            if name not in only or only[name] != value:
                self.refuse(f"{name} {_shown(value)}")
        return self.attributes

    def has(self, position: int) -> bool:
        """Say whether the node has an input at a position."""
        return position < len(self.inputs) and bool(self.inputs[position])


def _shown(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value)
