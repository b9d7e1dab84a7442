"""A database on a disk that fills up: a typed error, nothing half-written, and the next run finishes the work."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.ports import free_port
from rag_core.content.parsing import open_parser
from rag_core.database import open_store, upgrade
from rag_core.database.embedded.server import EmbeddedPostgres
from rag_core.errors import Exhausted, Reason
from rag_core.ingestion.verify import verify
from rag_core.retrieval.engines.edge import EdgeIndex
from rag_core.settings import Settings
from tests.support.pipeline import PipelineHarness
from tests.support.postgres import die_with_parent, reachable_folder

_LETTERS = bytes(b"etaoinshrdlucmfwypvbgk  e  a  o "[value % 32] for value in range(256))
"""Text by its looks: what has no words is quarantined before it is stored."""


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A mounted file system with about 30 MB left beside a fresh cluster."""
    folder = reachable_folder()
    options = ["-t", "tmpfs", "-o", "size=110m,mode=755", "tmpfs", str(folder)]
    if subprocess.run(["mount", *options], capture_output=True, check=False).returncode != 0:
        pytest.skip("cannot mount a file system here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)
    folder.rmdir()


@pytest.fixture
def server(small_disk: Path) -> Iterator[EmbeddedPostgres]:
    """A durable server on it."""
    made = EmbeddedPostgres(small_disk / "postgres", free_port())
    made.start(preexec=die_with_parent)
    yield made
    made.stop()


@pytest.mark.catalogue("F28")
@pytest.mark.root
@pytest.mark.faults
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_full_disk_is_named_and_the_run_after_it_is_right(
    small_disk: Path, server: EmbeddedPostgres, tmp_path: Path
) -> None:
    upgrade(server.owner_url(), services="rag")
    settings = Settings.load(database_url=server.url(), embedder="fake", sync_batch_documents=2)
    store, index, parser = open_store(settings), EdgeIndex(tmp_path / "index"), open_parser(settings)
    flow = PipelineHarness(store, index, parser, settings)
    for number in range(40):
        # Words of random letters do not compress, so a document takes about the room of its text.
        flow.connector.put(f"{number}.txt", f"Document {number}. " + os.urandom(2_000_000).translate(_LETTERS).decode())
    with pytest.raises(Exhausted) as full:
        flow.run()
    assert full.value.reason is Reason.STORAGE_FULL
    stored = flow.one("SELECT count(*) AS n, count(*) FILTER (WHERE length(text) < 2000000) AS torn FROM rag.documents")
    assert stored.n % 2 == 0
    assert stored.torn == 0
    for locator in list(flow.connector.items):
        flow.connector.put(locator, f"Document {locator} is short now.")
    subprocess.run(["mount", "-o", "remount,size=600m", str(small_disk)], check=True)
    assert flow.run().balanced
    assert verify(store, index).clean
    for part in (index, parser, store):
        part.close()
