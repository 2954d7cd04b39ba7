"""What sides' images were made of, compared before anything is blamed on a model."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Iterator, List, Optional, Sequence, Tuple

from crnn.filekind import is_pack
from crnn.fingerprint import Fingerprint, differences, other_keys
from crnn.results import Model, RunInfo
from crnn.samples.bins import Description, described
from crnn.samples.pack import described_pack
from crnn.samples.source import holds_bins

HERE = "this machine"


def fingerprint_differences(
    sides: Sequence[Tuple[str, RunInfo]], data: Optional[Path]
) -> List[str]:
    """Say where images were made otherwise than a model's are.

    Args:
        sides: The name of each side whose model is known, and its run; the first is the reference.
        data: What the models read; None where they read nothing.

    Returns:
        A sentence for each pair of fingerprints that differ though the specs do not say so: of the
        bins and a model, of this machine and a model, of the first model and another.
    """
    found: List[str] = []
    for name, run in sides:
        found.extend(_of_data(name, run.model, data))
    for name, run in sides[1:]:
        first = sides[0][1].model
        if other_keys(first.spec, run.model.spec):
            continue
        one, other = _own(first), _own(run.model)
        if one is not None and other is not None:
            found.extend(differences(one, other, (sides[0][0], name)))
    return found


def _own(model: Model) -> Optional[Fingerprint]:
    """Return the fingerprint of a model that is read by its own spec."""
    if model.spec_from != "file":
        return None
    return model.inputs


def _of_data(name: str, model: Model, data: Optional[Path]) -> Iterator[str]:
    own = _own(model)
    if own is None or data is None or not data.exists():
        return
    if not holds_bins(data):
        yield from _of_this_machine(name, model, own)
        return
    made = _description(data)
    if made is not None and made.inputs is not None:
        normalised = made.dtype != "uint8"
        yield from differences(made.inputs, own, ("the bins", name), constants=normalised)


def _description(data: Path) -> Optional[Description]:
    if is_pack(data):
        return described_pack(data)
    return described(data)


def _of_this_machine(name: str, model: Model, own: Fingerprint) -> Iterator[str]:
    with contextlib.suppress(ImportError):
        from crnn.patterns import fingerprint_of

        here = fingerprint_of(model.spec)
        if here is not None:
            yield from differences(here, own, (HERE, name))
