"""Accuracy on a data set while training, by the same reading and counting as ``crnn evaluate``."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
from pathlib import Path
from typing import Iterator, List, Optional, Tuple

import numpy as np
import torch
from torch import nn

from crnn import ctc
from crnn.batch import Batch, Sample, label_problems, problem_lines
from crnn.results import Model
from crnn.runners.base import Runner, Tensor
from crnn.samples.batches import image_batches
from crnn.samples.source import open_labelled
from crnn.scoring.scorer import Scorer
from crnn.scoring.stream import run_batches
from crnn.spec import ModelSpec
from crnn.training.data import class_table, encode
from crnn.training.labels import LabelRules
from crnn.training.model import CtcLoss
from crnn.training.world import World


@dataclasses.dataclass(frozen=True)
class Score:
    """What a network got right of a data set.

    ``loss`` is the mean over the words that CTC can spell of each word's loss over its length.
    ``examples`` are triples of the raw path, the text and the truth, from the first process's last
    batch.
    """

    name: str
    correct: int
    total: int
    loss: float
    examples: Tuple[Tuple[str, str, str], ...] = ()

    @property
    def accuracy(self) -> float:
        """The fraction of words that are right."""
        if self.total:
            return self.correct / self.total
        return 0.0


class NetworkRunner(Runner):
    """The network that is being trained, as a runner: in evaluation mode while it is open.

    Args:
        network: Takes float32 (N, C, H, W); gives logits (T, N, K).
        spec: What it is trained for.
        device: Where it is.
    """

    backend = "torch"

    def __init__(self, network: nn.Module, spec: ModelSpec, device: torch.device) -> None:
        super().__init__(Model(Path(), "", spec, "given"))
        self.device = str(device)
        self.inputs = (Tensor("images", "uint8", self._input_shape()),)
        steps: Optional[int] = spec.time_steps
        if spec.widths is not None:
            steps = None
        self.outputs = (Tensor("logits", "float32", (steps, None, spec.classes)),)
        self._network = network
        self._was_training = network.training
        self._table = torch.from_numpy(spec.table).to(device)

    def _open(self) -> None:
        self._network.eval()

    @torch.no_grad()
    def _run(self, images: np.ndarray) -> np.ndarray:
        # Pixels are a quarter of the bytes of values: they become values on the device.
        pixels = torch.from_numpy(images).to(self._table.device)
        logits: np.ndarray = self._network(self._table[pixels.long()]).float().cpu().numpy()
        return logits

    def _close(self) -> None:
        self._network.train(self._was_training)


class Evaluator:
    """Reads a data set's words, shared out among the processes, in float32; ``name`` is what its
    scores are called.
    """

    def __init__(
        self,
        path: Path,
        name: str,
        spec: ModelSpec,
        world: World,
        *,
        batch: int,
        drop_oov: bool,
        examples: int,
    ) -> None:
        self.name = name
        self._samples = open_labelled(path)
        self._spec = spec
        self._world = world
        self._batch = batch
        self._drop_oov = drop_oov
        self._examples = examples
        self._labels = LabelRules(spec)
        self._classes = class_table(spec)
        self._loss = CtcLoss(spec.alphabet.blank)

    def label_lines(self) -> Iterator[str]:
        """Say which labels the network cannot read, counted and the first few named."""
        found = label_problems(self._samples.every_label(), self._spec)
        return problem_lines(found.counts, found.named)

    def score(self, model: nn.Module) -> Score:
        """Return the score of a network, the same in every process; its mode is put back as it
        was.
        """
        scorer = Scorer(self._spec)
        loss_sum = words = 0.0
        examples: List[Tuple[str, str, str]] = []
        with NetworkRunner(model, self._spec, self._world.device) as runner, contextlib.closing(
            run_batches(runner, self, self._batch)
        ) as results:
            for batch, logits in results:
                scorer.add(batch, logits)
                if logits is None:
                    continue
                loss, count = self._batch_loss(batch, torch.from_numpy(logits))
                loss_sum += loss
                words += count
                examples = self._shown(batch, logits)
        correct, total, loss_sum, words = self._world.sum(
            [scorer.metric.correct, scorer.metric.total, loss_sum, words]
        )
        mean = 0.0
        if words:
            mean = loss_sum / words
        return Score(self.name, int(correct), int(total), mean, tuple(examples))

    def batches(self, size: int, *, keep: int) -> Iterator[Batch]:
        """Yield this process's share of the words as pixels, as `BatchSource` says."""
        return image_batches(self._mine(), self._spec, size, dtype="uint8", keep=keep)

    def close(self) -> None:
        """Close the LMDB; the next score opens it again."""
        self._samples.close()

    def _mine(self) -> Iterator[Sample]:
        known = frozenset(self._spec.characters)
        samples = iter(self._samples)
        if self._drop_oov:
            samples = (
                sample
                for sample in samples
                if known.issuperset(self._spec.fold(sample.label or ""))
            )
        return itertools.islice(samples, self._world.rank, None, self._world.size)

    def _batch_loss(self, batch: Batch, logits: torch.Tensor) -> Tuple[float, int]:
        """Return the sum of the words' losses, each over its length, and the number of words in
        it.
        """
        rules = dataclasses.replace(self._labels, most_steps=logits.shape[0])
        taken = [rules.take(batch.labels[row]) for row in batch.readable]
        columns = [column for column, (_, reason) in enumerate(taken) if not reason]
        if not columns:
            return 0.0, 0
        targets, lengths = encode([taken[column][0] for column in columns], self._classes)
        # PyTorch's mean divides each word's loss by its length.
        return float(self._loss(logits[:, columns], targets, lengths)) * len(columns), len(columns)

    def _shown(self, batch: Batch, logits: np.ndarray) -> List[Tuple[str, str, str]]:
        texts = ctc.greedy(logits[:, : self._examples], self._spec.alphabet)
        path = ctc.best_path(logits, self._spec.alphabet)
        table = self._spec.alphabet.table.replace("\0", "-")
        return [
            ("".join(table[index] for index in line), text, batch.labels[row] or "")
            for line, text, row in zip(path, texts, batch.readable)
        ]
