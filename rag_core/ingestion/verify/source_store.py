"""Rows of a source, to be compared with what the source gives now."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, text

_ROWS = text("""
SELECT d.doc_id, d.text_hash, d.title, d.language, d.media_type, d.metadata, d.acl, d.acl_inherited
FROM rag.documents d WHERE d.doc_id = ANY(:ids) AND d.deleted_at IS NULL
""")


def live_rows(connection: Connection, ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, Row[Any]]:
    """The live documents among these, by id."""
    return {row.doc_id: row for row in connection.execute(_ROWS, {"ids": list(ids)})}


_KNOWN = text("""
SELECT q.locator FROM rag.quarantine q
WHERE q.tenant = :tenant AND q.source = :source AND q.locator = ANY(:locators)
""")


def quarantined(connection: Connection, tenant: str, source: str, locators: Sequence[str]) -> set[str]:
    """Return which of these locators are in quarantine."""
    return set(connection.scalars(_KNOWN, {"tenant": tenant, "source": source, "locators": list(locators)}))


_REFUSED = text("""
SELECT l.locator, l.reason, l.skipped, q.id IS NOT NULL AS known FROM listing l
LEFT JOIN rag.quarantine q ON q.tenant = :tenant AND q.source = :source AND q.locator = l.locator
WHERE l.reason IS NOT NULL ORDER BY l.locator
""")


def refused(connection: Connection, tenant: str, source: str) -> Sequence[Row[Any]]:
    """Entries of the listing that the connector could not offer: `locator`, `reason`, `skipped`, `known`."""
    return connection.execute(_REFUSED, {"tenant": tenant, "source": source}).all()


def absent(connection: Connection) -> Sequence[Row[Any]]:
    """Return the rows that `deletion_store.find_deleted` queued, by locator: `locator`, `doc_id`."""
    return connection.execute(text("SELECT locator, doc_id FROM gone ORDER BY locator")).all()
