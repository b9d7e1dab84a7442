"""Open the index engine that the settings configure."""

from __future__ import annotations

from rag_core.retrieval.index import VectorIndex
from rag_core.settings import Settings


def open_index(settings: Settings, *, repair: bool = False) -> VectorIndex:
    """Open the index; `repair` also opens a damaged Edge folder (see `EdgeIndex`).

    A Qdrant server when `qdrant_url` is set, another process's Edge folder when `index_endpoint` is set, else the Edge
    folder under home. Raises `Conflict` (`INDEX_LOCKED`), `DataCorruption` (`INDEX_CORRUPT`) or `ConfigError`.
    """
    # Imported here: a process that uses one engine should not load the others.
    if settings.qdrant_url is not None:
        from rag_core.retrieval.engines.qdrant import open_qdrant

        return open_qdrant(settings.qdrant_url, settings)
    if settings.index_endpoint is not None:
        from rag_core.retrieval.engines.remote import RemoteIndex

        secret = settings.index_secret.get_secret_value() if settings.index_secret else ""
        return RemoteIndex(
            settings.index_endpoint, secret, settings.index_timeout_seconds, settings.index_retry_seconds
        )
    from rag_core.retrieval.engines.edge import EdgeIndex

    return EdgeIndex(settings.index_dir, repair=repair)
