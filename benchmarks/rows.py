"""What the rows of very many documents cost PostgreSQL alone: space, lists, the status of sources, and VACUUM."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Final

from sqlalchemy import Connection, Engine, text

from benchmarks.ingest.workbench import open_workbench
from benchmarks.report import Progress, Report, Table, Target
from benchmarks.timing import median, seconds
from rag_core.content.documents import DocumentQuery, list_store
from rag_core.database import open_store
from rag_core.ingestion import source_status
from rag_core.ingestion.generations import status_store
from rag_core.settings import Settings

TENANTS: Final = 20
SOURCES: Final = 5
"""Of each tenant."""
CHANGED: Final = 100
"""One document in so many is written again before VACUUM."""
_SLICE: Final = 100_000
_CALLS: Final = 3
_TENANT: Final = "tenant-00"
_SOURCE: Final = "source-0"
_GENERATION = text("""
INSERT INTO rag.generations (name, state, embedder, dimensions, chunker) VALUES ('rows', 'active', 'rows', 384, 'rows')
""")
_SOURCES = text("""
INSERT INTO rag.sources (tenant, name, kind)
SELECT 'tenant-' || lpad(t::text, 2, '0'), 'source-' || s, 'folder'
FROM generate_series(0, :tenants - 1) t, generate_series(0, :sources - 1) s
""")
# Ids and hashes are spread as real ones are, so that rows go to any page of their indexes.
_DOCUMENTS = """
INSERT INTO rag.documents (doc_id, tenant, source, locator, version, text_version, source_version, token, parsed_as,
                           content_hash, text_hash, bytes, media_type, title, text, acl, run_id, updated_at)
SELECT md5(n::text)::uuid, 'tenant-' || lpad((n % :tenants)::text, 2, '0'), 'source-' || n / :tenants % :sources,
       'folder-' || n / 1000 || '/document-' || n || '.md', 1, 1, 1, n::text, 'rows', sha256(n::text::bytea),
       sha256(n::text::bytea), 1000, 'text/markdown', 'Document ' || n, '', ARRAY['everyone'], 'rows',
       now() - n * interval '1 second'
FROM generate_series(CAST(:first AS bigint), :last) n
"""
_CHUNKINGS = """
INSERT INTO rag.chunkings (doc_id, chunker, text_version, chunk_count)
SELECT md5(n::text)::uuid, 'rows', 1, 1 FROM generate_series(CAST(:first AS bigint), :last) n
"""
_CHUNKS = """
INSERT INTO rag.chunks (doc_id, chunker, ordinal, chunk_id, start, "end", embed_text, text_hash, tokens)
SELECT md5(n::text)::uuid, 'rows', 0, md5('chunk ' || n)::uuid, 0, 1, '', sha256(n::text::bytea), 100
FROM generate_series(CAST(:first AS bigint), :last) n
"""
_INDEXED = """
INSERT INTO rag.generation_documents (generation, doc_id, indexed_version)
SELECT 'rows', md5(n::text)::uuid, 1 FROM generate_series(CAST(:first AS bigint), :last) n
"""
_FILL = tuple(map(text, (_DOCUMENTS, _CHUNKINGS, _CHUNKS, _INDEXED)))
_CHANGE = text("UPDATE rag.documents SET version = version + 1 WHERE token::bigint % :changed = 0")
_SETTLE = text("""
UPDATE rag.generation_documents g SET indexed_version = d.version
FROM rag.documents d WHERE d.doc_id = g.doc_id AND d.version > g.indexed_version
""")
_TABLES: Final = ("documents", "chunkings", "chunks", "generation_documents")
_SIZES = text("""
SELECT c.relname, pg_table_size(c.oid) / :rows, pg_indexes_size(c.oid) / :rows
FROM pg_class c WHERE c.relnamespace = 'rag'::regnamespace AND c.relname = ANY(:names) ORDER BY c.relname
""")
_CALLS_OF: Final[dict[str, Callable[[Connection], object]]] = {
    "a page of 50, newest": lambda known: list_store.page(known, _TENANT, DocumentQuery(), limit=50),
    "a page of one source": lambda known: list_store.page(
        known, _TENANT, DocumentQuery(source=_SOURCE, exclude_deleted=True), limit=50
    ),
    "a page by a part of a name": lambda known: list_store.page(
        known, _TENANT, DocumentQuery(text="document-000123"), limit=50
    ),
    "count of a tenant (ends at 100,000)": lambda known: list_store.count(known, _TENANT, DocumentQuery()),
    "status of a tenant's sources": lambda known: source_status.read(known, _TENANT),
    "status of all sources": lambda known: list(source_status.read_all(known)),
    "oldest change that waits": status_store.oldest_pending,
}
"""Calls that operators and gauges make."""


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of one size. Seconds; of calls milliseconds; bytes a document by table and by its indexes."""

    documents: int
    fill: float
    calls: dict[str, float]
    change: float
    vacuum: float
    sizes: dict[str, tuple[int, int]]


def run(settings: Settings, sizes: Sequence[int], progress: Progress) -> Report:
    """Write rows of documents without text or vectors, and ask for what operators ask for."""
    found: list[Figures] = []
    whole = sum(sizes)
    with open_workbench(settings) as workbench:
        for number, documents in enumerate(sizes):
            before = sum(sizes[:number])
            with closing(open_store(workbench.installation("fake"))) as store:
                found.append(_measure(store.engine, documents, partial(_on, progress, before, whole)))
    notes = (
        f"one chunk a document, {TENANTS} tenants of {SOURCES} sources; no texts, no vectors",
        "PostgreSQL durable, with the settings of `rag up`",
        f"calls: median of {_CALLS} after the first, of one tenant in {TENANTS} where none is named",
        f"changed: every {CHANGED}th document has another version, which is then marked as indexed",
    )
    return Report("bench rows", (_work(found), _called(found), _space(found)), tuple(_growth(found)), notes)


def _on(progress: Progress, before: int, whole: int, done: int) -> None:
    progress(before + done, whole)


def _measure(engine: Engine, documents: int, progress: Callable[[int], None]) -> Figures:
    with engine.begin() as connection:
        connection.execute(_GENERATION)
        connection.execute(_SOURCES, {"tenants": TENANTS, "sources": SOURCES})
    fill, _ = seconds(lambda: _fill(engine, documents, progress))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))
        calls = {name: _timed(connection, call) for name, call in _CALLS_OF.items()}
        change, _ = seconds(lambda: _change(connection))
        vacuum, _ = seconds(lambda: connection.execute(text("VACUUM rag.documents, rag.generation_documents")))
        rows = connection.execute(_SIZES, {"rows": documents, "names": list(_TABLES)})
        sizes = {name: (int(table), int(indexes)) for name, table, indexes in rows}
    return Figures(documents, fill, calls, change, vacuum, sizes)


def _fill(engine: Engine, documents: int, progress: Callable[[int], None]) -> None:
    for first in range(0, documents, _SLICE):
        values = {"first": first, "last": min(first + _SLICE, documents) - 1, "tenants": TENANTS, "sources": SOURCES}
        with engine.begin() as connection:
            for statement in _FILL:
                wanted = statement.compile().params.keys()
                connection.execute(statement, {name: value for name, value in values.items() if name in wanted})
        progress(values["last"] + 1)


def _change(connection: Connection) -> None:
    connection.execute(_CHANGE, {"changed": CHANGED})
    connection.execute(_SETTLE)


def _timed(connection: Connection, call: Callable[[Connection], object]) -> float:
    """Milliseconds of a call whose pages are in memory as far as they fit."""
    call(connection)
    return median([seconds(lambda: call(connection))[0] * 1000 for _ in range(_CALLS)])


def _work(found: Sequence[Figures]) -> Table:
    columns = ("documents", "written s", "rows a second", "one in a hundred changed s", "VACUUM s")
    rows = ((one.documents, one.fill, len(_FILL) * one.documents / one.fill, one.change, one.vacuum) for one in found)
    return Table("Work", columns, tuple(rows))


def _called(found: Sequence[Figures]) -> Table:
    columns = ("call, ms", *(f"{one.documents} documents" for one in found))
    return Table("Calls", columns, tuple((name, *(one.calls[name] for one in found)) for name in _CALLS_OF))


def _space(found: Sequence[Figures]) -> Table:
    columns = ("table", *(f"{what}, {one.documents}" for one in found for what in ("bytes a document", "of indexes")))
    return Table("Space", columns, tuple((name, *(n for one in found for n in one.sizes[name])) for name in _TABLES))


def _growth(found: Sequence[Figures]) -> list[Target]:
    """How a document's share changes from the smallest to the largest number."""
    small, large = found[0], found[-1]
    times = large.documents / small.documents
    shares = {
        "writing, seconds a document": large.fill / small.fill / times,
        "VACUUM, seconds a document": large.vacuum / small.vacuum / times,
        "bytes a document": sum(map(sum, large.sizes.values())) / sum(map(sum, small.sizes.values())),
        **{f"{name}, a document": large.calls[name] / small.calls[name] / times for name in _CALLS_OF},
    }
    against = f"{small.documents} to {large.documents} documents"
    return [Target(f"{what}, growth", share, 1.3, against) for what, share in shares.items()]
