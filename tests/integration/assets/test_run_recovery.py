from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest
import yaml
from sqlalchemy import text

from rag_core.database import open_store
from rag_core.settings import Settings
from tests.integration.assets.dagster_stack import last_run, running, until, write_instance

JOB = "handbook_sync"


@pytest.fixture
def stack_settings(prepared: Settings, tmp_path: Path, free_tcp_port: int) -> Settings:
    settings = prepared.model_copy(update={"code_location_port": free_tcp_port})
    docs = tmp_path / "docs"
    docs.mkdir()
    for number in range(30):
        (docs / f"{number:02}.md").write_text(f"# Title {number}\n\nText of document number {number}.\n")
    attributes = {
        "name": "handbook",
        "tenant": "acme",
        "acl": ["everyone"],
        "sensor": {"interval_seconds": 5},
        "options": {"kind": "folder", "root": str(docs)},
    }
    settings.effective_sources_dir.mkdir(parents=True)
    document = {"type": "rag_assets.components.DocumentSource", "attributes": attributes}
    (settings.effective_sources_dir / "handbook.yaml").write_text(yaml.safe_dump(document))
    write_instance(settings)
    return settings


@pytest.mark.catalogue("F01")
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_run_whose_process_is_killed_is_resumed_and_finishes(
    stack_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Code server, daemon and sensor start the run; it dies by SIGKILL with its third batch committed."""
    assert stack_settings.database_url is not None
    monkeypatch.setenv("RAG_DATABASE_URL", stack_settings.database_url.get_secret_value())
    faults = {"RAG_FAILPOINT": "after_commit:3:kill", "RAG_SYNC_BATCH_DOCUMENTS": "10"}
    home = str(stack_settings.dagster_home)
    with running(stack_settings, **faults), dg.DagsterInstance.from_config(home) as instance:

        def finished() -> dg.DagsterRun | None:
            run = last_run(instance, JOB)
            return run if run is not None and run.is_finished else None

        run = until(finished, seconds=240, what="the run finishes")
        assert run.status is dg.DagsterRunStatus.SUCCESS
        assert len(instance.get_runs(dg.RunsFilter(job_name=JOB))) == 1, "the same run, not another one"
        messages = [event.message for event in instance.all_logs(run.run_id)]
    assert sum("Resuming run" in message for message in messages) == 1
    assert _counts(stack_settings, run.run_id) == {"documents": 30, "indexed": 30}


def _counts(settings: Settings, run_id: str) -> dict[str, int]:
    """What PostgreSQL holds, and how much of it the index was given."""
    documents = "SELECT count(*) FROM rag.documents WHERE run_id = :run_id AND deleted_at IS NULL"
    indexed = "SELECT count(*) FROM rag.generation_documents"
    store = open_store(settings)
    with store.engine.connect() as connection:
        counts = {
            "documents": connection.scalar(text(documents), {"run_id": run_id}) or 0,
            "indexed": connection.scalar(text(indexed)) or 0,
        }
    store.close()
    return counts
