"""Pushed and streamed changes reach every generation that follows, each through its own chunker and embedder."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from rag_core.content.parsing import Parser
from rag_core.ingestion.pipeline import Event, EventApplier
from rag_core.ingestion.promotion import build, declare, promote
from tests.support.generations import GenerationHarness, word_transforms
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
