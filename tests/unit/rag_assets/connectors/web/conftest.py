from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from rag_assets.connectors.outside import ConnectorContext
from rag_assets.connectors.web.connector import WebConnector
from rag_assets.connectors.web.listing import WebListing
from rag_assets.connectors.web.options import WebOptions
from rag_assets.connectors.web.state import crawl_report
from rag_core.content.sources import Problem, SourceItem, TransientMemory
from tests.support.sites import POLICY, Site, served_site  # noqa: F401

Open = Callable[..., WebConnector]


@pytest.fixture
def memory() -> TransientMemory:
    return TransientMemory()


@pytest.fixture
def open_web(site: Site, memory: TransientMemory) -> Iterator[Open]:
    """A connector on the site's root that remembers in `memory`; keywords are further options."""
    made: list[WebConnector] = []

    def build(*, max_file_bytes: int = 5_000_000, **options: Any) -> WebConnector:
        given = {"kind": "site", "seeds": [site.url("/")], "delay_seconds": 0, **options}
        made.append(WebConnector(WebOptions.model_validate(given), ConnectorContext(max_file_bytes, POLICY, memory)))
        return made[-1]

    yield build
    for connector in made:
        connector.close()


class Crawl:
    """The outcome of one crawl, by path."""

    def __init__(self, site: Site, connector: WebConnector, memory: TransientMemory) -> None:
        root = site.url("/").rstrip("/")
        self.listing: WebListing = connector.list_items()
        entries = list(self.listing)
        self.items = [e.locator.removeprefix(root) for e in entries if isinstance(e, SourceItem)]
        self.problems = {e.locator.removeprefix(root): e for e in entries if isinstance(e, Problem)}
        self.tokens = {e.locator.removeprefix(root): e.version_tag for e in entries if isinstance(e, SourceItem)}
        self.report = {row["url"].removeprefix(root): row for row in crawl_report(memory)}

    def why(self, path: str) -> str:
        row = self.report[path]
        return f"{row['outcome']}: {row['why']}"


@pytest.fixture
def crawl(site: Site, open_web: Open, memory: TransientMemory) -> Callable[..., Crawl]:
    """Crawl the site once with the given options."""
    return lambda **options: Crawl(site, open_web(**options), memory)
