"""Dependencies of a stream worker for tests: the real store, index and parser, the fake embedder, pushes by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, text

from rag_assets.stream_worker.base import StreamSource
from rag_assets.stream_worker.consumer_loop import ConsumerLoop
from rag_assets.stream_worker.inbox import InboxSource
from rag_assets.stream_worker.metrics import StreamMetrics
from rag_core.content.chunking import Chunker
from rag_core.content.parsing import Parser
from rag_core.content.sources import Source
from rag_core.content.streams import PushedChange, Receipt
from rag_core.content.streams import inbox_store as inbox
from rag_core.database import Store
from rag_core.errors import Unavailable
from rag_core.governance.history import HistoryRecorder
from rag_core.ingestion.generations import TransformRegistry, Transforms, generation_config_of
from rag_core.ingestion.pipeline import BatchResult, Event, EventApplier
from rag_core.ingestion.pipeline.active_generation import ensure_generation
from rag_core.ingestion.pipeline.events import EventsResult
from rag_core.retrieval.index import VectorIndex
from rag_core.settings import Settings
from tests.support.pipeline import CountingEmbedder, PipelineHarness, open_chunker

PUSHED = Source("push", "acme", "push", acl=None)


def no_progress(_connection: Connection, _settled: BatchResult) -> None:
    """A stream that remembers nothing."""


@dataclass
class StreamHarness:
    """Everything a worker has, without its threads. `flow` reads what is stored and indexed."""

    store: Store
    index: VectorIndex
    parser: Parser
    settings: Settings
    embedder: CountingEmbedder = field(default_factory=CountingEmbedder)
    chunker: Chunker = field(default_factory=open_chunker)
    metrics: StreamMetrics = field(default_factory=StreamMetrics)

    def __post_init__(self) -> None:
        ensure_generation(self.store, self.index, self.embedder, self.chunker)
        own = Transforms(lambda: self.embedder, lambda: self.chunker, generation_config_of(self.settings))
        self.transform_registry = TransformRegistry(self.settings, own)
        self.recorder = HistoryRecorder(lambda: self.store)
        self.applier = EventApplier(self)
        self.flow = PipelineHarness(self.store, self.index, self.parser, self.settings, PUSHED)
        self._opened: list[StreamSource] = []

    def consumer_loop(self, source: StreamSource | None = None, settings: Settings | None = None) -> ConsumerLoop:
        made = source or InboxSource(self.store, settings or self.settings)
        self._opened.append(made)
        return ConsumerLoop(made, self.applier, self.store, settings or self.settings, self.metrics)

    def push(self, locator: str, content: str | bytes | None, **fields: Any) -> Receipt:
        raw = content.encode() if isinstance(content, str) else content
        wanted: dict[str, Any] = {"tenant": "acme", "source": "push", "subject": "ann", "media_type": "text/plain"}
        if raw is not None:
            wanted["acl"] = ("everyone",)
        change = PushedChange(locator=locator, content=raw, **(wanted | fields))
        with self.store.engine.begin() as connection:
            return inbox.accept(connection, change, max_pending=self.settings.inbox_max_pending)

    def apply(self, *events: Event, source: Source = PUSHED) -> EventsResult:
        return self.applier.apply(source, "run", events, no_progress)

    def all(self, statement: str, **params: Any) -> Sequence[Any]:
        with self.store.engine.connect() as connection:
            return connection.execute(text(statement), params).all()

    def texts(self) -> dict[str, str]:
        """Locator to what searches see of it."""
        return self.flow.indexed_text()

    def close(self) -> None:
        for source in self._opened:
            source.close()
        self.applier.close()


def event(locator: str, version: int, content: str | bytes | None, **fields: Any) -> Event:
    """An event whose token is its locator and version."""
    raw = content.encode() if isinstance(content, str) else content
    wanted: dict[str, Any] = {"media_type": "text/plain", "acl": ("everyone",)} if raw is not None else {}
    now = datetime.now(UTC)
    return Event(locator, version, f"{locator}@{version}/{fields.pop('n', 0)}", now, raw, **(wanted | fields))


class Failing:
    """An index in front of the real one that fails on request."""

    def __init__(self, index: VectorIndex) -> None:
        self._index = index
        self.error: Exception | None = None
        self.failures = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._index, name)

    def apply(self, *arguments: Any) -> Any:
        if self.error is not None:
            self.failures += 1
            raise self.error
        return self._index.apply(*arguments)


__all__ = ["PUSHED", "Failing", "StreamHarness", "Unavailable", "event", "no_progress"]
