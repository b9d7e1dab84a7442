"""The connector of SharePoint and OneDrive: files of drives, and pages of sites."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Final

from rag_assets.connectors.filesystem import names
from rag_assets.connectors.outside import ConnectorContext, entry_of, read_item, well_formed
from rag_assets.connectors.remembered import SUMMARY, RememberingConnector
from rag_assets.connectors.sharepoint.drive_copy import DriveCopy, Remembered, Row, StoredFile
from rag_assets.connectors.sharepoint.options import SharePointOptions
from rag_assets.connectors.sharepoint.pages import page_html
from rag_assets.connectors.sharepoint.permissions import acl_of
from rag_assets.connectors.sharepoint.service import Drive, Graph, SharePointSite
from rag_core.content.sources import FetchedItem, Problem, SourceItem
from rag_core.errors import NotFound, Reason
from rag_core.ids import fingerprint

_TOGETHER: Final = 100
_ITEM_FIELDS: Final = "id,name,size,eTag,webUrl,file,lastModifiedBy,lastModifiedDateTime"
_UNKNOWN_TYPE: Final = "application/octet-stream"


class SharePointConnector(RememberingConnector):
    """Reads the drives and pages of one source.

    A version tag has what a fetch needs: what it is, its drive or site, its id, and a hash of its ETag and readers.
    """

    def __init__(self, options: SharePointOptions, context: ConnectorContext) -> None:
        super().__init__(context.memory, "Microsoft Graph", options.max_documents)
        self._options = options
        self._limit = context.limit(options.max_file_bytes)
        self._graph = Graph(options, context.fetch_policy)
        self._chosen = names.PathFilter(options.include, options.exclude, hidden=True)
        self._drives: dict[str, Drive] = {}

    def fetch(self, item: SourceItem) -> FetchedItem:
        kind, place, ident, _ = item.version_tag.split(":", 3)
        with well_formed("Microsoft Graph"):
            return self._page(item, place, ident) if kind == "page" else self._file(item, place, ident)

    def state(self) -> str:
        return self._update(Remembered(self._memory))[0]

    def close(self) -> None:
        """Close the connections. Idempotent."""
        self._graph.close()

    def entries(self, seen: Row) -> Iterator[SourceItem | Problem]:
        now, memory = time.time(), Remembered(self._memory)
        seen["due"] = now + self._age
        seen["state"], copies, pages = self._update(memory)
        memory.forget([key for key in memory.rows if key != SUMMARY and key.split(":")[1] not in self._drives])
        for copy in copies:
            chosen = [file for file in copy.files() if self._chosen(file.path)]
            for start in range(0, len(chosen), _TOGETHER):
                yield from self._described(copy, chosen[start : start + _TOGETHER], now, seen)
        for site, rows in pages:
            for row in rows:
                yield from self._described_page(site, row)

    def _update(self, memory: Remembered) -> tuple[str, list[DriveCopy], list[tuple[SharePointSite, list[Row]]]]:
        """Bring what is remembered up to date; the first value is another after every change."""
        sites = self._graph.sites()
        self._drives = {drive.id: drive for drive in self._graph.drives(sites)}
        readers = self._options.directory is not None
        copies = [DriveCopy(drive, self._graph, memory, readers=readers) for drive in self._drives.values()]
        state = [self._options.model_dump_json(), *(f"{copy.drive}={copy.update()}" for copy in copies)]
        pages = [(site, list(self._graph.pages(site))) for site in sites] if self._options.pages else []
        state += [f"{site.id}/{row['id']}={_page_tag(row)}{_level(row)}" for site, rows in pages for row in rows]
        return fingerprint(*state), copies, pages

    @property
    def _age(self) -> float:
        return self._options.permission_hours * 3600

    def _described(
        self, copy: DriveCopy, files: Sequence[StoredFile], now: float, seen: Row
    ) -> Iterator[SourceItem | Problem]:
        rows = {file.id: file.row for file in files}
        directory = self._options.directory
        if directory is not None:
            old = [file for file in files if "g" not in file.row or file.row["t"] + self._age <= now]
            rows |= copy.grant(old, now) if old else {}
        for file in files:
            row, acl = rows[file.id], None
            if directory is not None:
                acl = acl_of(row["g"], directory, now)
                ends = [until for _, until in row["g"] if until > now]
                seen["due"] = min(seen["due"], row["t"] + self._age, *ends)
            path, at = f"{copy.drive.prefix}/{file.path}", datetime.fromisoformat(row["m"]) if row["m"] else None
            tag = _tag("file", copy.drive.id, file.id, row["e"], acl)
            entry = entry_of(path, tag, row["s"], self._limit, at=at)
            if row.get("bad") and isinstance(entry, SourceItem):
                entry = Problem(entry.locator, Reason.UNREADABLE, "SharePoint calls the file malware", skipped=True)
            yield entry

    def _described_page(self, site: SharePointSite, row: Row) -> Iterator[SourceItem | Problem]:
        path = f"Site Pages/{row['name']}"
        level, version = _level(row)
        if version.startswith("0.") or not self._chosen(path):  # it was never published
            return
        if level != "published":
            message = "the page is being edited; its last published version stays"
            yield Problem(names.encode(f"{site.path}/{path}"), Reason.UNREADABLE, message, skipped=True)
            return
        tag, at = (
            _tag("page", site.id, row["id"], _page_tag(row), None),
            datetime.fromisoformat(row["lastModifiedDateTime"]),
        )
        yield entry_of(f"{site.path}/{path}", tag, None, self._limit, at=at, what="the page")

    def _file(self, item: SourceItem, place: str, ident: str) -> FetchedItem:
        if not self._drives:
            self._drives = {drive.id: drive for drive in self._graph.drives(self._graph.sites())}
        drive = self._drives.get(place)
        if drive is None:
            raise NotFound(Reason.VANISHED, "the library is not one of the source any more")
        row = self._graph.get(f"/drives/{place}/items/{ident}", {"$select": _ITEM_FIELDS})
        acl = None
        if self._options.directory is not None:
            acl = acl_of(self._graph.grants(drive, [ident])[ident], self._options.directory, time.time())
        content = self._graph.content(place, ident).content
        tag = _tag("file", place, ident, row["eTag"], acl)
        read = read_item(item, content, self._limit, version_tag=tag)
        media_type = (row.get("file") or {}).get("mimeType")
        metadata = _metadata(row) | {"site": drive.site, "library": drive.name}
        return FetchedItem(read, content, None if media_type == _UNKNOWN_TYPE else media_type, None, acl, metadata)

    def _page(self, item: SourceItem, place: str, ident: str) -> FetchedItem:
        row = self._graph.page(place, ident)
        if _level(row)[0] != "published":
            raise NotFound(Reason.VANISHED, "the page is being edited; the next listing knows more")
        content = page_html(row).encode()
        tag = _tag("page", place, ident, _page_tag(row), None)
        read = read_item(item, content, self._limit, version_tag=tag)
        return FetchedItem(read, content, "text/html", row.get("title"), None, _metadata(row))


def _tag(kind: str, place: str, ident: str, etag: str, acl: Sequence[str] | None) -> str:
    return f"{kind}:{place}:{ident}:{fingerprint(etag, *acl) if acl is not None else fingerprint(etag)}"


def _page_tag(row: Row) -> str:
    return f"{row.get('eTag', '')}{row['lastModifiedDateTime']}"


def _level(row: Row) -> tuple[str, str]:
    state = row["publishingState"]
    return str(state["level"]), str(state["versionId"])


def _metadata(row: Row) -> dict[str, str]:
    author: dict[str, Any] = (row.get("lastModifiedBy") or {}).get("user") or {}
    found = {
        "url": row.get("webUrl"),
        "author": author.get("displayName") or author.get("email"),
        "modified": row.get("lastModifiedDateTime"),
    }
    return {name: str(value) for name, value in found.items() if value}
