"""Counts of sources in the database, for the display of an ingest."""

from __future__ import annotations

from dataclasses import dataclass

from rag_core.errors import RagError
from rag_core.settings import Settings


@dataclass(frozen=True, slots=True)
class Counts:
    """Counts of a source in the database; chunks of equal text share one embedding."""

    documents: int = 0
    chunks: int = 0
    texts: int = 0
    embedded: int = 0
    quarantined: int = 0
    waits: str = ""
    """Why its run waits, in words; empty when it does not."""

    def describe(self, status: str, reason: str = "") -> str:
        """One line for people."""
        text = f"{self.documents} documents, {self.chunks} chunks"
        if self.quarantined:
            text += f", {self.quarantined} quarantined"
        return text if status == "SUCCESS" else f"{reason or status}: {text}"


class CountReader:
    """Reads counts of sources for the progress display; a database that is busy or down just gives no news."""

    def __init__(self, settings: Settings) -> None:
        from rag_core.database import open_store

        self._store = open_store(settings)
        self._last: dict[str, Counts] = {}

    def read(self, source: str) -> Counts:
        """The counts now, or the last ones known."""
        from rag_core.generations import status_store
        from rag_core.pipeline import waiting_runs

        try:
            with self._store.engine.connect() as connection:
                waits = next((str(one) for one in waiting_runs(connection) if one.source == source), "")
                documents, chunks, texts, embedded, quarantined = status_store.progress(connection, source)
                self._last[source] = Counts(documents, chunks, texts, embedded, quarantined, waits)
        except RagError:
            return self._last.get(source, Counts())
        return self._last[source]

    def close(self) -> None:
        """Close the connection."""
        self._store.close()
