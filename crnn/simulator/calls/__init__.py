"""What the functions of acl, acl.rt, acl.mdl and acl.util do, each over the process's
`Simulator`.
"""

from __future__ import annotations

import importlib
from typing import Any, Callable, Dict, TypeVar

Body = Callable[..., Any]
B = TypeVar("B", bound=Body)

BODIES: Dict[str, Body] = {}
"""Every function by its full name:

called with the simulator and the parsed arguments, without a return code 0.
"""

WITHOUT_INIT = frozenset(
    (
        "acl.init",
        "acl.finalize",
        "acl.app_log",
        "acl.get_version",
        "acl.get_recent_err_msg",
        "acl.data_type_size",
        # Asking for these is how a library learns what its caller has done.
        "acl.rt.get_context",
        "acl.rt.get_device",
        "acl.rt.get_device_count",
        "acl.rt.get_run_mode",
        "acl.util.numpy_to_ptr",
        "acl.util.numpy_contiguous_to_ptr",
        "acl.util.ptr_to_numpy",
        "acl.util.bytes_to_ptr",
        "acl.util.ptr_to_bytes",
        "acl.util.start_thread",
        "acl.util.stop_thread",
    )
)
"""What may be called before acl.init; anything else then breaks a rule."""

UNLOCKED = frozenset(("acl.rt.process_report", "acl.util.start_thread", "acl.util.stop_thread"))
"""These run the user's code or wait for it, and lock the simulator themselves."""


def implements(name: str) -> Callable[[B], B]:
    """Register the body of a function.

    Args:
        name: The function's full name, such as ``acl.rt.malloc``.

    Returns:
        The decorator.
    """

    def register(body: B) -> B:
        BODIES[name] = body
        return body

    return register


def load_bodies() -> None:
    """Import every module of this package, which registers what it implements."""
    for name in (
        "top",
        "rt_device",
        "rt_memory",
        "rt_stream",
        "mdl",
        "mdl_dataset",
        "mdl_execute",
        "util",
    ):
        importlib.import_module(f"{__name__}.{name}")
