"""A runner that fails in the way that the word it reads asks for.

It has a module of its own since processes import it by its name: nothing here takes long to import.
"""

from __future__ import annotations

import os
import signal
import time

import numpy as np

from crnn import ctc
from crnn.errors import InputError, UnavailableError
from crnn.runners.onnx_runner import OnnxRunner
from crnn.spec import ModelSpec

ALPHABET = ModelSpec.default().alphabet


class Touchy(OnnxRunner):
    """Fails in the way that the word it reads asks for."""

    def _run(self, images: np.ndarray) -> np.ndarray:
        logits = super()._run(images)
        for word in ctc.greedy(logits, ALPHABET):
            if word == "bad":
                raise InputError("a bad word", hint="Say another.")
            if word == "bug":
                raise ZeroDivisionError("a bug")
            if word == "die":
                os.kill(os.getpid(), signal.SIGKILL)
            if word in ("once", "hang") and self._is_first(word):
                if word == "once":
                    raise UnavailableError("the chip fell out")
                time.sleep(1000)
        return logits

    def _is_first(self, word: str) -> bool:
        try:
            self.model.path.with_suffix(f".{word}").touch(exist_ok=False)
        except FileExistsError:
            return False
        return True
