"""The id of this installation, and whether points of a shared index are its own."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, text

from rag_core.retrieval.index import IndexPoint

_ID = text("SELECT id::text FROM rag.installation")
# Document ids alone are no proof: they depend only on tenant, source and locator.
_KNOWN = text("""
SELECT count(*) FROM unnest(CAST(:ids AS uuid[]), CAST(:versions AS bigint[]), CAST(:tenants AS text[])) AS p
                     (doc_id, version, tenant)
JOIN rag.documents d ON d.doc_id = p.doc_id AND d.tenant = p.tenant
JOIN rag.generation_documents g ON g.generation = :generation AND g.doc_id = p.doc_id AND g.indexed_version = p.version
""")
_PROVEN_SHARE = 0.9
"""Share of points that must match; some may have changed since the last run."""


def read_id(connection: Connection) -> str:
    """The id of the installation, which a migration created."""
    return str(connection.scalar(_ID))


def owns(connection: Connection, generation: str, points: Sequence[IndexPoint]) -> bool:
    """Return whether these points of a generation match the rows."""
    params = {
        "generation": generation,
        "ids": [point.payload.doc_id for point in points],
        "versions": [point.payload.version for point in points],
        "tenants": [point.payload.tenant for point in points],
    }
    known = connection.scalar(_KNOWN, params) or 0
    return known >= _PROVEN_SHARE * len(points) > 0
