"""Run the real pipeline in its own process, so that its memory can be measured."""

from __future__ import annotations

import resource
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import active_children, get_context
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

from sqlalchemy import select

from benchmarks.machine import anonymous_mb
from benchmarks.own_text import OwnText
from benchmarks.timing import seconds
from rag_assets.connectors.filesystem.connector import FilesystemConnector
from rag_assets.connectors.filesystem.options import FilesystemOptions
from rag_assets.connectors.outside import ConnectorContext
from rag_core.content.embedding import Embedder, Vectors
from rag_core.content.parsing import Block, BlockKind, ParsedDocument, Parser
from rag_core.content.sources import FetchedItem, Scope, Source, SourceItem
from rag_core.database import Store
from rag_core.database.tables.content import chunks
from rag_core.errors import DataCorruption, Reason
from rag_core.governance.access import EVERYONE
from rag_core.governance.history import HistoryRecorder
from rag_core.ingestion.generations import TransformRegistry, Transforms
from rag_core.ingestion.pipeline import Pipeline, account, run_pipeline
from rag_core.retrieval.index import ApplyResult, DocumentUpdate, VectorIndex
from rag_core.settings import Settings

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Parts:
    """The parts of a run, with an embedder that counts."""

    settings: Settings
    store: Store
    recorder: HistoryRecorder
    parser: Parser
    transform_registry: TransformRegistry
    index: VectorIndex


@dataclass(frozen=True, slots=True)
class Pass:
    """One run over a source: seconds and counts per stage, texts and seconds the model was given.

    `first` is when the first document was searchable, in seconds after the start of the run. Memory in MB: the peak so
    far, and at the end without mapped files.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    embedded: int = 0
    model_seconds: float = 0
    first: float = 0
    wall: float = 0
    peak_mb: float = 0
    anonymous_mb: float = 0

    @property
    def total(self) -> float:
        """Seconds of the whole run, what is between the stages included."""
        return self.wall


class CountingEmbedder:
    """Passes on to an embedder; counts texts and seconds, so that neither rests on the pipeline's word."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self.fingerprint = embedder.fingerprint
        self.dimensions = embedder.dimensions
        self.max_tokens = embedder.max_tokens
        self.remote = embedder.remote
        self.texts = 0
        self.seconds = 0.0

    def embed_passages(self, texts: Sequence[str]) -> Vectors:
        """Count, time and pass on."""
        self.texts += len(texts)
        taken, vectors = seconds(lambda: self._embedder.embed_passages(texts))
        self.seconds += taken
        return vectors

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        """Pass on."""
        return self._embedder.embed_queries(texts)

    def close(self) -> None:
        """The owner of the wrapped embedder closes it."""


class TimedIndex:
    """Passes on to an index; notes when the first points were in it."""

    def __init__(self, index: VectorIndex) -> None:
        self._index = index
        self.first: float | None = None

    def apply(self, generation: str, updates: Sequence[DocumentUpdate]) -> ApplyResult:
        """Pass on; when it returns, searches see the documents."""
        result = self._index.apply(generation, updates)
        if self.first is None and result.upserted:
            self.first = time.monotonic()
        return result

    def __getattr__(self, name: str) -> Any:
        return getattr(self._index, name)


def in_child(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a module-level function in a fresh process and return its result; a request to end ends it too."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        result = pool.submit(work, *args, **kwargs)
        try:
            return result.result()
        except (KeyboardInterrupt, SystemExit):
            for child in active_children():
                child.terminate()  # the executor would wait for its end, which of a million documents is an hour away
            raise


def ingest(settings: Settings, folder: Path, passes: int) -> list[Pass]:
    """Run the pipeline over a folder so many times in this process; parts are opened before the clock starts."""
    with opened(settings) as pipeline:
        return [run_pass(pipeline, folder, f"run-{number}") for number in range(passes)]


def ingest_then_embed_alone(settings: Settings, folder: Path) -> tuple[Pass, int, float]:
    """One pass, then the time to embed the same distinct texts with nothing around it: (pass, texts, seconds)."""
    with opened(settings) as pipeline:
        done = run_pass(pipeline, folder, "run-0")
        with pipeline.store.engine.connect() as connection:
            rows = connection.execute(select(chunks.c.text_hash, chunks.c.embed_text).distinct()).all()
        texts = [text for _, text in rows]
        pages = [texts[start : start + settings.embed_batch] for start in range(0, len(texts), settings.embed_batch)]
        embedder = OwnText(pipeline.embedder)
        alone, _ = seconds(lambda: [embedder.embed_passages(page) for page in pages])
        return done, len(texts), alone


@contextmanager
def opened(settings: Settings) -> Iterator[Pipeline]:
    """A pipeline whose parts are loaded: a run of any size pays for that once, so it is not part of what is timed."""
    with Pipeline(settings) as pipeline:
        pipeline.ensure_generation()
        warm = ParsedDocument("Warm up.", "text/plain", blocks=(Block(BlockKind.PARAGRAPH, 0, 8),))
        pipeline.chunker.chunk(uuid.UUID(int=0), warm)
        OwnText(pipeline.embedder).embed_passages(["Warm up."])
        pipeline.parser.parse(FetchedItem(SourceItem("warm.md", "1"), b"# Warm up\n"))
        yield pipeline


def run_pass(pipeline: Pipeline, folder: Path, run_id: str) -> Pass:
    """The four stages over a folder. Raises `DataCorruption` when the accounting does not balance."""
    settings = pipeline.settings
    options = FilesystemOptions(kind="folder", root=str(folder))
    connector = FilesystemConnector(options, ConnectorContext(settings.max_file_bytes))
    scope = Scope(Source("bench", "bench", "filesystem", acl=(EVERYONE,)), run_id)
    embedder = CountingEmbedder(pipeline.embedder)
    registry = TransformRegistry(
        settings,
        Transforms(lambda: embedder, lambda: pipeline.chunker, pipeline.transform_registry.own.generation_config),
    )
    index = TimedIndex(pipeline.index)
    parts = _Parts(settings, pipeline.store, pipeline.recorder, pipeline.parser, registry, cast("VectorIndex", index))
    started = time.monotonic()
    results = run_pipeline(parts, scope, connector=connector)
    wall = time.monotonic() - started
    times = {stage: result.seconds for stage, result in results.items()}
    counts = account(pipeline.store, scope)
    if not counts.balanced:
        raise DataCorruption(Reason.ACCOUNTING_MISMATCH, f"the benchmark's run does not balance: {counts}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    return Pass(
        times,
        {stage: result.counts for stage, result in results.items()},
        embedder.texts,
        embedder.seconds,
        (index.first or started) - started,
        wall,
        peak,
        anonymous_mb(),
    )
