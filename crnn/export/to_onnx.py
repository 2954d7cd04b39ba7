"""A checkpoint to an ONNX file that has proven itself; nothing is written otherwise."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Iterable, Optional, Tuple

import numpy as np
import torch

from crnn.errors import CheckError, InputError, UsageError, needs
from crnn.export.graph import IR_VERSION, OPSET, GraphOptions, build_graph
from crnn.export.selfcheck import Figure, GraphComparison, check_generated, check_words
from crnn.files import atomic_file, require_target
from crnn.machine import versions
from crnn.weights.checkpoint import Checkpoint

with needs("onnx"):
    import onnx

SCHEMA = "crnn-export/1"
MAX_BATCH = 1024


@dataclass(frozen=True)
class Export:
    """What was exported, and what the self-check measured; the file was written if ``passed``."""

    checkpoint: Checkpoint
    options: GraphOptions
    target: Path
    graph: bytes
    figures: Tuple[Figure, ...]

    @property
    def passed(self) -> bool:
        """Whether every figure is within its limit."""
        return all(figure.passed for figure in self.figures)

    def require_passed(self) -> None:
        """Raise `CheckError` naming each figure outside its limit."""
        failed = [
            f"{figure.name} is {figure.value:.3g} (expected {figure.bound})"
            for figure in self.figures
            if not figure.passed
        ]
        if failed:
            raise CheckError(
                f"{self.checkpoint.path}: the ONNX graph does not pass its self-check:"
                f" {', '.join(failed)}. {self.target} was not written",
                hint=(
                    "Is it a trained network? One whose logits are huge, or the same for every"
                    " image, cannot pass."
                ),
            )

    def to_dict(self) -> Dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "schema": SCHEMA,
            "passed": self.passed,
            "checks": [figure.to_dict() for figure in self.figures],
            "checkpoint": self.checkpoint.to_dict(),
            "onnx": {
                "file": str(self.target),
                "sha256": hashlib.sha256(self.graph).hexdigest(),
                "bytes": len(self.graph),
                "opset": OPSET,
                "ir_version": IR_VERSION,
                "nodes": self.nodes,
                "batch": self.options.batch,
                "split_bilstm": self.options.split_bilstm,
                "log_softmax": self.options.log_softmax,
            },
            "versions": {
                **versions(),
                "onnx": onnx.__version__,
                "torch": str(torch.__version__),
            },
        }

    @property
    def nodes(self) -> int:
        """The number of the graph's nodes."""
        return len(onnx.load_model_from_string(self.graph).graph.node)


def export_onnx(
    checkpoint: Checkpoint,
    target: Path,
    options: GraphOptions,
    *,
    words: Optional[Iterable[np.ndarray]] = None,
) -> Export:
    """Write a checkpoint as ONNX if the graph passes its self-check.

    Args:
        checkpoint: Weights, structure and spec.
        target: The file to write.
        options: Which graph is written.
        words: Batches of real images, float32 (n, C, H, W), which must then read the same as well.

    Returns:
        What was measured, whether the check passed or not.

    Raises:
        InputError: The target cannot be written; known before the work begins.
        UsageError: A batch is beyond 1024.
    """
    _check_target(target, checkpoint.path)
    if options.batch is not None and not 1 <= options.batch <= MAX_BATCH:
        raise UsageError(f"the batch is {options.batch}; expected 1 to {MAX_BATCH}")
    graph = build_graph(checkpoint, options)
    comparison = GraphComparison(graph, checkpoint, options)
    figures = check_generated(comparison)
    if words is not None:
        figures += check_words(comparison, words)
    export = Export(checkpoint, options, target, graph, tuple(figures))
    if export.passed:
        with atomic_file(target) as file:
            file.write(graph)
    return export


def _check_target(target: Path, source: Path) -> None:
    require_target(target)
    if target.exists() and target.samefile(source):
        raise InputError(
            f"{target} is the checkpoint itself; expected another file to write the ONNX to"
        )
