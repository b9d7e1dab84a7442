"""The table from errors to statuses covers the tree and reveals nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from sqlalchemy import insert, text

from query_server.runtime.dependencies import LazyStore
from query_server.runtime.gauges import DirectoryGauges, Freshness, GenerationGauges, SourceGauges
from query_server.runtime.metrics import Metrics
from query_server.runtime.status import DETAILS_KEY, MAX_TEXT_BYTES, bounded, code_of, internal_error, trailers
from rag_core import errors
from rag_core.content.quality import QualityPolicy, assess
from rag_core.content.quality import store as quality
from rag_core.content.quality.sources import Profile
from rag_core.database import Store
from rag_core.database.tables.content import sources
from rag_core.database.tables.operations import deployment_steps, deployments
from rag_core.errors import RagError, Reason, Unavailable
from rag_core.governance.directories import DirectoryEntry, sync
from rag_core.ingestion.alerts import Alert, AlertKind, deliver
from rag_core.ingestion.verify import verify
from tests.support.pipeline import PipelineHarness, prose


def branches() -> list[type[RagError]]:
    return [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, RagError) and kind is not RagError
    ]


@pytest.mark.parametrize("kind", branches())
def test_every_branch_has_a_status_that_is_not_a_bug(kind: type[RagError]) -> None:
    assert code_of(kind(Reason.FIELD_INVALID, "x")) not in {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN}


def test_a_bug_is_internal_and_says_nothing() -> None:
    error = internal_error()
    assert code_of(error) is grpc.StatusCode.INTERNAL
    assert error.message == "internal error; report the request id"


def test_details_carry_reason_domain_metadata_request_and_delay() -> None:
    metadata = dict(trailers(errors.Exhausted(Reason.OVERLOADED, "full", limit="32"), "r-1", pushback_ms=250))
    status = status_pb2.Status.FromString(metadata[DETAILS_KEY])
    info, request, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RequestInfo(), error_details_pb2.RetryInfo()
    assert [detail.Unpack(into) for detail, into in zip(status.details, (info, request, retry), strict=True)] == [
        True
    ] * 3
    assert (info.reason, info.domain, dict(info.metadata)) == ("OVERLOADED", "rag-platform", {"limit": "32"})
    assert request.request_id == "r-1"
    assert retry.retry_delay.ToMilliseconds() == 250
    assert metadata["grpc-retry-pushback-ms"] == "250"
    assert status.code == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]


@pytest.mark.parametrize("name", ["g" * 200_000, "代" * 50_000, "%" * 9000, "\ud800" * 9000, "\n" * 9000])
def test_a_name_of_any_length_that_an_error_quotes_leaves_room_in_the_trailers(name: str) -> None:
    error = errors.NotFound(Reason.GENERATION_NOT_FOUND, f"index: no generation {name}", generation=name)
    metadata = dict(trailers(error, "r-1"))
    assert len(metadata[DETAILS_KEY]) < 4096
    status = status_pb2.Status.FromString(metadata[DETAILS_KEY])
    assert status.message.startswith("index: no generation ")
    assert status.message.endswith("…")
    assert len(quote(bounded(error.message), safe=" ")) <= 3 * MAX_TEXT_BYTES


def test_a_short_text_travels_as_it_is() -> None:
    assert bounded("filter: no such source") == "filter: no such source"
    assert bounded("来源不存在") == "来源不存在"


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ("top_k: must be 1 to 100", "top_k"),
        ("searches[1].filter.in: unknown", "searches[1].filter.in"),
        ("the URL names no host", None),
        ("Note: it is not a field", None),
        ("x" * 90_000, None),
    ],
)
def test_an_invalid_request_names_its_field_where_the_message_does(message: str, field: str | None) -> None:
    assert violations(errors.InvalidInput(Reason.FIELD_INVALID, message)) == (
        [] if field is None else [(field, message.partition(": ")[2], "FIELD_INVALID")]
    )
    assert violations(errors.NotFound(Reason.DOCUMENT_NOT_FOUND, message)) == []


def violations(error: RagError) -> list[tuple[str, str, str]]:
    status = status_pb2.Status.FromString(dict(trailers(error, "r"))[DETAILS_KEY])
    found = error_details_pb2.BadRequest()
    return [
        (one.field, one.description, one.reason)
        for detail in status.details
        if detail.Unpack(found)
        for one in found.field_violations
    ]


async def test_the_state_of_every_source_is_exported(store: Store) -> None:
    listed = datetime(2026, 11, 24, tzinfo=UTC)
    with store.engine.begin() as connection:
        row = {"tenant": "acme", "name": "crm", "kind": "sql", "held_deletions": 7, "last_complete_at": listed}
        connection.execute(insert(sources).values(**row))
        profile = Profile(8, quarantined=2)
        for shard, one in enumerate([profile, Profile(10)]):
            found = assess(one, None, QualityPolicy(), failed=shard, tried=9)
            quality.record(connection, ("acme", "crm", shard), "run", one, found)
    metrics = Metrics()
    await SourceGauges(LazyStore(lambda: store), metrics).poller.refresh()
    values = {name: metrics.registry.get_sample_value(f"rag_source_{name}", {"source": "crm"}) for name in NAMES}
    assert values == dict(zip(NAMES, [80.0, 1.0, 0.0, 7.0, listed.timestamp()], strict=True))


NAMES = ("quality_score", "failed_inputs", "quarantined", "held_deletions", "listed_timestamp_seconds")


async def test_how_often_how_fast_and_how_well_releases_came_out_is_exported(store: Store) -> None:
    row = {
        "target": "local",
        "release": "r",
        "spec": {},
        "colour": "green",
        "from_colour": "blue",
        "steps": [],
        "actor": "a",
    }
    began = datetime.now(UTC) - timedelta(days=1)
    ended = [("done", 60, began), ("done", 120, began), ("done", 600, began), ("rolled_back", 90, began),
             ("refused", 30, began), ("done", 9_000, began - timedelta(days=40))]  # fmt: skip
    with store.engine.begin() as connection:
        for state, seconds, at in ended:
            finished = at + timedelta(seconds=seconds)
            values = {**row, "state": state, "created_at": at, "finished_at": finished}
            number = connection.execute(insert(deployments).values(**values).returning(deployments.c.id)).scalar_one()
            failed = {"deployment": number, "step": "watch", "passed": state == "done", "weight": 10, "seconds": 1.0}
            connection.execute(insert(deployment_steps).values(**failed, at=at + timedelta(seconds=50)))
    metrics = Metrics()
    await SourceGauges(LazyStore(lambda: store), metrics).poller.refresh()

    def value(name: str, outcome: str) -> float | None:
        return metrics.registry.get_sample_value(name, {"outcome": outcome})

    counts = {state: value("rag_deployments", state) for state in ("done", "rolled_back", "refused", "replaced")}
    assert counts == {"done": 3, "rolled_back": 1, "refused": 1, "replaced": None}
    assert value("rag_deployment_lead_seconds", "done") == 120
    assert value("rag_deployment_restore_seconds", "rolled_back") == 40


async def test_a_database_that_is_down_leaves_the_last_values() -> None:
    def down() -> Store:
        raise Unavailable(Reason.DATABASE_UNAVAILABLE, "down")

    metrics = Metrics()
    metrics.source_held.labels("crm").set(3)
    await SourceGauges(LazyStore(down), metrics).poller.refresh()
    assert metrics.registry.get_sample_value("rag_source_held_deletions", {"source": "crm"}) == 3


async def test_the_last_run_of_a_source_is_exported_by_stage_and_outcome(flow: PipelineHarness) -> None:
    for number, locator in enumerate(("a", "b")):
        flow.connector.put(locator, prose(number))
    flow.run()
    del flow.connector.items["b"]
    flow.run()
    metrics = Metrics()
    await SourceGauges(LazyStore(lambda: flow.store), metrics).poller.refresh()
    source = flow.source.name

    def value(name: str, **labels: str) -> float | None:
        return metrics.registry.get_sample_value(f"rag_source_run_{name}", {"source": source, **labels})

    assert {outcome: value("inputs", outcome=outcome) for outcome in ("added", "unchanged", "deleted")} == {
        "added": 0,
        "unchanged": 1,
        "deleted": 1,
    }
    for stage in ("documents", "chunks", "embeddings", "index"):
        assert value("stage_seconds", stage=stage) is not None


async def test_open_alerts_are_exported_by_kind_until_they_end(store: Store) -> None:
    metrics = Metrics()
    poller = SourceGauges(LazyStore(lambda: store), metrics).poller
    alert = Alert("source_stale:acme/crm", AlertKind.SOURCE_STALE, "warning", "late")
    labels = {"kind": "source_stale", "severity": "warning"}
    for conditions, expected in (([alert], 1.0), ([], None)):
        deliver(store, [], conditions)
        await poller.refresh()
        assert metrics.registry.get_sample_value("rag_alerts_firing", labels) == expected


async def test_what_a_generation_holds_and_still_lacks_is_exported(flow: PipelineHarness) -> None:
    for number, locator in enumerate(("a", "b")):
        flow.connector.put(locator, prose(number))
    flow.run()
    verify(flow.store, flow.index)
    with flow.store.engine.begin() as connection:
        connection.execute(text("UPDATE rag.documents SET version = version + 1 WHERE locator = 'b'"))
        connection.execute(text("UPDATE rag.documents SET updated_at = now() - interval '90 s' WHERE locator = 'b'"))
    metrics = Metrics()
    lazy = LazyStore(lambda: flow.store)
    await GenerationGauges(lazy, metrics).poller.refresh()
    await Freshness(lazy, metrics, seconds=1).poller.refresh()
    labels = {"generation": str(flow.index.alias()), "state": "active"}
    assert metrics.registry.get_sample_value("rag_generation_documents", labels) == 1
    assert metrics.registry.get_sample_value("rag_generation_pending", labels) == 1
    assert metrics.registry.get_sample_value("rag_generation_recall", labels) == 1
    assert 90 <= (metrics.registry.get_sample_value("rag_server_index_behind_seconds") or 0) < 120


async def test_names_that_no_directory_knows_are_exported_until_one_does(flow: PipelineHarness) -> None:
    flow.connector.put("a.txt", "A", acl=("everyone", "corp/gid:404", "deny:corp/gid:9"))
    flow.run()
    metrics = Metrics()
    poller = DirectoryGauges(LazyStore(lambda: flow.store), metrics).poller
    entries = [DirectoryEntry("user:ann", ("uid:1",))]
    for known, unknown in ((("gid:1",), 2.0), (("gid:9", "gid:404"), 0.0)):
        with flow.store.engine.begin() as connection:
            sync(connection, "acme", "corp", "file", [*entries, DirectoryEntry("group:staff", known, ("user:ann",))])
        await poller.refresh()
        labels = {"directory": "corp"}
        assert metrics.registry.get_sample_value("rag_directory_unknown_principals", labels) == unknown
