"""How the connector of each kind is made. Imported when one is needed, because kinds bring their libraries along."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rag_assets.connectors.filesystem import FilesystemConnector
from rag_assets.connectors.sql import SqlConnector
from rag_core.sources import Connector

CONNECTORS: dict[str, Callable[[Any, int], Connector]] = {
    "filesystem": lambda options, max_bytes: FilesystemConnector(options, max_file_bytes=max_bytes),
    "sql": lambda options, max_bytes: SqlConnector(options, max_cell_bytes=max_bytes),
}
