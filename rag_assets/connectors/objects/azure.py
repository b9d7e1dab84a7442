"""Blobs of a container by Azure's REST API: https://learn.microsoft.com/rest/api/storageservices/blob-service-rest-api.

Its fsspec backend opens connections of its own, past the guard of addresses; two operations are what a source needs.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import partial
from typing import Any, Final
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import ParseError, fromstring

from rag_assets.connectors.auth import OAuth2Auth, ServiceCredentials
from rag_assets.connectors.objects.connector import ObjectConnector, host_of
from rag_assets.connectors.objects.listing import StoredObject, http_time
from rag_assets.connectors.objects.options import AccountKey, AzureOptions, SasToken
from rag_assets.connectors.outside import ConnectorContext
from rag_assets.connectors.paging import all_pages
from rag_core.errors import ConfigError, Reason, Unavailable
from rag_core.http_client import Fetched

VERSION: Final = "2021-08-06"
_AT_ONCE: Final = 5000


def connect(options: AzureOptions, context: ConnectorContext) -> ObjectConnector[AzureStore]:
    """Make the connector."""
    return ObjectConnector(options, context, AzureStore(options, context))


class AzureStore:
    """One container."""

    def __init__(self, options: AzureOptions, context: ConnectorContext) -> None:
        self._options = options
        self._host = host_of(options, context, f"the container {options.container}")
        login = options.credentials
        self._tokens = ServiceCredentials(login if isinstance(login, OAuth2Auth) else None, self._host.fetcher)

    def objects(self) -> Iterator[StoredObject]:
        return all_pages(self._page, self._host.what)

    def read(self, key: str, tag: str) -> tuple[StoredObject, bytes]:
        answer = self._get(f"/{quote(key, safe='/')}", {})
        said = answer.headers
        modified = http_time(said.get("last-modified"))
        found = StoredObject(key, _tag(said.get("etag")), len(answer.content), modified, said.get("content-type", ""))
        return found, answer.content

    def close(self) -> None:
        """Close the connections. Idempotent."""
        self._host.close()

    def _page(self, marker: str | None) -> tuple[Iterator[StoredObject], str | None]:
        query = {"restype": "container", "comp": "list", "maxresults": str(_AT_ONCE)}
        query |= {name: text for name, text in (("prefix", self._options.prefix), ("marker", marker)) if text}
        try:
            root = fromstring(self._get("", query).content)
        except (ParseError, DefusedXmlException, ValueError):
            root = None
        if root is None or root.tag != "EnumerationResults" or root.find("Blobs") is None:
            # A sign-in page of a proxy is no listing without blobs, which would delete everything.
            message = f"{self._host.what} answers with something that is no listing"
            raise Unavailable(Reason.RESPONSE_INVALID, message)
        blobs = (_blob(one) for one in root.iterfind("Blobs/Blob"))
        return (one for one in blobs if one is not None), root.findtext("NextMarker") or None

    def _get(self, path: str, query: dict[str, str]) -> Fetched:
        url = f"{self._options.url}/{quote(self._options.container)}{path}"
        login = self._options.credentials
        if isinstance(login, SasToken):
            query |= dict(parse_qsl(login.sas.read().get_secret_value().lstrip("?"), keep_blank_values=True))
        text = urlencode(query, quote_via=quote, safe="")
        url = f"{url}?{text}" if text else url
        return self._host.run(
            lambda: self._host.fetcher.send("GET", url, self._sign(url)),
            lambda answer: answer,
            renew=self._tokens.renew,
        )

    def _sign(self, url: str) -> dict[str, str]:
        headers = {"x-ms-date": format_datetime(datetime.now(UTC), usegmt=True), "x-ms-version": VERSION}
        login = self._options.credentials
        if isinstance(login, AccountKey):
            headers["authorization"] = _shared_key(self._options.account, login, url, headers)
        return headers | self._tokens.headers()


def _blob(found: Any) -> StoredObject | None:
    """Return the blob of an element of a listing; `None` for a folder of an account that has folders."""
    said = partial(found.findtext, default="")
    if said("Properties/ResourceType") == "directory":
        return None
    name = found.find("Name")
    key = "" if name is None else name.text or ""
    if name is not None and name.get("Encoded") == "true":
        key = unquote(key)
    return StoredObject(
        key,
        _tag(said("Properties/Etag")),
        int(said("Properties/Content-Length") or 0),
        http_time(said("Properties/Last-Modified")),
        archived=said("Properties/AccessTier") == "Archive",
    )


def _tag(etag: str | None) -> str:
    return (etag or "").strip('"')


def _shared_key(account: str, login: AccountKey, url: str, headers: dict[str, str]) -> str:
    """Return the signature of a GET without a body by the account's key (Shared Key)."""
    try:
        key = base64.b64decode(login.account_key.read().get_secret_value(), validate=True)
    except (binascii.Error, ValueError):
        raise ConfigError(Reason.SECRET_WEAK, "credentials.account_key: the secret is no base64") from None
    parts = urlsplit(url)
    query = sorted((name.lower(), value) for name, value in parse_qsl(parts.query, keep_blank_values=True))
    lines = [
        "GET", *[""] * 11, *(f"{name}:{headers[name]}" for name in sorted(headers)),
        f"/{account}{parts.path}", *(f"{name}:{value}" for name, value in query),
    ]  # fmt: skip
    signature = base64.b64encode(hmac.digest(key, "\n".join(lines).encode(), hashlib.sha256)).decode()
    return f"SharedKey {account}:{signature}"
