"""GET JSON from one host: within the policy of all calls outside, with a rate, retries and typed errors."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from rag_core.errors import DeadlineExceeded, NotFound, Reason, Unavailable
from rag_core.http_client import Again, Fetcher, FetchPolicy, Pacing, check_state


class JsonHost:
    """A host that a connector reads. `credentials` are headers, read for each request so that a rotated secret is used;
    they never leave the host. Used from one thread."""

    def __init__(
        self, url: str, policy: FetchPolicy, credentials: Callable[[], Mapping[str, str]], pacing: Pacing, *, what: str
    ) -> None:
        """`what` names the host in errors: "the wiki"."""
        self._url, self._credentials, self._pacing, self._what = url.rstrip("/"), credentials, pacing, what
        self._fetcher = Fetcher(policy, connections=2)

    def get(self, path: str) -> Any:
        """The JSON document at a path.

        Raises `NotFound` (`VANISHED`), `Unavailable` (`ACCESS_REFUSED`, `RATE_LIMITED`, `HTTP_STATUS`,
        `HOST_UNREACHABLE`, `RESPONSE_INVALID`), `DeadlineExceeded` and `InvalidInput` (`SSRF_BLOCKED`, …).
        """
        return self._pacing.run(lambda: self._attempt(path))

    def close(self) -> None:
        """Close the connections. Idempotent."""
        self._fetcher.close()

    def _attempt(self, path: str) -> Any:
        what = self._what
        try:
            answer = self._fetcher.get(
                f"{self._url}{path}",
                headers={"accept": "application/json"},
                credentials=self._credentials(),
                redirects="same_origin",
            )
        except (Unavailable, DeadlineExceeded) as error:
            raise Again(error) from error
        check_state(answer.status, answer.headers, what)
        if answer.status in (401, 403):
            raise Unavailable(Reason.ACCESS_REFUSED, f"{what} answers with status {answer.status}; check the secret")
        if answer.status in (404, 410):
            raise NotFound(Reason.VANISHED, f"{what} answers with status {answer.status}")
        if answer.status != 200:
            raise Unavailable(Reason.HTTP_STATUS, f"{what} answers with status {answer.status}")
        try:
            return json.loads(answer.content)
        except (ValueError, RecursionError):
            problem = Unavailable(Reason.RESPONSE_INVALID, f"{what} answers with something that is not JSON")
            raise Again(problem) from None
