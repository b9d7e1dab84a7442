"""A stream worker over a folder of source files, for sources whose servers report their changes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rag_core.content.parsing import Parser
from rag_core.database import Store
from rag_core.retrieval.engines.edge import EdgeIndex
from rag_core.settings import Settings
from tests.support.stream import StreamHarness
from tests.unit.rag_assets.stream_worker.test_listed_sources import Installation


@pytest.fixture
def installation(
    store: Store, index: EdgeIndex, settings: Settings, parser: Parser, tmp_path: Path
) -> Iterator[Installation]:
    stream = StreamHarness(store, index, parser, settings)
    made = Installation(stream, tmp_path / "docs")
    yield made
    made.stop()
    stream.close()
