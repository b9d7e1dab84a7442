"""Asking for one page, politely."""

from __future__ import annotations

import secrets
import threading
from dataclasses import dataclass, field

import httpx

from rag_assets.connectors.web.options import WebOptions
from rag_assets.connectors.web.pages import READ_TYPES, read_page
from rag_assets.connectors.web.robots import Robots
from rag_assets.connectors.web.state import PageState
from rag_core.errors import DeadlineExceeded, RagError, Reason, Unavailable
from rag_core.fetch import Fetched, Fetcher, FetchPolicy, Pacing
from rag_core.fetch.pacing import RETRIED_STATES, Again, retry_after

_ATTEMPTS = 3
_LONGEST_WAIT = 30.0
_NO_DELAY_RATE = 1000.0


@dataclass(frozen=True, slots=True)
class Visit:
    """What came of asking for a URL: an answer, an error, or a refusal of the site's robots.txt."""

    url: str
    answer: Fetched | None = None
    error: RagError | None = None
    excluded: bool = False
    robots_failed: bool = False


@dataclass(slots=True)
class Visitor:
    """Thread-safe. Requests to one host are spread over time by the delay of the options or of its robots.txt."""

    options: WebOptions
    fetcher: Fetcher
    robots: Robots
    _paces: dict[str, Pacing] = field(default_factory=dict)
    _blanks: dict[str, str | None] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def open(cls, options: WebOptions, policy: FetchPolicy) -> Visitor:
        """A visitor with connections of its own; close its fetcher."""
        limited = policy.with_seconds(options.timeout_seconds)
        fetcher = Fetcher(limited, connections=options.concurrency + 1, agent=options.user_agent)
        return cls(options, fetcher, Robots(fetcher, options.user_agent))

    def visit(self, url: str, known: PageState | None = None) -> Visit:
        """Ask for a page, or for whether it changed. Raises nothing of the platform's."""
        try:
            if not self.robots.allows(url):
                return Visit(url, excluded=True)
            pace = self._pace(url)
        except RagError as error:
            return Visit(url, error=error, robots_failed=True)
        conditions = known.conditions() if known is not None else {}
        try:
            return Visit(url, self._ask(pace, url, conditions))
        except RagError as error:
            return Visit(url, error=error)

    def blank(self, url: str) -> str | None:
        """The main text's hash of what the host sends for a page that cannot exist, `None` when it says 404.

        Some sites send their "not found" page, or a notice of maintenance, with status 200.
        """
        origin = str(httpx.URL(url).join("/"))
        if origin not in self._blanks:
            visit = self.visit(f"{origin}{secrets.token_hex(12)}")
            answer = visit.answer
            readable = answer is not None and answer.status == 200 and answer.media_type in READ_TYPES
            self._blanks[origin] = read_page(answer).digest if answer is not None and readable else None
        return self._blanks[origin]

    def _ask(self, pace: Pacing, url: str, conditions: dict[str, str]) -> Fetched:
        last: Fetched | None = None

        def attempt() -> Fetched:
            nonlocal last
            try:
                last = self.fetcher.get(url, headers=conditions, redirects="return", accept=(200,))
            except (Unavailable, DeadlineExceeded) as error:
                raise Again(error) from error
            if last.status in RETRIED_STATES:
                raise Again(_Busy.of(last), retry_after(last.headers.get("retry-after")))
            return last

        try:
            return pace.run(attempt)
        except _Busy as busy:
            return busy.answer

    def _pace(self, url: str) -> Pacing:
        host = httpx.URL(url).netloc.decode("ascii")
        delay = max(self.options.delay_seconds, self.robots.delay(url))
        with self._lock:
            if host not in self._paces:
                rate = 1 / delay if delay else _NO_DELAY_RATE
                self._paces[host] = Pacing(rate, _ATTEMPTS, _LONGEST_WAIT)
            return self._paces[host]


class _Busy(Unavailable):
    """The last answer of a host that kept saying "later"; the caller judges its status as any other."""

    answer: Fetched

    @classmethod
    def of(cls, answer: Fetched) -> _Busy:
        error = cls(Reason.HTTP_STATUS, f"status {answer.status}")
        error.answer = answer
        return error
