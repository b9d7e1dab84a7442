"""A pipeline in one process for tests: real store, index, parser and chunker, the fake embedder, a source in memory."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from sqlalchemy import text

from rag_core.chunking import Chunker
from rag_core.chunking.chunker import ChunkSettings
from rag_core.database import Store, locks
from rag_core.embedding import Vectors
from rag_core.embedding.fake import FakeEmbedder
from rag_core.generations import store as generations
from rag_core.ids import document_id
from rag_core.index import IndexPoint, VectorIndex
from rag_core.parsing import Parser
from rag_core.pipeline import StageResult, Work, account, assess_quality, chunk_documents, embed_chunks, run_stage
from rag_core.pipeline.active_generation import ensure_generation
from rag_core.pipeline.base import DocumentCounts
from rag_core.pipeline.stages.documents import sync_documents
from rag_core.pipeline.targets import index_for_targets
from rag_core.quality import Assessment
from rag_core.settings import Settings
from rag_core.sources import Scope, Source
from tests.support.memory_source import MemoryConnector

SOURCE = Source("handbook", "acme", "memory", acl=("everyone",))


class WordCounter:
    """Implements `TokenCounter` without a model: one token per word."""

    fingerprint = "words"

    def count(self, text: str) -> int:
        return len(text.split())

    def count_many(self, texts: Sequence[str]) -> list[int]:
        return [self.count(text) for text in texts]


class CountingEmbedder(FakeEmbedder):
    """The fake embedder, counting the texts it was given."""

    def __init__(self, *, version: str = "1") -> None:
        super().__init__(version=version)
        self.texts = 0

    def embed_passages(self, texts: Sequence[str]) -> Vectors:
        self.texts += len(texts)
        return super().embed_passages(texts)


def open_chunker(tokens: int = 24) -> Chunker:
    """The real chunker with small chunks and a cheap counter."""
    return Chunker(ChunkSettings(tokens=tokens, max_chunks=40), WordCounter())


@dataclass
class PipelineHarness:
    """One source and everything it runs through."""

    store: Store
    index: VectorIndex
    parser: Parser
    settings: Settings
    source: Source = SOURCE
    connector: MemoryConnector = field(default_factory=MemoryConnector)
    chunker: Chunker = field(default_factory=open_chunker)
    embedder: CountingEmbedder = field(default_factory=CountingEmbedder)
    reports: dict[str, StageResult] = field(default_factory=dict)
    quality: Assessment | None = None
    runs: Any = field(default_factory=itertools.count)

    def run(self, run_id: str | None = None, shard: int = 0, *, changes: bool = False) -> DocumentCounts:
        """The four stages as a run executes them, and their accounting. Reports are kept in `reports`."""
        scope = Scope(self.source, run_id or f"run-{next(self.runs)}", shard)
        ensure_generation(self.store, self.index, self.embedder, self.chunker)
        self.reports = {}
        chunker = self.chunker.fingerprint
        self.reports["documents"] = sync_documents(
            self.store, self.connector, self.parser, scope, self.settings, changes=changes
        )
        self.later_stages(scope)
        self.quality = assess_quality(
            self.store,
            scope,
            chunker=chunker,
            embedder=self.embedder.fingerprint,
            dimensions=self.embedder.dimensions,
        )
        return account(self.store, scope)

    def later_stages(self, scope: Scope) -> None:
        """Run `run_pipeline` on stored documents, with this chunker and embedder whatever generations there
        are."""
        for stage in ("chunks", "embeddings", "index"):
            with locks.shard_connection(self.store, *scope.key, wait=self.settings.source_wait_seconds) as connection:
                work = Work(connection, scope, self.settings)
                self.reports[stage] = run_stage(work, stage, partial(self._stage, stage, work))

    def _stage(self, stage: str, work: Work) -> StageResult:
        if stage == "chunks":
            return chunk_documents(work, self.chunker)
        if stage == "index":
            return index_for_targets(work, self.index)
        mine = (self.embedder.fingerprint, self.chunker.fingerprint)
        rows = [row for row in generations.write_targets(work.connection) if (row.embedder, row.chunker) == mine]
        return embed_chunks(work, self.embedder, self.chunker.fingerprint, rows)

    def counts(self, stage: str) -> dict[str, int]:
        """Counts of a stage of the last run."""
        return self.reports[stage].counts

    def doc_id(self, locator: str) -> uuid.UUID:
        return document_id(self.source.tenant, self.source.name, locator)

    def row(self, locator: str) -> Any:
        """The stored document."""
        return self.one("SELECT * FROM rag.documents WHERE doc_id = :id", id=self.doc_id(locator))

    def quarantined(self) -> dict[str, Any]:
        """Quarantine rows by locator."""
        return {row.locator: row for row in self.all("SELECT * FROM rag.quarantine")}

    def one(self, statement: str, **params: Any) -> Any:
        with self.store.engine.connect() as connection:
            return connection.execute(text(statement), params).one()

    def all(self, statement: str, **params: Any) -> Any:
        with self.store.engine.connect() as connection:
            return connection.execute(text(statement), params).all()

    def points(self, locator: str | None = None) -> list[IndexPoint]:
        """The points in the active index generation, of one document or in all."""
        generation = self.index.alias()
        assert generation is not None
        found = [point for page in self.index.scroll(generation) for point in page]
        wanted = None if locator is None else self.doc_id(locator)
        return [point for point in found if wanted in (None, point.payload.doc_id)]

    def indexed_text(self) -> dict[str, str]:
        """Locator to the text in the index, white space folded."""
        pieces: dict[str, list[tuple[int, str]]] = {}
        for point in self.points():
            pieces.setdefault(point.payload.locator, []).append((point.payload.ordinal, point.payload.text))
        return {
            locator: " ".join(" ".join(piece for _, piece in sorted(parts)).split())
            for locator, parts in pieces.items()
        }


def prose(seed: int, sentences: int = 6) -> str:
    """Distinct readable text."""
    return "\n\n".join(
        f"Paragraph {number} of document {seed} says that pump {seed}{number} needs oil every {number + 2} days."
        for number in range(sentences)
    )
