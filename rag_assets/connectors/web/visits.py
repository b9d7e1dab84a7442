"""Fetch one page within the site's rate limit and robots.txt."""

from __future__ import annotations

import secrets
import threading
from dataclasses import dataclass, field

import httpx
from protego import Protego

from rag_assets.connectors.web.options import WebOptions
from rag_assets.connectors.web.pages import READ_TYPES, read_page
from rag_assets.connectors.web.state import PageState
from rag_core.errors import DeadlineExceeded, RagError, Reason, Unavailable
from rag_core.http_client import RETRIED_STATES, Again, Fetched, Fetcher, FetchPolicy, Pacing, retry_after

# --------------------------------------------------------------------------------------------------------------------
# robots.txt by host (RFC 9309): what may be asked for, how often, and where the sitemaps are.


MAX_BYTES = 512_000
"""RFC 9309 asks for at least 500 KiB to be read; the rest is ignored."""
_MAX_DELAY = 30.0


@dataclass(slots=True)
class Robots:
    """Rules of the hosts of one crawl. Thread-safe."""

    fetcher: Fetcher
    agent: str
    _hosts: dict[str, Protego | RagError] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def allows(self, url: str) -> bool:
        """Return whether the host's rules allow a request. Raises `Unavailable` when they cannot be known just now."""
        return bool(self._rules(url).can_fetch(url, self.agent))

    def delay(self, url: str) -> float:
        """Seconds between two requests that the host asks for; raises as `allows`."""
        asked = self._rules(url).crawl_delay(self.agent)
        return min(float(asked), _MAX_DELAY) if asked else 0.0

    def sitemaps(self, url: str) -> list[str]:
        """The sitemaps the host names; raises as `allows`."""
        return list(self._rules(url).sitemaps)

    def _rules(self, url: str) -> Protego:
        origin = str(httpx.URL(url).join("/"))
        with self._lock:
            if origin not in self._hosts:
                self._hosts[origin] = self._load(origin)
            found = self._hosts[origin]
        if isinstance(found, RagError):
            raise found
        return found

    def _load(self, origin: str) -> Protego | RagError:
        try:
            answer = self.fetcher.get(f"{origin}robots.txt")
        except RagError as error:
            return Unavailable(error.reason, f"robots.txt of {origin} cannot be read: {error.message}")
        if answer.status == 200:
            return Protego.parse(answer.content[:MAX_BYTES].decode("utf-8", "replace"))
        if 400 <= answer.status < 500 and answer.status != 429:
            return Protego.parse("")
        return Unavailable(Reason.HTTP_STATUS, f"robots.txt of {origin} answers with status {answer.status}")


_ATTEMPTS = 3
_LONGEST_WAIT = 30.0
_NO_DELAY_RATE = 1000.0


@dataclass(frozen=True, slots=True)
class Visit:
    """Result of a request for a URL: an answer, an error, or a refusal by the site's robots.txt."""

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
    """The last answer of a host that kept answering "later"; the caller classifies its status as any other."""

    answer: Fetched

    @classmethod
    def of(cls, answer: Fetched) -> _Busy:
        error = cls(Reason.HTTP_STATUS, f"status {answer.status}")
        error.answer = answer
        return error
