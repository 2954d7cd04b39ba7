"""Reading ahead in a thread."""

from __future__ import annotations

import queue
import threading
from typing import Generator, Iterable, Tuple, TypeVar, Union

T = TypeVar("T")
_Message = Tuple[str, Union[T, BaseException, None]]


def prefetch(items: Iterable[T], ahead: int = 1) -> Generator[T, None, None]:
    """Yield the items in order while a thread fetches up to ``ahead`` more; its exception is raised
    in its place.

    The thread ends with the items, or when the generator is closed, whatever comes first.
    """
    messages: queue.Queue[_Message[T]] = queue.Queue(maxsize=max(1, ahead))
    stop = threading.Event()

    def put(message: _Message[T]) -> bool:
        while not stop.is_set():
            try:
                messages.put(message, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def fetch() -> None:
        # A thread boundary: whatever goes wrong here is to be raised where the items are wanted.
        try:
            for item in items:
                if not put(("item", item)):
                    return
            put(("end", None))
        except BaseException as error:  # noqa: BLE001
            put(("error", error))

    thread = threading.Thread(target=fetch, name="crnn-prefetch", daemon=True)
    thread.start()
    try:
        while True:
            kind, value = messages.get()
            if kind == "end":
                return
            if kind == "error":
                assert isinstance(value, BaseException)
                raise value
            yield value  # type: ignore[misc]
    finally:
        stop.set()
        thread.join()
        close = getattr(items, "close", None)
        if close is not None:
            close()
