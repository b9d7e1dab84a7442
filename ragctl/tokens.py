"""Keys and tokens of the local stack. In production an identity provider signs, and only its JWKS is configured."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from rag_core.errors import ConfigError, InvalidInput, Reason
from rag_core.files import replace_file

if TYPE_CHECKING:
    from rag_core.settings import Settings
    from ragctl.call_settings import CallSettings

SCOPES = ("query.read", "documents.read", "documents.write", "admin")
"""Scopes of the developer's token: everything in its tenant."""
DEFAULT_TENANT = "default"
DAY_SECONDS = 86_400
SETTLE_SECONDS = 3.0
"""Longer than the server and the gateway take to see a changed key file."""


def ensure_keys(settings: Settings) -> None:
    """Create the signing key and the JWKS file unless they exist or the keys come from elsewhere. Idempotent."""
    from rag_core.governance.access import generate_key

    if settings.jwt_public_keys is not None or settings.jwt_jwks_url is not None:
        return
    if signing_key_path(settings).exists() and settings.jwks_path.exists():
        return
    private_pem, jwks = generate_key()
    # The public half first: a key that signs what nobody can verify would be worse than a key that is not there yet.
    write_private(settings.jwks_path, json.dumps(jwks, indent=2) + "\n")
    write_private(signing_key_path(settings), private_pem)


def rotate_keys(settings: Settings, *, settle: float = SETTLE_SECONDS) -> list[str]:
    """Create a new signing key; the old ones still verify. Returns the key ids, the new one last.

    Between publishing and using it `settle` seconds pass.

    Raises `ConfigError` (`SECRET_MISSING`) where the keys are not ours.
    """
    from rag_core.governance.access import generate_key

    known = _own_keys(settings)
    private_pem, jwks = generate_key()
    keys = [*known, *jwks["keys"]]
    write_private(settings.jwks_path, json.dumps({"keys": keys}, indent=2) + "\n")
    time.sleep(settle)  # every verifier has read the file by then, so no token of the new key is refused
    write_private(signing_key_path(settings), private_pem)
    return [key["kid"] for key in keys]


def retire_keys(settings: Settings) -> list[str]:
    """Keep only the newest key. Returns its id. Raises as `rotate_keys`."""
    newest = _own_keys(settings)[-1:]
    write_private(settings.jwks_path, json.dumps({"keys": newest}, indent=2) + "\n")
    return [key["kid"] for key in newest]


def _own_keys(settings: Settings) -> list[dict[str, str]]:
    if settings.jwt_public_keys is not None or settings.jwt_jwks_url is not None:
        raise ConfigError(Reason.CONFIG_INVALID, "the keys come from an identity provider; rotate them there")
    if not signing_key_path(settings).exists():
        raise ConfigError(Reason.SECRET_MISSING, "no signing key here: run `rag up` first")
    keys: list[dict[str, str]] = json.loads(settings.jwks_path.read_text("utf-8"))["keys"]
    return keys


def known_scopes() -> tuple[str, ...]:
    """Every scope that opens something."""
    from query_server.auth.policies import SCOPES as KNOWN

    return tuple(sorted(KNOWN))


def require_known_scopes(scopes: Iterable[str]) -> None:
    """Raise `InvalidInput` (`FIELD_INVALID`) for a scope that opens nothing, and for none at all."""
    wanted = set(scopes)
    unknown = sorted(wanted - set(known_scopes()))
    if unknown or not wanted:
        raise InvalidInput(Reason.FIELD_INVALID, f"scope: unknown {unknown}; there are {', '.join(known_scopes())}")


def mint_token(
    settings: CallSettings | Settings,
    *,
    subject: str,
    tenant: str = DEFAULT_TENANT,
    scopes: Iterable[str] = ("query.read",),
    groups: Iterable[str] = (),
    lifetime: int = DAY_SECONDS,
) -> str:
    """Sign an access token that the local query server accepts. `lifetime` is in seconds.

    Raises `ConfigError`: `SECRET_MISSING` without a signing key, `CONFIG_RANGE` for a lifetime the server would refuse.
    """
    from rag_core.governance.access import mint

    if not 1 <= lifetime <= settings.jwt_max_lifetime_seconds:
        raise ConfigError(Reason.CONFIG_RANGE, f"lifetime must be 1 to {settings.jwt_max_lifetime_seconds} seconds")
    try:
        private_pem = signing_key_path(settings).read_text("ascii")
    except FileNotFoundError:
        raise ConfigError(
            Reason.SECRET_MISSING,
            "no signing key here: run `rag up` first, or ask your identity provider when RAG_JWT_PUBLIC_KEYS is set",
        ) from None
    return mint(
        private_pem,
        subject=subject,
        tenant=tenant,
        issuer=settings.jwt_issuer,
        audience=settings.jwt_audience,
        scopes=scopes,
        groups=groups,
        lifetime=lifetime,
    )


def signing_key_path(settings: CallSettings | Settings) -> Path:
    """Return the path of the local private key."""
    return settings.secrets_dir / "jwt-private.pem"


def second_factor_key_path(settings: Settings) -> Path:
    """Return the path of the key that seals the second factors of local accounts."""
    return settings.secrets_dir / "second-factor-key"


def new_secret() -> str:
    """A random secret of 256 bits."""
    return secrets.token_urlsafe(32)


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    replace_file(path, text.encode(), mode=0o600)
