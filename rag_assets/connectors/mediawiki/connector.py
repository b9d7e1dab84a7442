"""The MediaWiki connector: a page is a document, and so is each uploaded file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from rag_assets.connectors.filesystem import names
from rag_assets.connectors.mediawiki.options import MediaWikiOptions
from rag_assets.connectors.mediawiki.service import FILES, Wiki, WikiState, is_file
from rag_assets.connectors.outside import (
    ConnectorContext,
    EntryListing,
    PolledConnector,
    read_item,
    well_formed,
    with_readers,
)
from rag_core.content.sources import FetchedItem, Problem, SourceItem
from rag_core.errors import Reason

_SUFFIX: Final = ".html"


class MediaWikiConnector(PolledConnector):
    """Reads the pages and files of one wiki, by their titles.

    A poll is one request, which says what changed last; a listing has as many as the pages need.
    """

    def __init__(self, options: MediaWikiOptions, context: ConnectorContext) -> None:
        self._options, self._wiki = options, Wiki(options, context.fetch_policy)
        self._limit = context.limit(options.max_file_bytes)
        self._chosen = names.PathFilter(options.include, options.exclude, hidden=True)
        self._site: WikiState | None = None
        self._state = ""

    def list_items(self) -> EntryListing:
        return EntryListing(self._entries, "the wiki", self._options.max_documents, tag=lambda: self._state)

    def read_version_tag(self) -> str:
        return self._wiki.site().state

    def fetch(self, item: SourceItem) -> FetchedItem:
        site = self._site = self._site or self._wiki.site()
        name = names.decode_key(item.locator)
        page = self._wiki.page(site, name if is_file(site, name) else name.removesuffix(_SUFFIX))
        acl = self._wiki.readers(site, page)
        with well_formed("the wiki"):
            at, tag, metadata = _time(page), _tag(page, acl), _metadata(page)
            title, media_type = str(page["title"]), "text/html"
            if page["ns"] == FILES:
                title, media_type = title.partition(":")[2], str(page["imageinfo"][0]["mime"])
        if page["ns"] == FILES:
            content = self._wiki.file(page["imageinfo"][0]["url"]).content
        else:
            content = self._wiki.html(page["lastrevid"]).encode()
        read = read_item(item, content, self._limit, version_tag=tag, modified_at=at)
        return FetchedItem(read, content, media_type, title, acl, metadata)

    def close(self) -> None:
        """Close the connections. Idempotent."""
        self._wiki.close()

    def _entries(self) -> Iterator[SourceItem | Problem]:
        """The pages and files of all namespaces that are read."""
        site = self._site = self._wiki.site()
        self._state = site.state
        for namespace in self._wiki.namespaces(site):
            for page in self._wiki.pages(site, namespace):
                exists = self._wiki.shows(site, page) and (namespace != FILES or page.get("imageinfo"))
                if exists and self._chosen(page["title"]):
                    yield self._entry(site, page)

    def _entry(self, site: WikiState, page: Mapping[str, Any]) -> SourceItem | Problem:
        locator = names.encode(page["title"])
        if page["ns"] != FILES:  # no title of a page is the name of a file: `README.md`, `Why robots.txt?`
            locator = locator.replace("?", "%3F") + _SUFFIX
        size = page["imageinfo"][0]["size"] if page["ns"] == FILES else None
        if size is not None and size > self._limit:
            return Problem(locator, Reason.FILE_TOO_LARGE, f"the file has {size} > {self._limit} bytes")
        return SourceItem(locator, _tag(page, self._wiki.readers(site, page)), size, _time(page))


def _tag(page: Mapping[str, Any], acl: tuple[str, ...] | None) -> str:
    """Changes with the page, with the templates in it (`touched`), with the file and with who may read it."""
    file = page["imageinfo"][0]["sha1"] if page["ns"] == FILES else page["touched"]
    return with_readers(f"{page['lastrevid']}:{file}", acl)


def _time(page: Mapping[str, Any]) -> datetime | None:
    file, last = page.get("imageinfo"), page.get("revisions")
    said = (file or last or [{}])[0].get("timestamp")
    return datetime.fromisoformat(said) if said else None


def _metadata(page: Mapping[str, Any]) -> dict[str, str]:
    said = {
        "url": page["canonicalurl"],
        "author": (page.get("revisions") or [{}])[0].get("user"),
        "namespace": page["title"].partition(":")[0] if page["ns"] else None,
        "categories": ", ".join(one["title"].partition(":")[2] for one in page.get("categories", ())),
    }
    return {name: str(text) for name, text in said.items() if text}
