"""Everything that the kit exports is modelled, and comes out near float32."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from crnn.export.graph import GraphOptions, build_graph
from crnn.network import CRNN
from crnn.presets import SPECS, VARIANTS
from crnn.weights.checkpoint import load_checkpoint, save_checkpoint
from tests.rehearsal.test_graph import float16_of, float32_of

OPTIONS = [
    GraphOptions(),
    GraphOptions(split_bilstm=True),
    GraphOptions(batch=2, split_bilstm=True, log_softmax=True),
]


@pytest.mark.parametrize("options", OPTIONS, ids=["plain", "split", "fixed"])
@pytest.mark.parametrize("name", list(VARIANTS))
def test_every_network_of_the_presets(name: str, options: GraphOptions, tmp_path: Path) -> None:
    config = dataclasses.replace(VARIANTS[name], channels=(4, 4, 6, 6, 8, 8, 8), hidden=6)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        state = CRNN(config).state_dict()
    weights = {key: tensor for key, tensor in state.items() if "num_batches" not in key}
    path = tmp_path / "m.pth"
    save_checkpoint(path, weights, config, SPECS[name], source="chance")
    checkpoint = load_checkpoint(path)
    model = onnx.load_model_from_string(build_graph(checkpoint, options))
    shape = (2, *checkpoint.spec.image_shape)
    images = np.random.default_rng(2).uniform(-1, 1, shape).astype(np.float32)
    got, expected = float16_of(model, images), float32_of(model, images)
    assert got.shape == expected.shape
    distance = np.abs(got - expected).max()
    assert 0 < distance < 0.01 * np.abs(expected).max()
