"""Greedy CTC: the kit's, a bare argmax, and the historical loop over single characters of torch
scalars.

python benchmarks/ctc.py --data words_lmdb
"""

from __future__ import annotations

from typing import Any, Callable, List

import common
import numpy as np

from crnn import ctc
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
    bound = "historical / argmax, which bounds it"
    common.show_ratio(bound, seconds["historical"], seconds["argmax"])
    np.testing.assert_array_equal(ctc.best_path(logits, ALPHABET), logits.argmax(axis=2).T)


if __name__ == "__main__":
    common.run(main)
