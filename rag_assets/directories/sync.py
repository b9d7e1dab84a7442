"""Bring the database up to date with the directories of this installation."""

from __future__ import annotations

from rag_assets.directories.files import directory_files, read_directory
from rag_core.database import Store
from rag_core.errors import NotFound, RagError, Reason
from rag_core.governance.directories import SyncResult, sync
from rag_core.settings import Settings


def sync_directories(
    store: Store, settings: Settings, *, only: str | None = None, approved: int | None = None
) -> dict[str, SyncResult | RagError]:
    """Bring every directory up to date, each in a transaction; one that fails does not stop the others.

    `only` names one, and `approved` is how many removals of a held reading of it are applied. Raises `NotFound`
    (`DIRECTORY_NOT_FOUND`) when there is no file of that name.
    """
    folder = settings.effective_directories_dir
    paths = [path for path in directory_files(folder) if only in {None, path.stem}]
    if only is not None and not paths:
        raise NotFound(Reason.DIRECTORY_NOT_FOUND, f"{folder} has no file {only}.yaml")
    done: dict[str, SyncResult | RagError] = {}
    for path in paths:
        try:
            one = read_directory(path, settings)
            with store.engine.begin() as connection:
                done[one.name] = sync(connection, one.tenant, one.name, one.kind, one.entries, approved=approved)
        except RagError as error:
            done[path.stem] = error
    return done
