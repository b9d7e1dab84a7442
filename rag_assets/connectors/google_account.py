"""Service accounts of Google: the key of one, and the tokens that it is exchanged for."""

from __future__ import annotations

import json
import time
from typing import Final, Literal

from pydantic import Field

from rag_assets.connectors.auth import token_of
from rag_assets.connectors.fields import Model, Url
from rag_core.content.sources import SecretRef
from rag_core.errors import ConfigError, Reason
from rag_core.http_client import Fetcher

_TOKENS: Final = "https://oauth2.googleapis.com/token"
_GRANT: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"


class ServiceAccountKey(Model):
    """The JSON key of a service account that may read the documents, by reference."""

    type: Literal["service_account"]
    key: SecretRef = Field(description="The JSON key: a file, or a variable with its text.")
    token_url: Url = Field(_TOKENS, description="Where the key is exchanged for a token.")


class GoogleAccount:
    """Tokens for the key of a service account, which signs the request for one (RFC 7523)."""

    def __init__(self, login: ServiceAccountKey, fetcher: Fetcher, scope: str, subject: str | None = None) -> None:
        """`scope` has scopes with blanks between them; `subject` is the user whom the account acts for, if any."""
        self._login, self._fetcher = login, fetcher
        self._claims = {"scope": scope} | ({"sub": subject} if subject else {})
        self._token: tuple[str, float] | None = None

    def headers(self) -> dict[str, str]:
        """Return the header. Raises `ConfigError` (`SECRET_WEAK`, `SECRET_MISSING`) and `Unavailable`
        (`ACCESS_REFUSED`, …)."""
        if self._token is None or time.monotonic() >= self._token[1]:
            form = {"grant_type": _GRANT, "assertion": self._assertion()}
            self._token = token_of(self._fetcher.post_form(self._login.token_url, form))
        return {"authorization": f"Bearer {self._token[0]}"}

    def renew(self) -> bool:
        """Forget a token that was refused; true when there may be another one."""
        had, self._token = self._token, None
        return had is not None

    def _assertion(self) -> str:
        import jwt  # for the sources that sign in so: options of all kinds are read with this module

        now = int(time.time())
        try:
            key = json.loads(self._login.key.read().get_secret_value())
            claims = self._claims | {"iss": key["client_email"], "aud": self._login.token_url}
            named = {"kid": str(key.get("private_key_id") or "")}
            return jwt.encode(claims | {"iat": now, "exp": now + 3600}, key["private_key"], "RS256", named)
        except (ValueError, KeyError, TypeError, jwt.PyJWTError):
            message = "credentials.key: the secret is no JSON key of a service account"
            raise ConfigError(Reason.SECRET_WEAK, message) from None
