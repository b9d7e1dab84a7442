"""Metadata updates: permissions and deletions reach the index right after their commit, before the later stages.

Nothing depends on it. What it could not do is row state, so the index stage does it, and until then the query servers
withhold the document from callers who lost access (`rag_core.access.store`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from sqlalchemy import Connection

from rag_core.access import store as visibility
from rag_core.errors import RagError
from rag_core.index import VectorIndex
from rag_core.logging import get_logger
from rag_core.pipeline.base import Work
from rag_core.pipeline.targets import index_for_targets
from rag_core.settings import Settings
from rag_core.sources import Scope

log = get_logger(__name__)
_PAGE = 500


class MetadataPublisher:
    """For one shard, on the connection that holds it. `open_index` is called at the first change and no sooner."""

    def __init__(self, open_index: Callable[[], VectorIndex], settings: Settings) -> None:
        self._open_index = open_index
        self._settings = settings
        self._after = 0
        self._gave_up = False
        self.counts: Counter[str] = Counter()

    def publish(self, connection: Connection, scope: Scope) -> None:
        """Give the index what was committed since the last call and needs neither chunking nor embedding.

        An index that is away is waited for once; then the index stage has the rest.
        """
        if self._gave_up:
            return
        try:
            for position, doc_ids in visibility.pending_update_pages(
                connection, *scope.key, after=self._after, page=_PAGE
            ):
                work = Work(connection, scope, self._settings, doc_ids)
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
