"""No source reads the installation's own state: secrets, logs, the database."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag_assets.connectors import build_connector, connector_context
from rag_assets.source_config import SourceConfig
from rag_core.errors import ConfigError, Reason
from rag_core.settings import Settings


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "state" / ".rag"
    for folder in ("secrets", "corpus/packages"):
        (home / folder).mkdir(parents=True)
    (tmp_path / "docs").mkdir()
    (tmp_path / "link").symlink_to(home / "secrets")
    return home


def build(root: Path, home: Path) -> None:
    given = {"name": "notes", "tenant": "acme", "options": {"kind": "folder", "root": str(root)}}
    config = SourceConfig.model_validate(given)
    build_connector(config, connector_context(config, Settings.load(home=home)))


@pytest.mark.parametrize("root", ["state", "state/.rag", "state/.rag/secrets", "link", ""])
def test_a_root_above_or_inside_the_home_is_refused(tmp_path: Path, home: Path, root: str) -> None:
    with pytest.raises(ConfigError) as refused:
        build(tmp_path / root, home)
    assert refused.value.reason is Reason.PATH_OUTSIDE_ROOT


@pytest.mark.parametrize("root", ["docs", "state/.rag/corpus/packages"])
def test_a_root_beside_it_and_the_corpus_that_the_stack_makes_are_read(tmp_path: Path, home: Path, root: str) -> None:
    build(tmp_path / root, home)
