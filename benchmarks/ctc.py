"""Greedy CTC: the kit's, a bare argmax, and the historical loop over single characters of torch
scalars; and the probability of the texts, beside PyTorch's CTC loss, which is the same sum.

python benchmarks/ctc.py --data words_lmdb
"""

from __future__ import annotations

import time
from typing import Any, Callable, List

import common
import numpy as np

from crnn import ctc
from crnn.decoding.probability import classes_of_path, log_probabilities
from crnn.runners.torch_runner import TorchRunner

N = 256
LOOPS = 20
ALPHABET = common.SPEC.alphabet


def historical(logits: Any, sizes: Any) -> List[str]:
    """Decode as the historical evaluation did:

    argmax, then a Python loop over torch scalars, word by word.
    """
    import torch

    path = logits.max(2)[1].transpose(1, 0).contiguous().view(-1)
    texts, start = [], 0
    for number in range(sizes.numel()):
        texts.append(
            _historical_word(path[start : start + sizes[number]], torch.IntTensor([sizes[number]]))
        )
        start += sizes[number]
    return texts


def _historical_word(path: Any, sizes: Any) -> str:
    characters = []
    for step in range(sizes[0]):
        if path[step] != 0 and not (step > 0 and path[step - 1] == path[step]):
            characters.append(ALPHABET.characters[path[step] - 1])
    return "".join(characters)


def show_probability(logits: np.ndarray) -> None:
    """Print the processor time that a text's probability takes, beside that of its confidence and
    of PyTorch's CTC loss; all in one thread.
    """
    import torch

    for size in (16, 64, N):
        part = np.ascontiguousarray(logits[:, :size])
        path = ctc.best_path(part, ALPHABET)
        texts = classes_of_path(path, ALPHABET.blank)
        targets = torch.from_numpy(path[_kept(path)].astype(np.int64))
        lengths = torch.from_numpy(texts.lengths.astype(np.int64))
        steps = torch.full((size,), len(part))
        scores = torch.from_numpy(part)

        def loss(
            scores: Any = scores, targets: Any = targets, steps: Any = steps, lengths: Any = lengths
        ) -> Any:
            logs = torch.log_softmax(scores.double(), 2)
            return torch.nn.functional.ctc_loss(logs, targets, steps, lengths, reduction="none")

        def probability(part: np.ndarray = part, path: np.ndarray = path) -> np.ndarray:
            return log_probabilities(part, classes_of_path(path, ALPHABET.blank))

        def confidence(part: np.ndarray = part) -> np.ndarray:
            return ctc.confidences(part)

        np.testing.assert_allclose(probability(), -loss().numpy(), rtol=1e-9, atol=1e-9)
        seconds = {
            "confidence": processor_seconds(confidence) / size,
            "probability": processor_seconds(probability) / size,
            "PyTorch's CTC loss": processor_seconds(loss) / size,
        }
        for name, value in seconds.items():
            print(f"{name + f', batch {size}':<64} {1e6 * value:8.2f}   us of processor a word")
        ratio = seconds["probability"] / seconds["confidence"]
        print(
            f"{'probability / confidence':<64} {ratio:8.3f}   at most 4; and at most 25 us a word"
        )


def _kept(path: np.ndarray) -> np.ndarray:
    kept: np.ndarray = path != ALPHABET.blank
    kept[:, 1:] &= path[:, 1:] != path[:, :-1]
    return kept


def processor_seconds(function: Callable[[], object]) -> float:
    """Return the least processor time of a call, of fifteen times twenty."""
    least = float("inf")
    for _ in range(15):
        start = time.process_time()
        for _ in range(20):
            function()
        least = min(least, (time.process_time() - start) / 20)
    return least


def main() -> None:
    """Measure and print."""
    parser = common.arguments(__doc__, runs=15)
    args = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    with TorchRunner(common.ROOT / "examples" / "crnn_small.pth", threads=args.threads) as runner:
        logits = runner.run(common.pixels(args.data, N))
    tensor, sizes = torch.from_numpy(logits), torch.full((N,), logits.shape[0], dtype=torch.int32)
    assert historical(tensor, sizes) == ctc.greedy(logits, ALPHABET)
    common.head("ctc", args)

    def times(function: Callable[[], object], count: int) -> Callable[[], object]:
        return lambda: [function() for _ in range(count)]

    seconds = common.interleaved(
        {
            "greedy": times(lambda: ctc.greedy(logits, ALPHABET), LOOPS),
            "argmax": times(lambda: logits.argmax(axis=2), LOOPS),
            "confidences, which are asked for separately": times(
                lambda: ctc.confidences(logits), LOOPS
            ),
            "historical": times(lambda: historical(tensor, sizes), 1),
        },
        args,
    )
    seconds["historical"] = [value * LOOPS for value in seconds["historical"]]
    common.show_rates(seconds, N * LOOPS)
    common.show_ratio(
        "greedy / argmax over the same array", seconds["greedy"], seconds["argmax"], "at most 2"
    )
    common.show_ratio(
        "historical / greedy", seconds["historical"], seconds["greedy"], "at least 200"
    )
    show_probability(logits)
    bound = "historical / argmax, which bounds it"
    common.show_ratio(bound, seconds["historical"], seconds["argmax"])
    np.testing.assert_array_equal(ctc.best_path(logits, ALPHABET), logits.argmax(axis=2).T)


if __name__ == "__main__":
    common.run(main)
