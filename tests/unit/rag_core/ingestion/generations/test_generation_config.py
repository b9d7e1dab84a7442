"""The settings that are kept with a generation."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag_core.errors import ConfigError, InvalidInput
from rag_core.ingestion.generations import changed, generation_config_of, settings_for
from rag_core.settings import Settings


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
