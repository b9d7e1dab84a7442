"""A generation from before structure was kept serves as it is, and the next run and a rebuild give it structure."""

from __future__ import annotations

from sqlalchemy import text

from rag_core.content.parsing import BlockKind, Link
from rag_core.ingestion.generations import store as generations
from rag_core.ingestion.pipeline.stages.index import index_pending
from rag_core.ingestion.promotion import build, declare
from rag_core.retrieval.index import Payload
from tests.support.generations import GenerationHarness, word_transforms

GUIDE = "# Guide\n\nIntroduction of [it](it.md).\n\n- one item\n- another item\n"


def payload(plant: GenerationHarness, generation: str) -> Payload:
    points = [point for batch in plant.index.scroll(generation, with_vectors=False) for point in batch]
    (found,) = (point.payload for point in points if point.payload.locator == "guide.md")
    return found


def forget_structure(plant: GenerationHarness, generation: str) -> None:
    """Leave rows and points as a release that knew no structure wrote them."""
    with plant.store.engine.begin() as connection:
        connection.execute(text("UPDATE rag.chunks SET blocks = NULL"))
        connection.execute(text("UPDATE rag.documents SET structure = NULL, links = NULL, parsed_as = 'old'"))
        generations.clear_indexed(connection, generation)
    with plant.store.engine.connect() as connection:
        index_pending(connection, plant.index, generations.get(connection, generation))


def test_an_old_generation_is_read_and_structure_follows_with_the_next_run_and_a_rebuild(
    plant: GenerationHarness,
) -> None:
    plant.pipeline.connector.put("guide.md", GUIDE)
    assert plant.run().balanced
    old = str(plant.index.alias())
    forget_structure(plant, old)
    before = payload(plant, old)
    assert before.text == "Guide\n\nIntroduction of it.\n\n- one item\n- another item"
    assert (before.blocks, before.page, before.headings, before.links) == ((), 0, ("Guide",), ())

    assert plant.run().balanced
    kinds = [BlockKind.HEADING, BlockKind.PARAGRAPH, BlockKind.LIST]
    assert [block.kind for block in payload(plant, old).blocks] == kinds
    assert payload(plant, old).links == (Link(23, 25, "it.md"),)

    transforms = word_transforms(version="2")
    row = declare(plant.store, plant.index, transforms, actor="ann", reason="a new chunker")
    assert build(plant.store, plant.index, transforms, row.name, plant.settings).state == "ready"
    assert [block.kind for block in payload(plant, row.name).blocks] == kinds
