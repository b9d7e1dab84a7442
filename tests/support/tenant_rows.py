"""A row of a tenant in every table that can hold one, made from the schema: a new table gets its row by itself."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    Connection,
    Date,
    DateTime,
    Float,
    Integer,
    LargeBinary,
    Table,
    Text,
    Uuid,
    insert,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB

from rag_core.database.tables import metadata
from rag_core.governance.tenants.place_store import PLACES

_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_FIXED: dict[str, Any] = {
    "budgets.documents": None,
    "inbox.operation": "put",
    "inbox.idempotency_key": None,
    "source_runs.state": "succeeded",
    "chunks.start": 0,
    "chunks.end": 5,
    "documents.deleted_at": None,
    "tenants.state": "active",
    "tenants.egress_sources": {},
    "sources.kind": "filesystem",
    "visibility_changes.restricts": False,
}


class TenantRows:
    """Writes the rows of one tenant. `texts` are shared with other tenants that are given the same."""

    def __init__(self, tenant: str, texts: bytes = b"hash of a text that two tenants have") -> None:
        self.tenant = tenant
        self.doc_id = uuid.uuid5(uuid.NAMESPACE_DNS, tenant)
        self._texts = texts
        self._made: dict[str, Any] = {}

    def write(self, connection: Connection) -> None:
        """One row in each place."""
        connection.execute(
            insert(metadata.tables["rag.generations"]),
            {"name": f"g-{self.tenant}", "state": "retired", "embedder": "e", "dimensions": 2, "chunker": "c"},
        )
        named = {place.table for place in PLACES}
        for table in sorted(metadata.sorted_tables, key=lambda table: table.name != "listings"):
            if table.name in named and table.name not in {"audit", "audit_heads", "audit_checkpoints"}:
                self.write_row(connection, table)
        audit = {"actor": f"{self.tenant}/ann", "action": "x", "target": "s", "tenant": self.tenant}
        connection.execute(insert(metadata.tables["rag.audit"]), audit)

    def write_row(self, connection: Connection, table: Table) -> None:
        """A row in one table."""
        values = {column.name: self._value(table, column) for column in table.columns if self._wanted(table, column)}
        if table.name == "embeddings" and self._has_vector(connection, table):
            return  # of the other tenant: equal texts have one vector
        self._made[table.name] = connection.execute(insert(table).values(values).returning(table)).one_or_none()

    def _has_vector(self, connection: Connection, table: Table) -> bool:
        return connection.scalar(select(table.c.text_hash).where(table.c.text_hash == self._texts)) is not None

    def _wanted(self, table: Table, column: Column[Any]) -> bool:
        return column.identity is None and not (column.primary_key and column.autoincrement is True)

    def _value(self, table: Table, column: Column[Any]) -> Any:
        name = f"{table.name}.{column.name}"
        if name in _FIXED:
            return _FIXED[name]
        if column.name == "tenant" or name == "tenants.name":
            return self.tenant
        if name == "stream_offsets.stream":
            return f"{self.tenant}/handbook"
        if column.name == "doc_id":
            return self.doc_id
        if column.name == "text_hash":
            return self._texts
        if name == "generation_documents.generation":
            return f"g-{self.tenant}"
        if name == "evaluation_results.run":
            return self._made["evaluation_runs"].id
        if name == "listed_items.listing":
            return self._made["listings"].id
        if name == "webhook_deliveries.webhook_id":
            return self._made["webhooks"].id
        if name == "webhook_deliveries.event_id":
            return self._made["webhook_events"].id
        return self._of_type(name, column)

    def _of_type(self, name: str, column: Column[Any]) -> Any:
        kind = column.type
        if isinstance(kind, ARRAY):
            return [self.doc_id] if isinstance(kind.item_type, Uuid) else [] if name == "listings.taken" else ["x"]
        if isinstance(kind, JSONB):
            return {"of": self.tenant}
        if isinstance(kind, Text):
            return f"{column.name} of {self.tenant}"
        if isinstance(kind, LargeBinary):
            return f"{column.name} of {self.tenant}".encode()
        if isinstance(kind, DateTime):
            return _NOW
        if isinstance(kind, Date):
            return _NOW.date()
        if isinstance(kind, Boolean):
            return False
        if isinstance(kind, Uuid):
            return uuid.uuid5(self.doc_id, column.name)
        assert isinstance(kind, Integer | BigInteger | Float), name
        return 1
