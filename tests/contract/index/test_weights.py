"""Legs that are weighed as the caller asks, and hits that say how they came to their score."""

from __future__ import annotations

from typing import Any

import pytest

from rag_core.errors import InvalidInput, Reason
from rag_core.retrieval.index import LegWeights, PendingRevocations, SearchMode, VectorIndex
from tests.support.index_points import MODES, ask, doc, document, filled, request

DENSE, LEXICAL, BOTH = LegWeights(1, 0), LegWeights(0, 1), LegWeights(1, 1)
WORDS = [document(f"d{n}", [f"wing {'flap ' * n}rudder{n}"]) for n in range(6)]


def test_a_leg_with_all_the_weight_decides_the_order(index: VectorIndex) -> None:
    filled(index, *WORDS)
    for weights, mode in ((DENSE, SearchMode.DENSE), (LEXICAL, SearchMode.LEXICAL)):
        alone = ask(index, "flap rudder3", mode=mode, limit=5)
        assert ask(index, "flap rudder3", weights=weights, limit=5)[: len(alone)] == alone
    assert ask(index, "flap rudder3", mode=SearchMode.DENSE) != ask(index, "flap rudder3", mode=SearchMode.LEXICAL)


def test_only_the_proportion_of_the_weights_counts(index: VectorIndex) -> None:
    filled(index, *WORDS)
    one, other = (
        index.search(request("flap rudder3", weights=weights)) for weights in (LegWeights(1, 3), LegWeights(25, 75))
    )
    assert [(hit.chunk_id, pytest.approx(hit.score)) for hit in one.hits] == [
        (hit.chunk_id, hit.score) for hit in other.hits
    ]


@pytest.mark.parametrize("weights", [None, BOTH, LegWeights(1, 3)])
def test_the_parts_of_a_hybrid_score_add_up_to_it(index: VectorIndex, weights: LegWeights | None) -> None:
    filled(index, *WORDS, document("other", ["nothing of the kind"]))
    hits = index.search(request("flap rudder3", weights=weights, explain=True)).hits
    assert len(hits) == 7
    for place, hit in enumerate(hits, 1):
        explained = hit.explanation
        assert explained is not None
        assert explained.weights is not None
        assert explained.rank == place
        assert explained.weights.dense + explained.weights.lexical == pytest.approx(1)
        assert min(1, max(0, explained.dense + explained.lexical)) == pytest.approx(hit.score)
        assert (explained.lexical_rank is None) == (hit.lexical is None)
        assert explained.dense_rank == sorted(-(one.dense or 0) for one in hits).index(-(hit.dense or 0)) + 1
        if weights is not None:
            assert explained.weights.lexical == pytest.approx(weights.lexical / (weights.dense + weights.lexical))
    [unlike] = [hit.explanation for hit in hits if hit.payload.locator == "other"]
    assert unlike is not None
    assert (unlike.lexical_rank, unlike.lexical) == (None, 0)


@pytest.mark.parametrize(("mode", "text"), [
    (SearchMode.DENSE, "flap"), (SearchMode.LEXICAL, "flap"), (SearchMode.HYBRID, "??"),
])  # fmt: skip
def test_one_leg_explains_itself_by_the_ranks_in_it(index: VectorIndex, mode: SearchMode, text: str) -> None:
    filled(index, *WORDS)
    lexical = mode is SearchMode.LEXICAL
    explained = [hit.explanation for hit in index.search(request(text, mode=mode, explain=True)).hits]
    assert [one and (one.rank, one.lexical_rank if lexical else one.dense_rank) for one in explained] == [
        (place, place) for place in range(1, len(explained) + 1)
    ]
    assert all(one and one.weights is None and (one.dense_rank if lexical else one.lexical_rank) is None
               for one in explained)  # fmt: skip


@pytest.mark.parametrize("mode", MODES)
def test_what_was_not_asked_for_is_not_said(index: VectorIndex, mode: SearchMode) -> None:
    filled(index, *WORDS)
    assert {hit.explanation for hit in index.search(request("flap", mode=mode)).hits} == {None}


@pytest.mark.catalogue("S01")
@pytest.mark.parametrize("weights", [DENSE, LEXICAL, BOTH])
def test_no_weight_shows_what_the_caller_may_not_see(index: VectorIndex, weights: LegWeights) -> None:
    filled(
        index,
        *(document(f"b{n}", [f"wing canary {n}"], tenant="beta") for n in range(20)),
        document("hr", ["wing canary of hr"], acl=("group:hr",)),
        document("lost", ["wing canary that was taken away"]),
        document("a", ["wing of acme"]),
    )
    lost = PendingRevocations((doc("lost"),))
    hits = index.search(request("wing canary", weights=weights, explain=True, limit=100, pending_revocations=lost)).hits
    assert [hit.payload.text for hit in hits] == ["wing of acme"]
    # Ranks count what the caller may see, or they would tell how much there is of others.
    assert [hit.explanation and (hit.explanation.dense_rank, hit.explanation.lexical_rank) for hit in hits] == [(1, 1)]


@pytest.mark.parametrize("fields", [
    {"weights": LegWeights(0, 0)}, {"weights": LegWeights(-1, 1)}, {"weights": LegWeights(1, float("nan"))},
    {"weights": LegWeights(float("inf"), 1)}, {"weights": LegWeights(1, 101)},
    {"weights": BOTH, "mode": SearchMode.DENSE}, {"weights": BOTH, "mode": SearchMode.LEXICAL},
])  # fmt: skip
def test_weights_that_mean_nothing_are_refused(index: VectorIndex, fields: dict[str, Any]) -> None:
    filled(index, *WORDS)
    with pytest.raises(InvalidInput) as raised:
        index.search(request("flap", **fields))
    assert raised.value.reason is Reason.FIELD_INVALID
