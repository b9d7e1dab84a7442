"""The HTTP API connector."""

from __future__ import annotations

from collections.abc import Mapping as MappingOf
from typing import Any
from urllib.parse import quote

from rag_assets.connectors.http_api.client import ApiClient
from rag_assets.connectors.http_api.listing import ApiChanges, ApiListing, layout, poll_version_tag, validators
from rag_assets.connectors.http_api.mapping import Mapping, digest
from rag_assets.connectors.http_api.options import HttpApiOptions, NoPaging
from rag_assets.connectors.http_api.paging import Pages
from rag_assets.connectors.outside import ConnectorContext, check_by_sample, read_item
from rag_assets.connectors.spool import Spool
from rag_core.content.sources import FetchedItem, SourceItem
from rag_core.errors import NotFound, RagError, Reason
from rag_core.lazy import locked_property

MAX_POLLED = 1000
_POLLED: dict[str, tuple[dict[str, str], str]] = {}
"""Last reading of this process's sensor, by options: HTTP validators and the version tag they stand for."""


class HttpApiConnector:
    """Reads one list endpoint. Listed content is kept in a temporary file until `close`."""

    shares_listings = False

    def __init__(self, options: HttpApiOptions, context: ConnectorContext) -> None:
        self._options = options
        self._limit = context.max_file_bytes
        self._client = ApiClient(options, context.fetch_policy)
        self._mapping = Mapping(options)
        self._pages = Pages(options, self._client, self._mapping)

    def list_items(self) -> ApiListing:
        return ApiListing(self._options, self._pages, self._mapping, self._new_spool(), self._safe_token())

    def list_changes(self, cursor: MappingOf[str, Any]) -> ApiChanges | None:
        """With `changes`: items since the last run. Without, and with a single page: nothing while its ETag holds."""
        single = self._options.changes is None and isinstance(self._options.paging, NoPaging)
        usable = bool(cursor.get("since")) if self._options.changes else bool(cursor.get("if-none-match"))
        if cursor.get("layout") != layout(self._options) or not usable or not (single or self._options.changes):
            return None
        return ApiChanges(self._options, self._pages, self._mapping, self._new_spool(), self._safe_token(), cursor)

    def fetch(self, item: SourceItem) -> FetchedItem:
        kept = self._spool.get(f"+{item.locator}")
        if kept is None:
            raise NotFound(Reason.VANISHED, "the item is not in the list any more")
        content, about = kept
        media_type: str | None = self._options.media_type
        if self._options.detail is not None:
            content, media_type = self._detail(item.locator)
        return FetchedItem(
            read_item(item, content, self._limit, "the content", version_tag=about["token"]),
            content,
            media_type,
            about["title"],
            tuple(about["acl"]) if about["acl"] is not None else None,
            about["metadata"],
        )

    def version_tag(self) -> str:
        """Asks for the first page once, with `poll_params`; a page that did not change is not sent again."""
        key = digest(self._options.model_dump(mode="json"))
        conditions, known = _POLLED.get(key, ({}, ""))
        page = next(self._pages.walk(dict(self._options.poll_params), conditions or None)).page
        if page.data is None:
            return known
        token = poll_version_tag(self._mapping, page.data)
        if len(_POLLED) >= MAX_POLLED:
            _POLLED.clear()
        _POLLED[key] = validators(page.etag, page.modified), token
        return token

    def check(self) -> dict[str, Any]:
        return check_by_sample(self)

    def close(self) -> None:
        """Close connections and remove the temporary file. Idempotent."""
        self._client.close()
        spool = self.__dict__.pop("_spool", None)
        if spool is not None:
            spool.close()

    @locked_property
    def _spool(self) -> Spool:
        return Spool()

    def _new_spool(self) -> Spool:
        spool = self.__dict__.pop("_spool", None)
        if spool is not None:
            spool.close()
        return self._spool

    def _safe_token(self) -> str:
        """Taken before the listing, so that a change during it makes the source look different."""
        try:
            return self.version_tag()
        except RagError as error:
            return f"unavailable:{error.reason}"

    def _detail(self, locator: str) -> tuple[bytes, str | None]:
        detail = self._options.detail
        assert detail is not None  # noqa: S101
        answer = self._client.detail(detail.url.replace("{id}", quote(locator, safe="")))
        if detail.content is None:
            return answer.content, answer.media_type or None
        return self._mapping.text(detail.content, self._client.json(answer)).encode(), self._options.media_type
