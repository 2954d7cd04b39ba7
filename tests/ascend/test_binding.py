"""The binding against the signature facts:

it must call what exists, with what it takes, and read what it gives.
"""

from __future__ import annotations

import ast
import inspect
import json
import pickle
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple

import pytest

from crnn.ascend import pyacl
from crnn.ascend.pyacl import STREAMING_CALLS, Acl, AscendError, AscendUnavailableError, error_type
from crnn.cann import codes
from crnn.errors import UnavailableError

FACTS: Dict[str, Any] = json.loads(
    (Path(__file__).parent.parent / "data" / "pyacl_signatures.json").read_text(encoding="utf-8")
)["functions"]
KINDS = {"int": "int", "int32": "int", "str": "str", "dict": "Dict[str, Any]"}
"""The binding's annotations by the kinds of the facts."""


class Call(NamedTuple):
    method: str
    how: str
    name: str
    kinds: List[str]

    @property
    def facts(self) -> Any:
        return FACTS[f"acl.{self.name}"]


def calls() -> Iterator[Call]:
    """Every call of pyACL that the binding's source makes, with the kinds of its arguments."""
    source = inspect.getsource(Acl)
    tree = ast.parse(source)
    for method in ast.walk(tree):
        if not isinstance(method, ast.FunctionDef):
            continue
        annotations = {
            word.arg: ast.get_source_segment(source, word.annotation) or ""
            for word in method.args.args
            if word.annotation
        }
        for word in ast.walk(method):
            if isinstance(word, ast.AnnAssign) and isinstance(word.target, ast.Name):
                annotations[word.target.id] = ast.get_source_segment(source, word.annotation) or ""
        for node in ast.walk(method):
            if not (
                isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args
            ):
                continue
            first = node.args[0]
            if node.func.attr in ("_code", "_value", "_plain", "_call") and isinstance(
                first, ast.Constant
            ):
                kinds = [
                    annotations.get(word.id, "int") if isinstance(word, ast.Name) else "int"
                    for word in node.args[1:]
                ]
                yield Call(method.name, node.func.attr, first.value, kinds)


CALLS = list(calls())


def test_the_source_was_read() -> None:
    assert len({call.name for call in CALLS}) > 45
    assert {"rt.malloc", "mdl.execute_async", "get_version", "rt.get_context"} <= {
        call.name for call in CALLS
    }


@pytest.mark.parametrize("call", CALLS, ids=lambda call: f"{call.method}-{call.name}")
def test_arguments_fit_the_facts(call: Call) -> None:
    wanted = call.facts["args"]
    least = len(wanted) if call.facts["optional_from"] is None else call.facts["optional_from"]
    assert least <= len(call.kinds) <= len(wanted)
    for argument, kind in zip(wanted, call.kinds):
        assert kind == KINDS[argument["kind"]], argument


@pytest.mark.parametrize("call", CALLS, ids=lambda call: f"{call.method}-{call.name}")
def test_results_fit_the_facts(call: Call) -> None:
    returns = call.facts["returns"]
    if call.how == "_code":
        assert returns == ["ret:int"]
    elif call.how == "_value":
        assert len(returns) == 2
        assert returns[1] == "ret:int"
    elif call.how == "_plain":
        assert len(returns) == 1
        assert returns != ["ret:int"]
    else:
        assert len(returns) > 1
        assert returns[-1] == "ret:int"


def test_optional_calls_exist_somewhere() -> None:
    names = [*STREAMING_CALLS, "get_version", "finalize_reference", "get_recent_err_msg"]
    assert [name for name in names if f"acl.{name}" not in FACTS] == []
    assert set(STREAMING_CALLS) <= {call.name for call in CALLS}


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (100000, AscendError),  # caller
        (107002, AscendError),
        (145013, AscendError),
        (507008, AscendError),  # an OM for another chip
        (100039, AscendUnavailableError),  # stub libraries
        (148049, AscendUnavailableError),  # operator path
        (207001, AscendUnavailableError),  # memory
        (300000, AscendUnavailableError),
        (507011, AscendUnavailableError),  # inside the chip
        (545001, AscendUnavailableError),
        (999999, AscendUnavailableError),  # in no table
    ],
)
def test_exit_code_follows_the_range(code: int, kind: type) -> None:
    error = error_type(code)("rt.malloc", code)
    assert type(error) is kind
    assert error.exit_code == (4 if kind is AscendUnavailableError else 1)


def test_every_documented_code_says_what_to_do() -> None:
    for text, entry in codes.table().items():
        if text.isdigit() and text != "0":
            error = error_type(int(text))("rt.malloc", int(text))
            assert text in error.message
            assert entry.meaning in error.message
            assert entry.remedy in error.hint


def test_error_tells_call_code_cause_and_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ASCEND_PROCESS_LOG_PATH", raising=False)
    error = AscendUnavailableError("rt.malloc", 207001, "EE1013: no room", about="model.om")
    assert str(error).startswith("model.om: acl.rt.malloc failed with 207001 (out of memory). ")
    assert "CANN says: EE1013: no room" in error.message
    assert "npu-smi info" in error.hint
    assert "~/ascend/log/debug/plog" in error.hint
    monkeypatch.setenv("ASCEND_PROCESS_LOG_PATH", "/logs")
    assert "/logs/debug/plog" in AscendError("rt.malloc", 100000).hint


def test_error_survives_the_way_between_processes() -> None:
    error = AscendUnavailableError("mdl.execute", 507011, "EZ9999", about="device 1")
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.code, again.call) == (
        type(error),
        str(error),
        507011,
        "mdl.execute",
    )


def test_without_cann_the_hint_is_what_to_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "acl", None)
    with pytest.raises(UnavailableError, match="needs CANN's pyACL") as caught:
        pyacl.load_acl()
    assert "set_env.sh" in caught.value.hint
    assert caught.value.exit_code == 4
