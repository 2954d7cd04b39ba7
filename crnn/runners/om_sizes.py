"""Which OM of a set takes which width and batch, told by the files before one is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

from crnn import cann
from crnn.ascend.fit import Size, all_batches, all_widths, sizes_of
from crnn.ascend.om import UNKNOWN, Om
from crnn.ascend.sidecar import Sidecar, find_sidecar
from crnn.errors import InputError
from crnn.spec import ModelSpec

MEBIBYTE = 1 << 20


@dataclass(frozen=True)
class Offer:
    """What a set of OMs takes: ``places`` has the number of the OM, from 0, for each size."""

    places: Mapping[Size, int]

    @property
    def widths(self) -> Tuple[int, ...]:
        """The widths, ascending."""
        return all_widths(self.places)

    def batches(self, width: int) -> Tuple[int, ...]:
        """Return the batches at a width.

        Args:
            width: In pixels.

        Returns:
            Images a batch, ascending; none where the set lacks the width.
        """
        return tuple(sorted(size.batch for size in self.places if size.width == width))

    def common(self, widths: Sequence[int]) -> Tuple[int, ...]:
        """Return the batches that every width has; where there are none, those of any.

        Args:
            widths: In pixels.

        Returns:
            Images a batch, ascending.
        """
        of_any = {size.batch for size in self.places}
        shared = set(of_any)
        for width in widths:
            shared &= set(self.batches(width))
        return tuple(sorted(shared or of_any))


def offer_of(paths: Sequence[Path], oms: Sequence[Om], spec: ModelSpec) -> Optional[Offer]:
    """Return what OMs take.

    The file beside an OM says it, and the OM's own input; where both do, they must agree.

    Args:
        paths: The OMs.
        oms: What each of them holds, in the same order.
        spec: The spec that they are read by; its width does not count.

    Returns:
        The sizes; None where an OM does not tell its own.

    Raises:
        InputError: Two take the same size, or an OM and the file beside it differ.
    """
    places: Dict[Size, int] = {}
    for number, (path, om) in enumerate(zip(paths, oms)):
        told = sizes_of(om, spec)
        noted = _noted(path, find_sidecar(path, om.sha256))
        if noted is not None and told is not None and noted != told:
            raise InputError(
                f"{path} takes {_shown(told)}, and {path.name}.json says {_shown(noted)}",
                hint="Compile it again: crnn compile MODEL.onnx NAME --widths all",
            )
        for size in told or noted or ():
            if size in places:
                raise InputError(
                    f"{paths[places[size]]} and {path} both take {_shown([size])}; a set has each"
                    " once"
                )
            places[size] = number
        if told is None and noted is None:
            return None
    return Offer(places)


def _noted(path: Path, sidecar: Optional[Sidecar]) -> Optional[Tuple[Size, ...]]:
    """Return what the file beside an OM says; None where it names no widths."""
    if sidecar is None or not sidecar.widths:
        return None
    sizes: List[Size] = []
    for batch in sidecar.batch_sizes:
        sizes.extend(Size(batch, width) for width in sidecar.widths)
    return tuple(sorted(sizes))


def _shown(sizes: Sequence[Size]) -> str:
    widths = ", ".join(map(str, all_widths(sizes)))
    batches = ", ".join(map(str, all_batches(sizes)))
    return f"width {widths}, batch {batches}"


def rooms_of(oms: Sequence[Om]) -> Optional[Tuple[int, int]]:
    """Return the bytes that the largest input and the largest output of OMs take.

    Args:
        oms: What each of them holds.

    Returns:
        Both; None where a file does not tell them, or the type of its input.
    """
    sizes_in, sizes_out = [0], [0]
    for om in oms:
        ports = (*om.data_inputs, *om.outputs)
        if len(ports) != 2 or UNKNOWN in (ports[0].dtype, ports[1].dtype):
            return None
        if ports[0].bytes is None or ports[1].bytes is None:
            return None
        sizes_in.append(ports[0].bytes)
        sizes_out.append(ports[1].bytes)
    return max(sizes_in), max(sizes_out)


def memory_of(oms: Sequence[Om]) -> Optional[float]:
    """Return what OMs take of a chip's memory, as their files tell it.

    Args:
        oms: What each of them holds.

    Returns:
        Mebibytes, of work memory and weights; None where one does not tell.
    """
    total = 0
    for om in oms:
        if om.work_bytes is None:
            return None
        total += om.work_bytes + om.size_of(cann.PARTITION_WEIGHTS)
    return total / MEBIBYTE
