"""The Dagster code location: the project's `defs` folder, the sources of `RAG_SOURCES_DIR`, and policy over both.

    dagster code-server start -m rag_assets.definitions

A wrong file of `RAG_SOURCES_DIR` is an error of that source alone: it is left out, and the sensor `source_files` stores
what is wrong where console and CLI show it.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dagster as dg
from dagster.components.core.component_tree import ComponentTree

import rag_assets.defs
from rag_assets.components.document_source import DocumentSource
from rag_assets.config import PROJECT_DEFS, files_fingerprint, read_sources
from rag_assets.connectors.kinds import log_broken_kinds
from rag_assets.defs.alerts.sensors import alert_sensor
from rag_assets.defs.history.sensors import history_sensor
from rag_assets.defs.sources.changes import changes_sensor
from rag_assets.defs.sources.files import files_sensor
from rag_assets.lib.generation_runs import ACTIVE
from rag_assets.lib.naming import asset_key, job_name
from rag_assets.lib.warned import without_warnings
from rag_assets.resources import PIPELINE, pipeline_resource
from rag_assets.source_config import SourceConfig
from rag_assets.stream_worker.report import stream_key
from rag_core.content.chunking import CHUNKER_VERSION
from rag_core.content.parsing import PARSER_VERSION, ParseLimits
from rag_core.ids import fingerprint
from rag_core.ingestion.generations import CHUNKING
from rag_core.settings import Settings

JOB_VARIABLE = "DAGSTER_RUN_JOB_NAME"
"""The environment variable by which `dagster-k8s`, and the launcher of one machine, name its job to a run."""


@without_warnings  # folder loading and mapping over specs are called preview; the version is pinned
def build_definitions(settings: Settings, *, job: str = "") -> dg.Definitions:
    """All definitions of an installation; for a run of this job of a source, of the other sources none."""
    folder = settings.effective_sources_dir
    loaded = files_fingerprint(folder)
    log_broken_kinds()
    files = read_sources(folder)
    own = [config for config in files.sources if job == job_name(config)]
    sources = [
        DocumentSource(config, folder / Path(files.seen[config.key]).name).build_defs()
        for config in own or files.sources
        if not files.is_in_project(config)
    ]
    project = _project()
    resources = dg.Definitions(resources={PIPELINE: pipeline_resource(settings)}, executor=dg.in_process_executor)
    names = {job_name(config) for config in files.sources}
    jobs = [job for part in (project, *sources) for job in part.jobs or () if job.name in names]
    sensors = [
        changes_sensor(files.sources, jobs),
        alert_sensor(files.sources, settings),
        files_sensor(settings, loaded),
        history_sensor(settings),
    ]
    parts = (project, *sources, dg.Definitions(sensors=sensors), resources)
    defs = dg.Definitions.merge(*parts)
    return _each_alone(_with_policy(_with_sources(defs), settings, own or files.sources))


def _project() -> dg.Definitions:
    """As `dg.load_from_defs_folder`, which however needs pyproject.toml, and an installed wheel has none."""
    return ComponentTree.from_module(defs_module=rag_assets.defs, project_root=PROJECT_DEFS.parent.parent).build_defs()


def _with_sources(defs: dg.Definitions) -> dg.Definitions:
    """The same, whose assets name the code that they are made by."""
    return _with_assets(defs, dg.with_source_code_references([*(defs.assets or [])]))


def _each_alone(defs: dg.Definitions) -> dg.Definitions:
    """The same, whose external assets are a definition each.

    Dagster puts specs into one definition, which every job that reads one of them holds as a whole: with a thousand
    sources a million nodes.
    """
    specs = {one.key: one for one in defs.assets or () if isinstance(one, dg.AssetSpec)}  # modules may share one
    made = [one for one in defs.assets or () if not isinstance(one, dg.AssetSpec)]
    return _with_assets(defs, [*made, *(dg.AssetsDefinition(specs=[spec]) for spec in specs.values())])


def _with_assets(defs: dg.Definitions, assets: Sequence[Any]) -> dg.Definitions:
    fields = {name: getattr(defs, name) for name in inspect.signature(dg.Definitions).parameters}
    return dg.Definitions(**fields | {"assets": assets})


def _with_policy(defs: dg.Definitions, settings: Settings, sources: Sequence[SourceConfig]) -> dg.Definitions:
    """The same, whose stages have versions, and with what searches see made from every source: the lineage of a source
    ends at the active generation.

    The specs are mapped in one pass. A selection would resolve all definitions each time.
    """
    versions = code_versions(settings)
    ends = [_end_of(config) for config in sources]

    def apply(spec: dg.AssetSpec) -> dg.AssetSpec:
        if version := versions.get(spec.tags.get("rag/stage", "")):
            spec = spec.replace_attributes(code_version=version)
        return spec.replace_attributes(deps=[*spec.deps, *ends, stream_key("inbox")]) if spec.key == ACTIVE else spec

    assets: list[Any] = [*(defs.assets or [])]
    return _with_assets(defs, dg.map_asset_specs(apply, assets))


def _end_of(config: SourceConfig) -> dg.AssetDep:
    if config.options.is_stream:
        return dg.AssetDep(stream_key(config.key))
    mapping = dg.AllPartitionMapping() if config.shards > 1 else None
    return dg.AssetDep(asset_key(config, "index"), partition_mapping=mapping)


def code_versions(settings: Settings) -> dict[str, str]:
    """Version by stage, from what can be known without opening a model.

    The exact fingerprints, model hash included, decide what is recomputed; the runs carry them as metadata.
    """
    chunker = (CHUNKER_VERSION, *(getattr(settings, name) for name in CHUNKING))
    network = (settings.embed_network,) if settings.embedder == "onnx" else ()
    model = (settings.embed_model, settings.embed_dimensions, settings.embed_passage_prefix)
    embedder = (settings.embedder, *model, *network)
    return {
        "documents": fingerprint(PARSER_VERSION, *ParseLimits.from_settings(settings).astuple()),
        "chunks": fingerprint(*chunker),
        "embeddings": fingerprint(*embedder),
        "index": fingerprint(*chunker, *embedder),
    }


@dg.definitions
def defs() -> dg.Definitions:
    """Entry of every Dagster process of this location: settings are read here, once."""
    return build_definitions(Settings.load(), job=os.environ.get(JOB_VARIABLE, ""))
