"""Glob patterns that know early that nothing below a folder can match, so that the walk never enters it.

POSIX form: segments split by `/`; `*`, `?` and `[...]` stay within a segment, `**` spans any number of folders. A
leading dot is matched by patterns only when they spell it, unless `hidden` is set.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

_Match = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class _Segment:
    matches: _Match | None
    """`None` stands for `**`."""
    spells_dot: bool

    def accepts(self, name: str, hidden: bool) -> bool:
        if name.startswith(".") and not (hidden or self.spells_dot):
            return False
        return self.matches is None or bool(self.matches(name))


State = frozenset[tuple[int, int]]
"""Where each pattern may stand after the folders read so far: (pattern, next segment)."""


class GlobSet:
    """A set of patterns matched one path segment at a time, like a small automaton."""

    def __init__(self, patterns: Iterable[str], *, hidden: bool = False) -> None:
        self._patterns = [[_segment(part) for part in pattern.split("/")] for pattern in patterns]
        self._hidden = hidden
        self._any = _Segment(None, spells_dot=False)

    @property
    def start(self) -> State:
        """The state at the root folder."""
        return frozenset((index, 0) for index in range(len(self._patterns)))

    def enter(self, state: State, name: str) -> State:
        """The state after one more segment. Empty: neither this entry nor anything below it matches."""
        found: set[tuple[int, int]] = set()
        for index, position in state:
            self._step(found, index, position, name)
        return frozenset(found)

    def _step(self, found: set[tuple[int, int]], index: int, position: int, name: str) -> None:
        segments = self._patterns[index]
        if position >= len(segments):
            return
        if segments[position].matches is None:
            if self._any.accepts(name, self._hidden):
                found.add((index, position))
                if position == len(segments) - 1:
                    found.add((index, position + 1))
            self._step(found, index, position + 1, name)
        elif segments[position].accepts(name, self._hidden):
            found.add((index, position + 1))

    def matches_file(self, state: State) -> bool:
        """Whether the path that led to `state` is matched itself. `a/**` matches what is below `a`, not `a`."""
        return any(position == len(self._patterns[index]) for index, position in state)

    def covers_folder(self, state: State) -> bool:
        """Whether everything below the folder that led to `state` is matched (used to prune exclusions)."""
        for index, position in state:
            rest = self._patterns[index][position:]
            if not rest or (len(rest) == 1 and rest[0].matches is None):
                return True
        return False

    def leads_on(self, state: State) -> bool:
        """Whether something below the folder that led to `state` may match."""
        return any(position < len(self._patterns[index]) for index, position in state)


def _segment(text: str) -> _Segment:
    if text == "**":
        return _Segment(None, spells_dot=False)
    return _Segment(re.compile(fnmatch.translate(text)).match, spells_dot=text.startswith("."))
