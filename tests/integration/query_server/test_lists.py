"""Every list has pages: found in the descriptors, so that a new one is tested the day it is added."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from sqlalchemy import ARRAY, Connection, Table

from query_server.auth.policies import POLICIES
from rag_core.content.quality.sources import Profile
from rag_core.content.sources import store_secret
from rag_core.database import Store, open_store
from rag_core.database.tables import metadata
from rag_core.governance.access import SESSION_MARK
from rag_core.ids import document_id
from rag_core.settings import Settings
from ragproto.query.v2 import query_pb2 as v2
from tests.support.methods import public_methods
from tests.support.query_server import Doc, RunningServer, failure_of, running, violations

TABLES = SimpleNamespace(**{table.name: table for table in metadata.tables.values()})
ROWS = 4
BEGAN = datetime(2026, 1, 2, tzinfo=UTC)
LATER = datetime(2099, 1, 1, tzinfo=UTC)
SCOPES = sorted({policy.scope for policy in POLICIES.values()})
EMBEDDED = {"BatchSearch", "SearchAs", "SearchGeneration"}
"""Their request holds one of `Search`, whose pages they do not turn."""
LISTS = sorted(
    (method for method in public_methods() if method.name.startswith(("Find", "List", "Search"))
     and method.name not in EMBEDDED),
    key=lambda method: (method.name == "Search", method.full_name),
)  # fmt: skip
ASKED: dict[str, dict[str, Any]] = {
    "Search": {"query": "bell", "mode": v2.SEARCH_MODE_LEXICAL},
    "ListQuality": {"source": "s0"},
    "ListAlerts": {"include_ended": True},
    "ListUsage": {"days": 90},
    "ListUnansweredQuestions": {"span": "week"},
}


def add(db: Connection, table: Table, *rows: dict[str, Any]) -> None:
    """Insert rows; what they leave out and the table needs is filled with a value of its type."""
    empty = {
        str: "x",
        int: 0,
        float: 0.0,
        bool: False,
        bytes: b"",
        dict: {},
        datetime: BEGAN,
        uuid.UUID: uuid.UUID(int=7),
    }
    needed = {
        column.name: [] if isinstance(column.type, ARRAY) else empty.get(column.type.python_type)
        for column in table.columns
        if not column.nullable and column.server_default is None and column.autoincrement is not True
    }
    db.execute(table.insert(), [needed | row for row in rows])


def fill(store: Store) -> None:
    """Some rows of every list, many of them of one moment: an order needs more than a time then."""
    every = range(ROWS)
    now = datetime.now(UTC)
    with store.engine.begin() as db:
        add(db, TABLES.sources, *({"tenant": "acme", "name": f"s{n}", "kind": "folder", "shards": 1} for n in every))
        add(db, TABLES.documents, *(
            {"doc_id": document_id("acme", f"s{n}", "d.md"), "tenant": "acme", "source": f"s{n}", "locator": "d.md",
             "version": 1, "acl": ["everyone"], "updated_at": BEGAN} for n in every
        ))  # fmt: skip
        add(db, TABLES.quarantine, *({"tenant": "acme", "source": "s0", "locator": f"q{n}", "stage": "parse",
                                      "reason": "ENCRYPTED"} for n in every))  # fmt: skip
        add(db, TABLES.run_stages, *(
            {"run_id": "r", "tenant": "acme", "source": f"s{n}", "stage": stage, "finished_at": BEGAN}
            for n in every for stage in ("documents", "index")
        ))  # fmt: skip
        findings: dict[str, Any] = {"warnings": {}, "errors": {}}
        profile = {**Profile().as_json(), "documents": 1}
        add(db, TABLES.quality_runs, *({"run_id": "r", "tenant": "acme", "source": "s0", "shard": n,
                                        "findings": findings, "profile": profile, "finished_at": BEGAN}
                                       for n in every))  # fmt: skip
        add(db, TABLES.alerts, *({"key": f"k{n}", "kind": "source_stale", "severity": "warning", "tenant": "acme",
                                  "summary": f"alert {n}", "started_at": BEGAN, "ended_at": BEGAN if n > 1 else None}
                                 for n in every))  # fmt: skip
        add(db, TABLES.audit, *({"actor": "acme/ann", "action": f"a{n}", "tenant": "acme"} for n in every))
        add(db, TABLES.api_keys, *({"key_id": f"k{n}", "tenant": "acme", "created_at": BEGAN, "expires_at": LATER}
                                   for n in every))  # fmt: skip
        add(db, TABLES.token_revocations, *({"tenant": "acme", "subject": f"p{n}", "before": BEGAN, "forget_at": LATER}
                                            for n in every))  # fmt: skip
        add(db, TABLES.console_accounts, *({"name": f"p{n}", "tenant": "acme", "role": "viewer"} for n in every))
        add(db, TABLES.console_sessions, *({"session": f"{SESSION_MARK}{n}", "tenant": "acme", "subject": f"s{n}",
                                            "issued_at": now, "expires_at": LATER} for n in every))  # fmt: skip
        add(db, TABLES.deployments, *({"target": "local", "release": f"r{n}", "state": "done", "finished_at": BEGAN}
                                      for n in every))  # fmt: skip
        add(db, TABLES.colours, *({"target": target, "name": name} for target in ("kubernetes", "local")
                                  for name in ("blue", "green")))  # fmt: skip
        add(db, TABLES.ratings, *({"tenant": "acme", "actor": f"p{n}", "at": BEGAN} for n in every))
        figures = {
            "questions": 1,
            "graded": 1,
            "satisfied": 1.0,
            "wrong": 0.0,
            "grades": {},
            "recall": None,
            "ndcg": None,
        }
        add(db, TABLES.evaluation_runs, *({"tenant": "acme", "series": f"{n}", "figures": figures, "tags": {}}
                                          for n in every))  # fmt: skip
        add(db, TABLES.evaluation_questions, *({"tenant": "acme", "question": f"q{n}", "origin": "feedback"}
                                               for n in every))  # fmt: skip
        add(db, TABLES.curations, *({"tenant": "acme", "questions": [f"q{n}"], "action": "answer", "acl": ["everyone"]}
                                    for n in every))  # fmt: skip
        add(db, TABLES.unanswered_questions, *({"tenant": "acme", "question_hash": f"h{n}", "asked": 2, "first_at": now,
                                                "last_at": now} for n in every))  # fmt: skip
        day = now.date() - timedelta(days=3)
        add(db, TABLES.usage, *({"day": day - timedelta(days=n % 2), "tenant": "acme", "key_id": f"k{n}", "writer": ""}
                                for n in every))  # fmt: skip
        add(db, TABLES.tenants, *({"name": f"t{n}"} for n in every))
        add(db, TABLES.webhooks, *({"id": f"wh_{n}", "tenant": "acme"} for n in every))
        event = uuid.uuid4()
        add(db, TABLES.webhook_events, {"id": event, "tenant": "acme"})
        add(db, TABLES.webhook_deliveries, *({"webhook_id": f"wh_{n}", "event_id": event} for n in every))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lists")


@pytest.fixture(autouse=True)
def shared_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the server finds stored credentials."""
    monkeypatch.setenv("RAG_HOME", str(home))


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator[RunningServer]:
    docs = [Doc(f"The bell rings at {n}." + " Listen." * n, locator=f"{n}.txt") for n in range(ROWS)]
    with pytest.MonkeyPatch.context() as patch, running(home, docs=docs, home_shared=True) as started:
        patch.setenv("RAG_HOME", str(home))
        store = open_store(Settings(home=home, database_url=started.database_url))
        fill(store)
        store.close()
        for n in range(ROWS):
            store_secret(f"RAG_SECRET_S{n}", "x")
        yield started


def ask(server: RunningServer, method: MethodDescriptor, *, tenant: str = "acme", **fields: Any) -> Any:
    request, answer = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
    call = server.channel.unary_unary(
        f"/{method.containing_service.full_name}/{method.name}", request_serializer=request.SerializeToString,
        response_deserializer=answer.FromString,
    )  # fmt: skip
    asked = request(**ASKED.get(method.name, {}) | fields)
    return call(asked, metadata=server.auth(tenant=tenant, scopes=SCOPES), timeout=20)


def rows(method: MethodDescriptor, page: Message) -> list[bytes]:
    """The rows of a page: the first repeated field of its message."""
    name = next(field.name for field in method.output_type.fields if field.is_repeated)
    found = getattr(page, name)
    if method.name == "Search":  # the last bit of a score may differ
        return [row.chunk_id.encode() for row in found]
    return [row.encode() if isinstance(row, str) else row.SerializeToString(deterministic=True) for row in found]


def refused(server: RunningServer, method: MethodDescriptor, **fields: Any) -> tuple[str, list[tuple[str, str]]]:
    with pytest.raises(grpc.RpcError) as caught:
        ask(server, method, **fields)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    return failure_of(caught.value).reason, violations(caught.value)


def of_list(method: MethodDescriptor) -> str:
    return method.full_name.removeprefix("ragproto.")


@pytest.mark.parametrize("method", LISTS, ids=of_list)
def test_every_list_names_its_pages_alike(method: MethodDescriptor) -> None:
    asked, answer = method.input_type.fields_by_name, method.output_type.fields_by_name
    assert (asked["page_size"].type, asked["page_size"].has_presence) == (FieldDescriptor.TYPE_INT32, True)
    assert asked["page_token"].type == answer["next_page_token"].type == FieldDescriptor.TYPE_STRING


@pytest.mark.parametrize("method", LISTS, ids=of_list)
def test_page_by_page_a_list_gives_every_row_once_and_in_its_order(
    server: RunningServer, method: MethodDescriptor
) -> None:
    whole = ask(server, method)
    expected = rows(method, whole)
    answerers = method.name == "ListAnswerers"  # one is configured
    assert answerers or (len(expected) >= ROWS and not whole.next_page_token)
    assert len(set(expected)) == len(expected)
    for size in (1, 3):
        seen, token = list[bytes](), ""
        while True:
            page = ask(server, method, page_size=size, page_token=token)
            assert len(rows(method, page)) <= size
            seen += rows(method, page)
            token = page.next_page_token
            if not token:
                break
        assert seen == expected, size


@pytest.mark.parametrize("method", LISTS, ids=of_list)
def test_a_page_of_another_size_than_there_is_and_a_token_of_another_list_are_refused(
    server: RunningServer, method: MethodDescriptor
) -> None:
    for size in (0, -1, 2**31 - 1):
        reason, named = refused(server, method, page_size=size)
        assert (reason, named) == ("FIELD_INVALID", [("page_size", "FIELD_INVALID")])
    if "limit" in method.input_type.fields_by_name and method.name != "ListSourceHistory":
        assert refused(server, method, limit=2) == ("FIELD_INVALID", [("limit", "FIELD_INVALID")])
    other = next(one for one in LISTS if one.name not in {method.name, "Search", "ListAnswerers"})
    foreign = {"page_token": ask(server, other, page_size=1).next_page_token}
    wrong: list[dict[str, Any]] = [foreign, {"page_token": "nonsense"}, {"page_token": "\u00e9" * 300}]
    if own := ask(server, method, page_size=1).next_page_token:
        changed = ("A" if own[0] != "A" else "B") + own[1:]
        wrong += [{"page_token": own, "tenant": "other"}, {"page_token": changed}, {"page_token": own[:-2]}]
    for fields in wrong:
        reason, named = refused(server, method, **fields)
        assert (reason, named) == ("PAGE_TOKEN_INVALID", [("page_token", "PAGE_TOKEN_INVALID")]), fields


def test_a_token_belongs_to_the_filters_of_its_list(server: RunningServer) -> None:
    audit = next(method for method in LISTS if method.name == "ListAudit")
    token = ask(server, audit, page_size=1, action="a").next_page_token
    assert ask(server, audit, page_size=2, action="a", page_token=token).records
    assert refused(server, audit, page_token=token)[0] == "PAGE_TOKEN_INVALID"
    assert refused(server, audit, page_token=token, action="b")[0] == "PAGE_TOKEN_INVALID"
