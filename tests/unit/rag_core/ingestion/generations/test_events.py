"""Pushed and streamed changes reach every generation that follows, each through its own chunker and embedder. What the
status counts of each source, and a round reads of a new one, while much is pending."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import event, text

from rag_core.content.parsing import Parser
from rag_core.content.sources import Scope, Source
from rag_core.database import Store
from rag_core.ingestion.generations import status_store
from rag_core.ingestion.generations import store as generations
from rag_core.ingestion.pipeline import Event, EventApplier, sample_store
from rag_core.ingestion.promotion import build, declare, promote
from rag_core.retrieval.index import GenerationSpec
from tests.support.generations import GenerationHarness, word_transforms
from tests.support.plans import rows_looked_at
from tests.unit.rag_core.ingestion.generations.conftest import manual

OTHER = "other"


@pytest.fixture
def applier(plant: GenerationHarness, parser: Parser) -> Iterator[EventApplier]:
    opened = EventApplier(plant)
    yield opened
    opened.close()


def push(plant: GenerationHarness, applier: EventApplier, version: int, content: str | None) -> None:
    event = Event(
        locator="pushed",
        source_version=version,
        token=f"t{version}",
        event_at=datetime.now(UTC),
        content=None if content is None else content.encode(),
        acl=("everyone",),
    )
    applier.apply(plant.pipeline.source, f"stream-{version}", [event], lambda connection, settled: None)


def texts(plant: GenerationHarness, generation: str) -> set[str]:
    """The text of the pushed document's chunks."""
    points = (point for batch in plant.pipeline.index.scroll(generation) for point in batch)
    return {point.payload.text for point in points if point.payload.locator == "pushed"}


def test_a_pushed_document_is_in_the_generation_readers_are_on_and_in_the_one_that_comes(
    plant: GenerationHarness, applier: EventApplier
) -> None:
    flow, transforms = plant.pipeline, word_transforms(tokens=12)
    active = plant.ensure()
    declare(flow.store, flow.index, transforms, name=OTHER, actor="ann")
    build(flow.store, flow.index, transforms, OTHER, flow.settings)
    push(plant, applier, 1, manual("winch"))
    both = texts(plant, active), texts(plant, OTHER)
    assert all(both)
    assert both[0] != both[1], "each generation has its own chunks"
    promote(flow.store, flow.index, OTHER, flow.settings, actor="ann", override="no golden set here")
    push(plant, applier, 2, manual("anchor"))
    assert all("anchor" in " ".join(texts(plant, name)) for name in (active, OTHER))
    push(plant, applier, 3, None)
    assert not texts(plant, active) | texts(plant, OTHER)


DOCUMENTS = 600


def test_pending_documents_are_counted_without_looking_at_each_pair_of_them(store: Store) -> None:
    with store.engine.begin() as connection:
        connection.execute(
            text("INSERT INTO rag.sources (tenant, name, kind) SELECT 'acme', n, 'push' FROM unnest('{a,b}'::text[]) n")
        )
        connection.execute(
            text(
                "INSERT INTO rag.documents (doc_id, tenant, source, locator, version, text_version, source_version,"
                " token, parsed_as, content_hash, text_hash, bytes, media_type, text, acl, run_id)"
                " SELECT gen_random_uuid(), 'acme', CASE WHEN n % 3 = 0 THEN 'a' ELSE 'b' END, n, 1, 1, 1, '', '', '',"
                " '', 4, 'text/plain', 'Text.', '{a}', 'r' FROM generate_series(1, :documents) AS n"
            ),
            {"documents": DOCUMENTS},
        )
        pending = {row.name: row.pending for row in status_store.source_counts(connection, "acme")}
        assert pending == {"a": DOCUMENTS // 3, "b": DOCUMENTS - DOCUMENTS // 3}, "while no generation is active"
        generations.add(connection, GenerationSpec("g", 8, "embedder", "chunker"))
        generations.activate(connection, "g")
    asked: list[tuple[str, Any]] = []
    with store.engine.begin() as connection:
        connection.execute(text("ANALYZE rag.documents"))
        event.listen(connection, "before_cursor_execute", lambda *call: asked.append((call[2], call[3])))
        found = {row.name: (row.documents, row.pending) for row in status_store.source_counts(connection, "acme")}
        assert found == {"a": (DOCUMENTS // 3, DOCUMENTS // 3), "b": (DOCUMENTS - DOCUMENTS // 3,) * 2}
        [(statement, values)] = asked
        assert rows_looked_at(connection, statement, values) < 30 * DOCUMENTS


def test_a_round_of_a_new_source_is_read_without_all_documents_of_the_others(store: Store) -> None:
    scope = Scope(Source("new", "acme", "folder", None), "run")
    added = text(
        "INSERT INTO rag.documents (doc_id, tenant, source, locator, version, text_version, source_version, token,"
        " parsed_as, content_hash, text_hash, bytes, media_type, text, acl, run_id)"
        " SELECT gen_random_uuid(), 'acme', :source, n, 1, 1, 1, '', '', '', '', 4, 'text/plain', 'Text.', '{a}', 'run'"
        " FROM generate_series(1, :documents) AS n RETURNING doc_id"
    )
    chunked = text(
        'INSERT INTO rag.chunks (doc_id, chunker, ordinal, chunk_id, start, "end", embed_text, text_hash, tokens)'
        " SELECT doc_id, 'chunker', 0, doc_id, 0, 4, 'Text.', '', 1 FROM rag.documents WHERE source = :source"
    )
    with store.engine.begin() as connection:
        for name in ("old", "new"):
            connection.execute(
                text("INSERT INTO rag.sources (tenant, name, kind) VALUES ('acme', :n, 'push')"), {"n": name}
            )
        connection.execute(added, {"source": "old", "documents": 10 * DOCUMENTS})
        connection.execute(chunked, {"source": "old"})
        generations.add(connection, GenerationSpec("g", 8, "embedder", "chunker"))
    with store.engine.begin() as connection:
        connection.execute(text("ANALYZE rag.documents, rag.chunks"))
        within = list(connection.scalars(added, {"source": "new", "documents": 100}))
        connection.execute(chunked, {"source": "new"})
    asked: list[tuple[str, Any]] = []
    event.listen(store.engine, "before_cursor_execute", lambda *call: asked.append((call[2], call[3])))
    [page] = sample_store.chunks(store, scope, "chunker", ["g"], within)
    assert len(page) == 100
    [(statement, values)] = [one for one in asked if "rag.chunks" in one[0]]
    with store.engine.begin() as connection:
        assert rows_looked_at(connection, statement, values) < 10 * DOCUMENTS
