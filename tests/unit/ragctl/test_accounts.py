"""Console accounts and the broker that changes a password into a token."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag_core.access import TokenRules, TokenVerifier
from rag_core.errors import ConfigError, Exhausted, InvalidInput, NotFound, Unauthenticated
from rag_core.exit_codes import Exit
from rag_core.settings import Settings
from ragctl.app import run
from ragctl.local_stack.accounts import SCOPES, Accounts, Role
from ragctl.local_stack.token_broker import FREE_FAILURES, FREE_FAILURES_OF_ADDRESS, LOCK_SECONDS, Attempts, TokenBroker
from ragctl.tokens import ensure_keys

PASSWORD = "correct horse battery"


@pytest.fixture
def accounts(tmp_path: Path) -> Accounts:
    found = Accounts(tmp_path / "accounts.json")
    found.add("lin", Role.OPERATOR, PASSWORD, groups=("hr",))
    return found


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made = Settings(home=tmp_path)
    made.secrets_dir.mkdir()
    ensure_keys(made)
    return made


@pytest.fixture
def broker(tmp_path: Path, settings: Settings, accounts: Accounts) -> Iterator[TokenBroker]:
    server = TokenBroker(tmp_path / "sock", settings, accounts)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join(10)


def test_the_first_account_is_made_once_and_its_password_is_stored_nowhere(tmp_path: Path) -> None:
    found = Accounts(tmp_path / "accounts.json")
    password = found.create_first()
    assert password is not None
    assert found.create_first() is None
    assert password not in found.path.read_text()
    assert found.path.stat().st_mode & 0o077 == 0
    assert found.verify("admin", password).role is Role.ADMIN


def test_the_first_account_acts_on_the_platform_and_others_only_when_they_are_reported_to(tmp_path: Path) -> None:
    found = Accounts(tmp_path / "accounts.json")
    found.create_first()
    found.add("lin", Role.ADMIN, PASSWORD)
    found.add("kim", Role.VIEWER, PASSWORD, platform=True)
    scopes = {name: set(account.scopes) for name, account in found.all().items()}
    assert scopes == {
        "admin": {"query.read", "documents.write", "admin", "platform.admin"},
        "lin": {"query.read", "documents.write", "admin"},
        "kim": {"query.read", "ops.read", "platform.admin"},
    }


def test_in_a_file_of_an_earlier_release_only_the_first_account_keeps_the_platform(tmp_path: Path) -> None:
    found = Accounts(tmp_path / "accounts.json")
    found.create_first()
    found.add("lin", Role.ADMIN, PASSWORD)
    rows = json.loads(found.path.read_text())
    found.path.write_text(json.dumps([{key: row[key] for key in row.keys() - {"platform"}} for row in rows]))
    assert {name: account.platform for name, account in found.all().items()} == {"admin": True, "lin": False}
    found.add("admin", Role.VIEWER, PASSWORD)
    assert not found.all()["admin"].platform


def test_a_wrong_name_and_a_wrong_password_look_the_same(accounts: Accounts) -> None:
    said = set()
    for name, password in (("lin", "wrong"), ("nobody", PASSWORD), ("", "")):
        with pytest.raises(Unauthenticated) as caught:
            accounts.verify(name, password)
        said.add(str(caught.value))
    assert said == {"SIGN_IN_FAILED: name or password is wrong"}


def test_an_account_is_replaced_and_removed(accounts: Accounts) -> None:
    accounts.add("lin", Role.VIEWER, "another password")
    with pytest.raises(Unauthenticated):
        accounts.verify("lin", PASSWORD)
    assert accounts.verify("lin", "another password").role is Role.VIEWER
    accounts.remove("lin")
    with pytest.raises(NotFound):
        accounts.remove("lin")


@pytest.mark.parametrize(
    ("name", "password"), [("Lin", PASSWORD), ("a b", PASSWORD), ("lin", "short"), ("lin", "x" * 300)]
)
def test_a_name_or_password_that_will_not_do_is_refused(accounts: Accounts, name: str, password: str) -> None:
    with pytest.raises(InvalidInput):
        accounts.add(name, Role.VIEWER, password)


def test_a_damaged_file_admits_nobody_and_says_so(accounts: Accounts) -> None:
    accounts.path.write_text("{")
    with pytest.raises(ConfigError, match="damaged"):
        accounts.verify("lin", PASSWORD)


def exchange(broker: TokenBroker, line: bytes) -> dict[str, object]:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(str(broker.server_address))
        connection.sendall(line)
        with connection.makefile("rb") as reader:
            return dict(json.loads(reader.readline()))


def test_a_person_gets_a_token_with_the_scopes_of_the_role(broker: TokenBroker, settings: Settings) -> None:
    reply = exchange(broker, json.dumps({"name": "lin", "password": PASSWORD}).encode() + b"\n")
    verifier = TokenVerifier(settings.jwks_path, TokenRules(settings.jwt_issuer, settings.jwt_audience, 86_400, 0))
    caller = verifier.verify(str(reply["token"]))
    assert (caller.subject, caller.tenant, caller.groups) == ("lin", "default", ("hr",))
    assert caller.scopes == set(SCOPES[Role.OPERATOR])
    assert "admin" not in caller.scopes


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
    broker: TokenBroker, accounts: Accounts
) -> None:
    accounts.add("kim", Role.VIEWER, PASSWORD)
    lock(broker)
    assert attempt(broker, PASSWORD, "192.0.2.2") is None
    assert attempt(broker, PASSWORD, name="kim") is None
    assert attempt(broker, PASSWORD) == "SIGN_IN_LOCKED"


def test_the_addresses_of_one_ipv6_network_are_one_visitor(broker: TokenBroker) -> None:
    lock(broker, "2001:db8::1")
    assert attempt(broker, PASSWORD, "2001:db8::2:3") == "SIGN_IN_LOCKED"
    assert attempt(broker, PASSWORD, "2001:db8:1::1") is None


def test_a_locked_admin_is_unlocked_by_the_command_line(
    broker: TokenBroker, accounts: Accounts, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("ragctl.commands.account._accounts", lambda: accounts)
    lock(broker)
    assert run(["account", "unlock", "lin"]) == 0
    assert attempt(broker, PASSWORD) is None
    lock(broker)
    assert attempt(broker, PASSWORD) == "SIGN_IN_LOCKED"
    assert run(["account", "unlock", "nobody"]) == Exit.NOT_FOUND
    assert "ACCOUNT_NOT_FOUND" in capsys.readouterr().err


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
