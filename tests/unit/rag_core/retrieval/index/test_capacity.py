"""The plan of `rag index plan` grows as an index does."""

from __future__ import annotations

from pathlib import Path

from rag_core.retrieval.index import plan_capacity
from rag_core.retrieval.index.capacity import (
    PAYLOAD_BYTES,
    PAYLOAD_INDEX_BYTES,
    SPARSE_INDEX_BYTES,
    SPARSE_VECTOR_BYTES,
)
from rag_core.settings import QdrantSettings


def test_a_small_index_fits_one_node_and_keeps_full_vectors_in_memory() -> None:
    plan = plan_capacity(100_000, replicas=1)
    assert plan.nodes == 1
    assert plan.memory_gib < 1
    assert plan.settings["RAG_QDRANT_SHARDS"] == "1"
    assert "RAG_QDRANT_VECTORS_ON_DISK" not in plan.settings


def test_a_large_index_keeps_full_vectors_on_disk_and_is_spread_with_room_to_grow() -> None:
    plan = plan_capacity(100_000_000)
    assert plan.settings["RAG_QDRANT_VECTORS_ON_DISK"] == "true"
    assert int(plan.settings["RAG_QDRANT_SHARDS"]) == 2 * plan.nodes
    assert plan.memory_gib <= plan.nodes * 64
    assert plan.disk_gib <= plan.nodes * 1_000


def test_ten_times_the_chunks_need_ten_times_the_memory_disk_and_hours() -> None:
    one, ten = plan_capacity(10**8), plan_capacity(10**9)
    for name in ("memory_gib", "disk_gib", "database_gib", "embedding_hours", "writing_hours"):
        assert abs(getattr(ten, name) / getattr(one, name) - 10) < 1e-6


def test_the_loss_of_one_node_of_two_does_not_stop_writes() -> None:
    assert plan_capacity(10**8, replicas=2).settings["RAG_QDRANT_WRITE_CONSISTENCY"] == "1"
    assert plan_capacity(10**8, replicas=3).settings["RAG_QDRANT_WRITE_CONSISTENCY"] == "2"


def test_the_plan_counts_the_search_graph_of_the_default_settings() -> None:
    chosen = QdrantSettings()
    assert plan_capacity(10**6) == plan_capacity(10**6, links=chosen.qdrant_hnsw_m)
    assert chosen.qdrant_quantize, "the plan counts a byte per dimension beside the full vectors"


def test_there_is_a_node_for_every_copy() -> None:
    assert plan_capacity(1_000, replicas=3).nodes == 3


def test_the_documentation_gives_the_figures_of_the_plan() -> None:
    page = (Path(__file__).parents[5] / "docs" / "explanation" / "capacity-and-recovery.md").read_text("utf-8")
    plan = plan_capacity(10**8)
    assert f"{plan.memory_gib:.0f} GiB of memory, {plan.disk_gib / 1024:.1f} TiB of disk and {plan.nodes} nodes" in page
    for size in (SPARSE_INDEX_BYTES, PAYLOAD_INDEX_BYTES, SPARSE_VECTOR_BYTES, PAYLOAD_BYTES):
        assert f"| {size:,} |" in page
