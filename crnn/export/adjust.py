"""An ONNX file as it is to be read: with a spec of its own, and with the one output that has the
logits.
"""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import Any, Iterator, List, Optional, Set

from crnn.errors import InputError, needs
from crnn.files import atomic_file, require_target
from crnn.fingerprint import FINGERPRINT_KEY, fingerprint_in
from crnn.runners.base import OTHER_NETWORK
from crnn.runners.onnx_file import load_external_data
from crnn.runners.onnx_runner import OnnxRunner, chosen_output, load_graph, steps_of
from crnn.runners.open import spec_given
from crnn.spec import METADATA_KEY, ModelSpec, spec_in

_OTHER_SPEC = (
    "The model is another network than this spec says: see crnn inspect on it. Give another preset,"
    " or the JSON of the keys that differ."
)


def adjusted(proto: Any, path: Path, *, spec: Optional[str], output: Optional[str]) -> Any:
    """Return a graph with the spec that it is to be read by and without what is not for it.

    Args:
        proto: The file's ModelProto, its weights inside; it is left as it is.
        path: The file, for errors.
        spec: What ``--spec`` names; None for the file's own.
        output: What ``--output`` names; None for the only one.

    Returns:
        A copy, or ``proto`` where nothing is to be changed.

    Raises:
        InputError: There is no such output or spec, or there are several outputs and none is named.
    """
    logits = chosen_output(path, proto.graph.output, output)
    weights = {tensor.name for tensor in proto.graph.initializer}
    listed = any(value.name in weights for value in proto.graph.input)
    if spec is None and len(proto.graph.output) == 1 and not listed:
        return proto
    with needs("onnx"):
        import onnx
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    if listed:
        images = [value for value in copy.graph.input if value.name not in weights]
        del copy.graph.input[:]
        copy.graph.input.extend(images)
    if len(copy.graph.output) > 1:
        _keep_output(copy.graph, logits.name)
    if spec is not None:
        _put_spec(copy, path, spec)
    return copy


@contextlib.contextmanager
def adjusted_file(path: Path, *, spec: Optional[str], output: Optional[str]) -> Iterator[Path]:
    """Give a file that is as `adjusted` makes it, for the time of a block.

    Args:
        path: An ONNX file.
        spec: What ``--spec`` names; None for the file's own.
        output: What ``--output`` names; None for the only one.

    Yields:
        The file itself, or a copy in a temporary folder.

    Raises:
        InputError: As `adjusted`; or it is not an ONNX file.
    """
    proto = load_external_data(load_graph(path), path)
    made = adjusted(proto, path, spec=spec, output=output)
    if made is proto:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="crnn-onnx-") as folder:
        copy = Path(folder) / path.name
        copy.write_bytes(made.SerializeToString())
        try:
            yield copy
        except InputError as error:
            first, *others = [part.replace(str(copy), str(path)) for part in error.parts]
            raise InputError(first, hint=error.hint, lines=others) from error


def set_spec(path: Path, target: Path, *, spec: str, output: Optional[str]) -> ModelSpec:
    """Write a copy of an ONNX file that carries a spec.

    Args:
        path: The ONNX file; weights beside it go into the copy.
        target: The copy.
        spec: What ``--spec`` names.
        output: The output that is kept, where there are several.

    Returns:
        The spec that the copy carries.

    Raises:
        InputError: The spec does not fit the graph; nothing is written then.
    """
    require_target(target)
    with adjusted_file(path, spec=spec, output=output) as copy:
        found = _checked(copy, path)
        with atomic_file(target) as file:
            file.write(copy.read_bytes())
    return found


def _checked(copy: Path, path: Path) -> ModelSpec:
    """Return the spec of a copy whose inputs and outputs fit it; errors name the file itself."""
    try:
        with OnnxRunner(copy) as runner:
            return runner.spec
    except InputError as error:
        message = error.message.replace(str(copy), str(path))
        message = message.replace("the spec (file)", "the spec (given)")
        hint = error.hint
        if hint == OTHER_NETWORK:
            hint = _OTHER_SPEC
        raise InputError(message, hint=hint) from error


def _put_spec(proto: Any, path: Path, text: str) -> None:
    from onnx import helper

    # What decodes images is needed here alone.
    from crnn.patterns import fingerprint_after

    metadata = {entry.key: entry.value for entry in proto.metadata_props}
    own = spec_in(metadata, path) or ModelSpec.default()
    logits = proto.graph.output[0]
    wanted = spec_given(own, text, None, lambda width: steps_of(logits, own))
    metadata[METADATA_KEY] = wanted.to_json()
    inputs = fingerprint_after(fingerprint_in(metadata), own, wanted)
    metadata.pop(FINGERPRINT_KEY, None)
    if inputs is not None:
        metadata[FINGERPRINT_KEY] = inputs.to_json()
    del proto.metadata_props[:]
    helper.set_model_props(proto, metadata)


def _keep_output(graph: Any, name: str) -> None:
    """Leave one output, and the nodes and weights that it needs."""
    kept: List[Any] = []
    needed: Set[str] = {name}
    for node in reversed(graph.node):
        if needed.isdisjoint(node.output):
            continue
        kept.append(node)
        needed.update(node.input)
        for attribute in node.attribute:
            needed.update(_outer_names(attribute))
    for part, values in (
        (graph.node, list(reversed(kept))),
        (graph.output, [value for value in graph.output if value.name == name]),
        (graph.initializer, [tensor for tensor in graph.initializer if tensor.name in needed]),
    ):
        saved = [type(value).FromString(value.SerializeToString()) for value in values]
        del part[:]
        part.extend(saved)


def _outer_names(attribute: Any) -> Set[str]:
    """Return the names that graphs inside a node may take from outside."""
    names: Set[str] = set()
    graphs = list(attribute.graphs)
    if attribute.HasField("g"):
        graphs.append(attribute.g)
    for graph in graphs:
        for node in graph.node:
            names.update(node.input)
            for inner in node.attribute:
                names.update(_outer_names(inner))
    return names
