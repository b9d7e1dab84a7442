"""API keys, revoked tokens, keys of an issuer by address, and the audit trail, on a server with a real database."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from pytest_httpserver import HTTPServer
from sqlalchemy import text, update
from werkzeug import Request, Response

from query_server.auth import authenticator as identities
from query_server.auth import revocations
from query_server.auth.policies import POLICIES
from rag_core.database import Store, open_store
from rag_core.database.tables.operations import api_keys
from rag_core.governance.access import (
    ApiKey,
    NewKey,
    TokenRules,
    TokenVerifier,
    UrlKeys,
    create_key,
    generate_key,
    list_keys,
    mint,
    revoke_key,
    revoke_tokens,
)
from rag_core.governance.audit import AuditQuery, find
from rag_core.settings import Settings
from ragproto.admin.v1 import admin_pb2, admin_pb2_grpc, operations_pb2, operations_pb2_grpc
from ragproto.query.v2 import query_pb2 as v2
from ragproto.query.v2 import query_pb2_grpc as v2_grpc
from tests.support.postgres import outage
from tests.support.query_server import Doc, RunningServer, failing, failure, running
from tests.support.waiting import eventually, run_together

DOCS = [
    Doc("The bell rings at nine.", tenant="acme"),
    Doc("The bell of hr rings at ten.", locator="hr.md", tenant="acme", acl=("group:hr",)),
    Doc("The bell of b rings at noon.", locator="b.md", tenant="b"),
]
Metadata = tuple[tuple[str, str], ...]


@pytest.fixture
def server(tmp_path: Path, settings: Settings) -> Iterator[RunningServer]:
    with running(tmp_path / "server", docs=DOCS, open_store=lambda: open_store(settings)) as started:
        yield started


def make(store: Store, **wanted: Any) -> ApiKey:
    with store.engine.begin() as connection:
        return create_key(
            connection, NewKey(**{"name": "test", "tenant": "acme", "scopes": ["query.read"]} | wanted), actor="rag:me"
        )


def search(server: RunningServer, metadata: Metadata) -> list[str]:
    stub = v2_grpc.QueryServiceStub(server.channel)
    response = stub.Search(v2.SearchRequest(query="bell"), metadata=metadata, timeout=20)
    return sorted(passage.locator for passage in response.passages)


def keyed(key: ApiKey) -> Metadata:
    return (("x-api-key", key.text),)


def reason(server: RunningServer, metadata: Metadata) -> tuple[grpc.StatusCode, str]:
    failed = failing(lambda: search(server, metadata))
    return failed.code, failed.reason


def refused(server: RunningServer, metadata: Metadata) -> str:
    """The message once the call is refused; asked without pause until then."""
    while (failed := failure(lambda: search(server, metadata))) is None:
        pass
    assert failed.code is grpc.StatusCode.UNAUTHENTICATED
    return failed.message


REFUSED = (grpc.StatusCode.UNAUTHENTICATED, "API_KEY_INVALID")


def test_an_api_key_opens_its_tenant_and_groups_and_nothing_else(server: RunningServer, store: Store) -> None:
    key = make(store)
    assert search(server, keyed(key)) == search(server, (("authorization", f"Bearer {key.text}"),)) == ["doc.txt"]
    assert search(server, keyed(make(store, groups=["hr"]))) == ["doc.txt", "hr.md"]
    assert search(server, keyed(make(store, tenant="b"))) == ["b.md"]


@pytest.mark.catalogue("S05")
def test_an_api_key_needs_the_scope_of_the_method(server: RunningServer, store: Store) -> None:
    assert reason(server, keyed(make(store, scopes=["admin"]))) == (
        grpc.StatusCode.PERMISSION_DENIED,
        "SCOPE_MISSING",
    )


def test_a_key_is_kept_as_a_hash_only(store: Store) -> None:
    key = make(store)
    with store.engine.connect() as connection:
        row = str(connection.execute(text("SELECT row_to_json(k)::text FROM rag.api_keys k")).scalar_one())
        trail = str(connection.execute(text("SELECT json_agg(a)::text FROM rag.audit a")).scalar_one())
    assert key.secret not in row + trail
    assert key.key_id in row
    assert key.secret not in repr(key)


@pytest.mark.catalogue("S09")
@pytest.mark.parametrize(
    "damage", ["another secret", "another id", "cut", "no prefix", "empty id", "too long", "spaces"]
)
def test_a_damaged_key_is_refused_like_an_unknown_one(server: RunningServer, store: Store, damage: str) -> None:
    key, other = make(store), make(store)
    sent = {
        "another secret": f"rag_{key.key_id}_{other.secret}",
        "another id": f"rag_{'A' * 12}_{key.secret}",
        "cut": key.text[:-1],
        "no prefix": key.text.removeprefix("rag_"),
        "empty id": f"rag__{key.secret}",
        "too long": key.text * 50,
        "spaces": f" {key.text} x",
    }[damage]
    failed = failing(lambda: search(server, (("x-api-key", sent),)))
    assert (failed.code, failed.reason, failed.message) == (*REFUSED, "x-api-key: not a valid key")


def test_what_is_revoked_is_read_at_least_once_a_second() -> None:
    """So it is refused within a second; the tests below do not time it, for a machine may be busy."""
    assert max(identities.KEY_SECONDS, revocations.REVOCATION_SECONDS) <= 1


@pytest.mark.catalogue("S12")
def test_a_revoked_key_is_refused_soon_while_the_server_runs(server: RunningServer, store: Store) -> None:
    key = make(store)
    assert search(server, keyed(key))
    with store.engine.begin() as connection:
        revoke_key(connection, key.key_id, actor="rag:me")
    assert "not a valid key" in refused(server, keyed(key))


def test_an_expired_key_is_refused_although_its_row_was_cached(
    server: RunningServer, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = make(store)
    assert search(server, keyed(key))
    monkeypatch.setattr(identities, "KEY_SECONDS", 0.0)
    with store.engine.begin() as connection:
        connection.execute(update(api_keys).values(expires_at=datetime.now(UTC) - timedelta(seconds=1)))
    assert reason(server, keyed(key)) == REFUSED


def test_the_last_use_of_a_key_is_on_record(server: RunningServer, store: Store) -> None:
    key, unused = make(store), make(store)
    search(server, keyed(key))
    with store.engine.connect() as connection:
        used = {row["key_id"]: row["last_used_at"] for row in list_keys(connection)}
    assert used[key.key_id] is not None
    assert used[unused.key_id] is None


def test_without_the_database_no_key_opens_anything(tmp_path: Path) -> None:
    with running(tmp_path, docs=DOCS) as server, outage(server.database_url):
        sent = (("x-api-key", ApiKey("A" * 12, "b" * 43).text),)
        assert reason(server, sent) == (grpc.StatusCode.UNAVAILABLE, "DATABASE_UNAVAILABLE")
        assert search(server, server.auth())


def test_a_token_beside_a_key_decides(server: RunningServer, store: Store) -> None:
    good = keyed(make(store))
    assert reason(server, (*good, ("authorization", "Bearer a.b.c")))[1] == "TOKEN_MALFORMED"


@pytest.mark.catalogue("S12")
def test_a_revoked_subjects_tokens_are_refused_soon_and_new_ones_work(server: RunningServer, store: Store) -> None:
    old, other = server.auth(subject="ann"), server.auth(subject="bob")
    assert search(server, old)
    with store.engine.begin() as connection:
        revoke_tokens(connection, tenant="acme", subject="ann", lifetime=86_400, actor="rag:me")
    assert "revoked" in refused(server, old)
    assert search(server, other)
    assert search(server, server.auth(subject="ann", now=time.time() + 2))
    assert reason(server, old) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_REVOKED")


def test_a_token_that_was_signed_out_is_refused_by_every_server_within_a_second_and_others_are_not(
    server: RunningServer, store: Store, settings: Settings, tmp_path: Path
) -> None:
    with running(tmp_path / "second", docs=DOCS, open_store=lambda: open_store(settings)) as second:
        # The clock of its issuer is ahead: it must end all the same.
        scopes = ["query.read", "ops.read"]
        ended, other = (server.auth(subject="ann", scopes=scopes, now=time.time() + ahead) for ahead in (30, 0))
        second.keys.path.write_text(json.dumps(server.keys.jwks))
        assert eventually(lambda: failure(lambda: search(second, ended)) is None)  # it reads the keys again
        assert search(server, ended)
        stub = operations_pb2_grpc.OperationsServiceStub(server.channel)
        stub.SignOut(operations_pb2.SignOutRequest(), metadata=ended, timeout=20)
        for place in (server, second):
            assert eventually(lambda place=place: failure(lambda: search(place, ended)) is not None)
            assert reason(place, ended) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_REVOKED")
        assert reason(server, ended) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_REVOKED")
        assert search(server, other)
        assert reason(server, twin(ended)) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_REVOKED")
    with store.engine.connect() as connection:
        (entry,) = find(connection, AuditQuery(action="session.end"))
    assert (entry.actor, entry.tenant) == ("acme/ann", "acme")
    refused = failing(lambda: stub.SignOut(operations_pb2.SignOutRequest(), timeout=20,
                                           metadata=keyed(make(store, scopes=["ops.read"]))))  # fmt: skip
    assert refused.reason == "TOKEN_MISSING"


def twin(metadata: Metadata) -> Metadata:
    """The same token with the other signature that ECDSA allows for it."""
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    signed, _, signature = metadata[0][1].rpartition(".")
    raw = base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4))
    other = raw[:32] + (order - int.from_bytes(raw[32:], "big")).to_bytes(32, "big")
    return (("authorization", f"{signed}.{base64.urlsafe_b64encode(other).rstrip(b'=').decode()}"),)


def test_a_refusal_of_a_known_caller_is_audited_and_reading_is_not(server: RunningServer, store: Store) -> None:
    search(server, server.auth())
    failing(
        lambda: admin_pb2_grpc.AdminServiceStub(server.channel).GetStatus(
            admin_pb2.GetStatusRequest(), metadata=server.auth(subject="curious"), timeout=20
        )
    )
    server.run(server.server._audit.flush())
    with store.engine.connect() as connection:
        entries = find(connection, AuditQuery())
    assert [(e.actor, e.action, e.outcome, e.tenant) for e in entries] == [
        ("acme/curious", "/ragproto.admin.v1.AdminService/GetStatus", "SCOPE_MISSING", "acme")
    ]
    assert entries[0].details["request_id"]


def test_a_method_without_a_policy_is_refused(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(POLICIES, "/ragproto.query.v2.QueryService/Search")
    assert reason(server, server.auth(scopes=["query.read", "admin"])) == (
        grpc.StatusCode.PERMISSION_DENIED,
        "SCOPE_MISSING",
    )


# --- keys of an issuer, by address ----------------------------------------------------------------------------


class Issuer:
    """A JWKS endpoint that counts."""

    def __init__(self, http: HTTPServer) -> None:
        self.keys: list[Any] = []
        self.fetches = 0
        self.status = 200
        http.expect_request("/jwks").respond_with_handler(self._answer)
        self.url = http.url_for("/jwks")

    def _answer(self, _: Request) -> Response:
        self.fetches += 1
        return Response(json.dumps({"keys": self.keys}), self.status, content_type="application/json")

    def new_key(self) -> Callable[..., Metadata]:
        """Publish a key; returns what signs with it."""
        private, jwks = generate_key()
        self.keys += jwks["keys"]
        return signer(private)


def signer(private: str) -> Callable[..., Metadata]:
    def sign(subject: str = "ann") -> Metadata:
        token = mint(
            private,
            subject=subject,
            tenant="acme",
            issuer="rag-platform",
            audience="rag-query",
            scopes=["query.read"],
            lifetime=600,
        )
        return (("authorization", f"Bearer {token}"),)

    return sign


@pytest.fixture
def issuer(httpserver: HTTPServer) -> Issuer:
    return Issuer(httpserver)


def rules() -> TokenRules:
    return TokenRules("rag-platform", "rag-query", 86_400, 60)


@pytest.mark.catalogue("S11")
def test_an_unknown_key_is_fetched_once_in_thirty_seconds_however_many_ask(tmp_path: Path, issuer: Issuer) -> None:
    clock = [1000.0]
    old = issuer.new_key()
    keys = UrlKeys(issuer.url, refresh=10_000, clock=lambda: clock[0])
    with running(tmp_path, docs=DOCS, dependencies={"verifier": TokenVerifier(keys, rules())}) as server:
        assert search(server, old())
        new = issuer.new_key()
        assert reason(server, new())[1] == "TOKEN_INVALID"  # the start itself fetched a moment ago
        assert issuer.fetches == 1
        clock[0] += 30
        assert search(server, new())
        assert search(server, old())
        assert issuer.fetches == 2
        made_up = [signer(generate_key()[0])() for _ in range(4)]
        run_together(threading.Thread(target=reason, args=(server, metadata)) for metadata in made_up)
        assert issuer.fetches == 2
        clock[0] += 30
        for metadata in made_up:
            assert reason(server, metadata)[1] == "TOKEN_INVALID"
        assert issuer.fetches == 3


@pytest.mark.catalogue("S11")
def test_a_key_the_issuer_dropped_is_refused_after_the_refresh(tmp_path: Path, issuer: Issuer) -> None:
    clock = [1000.0]
    old, new = issuer.new_key(), issuer.new_key()
    keys = UrlKeys(issuer.url, refresh=300, clock=lambda: clock[0])
    with running(tmp_path, docs=DOCS, dependencies={"verifier": TokenVerifier(keys, rules())}) as server:
        cached = old()
        assert search(server, cached)
        issuer.keys = issuer.keys[1:]
        clock[0] += 301
        assert "unknown key" in refused(server, cached)
        assert search(server, new())


def test_an_issuer_that_fails_changes_nothing_and_one_that_never_answered_opens_nothing(
    tmp_path: Path, issuer: Issuer
) -> None:
    clock = [1000.0]
    sign = issuer.new_key()
    issuer.status = 503
    keys = UrlKeys(issuer.url, refresh=300, clock=lambda: clock[0])
    with running(tmp_path, docs=DOCS, dependencies={"verifier": TokenVerifier(keys, rules())}) as server:
        assert reason(server, sign()) == (grpc.StatusCode.UNAVAILABLE, "KEYS_UNAVAILABLE")
        issuer.status = 200
        clock[0] += 30
        assert eventually(lambda: search(server, sign()))
        issuer.status = 500
        clock[0] += 301
        assert search(server, sign())
        assert search(server, sign("bob"))
