"""An OM that shows its inside: every node's output an output of the OM's, by ATC's --out_nodes.

Where ATC refuses one of them, halves are tried until those that it refuses are known and left out.
"""

from __future__ import annotations

import re
from typing import Any, Callable, Dict, List, Mapping, Sequence, Tuple

from crnn.ascend.om import Om, OmTensor
from crnn.errors import InputError, UsageError, needs

Accepts = Callable[[Sequence[str]], bool]
"""Says whether ATC compiles with these nodes as outputs."""


def nodes_shown(graph: Any) -> Dict[str, str]:
    """Say which nodes of a graph can be outputs of an OM.

    Args:
        graph: A ModelProto of one output.

    Returns:
        The tensor that each node makes, by the node's name, in the graph's order: those of floats.
        The one that makes the graph's output is among them.

    Raises:
        InputError: The node that makes the output has no name that --out_nodes takes.
    """
    with needs("onnx"):
        import onnx
    inferred = onnx.shape_inference.infer_shapes(graph)
    floats = set()
    for value in [*inferred.graph.value_info, *inferred.graph.output]:
        if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT:
            floats.add(value.name)
    found: Dict[str, str] = {}
    for node in graph.graph.node:
        plain = node.name and not re.search("[:;]", node.name)
        if plain and node.op_type != "Constant" and node.output[0] in floats:
            found[node.name] = node.output[0]
    logits = graph.graph.output[0].name
    if logits not in found.values():
        raise InputError(
            f"the node that makes the output {logits} has no name without : and ;, by which ATC's"
            " --out_nodes could take it",
            hint="Export the model with names of its nodes, as crnn export does.",
        )
    return found


def refuse_several(batches: Sequence[int], others: Mapping[str, bool]) -> None:
    """Refuse what --probe does not go with: it is about one graph of one size.

    Args:
        batches: Images a batch.
        others: Whether each option of a name was given.

    Raises:
        UsageError: There are several sizes, or one of the options.
    """
    if len(batches) > 1:
        raise UsageError("--probe takes one batch size: it is for looking inside, not for speed")
    for name, given in others.items():
        if given:
            raise UsageError(f"--probe and {name} exclude each other: --probe is of one size")


def accepted(nodes: Sequence[str], needed: str, accepts: Accepts) -> List[str]:
    """Return the nodes that ATC takes as outputs, found by halving where it refuses some.

    Args:
        nodes: All that are wanted.
        needed: The one that is always asked for: it makes the logits.
        accepts: Runs ATC.

    Returns:
        Those that it takes, in their order; ``needed`` is among them.
    """
    if not accepts([needed]):
        return []
    kept = _accepted([node for node in nodes if node != needed], needed, accepts)
    return [node for node in nodes if node == needed or node in kept]


def _accepted(nodes: Sequence[str], needed: str, accepts: Accepts) -> List[str]:
    if not nodes or accepts([*nodes, needed]):
        return list(nodes)
    if len(nodes) == 1:
        return []
    half = len(nodes) // 2
    return [
        *_accepted(nodes[:half], needed, accepts),
        *_accepted(nodes[half:], needed, accepts),
    ]


def outputs_in_order(om: Om, nodes: Sequence[str]) -> Tuple[str, ...]:
    """Say which node each output of an OM is.

    Args:
        om: What ATC wrote.
        nodes: What it was asked for, in order.

    Returns:
        A node for each output: by the outputs' names where these tell, else in the order asked for.

    Raises:
        InputError: There are more outputs, or fewer.
    """
    if len(om.outputs) != len(nodes):
        raise InputError(
            f"ATC gave {len(om.outputs)} outputs for {len(nodes)} nodes of --out_nodes"
        )
    named: List[str] = []
    for index, output in enumerate(om.outputs):
        named.extend(node for node in nodes if _is_of(output, index, node))
    if sorted(named) == sorted(nodes):
        return tuple(named)
    return tuple(nodes)


def _is_of(output: OmTensor, index: int, node: str) -> bool:
    """Say whether an output is a node's: NODE:0 or NODE:0:TENSOR, before CANN 6 output_3_NODE_0."""
    name = output.name
    return name in (f"{node}:0", f"output_{index}_{node}_0") or name.startswith(f"{node}:0:")
