"""The interface of a stream to the worker. The inbox and Kafka pass the same contract tests."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from sqlalchemy import Connection

from rag_core.content.sources import Source
from rag_core.content.streams import DeadLetter
from rag_core.errors import RagError
from rag_core.ingestion.pipeline import Event

SourceKey = tuple[str, str]
"""Tenant and name of a source."""


@dataclass(frozen=True, slots=True)
class Position:
    """Position of a message. For the inbox the topic is empty and the offset is the sequence number."""

    topic: str
    partition: int
    offset: int

    @property
    def token(self) -> str:
        """A unique name of the message in its stream."""
        return f"{self.topic or 'inbox'}/{self.partition}@{self.offset}"


@dataclass(frozen=True, slots=True)
class StreamMessage:
    """One message. Exactly one of `event` and `failure` is set.

    `payload` is stored if it becomes a dead letter, `attributes` are needed in addition to retry it. `key` and
    `headers` belong to a topic's message. `digest` is the SHA-256 of a value that is too large to store.
    """

    source: Source
    position: Position
    locator: str
    payload: bytes | None
    event: Event | None = None
    failure: RagError | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    size: int = 0
    key: bytes | None = None
    headers: Sequence[tuple[str, bytes | None]] = ()
    digest: bytes | None = None
    traceparent: str | None = None
    """The trace that the message is part of."""


@dataclass(frozen=True, slots=True)
class Lag:
    """Number of pending messages, and the age of the oldest in seconds (0 when there is none)."""

    messages: int = 0
    seconds: float = 0.0


class StreamSource(Protocol):
    """A stream of messages, read by one thread. At least once: what was not recorded comes again."""

    name: str
    """Bounded in number, so it can be a metric label."""

    def poll(self, wait: float) -> list[StreamMessage]:
        """The next micro-batch in order, after at most `wait` seconds; empty when there is nothing.

        Returns the moment there is something and the batch is full or has lingered. Messages of one document come in
        the order of the stream. Raises `Unavailable` when the stream cannot be reached, `Conflict` when it must stop
        until an operator acts (`OFFSET_OUT_OF_RANGE`).
        """
        ...

    def publish_dead_letters(self, dead_letters: Sequence[DeadLetter]) -> None:
        """Hand dead letters on (a topic) before they are recorded. Raises `Unavailable` when that failed."""
        ...

    def record(self, connection: Connection, messages: Sequence[StreamMessage], outcomes: Mapping[str, str]) -> None:
        """Write progress past these messages in the current transaction. `outcomes` is by token."""
        ...

    def done(self, messages: Sequence[StreamMessage], outcomes: Mapping[str, str]) -> None:
        """After the commit, when searches see the change: notify the broker and the completion topic."""
        ...

    def lag(self) -> Lag:
        """The pending messages. While the stream cannot be read, `seconds` is at least the time since then."""
        ...

    def problem(self) -> RagError | None:
        """Reason why some or all of its messages have been unreadable for a while; `None` when there is none."""
        ...

    def hold(self, tenant: str, source: str) -> bool:
        """Hand out no more messages of one source until a restart; false when the stream has no other."""
        ...

    def halted_sources(self) -> Collection[SourceKey]:
        """The sources that `hold` stopped; the stream itself continues."""
        ...

    def postpone(self, tenant: str, source: str) -> bool:
        """Skip a source that another process works on for a moment; false when the stream has no other."""
        ...

    def defer(self, messages: Sequence[StreamMessage]) -> None:
        """Leave messages of one source that take too long to another reader. For streams whose applier defers."""
        ...

    def at_end(self) -> bool:
        """Return whether nothing is left for this reader: all is handed out, or another reader has the stream."""
        ...

    def close(self) -> None: ...
