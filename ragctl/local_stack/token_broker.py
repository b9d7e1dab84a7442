"""Exchange a name and password for an access token, over a Unix socket that only this user can open.

The console shows the sign-in form, and must not hold a key that could sign anything. One JSON line each way:
`{"name", "password", "code", "address"}` -> `{"token", "role", "expires_in"}` or `{"reason"}`. `address` is the
visitor's; `code` that of an authenticator app, where the account has one.
"""

from __future__ import annotations

import json
import os
import socketserver
import threading
import time
from collections.abc import Callable
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from rag_core import database
from rag_core.errors import Exhausted, InvalidInput, RagError, Reason, Unauthenticated
from rag_core.governance import access
from rag_core.lazy import locked_property
from ragctl.tokens import mint_token, second_factor_key_path

if TYPE_CHECKING:
    from rag_core.database import Store
    from rag_core.governance.access import Account, AccountSecrets
    from rag_core.settings import Settings

SESSION_SECONDS = 12 * 3600
MAX_REQUEST_BYTES = 4096
CLIENT_SECONDS = 5
FREE_FAILURES = 5
FREE_FAILURES_OF_ADDRESS = 50
LOCK_SECONDS = 30.0
FORGET_SECONDS = 900.0
MAX_COUNTED = 1000
_Key = tuple[str, str]


class Attempts:
    """Counts failures in a row, so that passwords cannot be guessed quickly.

    After five an address waits for that account, and after fifty for any. Nobody at another address waits: who guesses
    at an account must not keep its owner out.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._failures: dict[_Key, tuple[int, float]] = {}
        self._lock = threading.Lock()

    def check(self, address: str, name: str, *, unlocked_at: float = 0.0) -> None:
        """Raise `Exhausted` (`SIGN_IN_LOCKED`) while an address has to wait; failures before `unlocked_at` are void."""
        with self._lock:
            for key, free in ((address, name), FREE_FAILURES), ((address, ""), FREE_FAILURES_OF_ADDRESS):
                failures, last = self._failures.get(key, (0, 0.0))
                if last < max(unlocked_at, self._clock() - FORGET_SECONDS):
                    self._failures.pop(key, None)
                elif failures >= free and self._clock() < last + LOCK_SECONDS:
                    raise Exhausted(Reason.SIGN_IN_LOCKED, f"too many failures; wait {LOCK_SECONDS:.0f} seconds")

    def failed(self, address: str, name: str) -> None:
        """Count a failure. What was counted longest ago is forgotten, so that made-up names cannot fill the memory."""
        with self._lock:
            for key in ((address, name), (address, "")):
                failures, _ = self._failures.pop(key, (0, 0.0))
                self._failures[key] = (failures + 1, self._clock())
            while len(self._failures) > MAX_COUNTED:
                self._failures.pop(next(iter(self._failures)))

    def succeeded(self, address: str, name: str) -> None:
        """Forget the failures of an address with a name. Those with other names stand: one account of one's own must
        not buy guesses at others."""
        with self._lock:
            self._failures.pop((address, name), None)


class StoredAccounts:
    """The accounts in the database, which is opened at the first sign-in. Thread-safe.

    Raises `Unavailable` (`DATABASE_UNAVAILABLE`).
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._opened: list[Store] = []

    @locked_property
    def _store(self) -> Store:
        self._opened.append(database.open_store(self._settings))
        return self._opened[-1]

    def find(self, name: str) -> tuple[Account, AccountSecrets] | None:
        """The account of this name and what proves who signs in, or `None`."""
        with self._store.engine.connect() as connection:
            return access.find_account(connection, name)

    def signed_in(self, name: str, known: AccountSecrets, step: int | None = None) -> bool:
        """Record a sign-in; whether the account is still there, with these credentials, and the code unused."""
        with self._store.engine.begin() as connection:
            return access.record_sign_in(connection, name, known, step)

    def failed(self, name: str) -> None:
        """Record a wrong password or code."""
        with self._store.engine.begin() as connection:
            access.record_failure(connection, name)

    def close(self) -> None:
        """Close the connections."""
        for store in self._opened:
            store.close()


class TokenBroker(socketserver.ThreadingUnixStreamServer):
    """The server. `shutdown` and `server_close` end it."""

    daemon_threads = True
    request_queue_size = 32

    def __init__(self, path: Path, settings: Settings, accounts: StoredAccounts) -> None:
        """Listen at `path`, in place of a socket that a killed process left."""
        path.unlink(missing_ok=True)
        before = os.umask(0o177)
        try:
            super().__init__(str(path), _Handler)
        finally:
            os.umask(before)
        self._settings = settings
        self.accounts = accounts
        self._attempts = Attempts()

    def answer(self, line: bytes) -> dict[str, object]:
        """The reply to one request; never raises for what a client sent."""
        try:
            return self._sign_in(*_parse(line))
        except RagError as error:
            return {"reason": str(error.reason)}

    def _sign_in(self, name: str, password: str, code: str, address: str) -> dict[str, object]:
        found = self.accounts.find(name)
        unlocked = found[0].unlocked_at if found else None
        unlocked_at = unlocked.timestamp() if unlocked else 0.0
        self._attempts.check(address, name, unlocked_at=unlocked_at)
        # The same text and effort whatever was wrong.
        matches = access.password_matches(password, found[1] if found else None)
        if found is None or not matches:
            self._fail(address, name)
        account, known = found
        sealed = known.second_factor
        step = self._step_of(name, sealed, code, address, unlocked_at) if sealed is not None else None
        lifetime = min(SESSION_SECONDS, self._settings.jwt_max_lifetime_seconds)
        token = mint_token(
            self._settings,
            subject=account.name,
            tenant=account.tenant,
            scopes=account.scopes,
            groups=account.groups,
            lifetime=lifetime,
        )
        # After the token was made: one that is issued before an account is removed or changed ends with that.
        if not self.accounts.signed_in(name, known, step):
            self._fail(address, name)
        self._attempts.succeeded(address, name)
        self._attempts.succeeded(_of_codes(name), name)
        return {"token": token, "role": str(account.role), "expires_in": lifetime}

    def _step_of(self, name: str, sealed: bytes, code: str, address: str, unlocked_at: float) -> int:
        """The step of a code that is right. Guesses at it are counted for all addresses: they need the password."""
        self._attempts.check(_of_codes(name), name, unlocked_at=unlocked_at)
        secret = access.open_second_factor(second_factor_key_path(self._settings), sealed, name)
        step = access.step_of_code(secret, code, time.time())
        if step is None:
            self._attempts.failed(_of_codes(name), name)
            self._fail(address, name)
        return step

    def _fail(self, address: str, name: str) -> NoReturn:
        self._attempts.failed(address, name)
        self.accounts.failed(name)
        raise Unauthenticated(Reason.SIGN_IN_FAILED, "name, password or code is wrong")


def _of_codes(name: str) -> str:
    """The name that stands for every address in the count of an account's wrong codes."""
    return f"codes of {name}"


def _parse(line: bytes) -> tuple[str, str, str, str]:
    try:
        request = json.loads(line)
        name, password = request["name"], request["password"]
        code, address = request.get("code", ""), request.get("address", "")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise InvalidInput(Reason.FIELD_INVALID, "send a name and a password") from None
    if not all(isinstance(text, str) for text in (name, password, code, address)) or len(name) > 64:
        raise InvalidInput(Reason.FIELD_INVALID, "send a name and a password")
    return name, password, code, _network(address)


def _network(address: str) -> str:
    """The address, or of IPv6 its network: one visitor has a whole one."""
    try:
        found = ip_address(address)
    except ValueError:
        return ""
    return str(ip_network(f"{found}/64", strict=False)) if found.version == 6 else str(found)


class _Handler(socketserver.StreamRequestHandler):
    timeout = CLIENT_SECONDS
    server: TokenBroker

    def handle(self) -> None:
        try:
            line = self.rfile.readline(MAX_REQUEST_BYTES)
        except OSError:
            return  # it sent nothing in time
        self.wfile.write(json.dumps(self.server.answer(line)).encode() + b"\n")
