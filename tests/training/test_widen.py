"""A network that `tools.widen` made wider reads as the trained one does."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from crnn.network import CRNN
from crnn.presets import CrnnConfig
from crnn.spec import ModelSpec
from crnn.weights.checkpoint import load_checkpoint, save_checkpoint
from tools.widen import main, widen

NARROW = CrnnConfig(channels=(3, 4, 5, 6, 7, 8, 9), hidden=5)
WIDE = CrnnConfig(channels=(4, 9, 5, 8, 15, 9, 12), hidden=8)


def trained(config: CrnnConfig) -> CRNN:
    """Return a network whose every value is random, statistics of normalisation too."""
    torch.manual_seed(3)
    network = CRNN(config)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.uniform_(-0.5, 0.5)  # type: ignore[union-attr]
                module.running_var.uniform_(0.5, 2.0)  # type: ignore[union-attr]
                module.weight.uniform_(0.5, 2.0)
                module.bias.uniform_(-0.5, 0.5)
    return network.eval()


@pytest.mark.parametrize("seed", [1, 2])
def test_the_logits_stay(seed: int) -> None:
    network = trained(NARROW).double()
    wider = CRNN(WIDE).double().eval()
    wider.load_state_dict(widen(network.state_dict(), NARROW, WIDE, seed))
    images = torch.rand(3, 1, 32, 100, dtype=torch.float64) * 2 - 1
    with torch.no_grad():
        torch.testing.assert_close(wider(images), network(images), rtol=1e-10, atol=1e-10)


def test_copies_get_gradients_of_their_own() -> None:
    network = trained(NARROW)
    wider = CRNN(WIDE).train()
    wider.load_state_dict(widen(network.state_dict(), NARROW, WIDE, 1))
    wider(torch.rand(3, 1, 32, 100)).square().sum().backward()
    gradient = wider.cnn.conv1.weight.grad  # type: ignore[union-attr]
    assert isinstance(gradient, torch.Tensor)
    directions = nn.functional.normalize(gradient.flatten(1))
    alike = directions @ directions.T - 2 * torch.eye(len(directions))
    assert alike.max() < 0.9999


def test_the_file_is_a_checkpoint_of_the_sizes_asked_for(tmp_path: Path) -> None:
    narrow, wide = tmp_path / "narrow.pth", tmp_path / "wide.pth"
    spec = ModelSpec()
    save_checkpoint(narrow, trained(NARROW).state_dict(), NARROW, spec, source="a test")
    main([str(narrow), str(wide), "--channels", "4,9,5,8,15,9,12", "--hidden", "8"])
    made = load_checkpoint(wide)
    assert (made.model.config, made.spec) == (WIDE, spec)


def test_narrower_is_refused(tmp_path: Path) -> None:
    narrow = tmp_path / "narrow.pth"
    save_checkpoint(narrow, trained(NARROW).state_dict(), NARROW, ModelSpec(), source="a test")
    with pytest.raises(SystemExit, match="only made wider"):
        main([str(narrow), str(tmp_path / "o"), "--channels", "2,4,5,6,7,8,9", "--hidden", "5"])
