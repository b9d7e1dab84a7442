"""The calls of Notion's API that a source makes, in its version of 11 March 2026.

https://developers.notion.com/reference/post-search, /query-a-data-source, /retrieve-a-page, /retrieve-page-markdown
and /request-limits
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from rag_assets.connectors.auth import BearerAuth
from rag_assets.connectors.http_host import HttpHost
from rag_assets.connectors.json_host import JsonHost
from rag_assets.connectors.notion.markdown import plain_markdown
from rag_assets.connectors.notion.options import NotionOptions
from rag_assets.connectors.paging import all_pages
from rag_core.errors import InvalidInput, NotFound, Reason, Unavailable
from rag_core.http_client import Fetched, Fetcher, FetchPolicy, Pacing

Row = dict[str, Any]
_VERSION: Final = "2026-03-11"
_PAGES: Final = {"filter": {"property": "object", "value": "page"}, "page_size": 100}
_MOST_PARTS: Final = 500


class Notion:
    """Used from one thread; reads only. Methods raise what `JsonHost` raises."""

    def __init__(self, options: NotionOptions, policy: FetchPolicy) -> None:
        pacing = Pacing(options.requests_per_second, options.attempts)
        login, headers = BearerAuth(type="bearer", token=options.token), {"notion-version": _VERSION}
        self._host = JsonHost(options.endpoint, policy, login, pacing, what="Notion", headers=headers)
        self._files = HttpHost(Fetcher(policy, connections=1), pacing, "the host of Notion's files")

    def shared(self) -> Iterator[Row]:
        """Every page that a search without words finds. Raises `Unavailable` (`LISTING_INCOMPLETE`) as well."""
        order = {"timestamp": "last_edited_time", "direction": "ascending"}
        for page in self._pages("/v1/search", {**_PAGES, "sort": order}):
            if _is_capped(page):
                message = "Notion's search ends after 10,000 pages; name `data_sources`, or use several connections"
                raise Unavailable(Reason.LISTING_INCOMPLETE, message)
            yield from _rows(page)

    def rows(self, source: str) -> Iterator[Row]:
        """Every row of a data source, by the time at which it was made: one query ends after 10,000 rows."""
        after = ""
        while True:
            capped, last = False, after
            for page in self._pages(f"/v1/data_sources/{source}/query", _query("created_time", "ascending", after)):
                capped = capped or _is_capped(page)
                for row in _rows(page):
                    last = row["created_time"]
                    yield row
            if not capped:
                return
            if last == after:
                raise Unavailable(Reason.LISTING_INCOMPLETE, "Notion made more than 10,000 rows at one time")
            after = last

    def newest(self, sources: list[str]) -> list[Row]:
        """The pages that were edited last: a hundred of all, or of each data source."""
        order = {"timestamp": "last_edited_time", "direction": "descending"}
        if not sources:
            return _rows(self._host.post("/v1/search", {**_PAGES, "sort": order}))
        query = _query("last_edited_time", "descending", "")
        return [row for one in sources for row in _rows(self._host.post(f"/v1/data_sources/{one}/query", query))]

    def page(self, ident: str) -> Row:
        """A page and its properties. Raises `NotFound` (`VANISHED`), also for one in the trash."""
        found: Row = self._host.get(f"/v1/pages/{ident}")
        if found["in_trash"]:
            raise NotFound(Reason.VANISHED, "the page is in Notion's trash")
        return found

    def markdown(self, ident: str) -> str:
        """The content of a page in Markdown. Parts that Notion leaves out of a long page are read one by one."""
        text, asked, left = "", set[str](), [ident]
        while left:
            part = left.pop(0)
            asked.add(part)
            if len(asked) > _MOST_PARTS:
                raise InvalidInput(Reason.FILE_TOO_LARGE, f"the page has more than {_MOST_PARTS} parts")
            said = self._part(part, first=part == ident)
            new = [one for one in said["unknown_block_ids"] if one not in asked]
            if said["truncated"] and not new:
                raise InvalidInput(Reason.FILE_TOO_LARGE, "the page is longer than Notion renders")
            text = f"{text}\n{said['markdown']}"
            left += [one for one in new if one not in left]
        return plain_markdown(text)

    def file(self, url: str) -> Fetched:
        """A file that Notion keeps, from the host that it names. The token is not sent there."""
        return self._files.run(lambda: self._files.fetcher.get(url), lambda answer: answer)

    def close(self) -> None:
        """Close the connections. Idempotent."""
        self._host.close()
        self._files.close()

    def _part(self, ident: str, *, first: bool) -> Row:
        try:
            found: Row = self._host.get(f"/v1/pages/{ident}/markdown")
        except NotFound:
            if first:
                raise
            return {"markdown": "", "truncated": False, "unknown_block_ids": []}  # not shared with the connection
        return found

    def _pages(self, path: str, body: Mapping[str, Any]) -> Iterator[Row]:
        def read(cursor: str | None) -> tuple[list[Row], str | None]:
            page: Row = self._host.post(path, {**body, **({"start_cursor": cursor} if cursor else {})})
            if page["has_more"] and not page["next_cursor"]:
                raise Unavailable(Reason.PAGINATION_LOOP, "Notion says there is more and not where")
            return [page], page["next_cursor"] if page["has_more"] else None

        return all_pages(read, "Notion")


def _query(timestamp: str, direction: str, after: str) -> Row:
    body: Row = {"page_size": 100, "sorts": [{"timestamp": timestamp, "direction": direction}]}
    window = {"timestamp": "created_time", "created_time": {"on_or_after": after}}
    return body | ({"filter": window} if after else {})


def _rows(page: Row) -> list[Row]:
    """The pages of an answer, without what is in the trash and without data sources."""
    return [row for row in page["results"] if row["object"] == "page" and not row["in_trash"]]


def _is_capped(page: Row) -> bool:
    return (page.get("request_status") or {}).get("type") == "incomplete"
