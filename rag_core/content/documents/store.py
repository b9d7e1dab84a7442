"""Write documents in bulk: new versions, and metadata updates when content is unchanged."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

from psycopg.errors import UniqueViolation
from psycopg.types.json import Jsonb
from sqlalchemy import ColumnElement, Connection, Integer, MetaData, Row, case, cast, func, or_, select, text, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError

from rag_core.content.parsing import PROSE, Block, BlockKind, ParsedDocument, links_to_rows, to_rows
from rag_core.database import FEW_ROWS, copy_rows
from rag_core.database.tables.content import documents
from rag_core.ids import text_hash

_TEXT = ("text_hash", "title", "blocks", "structure", "language", "media_type")
_OTHER = ("metadata", "flags", "acl", "links")
_LOADED = (
    ("doc_id", "uuid"),
    ("tenant", "text"),
    ("source", "text"),
    ("shard", "int2"),
    ("locator", "text"),
    ("version", "int8"),
    ("text_version", "int8"),
    ("source_version", "int8"),
    ("token", "text"),
    ("parsed_as", "text"),
    ("content_hash", "bytea"),
    ("text_hash", "bytea"),
    ("bytes", "int8"),
    ("media_type", "text"),
    ("title", "text"),
    ("language", "text"),
    ("text", "text"),
    ("blocks", "jsonb"),
    ("structure", "jsonb"),
    ("links", "jsonb"),
    ("metadata", "jsonb"),
    ("flags", "text[]"),
    ("acl", "text[]"),
    ("acl_inherited", "bool"),
    ("run_id", "text"),
    ("updated_at", "timestamptz"),
)
_incoming = documents.to_metadata(MetaData(), schema=None, name="incoming_documents")  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class NewDocument:
    """A parsed document to store.

    `base_version` is the version it was compared with (0: none); when the row has changed since, the write is ignored.
    For event sources `source_version` is set instead: the higher version wins in any order of arrival.
    """

    doc_id: uuid.UUID
    locator: str
    token: str
    parser_fingerprint: str
    content_hash: bytes
    bytes: int
    document: ParsedDocument
    acl: Sequence[str] | None
    acl_inherited: bool
    modified_at: datetime | None
    base_version: int = 0
    source_version: int | None = None


_RACES = 3
"""Upserts that are tried again after another transaction created one of their documents."""


@dataclass(frozen=True, slots=True)
class MetadataUpdate:
    """A document whose stored text is current: only its version tag, its raw bytes or its ACL are new."""

    doc_id: uuid.UUID
    locator: str
    base_version: int
    token: str
    parser_fingerprint: str
    content_hash: bytes
    acl: Sequence[str] | None
    acl_inherited: bool
    event: bool = False
    """For event sources: `source_version` is the event's, or `None` to keep the stored one."""
    source_version: int | None = None


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """The stored state of a document. `erased` is the version up to which it was erased (0: never)."""

    doc_id: uuid.UUID
    version: int
    source_version: int
    live: bool
    token: str
    parser_fingerprint: str
    content_hash: bytes
    acl: list[str] | None
    acl_inherited: bool
    erased: int

    @property
    def newest(self) -> int:
        """The version that a change must exceed to be applied."""
        return max(self.source_version, self.erased)


@dataclass(frozen=True, slots=True)
class WriteResult:
    """The result of a batch: rows with a new version, rows with unchanged content, rows ignored as stale."""

    changed: int = 0
    same: int = 0
    stale: int = 0


def write(
    connection: Connection, tenant: str, source: str, shard: int, run_id: str, rows: Sequence[NewDocument]
) -> WriteResult:
    """Insert or update documents in the current transaction. Only a visible change increments the version."""
    if not rows:
        return WriteResult()
    by_source = rows[0].source_version is not None
    ordered = (_values(row, tenant, source, shard, run_id) for row in sorted(rows, key=lambda row: row.doc_id))
    if len(rows) <= FEW_ROWS:
        upsert, names = _upsert(given=True, by_source=by_source), [name for name, _ in _LOADED]
        given = [dict(zip(names, values, strict=True)) for values in ordered]
        returned = upserted(connection, lambda: [row for values in given for row in connection.execute(upsert, values)])
    else:
        connection.execute(
            text(
                "CREATE TEMP TABLE IF NOT EXISTS incoming_documents"
                " (LIKE rag.documents INCLUDING DEFAULTS) ON COMMIT DELETE ROWS"
            )
        )
        copy_rows(connection, "incoming_documents", _LOADED, ordered)
        returned = upserted(connection, lambda: connection.execute(_upsert(given=False, by_source=by_source)).all())
    changed = sum(row.run_id == run_id for row in returned)
    return WriteResult(changed, len(returned) - changed, len(rows) - len(returned))


def upserted(connection: Connection, write_rows: Callable[[], Sequence[Row[Any]]]) -> Sequence[Row[Any]]:
    """Upsert rows by `doc_id`, again when another transaction created one of them at the same moment.

    PostgreSQL resolves a conflict with the index that `ON CONFLICT` names. Where both transactions had looked before
    either wrote, the index of the documents' names, which says the same, raises an error instead.
    """
    for _ in range(_RACES):
        try:
            with connection.begin_nested():
                return write_rows()
        except IntegrityError as error:
            if not isinstance(error.orig, UniqueViolation):
                raise
    return write_rows()


def update_metadata(connection: Connection, run_id: str, rows: Sequence[MetadataUpdate]) -> WriteResult:
    """Update version tags and ACLs; a changed ACL is a new version. Rows that changed since are left unchanged."""
    if not rows:
        return WriteResult()
    ordered = sorted(rows, key=lambda row: row.doc_id)
    connection.execute(
        text(
            "CREATE TEMP TABLE IF NOT EXISTS incoming_metadata (doc_id uuid, base bigint, token text, parsed_as text,"
            " content_hash bytea, acl text[], acl_inherited boolean, event boolean, source_version bigint)"
            " ON COMMIT DELETE ROWS"
        )
    )
    columns = [
        ("doc_id", "uuid"),
        ("base", "int8"),
        ("token", "text"),
        ("parsed_as", "text"),
        ("content_hash", "bytea"),
        ("acl", "text[]"),
        ("acl_inherited", "bool"),
        ("event", "bool"),
        ("source_version", "int8"),
    ]
    copy_rows(connection, "incoming_metadata", columns, (_metadata_values(row) for row in ordered))
    returned = connection.execute(_UPDATE_METADATA, {"run_id": run_id}).all()
    changed = sum(row.run_id == run_id for row in returned)
    return WriteResult(changed, len(returned) - changed, len(rows) - len(returned))


def load_stored(connection: Connection, doc_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, StoredDocument]:
    """Load the stored state of documents, including tombstones and erasures; unknown ones are absent."""
    rows = connection.execute(_HELD, {"ids": list(doc_ids)})
    return {row[0]: StoredDocument(*row) for row in rows}


def live(connection: Connection, tenant: str, source: str, shard: int | None = None) -> int:
    """Count documents that are not tombstones, in a shard or in the whole source."""
    statement = select(func.count()).where(
        documents.c.tenant == tenant, documents.c.source == source, documents.c.deleted_at.is_(None)
    )
    if shard is not None:
        statement = statement.where(documents.c.shard == shard)
    return connection.scalar(statement) or 0


_COPIES = text("""
SELECT count(*) FROM rag.documents d
WHERE d.tenant = :tenant AND d.source = :source AND d.shard = :shard AND d.run_id = :run_id AND d.deleted_at IS NULL
  AND EXISTS (SELECT FROM rag.documents o WHERE o.tenant = d.tenant AND o.source = d.source
              AND o.text_hash = d.text_hash AND o.doc_id <> d.doc_id AND o.deleted_at IS NULL)
""")


def count_copies(connection: Connection, tenant: str, source: str, shard: int, run_id: str) -> int:
    """Count documents that a run has written and whose text another document of the source has too."""
    params = {"tenant": tenant, "source": source, "shard": shard, "run_id": run_id}
    return connection.scalar(_COPIES, params) or 0


def _values(row: NewDocument, tenant: str, source: str, shard: int, run_id: str) -> tuple[Any, ...]:
    parsed = row.document
    version = row.base_version + 1
    return (
        row.doc_id,
        tenant,
        source,
        shard,
        row.locator,
        version,
        version,
        version if row.source_version is None else row.source_version,
        row.token,
        row.parser_fingerprint,
        row.content_hash,
        text_hash(parsed.text),
        row.bytes,
        parsed.media_type,
        parsed.title,
        parsed.language,
        parsed.text,
        Jsonb([_plain_block(block) for block in parsed.blocks]),
        Jsonb(to_rows(parsed.blocks)),
        Jsonb(links_to_rows(parsed.links)) if parsed.links else None,
        Jsonb(dict(parsed.metadata)),
        sorted(parsed.flags),
        None if row.acl is None else list(row.acl),
        row.acl_inherited,
        run_id,
        _updated_at(row.modified_at),
    )


def _plain_block(block: Block) -> list[Any]:
    """A block as the previous release reads it: without the kinds and fields that came later."""
    prose = (*PROSE, BlockKind.IMAGE, BlockKind.FRONT_MATTER)
    later = {BlockKind.DEFINITIONS: BlockKind.LIST, **dict.fromkeys(prose, BlockKind.PARAGRAPH)}
    return [later.get(block.kind, block.kind).value, block.start, block.end, block.level]


def _metadata_values(row: MetadataUpdate) -> tuple[Any, ...]:
    acl = None if row.acl is None else list(row.acl)
    known = (row.doc_id, row.base_version, row.token, row.parser_fingerprint, row.content_hash, acl, row.acl_inherited)
    return (*known, row.event, row.source_version)


@cache
def _upsert(*, given: bool, by_source: bool) -> Any:
    """The statement for one row that is given as parameters, or for those that were copied."""
    if given:
        new_rows = select(*(text(f"CAST(:{name} AS {kind})") for name, kind in _LOADED))
    else:
        new_rows = select(*(_incoming.c[name] for name, _ in _LOADED)).order_by(_incoming.c.doc_id)
    statement = insert(documents).from_select([name for name, _ in _LOADED], new_rows)
    new, old = statement.excluded, documents.c
    revived = old.deleted_at.is_not(None)
    text_changed = or_(revived, _differ(old, new, _TEXT))
    changed = or_(text_changed, _differ(old, new, _OTHER))
    version = old.version + cast(changed, Integer)
    kept = ("token", "parsed_as", "content_hash", "bytes", "shard", "text", "acl", "acl_inherited", *_TEXT, *_OTHER)
    return statement.on_conflict_do_update(
        index_elements=["doc_id"],
        set_={name: new[name] for name in kept}
        | {
            "version": version,
            "text_version": case((text_changed, old.version + 1), else_=old.text_version),
            "source_version": new.source_version if by_source else version,
            "run_id": case((changed, new.run_id), else_=old.run_id),
            "updated_at": case((changed, new.updated_at), else_=old.updated_at),
            "deleted_at": None,
        },
        where=new.source_version > old.source_version if by_source else new.version == old.version + 1,
    ).returning(documents.c.doc_id, documents.c.run_id)


def _updated_at(modified_at: datetime | None) -> datetime:
    """The time of change from the source, else now; never in the future, even if the source's clock is ahead."""
    now = datetime.now(UTC)
    if modified_at is None:
        return now
    return min(modified_at if modified_at.tzinfo else modified_at.replace(tzinfo=UTC), now)


def _differ(old: Any, new: Any, names: Iterable[str]) -> ColumnElement[bool]:
    left, right = tuple_(*(old[name] for name in names)), tuple_(*(new[name] for name in names))
    return left.is_distinct_from(right)


_UPDATE_METADATA = text("""
UPDATE rag.documents d
SET token = t.token, parsed_as = t.parsed_as, content_hash = t.content_hash, acl = t.acl,
    acl_inherited = t.acl_inherited,
    version = d.version + (d.acl IS DISTINCT FROM t.acl)::int,
    source_version = CASE WHEN t.event THEN coalesce(t.source_version, d.source_version)
                          ELSE d.version + (d.acl IS DISTINCT FROM t.acl)::int END,
    run_id = CASE WHEN d.acl IS DISTINCT FROM t.acl THEN :run_id ELSE d.run_id END
FROM incoming_metadata t
WHERE d.doc_id = t.doc_id AND d.version = t.base AND d.deleted_at IS NULL
  AND (t.source_version IS NULL OR t.source_version > d.source_version)
RETURNING d.doc_id, d.run_id
""")
_HELD = text("""
SELECT coalesce(d.doc_id, e.doc_id), coalesce(d.version, 0), coalesce(d.source_version, 0),
       coalesce(d.doc_id IS NOT NULL AND d.deleted_at IS NULL, false), coalesce(d.token, ''),
       coalesce(d.parsed_as, ''), coalesce(d.content_hash, ''), d.acl, coalesce(d.acl_inherited, false),
       coalesce(e.source_version, 0)
FROM (SELECT * FROM rag.documents WHERE doc_id = ANY(:ids)) d
FULL JOIN (SELECT * FROM rag.erasures WHERE doc_id = ANY(:ids)) e ON e.doc_id = d.doc_id
""")
