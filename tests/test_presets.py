"""The one table of presets: each that a recipe offers can be trained."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from crnn.cli.main import main
from crnn.presets import PRESETS, SPECS, VARIANTS, time_steps
from crnn.training.recipe import FOLDER
from tests.conftest import ROOT

TINY = ["channels=[2,2,2,2,2,2,2]", "hidden=2", "batch_size=4", "length=1 step", "workers=0"]
TINY.append("precision=float32")  # PyTorch 2.1 cannot do float16 on the CPU


@pytest.mark.parametrize("name", VARIANTS)
def test_every_network_that_a_recipe_offers_trains(name, tmp_path):
    words = f"train=[{ROOT}/examples/words_lmdb]"
    command = ["train", "modelzoo-1p", "--out", str(tmp_path / "run"), "--device", "cpu"]
    assert main([*command, f"network={name}", words, "valid=[]", "save_every=1 step", *TINY]) == 0
    content = torch.load(tmp_path / "run" / "last.pth", weights_only=True)
    assert content


def test_a_preset_that_cannot_be_trained_names_the_one_that_can(tmp_path, capsys):
    """It used to end in a KeyError, since presets were two tables."""
    assert (FOLDER / "modelzoo-8p.yaml").is_file()
    command = ["train", "modelzoo-8p", "--out", str(tmp_path / "run"), "--device", "cpu"]
    assert main([*command, "network=mindspore-native"]) == 2
    assert "train mindspore-v2, which has the same network" in capsys.readouterr().err
    assert main([*command, "network=mindspore-v3"]) == 2
    assert "did you mean mindspore-v" in capsys.readouterr().err


@pytest.mark.parametrize("name", PRESETS)
def test_spec_and_network_of_a_preset_agree(name):
    preset = PRESETS[name]
    assert SPECS[name] is preset.spec
    assert preset.spec.time_steps == time_steps(preset.spec.width, preset.config)
    assert preset.spec.channels == preset.config.in_channels
    assert preset.spec.classes == preset.config.classes
    if preset.stands_for:
        assert PRESETS[preset.stands_for].config == preset.config


def test_presets_need_no_pytorch():
    script = "import sys; import crnn.presets; print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"
