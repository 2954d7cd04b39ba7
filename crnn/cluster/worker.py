"""What a worker of the cluster does: it holds a model, and reads the shards that it is told.

It knows nothing of Ray but what its own processor or chip is called.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from typing import Any, Dict, List, Mapping, Optional, Sequence, Union

from crnn.batch import Problem
from crnn.cann import VISIBLE_DEVICES_VARIABLE
from crnn.cluster.order import Job, Reader
from crnn.errors import InputError, KitError, UnavailableError
from crnn.leftovers import this_process
from crnn.machine import usable_cpus
from crnn.samples.bins import Range

_REFUSALS = frozenset(
    (errno.EACCES, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE)
)
"""What a machine's file system refuses: the user's to mend."""
Answer = Dict[str, Any]
"""What a worker answers: plain data, since classes of the kit need not be the driver's."""


class Worker:
    """Opens the job's model on what this process was granted, once, and reads with it.

    Args:
        job: What to do.
        place: The folder that the command was started in.
        threads: The processors that one worker uses; None for this machine's share of one chip.
    """

    def __init__(self, job: Job, place: str, threads: Optional[int]) -> None:
        os.chdir(place)
        self._job = job
        self._threads = threads
        self._stack = contextlib.ExitStack()
        self._reader: Optional[Reader] = None
        self._notes: List[str] = []
        self._device = ""

    def open(self, granted: Optional[Sequence[str]], chips: int) -> Answer:
        """Open the model.

        Args:
            granted: The numbers of the chips that this process was granted, as Ray counts them;
                None where it needs none.
            chips: How many chips this machine has given to the cluster.

        Returns:
            The process and its machine; or the error.
        """
        about: Answer = {"process": list(this_process()), "host": socket.gethostname()}
        try:
            threads = self._threads
            if granted is not None:
                self._device = self._chip(granted)
                threads = threads or max(1, usable_cpus() // max(1, chips))
            opened = self._job.open(self._device, threads)
            self._reader = self._stack.enter_context(opened)
        except (KitError, OSError) as error:
            return {**about, **_told(error), "device": self._device}
        return {**about, "notes": self._notes}

    def _chip(self, granted: Sequence[str]) -> str:
        """Return the number of this process's chip, as pyACL counts here."""
        from crnn.ascend import acl_state
        from crnn.ascend.pyacl import load_acl

        acl = load_acl()
        acl_state.initialize(acl)
        seen = acl.get_device_count()
        if seen == len(granted):
            return "0"
        self._notes.append(
            f"{socket.gethostname()}: pyACL counts {seen} chips where Ray has granted"
            f" {len(granted)}: {VISIBLE_DEVICES_VARIABLE} has no effect there, so Ray's own number"
            f" of the chip is taken, {granted[0]}"
        )
        if not granted[0].isdigit():
            raise UnavailableError(f"Ray calls the chip {granted[0]!r}; expected a number")
        return granted[0]

    def read(
        self, numbers: Sequence[int], passed: Mapping[int, Sequence[str]], given_up: Dict[str, str]
    ) -> Answer:
        """Read shards.

        Args:
            numbers: Their numbers.
            passed: Words that are not read, by their positions: the problem's reason and detail.
            given_up: Chips that have failed, with the reason.

        Returns:
            ``left``, the shards that somebody else works on; or the error.
        """
        assert self._reader is not None
        run = self._reader.run
        problems = {place: Problem(*said) for place, said in passed.items()}
        try:
            self._reader.read([run.shards[number] for number in numbers], problems, given_up)
        except (KitError, OSError) as error:
            return {**_told(error), "device": self._device}
        unfinished = {shard.number for shard in run.unfinished()}
        left = [number for number in numbers if number in unfinished]
        return {"left": left, "notes": list(self._reader.notes())}

    def attempt(self, words: Sequence[Range]) -> Answer:
        """Read some words and forget them.

        Args:
            words: Their positions.

        Returns:
            Nothing; or the error.
        """
        assert self._reader is not None
        try:
            self._reader.attempt(words)
        except (KitError, OSError) as error:
            return {**_told(error), "device": self._device}
        return {}

    def close(self) -> None:
        """Give back what was opened."""
        from crnn.ascend import acl_state

        self._stack.close()
        acl_state.finalize()


def _told(error: Union[KitError, OSError]) -> Answer:
    """Return an error as plain data; what the machine refuses is told with its name.

    Raises:
        OSError: It is another one, so a bug of ours.
    """
    if isinstance(error, KitError):
        return {"error": type(error).__name__, "message": error.message, "hint": error.hint}
    if error.errno not in _REFUSALS:
        raise error
    message = f"{socket.gethostname()}: {error.filename or 'a file'}: {error.strerror}"
    return {"error": InputError.__name__, "message": message, "hint": ""}
