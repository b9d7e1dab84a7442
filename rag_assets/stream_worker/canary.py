"""Canary documents: continuously pushed, searched, deleted and searched again through the public APIs.

They live in a tenant of their own, which no token of a customer names.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable

from rag_assets.stream_worker.metrics import StreamMetrics
from rag_core.content.streams import PushedChange
from rag_core.content.streams import inbox_store as inbox
from rag_core.database import Store
from rag_core.errors import RagError
from rag_core.governance.access import EVERYONE
from rag_core.governance.tenants import CANARY_TENANT
from rag_core.logging import get_logger
from rag_core.retrieval.index import SearchMode, SearchRequest, VectorIndex
from rag_core.settings import Settings

log = get_logger(__name__)
SOURCE = "canary"
LOCATOR = "canary.txt"
LIMIT_SECONDS = 30.0
_POLL_SECONDS = 0.01


class Canary:
    """Measures the way in and the way out of one document at a time."""

    def __init__(self, store: Store, index: VectorIndex, settings: Settings, metrics: StreamMetrics) -> None:
        self._store, self._index, self._settings, self._metrics = store, index, settings, metrics
        for step in ("push", "searchable", "gone"):
            metrics.canary_failures.labels(step)  # from the start, so that an alert sees the first increase

    def run(self, stopping: threading.Event) -> None:
        """A round every `stream_canary_seconds` until `stopping` is set."""
        while not stopping.wait(self._settings.stream_canary_seconds):
            try:
                self.round(stopping)
            except RagError as error:
                self._metrics.canary_failures.labels("push").inc()
                log.warning("canary_failed", reason=error.reason, problem=error.message)

    def round(self, stopping: threading.Event) -> dict[str, float]:
        """One document in and out. Returns the seconds of each step that ended; raises when it cannot be pushed."""
        word = f"canary{uuid.uuid4().hex}"
        measured: dict[str, float] = {}
        steps: list[tuple[str, bytes | None, Callable[[], bool]]] = [
            ("searchable", f"The {word} sings at dawn.".encode(), lambda: self._found(word)),
            ("gone", None, lambda: not self._found(word)),
        ]
        for step, content, reached in steps:
            began = time.monotonic()
            self._push(content)
            if not self._await(reached, stopping):
                self._metrics.canary_failures.labels(step).inc()
                log.warning("canary_late", step=step, seconds=LIMIT_SECONDS)
                continue
            measured[step] = time.monotonic() - began
            self._metrics.canary_seconds.labels(step).observe(measured[step])
            self._metrics.canary_last.labels(step).set(measured[step])
        return measured

    def _push(self, content: bytes | None) -> None:
        change = PushedChange(
            CANARY_TENANT, SOURCE, LOCATOR, "canary", content, "text/plain", acl=(EVERYONE,) if content else None
        )
        with self._store.engine.begin() as connection:
            inbox.accept(connection, change, max_pending=self._settings.inbox_max_pending)

    def _await(self, reached: Callable[[], bool], stopping: threading.Event) -> bool:
        deadline = time.monotonic() + LIMIT_SECONDS
        while time.monotonic() < deadline:
            if reached():
                return True
            if stopping.wait(_POLL_SECONDS):
                return False
        return False

    def _found(self, word: str) -> bool:
        request = SearchRequest(CANARY_TENANT, (EVERYONE,), limit=3, mode=SearchMode.LEXICAL, text=word)
        return any(word in hit.payload.text for hit in self._index.search(request).hits)
