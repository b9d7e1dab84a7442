"""The ingestion rows of the design's table, and the same work by CocoIndex in the same run."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.ingest.corpus import write_corpus, write_long_document
from benchmarks.ingest.ours import in_child, ingest, ingest_then_embed_alone
from benchmarks.ingest.workbench import Workbench, open_workbench
from benchmarks.peers.install import ensure_peer, run_peer
from benchmarks.report import Cell, Progress, Report, Table, Target
from benchmarks.timing import median
from rag_core.errors import DataCorruption, InvalidInput, Reason
from rag_core.ingestion.pipeline.stage_runner import STAGES
from rag_core.settings import Settings

PEER = "cocoindex==1.0.26"
ROWS = ("overhead", "unchanged", "edited", "memory")
_PEER_SECONDS = 7200
_UNCHANGED_PASSES = 5


@dataclass(frozen=True, slots=True)
class Sizes:
    """Rows and sizes: documents of about three chunks, for memory of one, unless stated otherwise."""

    rows: tuple[str, ...] = ROWS
    documents: int = 1000
    unchanged: tuple[int, int] = (1000, 10_000)
    memory: tuple[int, int] = (10_000, 50_000)
    rounds: int = 2
    long_paragraphs: int = 400


@dataclass(slots=True)
class _Results:
    tables: list[Table] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)


def run(settings: Settings, sizes: Sizes, *, peer: bool, progress: Progress) -> Report:
    """Measure wall time against embedding alone, the unchanged run, the edited paragraph and memory.

    Raises `InvalidInput` for a row that is none.
    """
    unknown = sorted(set(sizes.rows) - set(ROWS))
    if unknown:
        raise InvalidInput(Reason.FIELD_INVALID, f"--rows {unknown[0]}: expected one of {', '.join(ROWS)}")
    results = _Results()
    python = ensure_peer(settings, "cocoindex", [PEER]) if peer else None
    with open_workbench(settings) as workbench:
        bench = _Bench(workbench, sizes, python, results)
        bench.try_peer()
        steps = [getattr(bench, row) for row in ROWS if row in sizes.rows]
        for done, step in enumerate(steps):
            progress(done, len(steps))
            step()
    notes = (
        "in the model: seconds inside the embedder during the run; a busy neighbour stretches them like the run itself",
        "ingest and embedding alone alternate; medians over the rounds; PostgreSQL durable",
        "unchanged: marginal cost = difference of two corpora's times / difference of their documents; fake embedder",
        "the listing (every folder read, every file's status) is part of the unchanged run; no file is opened",
        "memory: of the pipeline's process, the index in another one as in a running stack; fake embedder",
        f"peer: {PEER}, target SQLite, its own splitter; usage reports off" if peer else "no peer in this run",
    )
    return Report("bench ingest", tuple(results.tables), tuple(results.targets), notes)


class _Bench:
    """The four measurements."""

    def __init__(self, bench: Workbench, sizes: Sizes, python: Path | None, results: _Results) -> None:
        self._bench = bench
        self._sizes = sizes
        self._python = python
        self._results = results

    def try_peer(self) -> None:
        """One document through the peer, so that one that cannot run fails before anything is measured."""
        if self._python:
            self._peer("trial", self._corpus("trial", 1), "onnx", updates=1)

    def overhead(self) -> None:
        """The whole pipeline against embedding the same chunks alone."""
        folder = self._corpus("overhead", self._sizes.documents)
        rows: list[tuple[Cell, ...]] = []
        ratios, firsts = [], []
        for number in range(1, self._sizes.rounds + 1):
            done, texts, alone = in_child(ingest_then_embed_alone, self._bench.installation("onnx"), folder)
            ratios.append(done.total / alone)
            firsts.append(done.first)
            stages = [done.seconds[name] for name in STAGES]
            inside = (done.model_seconds, done.total / done.model_seconds)
            figures = (*stages, done.total, *inside, alone, done.total / alone)
            rows.append((f"pipeline, round {number}", texts, done.first, *figures))
            if self._python:
                peer = self._peer(f"overhead-{number}", folder, "onnx", updates=1)["updates"][0]
                blank: list[Cell] = [None] * len(STAGES)
                rest = (*blank, peer["seconds"], None, None, None, None)
                rows.append((f"CocoIndex, round {number}", peer["embedded"], None, *rest))
        columns = (
            *("what", "texts", "first searchable s", *(f"{name} s" for name in STAGES), "total s"),
            *("in the model s", "total / in the model", "model alone s", "total / alone"),
        )
        self._results.tables.append(Table(f"Ingest of {self._sizes.documents} documents", columns, tuple(rows)))
        against = "the same embedder and threads on the same chunks"
        self._results.targets += [
            Target("ingest / embedding alone", median(ratios), 1.10, against),
            Target(
                "first document searchable, s after the start", median(firsts), 5, "model warm, an active generation"
            ),
        ]

    def unchanged(self) -> None:
        """A second run when nothing changed, per document."""
        times: list[float] = []
        rows: list[tuple[Cell, ...]] = []
        peer_times: list[float] = []
        work = 0
        for documents in self._sizes.unchanged:
            folder = self._corpus(f"unchanged-{documents}", documents)
            first, *again = in_child(ingest, self._bench.installation("fake"), folder, 1 + _UNCHANGED_PASSES)
            # The slowest: the first of them meets a database that has no statistics of these documents yet.
            times.append(max(each.total for each in again))
            work += sum(each.embedded + each.counts["index"]["upserted"] for each in again)
            rows.append(("pipeline", documents, first.total, times[-1], times[-1] / documents * 1000))
            if self._python:
                report = self._peer(f"unchanged-{documents}", folder, "fake", updates=1 + _UNCHANGED_PASSES)
                peer_first, *peer_again = [update["seconds"] for update in report["updates"]]
                peer_times.append(median(peer_again))
                rows.append(("CocoIndex", documents, peer_first, peer_times[-1], peer_times[-1] / documents * 1000))
        columns = ("what", "documents", "first run s", "unchanged run s", "ms/document")
        self._results.tables.append(Table("Nothing changed", columns, tuple(rows)))
        marginal = _marginal(times, self._sizes.unchanged)
        against = f"CocoIndex: {_marginal(peer_times, self._sizes.unchanged):.3g}" if peer_times else "no peer"
        self._results.targets += [
            Target("unchanged run, ms per document, marginal", marginal, 0.02, against),
            Target("unchanged run, texts embedded + points written", work, 0, "exact count"),
        ]

    def edited(self) -> None:
        """One paragraph of a long document rewritten."""
        folder = self._bench.root / "edited"
        document = folder / "long.md"
        settings = self._bench.installation("fake")
        rows: list[tuple[Cell, ...]] = []
        write_long_document(document, self._sizes.long_paragraphs)
        in_child(ingest, settings, folder, 1)
        peer_first = self._peer("edited", folder, "fake", updates=1) if self._python else None
        write_long_document(document, self._sizes.long_paragraphs, edited=self._sizes.long_paragraphs // 2)
        (after,) = in_child(ingest, settings, folder, 1)
        chunks = after.counts["embeddings"]["chunks"]
        if not after.embedded:
            raise DataCorruption(Reason.ACCOUNTING_MISMATCH, "the benchmark's edited paragraph was not embedded")
        share = after.embedded / chunks
        rows.append(("pipeline", chunks, after.embedded, share))
        if peer_first:
            total, again = peer_first["updates"][0]["embedded"], self._peer("edited", folder, "fake", updates=1)
            embedded = again["updates"][0]["embedded"]
            rows.append(("CocoIndex", total, embedded, embedded / total))
        columns = ("what", "chunks", "embedded after the edit", "share")
        self._results.tables.append(Table("One paragraph edited", columns, tuple(rows)))
        self._results.targets.append(Target("share of a long document embedded again", share, 0.03, "exact count"))

    def memory(self) -> None:
        """Peak memory of an ingest of two sizes."""
        peaks = []
        rows: list[tuple[Cell, ...]] = []
        for documents in self._sizes.memory:
            folder = self._corpus(f"memory-{documents}", documents, paragraphs=1)
            with self._bench.with_index_process(self._bench.installation("fake")) as settings:
                (done,) = in_child(ingest, settings, folder, 1)
            peaks.append(done.peak_mb)
            rows.append((documents, done.counts["chunks"]["chunks"], done.peak_mb, done.anonymous_mb, done.total))
        self._results.tables.append(
            Table("Memory", ("documents", "chunks", "peak MB", "of its own at the end MB", "total s"), tuple(rows))
        )
        small, large = self._sizes.memory
        what = f"peak memory, {large} / {small} documents"
        self._results.targets.append(Target(what, peaks[1] / peaks[0], 1.2, "same run, fake embedder"))

    def _corpus(self, name: str, documents: int, *, paragraphs: int = 3) -> Path:
        folder = self._bench.root / f"corpus-{name}"
        write_corpus(folder, documents, paragraphs=paragraphs)
        return folder

    def _peer(self, name: str, folder: Path, embedder: str, *, updates: int) -> dict[str, Any]:
        arguments = {
            "folder": folder,
            "state": self._bench.root / f"peer-{name}",
            "home": self._bench.home,
            "embedder": embedder,
            "updates": updates,
        }
        report: dict[str, Any] = run_peer(
            self._python or Path(), "benchmarks.peers.cocoindex_app", arguments, timeout=_PEER_SECONDS
        )
        return report


def _marginal(times: list[float], documents: tuple[int, int]) -> float:
    """Milliseconds per further document."""
    return (times[1] - times[0]) / (documents[1] - documents[0]) * 1000
