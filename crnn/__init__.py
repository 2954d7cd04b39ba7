"""crnn takes a trained CRNN text recogniser to Huawei Ascend chips and proves that it still
reads.
"""

import sys

from crnn.interpreter import BOX, require

# Python 2.7 and 3.6 read so far, and are told that they are too old.
require(BOX, "crnn")

__all__ = ["CRNN", "Recognizer", "__version__"]

MYPY = False  # true for type checkers
if MYPY:
    from typing import Any

    from crnn.network import CRNN as CRNN
    from crnn.recognizer import Recognizer as Recognizer

    __version__ = ""


def __getattr__(name):
    # type: (str) -> Any
    # Lazy, so that "import crnn" costs nothing and needs nothing.
    if name == "CRNN":
        from crnn.network import CRNN

        return CRNN
    if name == "Recognizer":
        from crnn.recognizer import Recognizer

        return Recognizer
    if name == "__version__":
        from crnn.version import version

        return version()
    raise AttributeError("module %r has no attribute %r" % (__name__, name))
