"""Permissions and deletions that are committed but not in the index yet.

A trigger writes the rows in the transaction of the change, whoever makes it. The query servers read them all the time
and withhold the documents from those who lost access; the pipeline hands them to the index first; a mark that every
generation holds the change removes the row.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True)
class Restriction:
    """A document that only `acl` may see from now on. Without `doc_id` it is a whole source, for nobody."""

    tenant: str
    source: str
    doc_id: uuid.UUID | None
    acl: frozenset[str]


_RESTRICTIONS = text("""
WITH sized AS (
    SELECT tenant, source, doc_id, acl, count(*) OVER (PARTITION BY tenant, source) AS documents
    FROM rag.visibility_changes WHERE restricts
)
SELECT tenant, source, doc_id, coalesce(acl, '{}') FROM sized WHERE documents <= :most
UNION ALL
SELECT DISTINCT tenant, source, CAST(NULL AS uuid), CAST('{}' AS text[]) FROM sized WHERE documents > :most
""")


def restrictions(connection: Connection, *, most: int) -> list[Restriction]:
    """What someone may not see any more. A source with more than `most` such documents is named as a whole."""
    rows = connection.execute(_RESTRICTIONS, {"most": most})
    return [Restriction(tenant, source, doc_id, frozenset(acl)) for tenant, source, doc_id, acl in rows]


_WAITING = text("""
SELECT position, doc_id FROM rag.visibility_changes
WHERE tenant = :tenant AND source = :source AND shard = :shard AND position > :after ORDER BY position LIMIT :page
""")


def waiting(
    connection: Connection, tenant: str, source: str, shard: int, *, after: int, page: int
) -> Iterator[tuple[int, list[uuid.UUID]]]:
    """The documents of a shard with such a change, in pages: the last position of each, and the ids."""
    params = {"tenant": tenant, "source": source, "shard": shard, "page": page}
    while True:
        rows = connection.execute(_WAITING, params | {"after": after}).all()
        if not rows:
            return
        after = rows[-1].position
        yield after, [row.doc_id for row in rows]


# A building generation without the document will get its newest version; to the others no mark means that it is due.
_SETTLE = text("""
DELETE FROM rag.visibility_changes v WHERE v.doc_id = ANY(:ids) AND NOT EXISTS (
    SELECT FROM rag.generations g
    LEFT JOIN rag.generation_documents m ON m.generation = g.name AND m.doc_id = v.doc_id
    WHERE g.state IN ('building', 'ready', 'active') AND (m.doc_id IS NOT NULL OR g.state <> 'building')
      AND coalesce(m.indexed_version, 0) < v.version)
""")


def settle(connection: Connection, doc_ids: Sequence[uuid.UUID]) -> None:
    """Forget the changes of these documents that every generation holds."""
    connection.execute(_SETTLE, {"ids": list(doc_ids)})
