"""A pipeline in one process for tests: real store, index, parser and chunker, the fake embedder, a source in memory."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import text

from rag_core.content.chunking import Chunker
from rag_core.content.chunking.chunker import ChunkSettings
from rag_core.content.embedding import Vectors
from rag_core.content.embedding.fake import FakeEmbedder
from rag_core.content.parsing import Parser
from rag_core.content.quality import Assessment
from rag_core.content.sources import Connector, Scope, Source
from rag_core.database import Store
from rag_core.errors import Reason, Unavailable
from rag_core.governance.history import HistoryRecorder
from rag_core.ids import document_id
from rag_core.ingestion.generations import TransformRegistry, Transforms, generation_config_of
from rag_core.ingestion.pipeline import StageResult, account, assess_quality, run_pipeline
from rag_core.ingestion.pipeline.active_generation import ensure_generation
from rag_core.ingestion.pipeline.base import DocumentCounts
from rag_core.retrieval.index import IndexPoint, VectorIndex
from rag_core.settings import Settings
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


class _AwayIndex:
    """An index that never answers."""

    def __getattr__(self, name: str) -> Any:
        raise Unavailable(Reason.INDEX_UNAVAILABLE, "the index does not answer")


def open_chunker(tokens: int = 24) -> Chunker:
    """The real chunker with small chunks and a cheap counter."""
    return Chunker(ChunkSettings(tokens=tokens, max_chunks=40), WordCounter())


@dataclass
class PipelineHarness:
    """One source and everything it runs through: the `Dependencies` of `run_pipeline`."""

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

    def __post_init__(self) -> None:
        self.recorder = HistoryRecorder(lambda: self.store)

    @property
    def transform_registry(self) -> TransformRegistry:
        """The chunker and embedder of now, as the installation's own: tests replace them between two runs."""
        own = Transforms(lambda: self.embedder, lambda: self.chunker, generation_config_of(self.settings))
        return TransformRegistry(self.settings, own)

    def run(self, run_id: str | None = None, shard: int = 0, *, changes: bool = False) -> DocumentCounts:
        """One run of the source, as its assets execute it, and its accounting. Reports are kept in `reports`."""
        scope = Scope(self.source, run_id or f"run-{next(self.runs)}", shard)
        ensure_generation(self.store, self.index, self.embedder, self.chunker)
        self.reports = run_pipeline(self, scope, connector=self.connector, changes=changes)
        self.quality = assess_quality(
            self.store,
            scope,
            chunker=self.chunker.fingerprint,
            embedder=self.embedder.fingerprint,
            dimensions=self.embedder.dimensions,
        )
        return account(self.store, scope)

    def store_documents(
        self, scope: Scope, connector: Connector | None = None, *, changes: bool = False, index_away: bool = False
    ) -> StageResult:
        """Run the first stage alone, as when its asset alone is materialised."""
        flow = replace(self, index=_AwayIndex()) if index_away else self
        source = connector or self.connector
        return run_pipeline(flow, scope, stages=["documents"], connector=source, changes=changes)["documents"]

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
