"""crnn takes a trained CRNN text recogniser to Huawei Ascend chips and proves that it still
reads.
"""

import sys

from crnn.interpreter import BOX, require

# Python 2.7 and 3.6 read so far, and are told that they are too old.
require(BOX, "crnn")

__all__ = [
    "CRNN",
    "Built",
    "CheckError",
    "Comparison",
    "EvaluateOutcome",
    "Evaluation",
    "Export",
    "InputError",
    "KitError",
    "ModelSpec",
    "Prepared",
    "Quantised",
    "Reading",
    "Recognizer",
    "UnavailableError",
    "UsageError",
    "__version__",
    "compile_om",
    "evaluate",
    "export_onnx",
    "prepare",
    "quantize",
    "score",
]

_HOMES = {
    "crnn.compile.to_om": ("Built",),
    "crnn.errors": ("CheckError", "InputError", "KitError", "UnavailableError", "UsageError"),
    "crnn.export.quantize": ("Quantised",),
    "crnn.export.to_onnx": ("Export",),
    "crnn.jobs.evaluate": ("EvaluateOutcome",),
    "crnn.jobs.prepare": ("Prepared",),
    "crnn.library": ("compile_om", "evaluate", "export_onnx", "prepare", "quantize", "score"),
    "crnn.network": ("CRNN",),
    "crnn.recognizer": ("Recognizer",),
    "crnn.results": ("Comparison", "Evaluation", "Reading"),
    "crnn.spec": ("ModelSpec",),
}
"""The module of each name, imported when the name is asked for: "import crnn" costs nothing and
needs nothing.
"""

MYPY = False  # true for type checkers
if MYPY:
    from typing import Any, List

    from crnn.compile.to_om import Built as Built
    from crnn.errors import CheckError as CheckError
    from crnn.errors import InputError as InputError
    from crnn.errors import KitError as KitError
    from crnn.errors import UnavailableError as UnavailableError
    from crnn.errors import UsageError as UsageError
    from crnn.export.quantize import Quantised as Quantised
    from crnn.export.to_onnx import Export as Export
    from crnn.jobs.evaluate import EvaluateOutcome as EvaluateOutcome
    from crnn.jobs.prepare import Prepared as Prepared
    from crnn.library import compile_om as compile_om
    from crnn.library import evaluate as evaluate
    from crnn.library import export_onnx as export_onnx
    from crnn.library import prepare as prepare
    from crnn.library import quantize as quantize
    from crnn.library import score as score
    from crnn.network import CRNN as CRNN
    from crnn.recognizer import Recognizer as Recognizer
    from crnn.results import Comparison as Comparison
    from crnn.results import Evaluation as Evaluation
    from crnn.results import Reading as Reading
    from crnn.spec import ModelSpec as ModelSpec

    __version__ = ""


def __getattr__(name):
    # type: (str) -> Any
    import importlib

    if name == "__version__":
        from crnn.version import version

        return version()
    for home, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(home), name)
    raise AttributeError("module %r has no attribute %r" % (__name__, name))


def __dir__():
    # type: () -> List[str]
    return sorted(set(globals()) | set(__all__))
