"""The walk of ``crnn evaluate ONNX LMDB`` through the kit, counted by a call tracer.

python -m tests.measure.walk [MODEL.onnx WORDS_LMDB]

Without arguments it exports the example model and reads the example words. Counted are functions
alone: class bodies and modules run at import are not part of the walk.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import inspect
import io
import json
import sys
import tempfile
import threading
import types
from pathlib import Path
from typing import Any, Dict, Iterator, List, Sequence, Set, Tuple

PROGRESS = ("progress", "advance")
"""Arguments that may be functions: they show how far the evaluation is."""
JOBS = ("jobs/", "scoring/")
"""The job, and the loop that it shares with training and quantising."""
_FUNCTIONS = (types.FunctionType, types.MethodType, functools.partial)
_DECORATED = "contextlib.py"


@dataclasses.dataclass(frozen=True)
class Walk:
    """What one evaluation ran through.

    ``generators`` is how many generators of the kit wait for one another from the loop of the
    evaluation to the data: the most on the stack of each thread, all threads together (what a
    ``with`` statement enters is not one of them). ``depth`` counts the kit's functions on the stack
    when ONNX Runtime is called. ``handed_down`` names the functions that were given to a function
    of the kit, as CALLEE(ARGUMENT), but for progress.
    """

    functions: int
    names: Dict[str, List[str]]
    files: Tuple[str, ...]
    jobs: Tuple[str, ...]
    generators: int
    depth: int
    handed_down: Tuple[str, ...]

    def to_dict(self) -> Dict[str, Any]:
        """Return the counts as plain data."""
        return {
            "functions": self.functions,
            "files": len(self.files),
            "files of jobs": len(self.jobs),
            "nested generators": self.generators,
            "stack depth at ONNX Runtime": self.depth,
            "functions handed down": len(self.handed_down),
        }


class _Tracer:
    """Hears of each call in every thread."""

    def __init__(self, root: Path) -> None:
        self._root = f"{root}/"
        self.functions: Set[types.CodeType] = set()
        self.generators: Dict[int, int] = {}
        self.depth = 0
        self.handed_down: Set[str] = set()

    def __call__(self, frame: types.FrameType, event: str, argument: object) -> None:
        if event != "call":
            return
        code = frame.f_code
        if self._is_ours(code):
            if _is_import(frame):
                return
            self.functions.add(code)
            self._note_functions_given(frame)
            self._note_generators(frame)
        elif code.co_name == "run" and "onnxruntime" in code.co_filename:
            depth = sum(self._is_ours(above.f_code) for above in _stack(frame))
            self.depth = max(self.depth, depth)

    def files(self) -> List[str]:
        """Return the files, under the package, of the functions that ran."""
        names = {code.co_filename[len(self._root) :] for code in self.functions}
        return sorted(names)

    def names(self) -> Dict[str, List[str]]:
        """Return the functions that ran, by file."""
        found: Dict[str, List[str]] = {}
        for code in self.functions:
            found.setdefault(code.co_filename[len(self._root) :], []).append(code.co_name)
        return found

    def _is_ours(self, code: types.CodeType) -> bool:
        is_function = code.co_flags & inspect.CO_OPTIMIZED and code.co_name != "<module>"
        return bool(is_function) and code.co_filename.startswith(self._root)

    def _note_functions_given(self, frame: types.FrameType) -> None:
        code = frame.f_code
        names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        for name in names:
            given = frame.f_locals.get(name)
            if isinstance(given, _FUNCTIONS) and name not in PROGRESS:
                self.handed_down.add(f"{code.co_name}({name})")

    def _note_generators(self, frame: types.FrameType) -> None:
        if not frame.f_code.co_flags & inspect.CO_GENERATOR:
            return
        nested = 0
        for above in _stack(frame):
            if self._is_ours(above.f_code) and _is_nested_generator(above):
                nested += 1
        thread = threading.get_ident()
        self.generators[thread] = max(self.generators.get(thread, 0), nested)


def _stack(frame: types.FrameType) -> Iterator[types.FrameType]:
    above: Any = frame
    while above is not None:
        yield above
        above = above.f_back


def _is_import(frame: types.FrameType) -> bool:
    """Say whether a module calls this function while it is imported."""
    module = frame.f_back
    if module is None or module.f_code.co_name != "<module>" or module.f_back is None:
        return False
    return "importlib" in module.f_back.f_code.co_filename


def _is_nested_generator(frame: types.FrameType) -> bool:
    if not frame.f_code.co_flags & inspect.CO_GENERATOR:
        return False
    caller = frame.f_back
    return caller is None or not caller.f_code.co_filename.endswith(_DECORATED)


def walk(model: Path, data: Path) -> Walk:
    """Evaluate ``model`` on ``data`` in this process and return what was counted.

    Args:
        model: An ONNX file.
        data: An LMDB.

    Returns:
        The counts and the names behind them.

    Raises:
        RuntimeError: The evaluation failed.
    """
    import crnn
    from crnn.cli.main import main

    tracer = _Tracer(Path(crnn.__file__).parent)
    threading.setprofile(tracer)
    sys.setprofile(tracer)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            code = main(["evaluate", str(model), str(data)])
    finally:
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]
    if code:
        raise RuntimeError(f"crnn evaluate {model} {data} ended with exit code {code}")
    files = tracer.files()
    return Walk(
        functions=len(tracer.functions),
        names=tracer.names(),
        files=tuple(files),
        jobs=tuple(name for name in files if name.startswith(JOBS)),
        generators=sum(tracer.generators.values()),
        depth=tracer.depth,
        handed_down=tuple(sorted(tracer.handed_down)),
    )


def example_walk() -> Walk:
    """Return the walk of the example model, exported here, over the example words."""
    from crnn.export.graph import GraphOptions
    from crnn.export.to_onnx import export_onnx
    from crnn.weights.checkpoint import load_checkpoint

    examples = Path(__file__).resolve().parents[2] / "examples"
    with tempfile.TemporaryDirectory(prefix="crnn-walk-") as folder:
        model = Path(folder) / "crnn_small.onnx"
        export_onnx(load_checkpoint(examples / "crnn_small.pth"), model, GraphOptions())
        return walk(model, examples / "words_lmdb")


def main(argv: Sequence[str]) -> None:
    """Print the counts and the files."""
    found = walk(*map(Path, argv)) if argv else example_walk()
    lines = [json.dumps(found.to_dict(), indent=1)]
    for name in found.files:
        lines.append(f"{name}: {', '.join(sorted(set(found.names[name])))}")
    lines.append(f"handed down: {', '.join(found.handed_down) or 'none'}")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
