"""Repair the index from PostgreSQL: clear the marks and index again."""

from __future__ import annotations

import uuid

from rag_core.database import Store, locks
from rag_core.governance.audit import audit_store as audit
from rag_core.ingestion.generations import store as generations
from rag_core.ingestion.pipeline import Progress, index_pending
from rag_core.ingestion.verify.report import STRAY, VerifyReport
from rag_core.retrieval.engines.edge import EdgeIndex
from rag_core.retrieval.index import VectorIndex


def rebuild(
    store: Store,
    index: VectorIndex,
    generation: str,
    *,
    actor: str,
    wait: float = 30,
    progress: Progress | None = None,
) -> int:
    """Empty a generation, damaged or not, and fill it again from the rows; returns the number of documents applied.

    Nothing is parsed or embedded again. After a crash the remaining documents are pending. For an Edge folder that does
    not open, pass `EdgeIndex(folder, repair=True)`. Raises `NotFound` (`GENERATION_NOT_FOUND`), and `Conflict`
    (`SOURCE_BUSY`) when runs do not end within `wait` seconds.
    """
    with locks.exclusive_connection(store, wait=wait) as connection:
        row = generations.get(connection, generation)
        generations.clear_indexed(connection, generation)
        audit.record(connection, actor=actor, action="index.rebuild", target=generation, details={})
        connection.commit()
        # Created first: a generation that lost its folder cannot be reset.
        index.create(row.spec)
        embedded = index if isinstance(index, EdgeIndex) else None
        if embedded is not None:  # do not serve a partial index; a crash leaves it marked so
            embedded.set_due(generation)
        index.reset(generation)
        result = index_pending(connection, index, row, progress=progress)
        if row.state == "active" and index.alias() != generation:
            index.promote(generation)
        if embedded is not None:
            embedded.set_filled(generation)
    return result.counts["documents"]


def repair(store: Store, index: VectorIndex, report: VerifyReport, *, actor: str, wait: float = 30) -> int:
    """Apply documents with findings again and remove unexpected points; returns the number of documents.

    Verify again afterwards, because a report has a limited number of findings. Raises as `rebuild`.
    """
    # A point that is written again is outside of the search graph, where every search compares it.
    found = (*report.findings, *report.unreached)
    documents: set[uuid.UUID] = {finding.doc_id for finding in found if finding.doc_id is not None}
    strays = [finding.chunk_id for finding in report.findings if finding.kind in STRAY and finding.chunk_id is not None]
    with locks.exclusive_connection(store, wait=wait) as connection:
        row = generations.get(connection, report.generation)
        generations.clear_indexed(connection, row.name, documents)
        details = {"documents": len(documents), "points": len(strays)}
        audit.record(connection, actor=actor, action="index.repair", target=row.name, details=details)
        connection.commit()
        if strays:
            index.delete_points(row.name, strays)
        return index_pending(connection, index, row).counts["documents"]
