"""The chain of the audit log: proof that no row was changed, removed or put in between, and retention by the owner."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, Row, text

from rag_core.store import audit, roles
from rag_core.store.engine import Store

_SHOWN = 20

# Written out again, not taken from the trigger: whoever may replace the trigger could replace the proof with it.
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
    """What a look at every chain found. `protected`: the role of the services cannot change what is on record."""

    rows: int
    tenants: int
    protected: bool
    broken: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {**asdict(self), "broken": list(self.broken)}


def verify_chains(store: Store) -> ChainReport:
    """Compute every hash again, from the newest checkpoint of each tenant to its head. Reads one moment's rows."""
    with store.engine.connect() as plain:
        connection = plain.execution_options(isolation_level="REPEATABLE READ")
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
        return ChainReport(rows, tenants, not roles.may_change_audit(connection), tuple(broken[:_SHOWN]))


def _follow(entries: Iterator[Row[Any]], seq: int, end: bytes) -> tuple[tuple[int, bytes], int, str | None]:
    """The last link of a chain, how many rows it has, and where it breaks."""
    count, problem = 0, None
    for entry in entries:
        count += 1
        seq, end = seq + 1, hashlib.sha256(end + entry.body.encode()).digest()
        if problem is None and (entry.seq != seq or bytes(entry.hash or b"") != end):
            problem = f"entry {entry.id} is not the one that was written, or one before it is missing"
    return (seq, end), count, problem


def prune(connection: Connection, before: datetime, *, actor: str) -> int:
    """Remove what is older, from the beginning of each chain on, and leave a checkpoint that the rest continues.

    For the owner's role, in its transaction. Returns how many rows went.
    """
    connection.execute(text("SET LOCAL rag.audit_retention = 'on'"))
    # In order, and held to the end: nothing is linked meanwhile.
    tenants = connection.scalars(text("SELECT tenant FROM rag.audit_heads ORDER BY tenant FOR UPDATE")).all()
    removed = {tenant: _prune(connection, tenant, before, actor) for tenant in tenants}
    connection.execute(
        text("DELETE FROM rag.audit_documents d WHERE NOT EXISTS (SELECT FROM rag.audit a WHERE a.doc_id = d.doc_id)")
    )
    for tenant, count in removed.items():
        if count:
            details = {"rows": count, "before": before.isoformat()}
            audit.record(
                connection, actor=actor, action="audit.prune", target="audit", details=details, tenant=tenant or None
            )
    return sum(removed.values())


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
