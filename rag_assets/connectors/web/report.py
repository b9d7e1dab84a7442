"""Why each URL of the last crawl was followed or not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rag_assets.connectors.web.state import PageState
from rag_core.sources import SourceMemory


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
