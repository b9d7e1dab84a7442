"""`python -m ragctl.stack.token_keeper`: keeps the console's and the developer's token files valid.

The console must not hold a key that could sign anything, so it reads a token from a file, and this part renews the
file long before the token in it expires.
"""

from __future__ import annotations

import signal
import threading

from rag_core.settings import Settings
from ragctl.stack.home import Home
from ragctl.tokens import SCOPES, mint_token, write_private

RENEW_SECONDS = 3600.0


def renew(settings: Settings, home: Home) -> None:
    """Write fresh tokens, valid for as long as the server accepts at most."""
    lifetime = settings.jwt_max_lifetime_seconds
    for path, subject in ((home.console_token, "console"), (home.dev_token, "developer")):
        write_private(path, mint_token(settings, subject=subject, scopes=SCOPES, lifetime=lifetime) + "\n")


def main() -> None:
    """Renew at once, then every hour (sooner when tokens live shorter), until SIGTERM."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    settings = Settings.load()
    home = Home.of(settings)
    pause = min(RENEW_SECONDS, settings.jwt_max_lifetime_seconds / 2)
    while True:
        renew(settings, home)
        if stop.wait(pause):
            return


if __name__ == "__main__":
    main()
