"""Exchange a name and password for an access token, over a Unix socket that only this user can open.

The console shows the sign-in form, and must not hold a key that could sign anything. One JSON line each way:
`{"name", "password", "address"}` -> `{"token", "role", "expires_in"}` or `{"reason"}`. `address` is the visitor's.
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
from typing import TYPE_CHECKING

from rag_core.errors import Exhausted, InvalidInput, RagError, Reason
from ragctl.local_stack.accounts import Accounts
from ragctl.tokens import mint_token

if TYPE_CHECKING:
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


class TokenBroker(socketserver.ThreadingUnixStreamServer):
    """The server. `shutdown` and `server_close` end it."""

    daemon_threads = True
    request_queue_size = 32

    def __init__(self, path: Path, settings: Settings, accounts: Accounts) -> None:
        """Listen at `path`, in place of a socket that a killed process left."""
        path.unlink(missing_ok=True)
        before = os.umask(0o177)
        try:
            super().__init__(str(path), _Handler)
        finally:
            os.umask(before)
        self._settings = settings
        self._accounts = accounts
        self._attempts = Attempts()

    def answer(self, line: bytes) -> dict[str, object]:
        """The reply to one request; never raises for what a client sent."""
        try:
            return self._sign_in(*_parse(line))
        except RagError as error:
            return {"reason": str(error.reason)}

    def _sign_in(self, name: str, password: str, address: str) -> dict[str, object]:
        known = self._accounts.all().get(name)
        self._attempts.check(address, name, unlocked_at=known.unlocked_at if known else 0.0)
        try:
            account = self._accounts.verify(name, password)
        except RagError:
            self._attempts.failed(address, name)
            raise
        self._attempts.succeeded(address, name)
        lifetime = min(SESSION_SECONDS, self._settings.jwt_max_lifetime_seconds)
        token = mint_token(
            self._settings,
            subject=account.name,
            tenant=account.tenant,
            scopes=account.scopes,
            groups=account.groups,
            lifetime=lifetime,
        )
        return {"token": token, "role": str(account.role), "expires_in": lifetime}


def _parse(line: bytes) -> tuple[str, str, str]:
    try:
        request = json.loads(line)
        name, password, address = request["name"], request["password"], request.get("address", "")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise InvalidInput(Reason.FIELD_INVALID, "send a name and a password") from None
    if not all(isinstance(text, str) for text in (name, password, address)) or len(name) > 64:
        raise InvalidInput(Reason.FIELD_INVALID, "send a name and a password")
    return name, password, _network(address)


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
