"""AccessService: who may see and change whose keys, accounts, sessions and tokens, and what is on record of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from rag_core.database import Store, open_store
from rag_core.governance.access import AccountRole, NewAccount, create_account, find_account, password_matches
from rag_core.governance.audit import AuditEntry, AuditQuery, find
from rag_core.settings import Settings
from ragproto.admin.v1 import access_pb2 as pb
from ragproto.admin.v1 import access_pb2_grpc as rpc
from ragproto.admin.v1 import operations_pb2, operations_pb2_grpc
from tests.support.query_server import RunningServer, failing, failure, running
from tests.support.waiting import eventually

TENANT, PLATFORM = ["admin"], ["admin", "platform.admin"]


class Desk:
    """The service as callers of several tenants see it."""

    def __init__(self, server: RunningServer, store: Store) -> None:
        self.server, self.store = server, store
        self.stub = rpc.AccessServiceStub(server.channel)

    def do(self, method: str, held: list[str] = TENANT, of: str = "acme", /, **fields: Any) -> Any:
        request = getattr(pb, f"{method}Request")(**fields)
        metadata = self.server.auth(tenant=of, scopes=held, subject="ann")
        return getattr(self.stub, method)(request, metadata=metadata, timeout=30)

    def refusal(self, method: str, **fields: Any) -> str:
        return failing(lambda: self.do(method, **fields)).reason

    def record(self, tenant: str) -> list[AuditEntry]:
        with self.store.engine.connect() as connection:
            return find(connection, AuditQuery(tenant=tenant))

    def sessions(self, scopes: list[str] = TENANT, tenant: str = "acme") -> list[pb.ConsoleSession]:
        return list(self.do("ListSessions", scopes, tenant).sessions)

    def open_sessions(self, count: int, tenant: str = "acme") -> list[pb.ConsoleSession]:
        """They are recorded in the background."""
        assert eventually(lambda: len(self.sessions(tenant=tenant)) == count)
        return self.sessions(tenant=tenant)


@pytest.fixture
def desk(tmp_path: Path, settings: Settings, store: Store) -> Iterator[Desk]:
    with running(tmp_path / "server", open_store=lambda: open_store(settings)) as server:
        yield Desk(server, store)


def who_am_i(server: RunningServer, metadata: tuple[tuple[str, str], ...]) -> None:
    stub = operations_pb2_grpc.OperationsServiceStub(server.channel)
    stub.WhoAmI(operations_pb2.WhoAmIRequest(), metadata=metadata, timeout=30)


def test_a_key_is_shown_once_opens_what_it_should_and_is_revoked_on_record(desk: Desk) -> None:
    made = desk.do("CreateApiKey", name="report", scopes=["ops.read"], groups=["hr"], days=7, reason="nightly")
    who_am_i(desk.server, (("x-api-key", made.key),))
    [listed] = desk.do("ListApiKeys").keys
    assert (listed.key_id, listed.name, listed.tenant, listed.created_by) == (made.key_id, "report", "acme", "acme/ann")
    assert (listed.scopes, listed.groups) == (["ops.read"], ["hr"])
    assert listed.expires_at.seconds - listed.created_at.seconds == pytest.approx(7 * 86_400, abs=60)
    assert listed.state == pb.ACCESS_KEY_STATE_VALID
    secret = made.key.rpartition("_")[2]
    assert secret not in str(listed)
    desk.do("RevokeApiKey", key_id=made.key_id, reason="leaked")
    assert eventually(lambda: failure(lambda: who_am_i(desk.server, (("x-api-key", made.key),))))
    assert desk.do("ListApiKeys").keys[0].state == pb.ACCESS_KEY_STATE_REVOKED
    assert desk.refusal("RevokeApiKey", key_id=made.key_id) == "API_KEY_INVALID"
    entries = desk.record("acme")
    assert [
        (entry.action, entry.target, entry.actor, entry.details.get("reason"))
        for entry in entries
        if entry.outcome == "ok"
    ] == [
        ("key.revoke", made.key_id, "acme/ann", "leaked"),
        ("key.create", made.key_id, "acme/ann", "nightly"),
    ]
    assert secret not in str(entries)


def test_another_tenants_keys_accounts_and_sessions_do_not_exist_for_a_tenants_admin(desk: Desk) -> None:
    key = desk.do("CreateApiKey", PLATFORM, "other", name="theirs", scopes=["query.read"])
    desk.do("CreateAccount", PLATFORM, "other", name="kim", role="viewer")
    who_am_i(desk.server, desk.server.auth(tenant="other", subject="kim", scopes=["ops.read"]))
    [session] = desk.open_sessions(1, "other")
    for name, listed in (("ListApiKeys", "keys"), ("ListAccounts", "accounts"), ("ListSessions", "sessions")):
        assert not getattr(desk.do(name), listed)
        assert desk.refusal(name, all_tenants=True) == "SCOPE_MISSING"
        assert len(getattr(desk.do(name, PLATFORM, all_tenants=True), listed)) == 1
    assert desk.refusal("RevokeApiKey", key_id=key.key_id) == "API_KEY_NOT_FOUND"
    assert desk.refusal("RemoveAccount", name="kim") == "ACCOUNT_NOT_FOUND"
    assert desk.refusal("UnlockAccount", name="kim") == "ACCOUNT_NOT_FOUND"
    assert desk.refusal("EndSession", id=session.id) == "SESSION_NOT_FOUND"
    request = pb.RevokeTokensRequest(tenant="other", subject="kim")
    metadata = desk.server.auth(tenant="acme", scopes=TENANT)
    assert failing(lambda: desk.stub.RevokeTokens(request, metadata=metadata)).reason == "SCOPE_MISSING"
    for fields in ({"tenant": "other"}, {"tenant": "other", "all_tenants": True}):
        wanted = pb.ListApiKeysRequest(**fields)
        assert failing(lambda: desk.stub.ListApiKeys(wanted, metadata=metadata)).code in (  # noqa: B023
            grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.INVALID_ARGUMENT,
        )  # fmt: skip
    desk.do("RemoveAccount", PLATFORM, name="kim")
    assert [entry.action for entry in desk.record("other")][:2] == ["account.remove", "token.revoke"]


@pytest.mark.parametrize(
    ("held", "wanted", "allowed"),
    [
        (["access.write"], ["query.read"], False),
        (["access.write", "query.read"], ["query.read"], True),
        (["access.write", "query.read"], ["admin"], False),
        (["admin"], ["documents.read", "admin"], True),
        (["admin"], ["platform.read"], False),
        (["admin"], ["platform.admin"], False),
        (["platform.admin"], ["documents.read", "platform.admin"], True),
    ],
)
def test_nobody_grants_more_than_they_hold(desk: Desk, held: list[str], wanted: list[str], allowed: bool) -> None:
    refused = failure(lambda: desk.do("CreateApiKey", held, name="x", scopes=wanted))
    assert (refused is None) == allowed
    if refused is not None:
        assert refused.reason == "SCOPE_MISSING"
        assert not desk.do("ListApiKeys").keys


def test_an_admin_of_a_tenant_neither_makes_nor_takes_over_an_admin_of_the_platform(desk: Desk) -> None:
    with desk.store.engine.begin() as connection:
        boss = NewAccount("boss", AccountRole.ADMIN, "acme", platform=True)
        create_account(connection, boss, "correct horse battery", actor="a/b")
    who_am_i(desk.server, desk.server.auth(tenant="acme", subject="boss", scopes=["admin", "platform.admin"]))
    [session] = desk.open_sessions(1)
    assert desk.refusal("CreateAccount", name="lin", role="viewer", platform=True) == "SCOPE_MISSING"
    assert desk.refusal("CreateAccount", name="boss", role="admin") == "ACCOUNT_EXISTS"
    assert desk.refusal("RemoveAccount", name="boss") == "SCOPE_MISSING"
    assert desk.refusal("UnlockAccount", name="boss") == "SCOPE_MISSING"
    assert desk.refusal("EndSession", id=session.id) == "SCOPE_MISSING"
    assert desk.refusal("RevokeTokens", subject="boss") == "SCOPE_MISSING"
    desk.do("EndSession", PLATFORM, id=session.id)
    assert not desk.sessions()


def test_an_account_is_created_with_a_password_unlocked_and_removed_on_record(desk: Desk) -> None:
    made = desk.do("CreateAccount", name="lin", role="operator", groups=["hr"], reason="new colleague")
    with desk.store.engine.connect() as connection:
        found = find_account(connection, "lin")
    assert found is not None
    assert password_matches(made.password, found[1])
    [listed] = desk.do("ListAccounts").accounts
    assert (listed.name, listed.role, listed.groups, listed.platform) == ("lin", "operator", ["hr"], False)
    assert (listed.created_by, listed.HasField("last_sign_in_at")) == ("acme/ann", False)
    assert desk.refusal("CreateAccount", name="Not A Name", role="viewer") == "FIELD_INVALID"
    assert desk.refusal("CreateAccount", name="kim", role="king") == "FIELD_INVALID"
    desk.do("UnlockAccount", name="lin", reason="forgot it")
    desk.do("RemoveAccount", name="lin", reason="left")
    assert not desk.do("ListAccounts").accounts
    entries = [entry for entry in desk.record("acme") if entry.outcome == "ok"]
    assert [(entry.action, entry.details.get("reason")) for entry in entries] == [
        ("account.remove", "left"),
        ("token.revoke", None),
        ("account.unlock", "forgot it"),
        ("account.create", "new colleague"),
    ]
    assert made.password not in str(entries)


def test_who_is_signed_in_is_listed_until_the_session_is_ended_and_only_that_one(desk: Desk) -> None:
    first = desk.server.auth(tenant="acme", subject="lin", scopes=["ops.read"])
    second = desk.server.auth(tenant="acme", subject="lin", scopes=["ops.read", "query.read"])
    for metadata in (first, second):
        who_am_i(desk.server, metadata)
    listed = desk.open_sessions(2)
    [ended] = [session for session in listed if session.scopes == ["ops.read"]]
    assert ended.expires_at.seconds > ended.issued_at.seconds
    desk.do("EndSession", id=ended.id, reason="lost laptop")
    assert [session.scopes for session in desk.sessions()] == [["ops.read", "query.read"]]
    assert eventually(lambda: failure(lambda: who_am_i(desk.server, first)))
    assert failing(lambda: who_am_i(desk.server, first)).reason == "TOKEN_REVOKED"
    who_am_i(desk.server, second)
    [entry] = [entry for entry in desk.record("acme") if entry.action == "session.end"]
    assert (entry.actor, entry.target, entry.details["reason"]) == ("acme/ann", "lin", "lost laptop")
    assert desk.refusal("EndSession", id=ended.id) == "SESSION_NOT_FOUND"


def test_revoked_tokens_of_a_subject_end_its_sessions_and_are_listed_with_who_did_it(desk: Desk) -> None:
    token = desk.server.auth(tenant="acme", subject="lin", scopes=["ops.read"])
    who_am_i(desk.server, token)
    desk.open_sessions(1)
    desk.do("RevokeTokens", subject="lin", reason="left")
    assert not desk.sessions()
    [listed] = desk.do("ListTokenRevocations").revocations
    assert (listed.tenant, listed.subject, listed.revoked_by) == ("acme", "lin", "acme/ann")
    assert listed.matters_until.seconds > listed.issued_before.seconds
    assert eventually(lambda: failure(lambda: who_am_i(desk.server, token)))


def test_an_api_key_is_no_session_and_lists_none_as_its_own(desk: Desk) -> None:
    made = desk.do("CreateApiKey", name="x", scopes=["ops.read", "access.write"])
    keyed = (("x-api-key", made.key),)
    who_am_i(desk.server, keyed)
    own = desk.server.auth(tenant="acme", subject="lin", scopes=["ops.read", "access.write"])
    who_am_i(desk.server, own)
    desk.open_sessions(1)
    [session] = desk.stub.ListSessions(pb.ListSessionsRequest(), metadata=own).sessions
    assert session.own
    [session] = desk.stub.ListSessions(pb.ListSessionsRequest(), metadata=keyed).sessions
    assert not session.own


def test_who_only_manages_access_lets_nobody_into_a_group_they_are_not_in(desk: Desk) -> None:
    held = ["access.write", "query.read"]
    wanted = {"name": "report", "scopes": ["query.read"], "groups": ["hr"], "days": 7, "reason": "nightly"}
    assert failing(lambda: desk.do("CreateApiKey", held, **wanted)).reason == "SCOPE_MISSING"
    assert desk.do("CreateApiKey", held, **wanted | {"groups": []}).key
    assert desk.do("CreateApiKey", ["admin"], **wanted | {"scopes": ["ops.read"]}).key


def test_an_admin_of_a_tenant_gives_nobody_a_group_that_acts_on_the_platform(
    tmp_path: Path, settings: Settings, store: Store
) -> None:
    named = {"jwt_platform_groups": frozenset({"rag operators=platform.admin"})}
    with running(tmp_path / "server", open_store=lambda: open_store(settings), **named) as server:
        desk = Desk(server, store)
        wanted = {"name": "bob", "role": "viewer", "groups": ["rag operators"], "reason": "new"}
        assert desk.refusal("CreateAccount", **wanted) == "SCOPE_MISSING"
        assert desk.do("CreateAccount", PLATFORM, **wanted).password
        assert desk.refusal("RemoveAccount", name="bob", reason="away") == "SCOPE_MISSING"
