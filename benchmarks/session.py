"""ONNX Runtime's session options: spinning threads, the arena, the memory pattern, one thread;
alone, and when fed.

python benchmarks/session.py --data words_lmdb --loaded 2
"""

from __future__ import annotations

import contextlib
import multiprocessing
import tempfile
from pathlib import Path
from typing import Any, Dict, Iterator

import common
import onnxruntime
from evaluate import bare_session, evaluation

from crnn.runners.onnx_runner import OnnxRunner
from crnn.samples.source import ImageSource

SPIN = "session.intra_op.allow_spinning"
STOP = "session.force_spinning_stop"


def session(
    onnx: Path,
    threads: int,
    *,
    spin: bool = False,
    stop: bool = False,
    arena: bool = True,
    pattern: bool = True,
) -> Any:
    """Return a session with these options."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = arena
    options.enable_mem_pattern = pattern
    options.add_session_config_entry(SPIN, str(int(spin)))
    options.add_session_config_entry(STOP, str(int(stop)))
    return onnxruntime.InferenceSession(str(onnx), options, providers=["CPUExecutionProvider"])


def spin_for_ever() -> None:
    """Keep a processor busy, as other programs do."""
    while True:
        pass


@contextlib.contextmanager
def load(processes: int) -> Iterator[None]:
    """Run so many busy processes beside the block."""
    others = [
        multiprocessing.get_context("fork").Process(target=spin_for_ever, daemon=True)
        for _ in range(processes)
    ]
    for other in others:
        other.start()
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.join()


def main() -> None:
    """Measure and print."""
    parser = common.arguments(__doc__)
    parser.add_argument(
        "--loaded", type=int, default=0, metavar="N", help="busy processes beside the measurement"
    )
    parser.add_argument(
        "--words", type=int, default=256, help="words a run at batch 64 (default 256)"
    )
    args = parser.parse_args()
    common.head(f"session options, full width, {args.loaded} busy processes beside", args)
    with tempfile.TemporaryDirectory() as name, load(args.loaded):
        _, onnx = common.full_width(Path(name))
        kinds: Dict[str, Any] = {
            "not spinning": session(onnx, args.threads),
            "spinning": session(onnx, args.threads, spin=True),
            "spinning within a run": session(onnx, args.threads, spin=True, stop=True),
            "not spinning, no arena": session(onnx, args.threads, arena=False),
            "not spinning, no memory pattern": session(onnx, args.threads, pattern=False),
            "one thread": session(onnx, 1),
        }
        for batch, count in ((1, args.words // 8), (64, args.words)):
            images = common.pixels(args.data, count)
            with OnnxRunner(onnx, threads=args.threads) as runner:
                runs = {}
                for kind, each in kinds.items():
                    runner._session = each
                    runs[kind] = bare_session(runner, images, batch)
                seconds = common.interleaved(runs, args)
            print(f"batch {batch}, bare")
            for kind in kinds:
                common.show_ratio(
                    f"  {kind} / not spinning", seconds["not spinning"], seconds[kind]
                )
        words = common.Repeated(args.data, args.words)
        with OnnxRunner(onnx, threads=args.threads) as runner:
            fed = evaluation(runner, ImageSource(words, common.SPEC, args.threads), 64)

            def with_session(each: Any) -> None:
                runner._session = each
                fed()

            seconds = common.interleaved(
                {kind: lambda each=each: with_session(each) for kind, each in kinds.items()}, args
            )
        print("batch 64, evaluate from the LMDB")
        for kind in kinds:
            common.show_ratio(f"  {kind} / not spinning", seconds["not spinning"], seconds[kind])


if __name__ == "__main__":
    common.run(main)
