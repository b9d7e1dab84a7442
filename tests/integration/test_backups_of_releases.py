"""Backups that earlier releases made, kept in tests/data, are restored by this one: its data folder is upgraded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest

from benchmarks.ports import free_port
from rag_core.database import HEAD, open_store
from rag_core.database.embedded.server import running_database
from rag_core.ingestion.verify import verify
from rag_core.retrieval.engines import open_index
from ragctl.backup.archive import BackupReader
from ragctl.backup.restore import Progress, restore_data
from ragctl.local_stack.data_dir import load

BACKUPS = sorted((Path(__file__).parents[1] / "data").glob("backup_*"))
KEY = b"the key of the test data of 0.2.0, no secret"


@contextmanager
def silent(_: str) -> Iterator[Progress]:
    yield lambda done, total: None


@pytest.mark.parametrize("file", BACKUPS, ids=lambda file: file.name)
def test_the_data_of_an_earlier_release_is_restored_and_whole(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("RAG_POSTGRES_PORT", str(free_port()))
    settings, data_dir = load()
    with BackupReader(file, KEY) as reader:
        found = restore_data(settings, data_dir, reader, ledger=None, actor="default/test", step=silent)
    assert found.platform == file.name.removeprefix("backup_")
    assert {path.name for path in (tmp_path / "home" / "sources").rglob("*.yaml")} == {"docs.yaml"}
    settings = load()[0].model_copy(update={"index_endpoint": None})
    with running_database(settings):
        with psycopg.connect(settings.effective_database_url) as connection:
            (revision,) = connection.execute("SELECT version_num FROM rag.schema_version").fetchall()
            texts = [row[0] for row in connection.execute("SELECT text FROM rag.documents WHERE deleted_at IS NULL")]
        with closing(open_store(settings)) as store, closing(open_index(settings)) as index:
            report = verify(store, index, None, self_retrieval="all")
    assert revision == (HEAD,)
    assert any("zinnia oil" in text for text in texts)
    assert (report.sound, report.expected, report.found) == (True, 2, 2)
