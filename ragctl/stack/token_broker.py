"""Changes a name and password into an access token, over a Unix socket that only this user can open.

The console shows the sign-in form, and must not hold a key that could sign anything. One JSON line each way:
`{"name", "password"}` -> `{"token", "role", "expires_in"}` or `{"reason"}`.
"""

from __future__ import annotations

import json
import os
import socketserver
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from rag_core.errors import Exhausted, InvalidInput, RagError, Reason
from ragctl.stack.accounts import Accounts
from ragctl.tokens import mint_token

if TYPE_CHECKING:
    from rag_core.settings import Settings

SESSION_SECONDS = 12 * 3600
MAX_REQUEST_BYTES = 4096
CLIENT_SECONDS = 5
FREE_FAILURES = 5
LOCK_SECONDS = 30.0
MAX_NAMES = 1000


class Attempts:
    """Counts failures by name: after five in a row a name waits, so that passwords cannot be guessed quickly."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: dict[str, tuple[int, float]] = {}
        self._lock = threading.Lock()

    def check(self, name: str) -> None:
        """Raise `Exhausted` (`SIGN_IN_LOCKED`) while a name has to wait."""
        with self._lock:
            failures, last = self._failures.get(name, (0, 0.0))
        if failures >= FREE_FAILURES and self._clock() < last + LOCK_SECONDS:
            raise Exhausted(Reason.SIGN_IN_LOCKED, f"too many failures; wait {LOCK_SECONDS:.0f} seconds")

    def failed(self, name: str) -> None:
        """Count a failure. The longest known names are forgotten, so that made-up ones cannot fill the memory."""
        with self._lock:
            failures, _ = self._failures.pop(name, (0, 0.0))
            self._failures[name] = (failures + 1, self._clock())
            if len(self._failures) > MAX_NAMES:
                self._failures.pop(next(iter(self._failures)))

    def succeeded(self, name: str) -> None:
        """Forget the failures of a name."""
        with self._lock:
            self._failures.pop(name, None)


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

    def _sign_in(self, name: str, password: str) -> dict[str, object]:
        self._attempts.check(name)
        try:
            account = self._accounts.verify(name, password)
        except RagError:
            self._attempts.failed(name)
            raise
        self._attempts.succeeded(name)
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


def _parse(line: bytes) -> tuple[str, str]:
    try:
        request = json.loads(line)
        name, password = request["name"], request["password"]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise InvalidInput(Reason.FIELD_INVALID, "send a name and a password") from None
    if not isinstance(name, str) or not isinstance(password, str) or len(name) > 64:
        raise InvalidInput(Reason.FIELD_INVALID, "send a name and a password")
    return name, password


class _Handler(socketserver.StreamRequestHandler):
    timeout = CLIENT_SECONDS
    server: TokenBroker

    def handle(self) -> None:
        try:
            line = self.rfile.readline(MAX_REQUEST_BYTES)
        except OSError:
            return  # it sent nothing in time
        self.wfile.write(json.dumps(self.server.answer(line)).encode() + b"\n")
