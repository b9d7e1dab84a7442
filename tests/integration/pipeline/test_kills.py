"""Runs that are killed with SIGKILL: the next run makes everything right, and what was paid for is not paid twice. A
database on a disk that fills up: a typed error, nothing half-written, and the next run finishes the work."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from benchmarks.ports import free_port
from rag_core.content.parsing import open_parser
from rag_core.database import open_store, upgrade
from rag_core.database.embedded.server import EmbeddedPostgres
from rag_core.database.engine import driver_url
from rag_core.errors import Exhausted, Reason
from rag_core.ingestion.verify import verify
from rag_core.retrieval.engines.edge import EdgeIndex
from rag_core.settings import Settings
from tests.support import crashing_run
from tests.support.pipeline import PipelineHarness, prose
from tests.support.postgres import die_with_parent, fast_folder, reachable_folder
from tests.support.small_disk import small_disk

DOCUMENTS = 8


@dataclass
class Harness:
    """A folder of documents, a database and an index folder that outlive every run."""

    home: Path
    folder: Path
    database_url: str

    def run(self, failpoint: str | None = None) -> dict[str, Any] | None:
        """Run to the end; the counts, or `None` when the run was killed."""
        result = self.home / "result.json"
        result.unlink(missing_ok=True)
        process = crashing_run.start(self.home, self.database_url, self.folder, result, failpoint)
        process.join(100)
        assert process.exitcode in (0, -signal.SIGKILL)
        if process.exitcode != 0:
            return None
        counts: dict[str, Any] = json.loads(result.read_text())
        return counts

    def write(self, number: int, seed: int) -> None:
        (self.folder / f"{number}.txt").write_text(prose(seed))

    def embedded(self) -> int:
        return int(self.scalar("SELECT count(*) FROM rag.embeddings"))

    def scalar(self, statement: str) -> Any:
        engine = create_engine(driver_url(self.database_url))
        with engine.connect() as connection:
            value = connection.scalar(text(statement))
        engine.dispose()
        return value

    def served(self) -> dict[str, str]:
        """Locator to indexed text; asserts on the way that no document is torn or doubled."""
        index = EdgeIndex(self.home / "index")
        alias = index.alias()
        points = [point for page in index.scroll(alias) for point in page] if alias else []
        index.close()
        documents: dict[str, dict[int, str]] = {}
        versions: dict[str, set[int]] = {}
        for point in points:
            pieces = documents.setdefault(point.payload.locator, {})
            assert point.payload.ordinal not in pieces
            pieces[point.payload.ordinal] = point.payload.text
            versions.setdefault(point.payload.locator, set()).add(point.payload.version)
        assert all(len(found) == 1 for found in versions.values())
        return {
            locator: " ".join(" ".join(pieces[n] for n in sorted(pieces)).split())
            for locator, pieces in documents.items()
        }

    def at_source(self) -> dict[str, str]:
        return {path.name: " ".join(path.read_text().split()) for path in self.folder.iterdir()}

    def assert_right(self) -> dict[str, Any]:
        """One normal run: EO and ACC."""
        counts = self.run()
        assert counts is not None
        assert counts["pending"] == 0
        parts = ("indexed", "unchanged", "deleted", "quarantined", "skipped")
        assert counts["read"] == sum(counts[name] for name in parts)
        assert self.served() == self.at_source()
        index = EdgeIndex(self.home / "index")
        store = open_store(Settings.load(database_url=self.database_url))
        report = verify(store, index)
        store.close()
        index.close()
        assert report.clean, report.findings
        return counts


@pytest.fixture
def world(database_url: str) -> Iterator[Harness]:
    home = fast_folder()
    folder = home / "documents"
    folder.mkdir()
    made = Harness(home, folder, database_url)
    for number in range(DOCUMENTS):
        made.write(number, number)
    yield made
    shutil.rmtree(home)


def _change(world: Harness) -> None:
    """One edit, one deletion, one new document."""
    world.write(0, 100)
    (world.folder / "1.txt").unlink()
    world.write(50, 50)


@pytest.mark.catalogue("F01")
def test_a_run_killed_while_embedding_does_not_embed_committed_batches_again(world: Harness) -> None:
    assert world.run("after_embed_batch:3:kill") is None
    committed = world.embedded()
    assert 0 < committed <= 12
    counts = world.assert_right()
    chunks = DOCUMENTS * 6
    assert counts["stages"]["embeddings"] == {
        "chunks": chunks,
        "texts": chunks,
        "embedded": chunks - committed,
        "cached": committed,
        "rejected": 0,
        "followed": 0,
        "deferred": 0,
    }


def _shrink(world: Harness) -> None:
    world.write(0, 100)


@pytest.mark.catalogue("F02", "F03")
@pytest.mark.parametrize(
    ("failpoint", "change"),
    [
        ("after_commit:1:kill", _change),
        ("after_upsert:1:kill", _change),
        ("before_mark_commit:1:kill", _change),
        ("before_stale_delete:1:kill", _shrink),
    ],
)
def test_a_run_killed_between_database_and_index_is_made_right_by_the_next(
    world: Harness, failpoint: str, change: Callable[[Harness], None]
) -> None:
    assert world.run() is not None
    change(world)
    assert world.run(failpoint) is None
    world.assert_right()


@pytest.mark.catalogue("F01")
@pytest.mark.parametrize("failpoint", ["after_commit:2:kill", "after_upsert:2:kill", "before_mark_commit:3:kill"])
def test_a_run_killed_in_a_later_round_keeps_the_rounds_before_and_is_made_right_by_the_next(
    world: Harness, failpoint: str
) -> None:
    assert world.run(failpoint) is None
    assert world.served(), "the first round is searchable"
    world.assert_right()


@pytest.mark.catalogue("F05", "F04")
def test_a_run_that_is_ended_leaves_every_document_old_or_new_and_none_mixed(world: Harness) -> None:
    assert world.run() is not None
    old = world.served()
    for number in range(DOCUMENTS):
        world.write(number, 200 + number)
    # The second write is applied and not marked: its documents are new, the rest is old, none is both.
    assert world.run("after_upsert:2:kill") is None
    new = world.at_source()
    served = world.served()
    assert set(served) == set(old)
    assert all(served[locator] in (old[locator], new[locator]) for locator in served)
    assert 2 <= sum(served[locator] == new[locator] for locator in served) < DOCUMENTS
    world.assert_right()


@pytest.mark.catalogue("F01")
@pytest.mark.faults
@pytest.mark.timeout(900)
def test_a_run_killed_at_thirty_random_moments_is_made_right_by_the_next(world: Harness) -> None:
    seed = random.SystemRandom().randrange(10**6)
    print("seed", seed)
    dice = random.Random(seed)
    points = [
        "after_fetch",
        "after_commit",
        "after_embed_batch",
        "after_upsert",
        "before_stale_delete",
        "before_mark_commit",
    ]
    killed = 0
    for _ in range(30):
        for number in dice.sample(range(DOCUMENTS + 4), 4):
            world.write(number, dice.randrange(1000))
        (world.folder / f"{dice.randrange(DOCUMENTS)}.txt").unlink(missing_ok=True)
        killed += world.run(f"{dice.choice(points)}:{dice.randint(1, 3)}:kill") is None
    assert killed >= 15
    world.assert_right()


_LETTERS = bytes(b"etaoinshrdlucmfwypvbgk  e  a  o "[value % 32] for value in range(256))
"""Text by its looks: what has no words is quarantined before it is stored."""


@pytest.fixture
def disk() -> Iterator[Path]:
    """A mounted file system with about 30 MB left beside a fresh cluster."""
    folder = reachable_folder()
    with small_disk(folder, "110m"):
        yield folder
    folder.rmdir()


@pytest.fixture
def server(disk: Path) -> Iterator[EmbeddedPostgres]:
    """A durable server on it."""
    made = EmbeddedPostgres(disk / "postgres", free_port())
    made.start(preexec=die_with_parent)
    yield made
    made.stop()


@pytest.mark.catalogue("F28")
@pytest.mark.root
@pytest.mark.faults
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_full_disk_is_named_and_the_run_after_it_is_right(
    disk: Path, server: EmbeddedPostgres, tmp_path: Path
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
    assert stored.n < 40
    assert stored.torn == 0
    for locator in list(flow.connector.items):
        flow.connector.put(locator, f"Document {locator} is short now.")
    subprocess.run(["mount", "-o", "remount,size=600m", str(disk)], check=True)
    assert flow.run().balanced
    assert verify(store, index).clean
    for part in (index, parser, store):
        part.close()
