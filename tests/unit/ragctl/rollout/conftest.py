from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rag_core import failpoints
from rag_core.database import open_store
from rag_core.settings import Settings
from tests.support.deploys import DeployHarness


@pytest.fixture
def bench(tmp_path: Path, database_url: str) -> Iterator[DeployHarness]:
    settings = Settings(
        home=tmp_path, database_url=database_url, deploy_ready_seconds=1, deploy_grace_seconds=3600
    ).model_copy(update={"deploy_watch_seconds": 0.02})
    store = open_store(settings)
    yield DeployHarness(store, settings)
    failpoints.arm(None)
    store.close()
