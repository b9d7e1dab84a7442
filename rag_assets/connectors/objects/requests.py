"""GET from a store over HTTP: signed, within the policy of all calls outside, with a rate, retries and typed errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime

from rag_assets.connectors.objects.connector import pacing_of, policy_of
from rag_assets.connectors.objects.options import ObjectOptions
from rag_assets.connectors.outside import ConnectorContext
from rag_core.errors import DeadlineExceeded, NotFound, Reason, Unavailable
from rag_core.http_client import Again, Fetched, Fetcher, check_state

Headers = Callable[[str], Mapping[str, str]]
"""The headers that sign a request for a URL."""


class StoreRequests:
    """GET requests to one store. Used from one thread."""

    def __init__(self, options: ObjectOptions, context: ConnectorContext, what: str) -> None:
        """`what` names the other side in errors."""
        self.what = what
        self.fetcher = Fetcher(policy_of(options, context), connections=2)
        self._pacing = pacing_of(options)

    def get(self, url: str, sign: Headers, *, renew: Callable[[], bool] = lambda: False) -> Fetched:
        """The answer of a request, tried again while that may help; with `renew` once more after a token ended.

        Raises `NotFound` (`VANISHED`), `Unavailable` (`ACCESS_REFUSED`, `RATE_LIMITED`, `HTTP_STATUS`,
        `HOST_UNREACHABLE`), `DeadlineExceeded`, `InvalidInput` (`SSRF_BLOCKED`, …), `ConfigError` (`SECRET_MISSING`).
        """

        def attempt() -> Fetched:
            try:
                answer = self.fetcher.send("GET", url, sign(url))
                if answer.status == 401 and renew():
                    answer = self.fetcher.send("GET", url, sign(url))
            except (Unavailable, DeadlineExceeded) as error:
                if error.reason is Reason.ACCESS_REFUSED:
                    raise
                raise Again(error) from error
            return self._checked(answer)

        return self._pacing.run(attempt)

    def close(self) -> None:
        """Close the connections. Idempotent."""
        self.fetcher.close()

    def _checked(self, answer: Fetched) -> Fetched:
        status, what = answer.status, self.what
        check_state(status, answer.headers, what)
        if status in (401, 403):
            raise Unavailable(Reason.ACCESS_REFUSED, f"{what} answers with status {status}; check the credentials")
        if status in (404, 410):
            raise NotFound(Reason.VANISHED, f"{what} has no such object, or is not there")
        if status != 200:
            raise Unavailable(Reason.HTTP_STATUS, f"{what} answers with status {status}")
        return answer


def http_time(text: str | None) -> datetime | None:
    """Return the time of a header such as Last-Modified."""
    try:
        return parsedate_to_datetime(text or "")
    except (ValueError, TypeError):
        return None
