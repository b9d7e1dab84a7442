"""Upkeep: rows that no index generation can need any more."""

from __future__ import annotations

from rag_core.store import locks, unused
from rag_core.store.engine import Store

_PAGE = 5000


def purge_unused(store: Store, *, wait: float = 5) -> dict[str, int]:
    """Delete chunks of chunkers and vectors of embedders that no generation uses, and vectors no chunk refers to.

    Runs alone; raises `Conflict` (`SOURCE_BUSY`) when runs do not leave room within `wait` seconds. Interrupting it is
    harmless. Returns the counts `chunks` and `embeddings`.
    """
    with locks.exclusive_connection(store, wait=wait) as connection:
        counts = {"chunks": unused.delete_chunks(connection), "embeddings": 0}
        connection.commit()
        after = b""
        while True:
            deleted, last = unused.delete_embeddings(connection, after, _PAGE)
            connection.commit()
            counts["embeddings"] += deleted
            if last is None:
                return counts
            after = last
