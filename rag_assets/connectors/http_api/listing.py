"""One pass over an API: a full listing, or the changes since the last one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from collections.abc import Mapping as MappingOf
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

from rag_assets.connectors.http_api.mapping import MappedItem, Mapping, digest
from rag_assets.connectors.http_api.options import HttpApiOptions
from rag_assets.connectors.http_api.paging import Pages
from rag_assets.connectors.outside import ListingState
from rag_assets.connectors.spool import Spool
from rag_core.content.sources import Problem, Removed, SourceItem
from rag_core.errors import InvalidInput, NotFound, RagError, Reason


class ApiListing(ListingState):
    """The `Listing` of an API. Everything it reads is kept in the spool; may be iterated once."""

    def __init__(
        self,
        options: HttpApiOptions,
        pages: Pages,
        mapping: Mapping,
        spool: Spool,
        version_tag: str,
        position: MappingOf[str, Any] = MappingProxyType({}),
    ) -> None:
        """`position` is the cursor of the listing before, for the changes since then."""
        super().__init__()
        self._options, self._pages, self._mapping, self._spool = options, pages, mapping, spool
        self._layout, self._position = layout(options), position
        self._conditions: dict[str, str] = {}
        since = position.get("since")
        self._latest = datetime.fromisoformat(since) if isinstance(since, str) else None
        self._count = self._problems = 0
        self._total: int | None = None
        self.version_tag = version_tag

    @property
    def cursor(self) -> dict[str, Any]:
        """Cursor at which the next `list_changes` starts."""
        since = self._latest.isoformat() if self._latest is not None else None
        return {"layout": self._layout, "since": since, **self._conditions}

    def __iter__(self) -> Iterator[SourceItem | Problem]:
        # Items that move between pages while they are read are missed by one pass; a second one finds them.
        passes = 2 if self._pages.shifting and self._options.total is None else 1
        try:
            for _ in range(passes):
                for entry in self._walk({}):
                    if not isinstance(entry, Removed):
                        yield entry
            self._check_total()
        except RagError as error:
            self._errors[_why(error)] = None
        self._finished = True

    def _walk(
        self, extra: dict[str, str], conditions: dict[str, str] | None = None
    ) -> Iterator[SourceItem | Problem | Removed]:
        for number, page in enumerate(self._pages.walk(extra, conditions), start=1):
            if page.page.data is None:
                return
            if number == 1:
                self._conditions = validators(page.page.etag, page.page.modified)
            self._total = page.total
            self._check_mapping(page.items)
            for item in page.items:
                found = self._entry(item)
                if found is not None:
                    yield found

    def _entry(self, item: Any) -> SourceItem | Problem | Removed | None:
        try:
            entry = self._mapping.entry(item)
        except InvalidInput as error:
            return self._problem(item, error)
        if entry.updated_at is not None and (self._latest is None or entry.updated_at > self._latest):
            self._latest = entry.updated_at
        if entry.deleted:
            self._count += self._spool.put(f"-{entry.locator}", b"")
            return Removed(entry.locator)
        about = {"title": entry.title, "acl": entry.acl, "metadata": entry.metadata, "token": self._token(entry)}
        if not self._spool.put(f"+{entry.locator}", _encoded(entry), **about):
            return None
        self._count += 1
        size = len(entry.content.encode("utf-8", "replace")) if entry.content is not None else None
        return SourceItem(entry.locator, self._token(entry), size, entry.updated_at)

    def _token(self, entry: MappedItem) -> str:
        # With other paths the same version of an item is another document.
        return f"{self._layout}:{entry.token}"

    def _problem(self, item: Any, error: InvalidInput) -> Problem | None:
        try:
            locator = self._mapping.locator(item)
        except InvalidInput:
            locator = f"item without id {digest(item)[:16]}"
        if not self._spool.put(f"+{locator}", b""):
            return None
        self._count += 1
        return Problem(locator, error.reason, error.message)

    def _check_mapping(self, items: list[Any]) -> None:
        """A page on which no item has an id is not a page of bad items but a wrong mapping, or another answer."""
        if items and not any(self._has_id(item) for item in items):
            path = self._options.fields.id
            raise InvalidInput(Reason.RESPONSE_INVALID, f"no item of the page has an id at {path}")

    def _has_id(self, item: Any) -> bool:
        try:
            self._mapping.locator(item)
        except InvalidInput as error:
            return error.reason is not Reason.KEY_MISSING
        return True

    def _check_total(self) -> None:
        if self._total is not None and self._count < self._total:
            raise InvalidInput(
                Reason.LISTING_INCOMPLETE, f"the API says it has {self._total} items and listed {self._count}"
            )


class ApiChanges(ApiListing):
    """The changes since a cursor. Implements `rag_core.content.sources.Changes`."""

    @property
    def rows(self) -> int | None:
        """The total of such a listing counts the changes, not the source."""
        return None

    def __iter__(self) -> Iterator[SourceItem | Problem | Removed]:  # type: ignore[override]
        try:
            yield from self._walk(*self._question())
            self._check_total()
        except RagError as error:
            self._errors[_why(error)] = None
        self._finished = True

    def _question(self) -> tuple[dict[str, str], dict[str, str] | None]:
        changes = self._options.changes
        if changes is None:
            self._conditions = validators(self._position.get("if-none-match"), self._position.get("if-modified-since"))
            return {}, dict(self._conditions)
        if self._latest is None:
            return {}, None
        since = self._latest - timedelta(seconds=changes.overlap_seconds)
        texts = {
            "iso": since.astimezone(UTC).isoformat().replace("+00:00", "Z"),
            "seconds": str(int(since.timestamp())),
            "milliseconds": str(int(since.timestamp() * 1000)),
        }
        return {changes.param: texts[changes.format]}, None


def layout(options: HttpApiOptions) -> str:
    """Changes when a cursor made with other options is of no use."""
    relevant = options.model_dump(
        include={"url", "params", "items", "fields", "paging", "detail", "changes", "media_type"}
    )
    return digest(relevant)[:16]


def poll_version_tag(mapping: Mapping, data: Any) -> str:
    """The version tag for the change sensor: ids and versions of a page, and the total."""
    parts = [str(mapping.total(data)), *(digest(item) for item in mapping.items(data))]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _encoded(entry: MappedItem) -> bytes:
    return (entry.content or "").encode("utf-8", "replace")


def validators(etag: Any, modified: Any) -> dict[str, str]:
    """The headers that ask for an answer only when it is another one."""
    found = {"if-none-match": etag, "if-modified-since": modified}
    return {name: value for name, value in found.items() if isinstance(value, str)}


def _why(error: RagError) -> str:
    message = error.message
    if isinstance(error, NotFound):
        message = f"the list itself is gone: {message}"
    return f"{error.reason}: {message}"
