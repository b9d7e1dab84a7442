"""Snapshots as docs/how-to/backup-and-restore.md takes and restores them, on a real server."""

from __future__ import annotations

import os
import shutil
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from qdrant_client import models

from rag_core.content.parsing import Parser
from rag_core.database import Store
from rag_core.ingestion.verify import verify
from rag_core.retrieval.engines.qdrant import open_qdrant
from rag_core.retrieval.engines.qdrant.index import QdrantIndex
from rag_core.settings import Settings
from tests.support.pipeline import PipelineHarness
from tests.support.qdrant_snapshots import commands, run

pytestmark = pytest.mark.real_servers


@pytest.fixture
def own(settings: Settings, qdrant_url: str) -> Settings:
    """Settings for that server, with a prefix of their own."""
    key = os.environ.get("RAG_TEST_QDRANT_KEY")
    changes = {
        "qdrant_url": qdrant_url,
        "qdrant_prefix": f"test-{uuid.uuid4().hex[:12]}",
        "qdrant_api_key": SecretStr(key) if key else None,
    }
    return settings.model_copy(update=changes)


@pytest.fixture
def index(own: Settings) -> Iterator[QdrantIndex]:  # type: ignore[override]
    """An index of its own there, which is left without a trace."""
    assert own.qdrant_url is not None
    opened = open_qdrant(own.qdrant_url, own)
    yield opened
    _lose(opened)
    opened.close()


def test_a_restored_collection_is_brought_to_the_rows_and_readers_come_back(
    own: Settings, store: Store, index: QdrantIndex, parser: Parser, tmp_path: Path, qdrant_rest: str
) -> None:
    if missing := [name for name in ("curl", "jq") if shutil.which(name) is None]:
        pytest.skip(f"needs {' and '.join(missing)} on PATH")
    flow = PipelineHarness(store, index, parser, own)
    for name in ("kept", "removed"):
        flow.connector.put(f"{name}.txt", f"The {name} walrus sleeps.")
    flow.run()
    generation = str(index.alias())
    environment = _environment(own, generation, qdrant_rest)
    taking, restoring = commands()
    run(taking, tmp_path, environment)

    del flow.connector.items["removed.txt"]
    flow.connector.put("later.txt", "The later walrus sleeps.")
    flow.run()
    rows = {point.payload.locator for point in flow.points()}
    _lose(index)
    run(restoring, tmp_path, environment)

    again = open_qdrant(str(own.qdrant_url), own)
    assert again.alias() == generation
    assert {point.payload.locator for page in again.scroll(generation) for point in page} == rows
    assert verify(store, again).clean
    again.close()


def test_an_empty_server_is_filled_from_the_rows_and_readers_come_back(
    own: Settings, store: Store, index: QdrantIndex, parser: Parser, tmp_path: Path
) -> None:
    flow = PipelineHarness(store, index, parser, own)
    flow.connector.put("kept.txt", "The kept walrus sleeps.")
    flow.run()
    generation = str(index.alias())
    _lose(index)
    run("rag index rebuild\nrag verify\n", tmp_path, _environment(own, generation))
    again = open_qdrant(str(own.qdrant_url), own)
    assert again.alias() == generation
    assert {point.payload.locator for page in again.scroll(generation) for point in page} == {"kept.txt"}
    again.close()


def _environment(own: Settings, generation: str, rest: str = "") -> dict[str, str]:
    return {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(own.home),
        "QDRANT_REST": rest,
        "GENERATION": generation,
        "RAG_HOME": str(own.home),
        "RAG_EMBEDDER": "fake",
        "RAG_DATABASE_URL": own.effective_database_url,
        "RAG_QDRANT_URL": str(own.qdrant_url),
        "RAG_QDRANT_PREFIX": str(own.qdrant_prefix),
        "RAG_QDRANT_API_KEY": own.qdrant_api_key.get_secret_value() if own.qdrant_api_key else "",
    }


def _lose(index: QdrantIndex) -> None:
    """The collections and the alias of this test."""
    alias = models.DeleteAlias(alias_name=index._collections.alias)
    index._call(lambda client: client.update_collection_aliases([models.DeleteAliasOperation(delete_alias=alias)]))
    for spec in index.generations():
        index.drop(spec.name)
