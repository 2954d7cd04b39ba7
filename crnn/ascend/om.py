"""What an OM file holds, as `crnn.ascend.om_reader` reads it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Dict, Optional, Tuple

from crnn import cann

UNKNOWN = "unknown"
"""What is said where the file does not tell."""

_SIMULATED = "yes: written by the kit's simulator, which computes in float32; no chip can load it"
_SHOWN_FIRST = (
    "file",
    "format",
    "bytes",
    "sha256",
    "name",
    "simulated",
    "soc_version",
    "inputs",
    "outputs",
    "gears",
)


@dataclass(frozen=True)
class OmTensor:
    """An input or output: NumPy's dtype name or "unknown", the shape with -1 for any size, bytes of
    the largest gear.

    ``shape`` is None where the file does not tell it, ``bytes`` where they do not follow from
    shape, dtype and gears.
    """

    name: str
    dtype: str
    shape: Optional[Tuple[int, ...]]
    format: str
    bytes: Optional[int]

    def __str__(self) -> str:
        shape = "shape unknown"
        if self.shape is not None:
            shape = f"({', '.join(map(str, self.shape))})"
        size = "size unknown"
        if self.bytes is not None:
            size = f"{self.bytes} bytes"
        return f"{self.name} {self.dtype} {shape} {self.format}, {size}"


@dataclass(frozen=True)
class Gears:
    """The sizes that a model was compiled for:

    ``kind`` batch, hw or dims, and one tuple of numbers for each gear.
    """

    kind: str
    sizes: Tuple[Tuple[int, ...], ...]

    def __str__(self) -> str:
        sizes = ["x".join(map(str, size)) for size in self.sizes]
        return f"{self.kind} {', '.join(sizes)}"


@dataclass(frozen=True)
class Aipp:
    """An input that the chip prepares itself; ``mode`` is static, dynamic or unknown."""

    input: str
    mode: str

    def __str__(self) -> str:
        return f"{self.input} ({self.mode})"


@dataclass(frozen=True)
class Partition:
    """A part of the file:

    the model it belongs to (from 0), its type's number and its place in bytes.
    """

    model: int
    type: int
    offset: int
    size: int

    @property
    def name(self) -> str:
        """What the part holds."""
        return cann.PARTITIONS.get(self.type, f"type {self.type}")

    def to_dict(self) -> Dict[str, Any]:
        """Return model, name and bytes, for JSON."""
        return {"model": self.model, "name": self.name, "bytes": self.size}


@dataclass(frozen=True)
class Om:
    """What an OM file holds; "unknown" where the file does not tell.

    ``inputs`` are all of the model's, in order, the gears' own included (see `data_inputs`).
    ``atc_cmdline`` holds paths of the machine that compiled the model: show it on request only.
    """

    file: str
    bytes: int
    sha256: str
    name: str
    header_version: str
    model_type: str
    models: int
    submodels: Tuple[str, ...]
    simulated: bool
    soc_version: str
    atc_version: str
    opp_version: str
    cann_version: str
    platform_version: str
    precision: str
    inputs: Tuple[OmTensor, ...]
    outputs: Tuple[OmTensor, ...]
    gears: Optional[Gears]
    aipp: Tuple[Aipp, ...]
    work_bytes: Optional[int]
    partitions: Tuple[Partition, ...]
    atc_cmdline: str = dataclasses.field(repr=False)

    @property
    def data_inputs(self) -> Tuple[OmTensor, ...]:
        """The inputs that take data, without those that choose a gear or set AIPP."""
        own = (cann.DYNAMIC_INPUT_NAME, cann.DYNAMIC_AIPP_NAME)
        return tuple(tensor for tensor in self.inputs if tensor.name not in own)

    @property
    def batch_sizes(self) -> Optional[Tuple[int, ...]]:
        """The batches that the model takes, ascending:

        its gears' where they give nothing else, else the first input's own; None if unknown.
        """
        if self.gears is not None:
            if not self._gears_of_batches(self.gears):
                return None
            return tuple(sorted(size[0] for size in self.gears.sizes))
        if not self.data_inputs:
            return None
        shape = self.data_inputs[0].shape
        if not shape or shape[0] <= 0:
            return None
        return (shape[0],)

    def _gears_of_batches(self, gears: Gears) -> bool:
        """Whether the gears are batches: by their kind, or dims of which the batch alone is
        open.
        """
        if gears.kind == "batch":
            return True
        if gears.kind != "dims" or len(self.data_inputs) != 1:
            return False
        shape = self.data_inputs[0].shape or ()
        single = all(len(size) == 1 for size in gears.sizes)
        return single and shape[:1] == (-1,) and -1 not in shape[1:]

    def size_of(self, *types: int) -> int:
        """The bytes of all partitions of these types."""
        return sum(part.size for part in self.partitions if part.type in types)

    def to_dict(self, *, command: bool = False) -> Dict[str, Any]:
        """Return everything as plain data for JSON.

        Args:
            command: Whether ATC's command line, which names local paths, is a part of it.

        Returns:
            The fields by their names, and sums of bytes by what partitions hold.
        """
        data = dataclasses.asdict(self)
        data["format"] = "OM"
        data["partitions"] = [part.to_dict() for part in self.partitions]
        data["weight_bytes"] = self.size_of(cann.PARTITION_WEIGHTS)
        data["task_bytes"] = self.size_of(cann.PARTITION_TASKS)
        data["kernel_bytes"] = self.size_of(cann.PARTITION_KERNELS, cann.PARTITION_AICPU)
        if not command:
            del data["atc_cmdline"]
        return data

    def fields(self, *, command: bool = False) -> Dict[str, Any]:
        """Return everything as lines to be shown: a name, and a text or several."""
        shown = self.to_dict(command=command)
        shown.update(self._lines())
        rest = [key for key in shown if key not in _SHOWN_FIRST]
        return {key: shown[key] for key in (*_SHOWN_FIRST, *rest)}

    def _lines(self) -> Dict[str, Any]:
        """The fields that are shown otherwise than JSON holds them."""
        shown: Dict[str, Any] = {}
        sizes = [f"{part.name} {part.size}" for part in self.partitions]
        shown["inputs"] = [str(tensor) for tensor in self.inputs] or UNKNOWN
        shown["outputs"] = [str(tensor) for tensor in self.outputs] or UNKNOWN
        shown["gears"] = str(self.gears or "none")
        shown["aipp"] = [str(aipp) for aipp in self.aipp] or "none"
        shown["simulated"] = "no"
        if self.simulated:
            shown["simulated"] = _SIMULATED
        shown["submodels"] = ", ".join(self.submodels) or "none"
        shown["partitions"] = ", ".join(sizes)
        if self.work_bytes is None:
            shown["work_bytes"] = UNKNOWN
        return shown
