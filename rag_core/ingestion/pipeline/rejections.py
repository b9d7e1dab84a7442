"""Quarantine stored documents that must not go to the index."""

from __future__ import annotations

from collections.abc import Mapping

from rag_core.content.chunking import ChunkingResult
from rag_core.content.chunking import store as chunks
from rag_core.content.quality import QuarantineEntry
from rag_core.content.quality import quarantine_store as quarantine
from rag_core.errors import Reason
from rag_core.ids import document_id
from rag_core.ingestion.generations import store as generations
from rag_core.ingestion.pipeline.base import Work


def quarantine_stored(work: Work, refused: Mapping[str, str]) -> None:
    """Withdraw stored documents, by locator with the reason in words, until their text or the chunker changes."""
    if not refused:
        return
    connection, (tenant, source, shard) = work.connection, work.scope.key
    stored = chunks.texts(connection, [document_id(tenant, source, locator) for locator in refused])
    without = [ChunkingResult(row.doc_id, row.text_version, (), rejected=True) for row in stored]
    chunkers = sorted({row.chunker for row in generations.write_targets(connection)})
    for chunker in chunkers:
        chunks.replace(connection, chunker, without)
    entries = [
        QuarantineEntry(
            row.locator, "index", Reason.SCHEMA_VIOLATION, refused[row.locator], row.token, " ".join(chunkers)
        )
        for row in stored
    ]
    quarantine.record(connection, tenant, source, shard, work.scope.run_id, entries)
    connection.commit()
