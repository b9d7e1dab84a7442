"""The files of a tenant: those of its sources, and those with its questions; its runs, and erasures that were
interrupted."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from rag_assets.config import read_sources
from rag_core.answering.evaluation import question_files
from rag_core.database import Store
from rag_core.errors import RagError
from rag_core.governance.tenants import place_store
from rag_core.governance.tenants import store as tenants
from rag_core.ingestion.erasure import erase_tenant, sweep_erased
from rag_core.ingestion.pipeline import Pipeline
from rag_core.logging import get_logger
from rag_core.settings import Settings

log = get_logger(__name__)


def tenant_files(settings: Settings, tenant: str) -> Iterator[tuple[str, bytes]]:
    """Path in an export and content of every file of a tenant. Secrets are references in them."""
    for path in source_paths(settings, tenant):
        yield f"sources/files/{path.name}", path.read_bytes()
    for path in question_files(settings.effective_questions_dir, tenant):
        yield f"feedback/questions/{path.name}", path.read_bytes()


def source_paths(settings: Settings, tenant: str) -> list[Path]:
    """The source files of a tenant, wrong ones that name it too."""
    folder = settings.effective_sources_dir
    found = read_sources(folder, defs=None)
    places = {found.seen[config.key] for config in found.sources if config.tenant == tenant}
    places |= {problem.place for problem in found.problems if problem.tenant == tenant}
    paths = [folder / place.removeprefix("sources/") for place in sorted(places)]
    return [path for path in paths if path.is_file()]


def outside(store: Store, settings: Settings) -> Callable[[str], Mapping[str, int]]:
    """Return what removes a tenant's files and runs (`rag_core.ingestion.erasure.tenant.Outside`).

    Files in a folder that is read-only are counted, and are removed where they are kept; nothing runs for them.
    """

    def remove(tenant: str) -> dict[str, int]:
        with store.engine.connect() as connection:
            names = place_store.own_sources(connection, tenant)
        removed = {
            **_unlink("source_files", source_paths(settings, tenant)),
            **_unlink("question_files", question_files(settings.effective_questions_dir, tenant)),
            "runs": forget_runs(settings, names),
        }
        with suppress(OSError):
            (settings.effective_questions_dir / tenant).rmdir()
        return removed

    return remove


def _unlink(what: str, paths: list[Path]) -> dict[str, int]:
    gone = 0
    for path in paths:
        if os.access(path.parent, os.W_OK | os.X_OK):
            path.unlink(missing_ok=True)
            gone += 1
    if gone < len(paths):
        log.warning("tenant_files_read_only", kind=what, files=len(paths) - gone)
        return {what: gone, f"{what}_read_only": len(paths) - gone}
    return {what: gone}


_STAGES = ("source", "documents", "chunks", "embeddings", "index")


def forget_runs(settings: Settings, sources: Sequence[str]) -> int:
    """Delete the runs and assets of sources from Dagster's storage; returns how many runs.

    Without a Dagster instance in reach there is nothing to do: events are deleted after `RAG_EVENT_RETENTION_DAYS`.
    """
    home = Path(os.environ.get("DAGSTER_HOME") or settings.dagster_home)
    if not sources or not (home / "dagster.yaml").is_file():
        return 0
    import dagster as dg

    from rag_assets.version_tags import SYNC_TAG

    deleted = 0
    try:
        with dg.DagsterInstance.from_config(str(home)) as instance:
            for key in (name.replace("-", "_") for name in sources):
                found = {
                    run.run_id
                    for filters in (dg.RunsFilter(job_name=f"{key}_sync"), dg.RunsFilter(tags={SYNC_TAG: key}))
                    for run in instance.get_runs(filters)
                }
                for run_id in found:
                    instance.delete_run(run_id)
                deleted += len(found)
                instance.wipe_assets([dg.AssetKey([key, stage]) for stage in _STAGES])
    except Exception as error:  # Dagster raises what its storage raises; the events end with their retention
        log.warning("runs_not_forgotten", problem=type(error).__name__)
    return deleted


def continue_erasures(pipeline: Pipeline) -> int:
    """Erase what waits for it; returns how many tenants. One that cannot be erased now waits for the next call."""
    with pipeline.store.engine.connect() as connection:
        waiting = tenants.erasing(connection)
    done = 0
    for name in waiting:
        try:
            erase_tenant(pipeline, name, outside=outside(pipeline.store, pipeline.settings))
            done += 1
        except RagError as error:
            log.warning("erasure_postponed", reason=error.reason, problem=error.message)
    sweep_erased(pipeline.store)
    return done
