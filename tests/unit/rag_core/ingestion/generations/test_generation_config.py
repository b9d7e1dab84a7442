"""The settings that are kept with a generation. A generation from before structure was kept serves as it is, and the
next run and a rebuild give it structure."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text

from rag_core.content.parsing import BlockKind, Link
from rag_core.errors import ConfigError, InvalidInput
from rag_core.ingestion.generations import changed, generation_config_of, settings_for
from rag_core.ingestion.generations import store as generations
from rag_core.ingestion.pipeline.stages.index import index_pending
from rag_core.ingestion.promotion import build, declare
from rag_core.retrieval.index import Payload
from rag_core.settings import Settings
from tests.support.generations import GenerationHarness, word_transforms


def test_a_recipe_gives_back_the_settings_it_was_taken_from(tmp_path: Path) -> None:
    theirs = Settings(home=tmp_path, chunk_tokens=64, chunk_overlap=16, chunk_context=False)
    found = settings_for(Settings(home=tmp_path), generation_config_of(theirs))
    assert generation_config_of(found) == generation_config_of(theirs)
    assert settings_for(theirs, generation_config_of(theirs)) is theirs


def test_a_recipe_kept_before_context_was_a_choice_has_context(tmp_path: Path) -> None:
    own = Settings(home=tmp_path, embedder="fake")
    old = {name: value for name, value in generation_config_of(own).items() if name != "chunk_context"}
    assert settings_for(own, old) is own
    assert settings_for(own.model_copy(update={"chunk_context": False}), old).chunk_context


@pytest.mark.parametrize("kept", [{}, {"embed_network": "dynamic-int8"}])
def test_a_recipe_of_the_network_that_is_gone_is_refused(kept: dict[str, str], tmp_path: Path) -> None:
    own = Settings(home=tmp_path)
    with pytest.raises(ConfigError, match="embed_network"):
        settings_for(own, {"embedder": "onnx", "chunk_tokens": 200, "chunk_overlap": 0, **kept})
    assert settings_for(own, generation_config_of(own)) is own


def test_a_recipe_of_an_endpoint_names_no_network(tmp_path: Path) -> None:
    own = Settings(home=tmp_path, embedder="fake")
    kept = generation_config_of(own)
    assert "embed_network" not in kept
    assert settings_for(own, kept) is own


def test_changes_are_read_as_text_and_unknown_ones_are_refused(tmp_path: Path) -> None:
    own = Settings(home=tmp_path)
    assert not changed(own, {"chunk_context": "false"}).chunk_context
    with pytest.raises(InvalidInput, match=r"FIELD_INVALID.*chunk_context"):
        changed(own, {"chunk_kontext": "false"})


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
