"""Reading a listing in one call."""

from __future__ import annotations

import os
import time
from pathlib import Path

from rag_assets.connectors.filesystem.connector import FilesystemConnector
from rag_assets.connectors.filesystem.safe_open import RACY_NS
from rag_core.content.sources import Problem, SourceItem


def locators(connector: FilesystemConnector) -> list[str]:
    return [entry.locator for entry in connector.list_items() if isinstance(entry, SourceItem)]


def problems(connector: FilesystemConnector) -> dict[str, Problem]:
    return {entry.locator: entry for entry in connector.list_items() if isinstance(entry, Problem)}


def item(connector: FilesystemConnector, locator: str) -> SourceItem:
    return next(e for e in connector.list_items() if isinstance(e, SourceItem) and e.locator == locator)


def settle(path: Path) -> None:
    """Wait until a file is not young any more (see `tokens`): an event of the clock itself, at most 50 ms away."""
    while time.time_ns() - path.stat().st_ctime_ns < RACY_NS:
        os.sched_yield()
