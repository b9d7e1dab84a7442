"""Console accounts and the broker that changes a password into a token."""

from __future__ import annotations

import base64
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import text

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
    code_at,
    create_account,
    find_account,
    list_accounts,
    list_token_revocations,
    put_account,
    put_second_factor,
    remove_account,
    step_of_code,
)
from rag_core.governance.access.second_factor import STEP_SECONDS
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
from ragctl.tokens import ensure_keys, second_factor_key_path
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
        assert password.encode() not in found[1].salt + found[1].password_hash
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
    ("name", "password"),
    [("Lin", PASSWORD), ("a b", PASSWORD), ("lin", "short"), ("lin", "x" * 300), ("lin", "x" * 30),
     ("lin", "Password123456!"), ("lin", "qwertyuiop1234"), ("linda", "linda-linda-2026"), ("lin", "abcabcabcabc1")],
)  # fmt: skip
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
        b'{"name": "a", "password": "b", "code": 123456}\n',
        b"[" * 4000 + b"\n",
    ],
)
def test_nonsense_gets_a_reason(broker: TokenBroker, line: bytes) -> None:
    assert exchange(broker, line) == {"reason": "FIELD_INVALID"}


def attempt(
    broker: TokenBroker, password: str, address: str = "192.0.2.1", name: str = "lin", code: str = ""
) -> object:
    """The reason of a refusal, None when it was let in."""
    line = json.dumps({"name": name, "password": password, "code": code, "address": address}).encode()
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
    assert accounts.signed_in("ann", found[1])
    with store.engine.begin() as connection:
        put_account(connection, wanted, "second password", actor="t", lifetime=60)
    assert not accounts.signed_in("ann", found[1])
    accounts.close()


@pytest.mark.parametrize(
    ("seconds", "code"), [(59, "287082"), (1111111109, "081804"), (2000000000, "279037"), (20000000000, "353130")]
)
def test_codes_are_those_of_rfc_6238(seconds: int, code: str) -> None:
    secret = b"12345678901234567890"  # the RFC's own, and the last six of its eight digits
    assert code_at(secret, seconds // STEP_SECONDS) == code
    assert step_of_code(secret, f"{code[:3]} {code[3:]}", seconds) == seconds // STEP_SECONDS
    assert step_of_code(secret, code, seconds + 3 * STEP_SECONDS) is None


@pytest.fixture
def command(
    signing: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Any]:
    """Runs a `rag account` command and returns its data."""
    monkeypatch.setenv("RAG_HOME", str(signing.home))
    monkeypatch.setenv("RAG_DATABASE_URL", signing.effective_database_url)

    def call(*arguments: str) -> Any:
        capsys.readouterr()
        assert run(["account", *arguments, "--output", "json"]) == 0
        return json.loads(capsys.readouterr().out)["data"]

    return call


def secret_of(shown: dict[str, str]) -> bytes:
    return base64.b32decode(shown["key"])


def test_an_account_with_a_second_factor_is_opened_once_by_each_code(
    broker: TokenBroker, command: Callable[..., Any]
) -> None:
    assert attempt(broker, PASSWORD) is None
    shown = command("second-factor", "lin")
    assert parse_qs(urlsplit(shown["uri"]).query)["secret"] == [shown["key"]]
    secret, step = secret_of(shown), int(time.time()) // STEP_SECONDS
    right, following = code_at(secret, step), code_at(secret, step + 1)
    refused = {attempt(broker, PASSWORD), attempt(broker, PASSWORD, code="12345６"), attempt(broker, "x", code=right)}
    assert refused == {"SIGN_IN_FAILED"}
    assert attempt(broker, PASSWORD, code=right) is None
    assert attempt(broker, PASSWORD, code=right) == "SIGN_IN_FAILED"
    assert attempt(broker, PASSWORD, code=following) is None
    assert attempt(broker, PASSWORD, code=right) == "SIGN_IN_FAILED"  # older than one that was used


def test_a_new_password_keeps_the_second_factor_and_only_the_command_takes_it_away(
    broker: TokenBroker, command: Callable[..., Any], store: Store
) -> None:
    before = secret_of(command("second-factor", "lin"))
    secret = secret_of(command("second-factor", "lin"))
    password = command("add", "lin")["password"]
    assert known(store)["lin"].second_factor
    step = int(time.time()) // STEP_SECONDS
    assert attempt(broker, password, code=code_at(before, step)) == "SIGN_IN_FAILED"
    assert attempt(broker, password, code=code_at(secret, step)) is None
    assert command("second-factor", "lin", "--remove") == {"name": "lin", "second_factor": False}
    assert attempt(broker, password) is None
    assert [account["second_factor"] for account in command("list")] == [False]


def test_guesses_at_codes_wait_whatever_their_address(broker: TokenBroker, command: Callable[..., Any]) -> None:
    secret = secret_of(command("second-factor", "lin"))
    guesses = [attempt(broker, PASSWORD, f"192.0.2.{number}", code="x") for number in range(FREE_FAILURES + 1)]
    assert guesses == ["SIGN_IN_FAILED"] * FREE_FAILURES + ["SIGN_IN_LOCKED"]
    command("unlock", "lin")
    code = code_at(secret, int(time.time()) // STEP_SECONDS)
    assert attempt(broker, PASSWORD, "192.0.2.99", code=code) is None


def test_the_database_alone_gives_no_codes_and_no_others(
    broker: TokenBroker, command: Callable[..., Any], store: Store, signing: Settings
) -> None:
    add(store, "kim")
    secrets = {name: secret_of(command("second-factor", name)) for name in ("lin", "kim")}
    assert second_factor_key_path(signing).stat().st_mode & 0o077 == 0
    with store.engine.begin() as connection:
        sealed = {name: find_account(connection, name)[1].second_factor or b"" for name in secrets}  # type: ignore[index]
        put_second_factor(connection, "lin", sealed["kim"], actor="a/b", lifetime=60)
    assert all(secret not in sealed[name] for name, secret in secrets.items())
    code = code_at(secrets["kim"], int(time.time()) // STEP_SECONDS)
    assert attempt(broker, PASSWORD, code=code) == "SECRET_MISSING"


def test_a_rotated_key_opens_the_second_factors_that_the_old_one_sealed_and_the_old_one_none(
    broker: TokenBroker, command: Callable[..., Any], store: Store, signing: Settings
) -> None:
    secret, key = secret_of(command("second-factor", "lin")), second_factor_key_path(signing)
    add(store, "kim")  # who has none
    old, step = key.read_bytes(), int(time.time()) // STEP_SECONDS
    for number, action in enumerate(("rotate", "retire")):
        assert run(["secret", action, "second-factor"]) == 0
        assert attempt(broker, PASSWORD, code=code_at(secret, step + number)) is None
    with store.engine.connect() as connection:
        assert "account.second_factor.reseal" in connection.execute(text("SELECT action FROM rag.audit")).scalars()
    key.write_bytes(old)
    assert attempt(broker, PASSWORD, code=code_at(secret, step)) == "SECRET_MISSING"


def test_a_second_factor_ends_what_is_open_and_is_audited(command: Callable[..., Any], lin: None, store: Store) -> None:
    command("second-factor", "lin")
    with store.engine.connect() as connection:
        revoked = [one.subject for one in list_token_revocations(connection)]
        actions = connection.execute(text("SELECT action FROM rag.audit ORDER BY id DESC LIMIT 2")).scalars().all()
    assert revoked == ["lin"]
    assert "account.second_factor.add" in actions
