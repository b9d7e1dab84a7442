"""Address and key of a model server as the settings give them: for embeddings, reranking and chat alike."""

from __future__ import annotations

import httpx
from pydantic import SecretStr

from rag_core.errors import ConfigError, InvalidInput, Reason
from rag_core.http_client.policy import FetchPolicy


def check_endpoint(name: str, url: str | None, key: SecretStr | None) -> tuple[str, dict[str, str]]:
    """Return the URL of the settings `NAME_URL`, and the headers that carry `NAME_API_KEY`. Raises `ConfigError`."""
    address = url or ""
    if _holds_password(address):
        raise ConfigError(Reason.SECRET_INLINE_FORBIDDEN, f"{name}_URL holds a password; use {name}_API_KEY")
    try:
        FetchPolicy.for_endpoint(address).check_url(address)
    except InvalidInput as error:
        raise ConfigError(Reason.CONFIG_INVALID, f"{name}_URL: {error.message}") from None
    secret = key.get_secret_value() if key else ""
    if not (secret.isascii() and (secret.isprintable() or not secret)):
        raise ConfigError(Reason.CONFIG_INVALID, f"{name}_API_KEY holds characters that no HTTP header can carry")
    return address, {"authorization": f"Bearer {secret}"} if secret else {}


def _holds_password(url: str) -> bool:
    try:
        return bool(httpx.URL(url).userinfo)
    except httpx.InvalidURL:
        return False
