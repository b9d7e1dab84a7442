"""fsspec's file system of WebDAV, whose requests the guarded fetcher carries."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import httpx
from webdav4.client import Client, ClientError, HTTPError
from webdav4.fsspec import WebdavFileSystem
from webdav4.http import Client as HttpClient
from webdav4.urls import join_url_path

from rag_assets.connectors.auth import ServiceCredentials
from rag_assets.connectors.files.options import WebdavOptions
from rag_assets.connectors.servers import refused
from rag_core.errors import InvalidInput, Reason, Unavailable
from rag_core.http_client import Again, Fetcher, FetchPolicy, check_state, origin_of

_OF_THE_WIRE = frozenset({"content-encoding", "content-length", "transfer-encoding"})
_OWN = frozenset({"host", "content-length", "connection", "accept-encoding"})


class _GuardedRequests(httpx.BaseTransport):
    """Sends what the library asks by the fetcher: addresses, ports, sizes and times are those of all sources."""

    def __init__(self, url: str, fetcher: Fetcher, credentials: ServiceCredentials) -> None:
        self._origin, self._fetcher, self._credentials = origin_of(url), fetcher, credentials

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Raises what `Fetcher.send` raises, and `InvalidInput` (`CROSS_ORIGIN`) for a redirect to another host."""
        if origin_of(request.url) != self._origin:
            raise InvalidInput(Reason.CROSS_ORIGIN, "the server redirects to another host, which is not followed")
        headers = {name: value for name, value in request.headers.items() if name not in _OWN}
        headers |= self._credentials.headers()
        answer = self._fetcher.send(request.method, str(request.url), headers, request.read())
        if answer.status == 401 and self._credentials.renew():
            headers |= self._credentials.headers()
            answer = self._fetcher.send(request.method, str(request.url), headers, request.read())
        kept = {name: value for name, value in answer.headers.items() if name.lower() not in _OF_THE_WIRE}
        return httpx.Response(answer.status, headers=kept, content=answer.content, request=request)

    def close(self) -> None:
        self._fetcher.close()


class _Client(Client):  # type: ignore[misc]  # its types are not published
    """The library's client, for every name that a file may have, and for answers that are about what was asked."""

    def join_url(self, path: str, add_trailing_slash: bool = False) -> httpx.URL:
        joined = join_url_path(self.base_url.path, path) + ("/" if add_trailing_slash else "")
        return httpx.URL(self.base_url).copy_with(raw_path=quote(joined).encode())

    def propfind(self, path: str, *arguments: Any, **options: Any) -> Any:
        """Raises `ClientError` for an answer that does not name the path itself: it is none about an empty folder."""
        found = super().propfind(path, *arguments, **options)
        if self.join_url(path).path not in found.responses:
            raise ClientError("the answer does not name what was asked for")
        return found


def connect(options: WebdavOptions, policy: FetchPolicy) -> WebdavFileSystem:
    """Make the file system; nothing is asked yet."""
    fetcher = Fetcher(policy.with_seconds(options.timeout_seconds), connections=2)
    requests = _GuardedRequests(options.url, fetcher, ServiceCredentials(options.auth, fetcher))
    http = HttpClient(base_url=options.url, transport=requests, trust_env=False, follow_redirects=False)
    client = _Client(options.url, http_client=http, retry=False)
    return WebdavFileSystem(options.url, client=client, skip_instance_cache=True)


def close(files: WebdavFileSystem) -> None:
    """Close the connection."""
    files.client.http.close()


def explained(error: Exception) -> Exception:
    """Return the platform's error for one of the library, or `Again` with one."""
    status = error.status_code if isinstance(error, HTTPError) else 0
    if status in (401, 403):
        return refused(f"the server answers with status {status}; check user and secret")
    if isinstance(error, HTTPError):
        try:
            check_state(status, error.response.headers, "the server")
        except Again as again:
            return again
        return Unavailable(Reason.HTTP_STATUS, f"the server answers with status {status}")
    # An answer that is no WebDAV, such as a sign-in page, is none about an empty folder.
    if isinstance(error, ClientError | ValueError | LookupError | SyntaxError | AttributeError | OSError):
        return Again(Unavailable(Reason.RESPONSE_INVALID, "the server answers with something that is no WebDAV"))
    return error
