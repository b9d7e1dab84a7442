"""Fairness between tenants: batches of the inbox by counts, and the reader of large changes."""

from __future__ import annotations

from contextlib import closing

import pytest

from rag_assets.stream_worker.consumer_loop import ConsumerLoop
from rag_assets.stream_worker.inbox import BatchPace, InboxSource, round_robin
from rag_core.content.streams import PushedChange
from rag_core.content.streams import inbox_store as inbox
from rag_core.database import locks
from rag_core.errors import Exhausted, InvalidInput, Reason
from rag_core.ingestion.pipeline import EventApplier
from tests.support.pipeline import prose
from tests.support.stream import StreamHarness

BIG = prose(1, 600)


def locators(source: InboxSource) -> list[str]:
    return [one.locator for one in source.poll(0.1)]


@pytest.mark.catalogue("A06")
def test_a_push_of_another_tenant_or_source_is_in_the_next_batch_whatever_waits(stream: StreamHarness) -> None:
    for number in range(200):
        stream.push(f"a{number}", "Text.")
    consumer_loop = stream.consumer_loop()
    first = consumer_loop.source.poll(1)
    stream.push("theirs", "Text.", tenant="other")
    stream.push("ours too", "Text.", source="second")
    consumer_loop.process(first)
    assert {"theirs", "ours too"} <= set(locators(consumer_loop.source))  # type: ignore[arg-type]


def test_every_tenant_and_every_source_has_its_turn_when_there_are_more_than_a_batch_holds(
    stream: StreamHarness,
) -> None:
    settings = stream.settings.model_copy(update={"stream_batch_events": 2, "stream_linger_ms": 0})
    for tenant in ("t1", "t2", "t3", "t4", "t5"):
        for source in ("s1", "s2"):
            for number in range(3):
                stream.push(f"{tenant}/{source}/{number}", "Text.", tenant=tenant, source=source)
    source = InboxSource(stream.store, settings)
    consumer_loop = stream.consumer_loop(source)
    batches = []
    for _ in range(5):
        batch = source.poll(1)
        batches.append([(one.source.tenant, one.source.name) for one in batch])
        consumer_loop.process(batch)
    assert {tenant for batch in batches[:3] for tenant, _ in batch} == {"t1", "t2", "t3", "t4", "t5"}
    assert len({lane for batch in batches for lane in batch}) > 5, "sources of a tenant take turns"


def test_within_a_batch_the_smallest_share_is_searchable_first(stream: StreamHarness) -> None:
    for number in range(20):
        stream.push(f"a{number}", "Text. " * 40)
    stream.push("theirs", "Text.", tenant="other")
    consumer_loop = stream.consumer_loop()
    groups = consumer_loop._groups(consumer_loop.source.poll(1))
    assert [group[0].source.tenant for group in groups] == ["other", "acme"]


def test_large_changes_are_the_work_of_a_reader_of_their_own_one_at_a_time(stream: StreamHarness) -> None:
    stream.push("big1", BIG)
    stream.push("big2", BIG)
    stream.push("small", "Text.", source="second")
    quick = InboxSource(stream.store, stream.settings, large=False)
    large = InboxSource(stream.store, stream.settings, large=True)
    pumps = [stream.consumer_loop(quick), stream.consumer_loop(large)]
    assert (locators(quick), locators(large)) == (["small"], ["big1"])
    for consumer_loop in pumps:
        while batch := consumer_loop.source.poll(0.1):
            consumer_loop.process(batch)
    assert {row.outcome for row in stream.all("SELECT outcome FROM rag.inbox")} == {"applied"}


def test_changes_of_one_document_keep_their_order_between_the_two_readers(stream: StreamHarness) -> None:
    stream.push("a", BIG, acl=("group:board",))
    stream.push("a", "Short now.", acl=None)
    quick = InboxSource(stream.store, stream.settings, large=False)
    large = InboxSource(stream.store, stream.settings, large=True)
    pumps = [stream.consumer_loop(quick), stream.consumer_loop(large)]
    assert locators(quick) == [], "it waits for the large one before it"
    pumps[1].process(large.poll(1))
    pumps[0].process(quick.poll(1))
    assert (stream.texts(), stream.flow.row("a").acl) == ({"a": "Short now."}, ["group:board"])


def test_a_document_that_takes_long_to_parse_is_left_to_the_reader_of_large_ones(stream: StreamHarness) -> None:
    class Slow:
        fingerprint = stream.parser.fingerprint

        def parse(self, raw: object) -> None:
            raise InvalidInput(Reason.PARSER_TIMEOUT, "took too long")

    defers = frozenset({Reason.PARSER_TIMEOUT})
    applier = EventApplier(stream, parser=Slow(), defers=defers)  # type: ignore[arg-type]
    quick = InboxSource(stream.store, stream.settings, large=False)
    stream.push("slow", "Text.")
    hurried = ConsumerLoop(quick, applier, stream.store, stream.settings, stream.metrics)
    hurried.process(quick.poll(1))
    assert stream.all("SELECT 1 FROM rag.dead_letters") == []
    stream.push("next", "Text.")
    stream.push("theirs", "Text.", tenant="other")
    assert locators(quick) == ["theirs"], "what the source brings next is left to the other reader too"
    patient = stream.consumer_loop(InboxSource(stream.store, stream.settings, large=True))
    while batch := patient.source.poll(0.1):
        patient.process(batch)
    assert stream.texts() == {"slow": "Text.", "next": "Text."}
    quick.close()
    applier.close()


def test_a_source_that_somebody_works_on_is_left_alone_and_the_others_continue(stream: StreamHarness) -> None:
    stream.push("busy", "Text.")
    stream.push("free", "Text.", tenant="other")
    applier = EventApplier(stream, wait=0.05)
    with closing(applier), closing(InboxSource(stream.store, stream.settings)) as source:
        consumer_loop = ConsumerLoop(source, applier, stream.store, stream.settings, stream.metrics)
        with locks.shard_connection(stream.store, "acme", "push", 0, wait=5):
            consumer_loop.process(source.poll(1))
            assert not source.at_end(), "it is still to be applied"
        rows = stream.all("SELECT locator FROM rag.inbox WHERE applied_at IS NOT NULL")
        assert [row.locator for row in rows] == ["free"]
        while not source.at_end():
            consumer_loop.process(source.poll(1))
    assert stream.all("SELECT 1 FROM rag.inbox WHERE applied_at IS NULL") == []


def test_one_tenant_cannot_fill_the_inbox_for_the_others(stream: StreamHarness) -> None:
    def push(tenant: str, number: int) -> None:
        change = PushedChange(tenant, "push", f"d{number}", "ann", b"Text.", acl=("everyone",))
        with stream.store.engine.begin() as connection:
            inbox.accept(connection, change, max_pending=10, max_pending_of_tenant=6)

    for number in range(6):
        push("greedy", number)
    with pytest.raises(Exhausted) as full:
        push("greedy", 6)
    assert full.value.reason is Reason.INBOX_FULL
    for number in range(4):
        push("other", number)
    with pytest.raises(Exhausted):
        push("third", 0)


def test_a_batch_is_as_large_as_half_a_second_allows() -> None:
    pace = BatchPace(1000, 100_000)
    pace.start(1000)
    pace._began -= 0.01  # it took 10 ms
    pace.finish()
    assert pace.bytes == 2000, "it at most doubles"
    pace.start(2000)
    pace._began -= 10.0
    pace.finish()
    assert pace.bytes == 1000


def test_lanes_begin_behind_the_tenant_that_was_first() -> None:
    lanes = [("a", "s"), ("b", "s"), ("b", "t"), ("c", "s")]
    assert round_robin(lanes, "a", 1, 10) == [("b", "t"), ("b", "s"), ("c", "s"), ("a", "s")]
    assert round_robin(lanes, "c", 0, 2) == [("a", "s"), ("b", "s"), ("b", "t")]
