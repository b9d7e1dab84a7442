"""One crawl as a listing.

A page is missing only when the site says so (404 twice, 410, moved, excluded), never because no link led to it: pages
we hold are asked for in every crawl. So a crawl that is cut by its budget or meets a broken page deletes nothing.
"""

from __future__ import annotations

import time
import uuid
from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

from rag_assets.connectors.outside import ListingState
from rag_assets.connectors.spool import Spool
from rag_assets.connectors.web import classify
from rag_assets.connectors.web.classify import Classification
from rag_assets.connectors.web.frontier import CrawlTarget, Frontier
from rag_assets.connectors.web.options import WebOptions
from rag_assets.connectors.web.pages import PageContent, read_page
from rag_assets.connectors.web.sitemaps import Sitemaps
from rag_assets.connectors.web.state import PageState, UrlOutcome
from rag_assets.connectors.web.urls import UrlScope
from rag_assets.connectors.web.visits import Visit, Visitor
from rag_core.content.sources import Problem, SourceItem, SourceMemory
from rag_core.errors import RagError, Reason
from rag_core.http_client import Fetched
from rag_core.logging import get_logger

log = get_logger(__name__)
_FLUSH = 200
_TELL_SECONDS = 10.0
_MAX_ERRORS = 10

Entry = SourceItem | Problem


class WebListing(ListingState):
    """The `Listing` of a site. What it reads is kept in the spool; may be iterated once."""

    unfinished = "the crawl was not finished"

    def __init__(
        self,
        options: WebOptions,
        scope: UrlScope,
        visitor: Visitor,
        memory: SourceMemory,
        spool: Spool,
        version_tag: str,
    ) -> None:
        super().__init__()
        self._options = options
        self._scope = scope
        self._visitor = visitor
        self._memory = memory
        self._spool = spool
        self._frontier = Frontier(options, scope, self._remember)
        self._crawl = uuid.uuid4().hex
        self._pending: dict[str, PageState] = {}
        self._seeds: dict[str, str] = {}
        self._elsewhere: set[str] = set()
        self._reached = False
        self._told = time.monotonic()
        self.version_tag = version_tag
        self.outcomes: Counter[str] = Counter()

    def __iter__(self) -> Iterator[Entry]:
        self._fill()
        yield from self._visit_all()
        yield from self._beyond_budget()
        if not self._reached:
            why = next(iter(self._seeds.values()), "")
            self._fail(f"no seed could be read{f' ({why})' if why else ''}")
        self._flush()
        if not self._errors:
            self._forget_others()
        log.info("crawl_finished", requests=self._frontier.taken, dropped=self._frontier.dropped, **self.outcomes)
        self._finished = True

    def _fill(self) -> None:
        for seed in self._options.seeds:
            url = self._frontier.offer(seed, base=None, depth=0, found_on="seeds")
            if url is not None:
                self._seeds[url] = ""
            else:
                self._fail(f"the seed {seed} is not crawled: {self._scope.refusal(seed)}")
        for url, stored in self._memory.all():
            state = PageState.parse(stored)
            if state.held and (problem := self._scope.problem(url)) is None:
                self._frontier.restore(url, state.depth)
            elif state.held:
                self._remember(url, replace(state, outcome=UrlOutcome.OUT_OF_SCOPE, why=problem or "", held=False))
        for url in self._in_sitemaps():
            self._frontier.offer(url, base=None, depth=0, found_on="sitemap")

    def _in_sitemaps(self) -> Iterator[str]:
        sitemaps = Sitemaps(self._visitor.fetcher, max_urls=10 * self._options.max_pages)
        for sitemap in sitemap_urls(self._options, self._visitor):
            yield from sitemaps.pages(sitemap)
        for url, why in sitemaps.problems.items():
            self._remember(url, PageState(UrlOutcome.FAILED, f"sitemap: {why}", found_on="robots.txt or options"))

    def _visit_all(self) -> Iterator[Entry]:
        waiting: deque[tuple[CrawlTarget, PageState, Future[Visit]]] = deque()
        with ThreadPoolExecutor(self._options.concurrency, thread_name_prefix="crawl") as pool:
            while True:
                while len(waiting) < self._options.concurrency and (target := self._frontier.next_page()) is not None:
                    old = self._known(target)
                    waiting.append((target, old, pool.submit(self._visitor.visit, target.url, old)))
                if not waiting:
                    return
                target, old, future = waiting.popleft()
                yield from self._take_in(target, old, future.result())
                self._log_progress()

    def _take_in(self, target: CrawlTarget, old: PageState, visit: Visit) -> Iterator[Entry]:
        answer = visit.answer
        if visit.robots_failed and visit.error is not None:
            self._fail(f"{visit.error.reason}: {visit.error.message}")
        if answer is not None and answer.status == 200:
            classification = self._page(target, old, answer)
        else:
            classification = self._other(target, old, visit)
        if target.url in self._seeds:
            self._reached = self._reached or classification.reached
            self._seeds[target.url] = classification.state.why
        self._remember(target.url, classification.state)
        if classification.listed:
            yield SourceItem(target.url, classification.state.token)
        elif classification.problem is not None:
            yield classification.problem

    def _other(self, target: CrawlTarget, old: PageState, visit: Visit) -> Classification:
        leads, outside = None, None
        location = visit.answer.headers.get("location") if visit.answer is not None else None
        if location is not None and visit.answer is not None and 300 <= visit.answer.status < 400:
            leads = self._frontier.offer(location, base=target.url, depth=target.depth, found_on=target.url)
            outside = None if leads is not None else location[:200]
            leads = None if leads == target.url else leads
        classification = classify.classify_response(visit, old, target=leads, outside=outside)
        if old.held and classification.state.outcome in (UrlOutcome.UNCHANGED, UrlOutcome.KEPT):
            self._follow(target, classification.state.links, target.url)
        return classification

    def _page(self, target: CrawlTarget, old: PageState, answer: Fetched) -> Classification:
        page = read_page(answer)
        if page.text and page.digest == self._visitor.blank(target.url):
            return classify.not_found(target.url, old, "the site sends its page for missing pages")
        self._follow(target, page.links, self._base(page, target))
        canonical = self._canonical(page, target)
        if canonical is not None:
            return classify.duplicate(old, canonical)
        rule = self._scope.rule(target.url)
        classification = classify.classify_content(answer, page, old, rule)
        if classification.listed:
            about = {
                "media_type": answer.headers.get("content-type"),
                "token": classification.state.token,
                "modified": answer.headers.get("last-modified"),
            }
            self._spool.put(target.url, answer.content, **about)
        classification.state.links = page.links
        return classify.classify_redirect_target(classification)

    def _canonical(self, page: PageContent, target: CrawlTarget) -> str | None:
        """The page that is to be indexed instead; two pages that name each other are both themselves."""
        if not page.canonical:
            return None
        url = self._frontier.offer(page.canonical, base=target.url, depth=target.depth, found_on=target.url)
        if url is None or url == target.url or url in self._elsewhere:
            return None
        if not self._frontier.visits(url):
            return None  # a limit keeps the crawl from it, and then this page is all there is of its text
        self._elsewhere.add(target.url)
        return url

    def _base(self, page: PageContent, target: CrawlTarget) -> str:
        if not page.base:
            return target.url
        try:
            return self._scope.normal(page.base, target.url) or target.url
        except RagError:
            return target.url

    def _follow(self, target: CrawlTarget, links: tuple[str, ...], base: str) -> None:
        for link in links:
            self._frontier.offer(link, base=base, depth=target.depth + 1, found_on=target.url)

    def _beyond_budget(self) -> Iterator[Entry]:
        for target in self._frontier.rest():
            old = self._known(target)
            why = f"{Reason.CRAWL_BUDGET}: max_pages requests were made before it"
            self._remember(target.url, replace(old, outcome=UrlOutcome.BUDGET, why=why))
            if old.held:
                yield SourceItem(target.url, old.token)

    def _known(self, target: CrawlTarget) -> PageState:
        stored = self._memory.get(target.url)
        old = PageState.parse(stored) if stored is not None else PageState()
        return replace(old, depth=target.depth, found_on=target.found_on)

    def _remember(self, url: str, state: PageState) -> None:
        self.outcomes[state.outcome.replace(" ", "_")] += 1
        self._pending[url] = replace(state, crawl=self._crawl)
        if len(self._pending) >= _FLUSH:
            self._flush()

    def _flush(self) -> None:
        self._memory.put({url: state.stored() for url, state in self._pending.items()})
        self._pending.clear()

    def _forget_others(self) -> None:
        """Remove URLs that this crawl did not meet: they are no pages of the site any more, nor lines of its report."""
        old: list[str] = []
        for url, stored in self._memory.all():
            if stored.get("crawl") != self._crawl and not stored.get("held"):
                old.append(url)
            if len(old) >= _FLUSH:
                self._memory.forget(old)
                old.clear()
        self._memory.forget(old)

    def _fail(self, why: str) -> None:
        if len(self._errors) < _MAX_ERRORS:
            self._errors[why] = None

    def _log_progress(self) -> None:
        if time.monotonic() - self._told >= _TELL_SECONDS:
            self._told = time.monotonic()
            log.info("crawl_progress", requests=self._frontier.taken, waiting=len(self._frontier), **self.outcomes)


def sitemap_urls(options: WebOptions, visitor: Visitor) -> list[str]:
    """The sitemaps of the options, and those that the robots.txt of the seeds name. Robots that cannot be read name
    none; the visits will say so."""
    found = list(options.sitemaps)
    for seed in options.seeds if options.use_sitemaps else []:
        try:
            found += visitor.robots.sitemaps(seed)
        except RagError as error:
            log.info("robots_unavailable", reason=str(error.reason))
    return list(dict.fromkeys(found))
