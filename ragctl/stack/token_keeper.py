"""`python -m ragctl.stack.token_keeper`: the one part that signs: it keeps the developer's token file valid, and gives
people who sign in to the console a token of their role.
"""

from __future__ import annotations

import signal
import threading

from rag_core.settings import Settings
from ragctl.stack.accounts import Accounts
from ragctl.stack.home import Home
from ragctl.stack.token_broker import TokenBroker
from ragctl.tokens import SCOPES, mint_token, write_private

RENEW_SECONDS = 3600.0


def renew(settings: Settings, home: Home) -> None:
    """Write a fresh token for the developer, valid for as long as the server accepts at most."""
    lifetime = settings.jwt_max_lifetime_seconds
    write_private(home.dev_token, mint_token(settings, subject="developer", scopes=SCOPES, lifetime=lifetime) + "\n")


def main() -> None:
    """Renew at once, then every hour (sooner when tokens live shorter), until SIGTERM."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    settings = Settings.load()
    home = Home.of(settings)
    broker = TokenBroker(home.token_socket, settings, Accounts(home.accounts_file))
    threading.Thread(target=broker.serve_forever, name="broker", daemon=True).start()
    pause = min(RENEW_SECONDS, settings.jwt_max_lifetime_seconds / 2)
    while True:
        renew(settings, home)
        if stop.wait(pause):
            broker.shutdown()
            broker.server_close()
            return


if __name__ == "__main__":
    main()
