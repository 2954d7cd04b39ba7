"""Which pictures belong to which run: those of its own data set, or those that the run has kept."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Dict, Iterable, List, Mapping, Sequence, Set

from crnn.jobs.report.inputs import Run
from crnn.jobs.report.kept import kept_pictures
from crnn.jobs.report.pictures import NO_PICTURES, Pictures, find_pictures
from crnn.samples.lmdb import DATA_FILE


class Album:
    """Finds pictures by the data sets' names: words of two sets may be called alike.

    Args:
        runs: The runs of the page.
        places: The LMDBs and folders of images that were given.
    """

    def __init__(self, runs: Sequence[Run], places: Sequence[Path]) -> None:
        self.notes: List[str] = []
        """What was kept and cannot be used, a line each."""
        self._runs = runs
        self._places = places
        self._wanted: Dict[str, Set[str]] = {run.data: set() for run in runs}
        self._found: Dict[str, Pictures] = {}

    def want(self, data: str, keys: Iterable[str]) -> None:
        """Ask for the pictures of words.

        Args:
            data: The name of their data set.
            keys: The words' names.
        """
        self._wanted.setdefault(data, set()).update(keys)

    def find(self) -> None:
        """Look up all that was asked for.

        Raises:
            InputError: A place is not a data set.
        """
        kept = self._kept()
        for data, wanted in self._wanted.items():
            places = self._places_of(data)
            found = NO_PICTURES
            if places:
                found = find_pictures(places, wanted)
            shown = {**kept.get(data, {}), **found.shown}
            self._found[data] = dataclasses.replace(found, shown=shown)

    def of(self, data: str) -> Pictures:
        """Return the pictures of a data set.

        Args:
            data: Its name.

        Returns:
            Those that were found.
        """
        return self._found.get(data, NO_PICTURES)

    def _kept(self) -> Mapping[str, Mapping[str, str]]:
        kept: Dict[str, Dict[str, str]] = {}
        for run in self._runs:
            if run.file is None:
                continue
            pictures, note = kept_pictures(run.file, run.result, self._wanted[run.data])
            kept.setdefault(run.data, {}).update(pictures)
            if note:
                self.notes.append(note)
        return kept

    def _places_of(self, data: str) -> Sequence[Path]:
        """Return the places of that name; all, where the page names one data set or none."""
        names = {name for name in self._wanted if name}
        if len(names) < 2:
            return self._places
        return [place for place in self._places if _name_of(place) == data]


def _name_of(place: Path) -> str:
    place = place.resolve()
    if place.name == DATA_FILE:
        place = place.parent
    return place.name
