"""Removing a source: one way for the console's operation and for `rag source delete`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection

from rag_assets.source_admin.files import SourceFile, SourceFolder
from rag_core.content.sources import Source, SourceContents, removal_store
from rag_core.content.sources import store as sources
from rag_core.errors import InvalidInput, NotFound, Reason
from rag_core.ingestion.pipeline import Pipeline, Removal, remove_source


@dataclass(frozen=True, slots=True)
class RemovableSource:
    """A source that can be removed: its file, unless that is gone already, and what there is of it."""

    source: Source
    file: SourceFile | None
    found: SourceContents

    @property
    def text(self) -> str:
        """The text of the file, for the receipt."""
        return self.file.text if self.file else ""


def find_removable(pipeline: Pipeline, name: str, tenant: str, file: SourceFile | None) -> RemovableSource:
    """Return what removing the source would remove. Raises `NotFound` (`SOURCE_NOT_FOUND`) without a file and rows.

    A source without a file is one of pushed documents, or one whose removal was interrupted.
    """
    with pipeline.store.engine.connect() as connection:
        row = sources.find(connection, tenant, name)
        found = removal_store.count(connection, tenant, name)
    if file is None and row is None:
        raise NotFound(Reason.SOURCE_NOT_FOUND, f"there is no source {name!r}; see `rag source list`")
    return RemovableSource(Source(name, tenant, str(row.kind) if row is not None else ""), file, found)


def remove(
    pipeline: Pipeline,
    wanted: RemovableSource,
    run_id: str,
    *,
    actor: str,
    file_removed: Callable[[], None] = lambda: None,
    finished: Callable[[Connection, Removal], None] = lambda connection, removal: None,
) -> Removal:
    """Remove the file, then documents and rows. `file_removed` is called between: no run begins again from then on.

    Raises `InvalidInput` (`SOURCE_NOT_ALLOWED`) where the folder is read-only, and as `remove_source`.
    """
    files = SourceFolder(pipeline.settings.effective_sources_dir)
    # Without a file these are rows of this tenant alone: a file of the name is another tenant's source.
    if wanted.file is not None:
        if not files.writable:
            raise InvalidInput(
                Reason.SOURCE_NOT_ALLOWED,
                f"the folder of source files is read-only: remove {wanted.file.file} where it is kept, then delete the "
                "source",
            )
        files.delete(wanted.source.name)
    file_removed()
    return remove_source(pipeline, wanted.source, run_id, actor=actor, finished=finished)
