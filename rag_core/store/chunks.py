"""Chunks in bulk: which documents need chunking, their text, and the rows that replace the old ones."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text

from rag_core.models import Block, BlockKind, Chunk, ParsedDocument
from rag_core.store.copying import copy_rows

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
)


@dataclass(frozen=True, slots=True)
class Unchunked:
    """A document whose chunks do not belong to its text. `chars` is the size of the text."""

    doc_id: uuid.UUID
    text_version: int
    chars: int


@dataclass(frozen=True, slots=True)
class Text:
    """A stored document as the chunker needs it."""

    doc_id: uuid.UUID
    text_version: int
    locator: str
    token: str
    document: ParsedDocument


@dataclass(frozen=True, slots=True)
class Chunked:
    """The chunks of one text version; none with `rejected` when it could not be chunked."""

    doc_id: uuid.UUID
    text_version: int
    chunks: Sequence[Chunk]
    rejected: bool = False


_PENDING = text("""
CREATE TEMP TABLE unchunked AS
SELECT d.doc_id, d.text_version FROM rag.documents d
LEFT JOIN rag.chunkings k ON k.doc_id = d.doc_id AND k.chunker = :chunker
WHERE d.tenant = :tenant AND d.source = :source AND d.shard = :shard AND d.deleted_at IS NULL
  AND k.text_version IS DISTINCT FROM d.text_version
""")
_PENDING_KNOWN = text(f"{_PENDING.text} AND k.doc_id IS NOT NULL")
_PAGE = text("""
SELECT u.doc_id, u.text_version, octet_length(d.text) AS chars FROM unchunked u JOIN rag.documents d USING (doc_id)
WHERE u.doc_id > :after ORDER BY u.doc_id LIMIT :page
""")


def find_pending(
    connection: Connection, tenant: str, source: str, shard: int, chunker: str, *, known: bool = False
) -> int:
    """Queue the live documents of a shard whose chunks are missing or of another text; returns how many.

    `known` leaves out documents this chunker has never seen: they are the work of a build.
    """
    connection.execute(text("DROP TABLE IF EXISTS unchunked"))
    params = {"tenant": tenant, "source": source, "shard": shard, "chunker": chunker}
    found = connection.execute(_PENDING_KNOWN if known else _PENDING, params).rowcount
    if found:
        connection.execute(text("CREATE UNIQUE INDEX ON unchunked (doc_id)"))
    connection.commit()
    return found


def pending(connection: Connection, page: int) -> Iterator[Unchunked]:
    """The queued documents in pages; no transaction is open between them."""
    after = uuid.UUID(int=0)
    while True:
        rows = [Unchunked(*row) for row in connection.execute(_PAGE, {"after": after, "page": page})]
        connection.commit()
        if not rows:
            return
        yield from rows
        after = rows[-1].doc_id


_AMONG = text("""
SELECT d.doc_id, d.text_version, octet_length(d.text) AS chars FROM rag.documents d
LEFT JOIN rag.chunkings k ON k.doc_id = d.doc_id AND k.chunker = :chunker
WHERE d.doc_id = ANY(:ids) AND d.deleted_at IS NULL AND k.text_version IS DISTINCT FROM d.text_version
ORDER BY d.doc_id
""")


def pending_among(connection: Connection, doc_ids: Sequence[uuid.UUID], chunker: str) -> list[Unchunked]:
    """Those of a few documents whose chunks are missing or of another text."""
    return [Unchunked(*row) for row in connection.execute(_AMONG, {"ids": list(doc_ids), "chunker": chunker})]


_TEXTS = text("""
SELECT doc_id, text_version, locator, token, text, media_type, title, language, blocks, metadata, flags
FROM rag.documents WHERE doc_id = ANY(:ids) AND deleted_at IS NULL ORDER BY doc_id
""")


def texts(connection: Connection, doc_ids: Sequence[uuid.UUID]) -> list[Text]:
    """Load documents to be chunked; those deleted meanwhile are left out."""
    return [
        Text(
            row.doc_id,
            row.text_version,
            row.locator,
            row.token,
            ParsedDocument(
                text=row.text,
                media_type=row.media_type,
                title=row.title,
                language=row.language,
                blocks=tuple(Block(BlockKind(kind), start, end, level) for kind, start, end, level in row.blocks),
                metadata=row.metadata,
                flags=frozenset(row.flags),
            ),
        )
        for row in connection.execute(_TEXTS, {"ids": list(doc_ids)})
    ]


_DELETE = text("DELETE FROM rag.chunks WHERE doc_id = ANY(:ids) AND chunker = :chunker")
_CHUNKINGS = text("""
INSERT INTO rag.chunkings (doc_id, chunker, text_version, chunk_count, rejected)
SELECT n.doc_id, :chunker, n.text_version, n.chunk_count, n.rejected
FROM unnest(CAST(:ids AS uuid[]), CAST(:versions AS bigint[]), CAST(:counts AS int[]), CAST(:rejected AS boolean[]))
     AS n (doc_id, text_version, chunk_count, rejected)
ON CONFLICT (doc_id, chunker) DO UPDATE
SET text_version = excluded.text_version, chunk_count = excluded.chunk_count, rejected = excluded.rejected
""")


def replace(connection: Connection, chunker: str, results: Sequence[Chunked]) -> None:
    """Store the chunks of documents in place of what this chunker made of them before, in the current transaction.

    When a document moves on meanwhile its `text_version` differs from the one recorded here, and it is due again.
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


def _rows(chunker: str, results: Iterable[Chunked]) -> Iterator[tuple[object, ...]]:
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
            )
