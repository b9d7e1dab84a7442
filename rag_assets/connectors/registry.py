"""Create the connector of each kind. Imported only when one is needed, because kinds import their libraries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rag_assets.connectors.filesystem.connector import FilesystemConnector
from rag_assets.connectors.git.connector import GitConnector
from rag_assets.connectors.http_api.connector import HttpApiConnector
from rag_assets.connectors.outside import ConnectorContext
from rag_assets.connectors.s3.connector import S3Connector
from rag_assets.connectors.sql.connector import SqlConnector
from rag_assets.connectors.web.connector import WebConnector
from rag_core.content.sources import Connector

CONNECTORS: dict[str, Callable[[Any, ConnectorContext], Connector]] = {
    "filesystem": lambda options, outside: FilesystemConnector(
        options, max_file_bytes=outside.max_file_bytes, rules=outside.paths
    ),
    "git": GitConnector,
    "http_api": HttpApiConnector,
    "s3": S3Connector,
    "sql": lambda options, outside: SqlConnector(
        options, max_cell_bytes=outside.max_file_bytes, own=outside.fetch_policy.own, paths=outside.paths
    ),
    "web": WebConnector,
}
