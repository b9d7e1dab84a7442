"""Runs that died are repaired, and a run is one trace."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest
import yaml
from sqlalchemy import text

from rag_assets.components import DocumentSource
from rag_assets.lib.naming import job_name
from rag_assets.resources import PIPELINE, TRACE_TAG, pipeline_resource
from rag_core.database import open_store
from rag_core.settings import Settings
from tests.integration.assets.conftest import Chain
from tests.integration.assets.dagster_stack import last_run, running, until, write_instance
from tests.support.traces import parent_of, recorded

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


TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.mark.parametrize("tags", [{}, {TRACE_TAG: parent_of(TRACE)}], ids=["its own", "of who asked for it"])
def test_a_run_is_traced_from_the_listing_to_the_index(chain: Chain, tags: dict[str, str]) -> None:
    chain.write("a.md", "# Zeppelins\n\nThey are moored at noon.")
    chain.definitions()  # writes the file of the source
    own = dg.Definitions(resources={PIPELINE: pipeline_resource(chain.settings)})
    bound = dg.Definitions.merge(DocumentSource(chain.config).build_defs(), own)
    with recorded() as traces:
        result = bound.resolve_job_def(job_name(chain.config)).execute_in_process(instance=chain.instance, tags=tags)
        assert result.success
        spans = traces.exporter.get_finished_spans()
        (trace_id,) = {f"{one.context.trace_id:032x}" for one in spans}
        run = f"run {job_name(chain.config)}"
        traces.assert_ancestors(traces.named(trace_id, "index write"), "stage index", run)
        traces.assert_ancestors(traces.named(trace_id, "stage documents: list"), run)
        assert (traces.named(trace_id, run).attributes or {})["rag.run_id"] == result.run_id
        assert not tags or trace_id == TRACE
        assert "Zeppelin" not in "".join(one.to_json() for one in spans)
