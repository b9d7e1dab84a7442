"""Glob patterns that know early that nothing below a folder can match, so that the walk never enters it.

POSIX form: segments split by `/`; `*`, `?` and `[...]` stay within a segment, `**` spans any number of folders. A
leading dot is matched by patterns only when they spell it, unless `hidden` is set.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

_Match = Callable[[str], object]
_Position = tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Step:
    """One way on from a state: names that `matches` accepts (`None`: all) lead to `targets`."""

    matches: _Match | None
    spells_dot: bool
    targets: frozenset[_Position]


@dataclass(slots=True, eq=False)
class State:
    """Where each pattern may stand after the folders read so far. Each exists once per `GlobSet`."""

    positions: frozenset[_Position]
    steps: tuple[_Step, ...]
    complete: bool
    """The path that led here is matched itself. `a/**` matches what is below `a`, not `a`."""
    covers: bool
    """Everything below this folder is matched."""
    leads_on: bool
    """Something below this folder may match."""
    following: dict[int, State] = field(default_factory=dict)


class GlobSet:
    """A set of patterns matched one path segment at a time: an automaton built as far as it is used."""

    def __init__(self, patterns: Iterable[str], *, hidden: bool = False) -> None:
        self._patterns = [pattern.split("/") for pattern in patterns]
        self._hidden = hidden
        self._states: dict[frozenset[_Position], State] = {}
        self.start = self._state(frozenset((index, 0) for index in range(len(self._patterns))))

    def enter(self, state: State, name: str) -> State | None:
        """The state after one more segment, `None` when neither this entry nor anything below it matches."""
        visible = self._hidden or not name.startswith(".")
        key = 0
        for number, step in enumerate(state.steps):
            if (visible or step.spells_dot) and (step.matches is None or step.matches(name)):
                key |= 1 << number
        if key == 0:
            return None
        found = state.following.get(key)
        if found is None:
            taken = (step.targets for number, step in enumerate(state.steps) if key >> number & 1)
            found = state.following[key] = self._state(frozenset().union(*taken))
        return found

    def _state(self, positions: frozenset[_Position]) -> State:
        if positions not in self._states:
            rests = [self._patterns[index][position:] for index, position in positions]
            self._states[positions] = State(
                positions=positions,
                steps=tuple(step for position in sorted(positions) for step in self._steps(*position)),
                complete=any(not rest for rest in rests),
                covers=any(rest in ([], ["**"]) for rest in rests),
                leads_on=any(rests),
            )
        return self._states[positions]

    def _steps(self, index: int, position: int) -> list[_Step]:
        segments = self._patterns[index]
        if position == len(segments):
            return []
        segment = segments[position]
        if segment != "**":
            return [_Step(_matcher(segment), segment.startswith("."), frozenset({(index, position + 1)}))]
        last = position == len(segments) - 1
        stay = frozenset({(index, position), (index, position + 1)} if last else {(index, position)})
        return [_Step(None, False, stay), *self._steps(index, position + 1)]


def _matcher(segment: str) -> _Match | None:
    return None if segment == "*" else re.compile(r"\A" + fnmatch.translate(segment)).match
