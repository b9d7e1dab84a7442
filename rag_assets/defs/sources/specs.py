"""Asset specs of a source: what it reads as an external asset, and the four stages that are made from it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg

from rag_assets.lib.columns import column_schema
from rag_assets.lib.naming import STAGES, TENANT_TAG, asset_key
from rag_assets.source_config import SourceConfig

UPSTREAM = "source"
"""Last part of the key of the external asset."""
_DESCRIPTIONS = {
    "documents": "What the source holds: extracted text by document.",
    "chunks": "Spans of the documents that are retrieved as one.",
    "embeddings": "A vector for each distinct text.",
    "index": "What searches see.",
}
_KINDS = {
    "documents": {"postgres"},
    "chunks": {"postgres"},
    "embeddings": {"postgres", "onnx"},
    "index": {"qdrant"},
}


def upstream_spec(config: SourceConfig, file: Path | None = None) -> dg.AssetSpec:
    """The folder, table, site or endpoint that the source reads. Nothing here materializes it; runs report what they
    saw of it as observations."""
    location = config.options.location
    return dg.AssetSpec(
        asset_key(config, UPSTREAM),
        description=f"What source `{config.name}` reads: `{location}`.\n\n{_about(config)}",
        metadata={"location": _linked(config, location), "kind": config.options.kind, **code_references(file)},
        kinds={config.options.asset_kind},
        tags={TENANT_TAG: config.tenant},
        group_name=config.group,
        owners=config.owners,
    )


def stage_spec(config: SourceConfig, stage: str, file: Path | None = None) -> dg.AssetSpec:
    """One stage, downstream of the one before it."""
    minutes = config.freshness_minutes if stage == "index" else None
    return dg.AssetSpec(
        asset_key(config, stage),
        deps=[asset_key(config, (UPSTREAM, *STAGES)[STAGES.index(stage)])],
        group_name=config.group,
        description=f"{_DESCRIPTIONS[stage]}\n\n{_about(config)}",
        metadata={"dagster/column_schema": column_schema(stage), **code_references(file)},
        tags={TENANT_TAG: config.tenant, "rag/stage": stage},
        kinds=_KINDS[stage],
        owners=config.owners,
        freshness_policy=dg.FreshnessPolicy.time_window(timedelta(minutes=minutes)) if minutes else None,
    )


def code_references(file: Path | None) -> dict[str, Any]:
    """The source's file, for the UI's link to the code."""
    if file is None:
        return {}
    reference = dg.LocalFileCodeReference(file_path=str(file), line_number=1, label=file.name)
    return {"dagster/code_references": dg.CodeReferencesMetadataValue(code_references=[reference])}


def _about(config: SourceConfig) -> str:
    readers = ", ".join(f"`{entry}`" for entry in config.acl or ()) or "as the source says"
    plan = f"`{config.schedule.cron}` ({config.schedule.timezone})" if config.schedule else "none"
    return (
        f"- **Source:** `{config.name}` ({config.options.kind})\n- **Tenant:** `{config.tenant}`\n"
        f"- **Readers:** {readers}\n- **Full comparison:** {plan}"
    )


def _linked(config: SourceConfig, location: str) -> dg.MetadataValue[Any]:
    if config.options.kind == "folder":
        return dg.MetadataValue.path(location)
    is_one_url = location.startswith(("http://", "https://")) and ", " not in location
    return dg.MetadataValue.url(location) if is_one_url else dg.MetadataValue.text(location)
