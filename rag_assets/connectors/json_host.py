"""Read JSON and files from one host: within the policy of all calls outside, with a rate, retries and typed errors."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Protocol
from urllib.parse import urlencode

import httpx

from rag_assets.connectors.auth import Auth, ServiceCredentials
from rag_assets.connectors.http_host import HttpHost, T
from rag_core.errors import InvalidInput, Reason, Unavailable
from rag_core.http_client import Again, Fetched, Fetcher, FetchPolicy, Pacing, origin_of


class Login(Protocol):
    """Makes the headers that identify us."""

    def headers(self) -> dict[str, str]:
        """Return them. They are made for each request, so that a rotated secret is used."""

    def renew(self) -> bool:
        """Forget a token that was refused; true when there may be another one."""


class JsonHost:
    """A host that a connector reads. Credentials never leave it. Used from one thread."""

    def __init__(
        self,
        url: str,
        policy: FetchPolicy,
        auth: Auth | Callable[[Fetcher], Login] | None,
        pacing: Pacing,
        *,
        what: str,
        headers: Mapping[str, str] | None = None,
        check: Callable[[Any], None] = lambda _: None,
        refusals: Callable[[Fetched], None] | None = None,
    ) -> None:
        """`what` names the host in errors: "the wiki"; `headers` go with each request.

        `check` looks at every JSON answer, for a service whose errors have status 200, and `refusals` at every answer
        with status 403, where its body says why: they raise what is wrong, `Again` where another try may help.
        """
        self._url, self._headers, self._check = url.rstrip("/"), dict(headers or {}), check
        self._refusals, self._accept = refusals, (200,) if refusals is None else (200, 403)
        fetcher = Fetcher(policy, connections=2)
        self._host = HttpHost(fetcher, pacing, what)
        self._login: Login = auth(fetcher) if callable(auth) else ServiceCredentials(auth, fetcher)

    def get(self, path: str, params: Mapping[str, str | int] | None = None) -> Any:
        """The JSON document at a path, or at an URL of the same host: the link to a next page.

        Raises what `HttpHost.run` raises, `Unavailable` (`RESPONSE_INVALID`) for what is not JSON, and `InvalidInput`
        (`CROSS_ORIGIN`) for an URL of another host.
        """
        return self._run(lambda: self._get(path, params, "application/json"), self._json)

    def post(self, path: str, body: object) -> Any:
        """The JSON document that answers a JSON document, for services that are asked so. Raises as `get`."""
        url = self._of_host(path)

        def send() -> Fetched:
            return self._host.fetcher.post_json(url, body, credentials=self._headers | self._login.headers())

        return self._run(send, self._json)

    def read(self, path: str, params: Mapping[str, str | int] | None = None) -> Fetched:
        """A file. A redirect is followed to another host, which gets no credentials. Raises as `get`."""
        return self._run(lambda: self._get(path, params, "*/*"), lambda answer: answer)

    def close(self) -> None:
        """Close the connections. Idempotent."""
        self._host.close()

    def _get(self, path: str, params: Mapping[str, str | int] | None, accept: str) -> Fetched:
        url = self._of_host(path)
        if params:
            url += ("&" if "?" in url else "?") + urlencode(params)
        return self._host.fetcher.get(
            url,
            headers=self._headers | {"accept": accept},
            credentials=self._login.headers(),
            redirects="follow" if accept == "*/*" else "same_origin",
            accept=self._accept,
        )

    def _run(self, send: Callable[[], Fetched], read: Callable[[Fetched], T]) -> T:
        def checked(answer: Fetched) -> T:
            if self._refusals is not None and answer.status == 403:
                self._refusals(answer)
            return read(answer)

        return self._host.run(send, checked, renew=self._login.renew, accept=self._accept)

    def _of_host(self, path: str) -> str:
        if path.startswith("/"):
            return f"{self._url}{path}"
        if origin_of(httpx.URL(path)) != origin_of(httpx.URL(self._url)):
            raise InvalidInput(Reason.CROSS_ORIGIN, f"{self._host.what} names a page of another host")
        return path

    def _json(self, answer: Fetched) -> Any:
        try:
            said = json.loads(answer.content)
        except (ValueError, RecursionError):
            message = f"{self._host.what} answers with something that is not JSON"
            raise Again(Unavailable(Reason.RESPONSE_INVALID, message)) from None
        self._check(said)
        return said
