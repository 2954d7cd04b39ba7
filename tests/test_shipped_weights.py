"""What the shipped weights read, as docs/weights.md says it."""

from __future__ import annotations

from pathlib import Path
from typing import List

import pytest

from crnn.cli.main import main
from crnn.filekind import sha256
from tests.conftest import ROOT

WIDTHS = "80,100,128,160,200"
SMALL, BASE = "crnn_small.pth", "crnn_base.pth"
SHA256 = {
    SMALL: "91a4d57ddbe0a3ecae415758a7b5557bb5116244ba7df21c5ef3f31f4d3eec76",
    BASE: "d6b2822d28b77ac9c6a12cc384f65b6580b7a4ef441f21b14695d631f8c83836",
}
RIGHT = {SMALL: {"off": 1830, "aspect": 1873}, BASE: {"off": 1849, "aspect": 1899}}


@pytest.mark.parametrize("name", sorted(SHA256))
def test_the_weights_are_those_of_the_figures(name: str) -> None:
    assert sha256(ROOT / "examples" / name) == SHA256[name]


@pytest.mark.parametrize("name", sorted(SHA256))
def test_they_read_as_many_photographed_words(name: str, shared_data: Path, tmp_path: Path) -> None:
    model, words = str(tmp_path / "m.onnx"), str(shared_data / "IIIT5K_train_lmdb")
    assert main(["export", str(ROOT / "examples" / name), model, "--widths", WIDTHS]) == 0
    for rule, right in RIGHT[name].items():
        # A word on the edge may be read otherwise by another processor.
        least = str((right - 2) / 2000)
        options: List[str] = ["--batch", "64", "--width-rule", rule, "--min-accuracy", least]
        assert main(["evaluate", model, words, *options]) == 0
