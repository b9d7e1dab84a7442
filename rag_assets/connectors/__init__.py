"""Where documents come from: one folder per kind of source, each behind `rag_core.sources.Connector`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rag_core.sources import Closeable

if TYPE_CHECKING:
    from rag_assets.config import SourceConfig
    from rag_core.sources import Connector

DEFAULT_MAX_FILE_BYTES = 50_000_000


def build_connector(config: SourceConfig, *, max_file_bytes: int = DEFAULT_MAX_FILE_BYTES) -> Connector:
    """The connector of one source. `max_file_bytes` is `Settings.max_file_bytes`. Opens nothing yet."""
    from rag_assets.connectors.registry import CONNECTORS

    return CONNECTORS[config.options.kind](config.options, max_file_bytes)


@contextmanager
def open_connector(config: SourceConfig, *, max_file_bytes: int = DEFAULT_MAX_FILE_BYTES) -> Iterator[Connector]:
    """The connector of one source for the length of a `with` block; what it opened is closed at its end."""
    connector = build_connector(config, max_file_bytes=max_file_bytes)
    try:
        yield connector
    finally:
        if isinstance(connector, Closeable):
            connector.close()
