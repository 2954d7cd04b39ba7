"""What Python 3.7 lacks of what the box and the preprocessor need (docs/architecture.md).

CANN 3.x to 5.0 live with Python 3.7; the rest of the kit needs 3.8 or later.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Iterable, Optional

if TYPE_CHECKING or sys.version_info >= (3, 8):
    from typing import Protocol  # novm
else:  # Python 3.7

    class Protocol:
        """Says nothing to an interpreter that does not know protocols; type checkers know them."""


__all__ = ["Protocol", "ensure_tracker", "installed_version", "prod", "wait_for_parents_end"]

_LOOK = 0.5
"""Seconds between two looks at whether the parent still lives."""


def prod(numbers: Iterable[int]) -> int:
    """Return the product of whole numbers, as `math.prod` does.

    Args:
        numbers: the factors; of none the product is 1.

    Returns:
        The product.
    """
    result = 1
    for number in numbers:
        result *= number
    return result


def ensure_tracker() -> None:
    """Start the process in which multiprocessing counts what processes share, if none runs."""
    if sys.version_info >= (3, 8):
        from multiprocessing import resource_tracker  # novm

        resource_tracker.ensure_running()
    else:  # Python 3.7
        from multiprocessing import semaphore_tracker

        semaphore_tracker.ensure_running()


def wait_for_parents_end() -> None:
    """Return when the parent of this child process of multiprocessing has ended."""
    if sys.version_info >= (3, 8):
        import multiprocessing.connection

        parent = multiprocessing.parent_process()  # novm
        assert parent is not None
        multiprocessing.connection.wait([parent.sentinel])
    else:  # Python 3.7
        number = os.getppid()
        while os.getppid() == number:
            time.sleep(_LOOK)


def installed_version(distribution: str) -> Optional[str]:
    """Return an installed distribution's version.

    Args:
        distribution: its name, as pip has it.

    Returns:
        The version; None where it is not installed.
    """
    if sys.version_info >= (3, 8):
        from importlib import metadata  # novm

        try:
            return metadata.version(distribution)
        except metadata.PackageNotFoundError:
            return None
    else:  # Python 3.7
        pattern = f"{distribution.replace('-', '_')}-*.dist-info"
        for folder in sys.path:
            for found in Path(folder).glob(pattern):
                return found.name[: -len(".dist-info")].rpartition("-")[2]
        return None
