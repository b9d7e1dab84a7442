"""What keeps a stream from its messages, each until it is over."""

from __future__ import annotations

import time
from collections.abc import Hashable
from typing import Final

from rag_core.errors import RagError, Reason
from rag_core.logging import get_logger

log = get_logger(__name__)
STUMBLE_SECONDS: Final = 10.0
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
        """What these were about is well again."""
        for one in about:
            if self._found.pop(one, None) is not None and not self._found:
                log.info("stream_problems_over", stream=self._stream)

    def keep(self, about: set[Hashable]) -> None:
        """Forget whatever is about something else."""
        self.clear(*(self._found.keys() - about))

    def current(self) -> RagError | None:
        """The oldest that counts; one about the group last, because others are what keeps a consumer out of it."""
        found = sorted(self._found.copy().items(), key=lambda one: (one[0] == "group", one[1][1]))
        return next((error for _, (error, since) in found if _counts(error, since)), None)

    @property
    def seconds(self) -> float:
        """How long the oldest that counts has lasted; 0 when none does."""
        ages = [time.monotonic() - since for error, since in self._found.copy().values() if _counts(error, since)]
        return max(ages, default=0.0)


def _counts(error: RagError, since: float) -> bool:
    return error.reason is Reason.BROKER_REFUSED or time.monotonic() - since >= STUMBLE_SECONDS
