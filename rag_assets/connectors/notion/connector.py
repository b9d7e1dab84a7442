"""The Notion connector: pages and rows as Markdown, and files of their properties."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime
from typing import Final

from rag_assets.connectors.filesystem import names
from rag_assets.connectors.notion.options import NotionOptions
from rag_assets.connectors.notion.properties import files_of, lines_of, title_of
from rag_assets.connectors.notion.service import Notion, Row
from rag_assets.connectors.outside import ConnectorContext, read_item, well_formed
from rag_assets.connectors.remembered import RememberingConnector
from rag_core.content.sources import FetchedItem, Problem, SourceItem
from rag_core.errors import NotFound, Reason, Unavailable
from rag_core.ids import fingerprint

_PAGE: Final = "page:"
_YOUNG_SECONDS: Final = 180
"""Notion rounds times down to a minute: a page that was edited since is read once more when it has come to rest."""
_MOST_MISSING: Final = 1_000


class NotionConnector(RememberingConnector):
    """Reads what is shared with one connection. A document is named by the page's id, which stays when it moves."""

    def __init__(self, options: NotionOptions, context: ConnectorContext) -> None:
        super().__init__(context.memory, "Notion", options.max_documents)
        self._options = options
        self._limit = context.limit(options.max_file_bytes)
        self._notion = Notion(options, context.fetch_policy)

    def fetch(self, item: SourceItem) -> FetchedItem:
        with well_formed("Notion"):
            return self._fetched(item)

    def _fetched(self, item: SourceItem) -> FetchedItem:
        ident, _, file = item.locator.partition("/")
        page = self._notion.page(ident)
        metadata = {"url": str(page["url"]), "created": page["created_time"], "modified": page["last_edited_time"]}
        title = title_of(page)
        if file:
            content, name = self._file(page, file)
            return self._read(item, page, content, None, f"{name} ({title})" if title else name, metadata)
        text = "\n".join([f"# {title}" if title else "", *lines_of(page), "", self._notion.markdown(ident)])
        return self._read(item, page, text.strip().encode("utf-8", "replace"), "text/markdown", title, metadata)

    def close(self) -> None:
        """Close the connections. Idempotent."""
        self._notion.close()

    def state(self) -> str:
        """Another value when a page was edited, made or shared, as far as the newest pages say it."""
        newest = self._notion.newest(self._options.data_sources)
        return fingerprint(
            self._options.model_dump_json(), *(f"{row['id']}={row['last_edited_time']}" for row in newest)
        )

    def entries(self, seen: Row) -> Iterator[SourceItem | Problem]:
        now = time.time()
        seen |= {"state": self.state(), "due": now + self._options.listing_minutes * 60}
        for row in self._rows():
            if _is_young(row, now):
                seen["due"] = min(seen["due"], now + _YOUNG_SECONDS)
            at, tag = datetime.fromisoformat(row["last_edited_time"]), _tag(row, now)
            yield SourceItem(row["id"], tag, None, at)
            for locator in _files(row) if self._options.attachments else ():
                if names.is_too_long(locator):
                    yield Problem(names.shorten(locator), Reason.ID_CHARS, "the name of the file is too long")
                else:
                    yield SourceItem(locator, tag, None, at)

    def _rows(self) -> Iterator[Row]:
        if self._options.data_sources:
            for source in self._options.data_sources:
                yield from self._notion.rows(source)
            return
        known = {key.removeprefix(_PAGE) for key, _ in self._memory.all() if key.startswith(_PAGE)}
        found = set[str]()
        for row in self._notion.shared():
            found.add(row["id"])
            yield row
        yield from self._missing(sorted(known - found))
        self._memory.put({f"{_PAGE}{ident}": {} for ident in found - known})

    def _missing(self, idents: list[str]) -> Iterator[Row]:
        """Known pages that the search did not find and that are there: it need not find all of them."""
        if len(idents) > _MOST_MISSING:
            message = f"Notion's search left out {len(idents)} pages that it had found before"
            raise Unavailable(Reason.LISTING_INCOMPLETE, message)
        for ident in idents:
            try:
                yield self._notion.page(ident)
            except NotFound:
                self._memory.forget([f"{_PAGE}{ident}"])

    def _file(self, page: Row, file: str) -> tuple[bytes, str]:
        for locator, (name, url) in _files(page).items():
            if locator == f"{page['id']}/{file}":
                return self._notion.file(url).content, name
        raise NotFound(Reason.VANISHED, "the page has no such file any more")

    def _read(
        self, item: SourceItem, page: Row, content: bytes, media_type: str | None, title: str, metadata: dict[str, str]
    ) -> FetchedItem:
        read = read_item(item, content, self._limit, version_tag=_tag(page, time.time()))
        return FetchedItem(read, content, media_type, title or None, None, metadata)


def _files(page: Row) -> dict[str, tuple[str, str]]:
    """Name and link of the files of a page by their locators; the second one of a name gets its number."""
    found: dict[str, tuple[str, str]] = {}
    for number, (name, url) in enumerate(files_of(page), 1):
        locator = f"{page['id']}/{names.encode(name)}"
        found[f"{page['id']}/{number}/{names.encode(name)}" if locator in found else locator] = name, url
    return found


def _is_young(row: Row, now: float) -> bool:
    return now - datetime.fromisoformat(row["last_edited_time"]).timestamp() < _YOUNG_SECONDS


def _tag(row: Row, now: float) -> str:
    return f"{row['last_edited_time']}{':young' if _is_young(row, now) else ''}"
