"""Purge chunks, vectors and shared listings that are no longer used."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from rag_core.content.sources import shared_listing_store as shared_listings
from rag_core.database import Store, locks
from rag_core.ingestion.pipeline import purge_store as unused

_DOCUMENTS = 500
_TEXTS = 5000
_ALONE_SECONDS = 1.0
"""Time that the purge keeps its exclusive lock, plus one page; then waiting runs proceed."""
Place = TypeVar("Place")


def purge_unused(store: Store, *, wait: float = 5) -> dict[str, int]:
    """Delete chunks of unused chunkers, vectors of unused embedders, and vectors that no chunk refers to.

    It deletes page by page, each page in a transaction, and holds the exclusive lock for about a second at a time.
    Raises `Conflict` (`SOURCE_BUSY`) when it does not get the lock within `wait` seconds; completed pages stay deleted.
    Returns the counts `chunks` and `embeddings`.
    """
    with store.engine.connect() as connection:
        chunkers = unused.chunkers(connection)
    counts = {"chunks": 0, "embeddings": 0}
    for chunker in chunkers:
        page = partial(unused.delete_chunks, chunker=chunker, page=_DOCUMENTS)
        counts["chunks"] += _in_turns(store, wait, page, uuid.UUID(int=0))
    counts["embeddings"] = _in_turns(store, wait, partial(unused.delete_embeddings, page=_TEXTS), b"")
    return counts


def purge_listings(store: Store) -> int:
    """Drop shared listings that no run will use, without blocking runs. Returns their number."""
    with locks.observer_connection(store) as connection:
        return shared_listings.drop_unneeded(connection)


def _in_turns(store: Store, wait: float, delete: Callable[..., tuple[int, Place | None]], start: Place) -> int:
    total, place = 0, start
    while True:
        with locks.exclusive_connection(store, wait=wait) as connection:
            until = time.monotonic() + _ALONE_SECONDS
            while True:
                deleted, last = delete(connection, after=place)
                connection.commit()
                total += deleted
                if last is None:
                    return total
                place = last
                if time.monotonic() >= until:
                    break
