"""`dagster.yaml` of the embedded stack: storage in the same PostgreSQL, one process per run, monitoring, retention."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from rag_core.errors import ConfigError, Reason
from rag_core.settings import DAGSTER_LOCATION, Settings

_HEADER = (
    "# Written by `rag up` from the settings; changes here are lost. See docs/explanation/pipeline-in-dagster.md\n"
)


def render_dagster_yaml(settings: Settings, *, compute_logs: Path | None = None) -> str:
    """The instance configuration. Contains no secret: a configured database URL is read from its environment variable.

    `compute_logs` is a folder that runs and webserver share; without one only the container's log has a run's output.

    Raises `ConfigError` (`CONFIG_INVALID`) when that URL names a driver that Dagster cannot use.
    """
    return _HEADER + yaml.safe_dump(_instance(settings, compute_logs), sort_keys=False)


def render_workspace_yaml(settings: Settings) -> str:
    """The workspace: one code location, served on loopback unless the settings say where."""
    where = {"host": settings.code_location_host, "port": settings.code_location_port}
    server = where | {"location_name": DAGSTER_LOCATION}
    return _HEADER + yaml.safe_dump({"load_from": [{"grpc_server": server}]}, sort_keys=False)


def _instance(settings: Settings, compute_logs: Path | None) -> dict[str, Any]:
    days = settings.event_retention_days
    return {
        "storage": {
            "custom": {
                "module": "rag_assets.storage",
                "class": "PostgresStorage",
                "config": {"postgres_url": _database(settings)},
            }
        },
        "run_launcher": {
            "module": "rag_assets.launcher",
            "class": "ProcessRunLauncher",
        },
        "run_coordinator": {
            "module": "dagster._core.run_coordinator",
            "class": "QueuedRunCoordinator",
            "config": {"dequeue_interval_seconds": 2},  # 5 otherwise, which is longer than a run takes to start
        },
        "concurrency": {
            "runs": {
                "max_concurrent_runs": settings.max_concurrent_runs,
                # Two runs of one source would only wait for each other's lock.
                "tag_concurrency_limits": [
                    {"key": "rag/source", "value": {"applyLimitPerUniqueValue": True}, "limit": 1},
                    # A build embeds for hours, and half of the slots stay free for the live runs.
                    {"key": "rag/generation", "limit": max(1, settings.max_concurrent_runs // 2)},
                    # Shards, of sources and of builds, are many and long: a quarter of the slots stays free of them,
                    # so that a small source does not wait in the queue behind a large one.
                    {"key": "dagster/partition", "limit": max(1, settings.max_concurrent_runs * 3 // 4)},
                ],
            },
        },
        "run_monitoring": {
            "enabled": True,
            "poll_interval_seconds": 5,
            "start_timeout_seconds": 120,
            "cancel_timeout_seconds": 120,
            "max_resume_run_attempts": 5,
            "free_slots_after_run_end_seconds": 30,
        },
        # Only runs whose process died; an asset that failed was retried already.
        "run_retries": {"enabled": True, "max_retries": 0, "retry_on_asset_or_op_failure": False},
        "sensors": {"use_threads": True, "num_workers": 4},
        "schedules": {"use_threads": True, "num_workers": 2},
        "retention": {
            "sensor": {"purge_after_days": {"skipped": 1, "success": days, "failure": days, "started": 1}},
            "schedule": {"purge_after_days": days},
            "auto_materialize": {"purge_after_days": 1},
        },
        "freshness": {"enabled": True},
        "compute_logs": _compute_logs(compute_logs),
        "telemetry": {"enabled": False},
        "nux": {"enabled": False},
    }


def _compute_logs(folder: Path | None) -> dict[str, Any]:
    if folder is None:
        return {"module": "dagster._core.storage.noop_compute_log_manager", "class": "NoOpComputeLogManager"}
    return {
        "module": "dagster._core.storage.local_compute_log_manager",
        "class": "LocalComputeLogManager",
        "config": {"base_dir": str(folder)},
    }


def _database(settings: Settings) -> str | dict[str, str]:
    if settings.database_url is None:
        return settings.effective_database_url  # on loopback, without a password
    try:
        url = make_url(settings.database_url.get_secret_value())
    except (ArgumentError, ValueError):
        url = None
    if url is None or url.drivername not in {"postgresql", "postgresql+psycopg2"}:
        raise ConfigError(
            Reason.CONFIG_INVALID, "RAG_DATABASE_URL: must start with postgresql:// (Dagster reads it too)"
        )
    if isinstance(url.query.get("host"), tuple) and "target_session_attrs" not in url.query:
        raise ConfigError(
            Reason.CONFIG_INVALID,
            "RAG_DATABASE_URL: names several servers; add target_session_attrs=read-write, by which Dagster finds the "
            "primary too",
        )
    return {"env": "RAG_DATABASE_URL"}
