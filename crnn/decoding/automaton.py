"""A pattern as a deterministic automaton over a model's classes, for the beam to walk through.

Thompson's construction ("Regular expression search algorithm", 1968) makes places: one before each
character of the pattern, with what is repeated written out, and silent edges between them. A text
may stand at several places at once; these sets are the states of the second automaton, in which a
class leads to one state. Both may grow without measure (``(a|b)*a(a|b){20}`` has two million
states), so both are bounded.
"""

from __future__ import annotations

import collections
from dataclasses import dataclass
from typing import Deque, Dict, FrozenSet, List, NamedTuple, NoReturn, Optional, Set, Tuple

import numpy as np

from crnn.decoding.graph import Graph
from crnn.decoding.pattern import Characters, Either, InOrder, Part, Repeated, shown
from crnn.errors import InputError
from crnn.labels import Alphabet

MOST_PLACES = 20_000
"""The most states of the first automaton: a pattern with its repetitions written out."""
MOST_STATES = 10_000
"""The most states of the second."""
MOST_WORK = 1_000_000
"""The most states of the first that all of the second are made of."""
MOST_EDGES = 4_000_000
NEVER = 1 << 30
"""How many more characters a state needs that cannot end."""

_Set = FrozenSet[int]


class _Edge(NamedTuple):
    """To where some classes lead."""

    classes: FrozenSet[int]
    target: int


@dataclass(frozen=True)
class Automaton:
    """A pattern compiled."""

    graph: Graph
    """What may follow what."""
    shortest: Tuple[int, ...]
    """The classes of a text of the fewest characters."""
    outside: Tuple[str, ...]
    """The parts of the pattern that no class stands for, as lists in brackets."""


def compile_pattern(part: Part, alphabet: Alphabet, *, folds_case: bool) -> Automaton:
    """Compile a pattern.

    Args:
        part: The pattern.
        alphabet: The model's characters.
        folds_case: Whether capitals stand for small letters too.

    Returns:
        The automaton.

    Raises:
        InputError: It is too large, or no text of the alphabet has the pattern.
    """
    places = _Places(alphabet, folds_case=folds_case)
    begin, end = places.add(part)
    states = _States(places, end)
    states.grow(begin)
    return _trimmed(states, tuple(dict.fromkeys(places.outside)))


class _Places:
    """The first automaton: each place has an edge that reads a character, or edges that do not.

    Args:
        alphabet: The model's characters.
        folds_case: Whether capitals of the pattern stand for small letters too.
    """

    def __init__(self, alphabet: Alphabet, *, folds_case: bool) -> None:
        self._alphabet = alphabet
        self._folds_case = folds_case
        self._class_of: Dict[str, int] = {}
        for number, character in enumerate(alphabet.table):
            if number != alphabet.blank:
                self._class_of[character] = number
        self._known: Dict[Characters, FrozenSet[int]] = {}
        self.reading: List[Optional[_Edge]] = []
        self.silent: List[List[int]] = []
        self.outside: List[str] = []

    def add(self, part: Part) -> Tuple[int, int]:
        """Add a part.

        Args:
            part: Of a pattern.

        Returns:
            The place where it begins and the one where it ends.
        """
        if isinstance(part, Characters):
            return self._add_characters(part)
        if isinstance(part, Either):
            return self._add_either(part)
        if isinstance(part, InOrder):
            begin = end = self._place()
            for each in part.parts:
                first, last = self.add(each)
                self.silent[end].append(first)
                end = last
            return begin, end
        return self._add_repeated(part)

    def _place(self) -> int:
        """Add a place without edges, and return its number."""
        if len(self.silent) >= MOST_PLACES:
            _refuse_size(f"written out it has more than {MOST_PLACES} places")
        self.silent.append([])
        self.reading.append(None)
        return len(self.silent) - 1

    def _add_characters(self, part: Characters) -> Tuple[int, int]:
        begin, end = self._place(), self._place()
        if part not in self._known:
            found = part.among(self._alphabet.characters, folds_case=self._folds_case)
            if not found:
                self.outside.append(shown(part))
            self._known[part] = frozenset(self._class_of[character] for character in found)
        self.reading[begin] = _Edge(self._known[part], end)
        return begin, end

    def _add_either(self, part: Either) -> Tuple[int, int]:
        begin, end = self._place(), self._place()
        for each in part.parts:
            first, last = self.add(each)
            self.silent[begin].append(first)
            self.silent[last].append(end)
        return begin, end

    # What must come is written so many times; what may come has a way past it each time; what
    # may come without end has a way back.
    def _add_repeated(self, part: Repeated) -> Tuple[int, int]:
        begin = end = self._place()
        for _ in range(part.least):
            first, last = self.add(part.part)
            self.silent[end].append(first)
            end = last
        if part.most is None:
            first, last = self.add(part.part)
            self.silent[end].append(first)
            self.silent[last].append(end)
            return begin, end
        out = self._place()
        for _ in range(part.most - part.least):
            first, last = self.add(part.part)
            self.silent[end].extend((first, out))
            end = last
        self.silent[end].append(out)
        return begin, out


class _States:
    """The second automaton: sets of places.

    Args:
        places: The first one.
        end: The place where the pattern ends.
    """

    def __init__(self, places: _Places, end: int) -> None:
        self._places = places
        self._end = end
        self._numbers: Dict[_Set, int] = {}
        self._work = 0
        self.edges: List[Dict[int, int]] = []
        """For each state the state that a class leads to."""
        self.final: List[bool] = []
        self._found = 0

    def grow(self, begin: int) -> None:
        """Find all states, from the first on.

        Args:
            begin: The place where the pattern begins.

        Raises:
            InputError: They are too many, or made of too many places, or have too many edges.
        """
        todo: Deque[_Set] = collections.deque([self._closed({begin})])
        self._number(todo[0])
        while todo:
            state = todo.popleft()
            leads = self.edges[self._numbers[state]]
            for classes, targets in self._leaving(state):
                target = self._closed(targets)
                if target not in self._numbers:
                    todo.append(target)
                leads.update(dict.fromkeys(classes, self._number(target)))
            self._found += len(leads)
            if self._found > MOST_EDGES:
                _refuse_size(f"compiled it has more than {MOST_EDGES} edges")

    def _leaving(self, state: _Set) -> List[Tuple[List[int], Set[int]]]:
        """Return where a state's characters lead.

        Classes that are asked for by the same edges lead to the same places, so they are dealt with
        together: an alphabet of thousands falls into a few groups.

        Args:
            state: Places.

        Returns:
            Groups of classes, each with the places that they lead to.
        """
        targets: Dict[FrozenSet[int], Set[int]] = {}
        for place in state:
            edge = self._places.reading[place]
            if edge is not None:
                targets.setdefault(edge.classes, set()).add(edge.target)
        if len(targets) == 1:
            return [(sorted(classes), found) for classes, found in targets.items()]
        by_class: Dict[int, List[FrozenSet[int]]] = {}
        for classes in targets:
            for number in classes:
                by_class.setdefault(number, []).append(classes)
        groups: Dict[Tuple[FrozenSet[int], ...], List[int]] = {}
        for number in sorted(by_class):
            groups.setdefault(tuple(by_class[number]), []).append(number)
        found: List[Tuple[List[int], Set[int]]] = []
        for sets, members in groups.items():
            found.append((members, set().union(*[targets[classes] for classes in sets])))
        return found

    def _closed(self, places: Set[int]) -> _Set:
        """Return the places, and those that lead on from them without a character.

        Raises:
            InputError: All sets together have become too large.
        """
        closed = set(places)
        todo = list(places)
        while todo:
            for place in self._places.silent[todo.pop()]:
                if place not in closed:
                    closed.add(place)
                    todo.append(place)
        self._work += len(closed)
        if self._work > MOST_WORK:
            _refuse_size("too much of it may stand at the same place of a text")
        return frozenset(closed)

    def _number(self, state: _Set) -> int:
        """Return a state's number; a new one is added."""
        number = self._numbers.setdefault(state, len(self._numbers))
        if number == len(self.edges):
            if number >= MOST_STATES:
                _refuse_size(f"compiled it has more than {MOST_STATES} states")
            self.edges.append({})
            self.final.append(self._end in state)
        return number


def _trimmed(states: _States, outside: Tuple[str, ...]) -> Automaton:
    """Return the automaton without edges to states from which no text ends.

    Args:
        states: All of them; the first is the beginning.
        outside: What of the pattern no class stands for.

    Returns:
        The automaton.

    Raises:
        InputError: No text ends at all.
    """
    needed = _needed(states)
    if needed[0] == NEVER:
        named = ", ".join(outside[:3])
        raise InputError(
            f"the pattern allows no text of the model's alphabet: it asks for {named}, which the"
            " model cannot read"
        )
    first = [0]
    target: List[int] = []
    label: List[int] = []
    for leads in states.edges:
        for number in sorted(leads):
            if needed[leads[number]] < NEVER:
                target.append(leads[number])
                label.append(number)
        first.append(len(target))
    begins = np.array(first)
    graph = Graph(
        first=begins[:-1],
        count=np.diff(begins),
        target=np.array(target, dtype=np.int64),
        label=np.array(label, dtype=np.int64),
        needed=np.array(needed),
        starts=np.zeros(1, dtype=np.int64),
    )
    return Automaton(graph, _shortest(states, needed), outside)


def _needed(states: _States) -> List[int]:
    """Return how many more characters each state needs: a search backwards from those that end."""
    before: List[Set[int]] = [set() for _ in states.edges]
    for state, leads in enumerate(states.edges):
        for target in leads.values():
            before[target].add(state)
    needed = [NEVER] * len(before)
    todo: Deque[int] = collections.deque()
    for state, is_final in enumerate(states.final):
        if is_final:
            needed[state] = 0
            todo.append(state)
    while todo:
        state = todo.popleft()
        for earlier in before[state]:
            if needed[earlier] == NEVER:
                needed[earlier] = needed[state] + 1
                todo.append(earlier)
    return needed


def _shortest(states: _States, needed: List[int]) -> Tuple[int, ...]:
    """Return a text of the fewest characters; of several the one that repeats none if it can."""
    state = 0
    text: List[int] = []
    while needed[state]:
        fitting = []
        for number, target in sorted(states.edges[state].items()):
            if needed[target] == needed[state] - 1:
                fitting.append(number)
        chosen = fitting[0]
        if text and chosen == text[-1] and len(fitting) > 1:
            chosen = fitting[1]
        text.append(chosen)
        state = states.edges[state][chosen]
    return tuple(text)


def _refuse_size(what: str) -> NoReturn:
    raise InputError(
        f"the pattern is too large: {what}",
        hint="Fewer or smaller repetitions: no text has more characters than the model has steps.",
    )
