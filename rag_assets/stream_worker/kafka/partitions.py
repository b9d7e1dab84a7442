"""State of each assigned partition: position, what was read, end of the log."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Final

from rag_core.content.streams import PartitionOffset
from rag_core.errors import RagError, Reason
from rag_core.logging import get_logger


@dataclass(slots=True)
class Partition:
    """One assigned partition. `applied` is the next offset to apply, `received` the next to come from the broker."""

    place: PartitionOffset
    applied: int
    received: int
    waiting: deque[tuple[int, float]] = field(default_factory=deque)
    """Offset and time of messages received and not applied."""
    high: int = -1
    """The end as the broker said it last; it counts the marks of transactions, which are no messages."""
    end: int = -1
    """Offset where the client last reached the end, past those marks; -1: not yet."""
    high_at_end: int = -1

    @property
    def at_end(self) -> bool:
        """True when all there was has been received."""
        passed = self.end >= 0 and self.high <= self.high_at_end
        return passed or 0 <= self.high <= self.received

    @property
    def outstanding(self) -> int:
        """Messages received and not applied."""
        return len(self.waiting)

    @property
    def lag(self) -> int:
        """Messages that wait, as well as offsets can say it."""
        return self.outstanding + (0 if self.at_end else max(0, self.high - self.received))

    def receive(self, offset: int, at: float) -> None:
        self.received, self.end = offset + 1, -1
        if offset >= self.applied:  # else a batch of the assignment before this one has brought it meanwhile
            self.waiting.append((offset, at))

    def reach_end(self, offset: int, high: int) -> None:
        self.received, self.end = max(self.received, offset), offset
        self.high = self.high_at_end = max(high, offset)

    def done(self, next_offset: int) -> None:
        """Messages before `next_offset` were applied, in this assignment or in one before it."""
        self.applied = max(self.applied, next_offset)
        while self.waiting and self.waiting[0][0] < self.applied:
            self.waiting.popleft()

    def pass_marks(self) -> bool:
        """Move to the end when nothing but marks of transactions is before it. Returns whether that is progress."""
        if self.outstanding or self.end <= self.applied:
            return False
        self.applied = self.end
        return True


def partition_at(place: PartitionOffset) -> Partition:
    """A partition that was just assigned."""
    return Partition(place, place.next_offset, place.next_offset)


# --------------------------------------------------------------------------------------------------------------------
# What keeps a stream from its messages, each until it is over.


log = get_logger(__name__)
GRACE_SECONDS: Final = 10.0
"""A rebalance, an election or a restart of a broker takes some seconds and is nobody's concern."""


class Problems:
    """The problems of one stream by what they are about. Refusals count at once, the others after a stumble's time.

    Written by one thread and read by others: both see whole entries.
    """

    def __init__(self, stream: str) -> None:
        self._stream = stream
        self._found: dict[Hashable, tuple[RagError, float]] = {}

    def __bool__(self) -> bool:
        return bool(self._found)

    def __contains__(self, about: Hashable) -> bool:
        return about in self._found

    def add(self, about: Hashable, error: RagError) -> None:
        """Enter what was found. The time of an earlier finding about the same stands."""
        known = self._found.get(about)
        self._found[about] = (error, known[1] if known is not None else time.monotonic())
        if known is None or known[0].message != error.message:
            say = log.warning if error.reason is Reason.BROKER_REFUSED else log.info
            say("stream_problem", stream=self._stream, reason=error.reason, problem=error.message)

    def clear(self, *about: Hashable) -> None:
        """Clear these errors."""
        for one in about:
            if self._found.pop(one, None) is not None and not self._found:
                log.info("stream_problems_over", stream=self._stream)

    def retain(self, about: set[Hashable]) -> None:
        """Forget whatever is about something else."""
        self.clear(*(self._found.keys() - about))

    def current(self) -> RagError | None:
        """The oldest that counts; one about the group last, because others are what keeps a consumer out of it."""
        found = sorted(self._found.copy().items(), key=lambda one: (one[0] == "group", one[1][1]))
        return next((error for _, (error, since) in found if _counts(error, since)), None)

    @property
    def seconds(self) -> float:
        """Duration of the oldest that counts; 0 when none does."""
        ages = [time.monotonic() - since for error, since in self._found.copy().values() if _counts(error, since)]
        return max(ages, default=0.0)


def _counts(error: RagError, since: float) -> bool:
    return error.reason is Reason.BROKER_REFUSED or time.monotonic() - since >= GRACE_SECONDS
