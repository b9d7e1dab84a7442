"""A micro-batch through the four stages: fenced by its versions, whole or not at all, repeatable at any point.
Originals of pushed files: kept where their pages can be shown, as long as their document says so."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace

import pytest

from rag_core import failpoints
from rag_core.content.documents import original_store, tombstone_store
from rag_core.content.quality import QualityPolicy
from rag_core.errors import Reason
from rag_core.failpoints import FailpointReached
from rag_core.ingestion.erasure import erase
from tests.support.pipeline import prose
from tests.support.stream import PUSHED, StreamHarness, event
from tests.unit.rag_assets.stream_worker.test_erasure import Dependencies, everywhere
from tests.unit.rag_core.content.parsing import builders


def test_a_batch_is_searchable_when_apply_returns_and_an_older_event_changes_nothing(stream: StreamHarness) -> None:
    applied = stream.apply(event("a", 5, "Pumps need oil."), event("b", 1, "Valves need grease."))
    assert set(applied.settled.outcomes.values()) == {"applied"}
    assert stream.texts() == {"a": "Pumps need oil.", "b": "Valves need grease."}
    before = stream.flow.row("a")
    assert set(stream.apply(event("a", 4, "Old text.")).settled.outcomes.values()) == {"stale"}
    assert stream.flow.row("a") == before


def test_stale_never_wins_whatever_the_order_of_arrival(stream: StreamHarness) -> None:
    events = [event("a", number, f"Version {number} of the text.") for number in (1, 2, 3)]
    for order in itertools.permutations(events):
        stream.apply(event("a", stream_version(stream) + 1, None))
        base = stream_version(stream)
        shifted = [event("a", base + one.source_version, f"Version {one.source_version} of the text.") for one in order]
        for one in shifted:
            stream.apply(one)
        assert stream.texts() == {"a": "Version 3 of the text."}


def stream_version(stream: StreamHarness) -> int:
    rows = stream.all("SELECT source_version FROM rag.documents WHERE doc_id = :id", id=stream.flow.doc_id("a"))
    return rows[0].source_version if rows else 0


@pytest.mark.catalogue("B67")
def test_the_same_event_a_thousand_times_has_one_effect(stream: StreamHarness) -> None:
    events = [event("a", 1, "Pumps need oil.", n=number) for number in range(1000)]
    outcomes = stream.apply(*events).settled.outcomes
    assert sorted(outcomes.values()).count("applied") == 1
    assert sorted(outcomes.values()).count("stale") == 999
    assert stream.flow.row("a").version == 1


@pytest.mark.catalogue("B67")
def test_a_deletion_of_an_unknown_document_shows_nothing_and_fences_what_is_older(stream: StreamHarness) -> None:
    assert set(stream.apply(event("a", 5, None)).settled.outcomes.values()) == {"deleted"}
    assert set(stream.apply(event("a", 4, "Too late.")).settled.outcomes.values()) == {"stale"}
    assert stream.texts() == {}
    stream.apply(event("a", 6, "Back again."))
    assert stream.texts() == {"a": "Back again."}


@pytest.mark.catalogue("F21")
def test_a_deletion_removes_rows_and_points(stream: StreamHarness) -> None:
    stream.apply(event("a", 1, prose(1)), event("b", 1, prose(2)))
    stream.apply(event("a", 2, None))
    assert set(stream.texts()) == {"b"}
    row = stream.flow.row("a")
    assert (row.text, row.title, row.source_version) == ("", "", 2)
    assert not stream.all("SELECT 1 FROM rag.chunks WHERE doc_id = :id", id=row.doc_id)


def test_only_the_newest_of_a_batch_is_applied(stream: StreamHarness) -> None:
    outcomes = stream.apply(*(event("a", number, f"Text {number}.") for number in (2, 1, 3))).settled.outcomes
    assert outcomes == {"a@1/0": "superseded", "a@2/0": "superseded", "a@3/0": "applied"}
    assert stream.texts() == {"a": "Text 3."}
    assert stream.flow.row("a").version == 1


def test_an_update_without_acl_keeps_the_old_one_also_within_a_batch(stream: StreamHarness) -> None:
    stream.apply(event("a", 1, "One.", acl=("group:hr",)), event("a", 2, "Two.", acl=None))
    assert stream.flow.row("a").acl == ["group:hr"]
    stream.apply(event("a", 3, "Three.", acl=None))
    assert stream.flow.row("a").acl == ["group:hr"]
    assert {point.payload.acl for point in stream.flow.points("a")} == {("group:hr",)}


def test_who_could_see_a_deleted_document_does_not_see_what_takes_its_name(stream: StreamHarness) -> None:
    stream.apply(event("a", 1, "Open.", acl=("everyone",)))
    stream.apply(event("a", 2, None))
    stream.apply(event("a", 3, "Closed.", acl=None))
    assert stream.texts() == {}


def test_the_same_content_with_a_newer_version_embeds_and_writes_nothing(stream: StreamHarness) -> None:
    stream.apply(event("a", 1, prose(1)))
    embedded = stream.embedder.texts
    applied = stream.apply(event("a", 2, prose(1)))
    assert stream.embedder.texts == embedded
    assert applied.counts["documents"] == 0
    row = stream.flow.row("a")
    assert (row.version, row.source_version) == (1, 2)


@pytest.mark.catalogue("F07")
def test_a_document_that_cannot_be_parsed_is_quarantined_and_its_last_version_stays(stream: StreamHarness) -> None:
    stream.apply(event("a", 1, "Good text.", media_type="text/plain"))
    applied = stream.apply(event("a", 2, b"%PDF-1.7 broken", media_type=None), event("b", 1, "Fine."))
    assert applied.settled.outcomes["a@2/0"] == "dead"
    assert [one.event.source_version for one in applied.settled.refused] == [2]
    assert stream.texts()["b"] == "Fine."
    assert stream.flow.row("a").source_version == 1
    assert "a" in stream.flow.quarantined()
    stream.apply(event("a", 3, None))
    assert "a" not in stream.flow.quarantined()


def test_a_document_that_is_empty_now_is_gone(stream: StreamHarness) -> None:
    stream.apply(event("a", 1, "Text."))
    stream.apply(event("a", 2, "  \n "))
    assert stream.texts() == {}
    assert stream.flow.row("a").source_version == 2


@pytest.mark.catalogue("F02", "F18")
@pytest.mark.parametrize(
    "point", ["before_settle", "after_commit", "after_embed_batch", "after_upsert", "before_mark_commit"]
)
def test_a_batch_that_stops_anywhere_is_finished_by_applying_it_again(stream: StreamHarness, point: str) -> None:
    stream.apply(event("a", 1, prose(1)), event("b", 1, prose(2)))
    batch = [event("a", 2, prose(3)), event("b", 2, None), event("c", 1, prose(4))]
    failpoints.arm(f"{point}:1:raise")
    with pytest.raises(FailpointReached):
        stream.apply(*batch)
    stream.apply(*batch)
    assert set(stream.texts()) == {"a", "c"}
    assert "document 3" in stream.texts()["a"]
    assert len(stream.flow.points()) == len({point.chunk_id for point in stream.flow.points()})


def test_random_events_in_random_batches_end_in_the_state_of_the_highest_versions(stream: StreamHarness) -> None:
    noise = random.Random(4)
    events = []
    for number in range(120):
        locator = f"d{noise.randrange(12)}"
        content = None if noise.random() < 0.25 else f"Text {number} of {locator}."
        events.append(event(locator, number + 1, content))
    expected: dict[str, str] = {}
    for one in events:
        expected.pop(one.locator, None)
        if one.content is not None:
            expected[one.locator] = one.content.decode()
    noise.shuffle(events)
    while events:
        size = noise.randint(1, 9)
        stream.apply(*events[:size])
        events = events[size:]
    assert stream.texts() == expected


def test_the_quality_rules_of_the_source_judge_its_events_too(stream: StreamHarness) -> None:
    page = "502 Bad Gateway\n\nnginx"
    refused = stream.apply(event("a", 1, page)).settled.refused
    assert [one.error.reason for one in refused] == [Reason.QUALITY_ERROR_PAGE]
    lenient = replace(PUSHED, quality=QualityPolicy({"error_page": "warn"}))
    assert stream.apply(event("a", 2, page), source=lenient).settled.refused == ()
    assert stream.flow.row("a").flags == ["quality:error_page"]
    # The bytes are the same, but with other rules they are read again.
    refused = stream.apply(event("a", 3, page)).settled.refused
    assert [one.error.reason for one in refused] == [Reason.QUALITY_ERROR_PAGE]


class Pusher:
    """Pushes to one consumer of the inbox, as a worker is."""

    def __init__(self, stream: StreamHarness) -> None:
        self._stream, self._loop = stream, stream.consumer_loop()

    def __call__(self, content: bytes | None, media_type: str | None = None) -> None:
        self._stream.push("a", content, media_type=media_type)
        while batch := self._loop.source.poll(0.1):
            self._loop.process(batch)


def kept(stream: StreamHarness, locator: str = "a") -> bytes | None:
    with stream.store.engine.connect() as connection:
        found = original_store.find(connection, "acme", stream.flow.doc_id(locator), start=0, end=5)
    return None if found is None else found.content


def test_a_pushed_pdf_is_kept_and_replaced_and_what_has_no_pages_is_not(stream: StreamHarness) -> None:
    first, second = builders.pdf(), builders.pdf(("Another one.",))
    push = Pusher(stream)
    push(first)
    assert kept(stream) == first
    with stream.store.engine.connect() as connection:
        found = original_store.find(connection, "acme", stream.flow.doc_id("a"), start=2, end=6)
        assert found is not None
        text = str(stream.all("SELECT text FROM rag.documents")[0].text)
        assert (found.quote, found.media_type) == (text[2:6], "application/pdf")
        assert original_store.find(connection, "other", stream.flow.doc_id("a"), start=0, end=5) is None
    push(second)
    assert kept(stream) == second
    push(b"Plain words now.", "text/plain")
    assert kept(stream) is None
    assert stream.all("SELECT FROM rag.originals") == []


@pytest.mark.parametrize("way", ["pushed deletion", "tombstone", "erasure"])
def test_an_original_goes_with_its_document(stream: StreamHarness, way: str) -> None:
    push = Pusher(stream)
    push(builders.pdf())
    assert len(stream.all("SELECT FROM rag.originals")) == 1
    if way == "pushed deletion":
        push(None)
    elif way == "tombstone":
        with stream.store.engine.begin() as connection:
            tombstone_store.soft_delete(connection, "run", [stream.flow.doc_id("a")])
    else:
        receipt = erase(Dependencies(stream), "acme", stream.flow.doc_id("a"), actor="test")  # type: ignore[arg-type]
        assert receipt.removed["originals"] == 1
    assert stream.all("SELECT FROM rag.originals") == []
    assert "originals" not in everywhere(stream, "%PDF")


def test_nothing_is_kept_where_that_is_switched_off(stream: StreamHarness) -> None:
    stream.settings = stream.settings.model_copy(update={"keep_pushed_originals": False})
    Pusher(stream)(builders.pdf())
    assert stream.all("SELECT title FROM rag.documents WHERE deleted_at IS NULL")
    assert stream.all("SELECT FROM rag.originals") == []
