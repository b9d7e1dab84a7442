"""What a caller may choose of how a search is done: weights, mode, generation; and what an explanation says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import grpc
import pytest

from rag_core.database import open_store
from rag_core.database.tables.content import generations
from rag_core.retrieval.index import GenerationSpec
from rag_core.settings import Settings
from ragproto.admin.v1 import operations_pb2 as ops
from ragproto.admin.v1 import operations_pb2_grpc
from ragproto.query.v2 import query_pb2 as pb
from ragproto.query.v2 import query_pb2_grpc
from tests.integration.query_server.test_search import ByLength
from tests.support.query_server import Doc, RunningServer, failing, running, update_of
from tests.support.waiting import eventually

INVALID, DENIED = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.PERMISSION_DENIED
OPERATOR = {"scopes": ["query.read", "ops.read"]}
DOCS = [
    Doc("The bell of the tower rings at nine.\n\nThe tower has a bell.", locator="tower.md"),
    Doc("A bell rings in Lisbon, and the bell is loud.", locator="lisbon.md"),
    Doc("The bell of the board rings in June.", locator="pay.md", acl=("group:hr",)),
    Doc("The bell of the other tenant.", locator="canary.md", tenant="other"),
]
NEXT = [
    Doc("The bell of the tower rings at ten now.", locator="tower.md", version=2),
    Doc("The bell of the board rings in July.", locator="pay.md", version=2, acl=("group:hr",)),
    Doc("The bell of the other tenant, again.", locator="canary.md", version=2, tenant="other"),
]


def row(name: str, state: str, server: RunningServer) -> dict[str, Any]:
    embedder = server.embedder
    return {"name": name, "state": state, "embedder": embedder.fingerprint, "dimensions": embedder.dimensions,
            "chunker": "chunker", "settings": {"embedder": "fake"}}  # fmt: skip


@pytest.fixture(scope="module")
def bells(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Readers are on g1; g2 is ready with newer documents, and g3 was retired but is not removed yet."""
    home = tmp_path_factory.mktemp("bells")
    with running(home, docs=DOCS, dependencies={"reranker": ByLength()}) as server:
        for name in ("g2", "g3"):
            server.index.create(
                GenerationSpec(name, server.embedder.dimensions, server.embedder.fingerprint, "chunker")
            )
            server.index.apply(name, [update_of(doc, server.embedder) for doc in NEXT])
        store = open_store(Settings(home=home, database_url=server.database_url))
        with closing(store), store.engine.begin() as connection:
            states = {"g1": "active", "g2": "ready", "g3": "retired"}
            connection.execute(generations.insert(), [row(name, state, server) for name, state in states.items()])
        assert eventually(lambda: _refuses(server, "g3"))  # it has read the rows
        yield server


def _refuses(server: RunningServer, generation: str) -> bool:
    try:
        search(server, OPERATOR, generation=generation)
    except grpc.RpcError:
        return True
    return False


def stub(server: RunningServer) -> Any:
    return query_pb2_grpc.QueryServiceStub(server.channel)


def search(server: RunningServer, claims: dict[str, Any] | None = None, **fields: Any) -> pb.SearchResponse:
    wanted = {"query": "when does the bell ring", "rerank": False} | fields
    response: pb.SearchResponse = stub(server).Search(
        pb.SearchRequest(**wanted), metadata=server.auth(**claims or {}), timeout=20
    )
    return response


def answer(server: RunningServer, claims: dict[str, Any] | None = None, **fields: Any) -> pb.AnswerFinal:
    wanted = {"query": "When does the bell of the tower ring?"} | fields
    events = list(stub(server).Answer(pb.AnswerRequest(**wanted), metadata=server.auth(**claims or {}), timeout=20))
    final: pb.AnswerFinal = events[-1].final
    return final


def texts(response: pb.SearchResponse) -> list[str]:
    return [passage.text for passage in response.passages]


def test_an_explanation_adds_up_to_the_score_and_names_the_places(bells: RunningServer) -> None:
    found = search(bells, explain=True)
    assert found.explanation.mode == pb.SEARCH_MODE_HYBRID
    assert not found.explanation.weights_given
    assert found.explanation.weights.dense + found.explanation.weights.lexical == pytest.approx(1)
    assert [passage.explanation.retrieval_rank for passage in found.passages] == [1, 2, 3]
    for passage in found.passages:
        explained = passage.explanation
        assert explained.dense_part + explained.lexical_part == pytest.approx(passage.retrieval_score, abs=1e-5)
    assert {passage.explanation.dense_rank for passage in found.passages} == {1, 2, 3}


def test_a_reranked_passage_still_says_where_retrieval_had_it(bells: RunningServer) -> None:
    plain, ranked = search(bells, explain=True), search(bells, explain=True, rerank=True)
    places = {passage.chunk_id: passage.explanation.retrieval_rank for passage in plain.passages}
    assert ranked.explanation.reranked
    assert not plain.explanation.reranked
    assert [passage.chunk_id for passage in ranked.passages] != list(places)
    assert {passage.chunk_id: passage.explanation.retrieval_rank for passage in ranked.passages} == places


def test_nothing_is_explained_unless_asked_for(bells: RunningServer) -> None:
    found = search(bells)
    assert not found.HasField("explanation")
    assert not any(passage.HasField("explanation") for passage in found.passages)


def test_text_without_words_is_explained_as_a_dense_search(bells: RunningServer) -> None:
    found = search(bells, query="??", explain=True).explanation
    assert found.mode == pb.SEARCH_MODE_DENSE
    assert not found.HasField("weights")


@pytest.mark.parametrize(("dense", "lexical", "mode"), [
    (1, 0, pb.SEARCH_MODE_DENSE), (0, 2, pb.SEARCH_MODE_LEXICAL),
])  # fmt: skip
def test_a_leg_with_all_the_weight_gives_its_own_order(
    bells: RunningServer, dense: float, lexical: float, mode: pb.SearchMode
) -> None:
    weighed = search(bells, weights=pb.LegWeights(dense=dense, lexical=lexical), explain=True)
    assert texts(weighed) == texts(search(bells, mode=mode))
    assert weighed.explanation.weights_given
    assert weighed.explanation.weights.lexical == pytest.approx(lexical / (dense + lexical))


@pytest.mark.catalogue("B09")
@pytest.mark.parametrize("fields", [
    {"weights": pb.LegWeights()}, {"weights": pb.LegWeights(dense=-1, lexical=1)},
    {"weights": pb.LegWeights(dense=float("nan"))}, {"weights": pb.LegWeights(dense=float("inf"))},
    {"weights": pb.LegWeights(dense=1, lexical=101)},
    {"weights": pb.LegWeights(dense=1), "mode": pb.SEARCH_MODE_LEXICAL},
    {"generation": "../g2"}, {"generation": "G" * 65}, {"mode": 9},
])  # fmt: skip
def test_options_without_meaning_are_typed_errors(bells: RunningServer, fields: dict[str, Any]) -> None:
    for call in (search, answer):
        failure = failing(lambda call=call: call(bells, OPERATOR, **fields))
        assert (failure.code, failure.reason) == (INVALID, "FIELD_INVALID")


def test_another_generation_is_searched_and_answered_from_by_name(bells: RunningServer) -> None:
    found = search(bells, OPERATOR, generation="g2")
    assert (found.generation, texts(found)) == ("g2", ["The bell of the tower rings at ten now."])
    assert search(bells, OPERATOR, generation="g1").generation == search(bells).generation == "g1"
    named, active = answer(bells, OPERATOR, generation="g2"), answer(bells)
    assert [(one.generation, one.usage.passages) for one in (named, active)] == [("g2", 1), ("g1", 3)]


@pytest.mark.catalogue("S01")
def test_a_named_generation_shows_no_more_than_the_caller_may_see(bells: RunningServer) -> None:
    hr = OPERATOR | {"groups": ["hr"]}
    assert set(texts(search(bells, hr, generation="g2"))) == {NEXT[0].text, NEXT[1].text}
    other = OPERATOR | {"tenant": "other"}
    assert texts(search(bells, other, generation="g2")) == [NEXT[2].text]
    assert answer(bells, OPERATOR | {"tenant": "none"}, generation="g2").abstained.reason == "NO_RESULTS"


def test_a_generation_is_named_with_the_scope_to_observe_only(bells: RunningServer) -> None:
    for name in ("g2", "g1", "strange"):  # the same for all: no name can be tried
        for call in (search, answer):
            failure = failing(lambda call=call, name=name: call(bells, generation=name))
            assert (failure.code, failure.reason) == (DENIED, "SCOPE_MISSING")


@pytest.mark.parametrize("name", ["strange", "g3"])
def test_a_generation_that_receives_no_changes_is_not_searched(bells: RunningServer, name: str) -> None:
    """One that was retired has the permissions of then."""
    for call in (search, answer):
        assert failing(lambda call=call: call(bells, OPERATOR, generation=name)).reason == "GENERATION_NOT_FOUND"
    request = ops.SearchGenerationRequest(generation=name, search=pb.SearchRequest(query="bell"))
    console = operations_pb2_grpc.OperationsServiceStub(bells.channel)
    metadata = bells.auth(**OPERATOR)
    assert failing(lambda: console.SearchGeneration(request, metadata=metadata)).reason == "GENERATION_NOT_FOUND"


@pytest.mark.catalogue("B13")
@pytest.mark.parametrize("change", [
    {"weights": pb.LegWeights(dense=1, lexical=2)}, {"weights": None}, {"generation": "g2"}, {"generation": ""},
])  # fmt: skip
def test_a_page_token_belongs_to_its_weights_and_generation(bells: RunningServer, change: dict[str, Any]) -> None:
    asked = {"top_k": 1, "weights": pb.LegWeights(dense=1, lexical=1), "generation": "g1"}
    token = search(bells, OPERATOR, **asked).next_page_token
    assert search(bells, OPERATOR, **asked, explain=True, page_token=token).passages[0].explanation.retrieval_rank == 2
    failure = failing(lambda: search(bells, OPERATOR, **(asked | change), page_token=token))
    assert (failure.code, failure.reason) == (INVALID, "PAGE_TOKEN_INVALID")


def test_searches_of_a_batch_have_options_of_their_own(bells: RunningServer) -> None:
    searches = [
        pb.SearchRequest(query="bell", generation="g2"),
        pb.SearchRequest(query="bell", explain=True),
        pb.SearchRequest(query="bell", weights=pb.LegWeights()),
    ]
    request = pb.BatchSearchRequest(searches=searches)
    named, explained, wrong = stub(bells).BatchSearch(request, metadata=bells.auth(**OPERATOR), timeout=20).outcomes
    assert named.response.generation == "g2"
    assert explained.response.HasField("explanation")
    assert wrong.error.reason == "FIELD_INVALID"
    refused = stub(bells).BatchSearch(request, metadata=bells.auth(), timeout=20).outcomes
    assert [one.error.reason for one in refused] == ["SCOPE_MISSING", "", "FIELD_INVALID"]


# --------------------------------------------------------------------------------------------------------------------
# Searching as somebody else.

PLATFORM = ["platform.admin"]


def search_as(server: RunningServer, claims: dict[str, Any] | None = None, **fields: Any) -> ops.SearchAsResponse:
    wanted = {"tenant": "acme", "reason": "ticket 7", "search": pb.SearchRequest(query="bell", rerank=False)} | fields
    console = operations_pb2_grpc.OperationsServiceStub(server.channel)
    metadata = server.auth(**{"scopes": PLATFORM} | (claims or {}))
    found: ops.SearchAsResponse = console.SearchAs(ops.SearchAsRequest(**wanted), metadata=metadata, timeout=20)
    return found


def places(response: ops.SearchAsResponse) -> set[str]:
    return {passage.locator for passage in response.found.passages}


def test_a_search_as_somebody_finds_what_they_find(bells: RunningServer) -> None:
    assert places(search_as(bells)) == {"tower.md", "lisbon.md"}
    assert places(search_as(bells, groups=["hr"])) == {"tower.md", "lisbon.md", "pay.md"}
    assert places(search_as(bells, tenant="other")) == {"canary.md"}
    assert places(search_as(bells, tenant="nobody")) == set()
    newer = pb.SearchRequest(query="bell", generation="g2", rerank=False)
    assert places(search_as(bells, groups=["hr"], search=newer)) == {"tower.md", "pay.md"}


@pytest.mark.catalogue("S01")
def test_running_the_platform_opens_no_documents(bells: RunningServer) -> None:
    highlighted = pb.SearchRequest(query="bell", highlight=True, explain=True, rerank=False)
    mine = search_as(bells, groups=["hr"], search=highlighted)
    for response, hidden in ((mine, {"pay.md"}), (search_as(bells, tenant="other", search=highlighted), {"canary.md"})):
        withheld = [passage for passage in response.found.passages if passage.chunk_id in response.withheld]
        assert {passage.locator for passage in withheld} == hidden
        for passage in withheld:
            assert passage.HasField("explanation")
            assert passage.retrieval_score > 0
            assert (passage.text, passage.title, [*passage.highlights], [*passage.blocks]) == ("", "", [], [])
    readable = [passage for passage in mine.found.passages if passage.chunk_id not in mine.withheld]
    assert all(passage.text for passage in readable)


def test_an_administrator_of_the_tenant_reads_what_the_person_finds(bells: RunningServer) -> None:
    admin = {"scopes": [*PLATFORM, "admin"]}
    found = search_as(bells, admin, groups=["hr"])
    assert "The bell of the board rings in June." in texts(found.found)
    assert not found.withheld
    assert search_as(bells, admin, tenant="other").withheld


def test_each_search_as_somebody_is_in_the_audit_log_of_their_tenant(bells: RunningServer) -> None:
    console = operations_pb2_grpc.OperationsServiceStub(bells.channel)

    def records() -> list[ops.AuditRecord]:
        metadata = bells.auth(tenant="third", scopes=["admin"])
        return list(console.ListAudit(ops.ListAuditRequest(action="search.as"), metadata=metadata, timeout=20).records)

    search_as(bells, tenant="third", subject="bob", groups=["hr"], reason="bob finds nothing")
    [record] = records()
    assert (record.actor, record.target, record.details["reason"]) == ("acme/ann", "third/bob", "bob finds nothing")
    assert "hr" in record.details["groups"]
    wrong = pb.SearchRequest(query="bell", weights=pb.LegWeights())
    assert failing(lambda: search_as(bells, tenant="third", search=wrong)).reason == "FIELD_INVALID"
    assert len(records()) == 1


@pytest.mark.parametrize("fields", [
    {"tenant": ""}, {"reason": " "}, {"groups": [""]}, {"groups": ["g"] * 201}, {"tenant": "t" * 1025},
])  # fmt: skip
def test_a_search_as_nobody_or_for_no_reason_is_refused(bells: RunningServer, fields: dict[str, Any]) -> None:
    assert failing(lambda: search_as(bells, **fields)).reason == "FIELD_INVALID"
