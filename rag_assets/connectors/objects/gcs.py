"""Objects of a bucket by Google's JSON API: https://cloud.google.com/storage/docs/json_api.

Its fsspec backend opens connections of its own, past the guard of addresses; two operations are what a source needs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote, urlencode

from rag_assets.connectors.auth import BearerAuth, ServiceCredentials
from rag_assets.connectors.google_account import GoogleAccount, ServiceAccountKey
from rag_assets.connectors.objects.connector import ObjectConnector, host_of
from rag_assets.connectors.objects.listing import StoredObject, http_time
from rag_assets.connectors.objects.options import GcsOptions
from rag_assets.connectors.outside import ConnectorContext
from rag_assets.connectors.paging import all_pages
from rag_core.errors import Reason, Unavailable
from rag_core.http_client import Fetched, Fetcher

_SCOPE: Final = "https://www.googleapis.com/auth/devstorage.read_only"
_FIELDS: Final = "kind,nextPageToken,items(name,generation,size,updated,contentType)"


def connect(options: GcsOptions, context: ConnectorContext) -> ObjectConnector[GcsStore]:
    """Make the connector."""
    return ObjectConnector(options, context, GcsStore(options, context))


class GcsStore:
    """One bucket."""

    def __init__(self, options: GcsOptions, context: ConnectorContext) -> None:
        self._options = options
        self._host = host_of(options, context, f"the bucket {options.bucket}")
        self._url = f"{options.endpoint.rstrip('/')}/storage/v1/b/{quote(options.bucket, safe='')}/o"
        self._login = _login(options, self._host.fetcher)

    def objects(self) -> Iterator[StoredObject]:
        return all_pages(self._page, self._host.what)

    def read(self, key: str, tag: str) -> tuple[StoredObject, bytes]:
        answer = self._get(f"/{quote(key, safe='')}", {"alt": "media"})
        said = answer.headers
        generation, modified = said.get("x-goog-generation") or tag, http_time(said.get("last-modified"))
        found = StoredObject(key, generation, len(answer.content), modified, said.get("content-type", ""))
        return found, answer.content

    def close(self) -> None:
        """Close the connections. Idempotent."""
        self._host.close()

    def _page(self, token: str | None) -> tuple[Iterator[StoredObject], str | None]:
        query = {"prefix": self._options.prefix, "pageToken": token or "", "fields": _FIELDS}
        try:
            page = json.loads(self._get("", {name: text for name, text in query.items() if text}).content)
            if page["kind"] != "storage#objects":
                raise ValueError(page["kind"])
            found = [_object(one) for one in page.get("items", ())]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            # A sign-in page of a proxy is no listing without objects, which would delete everything.
            message = f"{self._host.what} answers with something that is no listing"
            raise Unavailable(Reason.RESPONSE_INVALID, message) from None
        return iter(found), page.get("nextPageToken") or None

    def _get(self, path: str, query: Mapping[str, str]) -> Fetched:
        payer = {"userProject": self._options.billing_project} if self._options.billing_project else {}
        text = urlencode({**query, **payer}, quote_via=quote, safe="")
        url = f"{self._url}{path}" + (f"?{text}" if text else "")

        def send() -> Fetched:
            return self._host.fetcher.send("GET", url, self._login.headers())

        return self._host.run(send, lambda answer: answer, renew=self._login.renew)


def _object(said: Mapping[str, Any]) -> StoredObject:
    modified = datetime.fromisoformat(said["updated"]) if said.get("updated") else None
    return StoredObject(str(said["name"]), str(said["generation"]), int(said.get("size") or 0), modified)


def _login(options: GcsOptions, fetcher: Fetcher) -> ServiceCredentials | GoogleAccount:
    login = options.credentials
    if isinstance(login, ServiceAccountKey):
        return GoogleAccount(login, fetcher, _SCOPE)
    return ServiceCredentials(login if isinstance(login, BearerAuth) else None, fetcher)
