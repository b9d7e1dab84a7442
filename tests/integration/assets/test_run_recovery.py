from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest
import yaml

from rag_assets.launcher import PROCESS_TAG
from rag_core.settings import Settings
from tests.integration.assets.dagster_stack import last_run, running, until, write_instance

JOB = "handbook_sync"


@pytest.fixture
def stack_settings(settings: Settings, tmp_path: Path, free_tcp_port: int) -> Settings:
    settings = settings.model_copy(update={"code_location_port": free_tcp_port})
    docs = tmp_path / "docs"
    docs.mkdir()
    for number in range(30):
        (docs / f"{number:02}.md").write_text(f"# Title {number}\n\nText of document number {number}.\n")
    attributes = {
        "name": "handbook",
        "tenant": "acme",
        "acl": ["everyone"],
        "sensor": {"interval_seconds": 5},
        "options": {"kind": "filesystem", "root": str(docs)},
    }
    settings.effective_sources_dir.mkdir(parents=True)
    document = {"type": "rag_assets.components.DocumentSource", "attributes": attributes}
    (settings.effective_sources_dir / "handbook.yaml").write_text(yaml.safe_dump(document))
    write_instance(settings)
    return settings


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_f01_a_run_whose_process_is_killed_is_resumed_and_finishes(
    stack_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sensor starts the run; its process dies by SIGKILL after the second of three batches; the rest is done once."""
    assert stack_settings.database_url is not None
    monkeypatch.setenv("RAG_DATABASE_URL", stack_settings.database_url.get_secret_value())
    faults = {"RAG_FAILPOINT": "after_commit:2:kill", "RAG_SYNC_BATCH_DOCUMENTS": "10"}
    with (
        running(stack_settings, **faults),
        dg.DagsterInstance.from_config(str(stack_settings.dagster_home)) as instance,
    ):

        def finished() -> dg.DagsterRun | None:
            run = last_run(instance, JOB)
            return run if run is not None and run.is_finished else None

        run = until(finished, seconds=240, what="the run finishes")
        print(run.status, run.tags)
        for e in instance.all_logs(run.run_id):
            print(e.message[:200])
        assert run.status is dg.DagsterRunStatus.SUCCESS
        assert len(instance.get_runs(dg.RunsFilter(job_name=JOB))) == 1, "the same run, not another one"
        assert PROCESS_TAG in run.tags
