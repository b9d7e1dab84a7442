"""The resources of a pipeline process, each opened once at its first use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

from rag_core import failpoints
from rag_core.content.chunking import Chunker, open_chunker
from rag_core.content.embedding import Embedder, open_embedder
from rag_core.content.parsing import Parser, open_parser
from rag_core.database import Store, open_store
from rag_core.governance.history import HistoryRecorder
from rag_core.ingestion.generations import TransformRegistry, Transforms, generation_config_of
from rag_core.ingestion.pipeline.active_generation import ensure_generation
from rag_core.lazy import locked_property
from rag_core.retrieval.engines import open_index
from rag_core.retrieval.index import VectorIndex
from rag_core.settings import Settings


class Pipeline:
    """The resources of the stages, opened lazily from one `Settings`. One per process; close it at the end.

    Opening a resource raises the errors of its `open_*` function.
    """

    def __init__(self, settings: Settings, *, shared_store: Callable[[], Store] | None = None) -> None:
        """With `shared_store` the database is its lender's to close."""
        self.settings = settings
        self._shared_store = shared_store
        failpoints.arm(settings.failpoint)

    @locked_property
    def store(self) -> Store:
        return self._shared_store() if self._shared_store is not None else open_store(self.settings)

    @locked_property
    def recorder(self) -> HistoryRecorder:
        """The recorder of figures for the history, written every minute and at the end."""
        recorder = HistoryRecorder(lambda: self.store)
        if self.settings.history_days:
            recorder.start()
        return recorder

    @locked_property
    def parser(self) -> Parser:
        return open_parser(self.settings)

    @locked_property
    def chunker(self) -> Chunker:
        return open_chunker(self.settings)

    @locked_property
    def embedder(self) -> Embedder:
        return open_embedder(self.settings)

    @locked_property
    def index(self) -> VectorIndex:
        return open_index(self.settings)

    @locked_property
    def transform_registry(self) -> TransformRegistry:
        """Embedder and chunker of every generation; `embedder` and `chunker` are the installation's own."""
        own = Transforms(lambda: self.embedder, lambda: self.chunker, generation_config_of(self.settings))
        return TransformRegistry(self.settings, own)

    def ensure_generation(self) -> str:
        """The name of the active generation, created when there is none; see
        `rag_core.ingestion.pipeline.active_generation`."""
        return ensure_generation(
            self.store,
            self.index,
            self.embedder,
            self.chunker,
            generation_config=generation_config_of(self.settings),
            can_make=self.transform_registry.can_reproduce,
            wait=self.settings.source_wait_seconds,
        )

    def close(self) -> None:
        """Close the opened resources. Idempotent."""
        for name in ("recorder", "transform_registry", "index", "embedder", "parser", "store"):
            part = self.__dict__.pop(name, None)
            if part is not None and not (name == "store" and self._shared_store is not None):
                part.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
