"""Accuracy on a data set while training, by the same reading and counting as ``crnn evaluate``."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path
from typing import Iterator, List, Tuple

import torch
from torch import nn

from crnn import ctc
from crnn.batch import Batch, Sample
from crnn.jobs.scorer import Scorer
from crnn.results import Reading
from crnn.samples.batches import image_batches
from crnn.samples.lmdb import LmdbSamples
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
        self._samples = LmdbSamples(path)
        self._spec = spec
        self._world = world
        self._batch = batch
        self._drop_oov = drop_oov
        self._examples = examples
        self._labels = LabelRules(spec)
        self._classes = class_table(spec)
        self._loss = CtcLoss(spec.alphabet.blank)

    def score(self, model: nn.Module) -> Score:
        """Return the score of a network, the same in every process; its mode is put back as it
        was.
        """
        training = model.training
        model.eval()
        try:
            return self._score(model)
        finally:
            model.train(training)

    @torch.no_grad()
    def _score(self, model: nn.Module) -> Score:
        scorer = Scorer(self._spec)
        table = torch.from_numpy(self._spec.table).to(self._world.device)
        losses = words = 0.0
        examples: List[Tuple[str, str, str]] = []
        for batch in image_batches(self._mine(), self._spec, self._batch, dtype="uint8"):
            if not len(batch.images):
                scorer.add(batch, None)
                continue
            pixels = torch.from_numpy(batch.images).to(self._world.device)
            logits = model(table[pixels.long()]).float().cpu()
            readings = scorer.add(batch, logits.numpy())
            loss, count = self._batch_loss(batch, logits)
            losses += loss
            words += count
            examples = self._shown(batch, logits, readings)
        correct, total, losses, words = self._world.sum(
            [scorer.metric.correct, scorer.metric.total, losses, words]
        )
        return Score(
            self.name, int(correct), int(total), losses / words if words else 0.0, tuple(examples)
        )

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
        taken = [self._labels.take(batch.labels[row]) for row in batch.readable]
        columns = [column for column, (_, reason) in enumerate(taken) if not reason]
        if not columns:
            return 0.0, 0
        targets, lengths = encode([taken[column][0] for column in columns], self._classes)
        # PyTorch's mean divides each word's loss by its length.
        return float(self._loss(logits[:, columns], targets, lengths)) * len(columns), len(columns)

    def _shown(
        self, batch: Batch, logits: torch.Tensor, readings: List[Reading]
    ) -> List[Tuple[str, str, str]]:
        path = ctc.best_path(logits.numpy(), self._spec.alphabet)
        table = self._spec.alphabet.table.replace("\0", "-")
        rows = list(zip(path, batch.readable))[: self._examples]
        return [
            ("".join(table[index] for index in line), readings[row].text, readings[row].label or "")
            for line, row in rows
        ]
