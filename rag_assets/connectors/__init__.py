"""Connectors: packages register kinds of source (`kind`), each implements `rag_core.content.sources.Connector`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from rag_assets.connectors.kinds import find_kind, require_libraries
from rag_assets.connectors.outside import ConnectorContext
from rag_core.content.sources import Closeable, SourceMemory, TransientMemory, UntouchedMemory
from rag_core.http_client import FetchPolicy

if TYPE_CHECKING:
    from rag_assets.source_config import SourceConfig
    from rag_core.content.sources import Connector
    from rag_core.database import Store
    from rag_core.settings import Settings


def build_connector(config: SourceConfig, context: ConnectorContext | None = None) -> Connector:
    """The connector of one source. Opens nothing yet."""
    name = config.options.kind
    kind = find_kind(name)
    require_libraries(name, kind)
    return kind.connector(config.options, replace(context or ConnectorContext(), source=config.source))


def connector_context(
    config: SourceConfig, settings: Settings, store: Store | None = None, *, remember: bool = True
) -> ConnectorContext:
    """The context of a source's connector in this installation; without a store it remembers nothing.

    Without `remember` it reads the state of earlier runs and stores none itself. Raises `PermissionDenied`
    (`SOURCE_NOT_ALLOWED`) when the allow-lists that the source is limited to do not name all that it reads.
    """
    from rag_core.content.sources import StoredMemory

    memory: SourceMemory = TransientMemory()
    if store is not None:
        stored = StoredMemory(store, config.tenant, config.name)
        memory = stored if remember else UntouchedMemory(stored)
    return ConnectorContext(settings.max_file_bytes, fetch_policy(config, settings), memory, settings.home)


def fetch_policy(config: SourceConfig, settings: Settings) -> FetchPolicy:
    """Return what a source may call in this installation. Raises as `connector_context`."""
    from rag_assets.connectors.allowances import limit_to_allowance

    return replace(FetchPolicy.from_settings(settings), allowance=limit_to_allowance(config, settings))


@contextmanager
def open_connector(config: SourceConfig, context: ConnectorContext | None = None) -> Iterator[Connector]:
    """The connector of one source for the length of a `with` block; what it opened is closed at its end."""
    connector = build_connector(config, context)
    try:
        yield connector
    finally:
        if isinstance(connector, Closeable):
            connector.close()
