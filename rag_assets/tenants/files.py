"""The files of a tenant: those of its sources, and those with its questions."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from rag_assets.config import read_sources
from rag_assets.tenants.runs import forget_runs
from rag_core.answering.evaluation import question_files
from rag_core.database import Store
from rag_core.governance.tenants import place_store
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
