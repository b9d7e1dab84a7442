"""Console accounts and the broker that changes a password into a token."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rag_core.database import Store
from rag_core.errors import Conflict, Exhausted, InvalidInput, NotFound
from rag_core.exit_codes import Exit
from rag_core.governance.access import (
    ROLE_SCOPES,
    Account,
    AccountRole,
    NewAccount,
    TokenRules,
    TokenVerifier,
    create_account,
    find_account,
    list_accounts,
    put_account,
    remove_account,
)
from rag_core.settings import Settings
from ragctl.app import run
from ragctl.local_stack.token_broker import (
    FREE_FAILURES,
    FREE_FAILURES_OF_ADDRESS,
    LOCK_SECONDS,
    Attempts,
    StoredAccounts,
    TokenBroker,
)
from ragctl.local_stack.up import prepare_accounts
from ragctl.tokens import ensure_keys
from tests.support.postgres import outage

PASSWORD = "correct horse battery"


def add(store: Store, name: str, role: AccountRole = AccountRole.VIEWER, password: str = PASSWORD, **more: Any) -> None:
    with store.engine.begin() as connection:
        put_account(connection, NewAccount(name, role, "default", **more), password, actor="a/b", lifetime=60)


def known(store: Store) -> dict[str, Account]:
    with store.engine.connect() as connection:
        return {account.name: account for account in list_accounts(connection)}


@pytest.fixture
def lin(store: Store) -> None:
    add(store, "lin", AccountRole.OPERATOR, groups=("hr",))


@pytest.fixture
def signing(settings: Settings) -> Settings:
    settings.secrets_dir.mkdir(parents=True)
    ensure_keys(settings)
    return settings


@pytest.fixture
def broker(tmp_path: Path, signing: Settings, lin: None) -> Iterator[TokenBroker]:
    server = TokenBroker(tmp_path / "sock", signing, StoredAccounts(signing))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    server.accounts.close()
    thread.join(10)


def test_the_first_account_is_made_once_and_its_password_is_stored_nowhere(settings: Settings, store: Store) -> None:
    password = prepare_accounts(settings)
    assert password is not None
    assert prepare_accounts(settings) is None
    with store.engine.connect() as connection:
        found = find_account(connection, "admin")
        assert found is not None
        assert password.encode() not in b"".join(found[1])
    assert set(found[0].scopes) == {"query.read", "documents.write", "admin", "platform.admin"}


def test_only_accounts_that_were_given_the_platform_act_on_it(store: Store) -> None:
    add(store, "lin", AccountRole.ADMIN)
    add(store, "kim", platform=True)
    assert {name: set(account.scopes) for name, account in known(store).items()} == {
        "lin": {"query.read", "documents.write", "admin"},
        "kim": {"query.read", "ops.read", "platform.admin"},
    }


def test_an_account_is_created_once_replaced_and_removed(store: Store) -> None:
    add(store, "lin")
    with pytest.raises(Conflict), store.engine.begin() as connection:
        create_account(connection, NewAccount("lin", AccountRole.ADMIN, "default"), PASSWORD, actor="a/b")
    add(store, "lin", AccountRole.ADMIN)
    assert known(store)["lin"].role is AccountRole.ADMIN
    with store.engine.begin() as connection:
        remove_account(connection, "lin", actor="a/b", lifetime=60)
    with pytest.raises(NotFound), store.engine.begin() as connection:
        remove_account(connection, "lin", actor="a/b", lifetime=60)


@pytest.mark.parametrize(
    ("name", "password"), [("Lin", PASSWORD), ("a b", PASSWORD), ("lin", "short"), ("lin", "x" * 300)]
)
def test_a_name_or_password_that_will_not_do_is_refused(store: Store, name: str, password: str) -> None:
    with pytest.raises(InvalidInput):
        add(store, name, password=password)


def exchange(broker: TokenBroker, line: bytes) -> dict[str, object]:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(str(broker.server_address))
        connection.sendall(line)
        with connection.makefile("rb") as reader:
            return dict(json.loads(reader.readline()))


def test_a_person_gets_a_token_with_the_scopes_of_the_role(
    broker: TokenBroker, settings: Settings, store: Store
) -> None:
    reply = exchange(broker, json.dumps({"name": "lin", "password": PASSWORD}).encode() + b"\n")
    verifier = TokenVerifier(settings.jwks_path, TokenRules(settings.jwt_issuer, settings.jwt_audience, 86_400, 0))
    caller = verifier.verify(str(reply["token"]))
    assert (caller.subject, caller.tenant, caller.groups) == ("lin", "default", ("hr",))
    assert caller.scopes == set(ROLE_SCOPES[AccountRole.OPERATOR])
    assert "admin" not in caller.scopes
    assert known(store)["lin"].last_sign_in_at is not None


def test_a_wrong_name_and_a_wrong_password_look_the_same(broker: TokenBroker, store: Store) -> None:
    said = {attempt(broker, "wrong"), attempt(broker, PASSWORD, name="nobody"), attempt(broker, "", name="")}
    assert said == {"SIGN_IN_FAILED"}
    assert (known(store)["lin"].failures, known(store)["lin"].last_sign_in_at) == (1, None)
    assert attempt(broker, PASSWORD) is None
    assert known(store)["lin"].failures == 0


def test_nobody_signs_in_while_the_database_is_away(broker: TokenBroker, database_url: str) -> None:
    with outage(database_url):
        assert attempt(broker, PASSWORD) == "DATABASE_UNAVAILABLE"
    assert attempt(broker, PASSWORD) is None


def test_the_socket_is_closed_to_other_users(broker: TokenBroker) -> None:
    assert Path(str(broker.server_address)).stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"nonsense\n",
        b"[]\n",
        b'{"name": 1, "password": "x"}\n',
        b'{"name": "a", "password": "b", "address": 1}\n',
        b"[" * 4000 + b"\n",
    ],
)
def test_nonsense_gets_a_reason(broker: TokenBroker, line: bytes) -> None:
    assert exchange(broker, line) == {"reason": "FIELD_INVALID"}


def attempt(broker: TokenBroker, password: str, address: str = "192.0.2.1", name: str = "lin") -> object:
    """The reason of a refusal, None when it was let in."""
    line = json.dumps({"name": name, "password": password, "address": address}).encode()
    return broker.answer(line).get("reason")


def lock(broker: TokenBroker, address: str = "192.0.2.1") -> None:
    assert [attempt(broker, "wrong", address) for _ in range(FREE_FAILURES)] == ["SIGN_IN_FAILED"] * FREE_FAILURES


def test_an_address_that_keeps_failing_waits_even_with_the_right_password(broker: TokenBroker) -> None:
    lock(broker)
    assert attempt(broker, PASSWORD) == "SIGN_IN_LOCKED"


def test_who_guesses_at_an_account_keeps_its_owner_at_another_address_not_out(
    broker: TokenBroker, store: Store
) -> None:
    add(store, "kim")
    lock(broker)
    assert attempt(broker, PASSWORD, "192.0.2.2") is None
    assert attempt(broker, PASSWORD, name="kim") is None
    assert attempt(broker, PASSWORD) == "SIGN_IN_LOCKED"


def test_the_addresses_of_one_ipv6_network_are_one_visitor(broker: TokenBroker) -> None:
    lock(broker, "2001:db8::1")
    assert attempt(broker, PASSWORD, "2001:db8::2:3") == "SIGN_IN_LOCKED"
    assert attempt(broker, PASSWORD, "2001:db8:1::1") is None


def test_a_locked_person_is_unlocked_by_the_command_line(
    broker: TokenBroker, signing: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RAG_HOME", str(signing.home))
    monkeypatch.setenv("RAG_DATABASE_URL", signing.effective_database_url)
    lock(broker)
    assert run(["account", "unlock", "lin"]) == 0
    assert attempt(broker, PASSWORD) is None
    lock(broker)
    assert attempt(broker, PASSWORD) == "SIGN_IN_LOCKED"
    assert run(["account", "unlock", "nobody"]) == Exit.NOT_FOUND
    assert "ACCOUNT_NOT_FOUND" in capsys.readouterr().err


def test_a_new_password_changes_nothing_that_is_not_named(
    signing: Settings, store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RAG_HOME", str(signing.home))
    monkeypatch.setenv("RAG_DATABASE_URL", signing.effective_database_url)

    def added(*options: str) -> tuple[object, ...]:
        assert run(["account", "add", "kim", *options]) == 0
        kim = known(store)["kim"]
        return kim.role, kim.tenant, kim.groups, kim.platform

    made = (AccountRole.ADMIN, "acme", ("hr",), True)
    assert added("--tenant", "acme", "--role", "admin", "--group", "hr", "--platform") == made
    capsys.readouterr()
    assert added() == made
    assert "kim (admin, platform), password: " in capsys.readouterr().out
    assert added("--output", "json") == made
    shown = json.loads(capsys.readouterr().out)["data"]
    assert (shown["role"], shown["tenant"], shown["groups"], shown["platform"]) == ("admin", "acme", ["hr"], True)
    assert added("--role", "viewer", "--no-platform") == (AccountRole.VIEWER, "acme", ("hr",), False)
    assert added("--empty-group", "--tenant", "other") == (AccountRole.VIEWER, "other", (), False)
    assert run(["account", "add", "kim", "--tenant", ""]) == Exit.WRONG_INPUT
    assert known(store)["kim"].tenant == "other"


def test_an_address_may_try_again_after_the_wait() -> None:
    now = 1000.0
    attempts = Attempts(lambda: now)
    for _ in range(FREE_FAILURES):
        attempts.failed("a", "lin")
    with pytest.raises(Exhausted):
        attempts.check("a", "lin")
    now += LOCK_SECONDS + 1
    attempts.check("a", "lin")
    attempts.failed("a", "lin")
    with pytest.raises(Exhausted):
        attempts.check("a", "lin")


def test_one_account_of_ones_own_buys_no_guesses_at_many_others() -> None:
    attempts = Attempts(lambda: 1000.0)
    for number in range(FREE_FAILURES_OF_ADDRESS):
        attempts.check("a", f"name{number}")
        attempts.failed("a", f"name{number}")
        attempts.succeeded("a", "mine")
    with pytest.raises(Exhausted):
        attempts.check("a", "another")
    attempts.check("b", "another")


def test_a_password_that_was_changed_while_it_was_checked_signs_nobody_in(settings: Settings, store: Store) -> None:
    """The token would be newer than what ended all tokens of the account."""
    wanted, accounts = NewAccount("ann", AccountRole.VIEWER, "acme"), StoredAccounts(settings)
    with store.engine.begin() as connection:
        put_account(connection, wanted, "first password", actor="t", lifetime=60)
    found = accounts.find("ann")
    assert found is not None
    assert accounts.signed_in("ann", found[1][1])
    with store.engine.begin() as connection:
        put_account(connection, wanted, "second password", actor="t", lifetime=60)
    assert not accounts.signed_in("ann", found[1][1])
    accounts.close()
