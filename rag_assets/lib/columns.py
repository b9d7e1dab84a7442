"""Column schemas of the stages, from the tables themselves, for the UI's list of columns."""

from __future__ import annotations

from dataclasses import fields
from functools import cache

import dagster as dg
from sqlalchemy.dialects import postgresql

from rag_core.database.tables import chunks, documents, embeddings
from rag_core.retrieval.index import Payload

_TABLES = {"documents": documents, "chunks": chunks, "embeddings": embeddings}
"""Stage: its table; the index has points instead."""

_DESCRIPTIONS = {
    "acl": "who may read it",
    "blocks": "typed blocks of the span: kind, offsets, level",
    "bytes": "size of the original",
    "chunk_id": "id of the span, stable when text before it changes",
    "created_at": "when the vector was made",
    "doc_id": "id of the document, from tenant, source and locator",
    "embed_text": "the text that is embedded: headings and span",
    "end": "offset after its last character",
    "flags": "what the quality rules found",
    "headings": "headings above it, outermost first",
    "language": "language of the text",
    "links": "targets of the links in it",
    "locator": "its place in the source: path, URL, key",
    "media_type": "type of the original",
    "metadata": "fields of the source file and of the document",
    "ordinal": "its place among the chunks of the document",
    "page": "page that it begins on, of what has pages",
    "shard": "partition of the source",
    "source": "name of the source",
    "start": "offset of its first character",
    "tenant": "owner of the source",
    "text": "extracted text",
    "text_hash": "hash of the embedded text",
    "title": "title of the document",
    "tokens": "length in tokens of the embedder",
    "updated_at": "when it was changed last",
    "version": "version of the document that it is of",
}
"""Descriptions of columns without a comment in their table."""


@cache
def column_schema(stage: str) -> dg.TableSchema:
    """The columns of a stage's table; for the index the payload of a point. All sources share it."""
    if stage == "index":
        return dg.TableSchema(
            [dg.TableColumn(field.name, str(field.type), _DESCRIPTIONS[field.name]) for field in fields(Payload)]
        )
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    return dg.TableSchema(
        [
            dg.TableColumn(
                column.name,
                column.type.compile(dialect).lower(),
                description=column.comment or _DESCRIPTIONS[column.name],
                constraints=dg.TableColumnConstraints(nullable=bool(column.nullable)),
            )
            for column in _TABLES[stage].columns
        ]
    )
