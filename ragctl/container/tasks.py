"""One-time tasks. Each is idempotent and safe beside another of its kind, so that a hook can be retried."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from rag_core.logging import get_logger
from rag_core.settings import Settings

log = get_logger(__name__)


def migrate(settings: Settings) -> None:
    """Bring our schema and Dagster's up to date.

    Raises `Conflict` (`DATABASE_VERSION`) when a newer program wrote the database, `Unavailable` when it is down.
    """
    from dagster import DagsterInstance

    from rag_core.database import HEAD, upgrade

    upgrade(settings)
    with DagsterInstance.get() as instance:
        instance.upgrade()
    log.info("migrated", revision=HEAD)


def bootstrap(settings: Settings) -> None:
    """Create what query servers and runs require: the first index generation.

    Raises what opening database, index and model raises.
    """
    from rag_core.ingestion.pipeline import Pipeline

    with Pipeline(settings) as pipeline:
        generation = pipeline.ensure_generation()
    log.info("bootstrapped", generation=generation)


def back_up(settings: Settings, folder: str, keep: str, key_file: str = "") -> None:
    """Write source files and erasure ledger to a new file in the folder, and remove the oldest beyond `keep`.

    Raises as `ragctl.backup.backup.make_backup`.
    """
    from ragctl.backup.backup import make_backup, read_key
    from ragctl.local_stack.data_dir import DataDir

    target = Path(folder) / f"rag-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.ragbackup"
    key = read_key(Path(key_file) if key_file else None)
    done = make_backup(
        settings, DataDir.of(settings), target, key=key, database=False, progress=lambda size, total: None
    )
    for old in sorted(Path(folder).glob("rag-*.ragbackup"))[: -int(keep)]:
        old.unlink()
    log.info("backed_up", files=done.files, encrypted=done.encrypted)


def try_run(settings: Settings, webserver: str, job: str, seconds: str) -> None:
    """Run a Dagster job, as its UI does, and wait until it succeeds.

    Raises `Unavailable` (`DAGSTER_UNAVAILABLE`) with the reason when it fails, or takes longer.
    """
    from ragctl.dagster import dagster_client
    from ragctl.local_stack.ingest import await_run

    with closing(dagster_client(settings.model_copy(update={"host": webserver}))) as api:
        run = api.launch_job(job)
        await_run(api, run, float(seconds))
    log.info("ran", job=job, run=run)


def end_runs(namespace: str, release: str) -> None:
    """Delete the Jobs of the runs of a release of the chart, with their pods. Raises what the Kubernetes API raises."""
    from kubernetes import client

    from ragctl.rollout.targets.cluster import connected

    batch = client.BatchV1Api(connected())
    jobs = batch.list_namespaced_job(namespace, label_selector=f"rag-platform/role=run,rag-platform/release={release}")
    for job in jobs.items:
        batch.delete_namespaced_job(job.metadata.name, namespace, propagation_policy="Background")
    log.info("runs_ended", runs=len(jobs.items))
