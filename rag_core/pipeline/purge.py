"""Purge rows that no index generation can need any more."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from rag_core.database import Store, locks
from rag_core.pipeline import purge_store as unused
from rag_core.sources import shared_listing_store as shared_listings

_DOCUMENTS = 500
_TEXTS = 5000
_ALONE_SECONDS = 1.0
"""Runs wait no longer than this and one page; then they are let in between."""
Place = TypeVar("Place")


def purge_unused(store: Store, *, wait: float = 5) -> dict[str, int]:
    """Delete chunks of chunkers and vectors of embedders that no generation uses, and vectors no chunk refers to.

    In pages, each a transaction of its own, alone for a second at a time. Raises `Conflict` (`SOURCE_BUSY`) when runs
    do not leave room within `wait` seconds; what was deleted by then stays deleted. Returns the counts `chunks` and
    `embeddings`.
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
    """Drop shared listings that no run will use; runs need not wait for it. Returns how many."""
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
