"""Every network of the presets, from its checkpoint to an evaluation of its OM, with the simulator
in CANN's place.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, Dict, List

import numpy as np
import pytest
import torch

from crnn.cli.main import main
from crnn.network import CRNN
from crnn.presets import SPECS, VARIANTS
from crnn.weights.checkpoint import save_checkpoint
from tests.foreign import few_words
from tests.simulated import host, ran

WORDS = 40


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where every variant has been exported and read by ONNX Runtime."""
    folder = tmp_path_factory.mktemp("variants")
    words = str(few_words(folder / "words", WORDS))
    for seed, (name, config) in enumerate(VARIANTS.items()):
        small = dataclasses.replace(config, channels=(4, 4, 6, 6, 8, 8, 8), hidden=6)
        torch.manual_seed(seed)
        weights = {
            key: 3 * tensor
            for key, tensor in CRNN(small).state_dict().items()
            if "num_batches" not in key
        }
        save_checkpoint(folder / f"{name}.pth", weights, small, SPECS[name], source="chance")
        model, readings = str(folder / f"{name}.onnx"), str(folder / f"{name}.jsonl")
        assert main(["export", str(folder / f"{name}.pth"), model]) == 0
        outputs = str(folder / f"{name}_outputs")
        assert (
            main(["evaluate", model, words, "--readings", readings, "--save-outputs", outputs]) == 0
        )
    return folder


@pytest.fixture(scope="module", params=["6.0", "5.0"])
def folder(request: pytest.FixtureRequest, models: Path) -> Path:
    """A folder where every variant has been compiled and evaluated under one release of CANN."""
    folder = models / request.param
    folder.mkdir()
    answers: Dict[str, Any] = {}
    with host(folder, f"--cann {request.param}"):
        for name in VARIANTS:
            done = [ran(words) for words in commands(name, str(models / "words"))]
            answers[name] = {
                "codes": [one.returncode for one in done],
                "said": "".join(one.stdout + one.stderr for one in done),
            }
    (folder / "answers.json").write_text(json.dumps(answers), encoding="utf-8")
    return folder


def commands(name: str, words: str) -> List[List[str]]:
    """What is done with a variant."""
    onnx, wide, pixels = f"../{name}.onnx", f"{name}.om", f"{name}_u8"
    read = ["--batch", "16", "--json", f"{name}.json", "--against", f"../{name}.jsonl"]
    return [
        ["compile", onnx, name, "--batch", "4,16"],
        ["evaluate", wide, words, *read],
        ["compile", onnx, pixels, "--batch", "8", "--aipp"],
        ["evaluate", f"{pixels}.om", words, "--batch", "8", "--save-outputs", pixels],
    ]


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_compiles_and_reads_the_same(folder: Path, name: str) -> None:
    answer: Dict[str, Any] = json.loads((folder / "answers.json").read_text(encoding="utf-8"))[name]
    assert answer["codes"] == [0, 0, 0, 0], answer["said"]
    data = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    assert data["simulated"] is True
    assert data["total"] == WORDS
    assert data["model"]["spec"] == SPECS[name].to_dict()
    lines = (folder.parent / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    # Chance reads something, and not the same for all.
    assert len({json.loads(line)["text"] for line in lines}) > 5


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_normalised_on_the_chip_computes_the_same(folder: Path, name: str) -> None:
    wanted, found = logits(folder.parent / f"{name}_outputs"), logits(folder / f"{name}_u8")
    assert wanted.shape == found.shape == (WORDS, wanted.shape[1])
    # AIPP multiplies by a float16: 0.01 of the scores' range. Channels in the wrong order make 0.15
    # and more of it.
    assert np.abs(found - wanted).max() <= 0.03 * np.ptp(wanted)


def logits(folder: Path) -> np.ndarray:
    """Return the values that an evaluation has saved, a row a word, in the order of their names."""
    return np.stack([np.fromfile(path, dtype=np.float32) for path in sorted(folder.glob("*.bin"))])
