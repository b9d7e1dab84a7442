"""`rag query`: what a person and a program read of an answer. `rag chat`: each question brings the conversation so
far, and an error does not end it."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import fields
from pathlib import Path

import grpc
import jwt
import pytest

from rag_core.errors import ConfigError
from rag_core.settings import Settings
from ragctl.app import run
from ragctl.call_settings import CallSettings, load_call_settings
from ragproto.query.v2 import query_pb2 as v2
from tests.support.wire import WirePeer

CITATION = v2.Citation(number=1, title="Pumps", source="handbook", locator="pumps.pdf", page=4)
EXCERPT = v2.Excerpt(
    title="Pumps", locator="pumps.pdf", heading_path=["Pumps", "Oil"], page=4, citations=[1],
    markdown="Use `oil <kind>` [1]\n\n| pump | oil |\n| --- | --- |\n| seven | *no* |", text="Use oil <kind> [1]",
)  # fmt: skip


def closest(peer: WirePeer) -> None:
    peer.answers(
        "streamed",
        abstained=v2.AnswerFinal.Abstained(reason="NOT_SUPPORTED", citations=[CITATION]),
        answer_outcome=v2.ANSWER_OUTCOME_CLOSEST_PASSAGES,
        excerpts=[EXCERPT],
        read_as="which oil?",
    )


def test_closest_passages_are_a_result_and_standard_error_says_what_they_are(
    peer: WirePeer, capsys: pytest.CaptureFixture[str]
) -> None:
    closest(peer)
    assert run(["query", "wich oil?"]) == 0
    shown = capsys.readouterr()
    assert shown.out.startswith("Pumps > Oil, page 4\nUse oil <kind> [1]\n\n[1] handbook: pumps.pdf, page 4,")
    assert shown.err == "read as: which oil?\nbest matches:\n"


def test_a_quote_is_shown_once_and_further_places_when_they_are_asked_for(
    peer: WirePeer, capsys: pytest.CaptureFixture[str]
) -> None:
    further, second = v2.Excerpt(), v2.Citation()
    further.CopyFrom(EXCERPT)
    second.CopyFrom(CITATION)
    further.text, further.further, second.number = "Pumps are in the cellar [2]", True, 2
    further.citations[:] = [2]
    answered = v2.AnswerFinal.Answered(citations=[CITATION, second])
    peer.answers("streamed", answered=answered, excerpts=[EXCERPT, further])
    assert run(["query", "oil?"]) == 0
    shown = capsys.readouterr()
    assert shown.out.count("Use oil") == 1
    assert (shown.out.count("handbook: pumps.pdf"), "cellar" in shown.out) == (1, False)
    assert shown.err == "1 more that may help: repeat with --more\n"
    assert run(["query", "oil?", "--more"]) == 0
    assert "cellar" in capsys.readouterr().out


@pytest.mark.parametrize(("kind", "said"), [(v2.PAGE_KIND_SLIDE, "slide 4"), (v2.PAGE_KIND_SHEET, "sheet 4")])
def test_a_slide_and_a_sheet_are_called_so(
    peer: WirePeer, capsys: pytest.CaptureFixture[str], kind: v2.PageKind, said: str
) -> None:
    cited, shown = v2.Citation(), v2.Excerpt()
    cited.CopyFrom(CITATION)
    shown.CopyFrom(EXCERPT)
    cited.page_kind = shown.page_kind = kind
    peer.answers("streamed", answered=v2.AnswerFinal.Answered(citations=[cited]), excerpts=[shown])
    assert run(["query", "oil?"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"Pumps > Oil, {said}\n")
    assert f"handbook: pumps.pdf, {said}, version" in out


def test_json_of_closest_passages_is_all_of_them(peer: WirePeer, capsys: pytest.CaptureFixture[str]) -> None:
    closest(peer)
    assert run(["query", "oil?", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["answer"] == "streamed"
    assert shown["answer_outcome"] == "ANSWER_OUTCOME_CLOSEST_PASSAGES"
    assert shown["excerpts"][0]["heading_path"] == ["Pumps", "Oil"]


def test_a_terminal_shows_markdown_rendered_and_nothing_of_it_lost_or_active(
    peer: WirePeer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm-256color")
    hostile = (
        "**bold** <tag> [here](http://attacker.example) \x1b]0;title\x07 [1]\nnext\n\n[1]: http://attacker.example\n"
    )
    peer.answers("plain", answered=v2.AnswerFinal.Answered(citations=[CITATION]), answer_markdown=hostile)
    assert run(["query", "oil?"]) == 0
    shown = capsys.readouterr().out
    assert "**" not in shown
    assert "<tag>" in shown
    assert "http://attacker.example" in shown
    assert "\x1b]" not in shown  # neither a title nor a link that a click would open
    assert [line.rstrip() for line in shown.splitlines() if "next" in line] == ["next"]
    closest(peer)
    assert run(["query", "oil?"]) == 0
    shown = capsys.readouterr().out
    assert "oil <kind>" in shown
    assert "seven" in shown
    assert "| ---" not in shown


def test_an_answer_without_excerpts_is_its_text_on_a_pipe(peer: WirePeer, capsys: pytest.CaptureFixture[str]) -> None:
    peer.answers("Seven [1]", answered=v2.AnswerFinal.Answered(citations=[CITATION]), answer_markdown="**Seven** [1]")
    assert run(["query", "oil?"]) == 0
    assert capsys.readouterr().out.startswith("Seven [1]\n\n[1] Pumps\n")


def test_no_answer_and_a_broken_one_fail_without_its_text(peer: WirePeer, capsys: pytest.CaptureFixture[str]) -> None:
    peer.answers("half a", abstained=v2.AnswerFinal.Abstained(reason="NOT_SUPPORTED"))
    assert run(["query", "oil?"]) == 1
    assert capsys.readouterr().out == "No answer: the sources do not answer this question.\n"
    peer.answers("half a", failed=v2.AnswerFinal.Failed(reason="DEADLINE", message="too late"))
    assert run(["query", "oil?"]) == 6
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "rag: DEADLINE: too late\n")


def test_settings_of_a_search_reach_the_server_and_its_reasons_are_printed(
    peer: WirePeer, capsys: pytest.CaptureFixture[str]
) -> None:
    why = v2.Passage.ScoreExplanation(retrieval_rank=2, dense_rank=4, dense_part=0.25, lexical_part=0.5, lexical_rank=1)
    found = v2.Passage(title="Pumps", text="oil", score=0.5, retrieval_score=0.75, dense_score=0.9, lexical_score=7.5,
                       rerank_score=0.5, explanation=why)  # fmt: skip
    how = v2.SearchExplanation(
        mode=v2.SEARCH_MODE_HYBRID, weights=v2.LegWeights(dense=0.25, lexical=0.75), weights_given=True, reranked=True
    )
    peer.operations["Search"] = v2.SearchResponse(passages=[found], explanation=how)
    options = ["--weights", "1", "3", "--generation", "g2", "--no-rerank", "--mode", "hybrid", "--top-k", "3"]
    assert run(["query", "--explain", *options, "which oil?"]) == 0
    [(_, request)] = peer.asked
    assert request == v2.SearchRequest(
        query="which oil?", weights=v2.LegWeights(dense=1, lexical=3), generation="g2", rerank=False,
        mode=v2.SEARCH_MODE_HYBRID, top_k=3, explain=True,
    )  # fmt: skip
    shown = capsys.readouterr().out
    assert shown.startswith("hybrid search; weights: meaning 25%, words 75% (as given); reranked\n")
    assert (
        "place 2 of retrieval; 0.750 = 0.250 meaning + 0.500 words; meaning: number 4, cosine 0.900;"
        " words: number 1, BM25 7.50; reranker 0.500"
    ) in shown
    above = v2.Passage.ScoreExplanation(retrieval_rank=1, dense_rank=1, dense_part=0.25, lexical_part=1.0)
    peer.operations["Search"] = v2.SearchResponse(passages=[v2.Passage(retrieval_score=1.0, explanation=above)])
    assert run(["query", "--explain", "--search", "which oil?"]) == 0
    assert "1.250 = 0.250 meaning + 1.000 words (shown within 0 and 1)" in capsys.readouterr().out


@pytest.mark.parametrize("kind", [[], ["--search"]], ids=["answer", "search"])
def test_a_question_is_put_to_the_sources_that_are_named(peer: WirePeer, kind: list[str]) -> None:
    peer.answers("Every year.", answered=v2.AnswerFinal.Answered(citations=[CITATION]))
    run(["query", "which oil?", "--source", "handbook", "--source", "wiki", *kind])
    run(["query", "which oil?", *kind])
    [(_, narrowed), (_, whole)] = peer.asked
    assert getattr(narrowed.filter, "in") == v2.Filter.In(field="source", values=["handbook", "wiki"])
    assert not whole.HasField("filter")


def test_without_an_answer_it_says_that_a_part_was_searched(peer: WirePeer, capsys: pytest.CaptureFixture[str]) -> None:
    peer.answers("", abstained=v2.AnswerFinal.Abstained(reason="NO_RESULTS"))
    assert run(["query", "which oil?", "--source", "handbok"]) == 1
    assert "only these sources were searched: handbok (`rag source list` names all)" in capsys.readouterr().err
    assert run(["query", "which oil?"]) == 1
    assert "only these sources" not in capsys.readouterr().err


def test_the_scope_to_observe_is_taken_for_a_generation_only(peer: WirePeer) -> None:
    peer.answers("oil", answered=v2.AnswerFinal.Answered(citations=[CITATION]))
    scopes = []
    for options in ([], ["--generation", "g2", "--mode", "dense"]):
        assert run(["query", *options, "which oil?"]) == 0
        token = peer.metadata["authorization"].removeprefix("Bearer ")
        scopes.append(jwt.decode(token, options={"verify_signature": False})["scope"])
    assert scopes == ["query.read", "ops.read query.read"]
    asked = [(request.generation, request.mode) for _, request in peer.asked]
    assert asked == [("", v2.SEARCH_MODE_UNSPECIFIED), ("g2", v2.SEARCH_MODE_DENSE)]


@pytest.mark.parametrize(
    ("name", "value"),
    [(None, None), ("gateway_port", 8123), *((name, value) for name, value in [
        ("gateway_tls_certificate", Path("/etc/rag/gateway.pem")), ("max_deadline_seconds", 12.0), ("host", "::"),
        ("jwt_issuer", "ours"), ("jwt_audience", "theirs"), ("jwt_max_lifetime_seconds", 60)])],
)  # fmt: skip
@pytest.mark.parametrize("in_file", [False, True])
def test_a_call_reads_the_same_settings_as_everything_else(
    in_file: bool, name: str | None, value: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAG_HOME", str(tmp_path))
    if name and in_file:
        (tmp_path / "stack.env").write_text(f"RAG_{name.upper()}='{value}'\n")
    elif name:
        monkeypatch.setenv(f"RAG_{name.upper()}", str(value))
    read, whole = load_call_settings(), Settings.load()
    names = [*(field.name for field in fields(CallSettings)), "secrets_dir"]
    assert {name: getattr(read, name) for name in names} == {name: getattr(whole, name) for name in names}
    assert name is None or getattr(read, name) == value


def test_a_call_refuses_a_port_that_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAG_HOME", str(tmp_path))
    monkeypatch.setenv("RAG_GATEWAY_PORT", "0")
    with pytest.raises(ConfigError, match="RAG_GATEWAY_PORT: "):
        load_call_settings()


def chat(monkeypatch: pytest.MonkeyPatch, *lines: str, options: tuple[str, ...] = ()) -> int:
    monkeypatch.setattr(sys, "stdin", io.StringIO("".join(f"{line}\n" for line in lines)))
    return run(["chat", *options])


def asked(peer: WirePeer) -> list[tuple[str, list[tuple[str, str]]]]:
    requests = [request for method, request in peer.asked if method == "Answer"]
    return [(request.query, [(one.role, one.text) for one in request.messages]) for request in requests]


def test_each_question_brings_what_was_said_before(
    peer: WirePeer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    peer.answers("16 weeks.", answered=v2.AnswerFinal.Answered(), standalone_question="Is it paid? (parental leave)")
    assert chat(monkeypatch, "How long is parental leave?", "", "Is it paid?", "/new", "And now?") == 0
    said = [("user", "How long is parental leave?"), ("assistant", "16 weeks.")]
    assert asked(peer) == [("How long is parental leave?", []), ("Is it paid?", said), ("And now?", [])]
    shown = capsys.readouterr()
    assert shown.out.count("16 weeks.") == 3
    assert "understood as: Is it paid? (parental leave)" in shown.err


def test_a_long_conversation_keeps_its_latest_messages(peer: WirePeer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAG_CONVERSATION_MESSAGES", "2")
    peer.answers("yes", answered=v2.AnswerFinal.Answered())
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
    peer.answers("yes", answered=v2.AnswerFinal.Answered(), answered_by=by)
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
