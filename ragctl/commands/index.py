"""`rag index`: the generations of the vector index."""

from __future__ import annotations

from cyclopts import App

from ragctl.output import Json, emit_json, table

app = App(name="index", help="Index generations.", help_format="plaintext")


@app.command
def generations(*, json: Json = False) -> None:
    """List every generation: what it was built with, its state, and how far it follows the documents.

    Example: rag index generations
    """
    from dataclasses import asdict

    from sqlalchemy import text

    from rag_core.settings import Settings
    from rag_core.store import generations as rows_of
    from rag_core.store import open_store

    store = open_store(Settings.load())
    try:
        with store.engine.connect() as connection:
            found = rows_of.all_of(connection)
            marked = {row.generation: row.documents for row in connection.execute(text(_MARKED))}
    finally:
        store.close()
    listed = [{**asdict(row), "documents": marked.get(row.name, 0)} for row in found]
    if json:
        emit_json(listed)
    else:
        columns = ("name", "state", "documents", "dimensions", "embedder", "chunker")
        table(columns, [[row[name] for name in columns] for row in listed], empty="no generation yet")


_MARKED = "SELECT generation, count(*) AS documents FROM rag.generation_documents GROUP BY generation"
