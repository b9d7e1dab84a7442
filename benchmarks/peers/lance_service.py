"""The query peer FastAPI + LanceDB with the same model and vectors. Runs in the peer's environment.

What the platform does and LanceDB offers: hybrid search (vectors and BM25, fused by rank) under a filter by tenant and
access list, which it applies before both. Its indexes are those that its documentation advises for such columns: HNSW
over scalar quantization, full-text search, a bitmap for the tenant, a label list for the entries. The effort of a
search is the least of some that reaches the recall that is asked of every system, with the best hits scored again.
"""

# mypy: disable-error-code="import-not-found"
from __future__ import annotations

from typing import Any

import lancedb
import pyarrow as pa
from lancedb.rerankers import RRFReranker

from benchmarks.peers.service import ENTRY, TENANT, Corpus, Question, arguments, least_effort, serve

_EFFORTS = (20, 30, 60, 100, 150, 200, 300, 400, 500, 700)
"""Candidates of a search (`ef`), from the least that the engine takes: ten hits by `_REFINED`."""
_REFINED = 2
_VISIBLE = f"tenant = '{TENANT}' AND array_has_any(acl, ['{ENTRY}'])"


def main() -> None:
    """Fill the table, build its indexes, and serve until stopped."""
    given = arguments()
    corpus = Corpus(given)
    count, dimensions = corpus.vectors.shape
    filled = pa.table(
        {
            "id": [str(row) for row in range(count)],
            "text": corpus.texts,
            "tenant": [TENANT] * count,
            "acl": [[ENTRY]] * count,
            "vector": pa.FixedSizeListArray.from_arrays(pa.array(corpus.vectors.reshape(-1)), dimensions),
        }
    )
    table = lancedb.connect(str(given.state)).create_table("bench", filled)
    table.create_index(metric="cosine", index_type="IVF_HNSW_SQ", vector_column_name="vector")
    table.create_fts_index("text")
    table.create_scalar_index("tenant", index_type="BITMAP")
    table.create_scalar_index("acl", index_type="LABEL_LIST")
    fuse = RRFReranker()

    def near(vector: Any, effort: int) -> Any:
        found = table.search(vector, vector_column_name="vector").where(_VISIBLE, prefilter=True)
        return found.ef(effort).refine_factor(_REFINED)

    def rows(vector: Any, effort: int) -> list[int]:
        return [int(hit["id"]) for hit in near(vector, effort).select(["id"]).limit(10).to_list()]

    effort = least_effort(corpus, _EFFORTS, rows)

    def search(question: Question) -> list[dict[str, Any]]:
        vector = corpus.embedder.embed_queries([question.query])[0]
        if question.dense:
            hits = near(vector, effort).select(["id", "text"]).limit(question.top_k).to_list()
        else:
            found = table.search(query_type="hybrid", vector_column_name="vector").vector(vector).text(question.query)
            found = found.where(_VISIBLE, prefilter=True).ef(effort).refine_factor(_REFINED)
            hits = found.rerank(fuse).select(["id", "text"]).limit(question.top_k).to_list()
        return [{"id": hit["id"], "text": hit["text"]} for hit in hits]

    serve(search, given.port)


if __name__ == "__main__":
    main()
