"""The crawl frontier: which URL is next, each page once, within the budgets, with a reason for each one left out."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import httpx

from rag_assets.connectors.web.options import WebOptions
from rag_assets.connectors.web.state import PageState, UrlOutcome
from rag_assets.connectors.web.urls import UrlScope, problem_of
from rag_core.errors import RagError, Reason

_SEEN_PER_PAGE = 10
_SEEN_LEAST = 10_000


@dataclass(frozen=True, slots=True)
class CrawlTarget:
    """A URL in normal form that is to be asked for."""

    url: str
    depth: int
    found_on: str


class Frontier:
    """The queue of one crawl. `left_out` is called for each URL that is seen and not queued."""

    def __init__(self, options: WebOptions, scope: UrlScope, left_out: Callable[[str, PageState], None]) -> None:
        self._options = options
        self._scope = scope
        self._left_out = left_out
        self._queue: deque[CrawlTarget] = deque()
        self._seen: set[str] = set()
        self._queued: set[str] = set()
        self._limit = max(_SEEN_LEAST, _SEEN_PER_PAGE * options.max_pages)
        self._variants: Counter[str] = Counter()
        self._taken = 0
        self.dropped = 0

    def offer(self, link: str, *, base: str | None, depth: int, found_on: str) -> str | None:
        """Queue a link unless it was seen; returns its normal form when it is a page in scope, else `None`."""
        try:
            url = self._scope.normal(link, base)
        except RagError as error:
            self._refuse(link[:200], UrlOutcome.OUT_OF_SCOPE, problem_of(error), depth, found_on)
            return None
        if url is None:
            return None
        problem = self._scope.problem(url)
        if problem is not None:
            self._refuse(url, UrlOutcome.OUT_OF_SCOPE, problem, depth, found_on)
            return None
        if url not in self._seen:
            self._queue_new(CrawlTarget(url, depth, found_on))
        return url

    def restore(self, url: str, depth: int) -> None:
        """Queue a page that we hold, whatever its depth: it is asked for even when no link leads to it any more."""
        if url not in self._seen:
            self._seen.add(url)
            self._append(CrawlTarget(url, depth, "an earlier crawl"))

    def visits(self, url: str) -> bool:
        """Return whether a page was requested in this crawl or is still to be: no limit kept it out of the queue."""
        return url in self._queued

    def next_page(self) -> CrawlTarget | None:
        """The next page; `None` when there is none or the budget of requests is used up."""
        if not self._queue or self._taken >= self._options.max_pages:
            return None
        self._taken += 1
        return self._queue.popleft()

    def rest(self) -> Iterator[CrawlTarget]:
        """Empty the queue: the targets that the budget did not reach."""
        while self._queue:
            yield self._queue.popleft()

    @property
    def taken(self) -> int:
        return self._taken

    def __len__(self) -> int:
        return len(self._queue)

    def _queue_new(self, target: CrawlTarget) -> None:
        if len(self._seen) >= self._limit:
            self.dropped += 1
            return
        self._seen.add(target.url)
        if target.depth > self._options.max_depth:
            self._refuse(
                target.url,
                UrlOutcome.BUDGET,
                f"{Reason.CRAWL_BUDGET}: deeper than max_depth",
                target.depth,
                target.found_on,
            )
            return
        parsed = httpx.URL(target.url)
        if parsed.query:
            path = str(parsed.copy_with(query=None))
            self._variants[path] += 1
            if self._variants[path] > self._options.max_variants:
                why = f"{Reason.CRAWL_BUDGET}: more than max_variants queries of this path"
                self._refuse(target.url, UrlOutcome.BUDGET, why, target.depth, target.found_on)
                return
        self._append(target)

    def _append(self, target: CrawlTarget) -> None:
        self._queued.add(target.url)
        self._queue.append(target)

    def _refuse(self, url: str, outcome: UrlOutcome, why: str, depth: int, found_on: str) -> None:
        if outcome is UrlOutcome.OUT_OF_SCOPE:
            if url in self._seen:
                return
            if len(self._seen) >= self._limit:
                self.dropped += 1
                return
            self._seen.add(url)
        self._left_out(url, PageState(outcome, why, depth=depth, found_on=found_on))
