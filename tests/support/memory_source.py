"""A source in memory: the in-process implementation of the connector interface for tests."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from rag_core.content.sources import FetchedItem, Problem, SourceItem
from rag_core.errors import InvalidInput, NotFound, Reason, Unavailable


@dataclass
class Item:
    """One document at the source."""

    content: bytes
    token: str
    acl: tuple[str, ...] | None = None
    media_type: str | None = "text/plain"
    title: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)


class MemoryListing:
    """Implements `Listing`; stops early after `stop_after` entries when that is set."""

    def __init__(self, entries: list[SourceItem | Problem], stop_after: int | None, version_tag: str = "") -> None:
        self._entries = entries
        self._stop_after = stop_after
        self.version_tag = version_tag
        self.complete = False
        self.error: str | None = None

    def __iter__(self) -> Iterator[SourceItem | Problem]:
        for number, entry in enumerate(self._entries):
            if number == self._stop_after:
                self.error = "page 3 of 5 answered 500"
                return
            yield entry
        if self._stop_after is not None and self._stop_after >= len(self._entries):
            self.error = "page 3 of 5 answered 500"
            return
        self.complete = True


class MemoryConnector:
    """Implements `Connector` over a dictionary that tests change. `fetched` records what was read,
    `listed` counts its listings."""

    shares_listings = True

    def __init__(self) -> None:
        self.items: dict[str, Item] = {}
        self.problems: list[Problem] = []
        self.stop_after: int | None = None
        self.unreachable: set[str] = set()
        self.refused: set[str] = set()
        self.vanishing: set[str] = set()
        self.fetched: list[str] = []
        self.listed = 0
        self._clock = 0

    def put(self, locator: str, text: str | bytes, **fields: Any) -> None:
        """Write a document; its token changes."""
        content = text if isinstance(text, bytes) else text.encode()
        self.items[locator] = Item(content, self._tick(), **fields)

    def touch(self, locator: str) -> None:
        """Change the token only."""
        self.items[locator].token = self._tick()

    def list_items(self) -> MemoryListing:
        entries: list[SourceItem | Problem] = [
            SourceItem(locator, item.token, len(item.content), datetime(2026, 1, 1, tzinfo=UTC))
            for locator, item in self.items.items()
        ]
        self.listed += 1
        return MemoryListing(entries + list(self.problems), self.stop_after, self.version_tag())

    def fetch(self, item: SourceItem) -> FetchedItem:
        self.fetched.append(item.locator)
        if item.locator in self.unreachable:
            raise Unavailable(Reason.UNREADABLE, "the source did not answer")
        if item.locator in self.refused:
            raise InvalidInput(Reason.FILE_TOO_LARGE, "too large")
        if item.locator in self.vanishing or item.locator not in self.items:
            raise NotFound(Reason.VANISHED, "gone")
        held = self.items[item.locator]
        return FetchedItem(item, held.content, held.media_type, held.title, held.acl, held.metadata)

    def version_tag(self) -> str:
        return str(self._clock)

    def check(self) -> dict[str, Any]:
        return {"ok": True, "items": len(self.items), "sample": list(self.items)[:3]}

    def _tick(self) -> str:
        self._clock += 1
        return str(self._clock)
