"""A stream worker killed at random moments while documents are pushed, changed and deleted."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from benchmarks.ports import free_port
from rag_core.content.streams import PushedChange
from rag_core.content.streams import inbox_store as inbox
from rag_core.database import Store
from rag_core.retrieval.engines import open_index
from rag_core.settings import Settings
from tests.support.models import model_home  # noqa: F401
from tests.support.postgres import die_with_parent

pytestmark = [pytest.mark.faults, pytest.mark.timeout(3600)]
KILLS = 10
DOCUMENTS = 40
SECONDS = 120.0


def start(settings: Settings) -> subprocess.Popen[bytes]:
    """A worker as `rag up` starts it, on the database and the folder of the test."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAG_")} | {
        "RAG_HOME": str(settings.home),
        "RAG_DATABASE_URL": settings.effective_database_url,
        "RAG_EMBEDDER": "fake",
        "RAG_STREAM_METRICS_PORT": str(settings.stream_metrics_port),
        "RAG_STREAM_CANARY_SECONDS": "0",
        "RAG_STREAM_RECONCILE_SECONDS": "1",
        "RAG_STREAM_HEARTBEAT_SECONDS": "0.5",
    }
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "rag_assets.stream_worker"],
        env=environment,
        preexec_fn=die_with_parent,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def waiting(store: Store) -> tuple[int, int]:
    """Changes that are not applied, and stored versions that no index has."""
    with store.engine.connect() as connection:
        pending = inbox.pending(connection)[0]
        behind = connection.scalar(
            text(
                "SELECT count(*) FROM rag.documents d LEFT JOIN rag.generation_documents g ON g.doc_id = d.doc_id"
                " WHERE g.indexed_version IS DISTINCT FROM d.version"
            )
        )
    return pending, int(behind or 0)


@pytest.mark.catalogue("F18", "F25")
def test_ten_kills_of_the_worker_lose_repeat_and_revive_nothing(
    store: Store,
    settings: Settings,
    model_home: Path,  # noqa: F811
) -> None:
    settings = settings.model_copy(update={"stream_metrics_port": free_port()})
    settings.home.mkdir(parents=True, exist_ok=True)
    (settings.home / "models").symlink_to(model_home / "models")
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    noise = random.Random(seed)
    expected: dict[str, str] = {}
    pushed = killed_at_work = 0

    def push() -> None:
        nonlocal pushed
        pushed += 1
        locator = f"d{noise.randrange(DOCUMENTS)}"
        words = f"Change {pushed} of document {locator}.\n\nPump {pushed} needs oil."
        content = None if noise.random() < 0.2 else words
        fields: dict[str, Any] = {"acl": ("everyone",)} if content else {}
        change = PushedChange(
            "acme", "push", locator, "test", content.encode() if content else None, "text/plain", **fields
        )
        with store.engine.begin() as connection:
            inbox.accept(connection, change, max_pending=10**6)
        expected.pop(locator, None)
        if content:
            expected[locator] = content

    worker = start(settings)
    try:
        for _ in range(KILLS):
            deadline = time.monotonic() + SECONDS
            before = pushed
            # It must be at work when it is killed, so changes keep coming until it has taken some.
            moment = noise.uniform(0.05, 0.6)
            taken: float | None = None
            while time.monotonic() < deadline:
                push()
                time.sleep(0.004)  # the pace of the callers
                if taken is None and waiting(store)[0] < pushed - before:
                    taken = time.monotonic()
                if taken is not None and time.monotonic() - taken > moment:
                    break
            killed_at_work += sum(waiting(store)) > 0
            worker.kill()
            worker.wait(60)
            worker = start(settings)
        deadline = time.monotonic() + SECONDS
        while sum(waiting(store)) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert waiting(store) == (0, 0)
    finally:
        worker.terminate()
        assert worker.wait(60) == 0
    assert killed_at_work > KILLS / 2
    index = open_index(settings)
    try:
        generation = index.alias()
        assert generation is not None
        points = [point for page in index.scroll(generation) for point in page]
    finally:
        index.close()
    found: dict[str, list[tuple[int, str]]] = {}
    for point in points:
        found.setdefault(point.payload.locator, []).append((point.payload.ordinal, point.payload.text))
    said = {locator: "\n\n".join(piece for _, piece in sorted(parts)) for locator, parts in found.items()}
    folded = {locator: " ".join(words.split()) for locator, words in said.items()}
    assert folded == {locator: " ".join(words.split()) for locator, words in expected.items()}
    assert len({point.chunk_id for point in points}) == len(points)
