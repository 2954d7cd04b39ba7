"""What Python 3.7 lacks of what the box and the preprocessor need (docs/architecture.md).

CANN 3.x to 5.0 live with Python 3.7; the rest of the kit needs 3.8 or later.
"""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Iterable

if TYPE_CHECKING or sys.version_info >= (3, 8):
    import math
    import multiprocessing.connection
    from multiprocessing import resource_tracker  # novm
    from typing import Protocol  # novm

    prod = math.prod  # novm

    def wait_for_parents_end() -> None:
        """Return when the parent of this child process of multiprocessing has ended."""
        parent = multiprocessing.parent_process()  # novm
        assert parent is not None
        multiprocessing.connection.wait([parent.sentinel])

else:
    from multiprocessing import semaphore_tracker as resource_tracker

    class Protocol:
        """Says nothing to an interpreter that does not know protocols; type checkers know them."""

    def prod(numbers: Iterable[int]) -> int:
        """Return the product of whole numbers, as `math.prod` does."""
        result = 1
        for number in numbers:
            result *= number
        return result

    def wait_for_parents_end() -> None:
        """Return when the parent of this child process of multiprocessing has ended."""
        parent = os.getppid()
        while os.getppid() == parent:
            time.sleep(0.5)


__all__ = ["Protocol", "prod", "resource_tracker", "wait_for_parents_end"]
