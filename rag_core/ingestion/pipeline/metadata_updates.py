"""Metadata updates: apply permissions and deletions to the index right after their commit.

An optimisation: an update that fails is still pending in the rows, so the index stage applies it. Until then the query
servers hide the document from callers who lost access (`rag_core.governance.access.store`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from sqlalchemy import Connection

from rag_core.content.sources import Scope
from rag_core.errors import RagError
from rag_core.governance.access import store as visibility
from rag_core.ingestion.pipeline.base import Work
from rag_core.ingestion.pipeline.targets import index_for_targets
from rag_core.logging import get_logger
from rag_core.retrieval.index import VectorIndex
from rag_core.settings import Settings

log = get_logger(__name__)
_PAGE = 500


class MetadataPublisher:
    """Publishes updates of one shard, on the connection that holds its lock. Opens the index at the first update."""

    def __init__(self, open_index: Callable[[], VectorIndex], settings: Settings) -> None:
        self._open_index = open_index
        self._settings = settings
        self._after = 0
        self._gave_up = False
        self.counts: Counter[str] = Counter()

    def publish(self, connection: Connection, scope: Scope) -> None:
        """Apply the changes committed since the last call that need neither chunking nor embedding.

        When the index is unavailable it waits once; afterwards the index stage applies the rest.
        """
        if self._gave_up:
            return
        try:
            for position, doc_ids in visibility.pending_update_pages(
                connection, *scope.key, after=self._after, page=_PAGE
            ):
                work = Work(connection, scope, self._settings, doc_ids, include_unindexed=True)
                self.counts.update(index_for_targets(work, self._open_index()).counts)
                self._after = position
        except RagError as error:
            connection.rollback()
            self._gave_up = True
            log.warning(
                "metadata_update_deferred", source=scope.source.name, reason=error.reason, message=error.message
            )
        else:
            connection.commit()
