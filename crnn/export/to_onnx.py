"""A checkpoint to an ONNX file that has proven itself; nothing is written otherwise."""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

import torch

from crnn import ctc
from crnn.errors import CheckError, InputError, UsageError, needs
from crnn.export.graph import IR_VERSION, OPSET, GraphOptions, build_graph
from crnn.export.sample_images import WordImages
from crnn.export.selfcheck import Figure, GraphComparison, check_generated, read_words
from crnn.files import atomic_file, require_target
from crnn.machine import versions
from crnn.presets import time_steps
from crnn.weights.checkpoint import Checkpoint

with needs("onnx"):
    import onnx

SCHEMA = "crnn-export/1"
MAX_BATCH = 1024
HARDLY, READS, TIMES = 0.05, 0.25, 10
"""Below the first accuracy the other order of gates is tried; it is the right one where it reads at
least the second, and so many times as many words.
"""


@dataclass(frozen=True)
class WordsRight:
    """How many of the labelled words of a check were read right."""

    right: int
    labelled: int

    @property
    def accuracy(self) -> float:
        """The fraction that was right."""
        return self.right / self.labelled


@dataclass(frozen=True)
class OtherOrder:
    """An order of the LSTMs' gates, and how the checkpoint is loaded by it."""

    order: str
    load: Callable[[], Checkpoint]


@dataclass(frozen=True)
class Export:
    """What was exported, and what the self-check measured; the file was written if ``passed``."""

    checkpoint: Checkpoint
    options: GraphOptions
    target: Path
    graph: bytes
    figures: Tuple[Figure, ...]
    words: Optional[WordsRight] = None

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
        """Return plain data for JSON; ``words`` only where words with labels were read."""
        words = {}
        if self.words:
            words["words"] = dataclasses.asdict(self.words)
        widths = {}
        if self.checkpoint.spec.widths:
            widths["widths"] = list(self.checkpoint.spec.widths.list)
        return {
            **words,
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
                **widths,
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
    words: Optional[WordImages] = None,
    other: Optional[OtherOrder] = None,
) -> Export:
    """Write a checkpoint as ONNX if the graph passes its self-check.

    Args:
        checkpoint: Weights, structure and spec.
        target: The file to write.
        options: Which graph is written.
        words: Real images, which must then read the same as well.
        other: The checkpoint by the other order of the LSTMs' gates, which is tried where hardly
            one of the words is read right.

    Returns:
        What was measured, whether the check passed or not.

    Raises:
        InputError: The target cannot be written; known before the work begins.
        UsageError: A batch is beyond 1024.
        CheckError: The words are read by the other order of gates; nothing was written.
    """
    _check_target(target, checkpoint.path)
    if options.batch is not None and not 1 <= options.batch <= MAX_BATCH:
        raise UsageError(f"the batch is {options.batch}; expected 1 to {MAX_BATCH}")
    _check_widths(checkpoint)
    graph = build_graph(checkpoint, options)
    comparison = GraphComparison(graph, checkpoint, options)
    figures = check_generated(comparison)
    right = None
    if words is not None:
        more, texts = read_words(comparison, words)
        figures += more
        right = _right(texts, words.labels, checkpoint)
        if right and right.accuracy < HARDLY and other:
            _try_other_order(right, words, other, target)
    export = Export(checkpoint, options, target, graph, tuple(figures), right)
    if export.passed:
        with atomic_file(target) as file:
            file.write(graph)
    return export


def _check_widths(checkpoint: Checkpoint) -> None:
    """Refuse widths that are too narrow for the network, before anything is computed."""
    for width in checkpoint.spec.read_widths:
        try:
            time_steps(width, checkpoint.model.config)
        except InputError as error:
            raise InputError(f"{checkpoint.path}: {error.message}", hint=error.hint) from error


def _right(
    texts: Sequence[str], labels: Sequence[Optional[str]], checkpoint: Checkpoint
) -> Optional[WordsRight]:
    """Count the words that were read right; None where none has a label."""
    right = labelled = 0
    for text, label in zip(texts, labels):
        if label is not None:
            labelled += 1
            right += text == checkpoint.spec.fold(label)
    if not labelled:
        return None
    return WordsRight(right, labelled)


def _try_other_order(right: WordsRight, words: WordImages, other: OtherOrder, target: Path) -> None:
    """Refuse the export where the other order of gates reads what this one does not."""
    checkpoint = other.load()
    words.advance = lambda count: None  # they have been counted
    texts: List[str] = []
    with torch.no_grad():
        for images in words:
            logits = checkpoint.model(torch.from_numpy(images)).numpy()
            texts.extend(ctc.greedy(logits, checkpoint.spec.alphabet))
    better = _right(texts, words.labels, checkpoint)
    if better is None or better.accuracy < READS or better.right < TIMES * right.right:
        return
    raise CheckError(
        f"{checkpoint.path} reads {right.right} of {right.labelled} labelled words, and"
        f" {better.right} with its LSTMs' gates in the other order, {other.order}: {target} was not"
        " written",
        hint=f"Export it with --lstm-gate-order {other.order}.",
    )


def _check_target(target: Path, source: Path) -> None:
    require_target(target)
    if target.exists() and target.samefile(source):
        raise InputError(
            f"{target} is the checkpoint itself; expected another file to write the ONNX to"
        )
