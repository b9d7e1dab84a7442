"""Authentication of a source at an HTTP service: bearer token, header, basic or OAuth 2.

Secrets are read when they are needed, so that a rotated one is used by the next run.
"""

from __future__ import annotations

import base64
import json
import time
from typing import Annotated, Literal

from pydantic import Field

from rag_assets.connectors.fields import HeaderName, Model, Plain, Url
from rag_core.content.sources import SecretRef
from rag_core.errors import ConfigError, Reason, Unavailable
from rag_core.http_client import Fetched, Fetcher

_EARLY_SECONDS = 30


class BearerAuth(Model):
    """`Authorization: Bearer …`."""

    type: Literal["bearer"]
    token: SecretRef


class HeaderAuth(Model):
    """A header of any name, such as `X-Api-Key`."""

    type: Literal["header"]
    name: HeaderName
    value: SecretRef


class BasicAuth(Model):
    """User name and password."""

    type: Literal["basic"]
    user: Plain
    password: SecretRef


class OAuth2Auth(Model):
    """A token from a token endpoint, by client credentials."""

    type: Literal["oauth2"]
    token_url: Url
    client_id: Plain
    client_secret: SecretRef
    scope: Plain | None = None
    audience: Plain | None = None


Auth = Annotated[BearerAuth | HeaderAuth | BasicAuth | OAuth2Auth, Field(discriminator="type")]


class ServiceCredentials:
    """The headers that identify us to one service. Used from one thread."""

    def __init__(self, auth: Auth | None, fetcher: Fetcher) -> None:
        self._auth = auth
        self._fetcher = fetcher
        self._token: tuple[str, float] | None = None

    def headers(self) -> dict[str, str]:
        """Raises `ConfigError` (`SECRET_MISSING`), and what `Fetcher.post_form` raises for a token endpoint."""
        auth = self._auth
        if auth is None:
            return {}
        if isinstance(auth, HeaderAuth):
            return {auth.name.lower(): _header_value(auth.value.read().get_secret_value())}
        if isinstance(auth, BasicAuth):
            return {"authorization": _basic(auth.user, auth.password.read().get_secret_value())}
        token = auth.token.read().get_secret_value() if isinstance(auth, BearerAuth) else self._oauth2(auth)
        return {"authorization": f"Bearer {_header_value(token)}"}

    def renew(self) -> bool:
        """Forget a token that was refused; true when there may be another one."""
        had, self._token = self._token, None
        return had is not None

    def _oauth2(self, auth: OAuth2Auth) -> str:
        if self._token is not None and time.monotonic() < self._token[1]:
            return self._token[0]
        form = {"grant_type": "client_credentials"}
        form |= {name: value for name in ("scope", "audience") if (value := getattr(auth, name))}
        basic = {"authorization": _basic(auth.client_id, auth.client_secret.read().get_secret_value())}
        self._token = token_of(self._fetcher.post_form(auth.token_url, form, credentials=basic))
        return self._token[0]


def token_of(answer: Fetched) -> tuple[str, float]:
    """Return the token that an endpoint gave, and until when it is used by `time.monotonic`.

    Raises `Unavailable` (`ACCESS_REFUSED`, `RESPONSE_INVALID`).
    """
    if answer.status != 200:
        raise Unavailable(Reason.ACCESS_REFUSED, f"the token endpoint answers with status {answer.status}")
    try:
        said = json.loads(answer.content)
        token, seconds = str(said["access_token"]), float(said.get("expires_in", 300))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Unavailable(Reason.RESPONSE_INVALID, "the token endpoint gave no token") from None
    return token, time.monotonic() + max(seconds - _EARLY_SECONDS, 1)


def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode("ascii")


def _header_value(secret: str) -> str:
    if not (secret.isascii() and secret.isprintable()):
        raise ConfigError(Reason.SECRET_WEAK, "a secret holds characters that no HTTP header can carry")
    return secret
