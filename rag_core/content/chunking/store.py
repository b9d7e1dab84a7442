"""Chunks in bulk: the texts to chunk, and the rows that replace the old ones."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg.types.json import Jsonb
from sqlalchemy import Connection, text

from rag_core.content.chunking.spans import Chunk
from rag_core.content.parsing import Block, BlockKind, ParsedDocument, from_rows, to_rows
from rag_core.database import copy_rows

_COLUMNS = (
    ("doc_id", "uuid"),
    ("chunker", "text"),
    ("ordinal", "int4"),
    ("chunk_id", "uuid"),
    ("start", "int4"),
    ("end", "int4"),
    ("headings", "text[]"),
    ("embed_text", "text"),
    ("text_hash", "bytea"),
    ("tokens", "int4"),
    ("blocks", "jsonb"),
)


@dataclass(frozen=True, slots=True)
class StoredText:
    """A stored document as the chunker needs it."""

    doc_id: uuid.UUID
    text_version: int
    locator: str
    token: str
    document: ParsedDocument


@dataclass(frozen=True, slots=True)
class ChunkingResult:
    """The chunks of one text version; none with `rejected` when it could not be chunked."""

    doc_id: uuid.UUID
    text_version: int
    chunks: Sequence[Chunk]
    rejected: bool = False


_TEXTS = text("""
SELECT doc_id, text_version, locator, token, text, media_type, title, language, blocks, structure, metadata, flags
FROM rag.documents WHERE doc_id = ANY(:ids) AND deleted_at IS NULL ORDER BY doc_id
""")


_FORGET_TEXT_VERSIONS = text("UPDATE rag.chunkings SET text_version = 0 WHERE doc_id = ANY(:ids)")


def forget_text_versions(connection: Connection, doc_ids: Sequence[uuid.UUID]) -> None:
    """Make documents pending for every chunker. They keep their chunks until new ones replace them."""
    connection.execute(_FORGET_TEXT_VERSIONS, {"ids": list(doc_ids)})


def texts(connection: Connection, doc_ids: Sequence[uuid.UUID]) -> list[StoredText]:
    """Load documents to be chunked; those deleted meanwhile are left out."""
    return [
        StoredText(
            row.doc_id,
            row.text_version,
            row.locator,
            row.token,
            ParsedDocument(
                text=row.text,
                media_type=row.media_type,
                title=row.title,
                language=row.language,
                blocks=_blocks(row.blocks, row.structure),
                metadata=row.metadata,
                flags=frozenset(row.flags),
            ),
        )
        for row in connection.execute(_TEXTS, {"ids": list(doc_ids)})
    ]


def _blocks(plain: Sequence[Any], structure: Sequence[Any] | None) -> tuple[Block, ...]:
    """The structure, unless a process of the previous release has written the text since and left it as it was."""
    if structure is not None and [row[1:3] for row in structure] == [row[1:3] for row in plain]:
        return from_rows(structure)
    return tuple(Block(BlockKind(kind), start, end, level) for kind, start, end, level in plain)


_DELETE = text("DELETE FROM rag.chunks WHERE doc_id = ANY(:ids) AND chunker = :chunker")
_CHUNKINGS = text("""
INSERT INTO rag.chunkings (doc_id, chunker, text_version, chunk_count, rejected)
SELECT n.doc_id, :chunker, n.text_version, n.chunk_count, n.rejected
FROM unnest(CAST(:ids AS uuid[]), CAST(:versions AS bigint[]), CAST(:counts AS int[]), CAST(:rejected AS boolean[]))
     AS n (doc_id, text_version, chunk_count, rejected)
ON CONFLICT (doc_id, chunker) DO UPDATE
SET text_version = excluded.text_version, chunk_count = excluded.chunk_count, rejected = excluded.rejected
""")


def replace(connection: Connection, chunker: str, results: Sequence[ChunkingResult]) -> None:
    """Store the chunks of documents in place of what this chunker made of them before, in the current transaction.

    When a document moves on meanwhile its `text_version` differs from the one recorded here, and it is pending again.
    """
    ids = [result.doc_id for result in results]
    connection.execute(_DELETE, {"ids": ids, "chunker": chunker})
    copy_rows(connection, "rag.chunks", _COLUMNS, _rows(chunker, results))
    connection.execute(
        _CHUNKINGS,
        {
            "chunker": chunker,
            "ids": ids,
            "versions": [result.text_version for result in results],
            "counts": [len(result.chunks) for result in results],
            "rejected": [result.rejected for result in results],
        },
    )


def _rows(chunker: str, results: Iterable[ChunkingResult]) -> Iterator[tuple[object, ...]]:
    for result in results:
        for chunk in result.chunks:
            yield (
                result.doc_id,
                chunker,
                chunk.ordinal,
                chunk.chunk_id,
                chunk.start,
                chunk.end,
                list(chunk.headings),
                chunk.embed_text,
                chunk.text_hash,
                chunk.tokens,
                Jsonb(to_rows(chunk.blocks, chunk.start, chunk.headings)),
            )
