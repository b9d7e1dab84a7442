"""A conversation through a query server whose model is real: the follow-up is rewritten, and callers see as what.

What a small model writes is not judged. It is asked, and what is searched is about the conversation: its question
where that is one on it, else the follow-up with the words of the question before.
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from rag_core.answering import open_answerer
from rag_core.governance.access import TokenRules, TokenVerifier
from rag_core.settings import Settings
from ragctl.app import run
from ragctl.tokens import ensure_keys, mint_token
from ragproto.query.v2 import query_pb2 as pb
from ragproto.query.v2 import query_pb2_grpc
from tests.support.chat_server import LlamaServer
from tests.support.query_server import Doc, RunningServer, running, settings_of

pytestmark = pytest.mark.real_servers

DOCS = [
    Doc(
        "Parental leave lasts 16 weeks.\n\nParental leave is paid in full by the company.",
        locator="leave.md",
        tenant="default",
    ),
    Doc("The office in Lisbon opens at nine. Ring the bell twice.", locator="office.md", tenant="default"),
]
ASKED = pb.AnswerRequest(
    query="Is it paid?",
    messages=[
        pb.Message(role="user", text="How long is parental leave?"),
        pb.Message(role="assistant", text="Parental leave lasts 16 weeks. [1]"),
    ],
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("conversation")


@pytest.fixture(scope="module")
def server(home: Path, chat_server: LlamaServer) -> Iterator[RunningServer]:
    """It trusts the tokens that `rag` makes in the same home, and gives the model the time of a busy machine."""
    wanted = {
        "answerer": "openai",
        "answer_url": chat_server.url,
        "answer_model": chat_server.model,
        "answer_api_key": chat_server.key,
        "answer_rewrite_seconds": 60,
        "answer_first_token_seconds": 60,
        "answer_timeout_seconds": 120,
        "max_deadline_seconds": 300,
    }
    settings = settings_of(home, **wanted)
    own = Settings(home=home)
    own.secrets_dir.mkdir()
    ensure_keys(own)
    rules = TokenRules(settings.jwt_issuer, settings.jwt_audience, settings.jwt_max_lifetime_seconds, 60)
    parts = {"answerer": open_answerer(settings), "verifier": TokenVerifier(own.jwks_path, rules)}
    with running(home, docs=DOCS, dependencies=parts, **wanted) as started:
        yield started


def counted(server: RunningServer, metric: str) -> float:
    shown = httpx.get(f"http://127.0.0.1:{server.ports.metrics}/metrics", trust_env=False, timeout=60).text
    return sum(float(value) for value in re.findall(rf"^{metric}_total\{{.*\}} ([0-9.e+]+)$", shown, re.MULTILINE))


def test_a_follow_up_is_rewritten_by_the_model_and_the_response_says_as_what(server: RunningServer, home: Path) -> None:
    token = mint_token(Settings(home=home), subject="caller", tenant="default", lifetime=600)
    stub = query_pb2_grpc.QueryServiceStub(server.channel)
    *_, last = stub.Answer(ASKED, metadata=(("authorization", f"Bearer {token}"),), timeout=240)
    final = last.final
    assert final.standalone_by in {"model", "words"}
    assert "leave" in final.standalone_question.casefold()
    assert final.usage.prompt_tokens > 0
    assert final.answered_by.fallback_reason in {"", "ANSWERER_UNAVAILABLE"}
    assert counted(server, "rag_server_follow_ups") == 1
    assert counted(server, "rag_server_question_rewrites_failed") == 0  # the model answered, in time
    assert counted(server, "rag_server_answer_tokens") >= final.usage.prompt_tokens


def test_rag_chat_shows_how_a_follow_up_was_understood(
    server: RunningServer, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RAG_HOME", str(home))
    monkeypatch.setenv("RAG_GATEWAY_PORT", str(server.ports.query))
    monkeypatch.setenv("RAG_MAX_DEADLINE_SECONDS", "300")
    monkeypatch.setattr(sys, "stdin", io.StringIO("How long is parental leave?\nIs it paid?\n"))
    assert run(["chat"]) in (0, 1)  # 1: what the model wrote was not supported
    assert re.search(r"understood as: .*leave", capsys.readouterr().err, re.IGNORECASE)
