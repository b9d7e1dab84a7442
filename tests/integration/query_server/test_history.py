"""HistoryService: what callers did with one server is shown by the next, to each tenant its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from rag_core.answering.extractive import ExtractiveAnswerer
from rag_core.database import open_store
from rag_core.governance.tenants import store as tenants
from rag_core.settings import Settings
from ragproto.admin.v1 import history_pb2 as pb
from ragproto.admin.v1 import history_pb2_grpc as rpc
from ragproto.query.v2 import query_pb2 as query
from ragproto.query.v2 import query_pb2_grpc as query_rpc
from tests.support.query_server import Doc, RunningServer, failing, running

DOCS = [
    Doc("Parental leave lasts 16 weeks. It is paid in full.", locator="leave.md", title="Leave", source="handbook"),
    Doc("The vault of zenith opens at midnight.", locator="vault.md", tenant="zenith", source="secret-plans"),
]
NEVER = "What is the airspeed of an unladen swallow?"


@contextmanager
def server_on(home: Path, database_url: str, **changes: Any) -> Iterator[RunningServer]:
    def opened() -> Any:
        return open_store(Settings(home=home, database_url=database_url))

    bold = {"answerer": ExtractiveAnswerer(-50)}  # answers although nothing is near to the fake embedder
    with running(home, docs=DOCS, open_store=opened, dependencies=bold, **changes) as started:
        yield started


def search(server: RunningServer, text: str, tenant: str) -> None:
    stub = query_rpc.QueryServiceStub(server.channel)
    stub.Search(query.SearchRequest(query=text), metadata=server.auth(tenant=tenant))


def ask(server: RunningServer, text: str, tenant: str, **claims: Any) -> query.AnswerFinal:
    stub = query_rpc.QueryServiceStub(server.channel)
    *_, last = stub.Answer(query.AnswerRequest(query=text), metadata=server.auth(tenant=tenant, **claims))
    return last.final


def history(server: RunningServer, caller: str, scopes: list[str], **fields: Any) -> dict[tuple[str, str], float]:
    stub = rpc.HistoryServiceStub(server.channel)
    found = stub.GetHistory(pb.GetHistoryRequest(**fields), metadata=server.auth(tenant=caller, scopes=scopes))
    return {(series.name, series.label): series.total for series in found.series if series.points}


def unanswered(server: RunningServer, tenant: str, scopes: list[str]) -> list[pb.UnansweredQuestion]:
    stub = rpc.HistoryServiceStub(server.channel)
    asked = server.auth(tenant=tenant, scopes=scopes)
    return list(stub.ListUnansweredQuestions(pb.ListUnansweredQuestionsRequest(), metadata=asked).questions)


def test_calls_answers_and_sources_are_shown_to_their_own_tenant(tmp_path: Path, database_url: str) -> None:
    with server_on(tmp_path / "a", database_url) as server:
        for _ in range(3):
            search(server, "How long is parental leave?", "acme")
        search(server, "When does the vault open?", "zenith")
        assert ask(server, "How long is parental leave?", "acme").WhichOneof("outcome") == "answered"
    with server_on(tmp_path / "b", database_url) as server:
        own = history(server, "acme", ["ops.read"])
        assert (own["calls", "search"], own["calls", "answer"], own["answers", "answered"]) == (3, 1, 1)
        assert (own["found", "handbook"], own["cited", "handbook"]) == (3, 1)
        assert ("search_seconds", "p95") in own
        assert not [name for name, label in own if name == "memory" or "secret" in label]
        everyone = history(server, "acme", ["ops.read", "platform.read"], all_tenants=True)
        assert everyone["calls", "search"] == 4
        assert everyone["found", "zenith/secret-plans"] == 1
        assert ("memory", "query-server") in everyone
        other = history(server, "acme", ["ops.read", "platform.read"], tenant="zenith")
        assert other["calls", "search"] == 1


@pytest.mark.parametrize("fields", [{"all_tenants": True}, {"tenant": "zenith"}])
@pytest.mark.catalogue("A14")
def test_other_tenants_need_the_platform_scope(tmp_path: Path, database_url: str, fields: dict[str, Any]) -> None:
    with server_on(tmp_path, database_url) as server:
        assert failing(lambda: history(server, "acme", ["admin"], **fields)).reason == "SCOPE_MISSING"
        assert failing(lambda: history(server, "acme", ["admin"], span="year")).reason == "FIELD_INVALID"


def test_failed_calls_are_counted_by_their_reason(tmp_path: Path, database_url: str) -> None:
    with server_on(tmp_path / "a", database_url) as server:
        assert failing(lambda: search(server, "", "acme"))
    with server_on(tmp_path / "b", database_url) as server:
        own = history(server, "acme", ["ops.read"])
        assert own["calls", "search"] == 1
        assert [total for (name, _), total in own.items() if name == "failures"] == [1]


def abstaining(home: Path, database_url: str, **changes: Any) -> None:
    """Ask the same question twice as somebody who may see nothing that answers it."""
    with server_on(home, database_url, **changes) as server:
        for text in (NEVER, f"  {NEVER.upper()} "):
            assert ask(server, text, "empty").WhichOneof("outcome") == "abstained"


def test_a_question_without_an_answer_is_a_hash_by_default(tmp_path: Path, database_url: str) -> None:
    abstaining(tmp_path / "a", database_url, hash_secret="0123456789abcdef0123456789abcdef")
    with server_on(tmp_path / "b", database_url) as server:
        (question,) = unanswered(server, "empty", ["admin"])
        assert (question.question, question.asked, question.outcome) == ("", 2, "no_results")
        assert len(question.question_hash) == 12
        assert not unanswered(server, "acme", ["admin"])
    store = open_store(Settings(home=tmp_path, database_url=database_url))
    with store.engine.connect() as connection:
        stored = connection.exec_driver_sql("SELECT unanswered_questions::text FROM rag.unanswered_questions").scalars()
        assert not [row for row in stored if "swallow" in row.lower()]
    store.close()


def test_a_plain_question_is_shown_to_admins_only(tmp_path: Path, database_url: str) -> None:
    abstaining(tmp_path / "a", database_url, unanswered_questions="plain")
    with server_on(tmp_path / "b", database_url) as server:
        (seen,), (hidden,) = unanswered(server, "empty", ["admin"]), unanswered(server, "empty", ["ops.read"])
        assert (seen.question.strip().lower(), seen.question_withheld) == (NEVER.lower(), False)
        assert (hidden.question, hidden.question_withheld) == ("", True)


@pytest.mark.parametrize(("setting", "switch", "mode"), [
    ("hashed", True, "plain"), ("plain", False, "hashed"), ("off", True, "off"), ("plain", None, "plain"),
])  # fmt: skip
def test_the_switch_of_a_tenant_decides_whether_its_questions_are_kept_in_words(
    tmp_path: Path, database_url: str, setting: str, switch: bool | None, mode: str
) -> None:
    store = open_store(Settings(home=tmp_path, database_url=database_url))
    with store.engine.begin() as connection:
        for name in ("empty", "acme"):
            tenants.create(connection, name, actor="op")
        tenants.set_question_words(connection, "empty", actor="op", readable=switch)
    abstaining(tmp_path / "a", database_url, unanswered_questions=setting)
    with server_on(tmp_path / "b", database_url, unanswered_questions=setting) as server:
        stub = rpc.HistoryServiceStub(server.channel)
        asked = server.auth(tenant="empty", scopes=["admin"])
        found = stub.ListUnansweredQuestions(pb.ListUnansweredQuestionsRequest(), metadata=asked)
        assert (found.mode, [bool(one.question) for one in found.questions]) == (
            mode,
            [] if mode == "off" else [mode == "plain"],
        )
    with store.engine.begin() as connection:
        tenants.set_question_words(connection, "acme", actor="op", readable=False)
        kept = connection.exec_driver_sql("SELECT count(question) FROM rag.unanswered_questions").scalar_one()
        assert kept == (mode == "plain"), "another tenant's switch changes nothing"
        tenants.set_question_words(connection, "empty", actor="op", readable=False)
        assert not connection.exec_driver_sql("SELECT count(question) FROM rag.unanswered_questions").scalar_one()
    store.close()


@pytest.mark.parametrize("changes", [{"history_days": 0}, {"unanswered_questions": "off"}])
def test_what_is_switched_off_is_not_recorded(tmp_path: Path, database_url: str, changes: dict[str, Any]) -> None:
    abstaining(tmp_path / "a", database_url, **changes)
    with server_on(tmp_path / "b", database_url) as server:
        assert not unanswered(server, "empty", ["admin"])
        assert bool(history(server, "empty", ["ops.read"])) is ("history_days" not in changes)
