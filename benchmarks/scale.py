"""What grows with the documents, and how fast: the same work at several sizes, with a fake model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import text

from benchmarks.ingest.corpus import write_corpus
from benchmarks.ingest.ours import in_child, opened, run_pass
from benchmarks.ingest.workbench import open_workbench
from benchmarks.report import Progress, Report, Table, Target
from benchmarks.timing import median, seconds
from rag_core.content.documents import DocumentQuery, list_store
from rag_core.database import Store
from rag_core.errors import DataCorruption, Reason
from rag_core.ingestion.verify import verify
from rag_core.settings import Settings
from ragctl.output import note

_TENANT: Final = "bench"
_SAMPLE: Final = 1000
_CALLS: Final = 7
_QUERIES: Final = {
    "newest": DocumentQuery(),
    "one name": DocumentQuery(text="document-000123"),
    "one source": DocumentQuery(source="bench", exclude_deleted=True),
}


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of one size. Times in seconds, of calls in milliseconds; sizes in MB."""

    documents: int
    chunks: int
    ingest: float
    unchanged: float
    edit: float
    delete: float
    verify: float
    pages: dict[str, float]
    counts: dict[str, float]
    database: float
    index: float
    memory: float


def run(settings: Settings, sizes: Sequence[int], progress: Progress) -> Report:
    """Ingest, change and check a corpus of each size, and ask for lists of it."""
    found: list[Figures] = []
    with open_workbench(settings) as workbench:
        for done, documents in enumerate(sizes):
            progress(done, len(sizes))
            folder = workbench.root / f"corpus-{documents}"
            write_corpus(folder, documents, paragraphs=1)
            with workbench.with_index_process(workbench.installation("fake")) as apart:
                found.append(in_child(_measure, apart, folder, documents))
    notes = (
        "documents of one paragraph, fake embedder, PostgreSQL durable, the index in a process of its own",
        "edit: one file written again; delete: a tenth of the files removed, within the guard of deletions",
        f"verify: {_SAMPLE} stored vectors are searched for, every row is compared with its point",
        f"calls: median of {_CALLS}; a page has 50 documents",
    )
    return Report("bench scale", (_work(found), _lists(found)), tuple(_growth(found)), notes)


def _measure(settings: Settings, folder: Path, documents: int) -> Figures:
    with opened(settings) as pipeline:
        note(f"{documents:,} documents: ingest")  # an hour for a million, so each step says that it begins
        first = run_pass(pipeline, folder, "first")
        note(f"ingested in {first.total:,.0f} s; unchanged run, one edit, verify")
        unchanged = run_pass(pipeline, folder, "unchanged").total
        files = sorted(folder.rglob("*.md"))
        files[-1].write_text("# Written again\n\nAnother text.\n", encoding="utf-8")
        edit = run_pass(pipeline, folder, "edit").total
        checked, report = seconds(
            lambda: verify(pipeline.store, pipeline.index, None, self_retrieval=min(_SAMPLE, documents))
        )
        if not report.sound:
            raise DataCorruption(Reason.ACCOUNTING_MISMATCH, f"the index differs from the rows: {dict(report.totals)}")
        note(f"verified in {checked:,.0f} s; lists, deletion of a tenth")
        pages, counts = _calls(pipeline.store)
        for file in files[:-1:10]:
            file.unlink()
        deleted = run_pass(pipeline, folder, "delete").total
        with pipeline.store.engine.connect() as connection:
            size = connection.scalar(text("SELECT pg_database_size(current_database())")) or 0
    index = sum(one.stat().st_blocks * 512 for one in (settings.home / "index").rglob("*") if one.is_file())
    chunks = first.counts["chunks"]["chunks"]
    return Figures(documents, chunks, first.total, unchanged, edit, deleted, checked, pages, counts,
                   size / 1e6, index / 1e6, first.peak_mb)  # fmt: skip


def _calls(store: Store) -> tuple[dict[str, float], dict[str, float]]:
    """Milliseconds of a page of each list, and of its count."""

    def timed(call: Callable[[], object]) -> float:
        return median([seconds(call)[0] * 1000 for _ in range(_CALLS)])

    with store.engine.connect() as connection:
        pages, counts = {}, {}
        for name, query in _QUERIES.items():
            pages[name] = timed(lambda query=query: list_store.page(connection, _TENANT, query, limit=50))  # type: ignore[misc]
            counts[name] = timed(lambda query=query: list_store.count(connection, _TENANT, query))  # type: ignore[misc]
    return pages, counts


def _work(found: Sequence[Figures]) -> Table:
    columns = ("documents", "chunks", "ingest s", "unchanged s", "one edit s", "a tenth deleted s", "verify s",
               "database MB", "index MB", "peak MB")  # fmt: skip
    return Table("Work and space", columns, tuple(
        (one.documents, one.chunks, one.ingest, one.unchanged, one.edit, one.delete, one.verify, one.database,
         one.index, one.memory) for one in found
    ))  # fmt: skip


def _lists(found: Sequence[Figures]) -> Table:
    columns = ("documents", *(f"{what}: {name} ms" for name in _QUERIES for what in ("page", "count")))
    rows = ((one.documents, *(part[name] for name in _QUERIES for part in (one.pages, one.counts))) for one in found)
    return Table("Lists of documents", columns, tuple(rows))


def _growth(found: Sequence[Figures]) -> list[Target]:
    """How a document's share changes from the smallest to the largest corpus."""
    small, large = found[0], found[-1]
    times = large.documents / small.documents
    against = f"{small.documents} to {large.documents} documents"
    shares = {
        "ingest, seconds a document": large.ingest / small.ingest / times,
        "unchanged run, seconds a document": large.unchanged / small.unchanged / times,
        "verify, seconds a document": large.verify / small.verify / times,
        "database, bytes a document": large.database / small.database / times,
        "index, bytes a document": large.index / small.index / times,
    }
    return [Target(f"{what}, growth", share, 1.3, against) for what, share in shares.items()]
