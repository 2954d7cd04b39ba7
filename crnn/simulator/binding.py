"""The modules ``acl``, ``acl.rt``, ``acl.mdl`` and ``acl.util``, made from the signatures and the
calls' bodies.
"""

from __future__ import annotations

import contextlib
import sys
import time
from types import ModuleType
from typing import Any, Callable, Dict, Iterator, List, Sequence

from crnn import cann
from crnn.simulator.calls import BODIES, UNLOCKED, WITHOUT_INIT, load_bodies
from crnn.simulator.knobs import HANG, Fault
from crnn.simulator.known_names import KNOWN
from crnn.simulator.signatures import SIGNATURES, Signature, offered
from crnn.simulator.state import RefusedError, Simulator

load_bodies()

_NAMES = ("acl", "acl.rt", "acl.mdl", "acl.util")
_RELEASING = ("destroy", "free", "unload")
_FORKED = 507033
"""ACL_ERROR_RT_DEV_SETUP_ERROR, by the public list of return codes."""


def acl_modules(sim: Simulator) -> Dict[str, ModuleType]:
    """Return the stand-in's modules by name, with the functions that the simulated CANN has.

    Args:
        sim: The simulated machine that every call works on.

    Returns:
        The modules ``acl``, ``acl.rt``, ``acl.mdl`` and ``acl.util``, not yet importable.
    """
    modules: Dict[str, ModuleType] = {}
    for name in _NAMES:
        module = ModuleType(name, "pyACL, simulated: no chip is behind it")
        # Asked by Python for what the module lacks (PEP 562).
        module.__dict__["__getattr__"] = _lacking(sim, name)
        modules[name] = module
    for name in _NAMES[1:]:
        short = name.rpartition(".")[2]
        setattr(modules["acl"], short, modules[name])
    for name, signature in offered(sim.knobs.cann).items():
        owner, _, function = name.rpartition(".")
        setattr(modules[owner], function, _function(sim, signature))
    root: Any = modules["acl"]
    root.simulated = True
    root.__crnn_simulated__ = True
    root.simulator = sim
    return modules


@contextlib.contextmanager
def installed(sim: Simulator) -> Iterator[ModuleType]:
    """Put the stand-in in the place of pyACL for a block, within this process.

    Args:
        sim: The simulated machine.

    Yields:
        The module ``acl``, which ``import acl`` gives as well within the block.
    """
    modules = acl_modules(sim)
    before = {name: sys.modules.get(name) for name in modules}
    sys.modules.update(modules)
    try:
        yield modules["acl"]
    finally:
        for name, module in before.items():
            if module is None:
                sys.modules.pop(name, None)
            else:
                sys.modules[name] = module


def _lacking(sim: Simulator, module: str) -> Callable[[str], Any]:
    def lacking(short: str) -> Any:
        text = f"module {module!r} has no attribute {short!r}"
        name = f"{module}.{short}"
        if name in SIGNATURES:
            text += f": {name} is not in the simulated CANN {sim.knobs.version}"
        elif name in KNOWN:
            text += f": {name} is a call of pyACL that is not simulated"
        raise AttributeError(text)

    return lacking


def _function(sim: Simulator, signature: Signature) -> Callable[..., Any]:
    body = BODIES[signature.name]
    module, _, short = signature.name.rpartition(".")

    def call(*values: Any, **named: Any) -> Any:
        if named:
            raise TypeError(f"{signature.name}() takes no keyword arguments")
        arguments = signature.parse(values)
        try:
            result = _run(sim, signature, body, arguments)
        except RefusedError as failure:
            sim.set_error(failure.code, failure.text)
            return _failed(signature, failure.code, arguments)
        finally:
            if sim.closed:
                # A __del__ calls while the interpreter ends: what it gives back is no leak.
                sim.close()
        return _succeeded(signature, result)

    call.__name__ = short
    call.__qualname__ = short
    call.__module__ = module
    call.__doc__ = body.__doc__
    return call


def _run(
    sim: Simulator, signature: Signature, body: Callable[..., Any], arguments: List[Any]
) -> Any:
    with sim.lock:
        _begin(sim, signature, arguments)
        if signature.name not in UNLOCKED:
            return body(sim, *arguments)
    return body(sim, *arguments)


def _begin(sim: Simulator, signature: Signature, arguments: List[Any]) -> None:
    fault = sim.enter(signature.name)
    if sim.forked:
        text = "this process was forked after acl.init; start workers by spawn"
        sim.refuse("fork", text, _FORKED)
    if fault is not None:
        _inject(sim, signature, fault, arguments)
    if signature.name in WITHOUT_INIT or sim.initialised:
        return
    when = "before acl.init"
    if sim.finalized:
        when = "after acl.finalize"
    sim.refuse("init", f"called {when}", cann.ACL_ERROR_UNINITIALIZE)


def _inject(sim: Simulator, signature: Signature, fault: Fault, arguments: List[Any]) -> None:
    exception = fault.exception()
    if exception is not None:
        raise exception
    while fault.outcome == HANG:
        time.sleep(1)
    function = signature.name.rpartition(".")[2]
    if function.startswith(_RELEASING):
        _excuse(sim, signature.name, arguments[0])
    elif function.startswith("reset_device"):
        if arguments[0] in sim.devices:
            sim.devices[arguments[0]].release_failed = True
    elif function.startswith("finalize"):
        sim.finalize_failed = True
    elif function.startswith("synchronize") and sim.current is not None:
        # As after a fault of the chip: what was queued never happens.
        sim.streams.drop(sim.current.device)
    raise RefusedError(int(fault.outcome), "failed because the simulator was told to")


def _excuse(sim: Simulator, name: str, handle: int) -> None:
    """Note that a thing is not its caller's leak, since its release was made to fail."""
    if name == "acl.mdl.unload":
        thing: Any = sim.models.get(handle)
    elif name.startswith("acl.rt.free"):
        thing = sim.memory.find(handle)
    else:
        thing = sim.registry.find(handle)
    if thing is not None:
        thing.release_failed = True


def _failed(signature: Signature, code: int, arguments: Sequence[Any]) -> Any:
    if signature.name.startswith("acl.util.") and not signature.gives_code:
        raise ValueError(f"{signature.name} failed (simulated, {code})")
    return signature.failure(code, arguments)


def _succeeded(signature: Signature, result: Any) -> Any:
    if not signature.gives_code or signature.name.startswith("acl.util."):
        return result
    if not result:
        # Only the return code.
        return 0
    return (*result, 0)
