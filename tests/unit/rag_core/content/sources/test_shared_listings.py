"""The runs of a source's shards list it once, and only from a listing that began after they were asked for."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from rag_core.content.sources import Problem, Scope, SourceItem
from rag_core.errors import Reason, Unavailable
from rag_core.ingestion.alerts import AlertKind, dated_ahead, source_states
from rag_core.ingestion.erasure import erase
from rag_core.ingestion.pipeline import StageResult, approve_deletions, purge_listings
from tests.support.memory_source import MemoryConnector, MemoryListing
from tests.support.pipeline import PipelineHarness, prose

SHARDS = range(4)
LONG_BEFORE = timedelta(minutes=1)


@pytest.fixture
def sharded(flow: PipelineHarness) -> PipelineHarness:
    """Twenty documents at a source of four shards, nothing stored; the guard holds a loss of eight or more."""
    flow.settings = flow.settings.model_copy(update={"delete_guard_minimum": 8})
    flow.source = replace(flow.source, shards=4)
    for number in range(20):
        flow.connector.put(f"{number}.txt", prose(number, 2))
    return flow


def now() -> datetime:
    return datetime.now(UTC)


def run(
    flow: PipelineHarness, shard: int, asked: datetime | None, connector: MemoryConnector | None = None
) -> StageResult:
    scope = Scope(flow.source, f"run-{next(flow.runs)}", shard, asked)
    return flow.store_documents(scope, connector)


def refresh(flow: PipelineHarness) -> list[StageResult]:
    """A run of each shard, all asked for before the first of them began."""
    asked = now() - LONG_BEFORE
    return [run(flow, shard, asked) for shard in SHARDS]


def total(reports: list[StageResult], name: str) -> int:
    return sum(report.counts[name] for report in reports)


def alive(flow: PipelineHarness) -> int:
    return int(flow.one("SELECT count(*) FROM rag.documents WHERE deleted_at IS NULL").count)


def left(flow: PipelineHarness) -> tuple[int, int]:
    """Shared listings and their items that are still stored."""
    row = flow.one("SELECT (SELECT count(*) FROM rag.listings), (SELECT count(*) FROM rag.listed_items)")
    return row[0], row[1]


def test_the_runs_of_one_refresh_list_the_source_once_and_store_all_of_it(sharded: PipelineHarness) -> None:
    reports = refresh(sharded)
    assert sharded.connector.listed == 1
    assert (total(reports, "added"), total(reports, "read"), alive(sharded)) == (20, 20, 20)
    assert all(report.counts["added"] for report in reports)
    assert sorted(sharded.connector.fetched) == sorted(sharded.connector.items)
    assert {report.version_tag for report in reports} == {sharded.connector.version_tag()}
    assert left(sharded) == (0, 0), "the last run that used it drops it"


def test_runs_at_once_wait_for_the_one_that_lists(sharded: PipelineHarness) -> None:
    asked = now() - LONG_BEFORE
    with ThreadPoolExecutor(4) as pool:
        reports = list(pool.map(lambda shard: run(sharded, shard, asked), SHARDS))
    assert sharded.connector.listed == 1
    assert (total(reports, "added"), alive(sharded)) == (20, 20)


def test_each_refresh_lists_again_and_sees_edits_and_deletions(sharded: PipelineHarness) -> None:
    refresh(sharded)
    sharded.connector.put("3.txt", "Edited.")
    sharded.connector.put("new.txt", "New.")
    for number in (5, 6):
        del sharded.connector.items[f"{number}.txt"]
    reports = refresh(sharded)
    assert sharded.connector.listed == 2
    counts = [total(reports, name) for name in ("added", "updated", "deleted", "unchanged")]
    assert counts == [1, 1, 2, 17]
    assert alive(sharded) == 19


def test_the_guard_counts_over_the_whole_source(sharded: PipelineHarness) -> None:
    refresh(sharded)
    for number in range(10):
        del sharded.connector.items[f"{number}.txt"]
    held = refresh(sharded)
    assert {report.problem for report in held} == {Reason.MASS_DELETE_HELD}
    assert (total(held, "held"), total(held, "deleted"), alive(sharded)) == (10, 0, 20)
    approve_deletions(sharded.store, "acme", "handbook", "ann")
    assert total(refresh(sharded), "deleted") == 10
    assert alive(sharded) == 10
    assert sharded.connector.listed == 3


def test_a_listing_that_did_not_get_to_its_end_is_not_shared_and_deletes_nothing(sharded: PipelineHarness) -> None:
    refresh(sharded)
    del sharded.connector.items["5.txt"]
    sharded.connector.stop_after = 3
    reports = refresh(sharded)
    assert {report.problem for report in reports} == {Reason.LISTING_INCOMPLETE}
    assert (total(reports, "deleted"), alive(sharded), left(sharded)) == (0, 20, (0, 0))
    sharded.connector.stop_after = None
    assert total(refresh(sharded), "deleted") == 1


def test_the_others_list_when_the_first_could_not(sharded: PipelineHarness) -> None:
    class Away(MemoryConnector):
        def list_items(self) -> MemoryListing:
            raise Unavailable(Reason.UNREADABLE, "the source did not answer")

    asked = now() - LONG_BEFORE
    with pytest.raises(Unavailable):
        run(sharded, 0, asked, Away())
    reports = [run(sharded, shard, asked) for shard in (1, 2, 3, 0)]
    assert sharded.connector.listed == 1
    assert (total(reports, "added"), left(sharded)) == (20, (0, 0))


def test_the_others_list_when_the_connection_of_the_one_that_lists_is_lost(sharded: PipelineHarness) -> None:
    listing = threading.Event()

    class Killed(MemoryConnector):
        """The server ends the run's connection in the middle of the listing, as when its process dies."""

        def list_items(self) -> MemoryListing:
            class Cut(MemoryListing):
                def __iter__(self) -> Iterator[SourceItem | Problem]:
                    listing.set()
                    sharded.all(
                        "SELECT pg_terminate_backend(a.pid) FROM pg_stat_activity a JOIN pg_locks l USING (pid)"
                        " WHERE l.locktype = 'advisory' AND a.pid <> pg_backend_pid()"
                        " AND a.query_start < clock_timestamp() AND a.datname = current_database()"
                    )
                    yield from super().__iter__()

            return Cut([SourceItem("0.txt", "1", 1, now())], None)

    asked = now() - LONG_BEFORE
    with pytest.raises(Unavailable):
        run(sharded, 0, asked, Killed())
    assert listing.is_set()
    assert total([run(sharded, shard, asked) for shard in (1, 2, 3, 0)], "added") == 20
    assert sharded.connector.listed == 1


def test_a_listing_that_began_before_a_run_was_asked_for_is_not_used(sharded: PipelineHarness) -> None:
    run(sharded, 0, now() - LONG_BEFORE)
    sharded.connector.put("late.txt", "Added before the other runs were asked for.")
    asked = now()
    reports = [run(sharded, shard, asked) for shard in SHARDS]
    assert sharded.connector.listed == 5
    assert alive(sharded) == 21
    assert total(reports, "added") >= 1


def test_a_shard_never_goes_back_to_a_listing_older_than_what_it_has_read(sharded: PipelineHarness) -> None:
    asked = now() - LONG_BEFORE
    refresh(sharded)
    run(sharded, 0, asked)  # lists for the refresh that the other shards still wait for
    sharded.connector.put("between.txt", "Added after that.")
    for shard in SHARDS:
        run(sharded, shard, None)
    assert alive(sharded) == 21
    reports = [run(sharded, shard, asked) for shard in (1, 2, 3)]
    assert (total(reports, "deleted"), alive(sharded)) == (0, 21)


def test_runs_with_other_options_do_not_share(sharded: PipelineHarness) -> None:
    asked = now() - LONG_BEFORE
    run(sharded, 0, asked)
    sharded.source = replace(sharded.source, options="another folder")
    run(sharded, 1, asked)
    assert sharded.connector.listed == 2


def test_a_connector_whose_fetch_needs_its_own_listing_lists_for_each_shard(sharded: PipelineHarness) -> None:
    sharded.connector.shares_listings = False
    assert total(refresh(sharded), "added") == 20
    assert (sharded.connector.listed, left(sharded)) == (4, (0, 0))


def test_a_source_without_shards_stores_no_listing(flow: PipelineHarness) -> None:
    flow.connector.put("one.txt", "One.")
    run(flow, 0, now() - LONG_BEFORE)
    assert (flow.connector.listed, flow.one("SELECT count(*) FROM rag.listings").count) == (1, 0)


def test_upkeep_drops_a_listing_that_no_run_will_use(sharded: PipelineHarness) -> None:
    run(sharded, 0, now() - LONG_BEFORE)
    assert left(sharded) == (1, 20)
    assert purge_listings(sharded.store) == 0, "the other shards may still come"
    with sharded.store.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE rag.listings SET completed_at = completed_at - interval '1 day'")
    assert purge_listings(sharded.store) == 1
    assert left(sharded) == (0, 0)


def test_an_erased_document_is_not_named_by_a_listing_either(sharded: PipelineHarness) -> None:
    asked = now() - LONG_BEFORE
    run(sharded, 0, asked)
    locator = sharded.one("SELECT locator FROM rag.documents ORDER BY locator LIMIT 1").locator
    receipt = erase(sharded, "acme", sharded.doc_id(locator), actor="ann")  # type: ignore[arg-type]
    assert (receipt.removed["listed_items"], left(sharded)) == (1, (1, 19))
    reports = [run(sharded, shard, asked) for shard in (1, 2, 3)]
    assert (total(reports, "deleted"), sharded.connector.listed, alive(sharded)) == (0, 1, 19)


def test_rows_dated_ahead_are_an_alert_until_they_are_corrected(flow: PipelineHarness) -> None:
    flow.connector.put("1", prose(1))
    flow.connector.problems.append(Problem("(rows dated ahead)", Reason.CURSOR_AHEAD, "1 rows are dated ahead"))
    flow.run()
    with flow.store.engine.connect() as connection:
        (alert,) = dated_ahead(source_states(connection))
    assert (alert.kind, alert.source, alert.severity) == (AlertKind.CURSOR_AHEAD, "handbook", "warning")
    flow.connector.problems.clear()
    flow.run()
    with flow.store.engine.connect() as connection:
        assert list(dated_ahead(source_states(connection))) == []
