"""Proof by execution that an ONNX graph computes what the PyTorch network computes, at every batch
size.
"""

from __future__ import annotations

import copy
import dataclasses
import itertools
from dataclasses import dataclass
from typing import Any, Dict, Iterable, List, Optional, Sequence, Tuple

import numpy as np
import torch

from crnn import ctc
from crnn.errors import InputError, needs
from crnn.export.graph import INPUT, OUTPUT, GraphOptions
from crnn.spec import ModelSpec
from crnn.weights.checkpoint import Checkpoint

BATCHES = (1, 2, 3, 7, 16)
IMAGES = 16
LIMIT = 1e-4
"""The most that a logit may differ from PyTorch's."""
ROW_LIMIT = 1e-5
"""The most that a logit may change with the company that an image has in its batch."""
DISTINCT = 100
"""How many times the difference from PyTorch two different images' logits must at least be apart.
"""
SEED = 2017


@dataclass(frozen=True)
class Figure:
    """One measured number and its limit, an upper one unless ``at_least``; ``where`` says what it
    was measured on.
    """

    name: str
    value: float
    limit: float
    where: str
    at_least: bool = False

    @property
    def passed(self) -> bool:
        """Whether the limit holds; NaN holds none."""
        if self.at_least:
            return self.value >= self.limit
        return self.value <= self.limit

    @property
    def bound(self) -> str:
        """The limit for people: "at most 0.0001"."""
        return f"at {'least' if self.at_least else 'most'} {self.limit:.3g}"

    def to_dict(self) -> Dict[str, Any]:
        """Return plain data for JSON, which has no NaN: a value that is none is None."""
        return {
            "name": self.name,
            "value": self.value if np.isfinite(self.value) else None,
            "limit": self.limit if np.isfinite(self.limit) else None,
            "limit_is": "least" if self.at_least else "most",
            "where": self.where,
            "passed": self.passed,
        }


class GraphComparison:
    """An ONNX graph and the network that it was written from, side by side on the processor.

    PyTorch computes in float64: its float32 convolutions round differently from one processor to
    the next, by more than ONNX Runtime's (measured: 4e-4 on a trained network without oneDNN), and
    would be judged in the graph's place.
    """

    def __init__(self, graph: bytes, checkpoint: Checkpoint, options: GraphOptions) -> None:
        with needs("onnxruntime"):
            import onnxruntime

        self.spec = checkpoint.spec
        self.batch = options.batch
        self._network = copy.deepcopy(checkpoint.model).double()
        self._log_softmax = options.log_softmax
        session = onnxruntime.SessionOptions()
        # Threads that wait by spinning would take the processors from PyTorch.
        session.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(
            graph, session, providers=["CPUExecutionProvider"]
        )

    def onnx(self, images: np.ndarray) -> np.ndarray:
        """Return ONNX Runtime's output (T, N, K) of one call; a batch too small for a static graph
        is filled up.
        """
        filled = images
        if self.batch and len(images) < self.batch:
            filled = np.zeros((self.batch, *images.shape[1:]), dtype=np.float32)
            filled[: len(images)] = images
        logits: np.ndarray = self._session.run([OUTPUT], {INPUT: filled})[0]
        return logits[:, : len(images)]

    def torch(self, images: np.ndarray) -> np.ndarray:
        """Return PyTorch's output (T, N, K), float64."""
        with torch.no_grad():
            logits = self._network(torch.from_numpy(images).double())
            output: np.ndarray = (logits.log_softmax(2) if self._log_softmax else logits).numpy()
        return output


def check_generated(comparison: GraphComparison) -> List[Figure]:
    """Compare on generated images, at batches 1, 2, 3, 7 and 16, or at a static graph's own; at
    each width, where the spec has several.

    The argmax must be equal at every time step. A tie could turn over within the other limits, but
    none is near one in so few images, and a graph that turns one is worth a look.
    """
    if comparison.spec.widths is None:
        return _check_at(comparison, comparison.spec.width)
    figures: List[Figure] = []
    for width in comparison.spec.widths.list:
        for figure in _check_at(comparison, width):
            figures.append(dataclasses.replace(figure, name=f"{figure.name}, width {width}"))
    return figures


def _check_at(comparison: GraphComparison, width: int) -> List[Figure]:
    batch = comparison.batch
    spec = comparison.spec.at_width(width, comparison.spec.time_steps)
    images = generated_images(spec, max(IMAGES, batch or 0))
    alone = {row: comparison.onnx(images[row : row + 1])[:, 0] for row in _rows(batch)}
    # PyTorch's rows do not depend on their company; that the graph's do not is to be proved.
    expected = comparison.torch(images)
    differences, rows, largest = [], [], []
    turned, steps = 0, 0
    for group in _groups(len(images), batch):
        got, want = comparison.onnx(images[group]), expected[:, group]
        differences.append(_difference(got, want))
        largest.append(float(np.abs(want).max()))
        turned += int((got.argmax(axis=2) != want.argmax(axis=2)).sum())
        steps += got.shape[0] * got.shape[1]
        rows += [
            _difference(got[:, row - group.start], alone[row])
            for row in alone
            if group.start <= row < group.stop
        ]
    where = (
        f"{len(images)} generated images, batch"
        f" {', '.join(map(str, (batch,) if batch else BATCHES))}"
    )
    difference = _worst(differences)
    # They may agree to the last bit; what float32 can tell apart is then the measure.
    float32 = np.finfo(np.float32)
    apart = DISTINCT * max(difference, float(float32.eps) * _worst(largest), float(float32.tiny))
    return [
        Figure("largest difference from PyTorch", difference, LIMIT, where),
        Figure("time steps with another argmax", turned, 0, f"{steps} time steps"),
        Figure(
            "largest difference between a row and its image alone", _worst(rows), ROW_LIMIT, where
        ),
        Figure(
            "least difference between two images",
            _closest(comparison, images),
            apart,
            where,
            at_least=True,
        ),
    ]


def check_words(comparison: GraphComparison, batches: Iterable[np.ndarray]) -> List[Figure]:
    """Compare on real images (`read_words`) and return the figures alone."""
    figures, _ = read_words(comparison, batches)
    return figures


def read_words(
    comparison: GraphComparison, batches: Iterable[np.ndarray]
) -> Tuple[List[Figure], List[str]]:
    """Compare on real images: outputs within the limit and the same text for each.

    Args:
        comparison: Graph and network.
        batches: float32 (n, C, H, W).

    Returns:
        The figures, and what the graph read.

    Raises:
        InputError: There is no image.
    """
    alphabet = comparison.spec.alphabet
    differences: List[float] = []
    texts: List[str] = []
    changed = 0
    for images in batches:
        size = comparison.batch or len(images)
        for start in range(0, len(images), size):
            group = images[start : start + size]
            got, want = comparison.onnx(group), comparison.torch(group)
            differences.append(_difference(got, want))
            read = ctc.greedy(got, alphabet)
            changed += sum(a != b for a, b in zip(read, ctc.greedy(want, alphabet)))
            texts.extend(read)
    if not texts:
        raise InputError("the words to check with hold no image that can be read")
    where = f"{len(texts)} words"
    figures = [
        Figure("largest difference from PyTorch on words", _worst(differences), LIMIT, where),
        Figure("words with another text", changed, 0, where),
    ]
    return figures, texts


def generated_images(spec: ModelSpec, count: int) -> np.ndarray:
    """Return float32 images (count, C, H, W), all different: bars of one grey on another, and
    noise.

    They have edges and strokes as words have, so that every layer has something to do. The same for
    the same spec.
    """
    random = np.random.default_rng(SEED)
    channels, height, width = spec.image_shape
    pixels = np.empty((count, channels, height, width), dtype=np.uint8)
    for image in pixels:
        paper, ink = random.integers(0, 256, 2)
        canvas = np.full((height, width), float(paper))
        for _ in range(random.integers(3, 12)):
            top, left = random.integers(0, height), random.integers(0, width)
            rows = columns = 3
            if random.random() < 0.6:
                rows = int(random.integers(4, height))
            else:
                columns = int(random.integers(4, width // 3 + 5))
            canvas[top : top + rows, left : left + columns] = ink
        noisy = canvas + random.normal(0, 8, (channels, height, width))
        image[:] = np.clip(np.rint(noisy), 0, 255)
    images: np.ndarray = spec.table[pixels]
    return images


def _groups(count: int, batch: Optional[int]) -> List[slice]:
    """Which images go together:

    all in turn for a static graph, else the first n for each batch size n.
    """
    if batch:
        return [slice(start, min(start + batch, count)) for start in range(0, count, batch)]
    return [slice(0, size) for size in BATCHES]


def _rows(batch: Optional[int]) -> Sequence[int]:
    # A static graph runs a whole batch for each image alone: the first, the last and two between
    # show a mixing.
    if batch:
        return sorted({0, 1, batch // 2, batch - 1} & set(range(batch)))
    return range(IMAGES)


def _closest(comparison: GraphComparison, images: np.ndarray) -> float:
    """Return how far apart the outputs of the two most alike of the first images are."""
    size = comparison.batch or IMAGES
    logits = np.concatenate(
        [comparison.onnx(images[i : i + size]) for i in range(0, IMAGES, size)], axis=1
    )
    return min(
        _difference(logits[:, a], logits[:, b]) for a, b in itertools.combinations(range(IMAGES), 2)
    )


def _difference(a: np.ndarray, b: np.ndarray) -> float:
    with np.errstate(invalid="ignore"):
        return float(np.abs(a - b).max())


def _worst(values: Sequence[float]) -> float:
    # Unlike max(), this is NaN where one of them is.
    return float(np.max(values))
