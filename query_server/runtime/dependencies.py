"""Dependencies of a server, opened at start and closed last."""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from query_server.runtime.blocking import BlockingPool
from rag_core import database
from rag_core.answering import Answerer, open_answerer
from rag_core.content.embedding import Embedder, open_embedder
from rag_core.errors import RagError, Reason
from rag_core.governance.access import FileKeys, KeySource, TokenRules, TokenVerifier, UrlKeys
from rag_core.retrieval.engines import open_index
from rag_core.retrieval.index import VectorIndex
from rag_core.retrieval.search import Reranker, open_reranker
from rag_core.settings import Settings

if TYPE_CHECKING:
    from rag_core.database import Store

INDEX_PROBE_SECONDS = 5.0
"""Time allowed to a call of another process's index that is no search: the alias, the list of generations."""


RETRY_SECONDS = 1.0
"""A database that could not be opened is tried again so much later; until then every call fails at once."""
OBSERVER_SECONDS = 10.0
"""Time allowed to one statement of a poller."""
OBSERVERS = 14
"""Pollers and the writers of history, sessions and usage, each with a connection of its own."""
LOOKUPS = 4
"""API keys that are read at once."""
OPERATIONS = 2
"""Connections in addition to the calls' own: a generation operation, and the audit trail."""


class LazyStore:
    """Opens the store at its first use: a server must start and say why it is not ready while PostgreSQL is down.

    Thread-safe. Those who ask while it is being opened share the outcome, so a host that does not answer costs one
    connection timeout, not one for each of them.
    """

    def __init__(self, opener: Callable[[], Store], *, threads: int = 8) -> None:
        self._opener = opener
        self.threads = BlockingPool(threads, name="database", reason=Reason.DATABASE_UNAVAILABLE, what="the database")
        """The thread pool in which calls use it."""
        self._lock = threading.Lock()
        self._store: Store | None = None
        self._failure: RagError | None = None
        self._retry_at = 0.0

    def get(self) -> Store:
        """The open store. Raises `Unavailable` (`DATABASE_UNAVAILABLE`) or `Conflict` (`DATABASE_VERSION`)."""
        with self._lock:
            if self._store is None:
                self._store = self._open()
            return self._store

    def _open(self) -> Store:
        if self._failure is not None and time.monotonic() < self._retry_at:
            raise copy.copy(self._failure)
        try:
            return self._opener()
        except RagError as error:
            self._failure, self._retry_at = copy.copy(error), time.monotonic() + RETRY_SECONDS
            raise

    def close(self) -> None:
        """Close it when it was ever opened."""
        self.threads.close()
        with self._lock:
            if self._store is not None:
                self._store.close()
                self._store = None


@dataclass(frozen=True, slots=True)
class Dependencies:
    """Dependencies of the handlers. Tests build them from the same real ones with a fake embedder."""

    index: VectorIndex
    embedder: Embedder
    answerer: Answerer
    verifier: TokenVerifier
    store: LazyStore
    observer_store: LazyStore
    """The same database over connections that only the pollers and the lookup of API keys use."""
    reranker: Reranker | None = None
    endpoint: str | None = None
    """`host:port` of the process that owns the index folder; `index` then is its client, for all but searches."""

    async def close(self) -> None:
        """Close in reverse order of need; the index is last, because everything else may still lean on it."""
        await self.answerer.close()
        self.embedder.close()
        self.store.close()
        self.observer_store.close()
        self.index.close()


def open_dependencies(settings: Settings) -> Dependencies:
    """Open what the settings name; the index and the model load side by side.

    Raises `ConfigError` (keys), `Conflict` (`INDEX_LOCKED`), `DataCorruption` (`INDEX_CORRUPT`, `MODEL_CORRUPT`), or
    `Unavailable`; nothing stays open then.
    """
    rules = TokenRules(
        settings.jwt_issuer,
        settings.jwt_audience,
        settings.jwt_max_lifetime_seconds,
        settings.jwt_leeway_seconds,
        settings.platform_groups,
    )
    verifier = TokenVerifier(_open_keys(settings), rules)
    endpoint = settings.index_endpoint if settings.qdrant_url is None else None
    # A caller waits only seconds: no waiting for a process or a server to come back, and a short limit
    # (with a Qdrant server the client searches too, each search until its caller's deadline).
    hurried = {"index_retry_seconds": 0.0} | ({"index_timeout_seconds": INDEX_PROBE_SECONDS} if endpoint else {})
    own = settings.model_copy(update=hurried)
    with ThreadPoolExecutor(2) as loader:
        loading = loader.submit(open_embedder, settings)
        loader.submit(_load_database)
        index = open_index(own)
        try:
            embedder = loading.result()
        except BaseException:
            index.close()
            raise
    try:
        reranker = open_reranker(settings)
    except BaseException:
        embedder.close()
        index.close()
        raise
    calls = settings.model_copy(update={"database_pool_size": settings.database_pool_size + OPERATIONS})
    looking = {"database_pool_size": OBSERVERS + LOOKUPS, "database_statement_timeout_seconds": OBSERVER_SECONDS}
    observing = settings.model_copy(update=looking)
    stores = (
        LazyStore(lambda: _open_store(calls), threads=settings.database_pool_size),
        LazyStore(lambda: _open_store(observing)),
    )
    return Dependencies(index, embedder, open_answerer(settings), verifier, *stores, reranker, endpoint)


def _open_keys(settings: Settings) -> KeySource:
    if settings.jwt_jwks_url is not None:
        return UrlKeys(settings.jwt_jwks_url, refresh=settings.jwt_jwks_refresh_seconds)
    return FileKeys(settings.jwks_path)


def _load_database() -> object:
    """Import what the first reads of a start need, while the model loads: much of that is outside of Python."""
    return database.open_store  # which the package imports when it is named


def _open_store(settings: Settings) -> Store:
    return database.open_store(settings, or_newer=True)
