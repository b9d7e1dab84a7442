"""Text leaves for an endpoint only where the policy of its tenant and source allows it. A recorder is the endpoint."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace

import pytest
from pytest_httpserver import HTTPServer

from rag_core.answering import Abstained, Answered, Message, Question, Role, open_answerer
from rag_core.content.embedding import open_embedder
from rag_core.errors import PermissionDenied, Reason
from rag_core.http_client import UNRESTRICTED, EgressPolicy, Provenance, Use, sending
from rag_core.retrieval.index import SearchHit
from rag_core.retrieval.search import open_reranker, reranked
from rag_core.settings import Settings
from tests.support.egress import Recorder
from tests.support.hits import hit

NO_USE: frozenset[Use] = frozenset()
Call = Callable[[Settings], object]


@pytest.fixture
def recorder(httpserver: HTTPServer) -> Recorder:
    return Recorder(httpserver)


def of_source(found: SearchHit, source: str) -> SearchHit:
    return replace(found, payload=replace(found.payload, source=source))


SECRET = of_source(hit("The salaries of the board are reviewed in June."), "hr")
PUBLIC = of_source(hit("Parental leave lasts 16 weeks."), "wiki")
SHORT = of_source(hit("Nine."), "wiki")


def embed(settings: Settings) -> object:
    with closing(open_embedder(settings)) as embedder:
        return embedder.embed_passages([SECRET.payload.text])


def score(settings: Settings) -> object:
    reranker = open_reranker(settings)
    assert reranker is not None
    with closing(reranker):
        return reranker.score("pay", [SECRET.payload.text])


def rewrite(settings: Settings) -> object:
    async def ask() -> object:
        answerer = open_answerer(settings)
        try:
            return await answerer.standalone("And for fathers?", [Message(Role.USER, "How long is parental leave?")])
        finally:
            await answerer.close()

    return asyncio.run(ask())


CLIENTS: dict[Use, Call] = {Use.EMBED: embed, Use.RERANK: score, Use.ANSWER: rewrite}
others = pytest.mark.parametrize("use", list(Use))


def refused(call: Call, settings: Settings) -> str:
    with pytest.raises(PermissionDenied) as caught:
        call(settings)
    assert caught.value.reason is Reason.EGRESS_FORBIDDEN
    return caught.value.message


@others
def test_text_of_nobody_goes_nowhere(recorder: Recorder, use: Use) -> None:
    refused(CLIENTS[use], recorder.settings())
    assert recorder.bodies == []


@others
def test_what_the_tenant_may_not_send_stays_and_every_other_use_is_its_own(recorder: Recorder, use: Use) -> None:
    without = EgressPolicy(frozenset(Use) - {use})
    with sending(Provenance(without)):
        assert "this tenant" in refused(CLIENTS[use], recorder.settings())
    assert recorder.bodies == []
    with sending(Provenance(EgressPolicy(frozenset({use})))):
        CLIENTS[use](recorder.settings())
    assert recorder.bodies


@others
def test_what_one_source_may_not_send_stays(recorder: Recorder, use: Use) -> None:
    policy = EgressPolicy(frozenset(Use), {"hr": frozenset(Use) - {use}})
    with sending(Provenance(policy, frozenset({"wiki", "hr"}))):
        assert "the source hr" in refused(CLIENTS[use], recorder.settings())
    assert recorder.bodies == []
    with sending(Provenance(policy, frozenset({"wiki"}))):
        CLIENTS[use](recorder.settings())
    assert recorder.bodies


@others
@pytest.mark.parametrize("inside", ["localhost", ".example,localhost"])
def test_an_endpoint_that_counts_as_inside_concerns_no_policy(recorder: Recorder, use: Use, inside: str) -> None:
    CLIENTS[use](recorder.settings(egress_inside=inside))
    assert recorder.bodies


def test_only_the_passages_that_may_leave_are_reranked_and_the_others_keep_their_places(recorder: Recorder) -> None:
    policy = EgressPolicy(frozenset(Use), {"hr": NO_USE})
    reranker = open_reranker(recorder.settings())
    assert reranker is not None
    with closing(reranker), sending(Provenance(policy)):
        ordered = reranked(reranker, "leave", [SHORT, SECRET, PUBLIC])
        alone = reranked(reranker, "leave", [SECRET])
    assert [one.payload.text for one in ordered] == [
        PUBLIC.payload.text, SECRET.payload.text, SHORT.payload.text,
    ]  # fmt: skip
    assert [one.reranked is None for one in ordered] == [False, True, False]
    assert alone == [SECRET]
    assert "salaries" not in recorder.said


async def answers(settings: Settings, policy: EgressPolicy, *hits: SearchHit) -> Answered | Abstained:
    answerer = open_answerer(settings)
    try:
        events = [event async for event in answerer.answer(Question("How long is leave?", hits, egress=policy))]
    finally:
        await answerer.close()
    assert isinstance(events[-1], Answered | Abstained)
    return events[-1]


async def test_a_model_reads_only_the_passages_that_may_leave_and_cites_them_by_their_own_ranks(
    recorder: Recorder,
) -> None:
    policy = EgressPolicy(frozenset(Use), {"hr": frozenset({Use.EMBED})})
    final = await answers(recorder.settings(), policy, SECRET, PUBLIC)
    assert isinstance(final, Answered)
    assert [(one.rank, one.quote) for one in final.citations] == [(1, PUBLIC.payload.text)]
    assert "salaries" not in recorder.said


async def test_without_any_passage_that_may_leave_the_model_is_not_called(recorder: Recorder) -> None:
    with pytest.raises(PermissionDenied) as caught:
        await answers(recorder.settings(), EgressPolicy(frozenset(Use), {"hr": NO_USE}), SECRET)
    assert caught.value.reason is Reason.EGRESS_FORBIDDEN
    assert recorder.bodies == []


def test_what_an_assistant_quoted_stays_where_some_source_may_not_leave(recorder: Recorder) -> None:
    earlier = [Message(Role.USER, "Who reviews pay?"), Message(Role.ASSISTANT, SECRET.payload.text)]

    async def ask() -> None:
        answerer = open_answerer(recorder.settings())
        try:
            await answerer.standalone("And when?", earlier)
        finally:
            await answerer.close()

    with sending(Provenance(EgressPolicy(frozenset(Use), {"hr": NO_USE}))):
        asyncio.run(ask())
    assert "Who reviews pay?" in recorder.said
    assert "salaries" not in recorder.said
    with sending(Provenance(UNRESTRICTED)):
        asyncio.run(ask())
    assert "salaries" in recorder.said


def test_what_one_thread_sends_says_nothing_about_another(recorder: Recorder) -> None:
    seen: list[Reason] = []

    def other() -> None:
        try:
            embed(recorder.settings())
        except PermissionDenied as error:
            seen.append(error.reason)

    with sending(Provenance(UNRESTRICTED)):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert seen == [Reason.EGRESS_FORBIDDEN]


@pytest.fixture(autouse=True)
def _no_request_was_unexpected(httpserver: HTTPServer) -> Iterator[None]:
    yield
    httpserver.check_assertions()
