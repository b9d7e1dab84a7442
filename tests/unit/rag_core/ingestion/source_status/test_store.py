"""The status of sources as rows tell it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import event, text

from rag_core.database import Store
from rag_core.ingestion import source_status

_SOURCES = text("INSERT INTO rag.sources (tenant, name, kind) VALUES (:tenant, 'files', 'push')")
_DOCUMENTS = text(
    "INSERT INTO rag.documents (doc_id, tenant, source, locator, version, text_version, source_version, token,"
    " parsed_as, content_hash, text_hash, bytes, media_type, text, acl, run_id)"
    " SELECT gen_random_uuid(), :tenant, 'files', n, 1, 1, 1, '', '', '', '', 4, 'text/plain', 'Text.', '{a}', 'run'"
    " FROM generate_series(1, :documents) AS n"
)
_REFUSED = text(
    "INSERT INTO rag.quarantine (tenant, source, locator, stage, reason, message, run_id)"
    " VALUES (:tenant, 'files', 'x', 'parse', 'PARSE_FAILED', '', 'run')"
)


def _add(store: Store, tenant: str, documents: int) -> None:
    with store.engine.begin() as connection:
        connection.execute(_SOURCES, {"tenant": tenant})
        connection.execute(_DOCUMENTS, {"tenant": tenant, "documents": documents})
        connection.execute(_REFUSED, {"tenant": tenant})


def _read_all(store: Store) -> tuple[list[tuple[str, source_status.SourceReport]], int]:
    """The reports of all tenants, and the number of statements that they took."""
    asked: list[str] = []

    def count(*call: Any) -> None:
        asked.append(call[2])

    event.listen(store.engine, "before_cursor_execute", count)
    try:
        with store.engine.connect() as connection:
            return list(source_status.read_all(connection)), len(asked)
    finally:
        event.remove(store.engine, "before_cursor_execute", count)


def test_all_tenants_are_read_with_the_statements_of_one(store: Store) -> None:
    _add(store, "acme", 1)
    _, alone = _read_all(store)
    for documents, tenant in enumerate(("beta", "corp", "data"), start=2):
        _add(store, tenant, documents)
    reports, together = _read_all(store)
    assert together == alone
    found = {tenant: (report.counts.documents, report.counts.pending, report.counts.quarantined)
             for tenant, report in reports}  # fmt: skip
    assert found == {"acme": (1, 1, 1), "beta": (2, 2, 1), "corp": (3, 3, 1), "data": (4, 4, 1)}
    with store.engine.connect() as connection:
        for tenant, report in reports:
            [own] = source_status.read(connection, tenant)
            assert (own.counts, own.coverage) == (report.counts, report.coverage)
