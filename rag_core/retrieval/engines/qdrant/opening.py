"""Open the index on a Qdrant server from the settings: address, key, certificates, collection ownership."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

from sqlalchemy import Connection

from rag_core.errors import ConfigError, Reason
from rag_core.retrieval.engines.qdrant.collections import Installation
from rag_core.retrieval.engines.qdrant.index import QdrantIndex
from rag_core.retrieval.engines.qdrant.layout import QdrantLayout
from rag_core.retrieval.index import IndexPoint
from rag_core.settings import Settings

_CHECK_SECONDS = 10.0


def open_qdrant(url: str, settings: Settings) -> QdrantIndex:
    """The index on the server at `url`. Raises `ConfigError` (`CONFIG_INVALID`) for a bad address or file."""
    key = settings.qdrant_api_key.get_secret_value() if settings.qdrant_api_key else None
    return QdrantIndex.connect(
        url,
        key,
        settings.index_timeout_seconds,
        installation=partial(_installation, settings),
        metadata=settings.metadata_types,
        layout=QdrantLayout(settings),
        retry=settings.index_retry_seconds,
        tls=_certificates(settings),
    )


def check_qdrant(url: str, settings: Settings) -> None:
    """Check whether a server can be used. Raises as `open_qdrant` and `QdrantIndex.check_server`."""
    hurried = {"index_retry_seconds": 0.0, "index_timeout_seconds": min(_CHECK_SECONDS, settings.index_timeout_seconds)}
    with closing(open_qdrant(url, settings.model_copy(update=hurried))) as index:
        index.check_server()


def _installation(settings: Settings) -> Installation:
    from rag_core.retrieval.engines.qdrant import store as installation

    with _database(settings) as connection:
        mine = installation.read_id(connection)
    return Installation(settings.qdrant_prefix or f"rag-{mine[:8]}", mine, partial(_owns, settings))


def _owns(settings: Settings, generation: str, points: Sequence[IndexPoint]) -> bool:
    from rag_core.retrieval.engines.qdrant import store as installation

    with _database(settings) as connection:
        return installation.owns(connection, generation, points)


@contextmanager
def _database(settings: Settings) -> Iterator[Connection]:
    # Opened for one query: not every process that opens an index has the database open.
    from rag_core.database import open_store

    with closing(open_store(settings)) as store, store.engine.connect() as connection:
        yield connection


def _certificates(settings: Settings) -> dict[str, bytes]:
    files = {
        "root_certificates": ("RAG_QDRANT_CA_FILE", settings.qdrant_ca_file),
        "certificate_chain": ("RAG_QDRANT_CERT_FILE", settings.qdrant_cert_file),
        "private_key": ("RAG_QDRANT_KEY_FILE", settings.qdrant_key_file),
    }
    return {option: _read(name, path) for option, (name, path) in files.items() if path is not None}


def _read(name: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(Reason.CONFIG_INVALID, f"{name}: cannot be read ({error.strerror})") from None
