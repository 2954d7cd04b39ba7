"""Every function of the stand-in against the facts read from pyACL's source:

arity, kinds, results, error texts.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Callable, Dict, List

import numpy as np
import pytest

from crnn.simulator import Knobs, Simulator, installed
from crnn.simulator.known_names import KNOWN
from crnn.simulator.signatures import SIGNATURES
from tests.simulator.conftest import Machine

TABLE: Dict[str, Any] = json.loads(
    (Path(__file__).parent.parent / "data" / "pyacl_signatures.json").read_text(encoding="utf-8")
)
FACTS: Dict[str, Any] = TABLE["functions"]
LEFT_OUT = {
    "acl.float16_to_float",
    "acl.float_to_float16",
    "acl.mdl.get_desc_from_mem",
    "acl.mdl.get_first_aipp_info",
    "acl.mdl.get_tensor_real_name",
    "acl.mdl.query_size_from_mem",
    "acl.rt.malloc_align32",
    "acl.rt.set_op_wait_timeout",
}
"""Calls with facts that are not simulated: no public program was found that makes them."""
NEWEST = Simulator(Knobs(cann=(9, 0)))
TAKES = sorted(name for name in SIGNATURES if not FACTS[name]["ignores_args"])
PARSED = [name for name in TAKES if (FACTS[name]["parse_error"] or {}).get("message")]

VALUES = {"k": 1, "K": 1, "i": 1, "I": 1, "H": 1, "f": 1.0, "s": "x", "O": object()}


def function(name: str) -> Callable[..., Any]:
    with installed(NEWEST) as acl:
        module, _, short = name.rpartition(".")
        return getattr(acl if module == "acl" else getattr(acl, module.partition(".")[2]), short)  # type: ignore[no-any-return]


def values(name: str) -> List[Any]:
    return [VALUES[letter] for letter in FACTS[name]["args_format"].replace("|", "")]


def error(name: str) -> str:
    return f"^{re.escape(FACTS[name]['parse_error']['message'])}$"


def test_the_table_and_the_facts_name_the_same_functions() -> None:
    assert set(SIGNATURES) == set(FACTS) - LEFT_OUT


def test_the_known_names_are_those_of_the_facts() -> None:
    assert {*FACTS, *TABLE["without_facts"]} == KNOWN


@pytest.mark.parametrize("name", sorted(SIGNATURES))
def test_letters(name: str) -> None:
    fact, own = FACTS[name], SIGNATURES[name]
    assert own.arguments == (None if fact["ignores_args"] else fact["args_format"])
    if name != "acl.util.ptr_to_bytes":  # its bytes are not built by format letters
        assert own.results == (fact["returns_format"] or "-")
    assert len(own.results.replace("-", "")) == len(fact["returns"])


@pytest.mark.parametrize("name", sorted(set(SIGNATURES) - set(TAKES)))
def test_functions_that_ignore_their_arguments(name: str) -> None:
    SIGNATURES[name].parse([object(), "anything"])


@pytest.mark.parametrize("name", PARSED)
def test_arity(name: str) -> None:
    fewest = (FACTS[name]["args_format"]).partition("|")[0]
    with pytest.raises(TypeError, match=error(name)):
        function(name)(*values(name), 1)
    if fewest:
        with pytest.raises(TypeError, match=error(name)):
            function(name)(*values(name)[: len(fewest) - 1])


@pytest.mark.parametrize("name", PARSED)
def test_kinds(name: str) -> None:
    letters = FACTS[name]["args_format"].replace("|", "")
    wrong = {
        "k": (np.int64(1), 1.0, None, "1"),
        "K": (np.int64(1), 1.0, None),
        "i": (1.0, None, "1", 1 << 31, -(1 << 31) - 1),
        "I": (1.0, None),
        "H": (1.0, None),
        "f": ("1.0", None, b"1"),
        "s": (None, b"x", 1, "x\0y"),
        "O": (),
    }
    for position, letter in enumerate(letters):
        for bad in wrong[letter]:
            arguments = values(name)
            arguments[position] = bad
            with pytest.raises(TypeError, match=error(name)) as caught:
                function(name)(*arguments)
            assert caught.value.__cause__ is None


@pytest.mark.parametrize("name", TAKES)
def test_kinds_that_pass(name: str) -> None:
    letters = FACTS[name]["args_format"].replace("|", "")
    right = {
        "k": (True, 1 << 64, -1),
        "K": (True, 1 << 70),
        "i": (np.int64(1), True),
        "I": (np.int64(1), 1 << 40),
    }
    for position, letter in enumerate(letters):
        for good in right.get(letter, ()):
            arguments = values(name)
            arguments[position] = good
            parsed = SIGNATURES[name].parse(arguments)
            bits = {"k": 64, "K": 64, "I": 32}.get(letter)
            assert parsed[position] == (int(good) % (1 << bits) if bits else int(good))
            assert type(parsed[position]) is int


@pytest.mark.parametrize("name", sorted(SIGNATURES))
def test_keywords_are_refused(name: str) -> None:
    with pytest.raises(TypeError, match="takes no keyword arguments"):
        function(name)(size=1)


@pytest.mark.parametrize(
    "name", [name for name in sorted(SIGNATURES) if SIGNATURES[name].gives_code]
)
def test_what_a_failed_call_gives(name: str) -> None:
    """The facts name each result; a code comes last, and as many values before it."""
    returns = FACTS[name]["returns"]
    assert returns[-1].startswith(("ret", "error"))
    given = SIGNATURES[name].failure(123456, [7, 8, 9])
    if len(returns) == 1:
        assert given == 123456
        return
    assert isinstance(given, tuple) and len(given) == len(returns)
    assert given[-1] == 123456
    kinds = {"int": int, "float": float, "dict": dict, "str": str}
    for value, fact in zip(given[:-1], returns[:-1]):
        kind = fact.partition(":")[2]
        assert value is None or isinstance(value, kinds[kind.partition("|")[0]])


@pytest.mark.parametrize(
    "name", [name for name in sorted(SIGNATURES) if not SIGNATURES[name].gives_code]
)
def test_calls_without_a_code(name: str) -> None:
    returns = FACTS[name]["returns"]
    assert not any(fact.startswith("ret:") for fact in returns)
    assert len(returns) <= 1 or name == "acl.util.numpy_contiguous_to_ptr"


@pytest.mark.parametrize(
    "name", sorted(name for name in SIGNATURES if not name.startswith("acl.util"))
)
def test_before_init_every_call_answers_in_its_own_form(
    start: Callable[..., Machine], name: str
) -> None:
    machine = start(cann=(9, 0))
    module, _, short = name.rpartition(".")
    owner = machine.acl if module == "acl" else getattr(machine.acl, module.partition(".")[2])
    arguments = [0 if value == 1 else value for value in values(name)] if name in TAKES else []
    if name in ("acl.init", "acl.rt.launch_callback", "acl.create_tensor_desc"):
        return
    result = getattr(owner, short)(*arguments)
    shape = len(FACTS[name]["returns"])
    assert isinstance(result, tuple) == (shape > 1)
    if shape > 1:
        assert len(result) == shape


@pytest.mark.parametrize("name", sorted(KNOWN - set(SIGNATURES)))
def test_a_known_call_that_is_not_simulated_is_named(machine: Machine, name: str) -> None:
    module, _, short = name.rpartition(".")
    owner = machine.acl if module == "acl" else getattr(machine.acl, module.partition(".")[2])
    assert not hasattr(owner, short)
    with pytest.raises(AttributeError) as caught:
        getattr(owner, short)
    text = f"module '{module}' has no attribute '{short}': {name} is a call of pyACL that is not"
    assert str(caught.value) == f"{text} simulated"
    assert machine.broken == []


def test_anything_else_is_the_usual_attribute_error(machine: Machine) -> None:
    acl = machine.acl
    for owner, name in ((acl.util, "get_ptr"), (acl.rt, "get_soc_name"), (acl, "op")):
        text = f"module '{owner.__name__}' has no attribute '{name}'"
        with pytest.raises(AttributeError, match=f"^{text}$"):
            getattr(owner, name)


def test_a_call_of_a_later_release_is_named(start: Callable[..., Machine]) -> None:
    acl = start(cann=(5, 0)).acl
    with pytest.raises(AttributeError, match="bytes_to_ptr is not in the simulated CANN 5.0$"):
        acl.util.bytes_to_ptr(b"")


@pytest.mark.parametrize(
    ("release", "absent"),
    [
        (
            (5, 0),
            [
                "util.bytes_to_ptr",
                "util.ptr_to_bytes",
                "mdl.get_desc_from_file",
                "finalize_reference",
            ],
        ),
        ((6, 0), ["mdl.get_desc_from_file", "finalize_reference", "rt.reset_device_force"]),
        ((9, 0), []),
    ],
)
def test_old_releases_lack_calls(
    start: Callable[..., Machine], release: Any, absent: List[str]
) -> None:
    acl = start(cann=release).acl
    for name in ("util.bytes_to_ptr", "mdl.get_desc_from_file", "finalize_reference", *absent):
        module, _, short = name.rpartition(".")
        assert hasattr(getattr(acl, module) if module else acl, short) == (name not in absent)


def test_all_ways_of_importing(machine: Machine) -> None:
    import acl
    import acl.rt
    from acl.mdl import create_desc
    from acl.rt import malloc

    assert acl is machine.acl
    assert malloc is acl.rt.malloc
    assert create_desc is acl.mdl.create_desc
    assert acl.simulated is True


def test_functions_of_their_own_errors(machine: Machine) -> None:
    """Exceptions that are not the argument parser's."""
    acl = machine.acl
    rows = [
        (lambda: acl.create_tensor_desc(0, (1, 2), 2), TypeError, "argument 2 is not list"),
        (lambda: acl.create_tensor_desc(0, [np.int64(1)], 2), TypeError, "invalid data type"),
        (lambda: acl.create_tensor_desc(0, [1 << 63], 2), ValueError, "PyLong_AsLongLong failed"),
        (lambda: acl.util.bytes_to_ptr(bytearray(b"x")), ValueError, "needs an byte as argument"),
        (lambda: acl.rt.launch_callback(3, None, 0, 0), TypeError, "parameter must be callable"),
        (lambda: acl.util.start_thread(3, None), TypeError, "parameter must be callable"),
        (lambda: acl.util.start_thread(print), TypeError, "takes exactly 2 arguments"),
        (lambda: acl.mdl.set_input_dynamic_dims(0, 0, 0, []), TypeError, "argument 4 is not dict"),
        (
            lambda: acl.mdl.set_config_opt(acl.mdl.create_config_handle(), 2, 5),
            TypeError,
            "args parse failed!",
        ),
    ]
    for call, kind, text in rows:
        with pytest.raises(kind, match=text):
            call()
    with pytest.warns(Warning, match="bytes_to_ptr"), pytest.raises(
        ValueError, match="needs an ndarray"
    ):
        acl.util.numpy_to_ptr([1])
    with pytest.warns(Warning, match="bytes_to_ptr"), pytest.raises(
        ValueError, match="shape is empty"
    ):
        acl.util.ptr_to_numpy(0, [1], 11)
    with pytest.warns(Warning, match="bytes_to_ptr"), pytest.raises(
        TypeError, match="not list of int"
    ):
        acl.util.ptr_to_numpy(0, (np.int64(1),), 11)


def test_a_warning_filter_that_raises_breaks_the_numpy_helpers(machine: Machine) -> None:
    # pytest turns warnings into errors here, which the real helpers answer with this ImportError.
    with pytest.raises(ImportError, match="multiarray failed to import"):
        machine.acl.util.numpy_to_ptr(np.zeros(4))
