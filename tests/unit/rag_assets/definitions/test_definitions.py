from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._utils.warnings import suppress_dagster_warnings
from dagster.components.core.component_tree import ComponentTree
from syrupy.assertion import SnapshotAssertion

from rag_assets.components.document_source import DocumentSource
from rag_assets.definitions import build_definitions
from rag_assets.source_config import SourceConfig
from rag_clients.dagster import TENANT_TAG
from rag_core.settings import Settings
from tests.unit.rag_assets.definitions.conftest import WriteSource


@pytest.fixture
def settings_with_sources(tmp_path: Path, sources_dir: Path) -> Settings:
    return Settings.load(home=tmp_path / "home", sources_dir=sources_dir)


def _graph(defs: dg.Definitions) -> dict[str, Any]:
    repository = defs.get_repository_def()
    graph = repository.asset_graph
    nodes = {}
    for key in sorted(graph.get_all_asset_keys()):
        node = graph.get(key)
        nodes[key.to_user_string()] = {
            "group": node.group_name,
            "after": sorted(parent.to_user_string() for parent in node.parent_keys),
            "partitions": _keys(node.partitions_def),
            "owners": list(node.owners),
            "columns": len(_columns(node.metadata)),
            "kinds": sorted(tag for tag in node.tags if tag.startswith("dagster/kind/")),
            "pools": sorted(node.pools or ()),
            "freshness": str(node.freshness_policy_or_from_metadata),
            "checks": {
                check.name: "blocking" if repository.asset_graph.get_check_spec(check).blocking else "warning"
                for check in sorted(node.check_keys, key=lambda item: item.name)
            },
        }
    return {
        "assets": nodes,
        "jobs": sorted(name for name in repository.job_names if not name.startswith("__")),
        "sensors": sorted(sensor.name for sensor in repository.sensor_defs),
        "schedules": {schedule.name: schedule.cron_schedule for schedule in repository.schedule_defs},
    }


def _columns(metadata: Mapping[str, Any]) -> Sequence[dg.TableColumn]:
    schema = metadata.get("dagster/column_schema", dg.TableSchema([]))
    found: Sequence[dg.TableColumn] = getattr(schema, "schema", schema).columns
    assert all(column.description for column in found)
    return found


def _keys(definition: dg.PartitionsDefinition | None) -> Any:
    if isinstance(definition, dg.DynamicPartitionsDefinition):
        return f"dynamic: {definition.name}"
    return definition.get_partition_keys() if definition else None


def test_the_asset_graph_of_two_sources(
    settings_with_sources: Settings, write_source: WriteSource, snapshot: SnapshotAssertion
) -> None:
    write_source("a.yaml", name="handbook", freshness_minutes=60, owners=["ops@example.com", "team:docs"])
    write_source("b.yaml", name="big-wiki", shards=2)
    defs = build_definitions(settings_with_sources)
    dg.Definitions.validate_loadable(defs)
    assert _graph(defs) == snapshot


def test_every_run_of_a_source_names_the_tenant_by_which_the_console_lists_it(
    settings_with_sources: Settings, write_source: WriteSource
) -> None:
    write_source("a.yaml", name="handbook", tenant="acme")
    write_source("b.yaml", name="big-wiki", tenant="globex", shards=2)
    repository = build_definitions(settings_with_sources).get_repository_def()
    tenants = {name: repository.get_job(name).run_tags[TENANT_TAG] for name in ("handbook_sync", "big_wiki_sync")}
    assert tenants == {"handbook_sync": "acme", "big_wiki_sync": "globex"}


def test_a_run_of_a_source_loads_no_other_source(settings_with_sources: Settings, write_source: WriteSource) -> None:
    write_source("a.yaml", name="handbook")
    write_source("b.yaml", name="big-wiki")
    found = build_definitions(settings_with_sources, job="big_wiki_sync").get_repository_def()
    assert {key.path[0] for key in found.asset_graph.get_all_asset_keys()} & {"handbook", "big_wiki"} == {"big_wiki"}
    of_none = build_definitions(settings_with_sources, job="maintenance").get_repository_def()
    assert of_none.has_job("handbook_sync"), "a run that is no source's may need any of them"


def test_the_job_of_a_source_holds_nothing_of_the_others(
    settings_with_sources: Settings, write_source: WriteSource
) -> None:
    """With a thousand sources it would be a thousand nodes in each of a thousand jobs."""
    write_source("a.yaml", name="handbook")
    write_source("b.yaml", name="big-wiki")
    job = build_definitions(settings_with_sources).get_repository_def().get_job("handbook_sync")
    assert {key.path[0] for key in job.asset_layer.asset_graph.get_all_asset_keys()} == {"handbook"}


def test_the_definitions_load_without_what_only_a_run_needs() -> None:
    needless = {"polars", "pandera", "pandas", "onnxruntime", "confluent_kafka"}
    code = f"import sys, rag_assets.definitions; print({needless!r} & sys.modules.keys())"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "set()"


def test_an_installation_without_sources_loads(settings_with_sources: Settings) -> None:
    defs = build_definitions(settings_with_sources)
    dg.Definitions.validate_loadable(defs)
    assert defs.get_repository_def().get_job("maintenance")


def test_an_asset_leads_to_its_source_file_and_its_code(
    settings_with_sources: Settings, write_source: WriteSource
) -> None:
    file = write_source("a.yaml")
    graph = build_definitions(settings_with_sources).get_repository_def().asset_graph
    paths = {key: _code(graph.get(dg.AssetKey(key))) for key in (("handbook", "index"), ("handbook", "source"))}
    assert [Path(path).name for path in paths["handbook", "index"]] == ["a.yaml", "assets.py"]
    assert paths["handbook", "source"] == [str(file)]


def _code(node: Any) -> list[str]:
    return [reference.file_path for reference in node.metadata["dagster/code_references"].code_references]


def test_a_wrong_file_is_left_out_and_all_others_load(
    settings_with_sources: Settings, write_source: WriteSource
) -> None:
    write_source("good.yaml")
    write_source("bad.yaml", name="bad", shards="x")
    write_source("worse.yaml", name="worse", tenant=None)
    (settings_with_sources.effective_sources_dir / "worst.yaml").write_text("type: [")
    defs = build_definitions(settings_with_sources)
    dg.Definitions.validate_loadable(defs)
    jobs = {job.name for job in defs.get_repository_def().get_all_jobs()}
    assert {name for name in jobs if name.endswith("_sync")} == {"handbook_sync"}


def test_the_code_version_follows_the_settings(settings_with_sources: Settings, write_source: WriteSource) -> None:
    write_source()
    other = settings_with_sources.model_copy(update={"chunk_tokens": 100})
    before, after = (_versions(build_definitions(settings)) for settings in (settings_with_sources, other))
    assert {stage for stage in before if before[stage] != after[stage]} == {"chunks", "index"}
    assert all(before.values())


def _versions(defs: dg.Definitions) -> dict[str, str | None]:
    graph = defs.get_repository_def().asset_graph
    stages = ("documents", "chunks", "embeddings", "index")
    return {stage: graph.get(dg.AssetKey(["handbook", stage])).code_version for stage in stages}


@pytest.mark.filterwarnings("ignore:`parse_obj_as` is deprecated")  # Dagster calls it
@suppress_dagster_warnings
def test_the_same_file_works_as_a_component_of_the_project(
    write_source: WriteSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "project_with_source" / "handbook"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").touch()
    (folder / "defs.yaml").write_text(write_source().read_text())
    monkeypatch.syspath_prepend(tmp_path)
    tree = ComponentTree.from_module(defs_module=importlib.import_module("project_with_source"), project_root=tmp_path)
    keys = {key for assets in tree.build_defs().assets or [] for key in getattr(assets, "keys", [])}
    assert dg.AssetKey(["handbook", "index"]) in keys


@pytest.mark.catalogue("S27")
def test_no_setting_and_no_secret_is_part_of_a_run_configuration(
    settings_with_sources: Settings, write_source: WriteSource
) -> None:
    write_source()
    job = build_definitions(settings_with_sources).resolve_job_def("handbook_sync")
    resource = job.resource_defs["pipeline"]
    assert resource.config_schema.as_field().is_required is False
    assert "Settings" not in str(resource.config_schema.config_type)


def test_a_topic_is_an_external_asset_and_in_batches_a_job_with_sensor_and_schedule() -> None:
    options = {"kind": "topic", "brokers": "localhost:9092", "topic": "tickets"}
    stream = SourceConfig.model_validate({"name": "live", "tenant": "acme", "options": options})
    batch = SourceConfig.model_validate(
        {"name": "nightly", "tenant": "acme", "options": {**options, "consume": "batch"}}
    )
    live, nightly = DocumentSource(stream).build_defs(), DocumentSource(batch).build_defs()
    assert [asset.key.to_user_string() for asset in live.assets or []] == ["stream/live"]
    assert not list(live.sensors or [])
    assert [sensor.name for sensor in nightly.sensors or []] == ["nightly_changes"]
    assert [schedule.name for schedule in nightly.schedules or []] == ["nightly_reconcile"]
