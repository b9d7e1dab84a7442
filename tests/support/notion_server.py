"""Notion's API as its documentation of November 2026 describes it, as far as a source calls it.

https://developers.notion.com/reference/post-search, query-a-data-source, retrieve-a-page, retrieve-page-markdown.
Unknown paths and parameters are refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from rag_assets.testing import Answer, Asked, FakeServer

PAGE = 5
SOURCE = "11111111-2222-3333-4444-555555555555"
_KNOWN = {"filter", "sort", "sorts", "page_size", "start_cursor"}
_ALL = {"property": "object", "value": "page"}


def error(status: int, code: str, **headers: str) -> Answer:
    """An error in Notion's form."""
    return Answer.json({"object": "error", "status": status, "code": code, "message": code}, status, **headers)


class NotionServer:
    """Pages in a workspace, and rows in one data source. Times are those of minutes, long ago."""

    def __init__(self, server: FakeServer, files: FakeServer) -> None:
        self.server, self.files = server, files
        self.pages: dict[str, dict[str, Any]] = {}
        self.texts: dict[str, str] = {}
        self.parts: dict[str, tuple[str, list[str]]] = {}
        self.unfound, self.unshared, self.cap = set[str](), set[str](), 10_000
        self.clock = datetime(2026, 1, 1, tzinfo=UTC)
        server.reply("/v1/search", self._guarded(self._search))
        server.reply(f"/v1/data_sources/{SOURCE}/query", self._guarded(self._query))
        server.reply("/v1/pages/*", self._guarded(self._page))
        files.reply("/files/*", self._file)
        self.options: dict[str, Any] = {
            "kind": "notion", "token": {"env": "RAG_SECRET_NOTION"}, "endpoint": server.url(), "attempts": 1,
            "requests_per_second": 1000,
        }  # fmt: skip

    # What a test changes.

    def put(self, name: str, text: str) -> None:
        """Write a page with a title; its id stays when there is one."""
        self.write(name, text)

    def write(self, name: str, text: str, *, row: bool = False, **properties: Any) -> str:
        """Write a page, or a row of the data source with properties, and return its id."""
        ident = str(uuid5(NAMESPACE_URL, name))
        before = self.pages.get(ident, {"created_time": self.now()})
        title = {"id": "title", "type": "title", "title": [{"type": "text", "plain_text": name}]}
        parent = {"type": "data_source_id", "data_source_id": SOURCE} if row else {"type": "workspace"}
        self.texts[ident] = text
        self.pages[ident] = {
            **before, "object": "page", "id": ident, "last_edited_time": self.now(), "in_trash": False,
            "parent": parent, "url": f"https://www.notion.so/{ident}", "properties": {"Name": title, **properties},
        }  # fmt: skip
        return ident

    def id_of(self, name: str) -> str:
        """The id of the page with a title."""
        return next(key for key, page in self.pages.items() if _title(page) == name)

    def remove(self, name: str) -> None:
        """Put a page into the trash."""
        self.pages[self.id_of(name)]["in_trash"] = True

    def lose(self) -> None:
        """Answer nothing any more."""
        self.server.lose()

    def now(self) -> str:
        """The time in minutes, later each time."""
        self.clock += timedelta(minutes=1)
        return self.clock.strftime("%Y-%m-%dT%H:%M:00.000Z")

    # What Notion answers.

    def _guarded(self, reply: Callable[[Asked], Answer]) -> Callable[[Asked], Answer]:
        def answer(asked: Asked) -> Answer:
            if asked.headers.get("authorization") != "Bearer secret":
                return error(401, "unauthorized")
            if asked.headers.get("notion-version") != "2026-03-11":
                return error(400, "missing_version")
            if asked.query or (asked.body and set(json.loads(asked.body)) - _KNOWN):
                return error(400, "validation_error")
            return reply(asked)

        return answer

    def _search(self, asked: Asked) -> Answer:
        body = json.loads(asked.body)
        if asked.method != "POST" or body["filter"] != _ALL:
            return error(400, "validation_error")
        hidden = self.unfound | self.unshared  # its index lags: what was put into the trash is still there
        rows = [row for row in self.pages.values() if row["id"] not in hidden]
        return self._list(rows, body, body["sort"])

    def _query(self, asked: Asked) -> Answer:
        body = json.loads(asked.body)
        rows = [row for row in self._there() if row["parent"]["type"] == "data_source_id"]
        if window := body.get("filter"):
            rows = [row for row in rows if row["created_time"] >= window["created_time"]["on_or_after"]]
        return self._list(rows, body, body["sorts"][0])

    def _list(self, rows: list[dict[str, Any]], body: dict[str, Any], order: dict[str, str]) -> Answer:
        rows = sorted(rows, key=lambda row: str(row[order["timestamp"]]), reverse=order["direction"] == "descending")
        start, capped = int(body.get("start_cursor", 0)), len(rows) > self.cap
        rows = rows[: self.cap]
        more = start + PAGE < len(rows)
        said = {"object": "list", "results": rows[start : start + PAGE], "has_more": more}
        status = {"request_status": {"type": "incomplete", "incomplete_reason": "query_result_limit_reached"}}
        return Answer.json({**said, "next_cursor": str(start + PAGE) if more else None, **(status if capped else {})})

    def _page(self, asked: Asked) -> Answer:
        ident, _, what = asked.path.removeprefix("/v1/pages/").partition("/")
        if what not in ("", "markdown") or ident in self.unshared or ident not in self.pages.keys() | self.parts.keys():
            return error(404, "object_not_found")
        if not what:
            return Answer.json(self.pages[ident])
        text, unknown = self.parts.get(ident, (self.texts.get(ident, ""), []))
        said = {"object": "page_markdown", "id": ident, "markdown": text}
        return Answer.json({**said, "truncated": bool(unknown), "unknown_block_ids": unknown})

    def _there(self) -> list[dict[str, Any]]:
        return [page for page in self.pages.values() if not page["in_trash"] and page["id"] not in self.unshared]

    def file(self, name: str) -> dict[str, Any]:
        """A file in a property, with a link that is signed for an hour."""
        return {"name": name, "type": "file", "file": {"url": self.files.url(f"/files/{name}?X-Amz-Signature=x")}}

    def _file(self, asked: Asked) -> Answer:
        if "authorization" in asked.headers or asked.query != {"X-Amz-Signature": "x"}:
            return Answer(status=403)
        return Answer(f"content of {asked.path.rpartition('/')[2]}".encode())


def _title(page: dict[str, Any]) -> str:
    return "".join(one["plain_text"] for one in page["properties"]["Name"]["title"])
