"""Erase a document from every table and every generation, and store a receipt as proof.

The ledger entry is written first, in PostgreSQL and in a file. After a crash `reapply` erases documents whose entry
exists. A database restored from a backup has lost recent entries; the file still has them.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from rag_core.content.documents import In
from rag_core.content.documents import tombstone_store as tombstones
from rag_core.database import locks
from rag_core.errors import Conflict, InvalidInput, NotFound, Reason
from rag_core.governance.audit import audit_store as audit
from rag_core.governance.webhooks import EventType, WebhookEvent
from rag_core.governance.webhooks import outbox_store as outbox
from rag_core.ingestion.erasure import store as erasures
from rag_core.ingestion.erasure.store import Subject
from rag_core.ingestion.erasure.tenant import Outside, TenantReceipt, append_line, reapply_tenants
from rag_core.ingestion.pipeline import Pipeline, Progress
from rag_core.retrieval.index import DocumentUpdate, SearchMode, SearchRequest, VectorIndex


@dataclass(frozen=True, slots=True)
class ErasureReceipt:
    """Counts per location: rows found, rows removed, and rows still found (0 everywhere). Without content.

    Locations are tables of PostgreSQL, including the document's locator in the audit log, and all generations.
    """

    doc_id: str
    tenant: str
    source: str
    source_version: int
    erased_at: str
    requested_by: str
    found: Mapping[str, int]
    removed: Mapping[str, int]
    found_afterwards: Mapping[str, int]


def erase(pipeline: Pipeline, tenant: str, doc_id: uuid.UUID, *, actor: str) -> ErasureReceipt:
    """Erase one document and verify that nothing remains.

    Raises `NotFound` (`DOCUMENT_NOT_FOUND`), `Unavailable` when a service is unavailable (run it again then),
    `Conflict`: `SOURCE_BUSY`, or `ERASURE_INCOMPLETE` with the location where it is still found.
    """
    with pipeline.store.engine.connect() as connection:
        subject = erasures.find(connection, tenant, doc_id)
    if subject is None:
        raise NotFound(Reason.DOCUMENT_NOT_FOUND, "document: not found")
    return _erase(pipeline, subject, actor)


def reapply(
    pipeline: Pipeline,
    ledger: Path,
    *,
    actor: str,
    progress: Progress | None = None,
    outside: Outside = lambda _: {},
) -> list[ErasureReceipt | TenantReceipt]:
    """Erase again the documents and tenants that the ledgers (database and file) name, unless they are newer than the
    erasure.

    Call it after a restore, before serving. Raises as `erase` and `erase_tenant`.
    """
    rows, erased = _lines(ledger)
    repeated: list[ErasureReceipt | TenantReceipt] = []
    repeated += reapply_tenants(pipeline, erased, outside=outside, actor=actor)
    with pipeline.store.engine.connect() as connection:
        known = {uuid.UUID(str(row["doc_id"])): row for row in erasures.ledger(connection)}
    for row in rows:
        before = known.get(uuid.UUID(row["doc_id"]))
        if before is None or before["source_version"] < row["source_version"]:
            known[uuid.UUID(row["doc_id"])] = row
    receipts = repeated
    for number, (doc_id, row) in enumerate(known.items(), start=1):
        with pipeline.store.engine.begin() as connection:
            tenant, source, version = str(row["tenant"]), str(row["source"]), int(row["source_version"])
            erasures.enter(connection, doc_id=doc_id, tenant=tenant, source=source, version=version, actor=actor)
            subject = erasures.find(connection, tenant, doc_id)
        if subject is not None and subject.source_version <= row["source_version"]:
            receipts.append(_erase(pipeline, subject, actor))
        if progress is not None:
            progress(number, len(known))
    return receipts


def _erase(pipeline: Pipeline, subject: Subject, actor: str) -> ErasureReceipt:
    settings, store, index = pipeline.settings, pipeline.store, pipeline.index
    now = datetime.now(UTC).isoformat()
    source, wait = (subject.tenant, subject.source), settings.source_wait_seconds
    with locks.shard_connection(store, *source, subject.shard, wait=wait) as connection:
        before = erasures.enter(
            connection,
            doc_id=subject.doc_id,
            tenant=subject.tenant,
            source=subject.source,
            version=subject.source_version,
            actor=actor,
        )
        connection.commit()
        _append(settings.erasure_ledger, subject, actor, now, again=before)
        chunk_ids, texts = erasures.chunk_ids(connection, subject.doc_id), erasures.texts(connection, subject.doc_id)
        found = erasures.note_found(connection, subject.doc_id, erasures.traces(connection, subject, texts))
        # A tombstone first: if the index is unavailable now, the content is already gone and a retry does the rest.
        tombstones.soft_delete(connection, "erasure", [subject.doc_id])
        connection.commit()
        points = _remove_points(index, subject, chunk_ids)
        erasures.remove(connection, subject, texts)
        left = erasures.traces(connection, subject, texts) | {"points": _points_left(index, subject, chunk_ids)}
        found["points"] = points + left["points"]
        removed = {place: count - left[place] for place, count in found.items()}
        receipt = ErasureReceipt(str(subject.doc_id), *source, subject.source_version, now, actor, found, removed, left)
        # Without the locator, which may name a person: subscribers know the document by its id.
        data = {"doc_id": str(subject.doc_id), "source": subject.source, "erased": True}
        outbox.record(connection, [WebhookEvent(EventType.DOCUMENT_DELETED, subject.tenant, data)])
        erasures.write_receipt(connection, subject.doc_id, asdict(receipt))
        audit.record(
            connection, actor=actor, action="document.erase", target=subject.source, tenant=subject.tenant,
            doc_id=subject.doc_id, details={"removed": removed, "found_afterwards": sum(left.values())},
        )  # fmt: skip
        connection.commit()
    if left := {place: count for place, count in left.items() if count}:
        raise Conflict(Reason.ERASURE_INCOMPLETE, f"document: still found in {', '.join(sorted(left))}")
    return receipt


def _remove_points(index: VectorIndex, subject: Subject, chunk_ids: list[uuid.UUID]) -> int:
    """Remove the document's points from every generation, including retired ones."""
    removed = 0
    for spec in index.generations():
        gone = index.apply(spec.name, [DocumentUpdate(subject.doc_id, subject.version + 1)])
        removed += gone.removed + index.delete_points(spec.name, chunk_ids)
    return removed


def _points_left(index: VectorIndex, subject: Subject, chunk_ids: list[uuid.UUID]) -> int:
    """Count remaining points by id in every generation, and by a search in the active one."""
    left = sum(len(index.fetch(spec.name, chunk_ids)) for spec in index.generations()) if chunk_ids else 0
    active = next((spec for spec in index.generations() if spec.name == index.alias()), None)
    if active is None:
        return left
    anything = np.full(active.dimensions, active.dimensions**-0.5, dtype=np.float32)
    request = SearchRequest(
        subject.tenant,
        ("everyone",),
        limit=10,
        mode=SearchMode.DENSE,
        vector=anything,
        filter=In("doc_id", (str(subject.doc_id),)),
    )
    return left + len(index.search(request).hits)


def _append(path: Path, subject: Subject, actor: str, now: str, *, again: bool) -> None:
    line = {
        "doc_id": str(subject.doc_id),
        "tenant": subject.tenant,
        "source": subject.source,
        "source_version": subject.source_version,
        "requested_by": actor,
        "erased_at": now,
    }
    append_line(path, line, same=("doc_id", "source_version") if again else ())


def _lines(path: Path) -> tuple[list[dict[str, Any]], dict[str, datetime]]:
    """The documents of the ledger that no erasure of their tenant covers, and when tenants were erased last."""
    documents: list[dict[str, Any]] = []
    tenants: dict[str, datetime] = {}
    for number, line in enumerate(path.read_text("utf-8").splitlines() if path.exists() else (), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            if "tenant_erased" in row:
                name = str(row["tenant_erased"])
                tenants[name] = datetime.fromisoformat(row["erased_at"])
                documents = [one for one in documents if one["tenant"] != name]
                continue
            documents.append(
                {
                    "doc_id": str(uuid.UUID(row["doc_id"])),
                    "tenant": str(row["tenant"]),
                    "source": str(row["source"]),
                    "source_version": int(row["source_version"]),
                }
            )
        except (ValueError, KeyError, TypeError):
            raise InvalidInput(Reason.ERASURE_INCOMPLETE, f"ledger: line {number} is damaged; mend it") from None
    return documents, tenants
