"""The SQL source of the how-to, through Dagster."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from rag_assets.components.document_source import DocumentSource
from rag_assets.config import load_sources
from rag_assets.connectors import open_connector
from rag_assets.defs.alerts.sensors import evaluate
from rag_assets.defs.sources.sensors import evaluate as look
from rag_assets.defs.sources.states import record
from rag_assets.resources import PIPELINE
from rag_assets.version_tags import CHANGES, LISTING_TAG, current_version_tag
from rag_core.ingestion.alerts import Alert
from tests.integration.assets.conftest import Chain

GUIDE = Path(__file__).resolve().parents[3] / "docs" / "how-to" / "add-a-sql-source.md"


class Told:
    """A notifier that remembers."""

    name, repeat_seconds = "told", None

    def __init__(self) -> None:
        self.alerts: list[Alert] = []

    def send(self, alerts: Any) -> None:
        self.alerts += alerts

    def close(self) -> None: ...

    def take(self) -> list[tuple[str, bool]]:
        taken, self.alerts = sorted((str(one.kind), one.firing) for one in self.alerts), []
        return taken


def _guide(path: Path) -> tuple[sqlite3.Connection, dict[str, Any]]:
    """The database and the source file of the how-to, with the database in another place."""
    text = GUIDE.read_text("utf-8")
    script = re.search(r"<<'PY'\n(.*?)\nPY", text, re.DOTALL).group(1).replace("/tmp/articles.db", str(path))  # type: ignore[union-attr]  # noqa: S108
    exec(compile(script, "guide", "exec"), {})  # noqa: S102
    source = yaml.safe_load(re.search(r"```yaml\n(type:.*?)```", text, re.DOTALL).group(1))  # type: ignore[union-attr]
    source["attributes"]["options"]["database"]["path"] = str(path)
    return sqlite3.connect(path, isolation_level=None), source


@pytest.mark.timeout(300)
def materialization(result: dg.ExecuteInProcessResult, stage: str) -> dg.AssetMaterialization:
    made = result.asset_materializations_for_node("articles__rounds")
    (event,) = [event for event in made if event.asset_key == dg.AssetKey(["articles", stage])]
    return event


@pytest.fixture
def lasting(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """An instance that knows which sensors are on, which one in memory does not."""
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        yield instance


def test_the_source_of_the_how_to_runs_follows_changes_and_alerts(
    chain: Chain, lasting: dg.DagsterInstance, tmp_path: Path
) -> None:
    database, document = _guide(tmp_path / "articles.db")
    folder = chain.settings.effective_sources_dir
    folder.mkdir(parents=True)
    (folder / "articles.yaml").write_text(yaml.safe_dump(document))
    (config,) = load_sources(folder)
    resources = dg.Definitions(resources={PIPELINE: dg.ResourceDefinition.hardcoded_resource(chain.pipeline)})
    job = dg.Definitions.merge(DocumentSource(config).build_defs(), resources).resolve_job_def("articles_sync")
    notifier = Told()

    def run(**tags: str) -> dg.ExecuteInProcessResult:
        return job.execute_in_process(instance=chain.instance, tags=tags, raise_on_error=False)

    def alerts() -> list[tuple[str, bool]]:
        record(chain.pipeline.store, chain.instance, [config])
        evaluate(chain.pipeline.store, chain.instance, [config], [notifier])
        return notifier.take()

    chain.instance = lasting
    first = run()
    assert first.success
    event = materialization(first, "index")
    assert event.metadata["quality_score"].value == 100.0
    assert alerts() == []

    database.execute("INSERT INTO articles VALUES (3, 'Fan', 'The fan runs at night.', NULL, datetime('now'), NULL)")
    with open_connector(config) as connector:
        (request,) = look(config, lambda: current_version_tag(connector), chain.instance, now=0)  # type: ignore[misc]
    assert request.tags[LISTING_TAG] == CHANGES
    second = run(**request.tags)
    assert second.success
    event = materialization(second, "documents")
    assert event.metadata["added"].value == 1

    database.execute("ALTER TABLE articles RENAME COLUMN body TO text")
    assert not run().success
    assert alerts() == [("check_blocked", True), ("run_failed", True)]
    assert alerts() == []
    database.execute("ALTER TABLE articles RENAME COLUMN text TO body")
    assert run().success
    assert alerts() == [("check_blocked", False), ("run_failed", False)]
    database.close()
