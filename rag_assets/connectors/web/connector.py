"""The web connector."""

from __future__ import annotations

import hashlib
from itertools import islice
from typing import Any

from rag_assets.connectors.outside import SAMPLE, ConnectorContext, read_item, summary
from rag_assets.connectors.spool import Spool
from rag_assets.connectors.web.listing import WebListing, sitemap_urls
from rag_assets.connectors.web.options import WebOptions
from rag_assets.connectors.web.pages import read_page
from rag_assets.connectors.web.sitemaps import Sitemaps
from rag_assets.connectors.web.urls import UrlScope
from rag_assets.connectors.web.visits import Visit, Visitor
from rag_core.content.sources import FetchedItem, SourceItem, SourceMemory, TransientMemory
from rag_core.errors import InvalidInput, NotFound, RagError, Reason, Unavailable
from rag_core.lazy import locked_property

CHECK_PAGES = 30
"""Requests that `check` makes at most."""
POLLED_SITEMAP_URLS = 50_000


class WebConnector:
    """Crawls a site. What a crawl reads it keeps in a temporary file until the connector is closed."""

    shares_listings = False

    def __init__(self, options: WebOptions, context: ConnectorContext) -> None:
        self._options = options
        self._memory = context.memory
        self._limit = context.max_file_bytes
        self._policy = context.fetch_policy
        self._scope = UrlScope(options, context.fetch_policy)

    def list_items(self) -> WebListing:
        return self._listing(self._options, self._memory)

    def fetch(self, item: SourceItem) -> FetchedItem:
        kept = self._spool.get(item.locator)
        content, about = kept if kept is not None else self._again(item.locator)
        rule = self._scope.rule(item.locator)
        return FetchedItem(
            read_item(item, content, self._limit, "the page"),
            content,
            about["media_type"],
            acl=tuple(rule.acl) if rule is not None and rule.acl else None,
            metadata={
                "url": item.locator,
                **({"last_modified": about["modified"]} if about.get("modified") else {}),
                **(rule.metadata if rule is not None else {}),
            },
        )

    def version_tag(self) -> str:
        """Requests the seeds and the sitemaps only; the reconcile schedule finds what changes below them."""
        parts = [self._seen(self._visitor.visit(seed)) for seed in self._options.seeds]
        sitemaps = Sitemaps(self._visitor.fetcher, max_urls=POLLED_SITEMAP_URLS)
        for url in sitemap_urls(self._options, self._visitor):
            for _ in sitemaps.pages(url):
                pass  # only the digests of the files are of interest
        parts += [f"{url} {digest}" for url, digest in sorted(sitemaps.digests.items())]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def check(self) -> dict[str, Any]:
        few = self._options.model_copy(update={"max_pages": min(CHECK_PAGES, self._options.max_pages)})
        listing = self._listing(few, TransientMemory())
        entries = list(islice(listing, SAMPLE))
        found = any(isinstance(entry, SourceItem) for entry in entries)
        error = listing.error if listing.broken else None if found else "no page of the site can be indexed"
        return summary(entries, error, more=len(entries) == SAMPLE)

    def close(self) -> None:
        """Close connections and remove the temporary file. Idempotent."""
        for name, part in (("_visitor", "fetcher"), ("_spool", None)):
            opened = self.__dict__.pop(name, None)
            if opened is not None:
                (getattr(opened, part) if part else opened).close()

    @locked_property
    def _visitor(self) -> Visitor:
        return Visitor.open(self._options, self._policy)

    @locked_property
    def _spool(self) -> Spool:
        return Spool()

    def _listing(self, options: WebOptions, memory: SourceMemory) -> WebListing:
        self.close()
        try:
            token = self.version_tag()
        except RagError as error:
            token = f"unavailable:{error.reason}"
        return WebListing(options, self._scope, self._visitor, memory, self._spool, token)

    def _again(self, url: str) -> tuple[bytes, dict[str, Any]]:
        """A page whose content the crawl did not need."""
        visit = self._visitor.visit(url)
        if visit.error is not None:
            raise visit.error
        answer = visit.answer
        if visit.excluded or answer is None:
            raise InvalidInput(Reason.ROBOTS_EXCLUDED, "robots.txt does not allow the page any more")
        if answer.status in (404, 410):
            raise NotFound(Reason.VANISHED, f"status {answer.status}")
        if answer.status != 200:
            raise Unavailable(Reason.HTTP_STATUS, f"status {answer.status}")
        headers = answer.headers
        return answer.content, {"media_type": headers.get("content-type"), "modified": headers.get("last-modified")}

    def _seen(self, visit: Visit) -> str:
        if visit.error is not None:
            raise visit.error
        answer = visit.answer
        if answer is None:
            return f"{visit.url} excluded"
        digest = read_page(answer).digest if answer.status == 200 else answer.headers.get("location", "")
        return f"{visit.url} {answer.status} {digest}"
