"""Large tenants in shards of their own. The part of the cluster is played; see `tests.support.qdrant_shards`."""

from __future__ import annotations

import pytest
from qdrant_client import models

from rag_core.errors import Reason, Unavailable
from rag_core.retrieval.engines.qdrant.index import QdrantIndex
from rag_core.retrieval.engines.qdrant.layout import QdrantLayout
from rag_core.settings import QdrantSettings
from tests.support.index_points import MODES, SPEC, ask, doc, document, filled, removal, request, texts
from tests.support.qdrant_shards import Cluster

COLLECTION = "rag_g1"
LAYOUT = QdrantLayout(QdrantSettings(qdrant_large_tenants="whale"))


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


@pytest.fixture
def index(cluster: Cluster) -> QdrantIndex:
    made = QdrantIndex(cluster, layout=LAYOUT)
    filled(
        made,
        document("a", ["a pump of the whale"], tenant="whale"),
        document("b", ["a pump of acme"]),
        document("c", ["a pump of a third"], tenant="third"),
    )
    return made


def test_a_large_tenant_has_shards_of_its_own_and_the_others_share_some(cluster: Cluster, index: QdrantIndex) -> None:
    assert {key: len(ids) for key, ids in cluster.held[COLLECTION].items()} == {"shared": 2, "tenant:whale": 1}
    assert index.count("g1") == 3
    assert [index.count("g1", tenant=tenant) for tenant in ("whale", "acme", "third")] == [1, 1, 1]


@pytest.mark.parametrize("mode", MODES)
def test_a_search_asks_the_shards_of_its_tenant_only(cluster: Cluster, index: QdrantIndex, mode: object) -> None:
    cluster.asked.clear()
    assert texts(index.search(request("pump", tenant="whale", mode=mode))) == ["a pump of the whale"]
    assert set(cluster.asked) == {"tenant:whale"}
    cluster.asked.clear()
    assert texts(index.search(request("pump", tenant="third", mode=mode))) == ["a pump of a third"]
    assert set(cluster.asked) == {"shared"}


def test_while_the_shards_of_a_tenant_are_away_it_gets_an_error_and_never_an_empty_answer(
    cluster: Cluster, index: QdrantIndex
) -> None:
    cluster.dead = {"tenant:whale"}
    fallback = models.ShardKeyWithFallback(target="tenant:whale", fallback="shared")
    assert cluster.count(COLLECTION, shard_key_selector=fallback).count == 2, "what the fallback would answer from"
    with pytest.raises(Unavailable) as refused:
        ask(index, "pump", tenant="whale")
    assert refused.value.reason is Reason.INDEX_UNAVAILABLE
    with pytest.raises(Unavailable):
        index.apply("g1", [document("d", ["another"], tenant="whale")])
    assert ask(index, "pump") == ["a pump of acme"], "others go on"


def test_updates_and_removals_reach_every_shard(cluster: Cluster, index: QdrantIndex) -> None:
    index.apply("g1", [document("a", ["a valve", "a pump"], tenant="whale", version=2), removal("b")])
    assert index.count("g1", tenant="whale") == 2
    assert index.count("g1", tenant="acme") == 0
    (kept, _) = [
        point.chunk_id for page in index.scroll("g1") for point in page if point.payload.doc_id == doc("a", "whale")
    ]
    assert index.delete_points("g1", [kept]) == 1
    index.reset("g1")
    assert index.count("g1") == 0


def test_a_generation_keeps_the_shards_it_was_made_with(cluster: Cluster, index: QdrantIndex) -> None:
    later = QdrantIndex(cluster, layout=QdrantLayout(QdrantSettings(qdrant_large_tenants="acme")))
    later.create(SPEC)
    later.apply("g1", [document("d", ["a valve"])])
    assert ask(later, "pump", tenant="whale") == ["a pump of the whale"]
    assert set(cluster.held[COLLECTION]) == {"shared", "tenant:whale"}
    plain = QdrantIndex(cluster)
    assert sorted(ask(plain, "a valve a pump")) == ["a pump of acme", "a valve"]


def test_a_create_that_died_before_the_shard_keys_is_made_up_for(cluster: Cluster) -> None:
    cluster.dies_after = -1
    with pytest.raises(KeyboardInterrupt):
        QdrantIndex(cluster, layout=LAYOUT).create(SPEC)
    cluster.dies_after = None
    index = QdrantIndex(cluster, layout=LAYOUT)
    filled(index, document("a", ["a pump"], tenant="whale"))
    assert set(cluster.held[COLLECTION]) == {"shared", "tenant:whale"}
    assert cluster.indexes[COLLECTION]


def test_without_large_tenants_no_request_names_a_shard(cluster: Cluster) -> None:
    index = QdrantIndex(cluster)
    filled(index, document("a", ["a pump"]))
    assert ask(index, "pump") == ["a pump"]
    assert set(cluster.asked) == {None}
