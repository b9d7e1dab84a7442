"""A streamed answer that is cut continues where it was, for the one who asked and while the answer is the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest

from query_server.handlers.paging import LIFETIME_SECONDS, PagePosition, PageTokens
from query_server.handlers.query.resuming import ResumeCursor, ResumeTokens
from rag_core.answering.extractive import ExtractiveAnswerer
from rag_core.errors import InvalidInput
from ragproto.query.v2 import query_pb2 as pb
from ragproto.query.v2 import query_pb2_grpc
from tests.support.answerers import EchoAnswerer
from tests.support.query_server import Doc, RunningServer, failing, fill, running, update_of

QUESTION = "When do the bells of the towers ring?"
BELLS = Doc("The bells of the towers ring at nine: 鐘 in the north, 🔔 in the south, a gong by the sea.", "bells.md")
DOCS = [BELLS, Doc("The towers have bells. The bells of the old towers ring at noon.", "noon.md")]
INVALID = (grpc.StatusCode.INVALID_ARGUMENT, "RESUME_TOKEN_INVALID")
LOST = (grpc.StatusCode.FAILED_PRECONDITION, "RESUME_LOST")


@pytest.fixture(scope="module")
def bells(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running(tmp_path_factory.mktemp("bells"), docs=DOCS, dependencies={"answerer": EchoAnswerer(7)}) as server:
        yield server


@pytest.fixture
def changing(tmp_path: Path) -> Iterator[RunningServer]:
    """A server whose index a test may change."""
    with running(tmp_path, docs=[BELLS], dependencies={"answerer": EchoAnswerer(7)}) as server:
        yield server


def ask(server: RunningServer, *, claims: dict[str, Any] | None = None, **fields: Any) -> list[pb.AnswerEvent]:
    request = pb.AnswerRequest(**({"query": QUESTION} | fields))
    stub = query_pb2_grpc.QueryServiceStub(server.channel)
    return list(stub.Answer(request, metadata=server.auth(**claims or {}), timeout=20))


def text_of(events: Sequence[pb.AnswerEvent]) -> str:
    return "".join(event.delta.text for event in events)


def final_of(events: Sequence[pb.AnswerEvent]) -> pb.AnswerFinal:
    """The end, without the times."""
    final = pb.AnswerFinal()
    final.CopyFrom(events[-1].final)
    final.usage.milliseconds = 0
    final.ClearField("as_of")
    return final


def refused(server: RunningServer, **fields: Any) -> tuple[grpc.StatusCode, str]:
    failure = failing(lambda: ask(server, **fields))
    return failure.code, failure.reason


@pytest.mark.catalogue("F37")
def test_every_piece_of_text_and_nothing_else_carries_a_token(bells: RunningServer) -> None:
    events = ask(bells)
    assert len(events) > 5
    assert [event.HasField("resume_token") for event in events] == [event.HasField("delta") for event in events]
    tokens = {event.resume_token for event in events if event.resume_token}
    assert len(tokens) == len(events) - 1


@pytest.mark.catalogue("F37")
def test_a_cut_stream_continues_with_exactly_the_rest_from_any_place(bells: RunningServer) -> None:
    whole = ask(bells)
    for seen in range(1, len(whole)):
        rest = ask(bells, resume_token=whole[seen - 1].resume_token)
        assert text_of(whole[:seen]) + text_of(rest) == text_of(whole)
        assert final_of(rest) == final_of(whole)
        assert final_of(rest).answered.citations


@pytest.mark.catalogue("F37")
def test_a_resumed_stream_can_be_cut_and_resumed_again(bells: RunningServer) -> None:
    whole = ask(bells)
    second = ask(bells, resume_token=whole[1].resume_token)
    third = ask(bells, resume_token=second[2].resume_token)
    assert text_of(whole[:2]) + text_of(second[:3]) + text_of(third) == text_of(whole)


@pytest.mark.catalogue("F37")
def test_an_answer_of_quoted_sentences_resumes(tmp_path: Path) -> None:
    question = {"query": "How long is parental leave and is it paid in full?"}
    leave = Doc("Parental leave lasts 16 weeks. It is paid in full.")
    bold = ExtractiveAnswerer(-50)  # nothing is near to the fake embedder
    with running(tmp_path, docs=[leave], dependencies={"answerer": bold}) as server:
        whole = ask(server, **question)
        assert len(whole) > 1
        rest = ask(server, **question, resume_token=whole[0].resume_token)
        assert text_of(whole[:1]) + text_of(rest) == text_of(whole)
        assert final_of(rest) == final_of(whole)


@pytest.mark.catalogue("F37")
def test_pieces_may_be_cut_in_other_places_than_before(tmp_path: Path) -> None:
    shared = {"docs": DOCS, "page_token_secret": "s" * 32}
    with (
        running(tmp_path / "one", dependencies={"answerer": EchoAnswerer(7)}, **shared) as one,
        running(tmp_path / "other", dependencies={"answerer": EchoAnswerer(10)}, **shared) as other,
    ):
        whole = ask(one)
        rest = ask(other, resume_token=whole[2].resume_token)
    assert text_of(whole[:3]) + text_of(rest) == text_of(whole)


def tampered(token: str, place: int) -> str:
    return token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]


@pytest.mark.catalogue("F37")
@pytest.mark.parametrize(
    "change",
    [
        {"resume_token": "nonsense"},
        {"resume_token": "é"},
        {"query": "When do the gongs of the towers ring?"},
        {"top_k": 3},
        {"max_per_document": 4},
        {"filter": pb.Filter(eq=pb.Filter.Eq(field="source", value="handbook"))},
        {"claims": {"tenant": "other"}},
        {"claims": {"subject": "bob"}},
        {"claims": {"groups": ["hr"]}},
    ],
)
def test_a_resume_token_belongs_to_one_request_of_one_caller(bells: RunningServer, change: dict[str, Any]) -> None:
    token = ask(bells)[2].resume_token
    assert refused(bells, **({"resume_token": token} | change)) == INVALID


@pytest.mark.catalogue("F37")
def test_a_resume_token_that_was_changed_anywhere_is_refused(bells: RunningServer) -> None:
    token = ask(bells)[2].resume_token
    places = range(0, len(token) - 1, 9)
    assert {refused(bells, resume_token=tampered(token, place)) for place in places} == {INVALID}


@pytest.mark.catalogue("F37")
def test_a_page_token_is_no_resume_token_and_the_reverse(bells: RunningServer) -> None:
    stub = query_pb2_grpc.QueryServiceStub(bells.channel)
    search = pb.SearchRequest(query=QUESTION, top_k=1)
    page_token = stub.Search(search, metadata=bells.auth()).next_page_token
    assert page_token
    assert refused(bells, top_k=1, resume_token=page_token) == INVALID
    search.page_token = ask(bells, top_k=1)[0].resume_token
    assert failing(lambda: stub.Search(search, metadata=bells.auth())).reason == "PAGE_TOKEN_INVALID"


@pytest.mark.catalogue("B13", "F37")
@pytest.mark.parametrize(
    ("kind", "position"),
    [(ResumeTokens, ResumeCursor("g1", 12, b"0123456789abcdef")), (PageTokens, PagePosition(10, "g1"))],
)
def test_resume_and_page_tokens_expire_and_differ_by_secret(kind: Any, position: ResumeCursor | PagePosition) -> None:
    clock = [1000.0]
    tokens = kind(b"secret", clock=lambda: clock[0])
    token = tokens.issue(position, b"context")
    assert tokens.read(token, b"context") == position
    with pytest.raises(InvalidInput):
        kind(b"other", clock=lambda: clock[0]).read(token, b"context")
    clock[0] += LIFETIME_SECONDS + 1
    with pytest.raises(InvalidInput):
        tokens.read(token, b"context")


@pytest.mark.catalogue("F37")
@pytest.mark.parametrize(
    "text",
    [BELLS.text.replace("towers", "cities"), BELLS.text[:10]],
    ids=["another text of the same length", "ends before the place"],
)
def test_an_answer_whose_text_changed_is_lost(changing: RunningServer, text: str) -> None:
    events = ask(changing)
    changed = replace(BELLS, text=text, version=2)
    changing.index.apply("g1", [update_of(changed, changing.embedder)])
    assert refused(changing, resume_token=events[5].resume_token) == LOST


@pytest.mark.catalogue("F37")
def test_an_answer_whose_source_is_gone_is_lost(changing: RunningServer) -> None:
    events = ask(changing)
    changing.index.apply("g1", [replace(update_of(BELLS, changing.embedder), version=2, points=())])
    assert refused(changing, resume_token=events[0].resume_token) == LOST


@pytest.mark.catalogue("F37")
def test_a_change_after_the_text_that_was_sent_changes_only_the_rest(changing: RunningServer) -> None:
    events = ask(changing)
    changed = replace(BELLS, text=BELLS.text.replace("gong", "horn"), version=2)
    changing.index.apply("g1", [update_of(changed, changing.embedder)])
    rest = ask(changing, resume_token=events[1].resume_token)
    assert text_of(events[:2]) + text_of(rest) == f"{changed.text} [1]"
    assert final_of(rest).answered.citations[0].version == 2


@pytest.mark.catalogue("F37")
def test_an_answer_continues_in_its_generation_while_that_exists(changing: RunningServer) -> None:
    events = ask(changing)
    fill(changing.index, [replace(BELLS, text="The bells of the towers never ring.")], changing.embedder, "g2")
    rest = ask(changing, resume_token=events[2].resume_token)
    assert text_of(events[:3]) + text_of(rest) == text_of(events)
    assert final_of(rest).generation == "g1"
    changing.index.drop("g1")
    assert refused(changing, resume_token=events[2].resume_token) == LOST
