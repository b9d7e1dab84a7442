"""The audit log: actor, action, time and outcome, as append-only rows in a hash chain."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Row, insert, or_, select, text
from sqlalchemy.dialects.postgresql import insert as upsert

from rag_core.database import Store, roles
from rag_core.database.tables.operations import audit, audit_documents

# --------------------------------------------------------------------------------------------------------------------
# Entries: append-only, in one hash chain per tenant (tables/audit.sql).


OK = "ok"
_SHOWN = ("id", "at", "actor", "action", "target", "outcome", "tenant", "details", "doc_id")


@dataclass(frozen=True, slots=True)
class AuditedDocument:
    """The document of an action, with its current locator."""

    doc_id: UUID
    source: str
    locator: str


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One action. `outcome` is `ok` or a reason code; the database sets `id`, and `at` unless it is given."""

    actor: str
    action: str
    target: str
    outcome: str = OK
    tenant: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    at: datetime | None = None
    id: int | None = None
    doc_id: UUID | None = None
    locator: str | None = None
    """The document's locator until it is erased; set only on entries that `find` returns."""


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """A filter over entries: every given value must match, `action_start` as a prefix."""

    actor: str | None = None
    action: str | None = None
    target: str | None = None
    outcome: str | None = None
    tenant: str | None = None
    action_start: str | None = None
    doc_id: UUID | None = None
    platform: bool = False
    """With `tenant`: include entries without a tenant."""
    since: datetime | None = None
    until: datetime | None = None
    before: int | None = None
    """Only entries with a smaller id, to read the next page."""
    limit: int = 50


def record(
    connection: Connection,
    *,
    actor: str,
    action: str,
    target: str,
    details: Mapping[str, Any],
    tenant: str | None = None,
    document: AuditedDocument | None = None,
    doc_id: UUID | None = None,
) -> int:
    """Append one action in the current transaction, so that it is audited if and only if it commits.

    Returns the entry's id. `tenant`, or `details["tenant"]`, decides who may read it; `doc_id` names a document whose
    locator must not be stored. Call it last: until the transaction ends, all other entries of the tenant wait for it.
    """
    whose = tenant if tenant is not None else details.get("tenant")
    if document is not None:
        doc_id = document.doc_id
        names = {"doc_id": doc_id, "tenant": whose, "source": document.source, "locator": document.locator}
        connection.execute(upsert(audit_documents).values(names).on_conflict_do_nothing())
    return _insert(connection, AuditEntry(actor, action, target, tenant=whose, details=details, doc_id=doc_id))


def append(connection: Connection, entries: Sequence[AuditEntry]) -> None:
    """Append entries ordered by tenant, so that two writers cannot deadlock."""
    for entry in sorted(entries, key=lambda entry: entry.tenant or ""):
        _insert(connection, entry)


def find(connection: Connection, query: AuditQuery) -> list[AuditEntry]:
    """Entries, newest first."""
    columns = audit.c
    named = audit.outerjoin(audit_documents, audit_documents.c.doc_id == columns.doc_id)
    shown = [columns[name] for name in _SHOWN]
    statement = select(*shown, audit_documents.c.locator).select_from(named).order_by(columns.id.desc())
    statement = statement.limit(query.limit)
    for name in ("actor", "action", "target", "outcome", "doc_id"):
        value = getattr(query, name)
        if value is not None:
            statement = statement.where(columns[name] == value)
    if query.tenant is not None:
        statement = statement.where(_concerns(query.tenant, platform=query.platform))
    if query.action_start is not None:
        statement = statement.where(columns.action.startswith(query.action_start, autoescape=True))
    if query.since is not None:
        statement = statement.where(columns.at >= query.since)
    if query.until is not None:
        statement = statement.where(columns.at < query.until)
    if query.before is not None:
        statement = statement.where(columns.id < query.before)
    return [AuditEntry(**row._mapping) for row in connection.execute(statement)]


def _concerns(tenant: str, *, platform: bool) -> ColumnElement[bool]:
    """Actions on a tenant's data, and actions of its users on the platform: their names begin with the tenant's."""
    if platform:
        return or_(audit.c.tenant == tenant, audit.c.tenant.is_(None))
    ours = audit.c.tenant.is_(None) & audit.c.actor.startswith(f"{tenant}/", autoescape=True)
    return or_(audit.c.tenant == tenant, ours)


def _insert(connection: Connection, entry: AuditEntry) -> int:
    known = {"details": dict(entry.details)} | ({"at": entry.at} if entry.at is not None else {})
    values = {name: getattr(entry, name) for name in ("actor", "action", "target", "outcome", "tenant", "doc_id")}
    values |= known
    return int(connection.execute(insert(audit).values(values).returning(audit.c.id)).scalar_one())


# --------------------------------------------------------------------------------------------------------------------
# The hash chain: proof that no row was changed, removed or inserted, and retention by the owner role.


_AUDIT_CHAIN_SHOWN = 20

# Not shared with the trigger: a role that may replace the trigger could then replace the proof too.
_ROWS = text("""
SELECT coalesce(tenant, '') AS owner, chain_seq AS seq, chain_hash AS hash, id,
       jsonb_build_array(id, (extract(epoch FROM at) * 1000000)::bigint, actor, action, target, outcome, tenant, doc_id,
                         details)::text AS body
FROM rag.audit ORDER BY coalesce(tenant, ''), chain_seq
""")
_STARTS = text("SELECT DISTINCT ON (tenant) tenant, seq, hash FROM rag.audit_checkpoints ORDER BY tenant, seq DESC")
_HEADS = text("SELECT tenant, seq, hash FROM rag.audit_heads")


@dataclass(frozen=True, slots=True)
class ChainReport:
    """The result of verifying every chain. `protected`: the services' role cannot change audit entries."""

    rows: int
    tenants: int
    protected: bool
    broken: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The report as JSON values."""
        return {**asdict(self), "broken": list(self.broken)}


def verify_chains(store: Store) -> ChainReport:
    """Recompute every hash, from the newest checkpoint of each tenant to its head, in one snapshot."""
    with store.snapshot() as connection:
        starts = {row.tenant: (row.seq, bytes(row.hash)) for row in connection.execute(_STARTS)}
        heads = {row.tenant: (row.seq, bytes(row.hash)) for row in connection.execute(_HEADS)}
        rows, broken = 0, []
        streamed = connection.execution_options(yield_per=2000).execute(_ROWS)
        for tenant, entries in groupby(streamed, key=lambda row: row.owner):
            end, count, problem = _follow(entries, *starts.get(tenant, (0, b"")))
            rows += count
            if problem is None and end != heads.pop(tenant, None):
                problem = f"the newest rows after number {end[0]} are gone"
            if problem is not None:
                heads.pop(tenant, None)
                broken.append(f"{tenant or 'platform'}: {problem}")
        gone = [tenant for tenant, end in heads.items() if end != starts.get(tenant)]
        broken += [f"{tenant or 'platform'}: every row is gone" for tenant in gone]
        tenants = connection.scalar(text("SELECT count(*) FROM rag.audit_heads")) or 0
        return ChainReport(rows, tenants, not roles.may_change_audit(connection), tuple(broken[:_AUDIT_CHAIN_SHOWN]))


def _follow(entries: Iterator[Row[Any]], seq: int, end: bytes) -> tuple[tuple[int, bytes], int, str | None]:
    """The last hash of a chain, its number of rows, and where it breaks."""
    count, problem = 0, None
    for entry in entries:
        count += 1
        seq, end = seq + 1, hashlib.sha256(end + entry.body.encode()).digest()
        if problem is None and (entry.seq != seq or bytes(entry.hash or b"") != end):
            problem = f"entry {entry.id} is not the one that was written, or one before it is missing"
    return (seq, end), count, problem


def prune(connection: Connection, before: datetime, *, actor: str) -> int:
    """Delete older entries from the beginning of each chain, and leave a checkpoint for the remaining ones.

    For the owner role, in its transaction. Returns the number of deleted rows.
    """
    connection.execute(text("SET LOCAL rag.audit_retention = 'on'"))
    # Locked in order until the transaction ends: no entry is appended meanwhile.
    tenants = connection.scalars(text("SELECT tenant FROM rag.audit_heads ORDER BY tenant FOR UPDATE")).all()
    removed = {tenant: _prune(connection, tenant, before, actor) for tenant in tenants}
    connection.execute(
        text("DELETE FROM rag.audit_documents d WHERE NOT EXISTS (SELECT FROM rag.audit a WHERE a.doc_id = d.doc_id)")
    )
    for tenant, count in removed.items():
        if count:
            details = {"rows": count, "before": before.isoformat()}
            record(
                connection, actor=actor, action="audit.prune", target="audit", details=details, tenant=tenant or None
            )
    return sum(removed.values())


def forget(connection: Connection, tenant: str, *, actor: str) -> int:
    """Delete every entry of one tenant and leave a checkpoint, so that its chain still verifies.

    For the owner role, in its transaction. Returns the number of deleted rows.
    """
    connection.execute(text("SET LOCAL rag.audit_retention = 'on'"))
    lock = text("SELECT FROM rag.audit_heads WHERE tenant = :tenant FOR UPDATE")
    connection.execute(lock, {"tenant": tenant})
    later = datetime.now(UTC) + timedelta(days=1)  # of a clock that runs ahead
    removed = _prune(connection, tenant, later, actor)
    connection.execute(text("DELETE FROM rag.audit_documents WHERE tenant = :tenant"), {"tenant": tenant})
    return removed


_LAST = text("""
SELECT chain_seq, chain_hash FROM rag.audit
WHERE coalesce(tenant, '') = :tenant AND chain_seq < coalesce(
    (SELECT min(chain_seq) FROM rag.audit WHERE coalesce(tenant, '') = :tenant AND at >= :before), 9223372036854775807)
ORDER BY chain_seq DESC LIMIT 1
""")
_DELETE = text("DELETE FROM rag.audit WHERE coalesce(tenant, '') = :tenant AND chain_seq <= :seq")
_CHECKPOINT = text("""
INSERT INTO rag.audit_checkpoints (tenant, seq, hash, removed, actor) VALUES (:tenant, :seq, :hash, :removed, :actor)
""")


def _prune(connection: Connection, tenant: str, before: datetime, actor: str) -> int:
    last = connection.execute(_LAST, {"tenant": tenant, "before": before}).one_or_none()
    if last is None:
        return 0
    where = {"tenant": tenant, "seq": last.chain_seq}
    removed = connection.execute(_DELETE, where).rowcount
    connection.execute(_CHECKPOINT, {**where, "hash": last.chain_hash, "removed": removed, "actor": actor})
    return removed
