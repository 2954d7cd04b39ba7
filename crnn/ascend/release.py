"""Releasing what was acquired: in reverse order, exactly once, all of it."""

from __future__ import annotations

import contextlib
from types import TracebackType
from typing import Any, Callable, List, Optional, Tuple, Type, TypeVar

from crnn.ascend.pyacl import AscendError

T = TypeVar("T")
H = TypeVar("H", bound="Held")


class Held:
    """What a ``with`` block gives back at its end by ``release``.

    Where the block failed, that is the error to tell, and not one of giving back.
    """

    def release(self) -> None:
        """Give back all that is held; harmless the second time."""
        raise NotImplementedError

    def __enter__(self: H) -> H:
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        if error is None:
            self.release()
            return
        with contextlib.suppress(AscendError):
            self.release()


class Attempts:
    """Calls that are all made though some fail; `done` raises the first error."""

    def __init__(self) -> None:
        self._first: Optional[BaseException] = None

    def __call__(self, call: Callable[..., T], *arguments: Any) -> Optional[T]:
        """Return the call's result, None where it failed."""
        try:
            return call(*arguments)
        except BaseException as error:  # noqa: BLE001  whatever it is, it is raised by `done`
            self._first = self._first or error
            return None

    def done(self) -> None:
        """Raise the first error, if there was one."""
        if self._first is not None:
            raise self._first


class Releases:
    """What is held, as the calls that give it back."""

    def __init__(self) -> None:
        self._calls: List[Tuple[Callable[..., None], Tuple[Any, ...]]] = []

    def push(self, call: Callable[..., None], *arguments: Any) -> None:
        """Add a call that `close` will make before all those added earlier."""
        self._calls.append((call, arguments))

    def close(self) -> None:
        """Make all calls, last first; a failed one keeps no other from being made, and the first
        error is raised.

        Each call is made once, whatever comes of it: a handle whose release failed is in an unknown
        state.
        """
        attempt = Attempts()
        while self._calls:
            call, arguments = self._calls.pop()
            attempt(call, *arguments)
        attempt.done()
