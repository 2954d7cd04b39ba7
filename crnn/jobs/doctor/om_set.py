"""The OMs of a set: which widths and batches they take, and the memory that they need together."""

from __future__ import annotations

from pathlib import Path
from typing import Iterator, List, Optional, Sequence, Tuple

from crnn.ascend.fit import all_batches, all_widths, sizes_of
from crnn.ascend.om import UNKNOWN, Om
from crnn.ascend.om_reader import read_om
from crnn.ascend.sidecar import find_spec
from crnn.errors import InputError
from crnn.jobs.doctor.check import Check, looked
from crnn.runners.om_sizes import memory_of, offer_of
from crnn.runners.open import spec_given


def shown_sizes(path: Path, om: Om) -> str:
    """Say which batches an OM takes and, where its spec names widths, which widths.

    Args:
        path: The OM.
        om: What it holds.

    Returns:
        Such as "batch 1, 4" or "width 128, batch 16".
    """
    batches = om.batch_sizes or ()
    width = ""
    try:
        spec, _ = find_spec(path, om.sha256)
    except InputError:
        # The line on the spec says it.
        spec = None
    if spec is not None and (spec.widths is not None or om.batch_sizes is None):
        sizes = sizes_of(om, spec) or ()
        batches = all_batches(sizes)
        width = f"width {', '.join(map(str, all_widths(sizes))) or UNKNOWN}, "
    return f"{width}batch {', '.join(map(str, batches)) or UNKNOWN}"


def set_checks(path: Path, files: Sequence[Path], given: Optional[str]) -> Iterator[Check]:
    """Look at the OMs of a set together.

    Args:
        path: Their folder.
        files: The OMs.
        given: What ``--spec`` names; None for their own.

    Yields:
        A line for what they need of the chip's memory, and one for the widths where there are some.
    """
    oms: List[Om] = []
    try:
        for file in files:
            oms.append(read_om(file))
        spec, where = find_spec(files[0], oms[0].sha256)
        if given is not None:
            spec, where = spec_given(spec, given, None), "given"
        if spec.widths is None:
            return
        offer = offer_of(files, oms, spec)
    except InputError as error:
        yield Check("set", False, error.message, error.hint, needed=True)
        return
    there: Tuple[int, ...] = ()
    if offer is not None:
        there = offer.widths
    missing = [width for width in spec.widths.list if width not in there]
    found = f"{path}: {len(files)} OMs, width {', '.join(map(str, there)) or UNKNOWN}"
    if missing:
        found += f"; the spec ({where}) names {', '.join(map(str, missing))} too"
    remedy = (
        "Compile it for all of them: crnn compile MODEL.onnx NAME --widths all. crnn evaluate"
        " --nearest-width takes the nearest in their place."
    )
    yield looked("set", not missing, found, remedy, needed=True)
    memory = memory_of(oms)
    found = "the files do not tell"
    if memory is not None:
        found = f"{memory:.1f} MiB of the chip's where all are loaded (each at its first batch)"
    yield Check("memory of the set", True, found)
