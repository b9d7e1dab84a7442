"""What a consumer holds of each partition assigned to it: where it is, what it has read, where the end was."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from rag_core.store.stream_places import Place


@dataclass(slots=True)
class Partition:
    """One assigned partition. `applied` is the next offset to apply, `received` the next to come from the broker."""

    place: Place
    applied: int
    received: int
    waiting: deque[tuple[int, float]] = field(default_factory=deque)
    """Offset and time of messages received and not applied."""
    high: int = -1
    """The end as the broker said it last; it counts the marks of transactions, which are no messages."""
    end: int = -1
    """Where the client last reached the end, past those marks; -1: not yet."""
    high_at_end: int = -1

    @property
    def at_end(self) -> bool:
        """Whether all there was has been received."""
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


def partition_at(place: Place) -> Partition:
    """A partition that was just assigned."""
    return Partition(place, place.next_offset, place.next_offset)
