"""The network: its sizes, its names, and that it is the one that was trained."""

from __future__ import annotations

import itertools
from typing import Dict

import numpy as np
import pytest
import torch

from crnn import ctc
from crnn.errors import InputError
from crnn.image import decode
from crnn.network import CRNN
from crnn.presets import CrnnConfig, time_steps
from crnn.samples.lmdb import LmdbSamples
from crnn.weights.checkpoint import load_checkpoint
from tests.conftest import ROOT
from tests.weights.checkpoints import TINY, network


def test_published_network_has_its_number_of_parameters() -> None:
    with torch.device("meta"):
        model = CRNN(CrnnConfig())
    assert sum(parameter.numel() for parameter in model.parameters()) == 8_331_301
    buffers: Dict[str, int] = {name: tensor.numel() for name, tensor in model.named_buffers()}
    assert sum(buffers.values()) == 2_563


@pytest.mark.parametrize(
    ("width", "steps"),
    [
        (4, 2),
        (7, 2),
        (8, 3),
        (100, 26),
        (101, 26),
        (102, 26),
        (103, 26),
        (104, 27),
        (160, 41),
        (320, 81),
    ],
)
def test_a_row_of_scores_for_every_four_columns(width: int, steps: int) -> None:
    scores = network()(torch.zeros(3, 1, 32, width))
    assert scores.shape == (steps, 3, 37)
    assert time_steps(width) == steps


def test_narrower_than_four_columns_is_refused() -> None:
    with pytest.raises(InputError, match="the width is 3; expected at least 4"):
        time_steps(3)


def test_output_is_raw_scores() -> None:
    scores = network()(torch.zeros(1, 1, 32, 100))
    assert not torch.allclose(scores.exp().sum(2), torch.ones(26, 1), atol=0.1)


def test_rows_do_not_depend_on_their_batch() -> None:
    images = torch.rand(5, 1, 32, 100, generator=torch.Generator().manual_seed(1))
    model = network(TINY)
    with torch.no_grad():
        together = model(images)
        alone = torch.cat([model(images[row : row + 1]) for row in range(5)], dim=1)
    torch.testing.assert_close(together, alone, atol=1e-6, rtol=0)


def test_trained_checkpoint_reads_rendered_words() -> None:
    """Its weights were trained elsewhere, so a layer out of place here would read nothing."""
    checkpoint = load_checkpoint(ROOT / "examples" / "crnn_small.pth")
    samples = list(itertools.islice(LmdbSamples(ROOT / "examples" / "words_lmdb"), 64))
    pixels = np.stack([decode(sample.image or b"", checkpoint.spec) for sample in samples])
    with torch.no_grad():
        logits = checkpoint.model(torch.from_numpy(checkpoint.spec.table[pixels])).numpy()
    texts = ctc.greedy(logits, checkpoint.spec.alphabet)
    right = sum(
        text == checkpoint.spec.fold(sample.label or "") for text, sample in zip(texts, samples)
    )
    assert right / len(samples) > 0.75
