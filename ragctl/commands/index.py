"""`rag index`: the generations of the vector index."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cyclopts import App

from ragctl.output import Json, emit_json, progress_bar, say

if TYPE_CHECKING:
    from types import ModuleType

    from rag_core.index.base import VectorIndex
    from rag_core.settings import Settings
    from rag_core.store import Store

app = App(name="index", help="Index generations.", help_format="plaintext")


@app.command
def rebuild(generation: str | None = None, /, *, json: Json = False) -> None:
    """Empty a generation, damaged or not, and fill it again from PostgreSQL. Nothing is parsed or embedded again.

    With the embedded index, stop the stack first (`rag down`): the part `index` owns the folder while it runs.

    Example: rag index rebuild

    Parameters
    ----------
    generation
        The generation; without it the active one.
    """
    from rag_core.settings import Settings
    from rag_core.store import generations as rows_of
    from rag_core.store import open_store
    from rag_core.store.embedded import running_database
    from rag_core.verify import rebuild as run

    settings = Settings.load()
    with running_database(settings):
        store = open_store(settings)
        index = _open_for_repair(settings)
        try:
            name = generation or _active(rows_of, store)
            with progress_bar(f"rebuilding {name}") as progress:
                applied = run(store, index, name, progress=progress)
        finally:
            index.close()
            store.close()
    if json:
        emit_json({"generation": name, "documents": applied})
    else:
        say(f"{name}: {applied} documents applied again")


def _open_for_repair(settings: Settings) -> VectorIndex:
    """The index, damaged or not: the folder itself rather than the server that may refuse to start over it."""
    from rag_core.index import open_index
    from rag_core.index.edge import EdgeIndex

    return open_index(settings) if settings.qdrant_url else EdgeIndex(settings.index_dir, repair=True)


def _active(rows_of: ModuleType, store: Store) -> str:
    from rag_core.errors import NotFound, Reason

    with store.engine.connect() as connection:
        row = rows_of.active(connection)
    if row is None:
        raise NotFound(Reason.GENERATION_NOT_FOUND, "no generation is active; ingest a source first")
    return str(row.name)
