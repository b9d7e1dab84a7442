"""Term statistics of callers who see much: from a sample of what they see, and from nothing else. Term statistics that
are kept for a caller: the same scores as without, and true for as long as they are used."""

from __future__ import annotations

import gc
import math
import uuid
import weakref
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import pytest
from qdrant_client import QdrantClient

from rag_core.content.documents import In
from rag_core.retrieval.engines.edge import EdgeIndex
from rag_core.retrieval.engines.edge.filters import FILTER_BUILDER
from rag_core.retrieval.engines.edge.shard import ShardReader
from rag_core.retrieval.engines.qdrant.index import QdrantIndex
from rag_core.retrieval.engines.qdrant.reader import QdrantReader
from rag_core.retrieval.index import (
    DocumentUpdate,
    LegWeights,
    PendingRevocations,
    SearchMode,
    SearchRequest,
    SearchResult,
    VectorIndex,
    Visibility,
    scope,
)
from rag_core.retrieval.index.filter_builder import MAX_REMEMBERED
from rag_core.retrieval.index.payloads import idf_sample
from rag_core.retrieval.search import Engine, StatisticsCache, TermStatistics, statistics
from rag_core.retrieval.search.statistics import ALL, ENOUGH
from tests.support.index_points import SPEC, doc, document, filled, removal, request

PER_DOCUMENT = 100


def test_a_sample_is_part_of_every_larger_one_and_about_as_large_as_its_name() -> None:
    drawn = [idf_sample(uuid.uuid5(uuid.NAMESPACE_URL, str(number))) for number in range(50_000)]
    assert all(one == [str(2**power) for power in range(1, len(one) + 1)] for one in drawn)
    for share in (2, 8, 64, 1024):
        found = sum(str(share) in one for one in drawn)
        assert found == pytest.approx(50_000 / share, abs=5 * math.sqrt(50_000 / share))


def test_who_sees_much_gets_scores_close_to_the_exact_ones_and_blind_to_the_rest(index: EdgeIndex) -> None:
    """S01: also a sampled statistic is of the caller's own points alone."""
    points, rare = 24_000, 24
    assert points > ENOUGH
    documents = [
        document(str(number), [_text(PER_DOCUMENT * number + ordinal, points // rare) for ordinal in range(100)])
        for number in range(points // PER_DOCUMENT)
    ]
    filled(index, *documents)

    before = _best(index, "rare"), _best(index, "common")
    exact = _idf(points, rare) / _idf(points, points // 2)
    assert before[0] / before[1] == pytest.approx(exact, rel=0.15)
    assert before[0] / before[1] != pytest.approx(exact, rel=1e-6), "nothing was sampled"

    hidden = [f"rare other{number}" for number in range(PER_DOCUMENT)]
    others = [document(f"b{number}", hidden, tenant="beta") for number in range(50)]
    secret = [document(f"s{number}", hidden, acl=("group:board",)) for number in range(50)]
    index.apply(SPEC.name, [*others, *secret])
    assert (_best(index, "rare"), _best(index, "common")) == pytest.approx(before, rel=1e-6)


@pytest.mark.parametrize("sampled", [True, False])
def test_only_what_is_seen_is_counted_on_any_engine(sampled: bool) -> None:
    engine = _small_engine(sampled=sampled)
    visible = scope(engine.filter_builder, Visibility.of(request("word")))
    seen = engine.count(visible)
    assert seen == 2000
    assert engine.count(statistics.idf_corpus(engine, visible, enough=seen * 4)) == seen
    few = engine.count(statistics.idf_corpus(engine, visible, enough=200))
    if sampled:
        assert 50 < few < 400
    else:  # a generation built before points carried samples
        assert few == seen
    nothing = scope(engine.filter_builder, Visibility.of(request("word", tenant="gamma")))
    assert engine.count(statistics.idf_corpus(engine, nothing, enough=200)) == 0


def _small_engine(*, sampled: bool) -> Engine[Any]:
    client = QdrantClient(":memory:")
    index: VectorIndex = QdrantIndex(client, local=True)
    words = [f"word{number}" for number in range(PER_DOCUMENT)]
    own = [document(str(number), words) for number in range(20)]
    filled(index, *own, *(document(str(number), words, tenant="beta") for number in range(20)))
    (collection,) = client.get_collections().collections
    return QdrantReader(lambda ask: ask(client), collection.name, has_idf_samples=sampled)


def _text(number: int, every: int) -> str:
    """Two words: the rare one once in `every`, else the common one in half of the others, as a chunk of its own."""
    if number % every == 0:
        return f"rare w{number}"
    return f"common w{number}" if number % 2 else f"plain w{number}"


def _best(index: VectorIndex, word: str) -> float:
    hits = index.search(request(word, mode=SearchMode.LEXICAL, limit=1)).hits
    return hits[0].score


def _idf(points: int, having: int) -> float:
    """BM25's, as the engine has it."""
    return math.log1p((points - having + 0.5) / (having + 0.5))


OWN = [document(f"d{n}", [f"wing {'flap ' * n}rudder{n % 3}", f"nose of wing {n}"]) for n in range(12)]
ASKED = request("wing flap rudder1", mode=SearchMode.LEXICAL)


def test_scores_by_kept_statistics_are_those_that_the_engine_would_give(index: EdgeIndex) -> None:
    filled(index, *OWN, document("b", ["flap flap"], tenant="beta"))
    for mode in SearchMode:
        asked = replace(ASKED, mode=mode, explain=True)
        gathered, kept = _gathered(index, asked), _by_kept(index, asked)
        assert [hit.chunk_id for hit in kept.hits] == [hit.chunk_id for hit in gathered.hits]
        assert [hit.score for hit in kept.hits] == pytest.approx([hit.score for hit in gathered.hits], rel=1e-5)
        assert [hit.lexical or 0 for hit in kept.hits] == pytest.approx(
            [hit.lexical or 0 for hit in gathered.hits], rel=1e-5
        )


CHANGES: dict[str, DocumentUpdate] = {
    "written": document("new", ["flap", "rudder1"]),
    "edited": document("d3", ["something else"], version=2),
    "hidden": document("d4", ["wing flap flap flap flap rudder1"], acl=("group:board",), version=2),
    "removed": removal("d5"),
}


@pytest.mark.catalogue("S01")
@pytest.mark.parametrize("change", CHANGES)
def test_kept_statistics_end_with_the_write_of_a_point_that_they_count(index: EdgeIndex, change: str) -> None:
    filled(index, *OWN)
    _by_kept(index, ASKED)
    index.apply(SPEC.name, [CHANGES[change]])
    assert _scores(index.search(ASKED)) == pytest.approx(_scores(_gathered(index, ASKED)), rel=1e-6)
    assert _scores(_by_kept(index, ASKED)) == pytest.approx(_scores(_gathered(index, ASKED)), rel=1e-5)


@pytest.mark.catalogue("S01")
def test_kept_statistics_end_with_the_removal_of_points_by_id(index: EdgeIndex) -> None:
    filled(index, *OWN)
    _by_kept(index, ASKED)
    index.delete_points(SPEC.name, [point.chunk_id for point in OWN[5].points])
    assert _scores(index.search(ASKED)) == pytest.approx(_scores(_gathered(index, ASKED)), rel=1e-6)


@pytest.mark.catalogue("S01")
def test_kept_statistics_do_not_end_with_what_their_caller_cannot_see(index: EdgeIndex) -> None:
    """Nor is what others write counted: the score stays."""
    filled(index, *OWN)
    before = _by_kept(index, ASKED)
    index.apply(SPEC.name, [document(f"b{n}", ["flap rudder1"], tenant="beta") for n in range(30)])
    assert _reader(index).statistics(Visibility.of(ASKED)) is not None
    assert _scores(index.search(ASKED)) == _scores(before)
    index.apply(SPEC.name, [document("secret", ["flap rudder1"], acl=("group:board",))])
    assert _scores(index.search(ASKED)) == pytest.approx(_scores(before), rel=1e-6)


@pytest.mark.catalogue("S01")
def test_one_callers_statistics_are_not_anothers(index: EdgeIndex) -> None:
    filled(index, *OWN, document("secret", ["flap rudder1"], acl=("group:board",)))
    board = replace(ASKED, acl=("group:board", *ASKED.acl))
    revoked = replace(ASKED, pending_revocations=PendingRevocations((doc("d7"), doc("d8"))))
    without = replace(board, pending_revocations=PendingRevocations(sources=("handbook",)))
    for asked in (ASKED, board, revoked, without):
        assert _scores(_by_kept(index, asked)) == pytest.approx(_scores(_gathered(index, asked)), rel=1e-5)
    assert len({tuple(_scores(_by_kept(index, asked))) for asked in (ASKED, board, revoked)}) == 3


@pytest.mark.catalogue("S01")
def test_no_statistics_of_a_tenant_stay_in_memory_once_its_documents_are_removed(index: EdgeIndex) -> None:
    """Nobody asks for an erased tenant again, so no later search would remove them."""
    filled(index, *OWN, document("b", ["flap flap"], tenant="beta"))
    beta = replace(ASKED, tenant="beta")
    erased, others = (weakref.ref(_known(index, asked).terms) for asked in (ASKED, beta))
    index.apply(SPEC.name, [removal(f"d{n}", version=2) for n in range(len(OWN))])
    gc.collect()
    assert erased() is None
    assert others() is not None


@pytest.mark.catalogue("S01")
def test_statistics_that_were_counted_during_a_write_of_their_tenant_are_not_kept() -> None:
    seen, point = Visibility.of(ASKED), OWN[0].points[0].chunk_id
    writers = [seen.tenant, "beta"]

    def count(_: Visibility) -> tuple[str, TermStatistics]:
        cache.changed(writers.pop(0), [point])
        return ALL, TermStatistics.of([[[1]]])

    cache = StatisticsCache(count, share_of_time=1)
    for kept in (False, True):
        for _ in range(2):
            cache.get(seen)
        cache.settle()
        assert (cache.get(seen) is not None) == kept  # and if not, they are counted once more
    cache.close()


def test_nothing_is_kept_of_callers_during_a_mass_deletion() -> None:
    """Each of their keys would be a megabyte, and another one at the next deletion."""
    cache = StatisticsCache(lambda _: (ALL, TermStatistics.of([[[1]]])), share_of_time=1)
    for hidden, kept in ((MAX_REMEMBERED + 1, False), (MAX_REMEMBERED, True)):
        documents = tuple(uuid.UUID(int=number) for number in range(hidden))
        seen = Visibility.of(replace(ASKED, pending_revocations=PendingRevocations(documents)))
        for _ in range(2):
            cache.get(seen)
        cache.settle()
        assert (cache.get(seen) is not None) == kept
    cache.close()


OTHER: dict[str, Any] = {
    "tenant": "beta",
    "acl": ("group:board",),
    "limit": 3,
    "mode": SearchMode.DENSE,
    "text": "another",
    "vector": None,
    "filter": In("source", ("handbook",)),
    "generation": "g1",
    "per_document": 1,
    "with_vectors": True,
    "weights": LegWeights(1, 2),
    "explain": True,
    "pending_revocations": PendingRevocations((uuid.UUID(int=7),), ("wiki",)),
    "deadline": 1.0,
}


def test_the_key_of_the_statistics_holds_all_that_decides_what_a_caller_sees() -> None:
    """Whatever of a request changes the filter of visible points changes the key; a new field must be named here."""
    assert {field.name for field in fields(SearchRequest)} == set(OTHER)
    seen, key = _filter_of(ASKED), Visibility.of(ASKED)
    deciding = set()
    for name, value in OTHER.items():
        other = replace(ASKED, **{name: value})
        assert (_filter_of(other) != seen) == (Visibility.of(other) != key), name
        if Visibility.of(other) != key:
            deciding.add(name)
    assert deciding == {"tenant", "acl", "pending_revocations"}
    for one in (PendingRevocations((uuid.UUID(int=7),)), PendingRevocations(sources=("wiki",))):
        assert Visibility.of(replace(ASKED, pending_revocations=one)) != key


def _filter_of(asked: SearchRequest) -> str:
    return repr(scope(FILTER_BUILDER, Visibility.of(asked)))


def _reader(index: EdgeIndex) -> ShardReader:
    return index._generations[SPEC.name].reader


def _gathered(index: EdgeIndex, asked: SearchRequest) -> SearchResult:
    """The answer with the statistics that the engine gathers."""
    return _with(index, asked, lambda _: None)


def _by_kept(index: EdgeIndex, asked: SearchRequest) -> SearchResult:
    """The answer once the statistics of the caller are kept."""
    known = _known(index, asked)
    return _with(index, asked, lambda _: known)


def _known(index: EdgeIndex, asked: SearchRequest) -> TermStatistics:
    reader, seen = _reader(index), Visibility.of(asked)
    while (known := reader.statistics(seen)) is None:
        reader.kept.settle()
    return known


def _with(index: EdgeIndex, asked: SearchRequest, statistics: Callable[[Visibility], Any]) -> SearchResult:
    reader = _reader(index)
    reader.statistics = statistics  # type: ignore[method-assign]
    try:
        return index.search(asked)
    finally:
        del reader.statistics  # type: ignore[method-assign]


def _scores(result: SearchResult) -> list[float]:
    return [hit.score for hit in result.hits]
