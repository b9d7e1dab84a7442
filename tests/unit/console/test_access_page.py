"""The page Access: what it lists, that a secret is shown once, and what it asks the platform to do."""

from __future__ import annotations

import time
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from streamlit.testing.v1 import AppTest

from console.presenters import access as presenters
from console.presenters.records import as_csv
from query_server.auth.policies import PLATFORM_ADMIN, PLATFORM_READ, TENANT_SCOPES
from ragproto.admin.v1 import access_pb2 as pb
from tests.unit.console.conftest import Platform
from tests.unit.console.test_pages import HOSTILE, button, interpreted, opened

NOW = Timestamp(seconds=int(time.time()))
KEYS = [
    pb.AccessKey(key_id="aaaaaaaaaaaa", name=HOSTILE, tenant="acme", scopes=["query.read"], created_by="acme/ann",
                 created_at=NOW, expires_at=NOW, state=pb.ACCESS_KEY_STATE_VALID),
    pb.AccessKey(key_id="bbbbbbbbbbbb", name="old", tenant="acme", scopes=["admin"], created_by="acme/kim",
                 created_at=NOW, expires_at=NOW, state=pb.ACCESS_KEY_STATE_REVOKED),
]  # fmt: skip


@pytest.fixture
def peer(platform: Platform) -> Any:
    peer = platform.gateway.peer
    account = pb.ConsoleAccount(
        name="lin", tenant="acme", role="viewer", created_by=HOSTILE, created_at=NOW, failures=6
    )
    session = pb.ConsoleSession(id="c" * 64, tenant="acme", subject=HOSTILE, scopes=["ops.read"], issued_at=NOW)
    revoked = pb.TokenRevocation(tenant="acme", subject=HOSTILE, issued_before=NOW, revoked_by="acme/ann")
    peer.operations |= {
        "ListApiKeys": pb.ListApiKeysResponse(keys=KEYS),
        "ListAccounts": pb.ListAccountsResponse(accounts=[account]),
        "ListSessions": pb.ListSessionsResponse(sessions=[session]),
        "ListTokenRevocations": pb.ListTokenRevocationsResponse(revocations=[revoked]),
        "CreateApiKey": pb.CreateApiKeyResponse(key="rag_cccccccccccc_secret", key_id="cccccccccccc"),
        "CreateAccount": pb.CreateAccountResponse(password="correct horse"),
    }
    return peer


def asked(peer: Any, name: str) -> list[Any]:
    return [request for method, request in peer.asked if method == name]


def test_keys_accounts_sessions_and_revoked_tokens_are_listed_as_text(app: AppTest, peer: Any) -> None:
    opened(app, "access")
    assert not app.exception
    keys, accounts, sessions, revoked = [frame.value for frame in app.dataframe]
    assert list(keys["key_id"]) == ["aaaaaaaaaaaa"]  # of the valid ones
    assert list(accounts["failures"]) == [6]
    assert list(sessions["id"]) == ["c" * 12]
    assert list(revoked["revoked_by"]) == ["acme/ann"]
    assert "attacker" not in interpreted(app)
    assert [request.all_tenants for request in asked(peer, "ListApiKeys")] == [False]
    app.toggle(key="access-everyone").set_value(True).run()
    assert asked(peer, "ListSessions")[-1].all_tenants


def test_a_new_key_is_shown_once_and_then_nowhere(app: AppTest, peer: Any) -> None:
    opened(app, "access")
    next(box for box in app.text_input if box.label == "Purpose").input("nightly-report")
    app.text_input(key="access-key-groups").input("hr, sales,hr")
    button(app, "Create key").click().run()
    assert not app.exception
    [request] = asked(peer, "CreateApiKey")
    assert (request.name, request.tenant, request.scopes, request.groups, request.days) == (
        *("nightly-report", "acme", ["query.read"], ["hr", "sales"], 90),
    )
    assert [block.value for block in app.code] == ["rag_cccccccccccc_secret"]
    button(app, "I have copied it").click().run()
    assert not app.code
    assert "access-made-now" not in app.session_state


def test_a_new_account_has_its_password_shown_once(app: AppTest, peer: Any) -> None:
    opened(app, "access")
    app.text_input(key="access-account-name").input("kim")
    button(app, "Create account").click().run()
    [request] = asked(peer, "CreateAccount")
    assert (request.name, request.tenant, request.role, request.platform) == ("kim", "acme", "viewer", False)
    assert [block.value for block in app.code] == ["correct horse"]


def test_a_refusal_is_shown_and_nothing_of_a_secret(app: AppTest, peer: Any) -> None:
    peer.operations["CreateApiKey"] = lambda _: 1 / 0
    opened(app, "access")
    button(app, "Create key").click().run()
    assert not app.exception
    assert app.warning
    assert not app.code


@pytest.mark.parametrize(("scopes", "finds"), [
    (["ops.read", "ops.write"], False), (["query.read", "admin"], True), (["ops.read", "platform.admin"], True),
])  # fmt: skip
def test_the_page_is_for_admins_and_only_the_platform_sees_other_tenants(
    app: AppTest, peer: Any, scopes: list[str], finds: bool
) -> None:
    peer.scopes = scopes
    app.run()
    if not finds:
        with pytest.raises(ValueError, match=r"screens/access\.py"):
            app.switch_page("screens/access.py").run()
        return
    app.switch_page("screens/access.py").run()
    assert not app.exception
    beyond = "platform.admin" in scopes
    assert bool([item for item in app.toggle if item.key == "access-everyone"]) == beyond
    [offered] = [item.options for item in app.multiselect if item.label == "Scopes"]
    assert ("platform.admin" in offered) == beyond


def test_the_audit_page_opens_with_what_a_link_names_and_keeps_it_in_its_address(app: AppTest, peer: Any) -> None:
    app.query_params["target"] = "aaaaaaaaaaaa"
    app.query_params["tenant"] = "other"
    opened(app, "audit")
    assert not app.exception
    request = asked(peer, "ListAudit")[-1]
    assert (request.target, request.tenant) == ("aaaaaaaaaaaa", "other")
    app.text_input(key="a-target").input("x").run()
    assert asked(peer, "ListAudit")[-1].target == "x"
    assert app.query_params["target"] == "x"


def test_the_console_offers_every_scope_that_the_server_knows() -> None:
    assert set(presenters.TENANT_SCOPES) == set(TENANT_SCOPES)
    assert set(presenters.PLATFORM_SCOPES) == {PLATFORM_READ, PLATFORM_ADMIN}


def test_a_filter_wants_every_word_somewhere_in_the_row() -> None:
    rows = presenters.key_rows(KEYS)
    assert presenters.matching(rows, "ADMIN kim") == [1]
    assert presenters.matching(rows, "query kim") == []
    assert presenters.matching(rows, "  ") == [0, 1]
    assert "secret" not in as_csv(rows)
