"""What the status counts of each source, while much is pending."""

from __future__ import annotations

from typing import Any

from sqlalchemy import event, text

from rag_core.database import Store
from rag_core.ingestion.generations import status_store
from rag_core.ingestion.generations import store as generations
from rag_core.retrieval.index import GenerationSpec

DOCUMENTS = 600


def test_pending_documents_are_counted_without_looking_at_each_pair_of_them(store: Store) -> None:
    with store.engine.begin() as connection:
        connection.execute(
            text("INSERT INTO rag.sources (tenant, name, kind) SELECT 'acme', n, 'push' FROM unnest('{a,b}'::text[]) n")
        )
        connection.execute(
            text(
                "INSERT INTO rag.documents (doc_id, tenant, source, locator, version, text_version, source_version,"
                " token, parsed_as, content_hash, text_hash, bytes, media_type, text, acl, run_id)"
                " SELECT gen_random_uuid(), 'acme', CASE WHEN n % 3 = 0 THEN 'a' ELSE 'b' END, n, 1, 1, 1, '', '', '',"
                " '', 4, 'text/plain', 'Text.', '{a}', 'r' FROM generate_series(1, :documents) AS n"
            ),
            {"documents": DOCUMENTS},
        )
        pending = {row.name: row.pending for row in status_store.source_counts(connection, "acme")}
        assert pending == {"a": DOCUMENTS // 3, "b": DOCUMENTS - DOCUMENTS // 3}, "while no generation is active"
        generations.add(connection, GenerationSpec("g", 8, "embedder", "chunker"))
        generations.activate(connection, "g")
    asked: list[tuple[str, Any]] = []
    with store.engine.begin() as connection:
        connection.execute(text("ANALYZE rag.documents"))
        event.listen(connection, "before_cursor_execute", lambda *call: asked.append((call[2], call[3])))
        found = {row.name: (row.documents, row.pending) for row in status_store.source_counts(connection, "acme")}
        assert found == {"a": (DOCUMENTS // 3, DOCUMENTS // 3), "b": (DOCUMENTS - DOCUMENTS // 3,) * 2}
        [(statement, values)] = asked
        [[[plan]]] = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", values).fetchall()
    assert rows_looked_at(plan["Plan"]) < 30 * DOCUMENTS


def rows_looked_at(node: dict[str, Any]) -> float:
    """Rows that a node of a plan and those below it returned or threw away."""
    own = node["Actual Rows"] + node.get("Rows Removed by Join Filter", 0) + node.get("Rows Removed by Filter", 0)
    return own * node["Actual Loops"] + sum(rows_looked_at(child) for child in node.get("Plans", ()))
