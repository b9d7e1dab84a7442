"""Originals of pushed files: kept where their pages can be shown, as long as their document says so."""

from __future__ import annotations

import pytest

from rag_core.content.documents import original_store, tombstone_store
from rag_core.ingestion.erasure import erase
from tests.support.stream import StreamHarness
from tests.unit.rag_assets.stream_worker.test_erasure import Dependencies, everywhere
from tests.unit.rag_core.content.parsing import builders


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
