"""State of a URL from crawl to crawl. The same rows are the report of the last crawl."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any, Self

from rag_core.content.sources import SourceMemory


class UrlOutcome(StrEnum):
    """Outcome of a URL in the last crawl."""

    INDEXED = "indexed"
    UNCHANGED = "unchanged"
    KEPT = "kept"
    """Not readable just now, or not found once; the stored document stays."""
    GONE = "gone"
    MOVED = "moved"
    DUPLICATE = "duplicate"
    OUT_OF_SCOPE = "out of scope"
    EXCLUDED = "excluded"
    BUDGET = "budget"
    FAILED = "failed"
    NOT_A_DOCUMENT = "not a document"


@dataclass(slots=True)
class PageState:
    """`held`: the page is a stored document. `misses` counts crawls in a row that did not find it."""

    outcome: str = ""
    why: str = ""
    held: bool = False
    status: int = 0
    depth: int = 0
    found_on: str = ""
    token: str = ""
    etag: str | None = None
    modified: str | None = None
    misses: int = 0
    links: tuple[str, ...] = ()
    crawl: str = ""

    @classmethod
    def parse(cls, stored: dict[str, Any]) -> Self:
        """From the memory; unknown keys of another release are left out."""
        known = {field.name for field in fields(cls)}
        state = cls(**{name: value for name, value in stored.items() if name in known})
        state.links = tuple(state.links)
        return state

    def stored(self) -> dict[str, Any]:
        """For the memory."""
        return {**asdict(self), "links": list(self.links)}

    def conditions(self) -> dict[str, str]:
        """Headers that ask for the page only when it is another one."""
        pairs = {"if-none-match": self.etag, "if-modified-since": self.modified}
        return {name: value for name, value in pairs.items() if value} if self.held else {}


# --------------------------------------------------------------------------------------------------------------------
# Report of the last crawl: the outcome of each URL.


def crawl_report(
    memory: SourceMemory, *, outcome: str | None = None, url: str | None = None
) -> Iterator[dict[str, Any]]:
    """One row per URL, by URL; only those with `outcome`, or whose URL contains `url`, when these are given."""
    for found, stored in memory.all():
        state = PageState.parse(stored)
        if outcome in (None, str(state.outcome)) and (url is None or url in found):
            yield {
                "url": found,
                "outcome": str(state.outcome),
                "why": state.why,
                "status": state.status or None,
                "depth": state.depth,
                "found_on": state.found_on,
                "document": state.held,
            }
