"""The PyTorch runner: the checkpoint itself, behind the contract that every backend keeps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from crnn.errors import InputError, UnavailableError
from crnn.export.selfcheck import generated_images
from crnn.runners.open import open_runner
from crnn.runners.torch_runner import TorchRunner
from crnn.spec import METADATA_KEY, ModelSpec
from tests.weights.checkpoints import network, save, split, state, training

SPEC = ModelSpec.default()


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("torch") / "x.pth", training(split(state())))


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_logits_are_the_networks(checkpoint: Path, batch: int) -> None:
    images = generated_images(SPEC, batch)
    with open_runner(checkpoint, threads=1) as runner, torch.no_grad():
        assert isinstance(runner, TorchRunner)
        logits = runner.run(images)
        assert logits.dtype == np.float32
        assert np.array_equal(logits, network()(torch.from_numpy(images)).numpy())


def test_pixels_are_normalised_by_the_spec(checkpoint: Path) -> None:
    pixels = np.arange(2 * 3200, dtype=np.uint8).reshape(2, 1, 32, 100)
    with open_runner(checkpoint) as runner:
        assert np.array_equal(runner.run(pixels), runner.run(SPEC.table[pixels]))


def test_stream_keeps_order_and_sizes(checkpoint: Path) -> None:
    images = generated_images(SPEC, 7)
    with open_runner(checkpoint) as runner:
        parts = list(runner.stream([images[:3], images[3:4], images[4:]]))
        assert [part.shape for part in parts] == [(26, 3, 37), (26, 1, 37), (26, 3, 37)]
        np.testing.assert_allclose(np.concatenate(parts, axis=1), runner.run(images), atol=1e-6)


def test_legacy_files_are_told_by_content(tmp_path: Path) -> None:
    path = save(tmp_path / "model.bin", split(state()), legacy=True)
    with open_runner(path) as runner:
        assert (runner.backend, runner.device) == ("torch", "cpu")
        assert runner.model.spec_from == "default"
        assert runner.notes == (
            "fw_rnn and bw_rnn taken as one bidirectional LSTM",
            "LSTM gates taken in PyTorch's order; files of the first NPU training stack need"
            " --lstm-gate-order igfo",
        )
        assert runner.versions == {"torch": str(torch.__version__)}


def test_spec_of_the_file_is_used(tmp_path: Path) -> None:
    spec = ModelSpec(width=48, time_steps=13)
    save(tmp_path / "x.pth", {"state_dict": state(), METADATA_KEY: spec.to_json()})
    with open_runner(tmp_path / "x.pth") as runner:
        assert (runner.spec, runner.model.spec_from) == (spec, "file")
        assert runner.run(generated_images(spec, 2)).shape == (13, 2, 37)


def test_number_of_threads_is_put_back(checkpoint: Path) -> None:
    before = torch.get_num_threads()
    with open_runner(checkpoint, threads=before + 1) as runner:
        assert torch.get_num_threads() == runner.threads == before + 1
    assert torch.get_num_threads() == before


def test_images_of_another_size_are_refused(checkpoint: Path) -> None:
    with open_runner(checkpoint) as runner, pytest.raises(
        InputError, match=r"expected \(N, 1, 32, 100\)"
    ):
        runner.run(np.zeros((1, 1, 32, 160), dtype=np.float32))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_cuda_without_a_gpu_is_unavailable(checkpoint: Path) -> None:
    with pytest.raises(UnavailableError, match="--device cuda needs a GPU"), open_runner(
        checkpoint, device="cuda"
    ):
        pass


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_cuda_computes_in_full_float32(checkpoint: Path) -> None:
    images = generated_images(SPEC, 16)
    with open_runner(checkpoint) as runner:
        expected = runner.run(images)
    with open_runner(checkpoint, device="cuda") as runner:
        np.testing.assert_allclose(runner.run(images), expected, atol=1e-5)
