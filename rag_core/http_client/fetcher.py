"""Send a request to an external host and follow redirects: every hop is checked, credentials stay at their origin."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Final, Literal, Self

import httpx

from rag_core.errors import DeadlineExceeded, InvalidInput, Reason, Unavailable
from rag_core.http_client.bodies import ACCEPT_ENCODING, read_body
from rag_core.http_client.egress import EXTENSION, Use, provenance
from rag_core.http_client.network import GuardedTransport, Resolver, deadline, system_resolver
from rag_core.http_client.policy import FetchPolicy, origin_of

USER_AGENT: Final = "rag-platform/0.1"
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_PERMANENT: Final = frozenset({301, 308})
Redirects = Literal["follow", "same_origin", "return"]


@dataclass(frozen=True, slots=True)
class Fetched:
    """A response. `url` is the final URL; `moved`: all redirects were permanent."""

    url: str
    status: int
    headers: Mapping[str, str]
    content: bytes
    redirects: tuple[str, ...] = ()
    moved: bool = False

    @property
    def media_type(self) -> str:
        """The media type without parameters, in lower case; empty when the response has none."""
        return self.headers.get("content-type", "").split(";")[0].strip().lower()


class Fetcher:
    """Requests URLs within a policy. Thread-safe; keeps connections open, so close it.

    Requests are independent: no cookies, no credentials and no proxies from the environment.
    """

    def __init__(
        self,
        policy: FetchPolicy,
        *,
        resolver: Resolver = system_resolver,
        connections: int = 8,
        agent: str = USER_AGENT,
        ca_file: str | None = None,
        use: Use | None = None,
    ) -> None:
        """`use` as in `endpoint_client`; the text of a request is that of `sending` around the call."""
        self.policy = policy
        self.agent = agent
        self._transport = GuardedTransport(policy, resolver, connections=connections, ca_file=ca_file, use=use)

    def get(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        credentials: Mapping[str, str] | None = None,
        redirects: Redirects = "follow",
        accept: Iterable[int] = (200,),
    ) -> Fetched:
        """GET a URL.

        `credentials` are headers that are sent to the first origin only. The body is read for the HTTP statuses in
        `accept`; a response with another status has an empty `content`.

        Raises `InvalidInput` (`URL_SCHEME`, `URL_INVALID`, `URL_PORT`, `SSRF_BLOCKED`, `REDIRECT_LIMIT`,
        `CROSS_ORIGIN`, `RESPONSE_TOO_LARGE`, `RESPONSE_INVALID`), `Unavailable` (`HOST_UNREACHABLE`,
        `RESPONSE_INVALID`), `DeadlineExceeded` (`RESPONSE_TIMEOUT`).
        """
        hops: list[str] = []
        current = self.policy.check_url(url)
        first, moved = origin_of(current), True
        end = time.monotonic() + self.policy.limits.seconds
        while True:
            secret = credentials if origin_of(current) == first else None
            answer, location = self._once("GET", current, _merged(headers, secret), None, accept, end)
            if location is None or redirects == "return":
                return Fetched(
                    str(current), answer.status, answer.headers, answer.content, tuple(hops), bool(hops) and moved
                )
            moved = moved and answer.status in _PERMANENT
            hops.append(str(current))
            current = self._next(current, location, hops, redirects)

    def post_form(self, url: str, form: Mapping[str, str], *, credentials: Mapping[str, str] | None = None) -> Fetched:
        """POST a form, as token endpoints require; a redirect is returned, not followed. Raises as `get`."""
        return self._alone("POST", url, credentials or {}, form, (200, 400, 401))

    def post_json(self, url: str, body: object, *, credentials: Mapping[str, str] | None = None) -> Fetched:
        """POST a JSON document; a redirect is returned, not followed. Raises as `get`."""
        headers = _merged({"content-type": "application/json", "accept": "application/json"}, credentials)
        return self._alone("POST", url, headers, json.dumps(body).encode(), (200,))

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Fetched:
        """POST bytes and read no more than the status and the headers of the answer; a redirect is returned.

        Raises as `get`.
        """
        return self._alone("POST", url, headers, body, ())

    def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes = b"") -> Fetched:
        """Send one request that a protocol's own library made and signed, and read the body of whatever answer comes.

        A redirect is returned, not followed. Raises as `get`.
        """
        return self._alone(method, url, headers, body or None, () if method == "HEAD" else range(100, 600))

    def close(self) -> None:
        """Close all connections. Idempotent."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _alone(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: Mapping[str, str] | bytes | None,
        accept: Iterable[int],
    ) -> Fetched:
        """Send one request whose redirects are not followed."""
        end = time.monotonic() + self.policy.limits.seconds
        answer, _ = self._once(method, self.policy.check_url(url), dict(headers), body, accept, end)
        return answer

    def _next(self, current: httpx.URL, location: str, hops: list[str], redirects: Redirects) -> httpx.URL:
        try:
            target = self.policy.check_url(current.join(location))
        except httpx.InvalidURL:
            raise InvalidInput(Reason.URL_INVALID, "a redirect leads to something that is not a URL") from None
        if len(hops) > self.policy.limits.redirects or str(target) in hops:
            raise InvalidInput(Reason.REDIRECT_LIMIT, "redirected in a circle or too often")
        if current.scheme == "https" and target.scheme == "http":
            raise InvalidInput(Reason.URL_SCHEME, "a redirect leads from https to http")
        if redirects == "same_origin" and origin_of(target) != origin_of(current):
            raise InvalidInput(Reason.CROSS_ORIGIN, f"redirected to another origin, {origin_of(target)}")
        return target

    def _once(
        self,
        method: str,
        url: httpx.URL,
        headers: dict[str, str],
        body: Mapping[str, str] | bytes | None,
        accept: Iterable[int],
        end: float,
    ) -> tuple[Fetched, str | None]:
        """Send one hop, with a form or bytes as its body; the second value is the redirect's target."""
        limits = self.policy.limits
        timeout = httpx.Timeout(limits.read_seconds, connect=limits.connect_seconds)
        request = httpx.Request(
            method,
            url,
            headers={"accept-encoding": ACCEPT_ENCODING, "user-agent": self.agent, "accept": "*/*", **headers},
            data=None if isinstance(body, bytes) else body,
            content=body if isinstance(body, bytes) else None,
            extensions={"timeout": timeout.as_dict(), EXTENSION: provenance()},
        )
        try:
            with deadline(max(end - time.monotonic(), 0)), closing(self._transport.handle_request(request)) as response:
                location = response.headers.get("location") if response.status_code in _REDIRECTS else None
                content = read_body(response, limits) if response.status_code in accept else b""
        except httpx.TimeoutException:
            raise DeadlineExceeded(
                Reason.RESPONSE_TIMEOUT, f"{origin_of(url)} did not answer within the time allowed"
            ) from None
        except httpx.TransportError as error:
            raise Unavailable(
                Reason.HOST_UNREACHABLE, f"{origin_of(url)} cannot be reached ({_cause(error)})"
            ) from error
        return Fetched(str(url), response.status_code, response.headers, content), location


def _merged(headers: Mapping[str, str] | None, secret: Mapping[str, str] | None) -> dict[str, str]:
    return {**(headers or {}), **(secret or {})}


def _cause(error: httpx.TransportError) -> str:
    kinds = {
        httpx.ConnectError: "no connection",
        httpx.RemoteProtocolError: "the answer broke off or is not HTTP",
        httpx.ReadError: "the connection broke off",
    }
    return kinds.get(type(error), type(error).__name__)
