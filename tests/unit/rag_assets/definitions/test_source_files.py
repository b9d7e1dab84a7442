"""Source files are written, replaced and deleted by name, and never over another one."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from rag_assets.config import files_fingerprint, load_sources
from rag_assets.defs.sources.files import files_sensor
from rag_assets.resources import PIPELINE
from rag_assets.source_admin import SourceFolder, parse_definition, render_definition
from rag_assets.source_config import SourceConfig
from rag_core.content.sources import problem_store
from rag_core.database import Store
from rag_core.errors import ConfigError, Conflict, NotFound, Reason
from rag_core.ingestion.pipeline import Pipeline
from rag_core.settings import Settings


def text_of(name: str, root: str = "/srv/docs") -> str:
    return render_definition({"name": name, "tenant": "acme", "options": {"kind": "folder", "root": root}})


def config(name: str) -> SourceConfig:
    return parse_definition(text_of(name))


def test_a_new_source_is_read_back_by_the_code_location(tmp_path: Path) -> None:
    made = SourceFolder(tmp_path / "sources").add(config("hand-book"), text_of("hand-book"))
    assert (made.file, made.written) == ("hand-book.yaml", True)
    assert [source.name for source in load_sources(tmp_path / "sources")] == ["hand-book"]


def test_the_same_request_again_is_no_error_and_another_one_is(tmp_path: Path) -> None:
    files = SourceFolder(tmp_path)
    files.add(config("wiki"), text_of("wiki"))
    assert files.add(config("wiki"), text_of("wiki")).written
    with pytest.raises(Conflict) as refused:
        files.add(config("wiki"), text_of("wiki", "/srv/other"))
    assert refused.value.reason is Reason.DUPLICATE_SOURCE


def test_names_that_dagster_takes_for_the_same_are_the_same(tmp_path: Path) -> None:
    files = SourceFolder(tmp_path)
    files.add(config("hand-book"), text_of("hand-book"))
    with pytest.raises(Conflict):
        files.add(config("hand_book"), text_of("hand_book"))


def test_a_change_is_refused_when_the_file_is_no_longer_what_was_read(tmp_path: Path) -> None:
    files = SourceFolder(tmp_path)
    read = files.add(config("wiki"), text_of("wiki"))
    files.replace("wiki", config("wiki"), text_of("wiki", "/srv/second"), read.digest)
    with pytest.raises(Conflict) as refused:
        files.replace("wiki", config("wiki"), text_of("wiki", "/srv/third"), read.digest)
    assert refused.value.reason is Reason.SOURCE_CHANGED
    assert "/srv/second" in files.find("wiki").text


def test_a_change_keeps_the_name_of_the_source(tmp_path: Path) -> None:
    files = SourceFolder(tmp_path)
    files.add(config("wiki"), text_of("wiki"))
    with pytest.raises(Conflict):
        files.replace("wiki", config("pages"), text_of("pages"))


def test_a_deleted_file_is_gone_and_deleting_it_again_is_no_error(tmp_path: Path) -> None:
    files = SourceFolder(tmp_path)
    files.add(config("wiki"), text_of("wiki"))
    gone = files.delete("wiki")
    assert gone is not None
    assert gone.text == text_of("wiki")
    assert files.delete("wiki") is None
    with pytest.raises(NotFound):
        files.find("wiki")


def test_a_definition_with_mistakes_names_all_of_them() -> None:
    with pytest.raises(ConfigError) as refused:
        parse_definition(text_of("wiki").replace("acme", "a b").replace("root: /srv", "root: srv"))
    assert "attributes.tenant" in refused.value.message
    assert "options.root" in refused.value.message


def test_a_definition_without_bounds_is_refused() -> None:
    with pytest.raises(ConfigError, match="longer than"):
        parse_definition("#" * 70_000)


def test_the_watcher_says_which_files_it_saw_and_stores_what_is_wrong(settings: Settings, store: Store) -> None:
    """`rag source reload`, `rag up` and the console wait until what it saw is what is loaded."""
    folder = settings.effective_sources_dir
    folder.mkdir(parents=True)
    (folder / "broken.yaml").write_text("type: [")
    loaded = files_fingerprint(folder)
    with Pipeline(settings) as pipeline, dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_sensor_context(instance, resources={PIPELINE: pipeline})
        files_sensor(settings, loaded)(context)
        assert context.cursor == loaded
        with pipeline.store.engine.connect() as connection:
            assert {problem.place for problem in problem_store.of(connection, None)} == {"sources/broken.yaml"}
