"""What a search returns, to whom, and in what order. Chunks around a place: the right ones, and only what the caller
may see."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from rag_core import failpoints
from rag_core.content.documents import All, AnyOf, Condition, Exists, In, Not, TimeRange
from rag_core.errors import InvalidInput, PermissionDenied, RagError, Reason
from rag_core.retrieval.index import (
    ChunkRange,
    DocumentUpdate,
    PendingRevocations,
    SearchMode,
    SearchRequest,
    VectorIndex,
)
from tests.support.index_points import MODES, NEW_YEAR, ask, doc, document, filled, request, vector_of

CANARY = "canary of the other tenant"


@pytest.mark.catalogue("S01")
@pytest.mark.parametrize("mode", MODES)
def test_no_leg_shows_another_tenants_points(index: VectorIndex, mode: SearchMode) -> None:
    filled(
        index,
        *(document(f"b{n}", [f"{CANARY} {n} wing"], tenant="beta") for n in range(30)),
        document("a", ["wing of acme"]),
    )
    assert ask(index, f"{CANARY} wing", mode=mode, limit=100) == ["wing of acme"]
    assert ask(index, CANARY, mode=mode, filter=In("doc_id", (str(doc("b1", "beta")),))) == []


@pytest.mark.catalogue("S01")
@pytest.mark.parametrize("mode", MODES)
def test_scores_do_not_depend_on_another_tenants_texts(index: VectorIndex, mode: SearchMode) -> None:
    """Term statistics are those of the caller's own points, or a score would tell which words others use."""
    filled(index, document("a", ["wing flap rudder"]), document("c", ["rudder"]), document("d", ["nose"]))
    query = request("wing rudder", mode=mode)
    before = index.search(query)
    index.apply("g1", [document(f"b{n}", [f"wing wing {n}"], tenant="beta") for n in range(30)])
    after = index.search(query)
    assert [hit.payload.text for hit in before.hits] == [hit.payload.text for hit in after.hits]
    assert [hit.lexical for hit in before.hits] == pytest.approx([hit.lexical for hit in after.hits])
    assert [hit.score for hit in before.hits] == pytest.approx([hit.score for hit in after.hits])


@pytest.mark.catalogue("S04")
def test_a_tenant_is_never_a_pattern(index: VectorIndex) -> None:
    filled(index, document("a", ["wing"]))
    for tenant in ("*", "acme ", "ACME", "%"):
        assert ask(index, "wing", tenant=tenant) == []


@pytest.mark.catalogue("S04")
@pytest.mark.parametrize("mode", MODES)
def test_no_tenant_means_no_access(index: VectorIndex, mode: SearchMode) -> None:
    filled(index, document("a", ["wing"]))
    with pytest.raises(PermissionDenied) as raised:
        index.search(request("wing", tenant="", mode=mode))
    assert raised.value.reason is Reason.TENANT_MISSING


@pytest.mark.parametrize("mode", MODES)
def test_access_lists_fail_closed(index: VectorIndex, mode: SearchMode) -> None:
    filled(
        index,
        document("open", ["wing for everyone"]),
        document("group", ["wing for pilots"], acl=("group:pilots", "user:ann")),
        document("none", ["wing for no one"], acl=()),
    )
    assert ask(index, "wing", mode=mode, acl=()) == []
    assert ask(index, "wing", mode=mode, acl=("user:bob",)) == []
    assert ask(index, "wing", mode=mode) == ["wing for everyone"]
    assert ask(index, "wing", mode=mode, acl=("group:pilots",)) == ["wing for pilots"]
    assert set(ask(index, "wing", mode=mode, acl=("user:ann", "everyone"))) == {"wing for everyone", "wing for pilots"}


@pytest.mark.parametrize("mode", MODES)
def test_what_is_withheld_is_on_no_leg_and_in_no_statistic(index: VectorIndex, mode: SearchMode) -> None:
    kept = [document("a", ["wing flap rudder"]), document("b", ["rudder"]), document("c", ["nose"])]
    filled(index, *kept)
    query = request("wing rudder", mode=mode)
    alone = index.search(query)
    lost = [document(f"lost {n}", [f"wing wing {n}"]) for n in range(3)]
    index.apply("g1", [*lost, document("wiki", ["wing of the wiki"], source="wiki")])
    withheld = PendingRevocations(tuple(update.doc_id for update in lost), ("wiki",))
    after = index.search(replace(query, pending_revocations=withheld))
    assert [hit.payload.text for hit in after.hits] == [hit.payload.text for hit in alone.hits]
    assert [hit.score for hit in after.hits] == pytest.approx([hit.score for hit in alone.hits])
    assert "wing of the wiki" in ask(index, "wing rudder", mode=mode)


WING = document("wing.md", ["wing one"], language="en", media_type="text/markdown", updated_at=NEW_YEAR)
RUDDER = document(
    "rudder.pdf",
    ["wing two"],
    source="archive",
    language="",
    title="",
    media_type="application/pdf",
    updated_at=NEW_YEAR + timedelta(days=10),
    metadata={"team": "red", "cost center": "7"},
)
ONE, TWO = {"wing one"}, {"wing two"}
LATER = NEW_YEAR + timedelta(days=5)
FILTERS: list[tuple[Condition, set[str]]] = [
    (In("source", ("handbook",)), ONE),
    (In("source", ("archive", "handbook")), ONE | TWO),
    (In("source", ("nowhere",)), set()),
    (In("doc_id", (str(doc("wing.md")),)), ONE),
    (In("doc_id", ("not a uuid",)), set()),
    (In("locator", ("rudder.pdf",)), TWO),
    (In("title", ("About wing.md",)), ONE),
    (In("language", ("en", "zh")), ONE),
    (In("media_type", ("application/pdf",)), TWO),
    (In("metadata.team", ("red",)), TWO),
    (In("metadata.cost center", ("7",)), TWO),
    (In("metadata.absent", ("red",)), set()),
    (TimeRange("updated_at", gte=LATER), TWO),
    (TimeRange("updated_at", lt=LATER), ONE),
    (TimeRange("updated_at", gte=NEW_YEAR, lt=NEW_YEAR + timedelta(days=10)), ONE),
    (TimeRange("updated_at", gte=NEW_YEAR + timedelta(microseconds=1)), TWO),
    (TimeRange("updated_at", gte=datetime(2026, 1, 1, 1, tzinfo=UTC).astimezone()), TWO),
    (TimeRange("updated_at"), ONE | TWO),
    (Exists("language"), ONE),
    (Exists("title"), ONE),
    (Exists("metadata.cost center"), TWO),
    (Not(Exists("metadata.cost center")), ONE),
    (Not(In("source", ("archive",))), ONE),
    (Not(Not(In("source", ("archive",)))), TWO),
    (All((In("source", ("archive",)), In("metadata.team", ("red",)))), TWO),
    (All((In("source", ("archive",)), In("metadata.team", ("blue",)))), set()),
    (AnyOf((In("source", ("archive",)), In("metadata.team", ("blue",)))), ONE | TWO),
    (All((AnyOf((Exists("language"), Exists("title"))), Not(In("locator", ("wing.md",))))), set()),
]


@pytest.mark.parametrize("mode", MODES)
def test_every_kind_of_filter_narrows_every_mode(index: VectorIndex, mode: SearchMode) -> None:
    beta = document("b", ["wing of beta"], tenant="beta")
    filled(index, WING, RUDDER, beta)
    for condition, expected in FILTERS:
        assert set(ask(index, "wing", mode=mode, filter=condition)) == expected, condition


def test_an_empty_group_is_an_error_because_engines_ignore_it(index: VectorIndex) -> None:
    filled(index, WING)
    for condition in (All(()), AnyOf(()), In("source", ()), Not(AnyOf(()))):
        with pytest.raises(InvalidInput) as raised:
            index.search(request("wing", filter=condition))
        assert raised.value.reason is Reason.FILTER_TYPE


@pytest.mark.catalogue("B04")
def test_a_limit_out_of_range_is_an_error_and_not_an_empty_answer(index: VectorIndex) -> None:
    filled(index, WING)
    for limit in (0, -1, 1001, 2**31 - 1):
        with pytest.raises(InvalidInput) as raised:
            index.search(request("wing", limit=limit))
        assert raised.value.reason is Reason.TOP_K_RANGE


@pytest.mark.parametrize("mode", MODES)
def test_a_search_returns_at_most_the_limit_best_first(index: VectorIndex, mode: SearchMode) -> None:
    filled(index, *(document(str(n), [f"wing number {n}"]) for n in range(50)))
    hits = index.search(request("wing number 7", limit=5, mode=mode)).hits
    scores = [hit.score for hit in hits]
    assert len(hits) == 5
    assert scores == sorted(scores, reverse=True)
    assert hits[0].payload.text == "wing number 7"
    assert len(ask(index, "wing", limit=1000, mode=mode)) == 50


def test_a_hit_carries_the_scores_of_its_legs(index: VectorIndex) -> None:
    filled(index, document("a", ["the wing"]), document("b", ["a rudder"]))
    hits = {hit.payload.text: hit for hit in index.search(request("the wing")).hits}
    assert hits["the wing"].dense == pytest.approx(1, abs=1e-5)
    assert hits["the wing"].lexical is not None
    assert hits["the wing"].lexical > 0
    assert hits["a rudder"].lexical is None
    assert all(0 <= hit.score <= 1 for hit in hits.values())
    dense = index.search(request("the wing", mode=SearchMode.DENSE)).hits
    assert [(hit.dense, hit.lexical) for hit in dense] == [(hit.score, None) for hit in dense]
    lexical = index.search(request("the wing", mode=SearchMode.LEXICAL)).hits
    assert [(hit.dense, hit.lexical) for hit in lexical] == [(None, hit.score) for hit in lexical]


def test_points_without_a_word_of_the_query_are_no_lexical_hits(index: VectorIndex) -> None:
    filled(index, document("a", ["the wing"]), document("b", ["das Ruder"]))
    assert ask(index, "wings", mode=SearchMode.LEXICAL) == ["the wing"]
    assert ask(index, "尾翼", mode=SearchMode.LEXICAL) == []
    assert ask(index, "!!! ???", mode=SearchMode.LEXICAL) == []


def test_a_hybrid_search_without_any_word_is_a_dense_one(index: VectorIndex) -> None:
    filled(index, document("a", ["the wing"]), document("b", ["the rudder"]))
    hits = index.search(request("???", vector=vector_of("the rudder"))).hits
    assert [hit.payload.text for hit in hits] == ["the rudder", "the wing"]
    assert all(0 <= hit.score <= 1 for hit in hits)


def test_one_known_word_of_a_question_in_another_language_does_not_outweigh_its_meaning(index: VectorIndex) -> None:
    meant, named = "the crane lifts the load", "valve 7 of the boiler"
    filled(index, document("a", [meant]), document("b", [named]), *(document(str(n), [f"x{n}"]) for n in range(12)))
    vector = vector_of(meant) + np.float32(0.5) * vector_of(named)
    vector /= np.float32(np.linalg.norm(vector))
    assert ask(index, "boiler", vector=vector)[0] == named
    assert ask(index, "boiler kran hebt die schwere last auf den wagen", vector=vector)[0] == meant


FINDS = {
    "机翼的气动特性": "机翼在滑流中的空气动力特性",
    "機翼": "机翼在滑流中的空气动力特性",
    "茶": "喝茶的历史",
    "running engines": "The engine was run for an hour.",
    "ＥＮＧＩＮＥ": "The engine was run for an hour.",
    "to be or not to be": "To be, or not to be, that is the question.",
}


def test_words_are_found_in_english_and_chinese(index: VectorIndex) -> None:
    filled(index, *(document(str(n), [text]) for n, text in enumerate(sorted(set(FINDS.values())))))
    for query, expected in FINDS.items():
        assert ask(index, query, mode=SearchMode.LEXICAL)[0] == expected


@pytest.mark.catalogue("B23")
def test_any_script_can_be_asked_for(index: VectorIndex) -> None:
    filled(index, document("a", ["the wing"]))
    for text in ("🙂🙂🙂", "שלום עולם", "x" * 10_000, "\u202eevil\u0000", "ﷺ" * 2000):
        assert ask(index, text) == ["the wing"]


@pytest.mark.catalogue("F03")
@pytest.mark.parametrize("mode", MODES)
def test_an_old_version_that_a_crash_left_behind_is_not_served(index: VectorIndex, mode: SearchMode) -> None:
    """The new version is complete and none of its chunks resembles the query: the old chunk is stale, not relevant."""
    filled(index, document("a", ["the wing of old"]), document("b", ["wing of another"]))
    _die_before_removal(index, document("a", ["nothing of the kind"], version=2))
    found = ask(index, "the wing of old", mode=mode)
    assert "the wing of old" not in found
    assert "wing of another" in found
    index.apply("g1", [document("a", ["nothing of the kind"], version=2)])
    assert index.count("g1") == 2


@pytest.mark.parametrize("mode", MODES)
def test_of_two_versions_among_the_candidates_the_newest_wins_and_the_limit_is_filled(
    index: VectorIndex, mode: SearchMode
) -> None:
    filled(
        index,
        *(document(f"other {n}", [f"wing {n}"]) for n in range(20)),
        document("a", [f"wing of old {n}" for n in range(60)]),
    )
    _die_before_removal(index, document("a", [f"wing of new {n}" for n in range(3)], version=2))
    hits = index.search(request("wing of old", limit=20, mode=mode)).hits
    assert len(hits) == 20
    assert {hit.payload.version for hit in hits if hit.payload.locator == "a"} <= {2}


def _die_before_removal(index: VectorIndex, update: DocumentUpdate) -> None:
    """Write the new version of a document and stop before the old one is removed."""
    failpoints.arm("before_stale_delete:1:raise")
    try:
        with pytest.raises((failpoints.FailpointReached, RagError)):
            index.apply("g1", [update])
    finally:
        failpoints.arm(None)
    assert index.count("g1") > len(update.points)


def test_points_are_found_by_their_own_vectors(index: VectorIndex) -> None:
    texts = [f"text number {n}" for n in range(40)]
    twins = document("twin", [texts[0]])
    nobody = document("secret", ["for nobody"], acl=())
    filled(index, document("a", texts), twins, nobody, document("b", ["of another tenant"], tenant="globex"))
    ids = [point.chunk_id for batch in index.scroll("g1") for point in batch]
    index.delete_points("g1", ids[:1])
    found = index.self_retrieval("g1", ids)
    assert (found.missed, found.lost) == ((), (ids[0],))
    assert found.searched == len(ids) - 1, "nobody may read one"


WORDS = [f"part {number}" for number in range(8)]


def around(index: VectorIndex, *places: ChunkRange, **fields: object) -> list[str]:
    """Texts at places, in reading order."""
    points = index.around(request("part", **fields), places)
    return [point.payload.text for point in sorted(points, key=lambda point: point.payload.ordinal)]


def test_the_chunks_of_a_range_are_read_and_no_others(index: VectorIndex) -> None:
    filled(index, document("a", WORDS), document("b", ["of another document"] * 1))
    assert around(index, ChunkRange(doc("a"), 1, 2, 4)) == ["part 2", "part 3", "part 4"]
    assert around(index, ChunkRange(doc("a"), 1, -2, 0), ChunkRange(doc("a"), 1, 7, 9)) == ["part 0", "part 7"]
    assert around(index, ChunkRange(doc("a"), 2, 0, 7)) == []  # of a version that is not held
    assert around(index) == []


def test_the_range_is_read_within_what_the_caller_may_see(index: VectorIndex) -> None:
    filled(
        index,
        document("a", WORDS, acl=("group:pilots",)),
        document("a", WORDS, tenant="beta"),
        document("wiki", WORDS, source="wiki"),
    )
    secret, foreign, wiki = (
        ChunkRange(doc("a"), 1, 0, 7),
        ChunkRange(doc("a", "beta"), 1, 0, 7),
        ChunkRange(doc("wiki"), 1, 0, 7),
    )
    assert around(index, secret, foreign) == []
    assert around(index, secret, acl=()) == []
    assert around(index, secret, acl=("group:pilots",)) == WORDS
    assert around(index, wiki) == WORDS
    assert around(index, wiki, pending_revocations=PendingRevocations((doc("wiki"),), ())) == []
    assert around(index, wiki, pending_revocations=PendingRevocations((), ("wiki",))) == []


def test_no_tenant_and_too_many_places_are_refused(index: VectorIndex) -> None:
    filled(index, document("a", WORDS))
    nobody: SearchRequest = request("part", tenant="")
    with pytest.raises(PermissionDenied) as denied:
        index.around(nobody, [ChunkRange(doc("a"), 1, 0, 1)])
    assert denied.value.reason is Reason.TENANT_MISSING
    with pytest.raises(InvalidInput):
        index.around(request("part"), [ChunkRange(doc("a"), 1, 0, 5000)])
