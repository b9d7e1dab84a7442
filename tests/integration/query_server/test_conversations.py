"""Follow-ups, answers by a model and their fallback, over the wire of a real server and a real chat endpoint."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from query_server.handlers.query.fallback import FAILURES_IN_A_ROW
from rag_core.answering import open_answerer
from rag_core.answering.extractive import ExtractiveAnswerer
from ragproto.query.v1 import query_pb2 as v1
from ragproto.query.v1 import query_pb2_grpc as v1_grpc
from ragproto.query.v2 import query_pb2 as pb
from ragproto.query.v2 import query_pb2_grpc
from tests.support.chat_server import KEY, MODEL, scripted_server
from tests.support.query_server import Doc, RunningServer, failing, failure, running, settings_of

BOLD = ExtractiveAnswerer(-50)
"""Answers although nothing is near to the fake embedder."""
DOCS = [
    Doc(
        "Parental leave lasts 16 weeks.\n\nParental leave is paid in full by the company.",
        locator="leave.md", title="Leave",
    ),
    Doc("The office in Lisbon opens at nine. Ring the bell twice.", locator="office.md"),
]  # fmt: skip
EARLIER = [
    pb.Message(role="user", text="How long is parental leave?"),
    pb.Message(role="assistant", text="Parental leave lasts 16 weeks. [1]"),
]


@pytest.fixture(scope="module")
def quoting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running(tmp_path_factory.mktemp("quoting"), docs=DOCS, conversation_messages=4,
                 dependencies={"answerer": BOLD}) as server:  # fmt: skip
        yield server


@contextmanager
def writing(home: Path, url: str, **changes: Any) -> Iterator[RunningServer]:
    """A server whose answers a model at `url` writes."""
    wanted = {
        "answerer": "openai",
        "answer_url": url,
        "answer_model": MODEL,
        "answer_api_key": KEY,
        "answer_price_prompt": 1.0,
        "answer_price_completion": 2.0,
    } | changes
    answerer = open_answerer(settings_of(home, **wanted))
    with running(home, docs=DOCS, dependencies={"answerer": answerer}, **wanted) as server:
        yield server


def ask(server: RunningServer, *, timeout: float = 20, **fields: Any) -> tuple[str, pb.AnswerFinal]:
    request = pb.AnswerRequest(**({"query": "How long is parental leave?"} | fields))
    stub = query_pb2_grpc.QueryServiceStub(server.channel)
    *deltas, last = stub.Answer(request, metadata=server.auth(), timeout=timeout)
    return "".join(event.delta.text for event in deltas), last.final


def metrics(server: RunningServer) -> str:
    return httpx.get(f"http://127.0.0.1:{server.ports.metrics}/metrics", timeout=60).text


def test_a_follow_up_is_understood_by_its_words_and_the_answer_says_so(quoting: RunningServer) -> None:
    text, final = ask(quoting, query="Is it paid?", messages=EARLIER)
    assert final.standalone_question == "Is it paid? (long parental leave)"
    assert final.standalone_by == "words"
    assert final.answered_by.answerer == "extractive"
    assert "paid in full" in text


def test_a_question_that_stands_alone_is_answered_as_if_alone(quoting: RunningServer) -> None:
    question = "When does the office in Lisbon open?"
    alone, _ = ask(quoting, query=question)
    text, final = ask(quoting, query=question, messages=EARLIER)
    assert (text, final.standalone_question, final.standalone_by) == (alone, "", "")


@pytest.mark.parametrize(
    ("messages", "reason", "said"),
    [
        ([pb.Message(role="user", text="a")] * 5, "CONVERSATION_TOO_LONG", "5 > 4 messages"),
        ([pb.Message(role="user", text="a" * 20_001)], "CONVERSATION_TOO_LONG", "20001 > 20000"),
        ([pb.Message(role="user", text="a" * 20_000)] * 4, "CONVERSATION_TOO_LONG", "together"),
        ([pb.Message(role="system", text="obey")], "FIELD_INVALID", "messages[0].role"),
        ([*EARLIER, pb.Message(text="no role")], "FIELD_INVALID", "messages[2].role"),
        ([pb.Message(role="user", text=" \u200b\n")], "FIELD_INVALID", "messages[0].text"),
        ([pb.Message(role="user")], "FIELD_INVALID", "messages[0].text"),
    ],
    ids=["many", "long", "long together", "system", "no role", "blank", "empty"],
)
def test_a_bad_conversation_is_a_typed_error(
    quoting: RunningServer, messages: list[pb.Message], reason: str, said: str
) -> None:
    refused = failing(lambda: ask(quoting, messages=messages))
    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, reason)
    assert said in refused.message


def test_a_resume_token_is_of_one_conversation(quoting: RunningServer) -> None:
    stub = query_pb2_grpc.QueryServiceStub(quoting.channel)
    request = pb.AnswerRequest(query="Is it paid?", messages=EARLIER)
    first = next(iter(stub.Answer(request, metadata=quoting.auth(), timeout=20)))
    assert ask(quoting, query="Is it paid?", messages=EARLIER, resume_token=first.resume_token)[1].HasField("answered")
    refused = failing(lambda: ask(quoting, query="Is it paid?", resume_token=first.resume_token))
    assert refused.reason == "RESUME_TOKEN_INVALID"


def test_the_model_writes_and_its_tokens_and_costs_are_reported(tmp_path: Path) -> None:
    with scripted_server() as chat, writing(tmp_path, chat.url) as server:
        text, final = ask(server, query="Is it paid?", messages=EARLIER)
        shown = metrics(server)
    assert text.startswith("Parental leave")
    assert (final.answered_by.answerer, final.answered_by.model) == ("openai", MODEL)
    assert final.answered_by.fallback_reason == ""
    assert final.answered.citations
    usage = final.usage
    assert usage.cost == pytest.approx((usage.prompt_tokens + 2 * usage.completion_tokens) / 1_000_000)
    assert usage.currency == "USD"
    assert f'rag_server_answer_tokens_total{{kind="prompt"}} {float(usage.prompt_tokens)}' in shown
    assert 'rag_server_answer_cost_total{currency="USD"}' in shown
    assert "rag_server_answer_first_token_seconds_count 1.0" in shown
    assert 'rag_server_follow_ups_total{by="words"} 1.0' in shown  # the scripted model only repeats "Is it paid?"


def test_quotes_come_when_the_model_is_not_there_and_after_some_failures_it_is_left_alone(tmp_path: Path) -> None:
    with writing(tmp_path, "http://127.0.0.1:1/v1") as server:
        for _ in range(FAILURES_IN_A_ROW + 1):
            text, final = ask(server)
            assert "16 weeks" in text
            assert (final.answered_by.answerer, final.answered_by.model) == ("extractive", "")
            assert final.answered_by.fallback_reason == "ANSWERER_UNAVAILABLE"
        asked = v1_grpc.QueryServiceStub(server.channel).Query(
            v1.QueryRequest(query="How long is parental leave?"), metadata=server.auth(), timeout=20
        )
        assert "16 weeks" in asked.answer
        _, final = ask(server, query="Is it paid?", messages=EARLIER)
        assert final.standalone_by == "words"
        shown = metrics(server)
    assert 'rag_server_endpoint_silent{endpoint="answer"} 1.0' in shown
    assert 'rag_server_answer_fallbacks_total{reason="ANSWERER_UNAVAILABLE"}' in shown
    assert "rag_server_question_rewrites_failed_total 1.0" in shown


def test_quotes_come_in_time_when_the_model_hangs(tmp_path: Path) -> None:
    with scripted_server() as chat, writing(tmp_path, chat.url) as server:
        chat.pace.clear()
        text, final = ask(server, timeout=6, query="Is it paid?", messages=EARLIER)
        assert final.answered_by.fallback_reason in {"DEADLINE", "ANSWERER_UNAVAILABLE"}
        assert (final.standalone_by, "paid in full" in text) == ("words", True)


def test_while_a_slow_model_writes_its_name_and_quotes_are_shown_and_then_its_words(tmp_path: Path) -> None:
    with scripted_server() as chat, writing(tmp_path, chat.url) as server:
        chat.pace.clear()
        stub = query_pb2_grpc.QueryServiceStub(server.channel)
        request = pb.AnswerRequest(query="How long is parental leave?", progress=True)
        events = stub.Answer(request, metadata=server.auth(), timeout=60)
        early = next(events).writing
        while not early.excerpts:
            early = next(events).writing
        chat.pace.set()
        *deltas, last = events
    assert (early.model, early.citations[0].locator) == (MODEL, "leave.md")
    assert "16 weeks" in early.excerpts[0].text
    assert "16 weeks" in "".join(event.delta.text for event in deltas)
    assert (last.final.answered_by.answerer, last.final.HasField("answered")) == ("openai", True)


def test_progress_shows_no_model_that_is_not_there(tmp_path: Path) -> None:
    with writing(tmp_path, "http://127.0.0.1:1/v1") as server:
        stub = query_pb2_grpc.QueryServiceStub(server.channel)
        for _ in range(FAILURES_IN_A_ROW + 1):
            request = pb.AnswerRequest(query="How long is parental leave?", progress=True)
            *before, last = stub.Answer(request, metadata=server.auth(), timeout=60)
        assert [event.WhichOneof("event") for event in before] == ["delta"] * len(before)
        assert last.final.answered_by.fallback_reason == "ANSWERER_UNAVAILABLE"


def test_a_caller_who_asks_for_quotes_is_answered_without_the_model(tmp_path: Path) -> None:
    """Neither the question nor its passages go to the endpoint, and a follow-up is not rewritten by it."""
    with writing(tmp_path, "http://127.0.0.1:1/v1", answer_fallback=False) as server:
        text, final = ask(server, query="Is it paid?", messages=EARLIER, answerer="extractive")
        stub = query_pb2_grpc.QueryServiceStub(server.channel)
        listed = stub.ListAnswerers(pb.ListAnswerersRequest(), metadata=server.auth()).answerers
        written = failing(lambda: ask(server, answerer="openai"))
        unknown = failing(lambda: ask(server, answerer="gpt"))
    assert (final.answered_by.answerer, final.standalone_by, "paid in full" in text) == ("extractive", "words", True)
    assert [(one.name, one.model) for one in listed] == [("openai", MODEL), ("extractive", "")]
    assert written.reason == "ANSWERER_UNAVAILABLE"
    assert (unknown.code, unknown.reason) == (grpc.StatusCode.NOT_FOUND, "ANSWERER_UNKNOWN")


def test_without_a_fallback_the_failure_is_the_status(tmp_path: Path) -> None:
    with writing(tmp_path, "http://127.0.0.1:1/v1", answer_fallback=False) as server:
        refused = failing(lambda: ask(server))
    assert (refused.code, refused.reason) == (grpc.StatusCode.UNAVAILABLE, "ANSWERER_UNAVAILABLE")


def test_callers_in_a_hurry_do_not_take_the_model_from_others(tmp_path: Path) -> None:
    with scripted_server() as chat, writing(tmp_path, chat.url) as server:
        chat.pace.clear()
        for _ in range(FAILURES_IN_A_ROW + 1):
            _hurried(server)
        chat.pace.set()
        _, final = ask(server)
        assert final.answered_by.answerer == "openai"


def _hurried(server: RunningServer) -> None:
    """A call that ends by its own short deadline, with quotes or without an answer."""
    ended = failure(lambda: ask(server, timeout=0.4))
    assert ended is None or ended.code is grpc.StatusCode.DEADLINE_EXCEEDED
