"""Settings that the chart passes to its services: names and JSON schema."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

from pydantic import SecretStr

from rag_core.settings import Settings

# The chart decides these itself: addresses, ports and folders are the same in every pod.
_OF_THE_CHART = frozenset(
    {"host", "environment", "failpoint", "index_endpoint", "code_location_host", "log_json", "prometheus_url"}
    # And these are the local stack's query servers.
    | {"replicas", "replica_ports"}
    # And its viewer of traces; a cluster has a collector (`tracing`).
    | {"traces", "traces_days", "traces_gib"}
    # And the chart names the colours.
    | {"gateway_blue", "gateway_green", "gateway_discovery", "gateway_interfaces", "gateway_rate_limits"}
)
# A set is one comma-separated variable; as a list it cannot be mistyped.
_LIST: dict[str, Any] = {"type": "array", "items": {"type": "string"}, "uniqueItems": True}
_ORIGINS: dict[str, Any] = {**_LIST, "items": {"type": "string", "pattern": r"^https?://[A-Za-z0-9.:\[\]-]+$"}}
_REPLACEMENTS: dict[str, dict[str, Any]] = {
    "metadata_fields": _LIST,
    "gateway_limit_overrides": _LIST,
    "jwt_platform_groups": _LIST,
    "gateway_cors_origins": _ORIGINS,
    "dagster_origins": _ORIGINS,
    "allowed_hosts": _LIST,
}


def settable() -> list[str]:
    """Names of the settings an installation may give, in the order of the source."""
    return [name for name, field in Settings.model_fields.items() if _passed_on(name, field.annotation)]


def secret_names() -> list[str]:
    """Environment variables that hold a secret, as the keys of the Kubernetes Secret that every service reads.

    The owner's URL is not among them: the migration alone may have it.
    """
    secret = (name for name, field in Settings.model_fields.items() if _is(field.annotation, SecretStr))
    return [f"RAG_{name.upper()}" for name in secret if name != "database_owner_url"]


def settings_schema() -> dict[str, Any]:
    """JSON schema of the map `settings`; unknown names are refused."""
    schema = Settings.model_json_schema(mode="validation")
    properties = schema["properties"]
    # The values of the chart have definitions of their own, so that this one is written out.
    properties["source_allowances"]["additionalProperties"] = schema["$defs"]["SourceAllowance"]
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {name: _plain(name, properties[name]) for name in settable()},
    }


def _passed_on(name: str, annotation: object) -> bool:
    fixed = name in _OF_THE_CHART or name.endswith("_port")
    return not fixed and not _is(annotation, SecretStr) and not _is(annotation, Path)


def _is(annotation: object, kind: type) -> bool:
    return annotation is kind or kind in get_args(annotation)


def _plain(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in schema.items() if key not in {"title", "default"}}
    if name in _REPLACEMENTS:
        return {**_REPLACEMENTS[name], "description": kept["description"]}
    if "anyOf" in kept:  # `null` would be an empty variable; leaving the name out says the same
        choices = [choice for choice in kept.pop("anyOf") if choice != {"type": "null"}]
        kept |= choices[0] if len(choices) == 1 else {"anyOf": choices}
    return kept
