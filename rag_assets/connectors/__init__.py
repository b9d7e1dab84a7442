"""Where documents come from: one folder per kind of source, each behind `rag_core.sources.Connector`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rag_assets.connectors.filesystem import FilesystemConnector
from rag_assets.connectors.kafka import KafkaOptions

if TYPE_CHECKING:
    from rag_assets.config import SourceConfig
    from rag_core.sources import Connector

DEFAULT_MAX_FILE_BYTES = 50_000_000


def build_connector(config: SourceConfig, *, max_file_bytes: int = DEFAULT_MAX_FILE_BYTES) -> Connector:
    """The connector of one source. `max_file_bytes` is `Settings.max_file_bytes`. Opens nothing yet."""
    if isinstance(config.options, KafkaOptions):
        # Imported here: most installations have no topic, and the client's library is large.
        from rag_assets.connectors.kafka.connector import KafkaConnector

        return KafkaConnector(config.options, config.source)
    return FilesystemConnector(config.options, max_file_bytes=max_file_bytes)
