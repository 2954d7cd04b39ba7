"""The modules ``acl``, ``acl.rt``, ``acl.mdl`` and ``acl.util``, made from the signatures and the
calls' bodies.
"""

from __future__ import annotations

import contextlib
import sys
from types import ModuleType
from typing import Any, Callable, Dict, Iterator, List, Sequence

from crnn import cann
from crnn.simulator.calls import BODIES, UNLOCKED, WITHOUT_INIT, load_bodies
from crnn.simulator.knobs import Fault
from crnn.simulator.signatures import Signature, offered
from crnn.simulator.state import RefusedError, Simulator

load_bodies()

_NAMES = ("acl", "acl.rt", "acl.mdl", "acl.util")
_RELEASING = ("destroy", "free", "unload")


def acl_modules(sim: Simulator) -> Dict[str, ModuleType]:
    """Return the stand-in's modules by name, with the functions that the simulated CANN has."""
    modules = {name: ModuleType(name, "pyACL, simulated: no chip is behind it") for name in _NAMES}
    for name in _NAMES[1:]:
        setattr(modules["acl"], name.rpartition(".")[2], modules[name])
    for name, signature in offered(sim.knobs.cann).items():
        module, _, function = name.rpartition(".")
        setattr(modules[module], function, _function(sim, signature))
    root: Any = modules["acl"]
    root.simulated = root.__crnn_simulated__ = True
    root.simulator = sim
    return modules


@contextlib.contextmanager
def installed(sim: Simulator) -> Iterator[ModuleType]:
    """Put the stand-in in the place of pyACL for a block, within this process."""
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


def _function(sim: Simulator, signature: Signature) -> Callable[..., Any]:
    body = BODIES[signature.name]
    unlocked = signature.name in UNLOCKED

    def call(*values: Any, **named: Any) -> Any:
        if named:
            raise TypeError(f"{signature.name}() takes no keyword arguments")
        arguments = signature.parse(values)
        try:
            with sim.lock:
                _begin(sim, signature, arguments)
                result = None if unlocked else body(sim, *arguments)
            if unlocked:
                result = body(sim, *arguments)
        except RefusedError as failure:
            sim.set_error(failure.code, failure.text)
            return _failed(signature, failure.code, arguments)
        return _succeeded(signature, result)

    call.__name__ = call.__qualname__ = signature.name.rpartition(".")[2]
    call.__module__ = signature.name.rpartition(".")[0]
    call.__doc__ = body.__doc__
    return call


def _begin(sim: Simulator, signature: Signature, arguments: List[Any]) -> None:
    fault = sim.enter(signature.name)
    if sim.forked:
        sim.refuse("fork", "this process was forked after acl.init; start workers by spawn", 507033)
    if fault is not None:
        _inject(sim, signature, fault, arguments)
    if signature.name not in WITHOUT_INIT and not sim.initialised:
        when = "after acl.finalize" if sim.finalized else "before acl.init"
        sim.refuse("init", f"called {when}", cann.ACL_ERROR_UNINITIALIZE)


def _inject(sim: Simulator, signature: Signature, fault: Fault, arguments: List[Any]) -> None:
    exception = fault.exception()
    if exception is not None:
        raise exception
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
    values = () if result is None else tuple(result)
    return (*values, 0) if values else 0
