"""Term statistics of callers who see much: from a sample of what they see, and from nothing else."""

from __future__ import annotations

import math
import uuid
from typing import Any

import pytest
from qdrant_client import QdrantClient

from rag_core.retrieval.engines.edge import EdgeIndex
from rag_core.retrieval.engines.qdrant.index import QdrantIndex
from rag_core.retrieval.engines.qdrant.reader import QdrantReader
from rag_core.retrieval.index import SearchMode, VectorIndex, Visibility, scope
from rag_core.retrieval.index.payloads import idf_sample
from rag_core.retrieval.search import Engine, statistics
from rag_core.retrieval.search.statistics import ENOUGH
from tests.support.index_points import SPEC, document, filled, request

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
