"""Single requests to an API: rate-limited, retried, and checked for the expected content type."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from rag_assets.connectors.auth import ServiceCredentials
from rag_assets.connectors.http_api.options import HttpApiOptions
from rag_core.errors import DeadlineExceeded, InvalidInput, NotFound, RagError, Reason, Unavailable
from rag_core.http_client import Again, Fetched, Fetcher, FetchPolicy, Pacing, check_state, origin_of

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
        self._fetcher = Fetcher(policy, connections=2)
        self._credentials = ServiceCredentials(options.auth, self._fetcher)
        self._pacing = Pacing(options.requests_per_second, options.attempts, options.max_wait_seconds)
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

        def attempt() -> ResponsePage:
            answer = self._get(target, {"accept": "application/json", **(conditions or {})}, (200, 304))
            if answer.status == 304 and conditions:
                return ResponsePage(None, None, None, None)
            links = httpx.Response(200, headers={"link": answer.headers.get("link", "")}).links
            link = links.get("next", {}).get("url")
            following = str(httpx.URL(answer.url).join(link)) if link else None
            return ResponsePage(
                _json(answer), following, answer.headers.get("etag"), answer.headers.get("last-modified")
            )

        return self._pacing.run(attempt)

    def detail(self, url: str) -> Fetched:
        """One document. Raises as `page`, and `NotFound` (`VANISHED`) for 404 and 410."""
        if origin_of(url) != self._origin:
            raise InvalidInput(Reason.CROSS_ORIGIN, "the document is at another origin than the list")
        return self._pacing.run(lambda: self._get(url, {}, (200,)))

    def json(self, answer: Fetched) -> Any:
        """The answer as JSON. Raises `Unavailable` (`CONTENT_TYPE`, `RESPONSE_INVALID`)."""
        try:
            return _json(answer)
        except Again as again:
            raise again.error from None

    def close(self) -> None:
        self._fetcher.close()

    def _get(self, url: str, headers: dict[str, str], accept: tuple[int, ...]) -> Fetched:
        answer = self._ask(url, headers, accept)
        if answer.status == 401 and self._credentials.renew():
            answer = self._ask(url, headers, accept)
        check_state(answer.status, answer.headers, "the API")
        if answer.status in (401, 403):
            raise Unavailable(
                Reason.ACCESS_REFUSED, f"the API answers with status {answer.status}; check the credentials"
            )
        if answer.status in (404, 410):
            raise NotFound(Reason.VANISHED, f"the API answers with status {answer.status}")
        if answer.status not in accept:
            raise Unavailable(Reason.HTTP_STATUS, f"the API answers with status {answer.status}")
        return answer

    def _ask(self, url: str, headers: dict[str, str], accept: tuple[int, ...]) -> Fetched:
        """One attempt; a transient failure becomes `Again`."""
        credentials = self._credentials.headers()
        plain = {**{name.lower(): value for name, value in self._options.headers.items()}, **headers}
        try:
            return self._fetcher.get(
                url, headers=plain, credentials=credentials, redirects="same_origin", accept=accept
            )
        except (Unavailable, DeadlineExceeded) as error:
            raise Again(error) from error


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
