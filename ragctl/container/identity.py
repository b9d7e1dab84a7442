"""Keys and tokens without an identity provider: for evaluation on one host.

The signing key stays in this container's own volume. The public keys go to a folder that verifiers of tokens read,
tokens to another one that only the console shares: its token gives the rights of a platform admin.
"""

from __future__ import annotations

import signal
import threading
from pathlib import Path

from rag_core.governance.access import PLATFORM_SCOPE
from rag_core.settings import Settings
from ragctl.local_stack.token_keeper import RENEW_SECONDS
from ragctl.tokens import SCOPES, ensure_keys, mint_token, write_private

PUBLIC_KEYS = "jwks.json"


def publish(settings: Settings, tokens: Path, keys: Path) -> None:
    """Make the key on first use, then write fresh tokens into `tokens` and the public keys into `keys`."""
    settings.secrets_dir.mkdir(parents=True, exist_ok=True)
    ensure_keys(settings)
    write_private(keys / PUBLIC_KEYS, settings.jwks_path.read_text("utf-8"))
    (keys / PUBLIC_KEYS).chmod(0o444)  # public, and read by the gateway, which is another user
    lifetime = settings.jwt_max_lifetime_seconds
    # This console has no sign-in: every visitor operates the platform.
    for name, subject, scopes in (
        ("console-token", "console", (*SCOPES, PLATFORM_SCOPE)),
        ("dev-token", "developer", SCOPES),
    ):
        token = mint_token(settings, subject=subject, scopes=scopes, groups=(), lifetime=lifetime)
        write_private(tokens / name, token + "\n")


def serve(settings: Settings, tokens: str, keys: str) -> None:
    """Publish at once, then every hour, until SIGTERM."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    pause = min(RENEW_SECONDS, settings.jwt_max_lifetime_seconds / 2)
    while True:
        publish(settings, Path(tokens), Path(keys))
        if stop.wait(pause):
            return
