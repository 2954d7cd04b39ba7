"""The runner contract, through ONNX Runtime on models of any and of fixed batch."""

from __future__ import annotations

from pathlib import Path
from typing import Iterator, List, Optional, Tuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto

from crnn import ctc
from crnn.errors import InputError
from crnn.runners.base import batch_note, convert_pixels, cut_batch
from crnn.runners.onnx_runner import OnnxRunner
from crnn.spec import ModelSpec
from tests.models import SPEC, echo_image, echo_images, write_echo_model

WORDS = ["hello", "0", "", "aa11", "good", "lamp", "3"]


def read(logits: np.ndarray) -> List[str]:
    return ctc.greedy(logits, SPEC.alphabet)


@pytest.mark.parametrize("batch", [None, 1, 2, 4, 7, 16])
def test_any_number_of_images_comes_back_in_order(tmp_path: Path, batch: int) -> None:
    # 7 words over fixed batches of 1 to 16: full batches, padded tails, a batch larger than all.
    with OnnxRunner(write_echo_model(tmp_path / "m.onnx", batch=batch), threads=1) as runner:
        for count in (1, 2, 3, 7):
            logits = runner.run(echo_images(WORDS[:count]))
            assert logits.shape == (26, count, 37)
            assert logits.dtype == np.float32
            assert read(logits) == WORDS[:count]


@pytest.mark.parametrize("batch", [None, 2, 4])
def test_stream_gives_what_run_gives(tmp_path: Path, batch: int) -> None:
    sizes = [3, 1, 7, 2, 4]
    batches = [echo_images((WORDS * 2)[start : start + size]) for start, size in enumerate(sizes)]
    with OnnxRunner(write_echo_model(tmp_path / "m.onnx", batch=batch), threads=1) as runner:
        streamed = list(runner.stream(iter(batches)))
        for images, logits in zip(batches, streamed):
            np.testing.assert_array_equal(logits, runner.run(images))
    assert [logits.shape[1] for logits in streamed] == sizes


def test_stream_takes_no_more_than_it_says(tmp_path: Path) -> None:
    taken = 0

    def batches() -> Iterator[np.ndarray]:
        nonlocal taken
        for word in WORDS:
            taken += 1
            yield echo_images([word])

    with OnnxRunner(write_echo_model(tmp_path / "m.onnx"), threads=1) as runner:
        for given_out, _ in enumerate(runner.stream(batches()), 1):
            assert taken - given_out < runner.ahead


def test_logits_belong_to_the_caller(tmp_path: Path) -> None:
    with OnnxRunner(write_echo_model(tmp_path / "m.onnx"), threads=1) as runner:
        first = runner.run(echo_images(["hello"]))
        kept = first.copy()
        runner.run(echo_images(["lamp"]))
        np.testing.assert_array_equal(first, kept)
        first[:] = 0  # writable


def test_pixels_and_values_are_the_same_to_a_model(tmp_path: Path) -> None:
    images = echo_images(["good"])
    pixels = convert_pixels(images, "uint8", SPEC)
    with OnnxRunner(write_echo_model(tmp_path / "m.onnx"), threads=1) as runner:
        np.testing.assert_array_equal(runner.run(pixels), runner.run(images))
    with OnnxRunner(
        write_echo_model(tmp_path / "u8.onnx", dtype=TensorProto.UINT8), threads=1
    ) as runner:
        assert read(runner.run(images)) == ["good"]


@given(
    st.sampled_from(
        [SPEC, ModelSpec(divisor=1, mean=127.5, std=127.5), ModelSpec(mean=0.588, std=0.193)]
    ),
    st.lists(st.integers(0, 255), min_size=1, max_size=20),
)
def test_pixels_survive_the_way_to_values_and_back(spec: ModelSpec, values: List[int]) -> None:
    pixels = np.array(values, dtype=np.uint8)
    np.testing.assert_array_equal(
        convert_pixels(convert_pixels(pixels, "float32", spec), "uint8", spec), pixels
    )


def test_values_that_no_pixel_has_are_refused() -> None:
    with pytest.raises(InputError, match="no pixel has"):
        convert_pixels(np.array([0.1234], dtype=np.float32), "uint8", SPEC)


@pytest.mark.parametrize("shape", [(0, 1, 32, 100), (1, 3, 32, 100), (1, 1, 32, 101), (1, 32, 100)])
def test_images_of_another_shape_are_refused(tmp_path: Path, shape: tuple) -> None:
    with OnnxRunner(write_echo_model(tmp_path / "m.onnx"), threads=1) as runner, pytest.raises(
        InputError, match=r"expected \(N, 1, 32, 100\)"
    ):
        runner.run(np.zeros(shape, dtype=np.float32))


@pytest.mark.parametrize(
    ("count", "sizes", "pieces"),
    [
        (21, (1, 4, 8, 16), [16, 8]),
        (16, (1, 4, 8, 16), [16]),
        (1, (4,), [4]),
        (9, (4,), [4, 4, 4]),
        (3, (1, 2), [2, 1]),
        (35, (1, 16), [16, 16, 16]),
    ],
)
def test_cut_batch(count: int, sizes: tuple, pieces: List[int]) -> None:
    assert cut_batch(count, sizes) == pieces


def test_a_model_that_is_not_its_spec_is_refused_with_both(tmp_path: Path) -> None:
    path = write_echo_model(tmp_path / "m.onnx", spec=ModelSpec(characters="0123456789"))
    with pytest.raises(
        InputError, match=r"output1 float32 \(26, any, 37\).*\(file\) expects .*\(26, any, 11\)"
    ), OnnxRunner(path):
        pass


def test_a_model_without_spec_is_read_by_the_default(tmp_path: Path) -> None:
    runner = OnnxRunner(write_echo_model(tmp_path / "m.onnx", spec=None))
    assert (runner.spec, runner.model.spec_from) == (SPEC, "default")


def test_echo_image_is_what_bins_hold() -> None:
    assert echo_image("a").nbytes == 12_800


@pytest.mark.parametrize(
    ("batch", "sizes", "said"),
    [
        (64, None, ()),  # any batch
        (4, (1, 4), ()),  # on offer
        (64, (16,), ("batches of 64 run as 4 x 16: the model takes 16",)),
        (10, (1, 4, 8), ("batches of 10 run as 8 + 4: the model takes 1, 4, 8",)),
        (3, (16,), ("batches of 3 run as 16: the model takes 16",)),  # padded
    ],
)
def test_a_batch_that_is_not_on_offer_is_told(
    batch: int, sizes: Optional[Tuple[int, ...]], said: Tuple[str, ...]
) -> None:
    assert batch_note(batch, sizes) == said


def test_a_backend_may_overwrite_its_output(tmp_path: Path) -> None:
    # Five images over a model of batch 2, whose every output lands in the same memory.
    class Reusing(OnnxRunner):
        memory = np.empty((26, 2, 37), dtype=np.float32)

        def _run(self, images: np.ndarray) -> np.ndarray:
            self.memory[:] = super()._run(images)
            return self.memory

    with Reusing(write_echo_model(tmp_path / "m.onnx", batch=2), threads=1) as runner:
        assert read(runner.run(echo_images(WORDS[:5]))) == WORDS[:5]
        streamed = list(runner.stream([echo_images(WORDS[:5]), echo_images(WORDS[5:])]))
        assert [word for logits in streamed for word in read(logits)] == WORDS


def test_what_is_no_number_is_no_pixel() -> None:
    with pytest.raises(InputError, match="values that no pixel has"):
        convert_pixels(
            np.full((1, 1, 32, 100), np.nan, dtype=np.float32), "uint8", ModelSpec.default()
        )
