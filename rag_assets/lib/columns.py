"""Column schemas of the stages, from the tables themselves, for the UI's list of columns."""

from __future__ import annotations

from dataclasses import fields

import dagster as dg
from sqlalchemy.dialects import postgresql

from rag_core.database.tables import chunks, documents, embeddings
from rag_core.retrieval.index import Payload

_TABLES = {"documents": documents, "chunks": chunks, "embeddings": embeddings}
"""Stage: its table; the index has points instead."""


def column_schema(stage: str) -> dg.TableSchema:
    """The columns of a stage's table; for the index the payload of a point."""
    if stage == "index":
        return dg.TableSchema([dg.TableColumn(field.name, str(field.type)) for field in fields(Payload)])
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    return dg.TableSchema(
        [
            dg.TableColumn(
                column.name,
                column.type.compile(dialect).lower(),
                description=column.comment,
                constraints=dg.TableColumnConstraints(nullable=bool(column.nullable)),
            )
            for column in _TABLES[stage].columns
        ]
    )
