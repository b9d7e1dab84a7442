"""Erase a whole tenant: documents from every table and every index generation, files, and every other row of it.

Requesting closes the tenant at once, so that nothing new comes while it is erased. The state is a row, so that an
erasure that a crash ended is continued. The ledger, a file outside of the database, names the tenant, so that a
backup brings nothing back.
"""

from __future__ import annotations

import fcntl
import json
import os
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from rag_core.database import Store, locks
from rag_core.errors import Conflict, Reason, Unavailable
from rag_core.governance.audit import audit_store as audit
from rag_core.governance.tenants import Tenant
from rag_core.governance.tenants import place_store as places
from rag_core.governance.tenants import store as tenants
from rag_core.ingestion.pipeline import Pipeline, Progress
from rag_core.retrieval.index import DocumentUpdate, VectorIndex

_KEPT = {place.table: place.kept for place in places.PLACES if place.kept}
Outside = Callable[[str], Mapping[str, int]]
"""Remove what is stored of a tenant outside of database and index; returns counts by kind."""


@dataclass(frozen=True, slots=True)
class TenantReceipt:
    """Rows by table: found, removed, and still found (0 everywhere); points of all generations; without content.

    `kept` says why rows of a table stay. `outside` counts what was removed of files and runs.
    """

    tenant: str
    erased_at: str
    requested_by: str
    found: Mapping[str, int]
    removed: Mapping[str, int]
    found_afterwards: Mapping[str, int]
    kept: Mapping[str, str] = field(default_factory=dict)
    outside: Mapping[str, int] = field(default_factory=dict)


def erase_tenant(
    pipeline: Pipeline,
    name: str,
    *,
    outside: Outside = lambda _: {},
    owner: Store | None = None,
    progress: Progress | None = None,
) -> TenantReceipt:
    """Erase a tenant whose erasure was requested (`rag_core.governance.tenants.store.request_erasure`).

    With `owner`, a store of the database's owner role, the audit entries go too where that was asked for.
    Raises `NotFound`, `Conflict`: `TENANT_STATE` when none was requested, `SOURCE_BUSY` while a run is finishing, or
    `ERASURE_INCOMPLETE`; and `Unavailable` when a service is unavailable. Run it again then.
    """
    store = pipeline.store
    points = _Points(pipeline.index)
    with store.engine.begin() as connection:
        tenant, asked_by, audit_too = tenants.erasure(connection, name)
        tenants.wait_for_writers(connection, name, seconds=pipeline.settings.source_wait_seconds)
    with store.engine.begin() as connection:
        found = {table: rows for table, rows in places.count(connection, name).items() if table not in _KEPT}
        asked_at, found = tenants.note_found(connection, name, found | {"points": points.count(name)})
    now = datetime.now(UTC)
    line = {"tenant_erased": name, "requested_by": asked_by, "erased_at": now.isoformat(), "asked_at": asked_at}
    append_line(pipeline.settings.erasure_ledger, line, same=("tenant_erased", "asked_at"))
    _erase_documents(pipeline, tenant, points, progress)
    # Only now: the locks of its sources were taken, so what a run still had to record is recorded.
    removed_outside = dict(outside(name))
    points.remove_strays(name)
    with store.engine.begin() as connection:
        places.delete_rows(connection, name)
    kept = dict(_KEPT)
    if audit_too and owner is not None:
        with owner.engine.begin() as connection:
            audit.forget(connection, name, actor=asked_by)
        kept["audit"] = "nothing: the entries were removed, and the chain continues from a checkpoint"
    with store.engine.begin() as connection:
        left = {table: rows for table, rows in places.count(connection, name).items() if table not in _KEPT}
        left["points"] = points.count(name)
        removed = {table: rows - left.get(table, 0) for table, rows in found.items()}
        afterwards = {table: left.get(table, 0) for table in {*found, *left}}
        receipt = TenantReceipt(name, now.isoformat(), asked_by, found, removed, afterwards, kept, removed_outside)
        incomplete = sorted(table for table, rows in left.items() if rows)
        if not incomplete:
            tenants.finish_erasure(connection, name, at=now, receipt=asdict(receipt))
            details = {"tenant_erased": name, "rows": sum(removed.values()), "outside": removed_outside}
            audit.record(connection, actor=asked_by, action="tenant.erased", target=name, details=details)
    if incomplete:
        raise Conflict(Reason.ERASURE_INCOMPLETE, f"tenant {name}: still found in {', '.join(incomplete)}")
    return receipt


def sweep_erased(store: Store) -> int:
    """Delete what processes wrote of erased tenants meanwhile, such as figures of their last minute.

    Returns of how many tenants there was something.
    """
    swept = 0
    with store.engine.connect() as connection:
        names = tenants.recently_erased(connection)
    for name in names:
        with store.engine.begin() as connection:
            left = {table for table in places.count(connection, name) if table not in _KEPT}
            if left:
                places.delete_rows(connection, name)
                swept += 1
    return swept


def _erase_documents(pipeline: Pipeline, tenant: Tenant, points: _Points, progress: Progress | None) -> None:
    store, done = pipeline.store, 0
    with store.engine.connect() as connection:
        names = places.sources(connection, tenant.name)
    for source in names:
        wait = pipeline.settings.source_wait_seconds
        with locks.source_connection(store, tenant.name, source, wait=wait) as connection:
            while page := places.documents(connection, tenant.name, source):
                ids = [doc_id for doc_id, _ in page]
                points.remove(page, places.chunk_ids(connection, ids))
                places.delete_documents(connection, ids)
                connection.commit()
                done += len(page)
                if progress is not None:
                    progress(done, max(done, tenant.documents))


class _Points:
    """Points of a tenant in every generation, retired ones too."""

    def __init__(self, index: VectorIndex) -> None:
        self._index = index

    def remove(self, documents: Sequence[tuple[uuid.UUID, int]], chunk_ids: Sequence[uuid.UUID]) -> None:
        """Remove the points of documents, by document and by id."""
        updates = [DocumentUpdate(doc_id, version + 1) for doc_id, version in documents]
        for spec in self._index.generations():
            self._index.apply(spec.name, updates)
            if chunk_ids:
                self._index.delete_points(spec.name, chunk_ids)

    def remove_strays(self, tenant: str) -> None:
        """Remove points that no row of a document accounts for."""
        for spec in self._index.generations():
            if not self._index.count(spec.name, tenant=tenant):
                continue
            for batch in self._index.scroll(spec.name, with_vectors=False):
                strays = [point.chunk_id for point in batch if point.payload.tenant == tenant]
                if strays:
                    self._index.delete_points(spec.name, strays)

    def count(self, tenant: str) -> int:
        """Points of a tenant that there are."""
        return sum(self._index.count(spec.name, tenant=tenant) for spec in self._index.generations())


# --------------------------------------------------------------------------------------------------------------------
# The ledger: a line for each erased tenant beside those of documents.


def append_line(path: Path, line: Mapping[str, Any], *, same: Sequence[str] = ()) -> None:
    """Append a line to the ledger, durably, unless it has one with the same values of `same`: an attempt before.

    Raises `Unavailable` (`STORAGE_FULL`) when it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "a+", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if same and _has(file, {name: line[name] for name in same}):
                return
            file.write(json.dumps(dict(line)) + "\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        message = f"the ledger of erasures cannot be written ({error.strerror}): {path}"
        raise Unavailable(Reason.STORAGE_FULL, message) from None


def _has(file: TextIO, wanted: Mapping[str, Any]) -> bool:
    file.seek(0)
    first = json.dumps(next(iter(wanted.values())))
    for line in file:
        if first not in line:
            continue
        try:
            known = json.loads(line)
        except ValueError:
            continue  # who reads the ledger back names it
        if isinstance(known, dict) and known.items() >= wanted.items():
            return True
    return False


def reapply_tenants(
    pipeline: Pipeline, erased: Mapping[str, datetime], *, outside: Outside, actor: str
) -> list[TenantReceipt]:
    """Erase again the tenants that a restored database still holds: all it has of them is older than their erasure."""
    receipts = []
    for name, at in sorted(erased.items()):
        with pipeline.store.engine.begin() as connection:
            holds = any(table not in _KEPT for table in places.count(connection, name))
            if tenants.erased_since(connection, name, at) or not (holds or tenants.is_open(connection, name)):
                continue
            tenants.repeat_erasure(connection, name, actor=actor)
        receipts.append(erase_tenant(pipeline, name, outside=outside))
    return receipts
