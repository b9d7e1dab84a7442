"""`rag chat`: each question brings the conversation so far, and an error does not end it."""

from __future__ import annotations

import io
import json
import sys
from typing import Any

import grpc
import pytest

from ragctl.app import run
from ragproto.query.v2 import query_pb2 as v2
from tests.support.wire import WirePeer


def answers(peer: WirePeer, text: str, **final: Any) -> None:
    wanted = {"answered": v2.AnswerFinal.Answered()} | final
    peer.answer = [v2.AnswerEvent(delta=v2.AnswerDelta(text=text)), v2.AnswerEvent(final=v2.AnswerFinal(**wanted))]


def chat(monkeypatch: pytest.MonkeyPatch, *lines: str, options: tuple[str, ...] = ()) -> int:
    monkeypatch.setattr(sys, "stdin", io.StringIO("".join(f"{line}\n" for line in lines)))
    return run(["chat", *options])


def asked(peer: WirePeer) -> list[tuple[str, list[tuple[str, str]]]]:
    requests = [request for method, request in peer.asked if method == "Answer"]
    return [(request.query, [(one.role, one.text) for one in request.messages]) for request in requests]


def test_each_question_brings_what_was_said_before(
    peer: WirePeer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers(peer, "16 weeks.", standalone_question="Is it paid? (parental leave)")
    assert chat(monkeypatch, "How long is parental leave?", "", "Is it paid?", "/new", "And now?") == 0
    said = [("user", "How long is parental leave?"), ("assistant", "16 weeks.")]
    assert asked(peer) == [("How long is parental leave?", []), ("Is it paid?", said), ("And now?", [])]
    shown = capsys.readouterr()
    assert shown.out.count("16 weeks.") == 3
    assert "understood as: Is it paid? (parental leave)" in shown.err


def test_a_long_conversation_keeps_its_latest_messages(peer: WirePeer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAG_CONVERSATION_MESSAGES", "2")
    answers(peer, "yes")
    chat(monkeypatch, "one?", "two?", "three?", "/quit", "four?")
    assert asked(peer)[2:] == [("three?", [("user", "two?"), ("assistant", "yes")])]


def test_every_question_keeps_to_the_sources_that_were_named(
    peer: WirePeer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    peer.answer = [v2.AnswerEvent(final=v2.AnswerFinal(abstained=v2.AnswerFinal.Abstained(reason="NO_RESULTS")))]
    assert chat(monkeypatch, "one?", "two?", options=("--source", "a", "--source", "b")) == 1
    requests = [request for method, request in peer.asked if method == "Answer"]
    kept = [(getattr(request.filter, "in").field, [*getattr(request.filter, "in").values]) for request in requests]
    assert kept == [("source", ["a", "b"])] * 2
    assert capsys.readouterr().err.count("only these sources were searched: a, b") == 2
    peer.failure = grpc.StatusCode.NOT_FOUND
    assert chat(monkeypatch, "one?", options=("--source", "a")) == 1
    assert "searched" not in capsys.readouterr().err, "nothing was"


def test_json_is_a_document_a_line_and_says_who_answered(
    peer: WirePeer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    by = v2.AnswerFinal.AnsweredBy(answerer="extractive", fallback_reason="ANSWERER_UNAVAILABLE")
    answers(peer, "yes", answered_by=by)
    assert chat(monkeypatch, "one?", "two?", options=("--json",)) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["answer"] for line in lines] == ["yes", "yes"]
    assert lines[0]["answered_by"]["fallback_reason"] == "ANSWERER_UNAVAILABLE"


def test_an_error_is_a_line_and_the_conversation_goes_on(
    peer: WirePeer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failed = v2.AnswerFinal.Failed(reason="ANSWERER_UNAVAILABLE", message="the answer model broke off")
    peer.answer = [v2.AnswerEvent(final=v2.AnswerFinal(failed=failed))]
    assert chat(monkeypatch, "one?", "two?") == 1
    assert len(asked(peer)) == 2
    assert capsys.readouterr().err.count("rag: ANSWERER_UNAVAILABLE: the answer model broke off") == 2
