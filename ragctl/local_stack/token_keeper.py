"""`python -m ragctl.local_stack.token_keeper`: keep token files valid, and the gateway's keys up to date.

The console must not hold a key that could sign anything, so it reads a token from a file, and this service renews the
file long before the token in it expires. When the signing key was changed, tokens and the gateway follow. People who
sign in to the console get a token of their role here.
"""

from __future__ import annotations

import json
import signal
import threading
import time
from pathlib import Path

from rag_core.errors import RagError
from rag_core.settings import Settings
from ragctl.local_stack.data_dir import DataDir
from ragctl.local_stack.token_broker import StoredAccounts, TokenBroker
from ragctl.tokens import SCOPES, mint_token, write_private

RENEW_SECONDS = 3600.0
KEYS_SECONDS = 1.0
"""Interval between two reads of the key file."""


def renew(settings: Settings, data_dir: DataDir) -> None:
    """Write a fresh token for the developer, valid for as long as the server accepts at most."""
    lifetime = settings.jwt_max_lifetime_seconds
    write_private(
        data_dir.dev_token, mint_token(settings, subject="developer", scopes=SCOPES, lifetime=lifetime) + "\n"
    )


def keep_gateway_keys(settings: Settings, data_dir: DataDir) -> None:
    """Give the gateway the keys of the JWKS file. A file that is no key set just now changes nothing."""
    from ragctl.gateway.live import apply

    try:
        apply(settings, data_dir.gateway)
    except RagError as error:
        print(json.dumps({"event": "gateway keys not changed", "reason": error.reason}), flush=True)


def main() -> None:
    """Renew at once, then every hour (sooner for short-lived tokens), until SIGTERM; poll for new keys meanwhile."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    settings = Settings.load()
    data_dir = DataDir.of(settings)
    broker = TokenBroker(data_dir.token_socket, settings, StoredAccounts(settings))
    threading.Thread(target=broker.serve_forever, name="broker", daemon=True).start()
    pause = min(RENEW_SECONDS, settings.jwt_max_lifetime_seconds / 2)
    seen, due = _stamp(settings.jwks_path), 0.0
    while True:
        if time.monotonic() >= due:
            renew(settings, data_dir)
            due = time.monotonic() + pause
        if stop.wait(KEYS_SECONDS):
            broker.shutdown()
            broker.server_close()
            broker.accounts.close()
            return
        now = _stamp(settings.jwks_path)
        if now != seen:
            seen, due = now, 0.0
            keep_gateway_keys(settings, data_dir)


def _stamp(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


if __name__ == "__main__":
    main()
