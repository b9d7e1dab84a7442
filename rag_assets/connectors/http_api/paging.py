"""Walk the pages of a list, for every paging style."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import jsonpath

from rag_assets.connectors.http_api.client import ApiClient, ResponsePage
from rag_assets.connectors.http_api.mapping import Mapping, digest
from rag_assets.connectors.http_api.options import (
    CursorPaging,
    HttpApiOptions,
    LinkPaging,
    NoPaging,
    OffsetPaging,
    PagePaging,
)
from rag_core.errors import InvalidInput, Reason


@dataclass(frozen=True, slots=True)
class ItemPage:
    """The items of one page, and how many the API says there are in all."""

    items: list[Any]
    total: int | None
    page: ResponsePage


class Pages:
    """One walk. `shifting` says that items may move between pages while they are read."""

    def __init__(self, options: HttpApiOptions, client: ApiClient, mapping: Mapping) -> None:
        self._options = options
        self._client = client
        self._mapping = mapping
        self.shifting = isinstance(options.paging, PagePaging | OffsetPaging)

    def walk(self, extra: dict[str, str], conditions: dict[str, str] | None = None) -> Iterator[ItemPage]:
        """Every page to the end. Raises what `ApiClient.page` raises, and `InvalidInput` (`PAGINATION_LOOP`)."""
        url, params = self._options.url, {**self._options.params, **self._first(), **extra}
        asked: set[str] = set()
        seen, last = 0, ""
        for number in range(self._options.max_pages):
            key = digest([url, params])
            if key in asked:
                raise InvalidInput(Reason.PAGINATION_LOOP, f"page {number + 1} was asked for before")
            asked.add(key)
            page = self._client.page(url, params, conditions if number == 0 else None)
            if page.data is None:
                yield ItemPage([], None, page)
                return
            items = self._mapping.items(page.data)
            print_of_page = digest(items)
            if items and print_of_page == last:
                raise InvalidInput(Reason.PAGINATION_LOOP, f"page {number + 1} is the same as the one before")
            last = print_of_page
            total = self._mapping.total(page.data)
            seen += len(items)
            yield ItemPage(items, total, page)
            following = self._next(page, url, params, items, seen, total)
            if following is None:
                return
            url, params = following
        raise InvalidInput(Reason.PAGINATION_LOOP, f"more than {self._options.max_pages} pages")

    def _first(self) -> dict[str, str]:
        paging = self._options.paging
        if isinstance(paging, PagePaging):
            size = {paging.size_param: str(paging.size)} if paging.size_param and paging.size else {}
            return {paging.param: str(paging.first), **size}
        if isinstance(paging, OffsetPaging):
            return {paging.param: "0", paging.limit_param: str(paging.limit)}
        return {}

    def _next(
        self, page: ResponsePage, url: str, params: dict[str, str], items: list[Any], seen: int, total: int | None
    ) -> tuple[str, dict[str, str]] | None:
        """Return URL and parameters of the next page; `None` at the end. A short page is no end: APIs cut pages as they
        like."""
        paging = self._options.paging
        if isinstance(paging, NoPaging):
            return None
        if isinstance(paging, CursorPaging):
            found = jsonpath.compile(paging.next).findall(page.data)
            value = found[0] if found else None
            return (url, {**params, paging.param: str(value)}) if value not in (None, "", False) else None
        if isinstance(paging, LinkPaging):
            link = page.next_link
            if paging.next is not None:
                found = jsonpath.compile(paging.next).findall(page.data)
                link = found[0] if found and isinstance(found[0], str) else None
            return (_joined(url, link), {}) if link else None
        if not items or (total is not None and seen >= total):
            return None
        if isinstance(paging, PagePaging):
            return url, {**params, paging.param: str(int(params[paging.param]) + 1)}
        return url, {**params, paging.param: str(seen)}


def _joined(url: str, link: str) -> str:
    try:
        return str(httpx.URL(url).join(link))
    except httpx.InvalidURL:
        raise InvalidInput(Reason.URL_INVALID, "the next page's link is not a URL") from None
