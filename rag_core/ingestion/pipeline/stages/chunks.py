"""The second stage: chunk documents whose current text a chunker has not chunked yet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from rag_core.content.chunking import Chunker, ChunkingResult, StoredText
from rag_core.content.chunking import store as chunks
from rag_core.content.quality import AFTER_STORE, QuarantineEntry
from rag_core.content.quality import quarantine_store as quarantine
from rag_core.errors import InvalidInput, RagError, Reason
from rag_core.ingestion.generations import Generation
from rag_core.ingestion.pipeline import pending_store as pending
from rag_core.ingestion.pipeline.base import StageResult, Work
from rag_core.logging import get_logger

log = get_logger(__name__)
STAGE = "chunks"
_PREVIEW = 10


def chunk_documents(work: Work, chunker: Chunker, generations: Sequence[Generation] = ()) -> StageResult:
    """Chunk the live documents whose current text this chunker, used by `generations`, has not chunked yet.

    Counts: `documents`, `chunks`, `rejected`. A rejected document is quarantined (`TOO_MANY_CHUNKS`, `ZERO_CHUNKS`,
    `CHUNK_FAILED`) and is not retried until its text or the chunker changes; the index stage withdraws it.
    """
    settings, connection = work.settings, work.connection
    only_indexed = bool(generations) and all(map(work.only_indexed, generations))
    selection = pending.chunks(connection, work.extent, chunker.fingerprint, only_indexed=only_indexed)
    counts = Counter(documents=0, chunks=0, rejected=0)
    preview: list[dict[str, str | int | float]] = []
    # A chunker spends most of its time in the tokenizer, which releases the GIL.
    with ThreadPoolExecutor(settings.parser_workers, thread_name_prefix="chunk") as threads:
        for batch in selection.batches(documents=settings.sync_batch_documents, weight=settings.sync_batch_bytes):
            texts = chunks.texts(connection, [row.doc_id for row in batch])
            connection.commit()
            outcomes = list(threads.map(partial(_chunk, chunker), texts))
            _commit(work, chunker, outcomes)
            counts["documents"] += len(outcomes)
            counts["chunks"] += sum(len(outcome.chunked.chunks) for outcome in outcomes)
            counts["rejected"] += sum(outcome.chunked.rejected for outcome in outcomes)
            preview += [_row(outcome) for outcome in outcomes[: _PREVIEW - len(preview)]]
            if work.report(counts["documents"], selection.total):
                break
    return StageResult(STAGE, dict(counts), preview=preview, pending=selection.total - counts["documents"])


@dataclass(frozen=True, slots=True)
class _Outcome:
    text: StoredText
    chunked: ChunkingResult
    failure: QuarantineEntry | None = None


def _chunk(chunker: Chunker, text: StoredText) -> _Outcome:
    try:
        made = chunker.chunk(text.doc_id, text.document)
        if not made:
            raise InvalidInput(Reason.ZERO_CHUNKS, "the document has text but no chunk came out of it")
    except RagError as error:
        return _rejected(chunker, text, error.reason, error.message)
    except Exception:
        # A defect in the chunker must fail one document, not the run.
        log.exception("chunker_defect", document=str(text.doc_id))
        message = "the chunker failed on this document; the log has the details"
        return _rejected(chunker, text, Reason.CHUNK_FAILED, message)
    return _Outcome(text, ChunkingResult(text.doc_id, text.text_version, made))


def _rejected(chunker: Chunker, text: StoredText, reason: Reason, message: str) -> _Outcome:
    entry = QuarantineEntry(text.locator, "chunk", reason, message, text.token, chunker.fingerprint)
    return _Outcome(text, ChunkingResult(text.doc_id, text.text_version, (), rejected=True), entry)


def _commit(work: Work, chunker: Chunker, outcomes: list[_Outcome]) -> None:
    connection, (tenant, source, shard) = work.connection, work.scope.key
    chunks.replace(connection, chunker.fingerprint, [outcome.chunked for outcome in outcomes])
    fine = [outcome.text.locator for outcome in outcomes if outcome.failure is None]
    quarantine.clear(connection, tenant, source, fine, AFTER_STORE)
    failures = [outcome.failure for outcome in outcomes if outcome.failure is not None]
    quarantine.record(connection, tenant, source, shard, work.scope.run_id, failures)
    connection.commit()


def _row(outcome: _Outcome) -> dict[str, str | int | float]:
    made = outcome.chunked.chunks
    reason = outcome.failure.reason if outcome.failure else ""
    return {
        "locator": outcome.text.locator,
        "chunks": len(made),
        "tokens": sum(chunk.tokens for chunk in made),
        "rejected": reason,
    }
