"""The last stage: apply the document versions that are pending for a generation to the index."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from sqlalchemy import Connection

from rag_core import failpoints
from rag_core.ingestion.generations import Generation
from rag_core.ingestion.generations import store as generations
from rag_core.ingestion.pipeline import index_store as indexing
from rag_core.ingestion.pipeline import pending_store as pending
from rag_core.ingestion.pipeline.base import Progress, StageResult, Stop, Work, never
from rag_core.ingestion.pipeline.pending_store import EVERYTHING, Extent, Pending
from rag_core.logging import get_logger
from rag_core.retrieval.index import VectorIndex
from rag_tracing import CLIENT, span

log = get_logger(__name__)
STAGE = "index"


def index_documents(work: Work, index: VectorIndex, generation: Generation) -> StageResult:
    """Apply the pending documents of one generation. See `index_pending`.

    Raises `Unavailable` (`INDEX_UNAVAILABLE`); only applied documents are marked then.
    """
    return index_pending(
        work.connection,
        index,
        generation,
        work.extent,
        documents=work.settings.index_batch_documents,
        points=work.settings.index_batch_points,
        only_indexed=work.only_indexed(generation),
        progress=work.progress,
        stop=work.stop,
    )


def index_pending(
    connection: Connection,
    index: VectorIndex,
    generation: Generation,
    extent: Extent = EVERYTHING,
    *,
    documents: int = 64,
    points: int = 512,
    only_indexed: bool = False,
    progress: Progress | None = None,
    stop: Stop = never,
) -> StageResult:
    """Apply pending documents to one generation, and mark them once they are flushed; `stop` ends it between writes.

    A document is applied whole, at one version, once its chunks and vectors are complete. Tombstones, rejected
    documents and documents whose ACL is unknown are applied without points. `documents` and `points` limit one write.
    Counts: `documents`, `upserted` and `removed` points, `stale`.
    """
    selection = pending.index(connection, extent, generation, only_indexed=only_indexed)
    counts = Counter(documents=0, upserted=0, removed=0, stale=0)
    for batch in selection.batches(documents=documents, weight=points):
        counts.update(_apply(connection, index, generation, batch))
        if progress is not None:
            progress(counts["documents"], selection.total)
        if stop():
            break
    if counts["stale"]:
        # The index has a newer version than PostgreSQL: the database was restored from a backup.
        log.warning("index_ahead_of_database", generation=generation.name, documents=counts["stale"])
    return StageResult(STAGE, dict(counts), pending=selection.total - counts["documents"])


def _apply(
    connection: Connection, index: VectorIndex, generation: Generation, batch: Sequence[Pending]
) -> dict[str, int]:
    """Apply one batch to a generation, then mark the documents, but only those the engine has flushed."""
    updates = indexing.load(connection, generation, [(row.doc_id, row.version, row.weight) for row in batch])
    known = {"db.system.name": "qdrant", "db.operation.name": "upsert", "db.collection.name": generation.name}
    with span("index write", {**known, "db.operation.batch.size": len(updates)}, CLIENT) as block:
        result = index.apply(generation.name, updates)
        block.set({"rag.upserted": result.upserted, "rag.removed": result.removed})
    failpoints.reach("after_upsert")
    generations.mark_indexed(connection, generation.name, [(update.doc_id, update.version) for update in updates])
    failpoints.reach("before_mark_commit")
    connection.commit()
    return {
        "documents": len(updates), "upserted": result.upserted, "removed": result.removed, "stale": result.stale,
    }  # fmt: skip
