"""Single requests to an API: rate-limited, retried, and checked for the expected content type."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx

from rag_assets.connectors.auth import ServiceCredentials
from rag_assets.connectors.http_api.options import HttpApiOptions
from rag_assets.connectors.http_host import HttpHost
from rag_core.errors import InvalidInput, RagError, Reason, Unavailable
from rag_core.http_client import Again, Fetched, Fetcher, FetchPolicy, Pacing, origin_of

T = TypeVar("T")
_JSON_TYPES = ("application/json", "text/json")


@dataclass(frozen=True, slots=True)
class ResponsePage:
    """One answer of the list endpoint. `data` is `None` when it is as it was (304)."""

    data: Any
    next_link: str | None
    etag: str | None
    modified: str | None


class ApiClient:
    """Requests to the origin of the list endpoint only; used from one thread."""

    def __init__(self, options: HttpApiOptions, policy: FetchPolicy) -> None:
        if options.timeout_seconds is not None:
            policy = policy.with_seconds(options.timeout_seconds)
        self._options = options
        fetcher = Fetcher(policy, connections=2)
        self._credentials = ServiceCredentials(options.auth, fetcher)
        pacing = Pacing(options.requests_per_second, options.attempts, options.max_wait_seconds)
        self._host = HttpHost(fetcher, pacing, "the API")
        self._origin = origin_of(options.url)

    def page(self, url: str, params: Mapping[str, str], conditions: Mapping[str, str] | None = None) -> ResponsePage:
        """A page of the list. `conditions` are `If-None-Match` and `If-Modified-Since`.

        Raises `InvalidInput` (`CROSS_ORIGIN`, `SSRF_BLOCKED`, ...), `Unavailable` (`HTTP_STATUS`, `RATE_LIMITED`,
        `ACCESS_REFUSED`, `HOST_UNREACHABLE`, `CONTENT_TYPE`, `RESPONSE_INVALID`), `DeadlineExceeded`.
        """
        address = httpx.URL(url)
        if origin_of(address) != self._origin:
            raise InvalidInput(Reason.CROSS_ORIGIN, f"the next page is at another origin, {origin_of(address)}")
        target = str(address.copy_merge_params(dict(params))) if params else str(address)

        def read(answer: Fetched) -> ResponsePage:
            if answer.status == 304:
                return ResponsePage(None, None, None, None)
            links = httpx.Response(200, headers={"link": answer.headers.get("link", "")}).links
            link = links.get("next", {}).get("url")
            following = str(httpx.URL(answer.url).join(link)) if link else None
            return ResponsePage(
                _json(answer), following, answer.headers.get("etag"), answer.headers.get("last-modified")
            )

        # Nobody may say that a page is as it was who was not asked whether it is.
        accept = (200, 304) if conditions else (200,)
        return self._run(target, {"accept": "application/json", **(conditions or {})}, accept, read)

    def detail(self, url: str) -> Fetched:
        """One document. Raises as `page`, and `NotFound` (`VANISHED`) for 404 and 410."""
        if origin_of(url) != self._origin:
            raise InvalidInput(Reason.CROSS_ORIGIN, "the document is at another origin than the list")
        return self._run(url, {}, (200,), lambda answer: answer)

    def json(self, answer: Fetched) -> Any:
        """The answer as JSON. Raises `Unavailable` (`CONTENT_TYPE`, `RESPONSE_INVALID`)."""
        try:
            return _json(answer)
        except Again as again:
            raise again.error from None

    def close(self) -> None:
        self._host.close()

    def _run(self, url: str, headers: dict[str, str], accept: tuple[int, ...], read: Callable[[Fetched], T]) -> T:
        plain = {**{name.lower(): value for name, value in self._options.headers.items()}, **headers}

        def send() -> Fetched:
            credentials = self._credentials.headers()
            return self._host.fetcher.get(
                url, headers=plain, credentials=credentials, redirects="same_origin", accept=accept
            )

        return self._host.run(send, read, renew=self._credentials.renew, accept=accept)


def _json(answer: Fetched) -> Any:
    kind = answer.media_type
    if kind not in _JSON_TYPES and not kind.endswith("+json"):
        what = "an HTML page" if "html" in kind else f"{kind or 'no type'}"
        raise Again(Unavailable(Reason.CONTENT_TYPE, f"the API answers with {what} instead of JSON"))
    try:
        return json.loads(answer.content)
    except (ValueError, RecursionError) as error:
        problem: RagError = Unavailable(Reason.RESPONSE_INVALID, "the API's answer is cut off or not JSON")
        raise Again(problem) from error
