"""crnn takes a trained CRNN text recogniser to Huawei Ascend chips and proves that it still
reads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__all__ = ["Recognizer", "__version__"]

if TYPE_CHECKING:
    from crnn.recognizer import Recognizer as Recognizer

    __version__: str


def __getattr__(name: str) -> Any:
    # Lazy, so that "import crnn" costs nothing and needs nothing.
    if name == "Recognizer":
        from crnn.recognizer import Recognizer

        return Recognizer
    if name == "__version__":
        from crnn.version import version

        return version()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
