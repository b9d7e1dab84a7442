"""A real worker process that is killed while it brings in changes of a folder: nothing is lost, nothing is torn."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import text

from benchmarks.ports import free_port
from rag_core.database import Store, open_store
from rag_core.ingestion.source_status import store as status
from tests.integration.assets.conftest import Chain
from tests.support.waiting import eventually

STATES = """
SELECT d.locator, d.deleted_at IS NULL AS live, g.indexed_version IS NOT DISTINCT FROM d.version AS indexed
FROM rag.documents d JOIN rag.generations a ON a.state = 'active'
LEFT JOIN rag.generation_documents g ON g.generation = a.name AND g.doc_id = d.doc_id
"""


@contextmanager
def worker(chain: Chain, failpoint: str = "") -> Iterator[subprocess.Popen[bytes]]:
    settings = chain.settings
    environment = {
        **os.environ, "RAG_HOME": str(settings.home), "RAG_DATABASE_URL": settings.effective_database_url,
        "RAG_EMBEDDER": "fake", "RAG_OCR": "off", "RAG_STREAM_METRICS_PORT": str(free_port()),
        "RAG_STREAM_CANARY_SECONDS": "0",
    } | ({"RAG_FAILPOINT": failpoint} if failpoint else {})  # fmt: skip
    process = subprocess.Popen([sys.executable, "-m", "rag_assets.stream_worker"], env=environment)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(60)


def states(store: Store) -> dict[str, tuple[bool, bool]]:
    """Whether each document is live, and in the index as it is stored."""
    with store.engine.connect() as connection:
        return {row.locator: (row.live, row.indexed) for row in connection.execute(text(STATES))}


@pytest.mark.catalogue("F21")
@pytest.mark.parametrize("failpoint", ["after_commit", "after_upsert"])
def test_the_next_worker_finishes_what_a_killed_one_began(chain: Chain, failpoint: str) -> None:
    for number in range(4):
        chain.write(f"{number}.md", f"Document {number} says pump.")
    assert chain.run().success
    with chain.pipeline.store.engine.begin() as connection:
        seen = status.Observation("acme", "handbook", "filesystem", True, True, False, None)
        status.observe(connection, [seen])
    chain.pipeline.close()  # the worker opens the index: one process at a time
    chain.write("0.md", "Changed: valve.")
    chain.write("new.md", "New: turbine.")
    (chain.root / "3.md").unlink()
    with worker(chain, f"{failpoint}:1:kill") as killed:
        assert killed.wait(120) == -signal.SIGKILL
    store = open_store(chain.settings)
    expected = dict.fromkeys(("0.md", "1.md", "2.md", "new.md"), (True, True))
    with worker(chain):
        assert eventually(lambda: {name: state for name, state in states(store).items() if state[0]} == expected,
                          seconds=120)  # fmt: skip
    assert states(store).get("3.md", (False, True))[0] is False
    store.close()
