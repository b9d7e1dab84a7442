"""A source that is removed while its changes wait in the push inbox, or while a worker has them in hand."""

from __future__ import annotations

from rag_core.ingestion.pipeline import remove_source
from tests.support.stream import PUSHED, StreamHarness


def test_changes_that_wait_are_removed_with_their_source(stream: StreamHarness) -> None:
    consumer_loop = stream.consumer_loop()
    stream.push("applied", "Text.")
    consumer_loop.process(consumer_loop.source.poll(1))
    stream.push("waiting", "Text.")
    stream.push("theirs", "Text.", tenant="other")
    assert remove_source(stream, PUSHED, "removal", actor="ann").applied
    assert [row.locator for row in stream.all("SELECT locator FROM rag.inbox")] == ["theirs"]
    consumer_loop.process(consumer_loop.source.poll(1))
    assert stream.texts() == {"theirs": "Text."}
    stream.push("applied", "New text.")
    consumer_loop.process(consumer_loop.source.poll(1))
    assert stream.texts() == {"theirs": "Text.", "applied": "New text."}, "a push afterwards makes the source again"


def test_changes_in_the_hands_of_a_worker_do_not_bring_a_removed_source_back(stream: StreamHarness) -> None:
    consumer_loop = stream.consumer_loop()
    stream.push("in hand", "Text.")
    stream.push("theirs", "Text.", tenant="other")
    batch = consumer_loop.source.poll(1)
    assert len(batch) == 2
    remove_source(stream, PUSHED, "removal", actor="ann")
    consumer_loop.process(batch)
    consumer_loop.process(consumer_loop.source.poll(0.1))
    live = stream.all("SELECT tenant, locator FROM rag.documents WHERE deleted_at IS NULL")
    assert [tuple(row) for row in live] == [("other", "theirs")]
    assert stream.all("SELECT 1 FROM rag.sources WHERE tenant = 'acme'") == []
