"""The conversations of the page Ask: kept in the console's memory for each person, bounded, never on a disk."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from ragproto.query.v2 import query_pb2

Person = tuple[str, str]
"""Tenant and subject of a verified token."""
MAX_TURNS = 20
MAX_BYTES = 200_000
"""Bytes of one conversation."""
MAX_PEOPLE = 500
KEPT_SECONDS = 12 * 3600
"""As long as a sign-in is valid."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A question and its answer; `search` finds the passages that the answer is made of."""

    number: int
    request: query_pb2.AnswerRequest
    search: query_pb2.SearchRequest
    text: str
    final: query_pb2.AnswerFinal
    trace_id: str = ""

    @property
    def size(self) -> int:
        """Bytes that it takes, about."""
        return self.request.ByteSize() + self.search.ByteSize() + len(self.text.encode()) + self.final.ByteSize()


def bounded(turns: list[Turn]) -> list[Turn]:
    """The newest turns that are within the limits; the last one always is."""
    kept, size = turns[-1:], 0
    for turn in reversed(turns[-MAX_TURNS:-1]):
        size += turn.size
        if size > MAX_BYTES:
            break
        kept.insert(0, turn)
    return kept


class Conversations:
    """Conversations by person; the one that was used least recently goes first. Thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: OrderedDict[Person, tuple[list[Turn], float]] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, person: Person) -> list[Turn]:
        """The turns of a person, oldest first."""
        with self._lock:
            turns, used = self._kept.get(person, ([], 0.0))
            return list(turns) if self._clock() - used < KEPT_SECONDS else []

    def put(self, person: Person, turns: list[Turn]) -> None:
        """Replace the turns of a person; none deletes the conversation."""
        with self._lock:
            self._kept.pop(person, None)
            if turns:
                self._kept[person] = (bounded(turns), self._clock())
            self._forget_old()

    def _forget_old(self) -> None:
        """Called with the lock held."""
        now = self._clock()
        for person in [person for person, (_, used) in self._kept.items() if now - used >= KEPT_SECONDS]:
            del self._kept[person]
        while len(self._kept) > MAX_PEOPLE:
            self._kept.popitem(last=False)
