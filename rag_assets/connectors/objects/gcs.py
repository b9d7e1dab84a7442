"""Objects of a bucket by Google's JSON API: https://cloud.google.com/storage/docs/json_api.

Its fsspec backend opens connections of its own, past the guard of addresses; two operations are what a source needs.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote, urlencode

import jwt

from rag_assets.connectors.auth import BearerAuth, ServiceCredentials, token_of
from rag_assets.connectors.objects.listing import StoredObject, all_pages
from rag_assets.connectors.objects.options import GcsOptions, ServiceAccountKey
from rag_assets.connectors.objects.requests import StoreRequests, http_time
from rag_assets.connectors.outside import ConnectorContext
from rag_core.errors import ConfigError, Reason, Unavailable
from rag_core.http_client import Fetcher

_SCOPE: Final = "https://www.googleapis.com/auth/devstorage.read_only"
_GRANT: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_FIELDS: Final = "kind,nextPageToken,items(name,generation,size,updated,contentType)"


class GcsStore:
    """One bucket."""

    def __init__(self, options: GcsOptions, context: ConnectorContext) -> None:
        self._options = options
        self._requests = StoreRequests(options, context, f"the bucket {options.bucket}")
        self._url = f"{options.endpoint.rstrip('/')}/storage/v1/b/{quote(options.bucket, safe='')}/o"
        self._login = _login(options, self._requests.fetcher)

    def objects(self) -> Iterator[StoredObject]:
        return all_pages(self._page, self._requests.what)

    def read(self, key: str, tag: str) -> tuple[StoredObject, bytes]:
        answer = self._get(f"/{quote(key, safe='')}", {"alt": "media"})
        said = answer.headers
        generation, modified = said.get("x-goog-generation") or tag, http_time(said.get("last-modified"))
        found = StoredObject(key, generation, len(answer.content), modified, said.get("content-type", ""))
        return found, answer.content

    def close(self) -> None:
        """Close the connections. Idempotent."""
        self._requests.close()

    def _page(self, token: str | None) -> tuple[Iterator[StoredObject], str | None]:
        query = {"prefix": self._options.prefix, "pageToken": token or "", "fields": _FIELDS}
        try:
            page = json.loads(self._get("", {name: text for name, text in query.items() if text}).content)
            if page["kind"] != "storage#objects":
                raise ValueError(page["kind"])
            found = [_object(one) for one in page.get("items", ())]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            # A sign-in page of a proxy is no listing without objects, which would delete everything.
            message = f"{self._requests.what} answers with something that is no listing"
            raise Unavailable(Reason.RESPONSE_INVALID, message) from None
        return iter(found), page.get("nextPageToken") or None

    def _get(self, path: str, query: Mapping[str, str]) -> Any:
        payer = {"userProject": self._options.billing_project} if self._options.billing_project else {}
        text = urlencode({**query, **payer}, quote_via=quote, safe="")
        url = f"{self._url}{path}" + (f"?{text}" if text else "")
        return self._requests.get(url, lambda _: self._login.headers(), renew=self._login.renew)


def _object(said: Mapping[str, Any]) -> StoredObject:
    modified = datetime.fromisoformat(said["updated"]) if said.get("updated") else None
    return StoredObject(str(said["name"]), str(said["generation"]), int(said.get("size") or 0), modified)


def _login(options: GcsOptions, fetcher: Fetcher) -> ServiceCredentials | _ServiceAccount:
    login = options.credentials
    if isinstance(login, ServiceAccountKey):
        return _ServiceAccount(login, fetcher)
    return ServiceCredentials(login if isinstance(login, BearerAuth) else None, fetcher)


class _ServiceAccount:
    """Tokens for the key of a service account, which signs the request for one (RFC 7523)."""

    def __init__(self, login: ServiceAccountKey, fetcher: Fetcher) -> None:
        self._login, self._fetcher = login, fetcher
        self._token: tuple[str, float] | None = None

    def headers(self) -> dict[str, str]:
        """Raises `ConfigError` (`SECRET_WEAK`, `SECRET_MISSING`) and `Unavailable` (`ACCESS_REFUSED`, …)."""
        if self._token is None or time.monotonic() >= self._token[1]:
            form = {"grant_type": _GRANT, "assertion": self._assertion()}
            self._token = token_of(self._fetcher.post_form(self._login.token_url, form))
        return {"authorization": f"Bearer {self._token[0]}"}

    def renew(self) -> bool:
        """Forget a token that was refused."""
        had, self._token = self._token, None
        return had is not None

    def _assertion(self) -> str:
        now = int(time.time())
        try:
            key = json.loads(self._login.key.read().get_secret_value())
            claims = {"iss": key["client_email"], "scope": _SCOPE, "aud": self._login.token_url}
            named = {"kid": str(key.get("private_key_id") or "")}
            return jwt.encode(claims | {"iat": now, "exp": now + 3600}, key["private_key"], "RS256", named)
        except (ValueError, KeyError, TypeError, jwt.PyJWTError):
            message = "credentials.key: the secret is no JSON key of a service account"
            raise ConfigError(Reason.SECRET_WEAK, message) from None
