from __future__ import annotations

import pytest
from sqlalchemy import text

from rag_core.database import Store

CALLS = (
    "rag.pending_chunks('c') p",
    "rag.pending_embeddings('c', 'e') p",
    "rag.pending_index('g') p",
    "rag.generations g CROSS JOIN LATERAL rag.pending_index(g.name) p",
    "unnest(ARRAY['g', 'h']) AS n (name) CROSS JOIN LATERAL rag.pending_index(n.name) p",
)


@pytest.mark.parametrize("call", CALLS)
def test_a_pending_function_is_part_of_the_plan_so_that_conditions_reach_the_indexes(store: Store, call: str) -> None:
    with store.engine.connect() as connection:
        connection.execute(text("SET LOCAL enable_seqscan = off"))
        explained = connection.scalars(text(f"EXPLAIN SELECT p.doc_id FROM {call} WHERE p.doc_id = '{'0' * 32}'"))  # noqa: S608
        plan = "\n".join(explained)
    assert "Function Scan on pending" not in plan
    assert "(doc_id = '00000000-" in plan
