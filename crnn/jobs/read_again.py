"""An OM reads the built-in pictures again, and is compared with what the ONNX read of them.

The file beside the OM has what the ONNX gave where it was compiled (`crnn.ascend.reference`); the
pictures are drawn anew, so that nothing but NumPy and pyacl is needed.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

import numpy as np

from crnn.ascend.reference import PICTURES, Reference
from crnn.ascend.sidecar import Sidecar, find_sidecar, sidecar_path
from crnn.ctc import greedy
from crnn.errors import InputError
from crnn.filekind import OM, kind_of
from crnn.runners.ascend_runner import om_files
from crnn.runners.open import open_runner
from crnn.spec import ModelSpec
from crnn.strokes import digest, stroke_pictures
from crnn.widths import Widths


@dataclass(frozen=True)
class ReadAgain:
    """How an OM read the built-in pictures.

    ``differ`` holds each picture's number from 0 with the ONNX's text and the OM's, where they
    differ; ``largest`` is the largest difference of two logits, None where the file keeps none, and
    ``compared`` the pictures that it is over.
    """

    om: str
    pictures: int
    differ: Tuple[Tuple[int, str, str], ...]
    largest: Optional[float]
    compared: int
    simulated: bool

    @property
    def same(self) -> bool:
        """Whether every text is the ONNX's."""
        return not self.differ

    def to_dict(self) -> Dict[str, Any]:
        """Return it as plain data."""
        differ = []
        for number, onnx, om in self.differ:
            differ.append({"picture": number, "onnx": onnx, "om": om})
        return {
            "om": self.om,
            "pictures": self.pictures,
            "same": self.same,
            "differ": differ,
            "largest_difference": self.largest,
            "compared": self.compared,
            "simulated": self.simulated,
        }

    def lines(self) -> List[str]:
        """Return it as sentences: the count, each text that differs, the largest difference."""
        said = ""
        if self.simulated:
            said = " (SIMULATED: no chip is involved)"
        equal = self.pictures - len(self.differ)
        lines = [f"{self.om}: {equal} of {self.pictures} built-in pictures read as the ONNX{said}"]
        for number, onnx, om in self.differ:
            lines.append(f"  picture {number}: the ONNX read {onnx!r}, the OM {om!r}")
        if self.largest is not None:
            lines.append(
                f"  largest difference of two logits {self.largest:.3g}, over {self.compared}"
                " pictures"
            )
        return lines


def read_again(path: Path, device: str = "0") -> List[ReadAgain]:
    """Let an OM, or each of a static set, read the built-in pictures.

    Args:
        path: An OM, or the folder of a set.
        device: The chip's number.

    Returns:
        What came of it, for each OM.

    Raises:
        InputError: No readings of the ONNX stand beside an OM, or they are of other pictures.
        UnavailableError: The chip or pyACL does not answer.
    """
    found = []
    for om in om_files(path):
        sidecar = _sidecar(om)
        reference = _reference(om, sidecar)
        runner = open_runner(om, device=device)
        drawn = runner.spec
        if sidecar.widths:
            # An OM of a set: it has some of the widths that the spec names. The ONNX read the
            # pictures at the first of them.
            widths = runner.spec.widths or Widths()
            own = dataclasses.replace(widths, list=sidecar.widths)
            runner.read_by(dataclasses.replace(runner.spec, widths=own))
            drawn = runner.spec.at_width(sidecar.widths[0], runner.spec.time_steps)
        with runner:
            pictures = _pictures(drawn, reference, om)
            logits = runner.run(pictures)
            found.append(_compared(om, reference, runner.spec, logits, runner.simulated))
    return found


def _sidecar(om: Path) -> Sidecar:
    if kind_of(om) != OM:
        raise InputError(
            f"{om} is not an OM; expected one, or the folder of a static set",
            hint="Compile it first: crnn compile MODEL.onnx NAME",
        )
    sidecar = find_sidecar(om)
    if sidecar is None:
        raise InputError(
            f"{om}: there is no {sidecar_path(om).name} beside it, so there is nothing to compare"
            " with",
            hint="Copy the file that crnn compile wrote beside the OM, or compile it again.",
        )
    return sidecar


def _reference(om: Path, sidecar: Sidecar) -> Reference:
    if sidecar.reference is None:
        raise InputError(
            f"{om}: {sidecar_path(om).name} keeps no readings of the ONNX to compare with",
            hint="Compile it again, where ONNX Runtime is: crnn compile MODEL.onnx NAME",
        )
    return sidecar.reference


def _pictures(spec: ModelSpec, reference: Reference, om: Path) -> np.ndarray:
    pictures = stroke_pictures(spec)
    mine = digest(pictures)
    if reference.pictures != PICTURES or reference.pictures_sha256 != mine:
        raise InputError(
            f"{sidecar_path(om)}: the readings are of the pictures {reference.pictures}"
            f" ({reference.pictures_sha256[:12]}…); this kit draws {PICTURES} ({mine[:12]}…)",
            hint="Use the kit that compiled the OM, or compile it again with this one.",
        )
    return pictures


def _compared(
    om: Path, reference: Reference, spec: ModelSpec, logits: np.ndarray, simulated: bool
) -> ReadAgain:
    texts = greedy(logits, spec.alphabet)
    if len(texts) != len(reference.texts):
        raise InputError(f"{sidecar_path(om)}: {len(reference.texts)} texts; expected {len(texts)}")
    differ = []
    for number, (onnx, read) in enumerate(zip(reference.texts, texts)):
        if onnx != read:
            differ.append((number, onnx, read))
    compared = reference.logits.shape[1]
    largest = None
    if compared:
        kept = logits[:, :compared]
        if kept.shape != reference.logits.shape:
            raise InputError(
                f"{sidecar_path(om)}: logits {reference.logits.shape}; expected {kept.shape}"
            )
        largest = float(np.abs(kept - reference.logits).max())
    return ReadAgain(str(om), len(texts), tuple(differ), largest, compared, simulated)
