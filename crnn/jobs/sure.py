"""What an evaluation is asked to say of how sure a model is."""

from __future__ import annotations

import dataclasses
import json
import pickle
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Iterable, Optional

from crnn.decoding.decoder import DecodingOptions
from crnn.errors import InputError, UsageError
from crnn.filekind import require_file
from crnn.files import read_bounded
from crnn.reports.readings import ReadingsWriter
from crnn.results import Evaluation, Reading, Rejection, Sureness
from crnn.scoring.rows import judged
from crnn.scoring.sureness import SurenessCounter

_FOUND = ("kept", "kept_correct", "kept_share", "kept_accuracy", "total", "wanted")
"""What is told again of the set on which a threshold was found."""
_LARGEST = 1 << 53


@dataclass(frozen=True)
class SureOptions:
    """The options of how sure; the defaults ask for nothing.

    ``reject`` is a threshold, ``reject_for`` the accuracy of the kept words for which one is to be
    found, ``reject_from`` a result that has one.
    """

    probability: bool = False
    characters: bool = False
    reject: Optional[float] = None
    reject_for: Optional[float] = None
    reject_from: Optional[Path] = None


class SureJob:
    """Counts how sure a model is, as it was asked.

    Args:
        options: What was asked.

    Raises:
        UsageError: Two options want different thresholds, or one is not a fraction.
        InputError: The file of ``reject_from`` has no threshold.
    """

    def __init__(self, options: SureOptions) -> None:
        given = (options.reject, options.reject_for, options.reject_from)
        if sum(one is not None for one in given) > 1:
            raise UsageError("--reject, --reject-for and --reject-from each want a threshold: one")
        for name, value in (("reject", options.reject), ("reject-for", options.reject_for)):
            if value is not None and not 0 <= value <= 1:
                raise UsageError(f"--{name} {value}: expected a fraction from 0 to 1")
        self._options = options
        self._found: Optional[Dict[str, Any]] = None
        self.threshold = options.reject
        """Less probable readings are rejected; None where that is not known yet, or not asked."""
        if options.reject_from is not None:
            self._found = _read(options.reject_from)
            self.threshold = self._found.pop("threshold")
        self.counter: Optional[SurenessCounter] = None
        """Counts the labelled words; None where nobody asked."""
        rejects = self.threshold is not None or options.reject_for is not None
        if options.probability or rejects:
            self.counter = SurenessCounter()
        self.decoding = DecodingOptions(
            probability=self.counter is not None, characters=options.characters
        )

    @property
    def judges_late(self) -> bool:
        """Whether the threshold is known only when all words are read."""
        return self._options.reject_for is not None

    @property
    def rejects(self) -> bool:
        """Whether readings say that they are rejected, or not."""
        return self.judges_late or self.threshold is not None

    def judged(self, evaluation: Evaluation) -> Evaluation:
        """Return an evaluation with the figures; its misses say whether they are rejected where the
        threshold was found now.

        Args:
            evaluation: Of all words.

        Returns:
            The same with ``sureness``.
        """
        sureness = self.finish()
        evaluation = dataclasses.replace(evaluation, sureness=sureness)
        if not self.judges_late or sureness is None or sureness.rejection is None:
            return evaluation
        self.threshold = sureness.rejection.threshold
        misses = []
        for miss in evaluation.misses:
            misses.append(judged(miss, self.threshold))
        return dataclasses.replace(evaluation, misses=misses)

    def finish(self) -> Optional[Sureness]:
        """Return the figures; None where nobody asked."""
        if self.counter is None:
            return None
        rejection: Optional[Rejection] = None
        if self._options.reject_for is not None:
            rejection = self.counter.rejection_for(self._options.reject_for)
        elif self.threshold is not None:
            rejection = self.counter.rejection(self.threshold)
            rejection = dataclasses.replace(rejection, found=self._found)
        return self.counter.summary(rejection)


class LateReadings:
    """Keeps readings in a file of its own until it is known which of them are rejected.

    Args:
        writer: Gets all of them then.
    """

    def __init__(self, writer: ReadingsWriter) -> None:
        self._writer = writer
        self._file = tempfile.TemporaryFile()  # noqa: SIM115  closed by `write`, or with the process

    def add(self, readings: Iterable[Reading]) -> None:
        """Keep some readings.

        Args:
            readings: The next ones in data order.
        """
        pickle.dump(list(readings), self._file)

    def write(self, threshold: float) -> None:
        """Write them all, each with whether it is rejected.

        Args:
            threshold: Less probable ones are.
        """
        end = self._file.tell()
        self._file.seek(0)
        with self._file:
            while self._file.tell() < end:
                batch = pickle.load(self._file)  # noqa: S301  what `add` wrote, in no other's reach
                self._writer.add([judged(reading, threshold) for reading in batch])


def threshold_in(path: Path) -> float:
    """Return the threshold that an evaluation found.

    Args:
        path: The result JSON of an evaluation with ``--reject-for`` or ``--reject``.

    Returns:
        The probability below which readings are rejected.

    Raises:
        InputError: The file is something else, or holds no threshold.
    """
    threshold: float = _read(path)["threshold"]
    return threshold


def _read(path: Path) -> Dict[str, Any]:
    """Return the threshold of a result, its file's name, and what it kept there."""
    require_file(path, "a result JSON of crnn evaluate --reject-for")
    try:
        data = json.loads(read_bounded(path, "result").decode("utf-8"))
        rejection = data["sureness"]["rejection"]
        threshold = rejection["threshold"]
    except (ValueError, RecursionError, KeyError, TypeError) as error:
        raise InputError(
            f"{path}: no threshold in it; expected the result of an evaluation with --reject-for",
            hint="Such as: crnn evaluate MODEL DATA --reject-for 0.99 --json found.json",
        ) from error
    is_number = isinstance(threshold, (int, float)) and not isinstance(threshold, bool)
    if not is_number or not 0 <= threshold <= 2:
        raise InputError(f"{path}: the threshold is {str(threshold)[:40]}; expected 0 to 1")
    found: Dict[str, Any] = {"file": path.name, "threshold": float(threshold)}
    for key in _FOUND:
        value = rejection.get(key)
        if isinstance(value, (int, float)) and 0 <= value <= _LARGEST:
            found[key] = value
    return found
