"""Keys and tokens where no identity provider signs: for evaluation on one host.

The signing key stays in this container's own volume. What others may read is published to a shared folder: the public
keys, a token for the console, and one for the person who tries the platform.
"""

from __future__ import annotations

import signal
import threading
from pathlib import Path

from rag_core.settings import Settings
from ragctl.stack.token_keeper import RENEW_SECONDS
from ragctl.tokens import SCOPES, ensure_keys, mint_token, write_private

PUBLIC_KEYS = "jwks.json"


def publish(settings: Settings, folder: Path) -> None:
    """Make the key on first use, then write the public keys and fresh tokens into `folder`."""
    settings.secrets_dir.mkdir(parents=True, exist_ok=True)
    ensure_keys(settings)
    write_private(folder / PUBLIC_KEYS, settings.jwks_path.read_text("utf-8"))
    (folder / PUBLIC_KEYS).chmod(0o444)  # public, and read by the gateway, which is another user
    lifetime = settings.jwt_max_lifetime_seconds
    for name, subject in (("console-token", "console"), ("dev-token", "developer")):
        token = mint_token(settings, subject=subject, scopes=SCOPES, groups=(), lifetime=lifetime)
        write_private(folder / name, token + "\n")


def serve(settings: Settings, folder: str) -> None:
    """Publish at once, then every hour, until SIGTERM."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    pause = min(RENEW_SECONDS, settings.jwt_max_lifetime_seconds / 2)
    while True:
        publish(settings, Path(folder))
        if stop.wait(pause):
            return
