"""The source files and the corpus that `rag up` writes."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import pytest

from console.presenters import first_steps
from rag_assets.config import load_sources
from rag_core.errors import ConfigError
from rag_core.settings import Settings
from ragctl.local_stack.data_dir import DataDir
from ragctl.local_stack.sources import ensure_sources, write_package_corpus
from ragctl.output import visible


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home dir")


@pytest.fixture
def home(settings: Settings) -> DataDir:
    return DataDir.of(settings)


def test_the_default_sources_are_valid_and_can_be_read(settings: Settings, home: DataDir) -> None:
    assert ensure_sources(settings, home, None)
    sources = {source.name: source for source in load_sources(settings.effective_sources_dir)}
    assert sources.keys() == first_steps.EXAMPLES, "else a new installation would not show its first steps"
    assert all(any(Path(source.options.root).iterdir()) for source in sources.values())
    # The checkout holds RAG_HOME by default, and a source that does is refused.
    assert all(Path(source.options.root).is_relative_to(home.root / "corpus") for source in sources.values())
    assert (home.root / "corpus" / "project" / "docs" / "tutorial.md").is_file()
    assert not ensure_sources(settings, home, None)


def test_a_folder_is_ingested_instead_of_the_defaults(settings: Settings, home: DataDir, tmp_path: Path) -> None:
    docs = tmp_path / "my docs: 'quoted' #1"
    docs.mkdir()
    assert ensure_sources(settings, home, docs)
    (source,) = load_sources(settings.effective_sources_dir)
    assert (source.name, source.options.root) == ("docs", str(docs))
    assert not ensure_sources(settings, home, docs)
    assert not ensure_sources(settings, home, None)
    assert len(load_sources(settings.effective_sources_dir)) == 1


def test_a_source_file_that_was_edited_is_left_alone(settings: Settings, home: DataDir, tmp_path: Path) -> None:
    ensure_sources(settings, home, tmp_path)
    path = settings.effective_sources_dir / "docs.yaml"
    edited = path.read_text() + "  # mine\n"
    path.write_text(edited)
    assert not ensure_sources(settings, home, tmp_path)
    assert path.read_text() == edited


def test_another_folder_replaces_the_one_before(settings: Settings, home: DataDir, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    ensure_sources(settings, home, tmp_path)
    assert ensure_sources(settings, home, other)
    assert load_sources(settings.effective_sources_dir)[0].options.root == str(other)


@pytest.mark.parametrize(("folder", "problem"), [("/nonexistent/folder", "--docs"), ("/proc", "PATH_OUTSIDE_ROOT")])
def test_a_folder_that_cannot_be_a_source_is_refused_and_leaves_no_file(
    settings: Settings, home: DataDir, folder: str, problem: str
) -> None:
    with pytest.raises(ConfigError, match=problem):
        ensure_sources(settings, home, Path(folder))
    assert list(settings.effective_sources_dir.glob("*")) == []


def test_a_mistake_in_a_file_is_printed_and_keeps_nothing_else_from_running(
    settings: Settings, home: DataDir, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ensure_sources(settings, home, tmp_path)
    path = settings.effective_sources_dir / "docs.yaml"
    path.write_text(path.read_text().replace("acl:", "alc:"))
    ensure_sources(settings, home, None)
    assert 'did you mean "acl"' in capsys.readouterr().err


def test_the_corpus_holds_what_is_installed_is_written_once_and_follows_a_change(tmp_path: Path) -> None:
    write_package_corpus(tmp_path)
    text = (tmp_path / "packages" / "cyclopts.md").read_text("utf-8")
    assert text.startswith(f"# cyclopts {version('cyclopts')}: ")
    licences = list((tmp_path / "licences").iterdir())
    assert len({path.read_bytes() for path in licences}) == len(licences) > 10
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.*")}
    write_package_corpus(tmp_path)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.*")} == before
    (tmp_path / "packages" / "gone.md").write_text("a package that was removed")
    (tmp_path / "stamp").write_text("of another set of packages")
    write_package_corpus(tmp_path)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.*")} == before


def test_control_characters_never_reach_the_terminal() -> None:
    assert visible("a\x1b[2Jb\u202ec\n文") == "a\\x1b[2Jb\\u202ec\n文"
