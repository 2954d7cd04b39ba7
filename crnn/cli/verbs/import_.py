"""``crnn import``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Optional

from crnn.cli import console
from crnn.cli.arguments import (
    add_batch,
    add_color,
    add_json,
    add_written,
    natural,
    put_json,
    read_alphabet,
)
from crnn.cli.main import add_parser
from crnn.errors import CheckError, needs

if TYPE_CHECKING:
    from crnn.results import Difference
    from crnn.weights.checkpoint import Checkpoint

HELP = (
    "Take over weights of MindSpore, TensorFlow or PyTorch, without their frameworks, and check"
    " that two read alike."
)
EXAMPLES = {
    "mindspore": "  crnn import mindspore crnn-10_14110.ckpt crnn.pth",
    "tensorflow": "  crnn import tensorflow shadownet.ckpt-240000 crnn.pth --ord-map ord_map.json",
    "torch": "  crnn import torch old.pth crnn.pth --lstm-gate-order igfo",
    "check": "  crnn import check crnn.pth crnn.onnx --data words_lmdb",
}
EXAMPLE = "\n".join(EXAMPLES.values())

_CHARS = "CHARS|@FILE"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    kinds = parser.add_subparsers(dest="kind", metavar="KIND", required=True)
    _add_mindspore(kinds)
    _add_tensorflow(kinds)
    _add_torch(kinds)
    _add_check(kinds)


def _add_mindspore(kinds: Any) -> None:
    mindspore = _kind(
        kinds, "mindspore", "FILE.ckpt", "a .ckpt or .safetensors of MindSpore's or MindOCR's CRNN"
    )
    mindspore.add_argument(
        "--version",
        choices=("v1", "v2", "mindocr"),
        help="the network (default: told by its names)",
    )
    mindspore.add_argument(
        "--alphabet",
        metavar=_CHARS,
        help="the file's characters in class order (default: a-z0-9; MindOCR 0-9a-z)",
    )


def _add_tensorflow(kinds: Any) -> None:
    tensorflow = _kind(
        kinds,
        "tensorflow",
        "PREFIX",
        "PREFIX.index and PREFIX.data-… or a frozen .pb",
    )
    tensorflow.add_argument(
        "--ord-map",
        type=Path,
        required=True,
        metavar="FILE",
        help="the training's ord_map.json, its order of classes",
    )


def _add_torch(kinds: Any) -> None:
    torch = _kind(kinds, "torch", "FILE.pth", "a PyTorch checkpoint of any known layout")
    torch.add_argument(
        "--preset", metavar="NAME", help="network and spec of a file without, such as mindspore-v2"
    )
    torch.add_argument(
        "--lstm-gate-order",
        choices=("ifgo", "igfo"),
        default="ifgo",
        help="igfo for checkpoints of the first NPU training stack (default: ifgo)",
    )
    torch.add_argument(
        "--alphabet",
        metavar=_CHARS,
        help="the file's characters in class order (default: the spec's)",
    )
    add_color(torch)
    torch.add_argument(
        "--half", action="store_true", help="write float16: half the bytes, read as float32"
    )
    torch.add_argument(
        "--split",
        action="store_true",
        help="write each LSTM as fw_rnn and bw_rnn, as ModelZoo's scripts load it",
    )
    torch.add_argument(
        "--blank-last", action="store_true", help="the file's blank is its last class (default: 0)"
    )


def _add_check(kinds: Any) -> None:
    what = "Say whether two models read alike; exit 3 if not."
    check = add_parser(kinds, "check", what, EXAMPLES["check"])
    check.add_argument("first", type=Path, metavar="A", help="a .pth, .onnx or .om")
    check.add_argument("second", type=Path, metavar="B", help="another, of the same words")
    check.add_argument(
        "--data",
        type=Path,
        required=True,
        metavar="LMDB",
        help="labelled words: LMDB or image folder",
    )
    add_batch(check)
    check.add_argument(
        "--max-differ",
        type=natural,
        default=0,
        metavar="N",
        help="words that may differ (default 0)",
    )
    add_json(check)


def run(args: argparse.Namespace) -> int:
    """Import and say what was taken over, or compare."""
    if args.kind == "check":
        return _check(args)
    with needs("torch", extra="torch"):
        import torch  # noqa: F401  the modules below import it at their top

    from crnn.weights import conversion as takeover
    from crnn.weights.checkpoint import Storage

    classes = takeover.Classes(args.keep_classes, read_alphabet(args.reorder))
    if args.kind == "mindspore":
        alphabet = read_alphabet(args.alphabet)
        checkpoint = takeover.take_mindspore(
            args.source, args.target, version=args.version, alphabet=alphabet, classes=classes
        )
    elif args.kind == "tensorflow":
        checkpoint = takeover.take_tensorflow(
            args.source, args.target, ord_map=args.ord_map, classes=classes
        )
    else:
        checkpoint = takeover.take_torch(
            args.source,
            args.target,
            preset=args.preset,
            lstm_gate_order=args.lstm_gate_order,
            alphabet=read_alphabet(args.alphabet),
            blank_last=args.blank_last,
            classes=classes,
            storage=Storage(args.half, args.split),
            color=args.color,
        )
    _print(args, checkpoint)
    return 0


def _kind(
    kinds: argparse._SubParsersAction[argparse.ArgumentParser], name: str, source: str, what: str
) -> argparse.ArgumentParser:
    parser = add_parser(kinds, name, f"Take over the weights of {what}.", EXAMPLES[name])
    parser.add_argument("source", type=Path, metavar=source, help=what)
    parser.add_argument("target", type=Path, metavar="OUT.pth", help="the checkpoint to write")
    add_json(parser)
    add_written(parser, "target")
    order = parser.add_mutually_exclusive_group()
    order.add_argument(
        "--keep-classes", action="store_true", help="leave the classes in the file's order"
    )
    order.add_argument(
        "--reorder",
        metavar=_CHARS,
        help="the new order, after the blank (default: 0-9a-z, else the file's)",
    )
    return parser


def _print(args: argparse.Namespace, checkpoint: Checkpoint) -> None:
    spec = checkpoint.spec
    result = {
        "schema": "crnn-import/1",
        "source": args.source.name,
        "target": args.target.name,
        "sha256": checkpoint.sha256,
        "parameters": checkpoint.parameters,
        "notes": list(checkpoint.notes),
        "spec": spec.to_dict(),
    }
    if put_json(result, args.json):
        return
    console.say(f"{args.source}: {'; '.join(checkpoint.notes) or 'taken as it is'}")
    console.say(
        f"{args.target}: {checkpoint.parameters} parameters, images"
        f" ({', '.join(map(str, spec.image_shape))}) {spec.color} by {spec.resizer}, logits"
        f" ({spec.time_steps}, N, {spec.classes})"
    )


def _differing(word: Difference) -> Dict[str, Optional[str]]:
    return {"key": word.key, "label": word.label, "text": word.text, "other": word.other}


def _check(args: argparse.Namespace) -> int:
    from crnn.jobs.alike import read_alike
    from crnn.reports import result_json as report
    from crnn.reports import text

    found = read_alike(
        args.first,
        args.second,
        args.data,
        console.progress,
        batch=args.batch,
        max_differ=args.max_differ,
    )
    comparison = found.comparisons[0]
    evaluations = [side.evaluation for side in found.sides]
    result = {
        "schema": "crnn-alike/1",
        "alike": not found.failures,
        "models": [report.to_dict(evaluation) for evaluation in evaluations if evaluation],
        "differing": [_differing(word) for word in comparison.differing],
    }
    if not put_json(result, args.json):
        for path, side in zip((args.first, args.second), found.sides):
            assert side.evaluation is not None
            console.say(f"{path}: {text.accuracy(side.evaluation)}")
        for line in text.differences(comparison):
            console.say(line)
    if found.failures:
        raise CheckError(
            f"{args.first} and {args.second} read {comparison.differ} of"
            f" {found.sides[1].total} words differently; --max-differ allows {args.max_differ}"
        )
    return 0
