"""A run works in rounds: something is searchable early, every round is checked, and a crash in one costs nothing."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import func, insert

from rag_core import failpoints
from rag_core.content.embedding import Vectors
from rag_core.content.embedding.fake import FakeEmbedder
from rag_core.content.quality import quarantine_store as quarantine
from rag_core.content.sources import FetchedItem, Scope, SourceItem
from rag_core.database.tables.content import source_runs, source_states
from rag_core.errors import Reason, Unavailable
from rag_core.ingestion import source_status
from rag_core.ingestion.generations import Transforms, status_store
from rag_core.ingestion.pipeline import StageResult, account, progress_store, run_pipeline
from rag_core.ingestion.pipeline.progress_store import Coverage
from rag_core.retrieval.index import ApplyResult, DocumentUpdate, VectorIndex
from tests.support.generations import GenerationHarness
from tests.support.memory_source import MemoryConnector, MemoryListing
from tests.support.pipeline import PipelineHarness, prose

MANY = 40


@dataclass
class Watched:
    """The real index; calls `written` with the locators of each write."""

    real: VectorIndex
    written: list[list[str]] = field(default_factory=list)
    then: Callable[[], None] = lambda: None

    def apply(self, generation: str, updates: Sequence[DocumentUpdate]) -> ApplyResult:
        result = self.real.apply(generation, updates)
        self.written.append([update.points[0].payload.locator for update in updates if update.points])
        self.then()
        return result

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


class Rounds:
    """A source whose documents fill several rounds."""

    def __init__(self, flow: PipelineHarness) -> None:
        self.flow = flow
        self.index = flow.index = Watched(flow.index)
        self.harness = GenerationHarness(flow)
        self.harness.ensure()
        self.scope = Scope(flow.source, "run-0")
        for number in range(MANY):
            flow.connector.put(f"{number:02}.txt", prose(number, sentences=12))

    def run(self, run_id: str = "run-0", **options: Any) -> dict[str, StageResult]:
        self.scope = Scope(self.flow.source, run_id)
        return run_pipeline(self.harness, self.scope, connector=self.flow.connector, **options)

    def coverage(self) -> Coverage:
        with self.flow.store.engine.connect() as connection:
            counts = status_store.source_counts(connection, self.flow.source.tenant)
            (found,) = progress_store.coverage(connection, counts)
        return found


@pytest.fixture
def rounds(flow: PipelineHarness) -> Rounds:
    return Rounds(flow)


def test_the_first_documents_are_searchable_before_most_of_the_source_is_read(rounds: Rounds) -> None:
    seen: list[tuple[int, Coverage]] = []
    rounds.index.then = lambda: seen.append((len(rounds.flow.connector.fetched), rounds.coverage()))
    rounds.run()
    fetched, first = seen[0]
    assert fetched < MANY
    assert 0 < first.unread < MANY
    assert first.share < 0.5, "the API must not call the stored part of a source all of it"
    assert (rounds.coverage().share, rounds.coverage().unread) == (1.0, 0)
    assert rounds.coverage().searchable == MANY
    assert account(rounds.flow.store, rounds.scope).balanced


def test_the_results_of_all_rounds_add_up_to_those_of_the_run(rounds: Rounds) -> None:
    results = rounds.run()
    assert results["documents"].counts["added"] == results["chunks"].counts["documents"] == MANY
    assert results["embeddings"].counts["embedded"] == results["chunks"].counts["chunks"]
    assert results["index"].counts["upserted"] == results["chunks"].counts["chunks"]
    assert results["index"].counts["generations"] == 1
    assert len(rounds.index.written) > 1
    again = rounds.run("run-1")
    assert [again[stage].counts["documents"] for stage in ("chunks", "index")] == [0, 0]
    assert again["documents"].counts["unchanged"] == MANY


def test_small_documents_come_first_and_of_these_the_newest(rounds: Rounds) -> None:
    connector = rounds.flow.connector
    connector.items.clear()
    connector.put("large.txt", "A long report. " * 20_000)
    for number in (3, 1, 2):
        connector.put(f"{number}.txt", prose(number))
    days = {"large.txt": 9, "1.txt": 1, "2.txt": 2, "3.txt": 3}
    entries = [
        SourceItem(name, item.token, len(item.content), datetime(2026, 1, days[name], tzinfo=UTC))
        for name, item in connector.items.items()
    ]
    connector.list_items = lambda: MemoryListing(list(entries), None)  # type: ignore[method-assign]
    rounds.run()
    assert connector.fetched == ["3.txt", "2.txt", "1.txt", "large.txt"]


def test_documents_are_searchable_while_the_source_is_still_being_listed(
    rounds: Rounds, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rag_core.content.sources.listings.EARLY_SECONDS", 0.0)
    writes_when_listed: list[int] = []

    class Listing(MemoryListing):
        def __iter__(self) -> Iterator[Any]:
            for entry in super().__iter__():
                writes_when_listed.append(len(rounds.index.written))
                yield entry

    connector = rounds.flow.connector
    connector.list_items = lambda: Listing(MemoryConnector.list_items(connector)._entries, None)  # type: ignore[method-assign]
    rounds.run()
    assert writes_when_listed[0] == 0 < writes_when_listed[-1]
    assert sorted(connector.fetched) == sorted(connector.items), "each item is read once"
    counts = account(rounds.flow.store, rounds.scope)
    assert counts.balanced
    assert (counts.read, counts.indexed) == (MANY, MANY)


def test_no_share_is_said_of_a_source_that_is_still_being_listed(
    rounds: Rounds, monkeypatch: pytest.MonkeyPatch
) -> None:
    early = "rag_core.content.sources.listings.EARLY_SECONDS"
    monkeypatch.setattr(early, 0.0)
    name = {"tenant": rounds.flow.source.tenant, "source": rounds.flow.source.name}
    state = name | {"kind": "memory", "configured": True, "has_runs": True, "automatic": True}
    run = name | {"shard": 0, "run_id": "run-0", "state": "running", "queued_at": func.now()}
    with rounds.flow.store.engine.begin() as connection:
        connection.execute(insert(source_states).values(**state))
        connection.execute(insert(source_runs).values(**run))
    ends, said = threading.Event(), list[tuple[bool, str]]()

    class Listing(MemoryListing):
        def __iter__(self) -> Iterator[Any]:
            yield from super().__iter__()
            ends.set()

    def look() -> None:
        with rounds.flow.store.engine.connect() as connection:
            (report,) = source_status.read(connection, name["tenant"])
        said.append((ends.is_set(), source_status.describe(report.status)))

    class Looking(FakeEmbedder):
        def embed_passages(self, texts: Sequence[str]) -> Vectors:
            look()
            monkeypatch.setattr(early, 3600.0)  # the rest is read when the listing has ended
            return super().embed_passages(texts)

    own, embedder = rounds.harness.own, Looking()
    rounds.harness = GenerationHarness(
        rounds.flow, Transforms(lambda: embedder, lambda: own.chunker, own.generation_config)
    )
    connector = rounds.flow.connector

    def fetch(item: SourceItem) -> FetchedItem:
        look()
        return MemoryConnector.fetch(connector, item)

    connector.list_items = lambda: Listing(MemoryConnector.list_items(connector)._entries, None)  # type: ignore[method-assign]
    connector.fetch = fetch  # type: ignore[method-assign]
    rounds.run()
    assert {ended for ended, _ in said} == {False, True}
    assert all(words.startswith("listing: ") is not ended for ended, words in said), said
    look()
    assert said[-1][1] == "checking what was indexed"


def test_what_is_listed_after_the_queue_ran_empty_in_a_full_round_is_read(
    rounds: Rounds, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A source that is slow to begin: its first document is read, and fills a round, before the second is listed."""
    early = "rag_core.content.sources.listings.EARLY_SECONDS"
    monkeypatch.setattr(early, 0.0)
    rounds.index.then = lambda: monkeypatch.setattr(early, 3600.0)
    rounds.flow.connector.put("00.txt", prose(0, sentences=200))  # a round by itself
    rounds.run()
    counts = account(rounds.flow.store, rounds.scope)
    assert counts.balanced
    assert (counts.read, counts.indexed) == (MANY, MANY)


def test_a_listing_that_breaks_off_after_its_first_documents_deletes_nothing(
    rounds: Rounds, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds.run()
    monkeypatch.setattr("rag_core.content.sources.listings.EARLY_SECONDS", 0.0)
    for number in range(MANY):
        rounds.flow.connector.put(f"{number:02}.txt", prose(number + 100))
    rounds.flow.connector.stop_after = 5
    results = rounds.run("run-1")
    assert results["documents"].problem == Reason.LISTING_INCOMPLETE
    counts = account(rounds.flow.store, rounds.scope)
    assert (counts.balanced, counts.deleted, counts.indexed) == (True, 0, 5)


def test_a_deleted_document_leaves_the_index_before_new_ones_are_read(rounds: Rounds) -> None:
    rounds.run()
    rounds.flow.connector.fetched.clear()
    del rounds.flow.connector.items["00.txt"]
    rounds.flow.connector.put("new.txt", prose(500))
    fetched_at_write: list[int] = []
    rounds.index.then = lambda: fetched_at_write.append(len(rounds.flow.connector.fetched))
    rounds.run("run-1")
    assert fetched_at_write[0] == 0
    assert "00.txt" not in rounds.flow.indexed_text()


def test_a_document_that_the_check_of_its_round_refuses_is_quarantined_and_the_others_are_indexed(
    rounds: Rounds,
) -> None:
    bad = "07.txt"
    bad_id = rounds.flow.doc_id(bad)

    def check(doc_ids: Sequence[uuid.UUID] | None) -> dict[str, str]:
        return {bad: "documents: media_type violates its pattern"} if bad_id in (doc_ids or ()) else {}

    rounds.run(check=check)
    counts = account(rounds.flow.store, rounds.scope)
    assert (counts.balanced, counts.indexed, counts.quarantined) == (True, MANY - 1, 1)
    row = rounds.flow.quarantined()[bad]
    assert (row.stage, row.reason, row.message) == ("index", Reason.SCHEMA_VIOLATION, check([bad_id])[bad])
    assert bad not in rounds.flow.indexed_text()
    rounds.run("run-1")
    assert account(rounds.flow.store, rounds.scope).quarantined == 1
    with rounds.flow.store.engine.begin() as connection:
        quarantine.redrive(connection, row.id, tenant="acme", actor="ann")
    rounds.run("run-2")
    assert rounds.flow.quarantined() == {}
    assert len(rounds.flow.indexed_text()) == MANY


@pytest.mark.parametrize("point", ["after_commit:2:raise", "after_embed_batch:2:raise", "after_upsert:2:raise"])
def test_a_crash_in_any_round_is_repaired_by_the_next_run(rounds: Rounds, point: str) -> None:
    failpoints.arm(point)
    with pytest.raises(failpoints.FailpointReached):
        rounds.run()
    failpoints.arm(None)
    before = rounds.coverage()
    assert before.share < 1, "what was not read is known after the crash, too"
    rounds.run("run-1")
    assert account(rounds.flow.store, rounds.scope).balanced
    assert rounds.coverage().complete
    assert len(rounds.flow.indexed_text()) == MANY


def test_what_an_earlier_run_left_pending_is_worked_off_in_rounds(rounds: Rounds) -> None:
    real = rounds.index.real

    def down(*_: object) -> ApplyResult:
        raise Unavailable(Reason.INDEX_UNAVAILABLE, "the index does not answer")

    rounds.index.apply = down  # type: ignore[method-assign]
    with pytest.raises(Unavailable):
        rounds.run()
    rounds.run("run-1", stages=["documents"])
    rounds.flow.index = rounds.index = Watched(real)
    results = run_pipeline(rounds.harness, Scope(rounds.flow.source, "run-2"), stages=["chunks", "embeddings", "index"])
    assert results["index"].counts["documents"] == MANY
    assert len(rounds.index.written) > 1


def test_a_round_leaves_new_documents_to_the_build_of_a_building_generation(rounds: Rounds) -> None:
    from rag_core.ingestion.generations import store as generations
    from rag_core.ingestion.promotion import declare
    from tests.support.generations import word_transforms

    other = word_transforms(version="2")
    declare(rounds.flow.store, rounds.flow.index, other, name="next", actor="test")
    rounds.run()
    with rounds.flow.store.engine.connect() as connection:
        assert generations.document_totals(connection)["next"].documents == 0
