"""The states of sources in the database, for the display of an ingest."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING

from rag_core.errors import RagError
from rag_core.settings import Settings

if TYPE_CHECKING:
    from rag_core.database import Store
    from rag_core.ingestion.source_status import SourceReport, SourceStatus
    from ragctl.local_stack.ingest import SourceJob


def _is_under_way(status: SourceStatus) -> bool:
    from rag_core.ingestion.source_status import SourceState, WaitingCause

    working = (SourceState.LISTING, SourceState.EMBEDDING, SourceState.INDEXING)
    return status.state in working or status.waiting_for is WaitingCause.EMBEDDING


class CountReader:
    """Reads what every face of the platform shows of sources; a database that is busy or down just gives no news."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._last: dict[tuple[str, str], SourceReport] = {}

    @cached_property
    def _store(self) -> Store:
        from rag_core.database import open_store

        return open_store(self._settings)

    def refresh(self, tenants: Iterable[str]) -> None:
        """Read the sources of these tenants."""
        from rag_core.ingestion.source_status import read

        try:
            with self._store.engine.connect() as connection:
                for tenant in set(tenants):
                    self._last.update({(tenant, one.counts.name): one for one in read(connection, tenant)})
        except RagError:
            return

    def left_to_workers(self, jobs: Iterable[SourceJob]) -> set[str]:
        """The sources of these jobs whose first load a living stream worker brings in; none without the database."""
        from rag_core.ingestion.source_status import observable_store

        names = {(job.tenant, job.source) for job in jobs if job.observable}
        lost = self._settings.stream_lost_seconds
        if not names:
            return set()
        try:
            with self._store.engine.connect() as connection:
                left = observable_store.left_to_workers(connection, names, within_seconds=lost)
        except RagError:
            return set()
        return {source for _, source in left}

    def progress(self, tenant: str, source: str, *, running: bool = False) -> tuple[int, str]:
        """The documents of a source, and what happens to it now.

        `running`: a run reads it. The rows learn that some seconds later, so a state of a source at rest is not shown.
        """
        from rag_core.ingestion.source_status import describe

        found = self._last.get((tenant, source))
        if found is None:
            return 0, "documents"
        behind = running and not _is_under_way(found.status)
        return found.counts.documents, f"documents; {'its run reads' if behind else describe(found.status)}"

    def is_read(self, tenant: str, source: str) -> bool:
        """Return whether a source was read to its end, by whatever reads it, and nothing waits."""
        from rag_core.ingestion.source_status import SourceState

        found = self._last.get((tenant, source))
        read = (SourceState.UP_TO_DATE, SourceState.DEGRADED, SourceState.HELD)
        return found is not None and found.status.state in read

    def result(self, tenant: str, source: str, status: str, reason: str = "") -> str:
        """One line about a source whose run ended. Chunks are those of the generation that searches read."""
        found = self._last.get((tenant, source))
        text = f"{found.counts.documents} documents, {found.counts.chunks} chunks" if found else "counts unknown"
        if found and found.counts.quarantined:
            text += f", {found.counts.quarantined} quarantined"
        return text if status == "SUCCESS" else f"{reason or status}: {text}"

    def close(self) -> None:
        """Close the connection."""
        if "_store" in vars(self):
            self._store.close()
