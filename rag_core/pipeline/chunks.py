"""The second stage: documents whose text is new to the chunker are chunked."""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from sqlalchemy import Connection

from rag_core.errors import InvalidInput, RagError, Reason
from rag_core.logging import get_logger
from rag_core.pipeline.base import Progress, Scope, StageReport, Stop, never
from rag_core.settings import Settings
from rag_core.store import chunks, locks, quarantine, runs
from rag_core.store.chunks import Chunked, Text, Unchunked
from rag_core.store.engine import Store
from rag_core.store.quarantine import AFTER_STORE, Entry
from rag_core.text import Chunker

log = get_logger(__name__)
STAGE = "chunks"
_PAGE = 500
_PREVIEW = 10


def chunk_given(
    connection: Connection, chunker: Chunker, scope: Scope, settings: Settings, doc_ids: Sequence[uuid.UUID]
) -> int:
    """Chunk those of the given documents that this chunker has not seen in their present text; returns how many.

    For a few documents at a time, on a connection that holds their shard. Failures go as in `chunk_documents`.
    """
    done = 0
    for ids in _batches(chunks.pending_among(connection, doc_ids, chunker.fingerprint), settings):
        outcomes = [_chunk(chunker, text) for text in chunks.texts(connection, ids)]
        _commit(connection, chunker, scope, outcomes)
        done += len(outcomes)
    return done


def chunk_documents(
    store: Store,
    chunker: Chunker,
    scope: Scope,
    settings: Settings,
    progress: Progress | None = None,
    *,
    known: bool = False,
    stop: Stop = never,
) -> StageReport:
    """Chunk the live documents of a shard that this chunker has not seen in their present text.

    Counts: `documents`, `chunks`, `rejected`. A rejected document is quarantined (`TOO_MANY_CHUNKS`, `ZERO_CHUNKS`,
    `CHUNK_FAILED`) and is not tried again before its text or the chunker changes; the index stage withdraws it.
    With `known` only documents that this chunker has seen in an earlier text; `stop` ends it between two batches.
    Raises `Conflict` (`SOURCE_BUSY`) while another run works on the shard.
    """
    started = time.monotonic()
    tenant, source = scope.source.tenant, scope.source.name
    with (
        locks.shard_connection(store, tenant, source, scope.shard, wait=settings.source_wait_seconds) as connection,
        # Most of a chunker's time is in its tokenizer, which lets other threads run.
        ThreadPoolExecutor(settings.parser_workers, thread_name_prefix="chunk") as threads,
    ):
        total = chunks.find_pending(connection, tenant, source, scope.shard, chunker.fingerprint, known=known)
        counts: Counter[str] = Counter()
        preview: list[dict[str, str | int | float]] = []
        for ids in _batches(chunks.pending(connection, _PAGE), settings):
            texts = chunks.texts(connection, ids)
            connection.commit()
            outcomes = list(threads.map(partial(_chunk, chunker), texts))
            _commit(connection, chunker, scope, outcomes)
            counts["documents"] += len(outcomes)
            counts["chunks"] += sum(len(outcome.chunked.chunks) for outcome in outcomes)
            counts["rejected"] += sum(outcome.chunked.rejected for outcome in outcomes)
            preview += [_row(outcome) for outcome in outcomes[: _PREVIEW - len(preview)]]
            if progress is not None:
                progress(counts["documents"], total)
            if stop():
                break
        report = {name: counts[name] for name in ("documents", "chunks", "rejected")}
        seconds = time.monotonic() - started
        runs.record(
            connection,
            run_id=scope.run_id,
            tenant=tenant,
            source=source,
            shard=scope.shard,
            stage=STAGE,
            counts=report,
            seconds=seconds,
        )
        connection.commit()
    return StageReport(STAGE, report, seconds, preview=preview)


@dataclass(frozen=True, slots=True)
class _Outcome:
    text: Text
    chunked: Chunked
    failure: Entry | None = None


def _batches(pending: Iterable[Unchunked], settings: Settings) -> Iterator[list[uuid.UUID]]:
    """Ids of pending documents, bounded in number and in text held at once; a larger text goes alone."""
    batch: list[uuid.UUID] = []
    size = 0
    for document in pending:
        full = len(batch) >= settings.sync_batch_documents or size + document.chars > settings.sync_batch_bytes
        if batch and full:
            yield batch
            batch, size = [], 0
        batch.append(document.doc_id)
        size += document.chars
    if batch:
        yield batch


def _chunk(chunker: Chunker, text: Text) -> _Outcome:
    try:
        made = chunker.chunk(text.doc_id, text.document)
        if not made:
            raise InvalidInput(Reason.ZERO_CHUNKS, "the document has text but no chunk came out of it")
    except RagError as error:
        return _rejected(chunker, text, error.reason, error.message)
    except Exception:
        # A defect in the chunker must cost one document, not the run.
        log.exception("chunker_defect", document=str(text.doc_id))
        message = "the chunker failed on this document; the log has the details"
        return _rejected(chunker, text, Reason.CHUNK_FAILED, message)
    return _Outcome(text, Chunked(text.doc_id, text.text_version, made))


def _rejected(chunker: Chunker, text: Text, reason: Reason, message: str) -> _Outcome:
    entry = Entry(text.locator, "chunk", reason, message, text.token, chunker.fingerprint)
    return _Outcome(text, Chunked(text.doc_id, text.text_version, (), rejected=True), entry)


def _commit(connection: Connection, chunker: Chunker, scope: Scope, outcomes: list[_Outcome]) -> None:
    tenant, source = scope.source.tenant, scope.source.name
    chunks.replace(connection, chunker.fingerprint, [outcome.chunked for outcome in outcomes])
    fine = [outcome.text.locator for outcome in outcomes if outcome.failure is None]
    quarantine.clear(connection, tenant, source, fine, AFTER_STORE)
    failures = [outcome.failure for outcome in outcomes if outcome.failure is not None]
    quarantine.record(connection, tenant, source, scope.shard, scope.run_id, failures)
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
