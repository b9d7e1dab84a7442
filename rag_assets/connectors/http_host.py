"""Requests of a connector to one service over HTTP: a rate, retries, tokens that end, and typed errors."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TypeVar

from rag_core.errors import DeadlineExceeded, NotFound, Reason, Unavailable
from rag_core.http_client import Again, Fetched, Fetcher, Pacing, check_state

T = TypeVar("T")


class HttpHost:
    """One service that a connector reads. Used from one thread."""

    def __init__(self, fetcher: Fetcher, pacing: Pacing, what: str) -> None:
        """`what` names the service in errors: "the wiki"."""
        self.fetcher, self.what, self._pacing = fetcher, what, pacing

    def run(
        self,
        send: Callable[[], Fetched],
        read: Callable[[Fetched], T],
        *,
        renew: Callable[[], bool] = lambda: False,
        accept: Collection[int] = (200,),
    ) -> T:
        """Send a request and return what `read` makes of the answer; try again while that may help.

        `send` makes its credentials each time; when `renew` gets rid of a token that was refused, it is sent once
        more. `read` may raise `Again` as well.

        Raises `NotFound` (`VANISHED`), `Unavailable` (`ACCESS_REFUSED`, `RATE_LIMITED`, `HTTP_STATUS`,
        `HOST_UNREACHABLE`), `DeadlineExceeded`, `InvalidInput` (`SSRF_BLOCKED`, …), `ConfigError` (`SECRET_MISSING`).
        """

        def attempt() -> T:
            try:
                answer = send()
                if answer.status == 401 and renew():
                    answer = send()
            except (Unavailable, DeadlineExceeded) as error:
                if error.reason is Reason.ACCESS_REFUSED:
                    raise
                raise Again(error) from error
            return read(self._checked(answer, accept))

        return self._pacing.run(attempt)

    def close(self) -> None:
        """Close the connections. Idempotent."""
        self.fetcher.close()

    def _checked(self, answer: Fetched, accept: Collection[int]) -> Fetched:
        status, said = answer.status, f"{self.what} answers with status {answer.status}"
        if status in accept:
            return answer
        check_state(status, answer.headers, self.what)
        if status in (401, 403):
            raise Unavailable(Reason.ACCESS_REFUSED, f"{said}; check the credentials")
        if status in (404, 410):
            raise NotFound(Reason.VANISHED, said)
        raise Unavailable(Reason.HTTP_STATUS, said)
