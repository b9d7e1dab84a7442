from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rag_core import failpoints
from rag_core.content.parsing import Parser
from rag_core.database import Store
from rag_core.retrieval.engines.edge import EdgeIndex
from rag_core.settings import Settings
from tests.support.stream import StreamHarness
from tests.unit.rag_assets.stream_worker.installation import Installation


@pytest.fixture
def stream(store: Store, index: EdgeIndex, settings: Settings, parser: Parser) -> Iterator[StreamHarness]:
    made = StreamHarness(store, index, parser, settings)
    yield made
    made.close()
    failpoints.arm(None)


@pytest.fixture
def installation(stream: StreamHarness, tmp_path: Path) -> Iterator[Installation]:
    made = Installation(stream, tmp_path / "docs")
    made.folder.mkdir()
    yield made
    made.stop()
