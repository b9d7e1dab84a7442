"""Transforms for tests: the fake embedder and the real chunker with a word counter, by the config of a generation."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rag_core.answering.evaluation import Dataset
from rag_core.content.chunking import Chunker
from rag_core.content.chunking.chunker import ChunkSettings
from rag_core.content.embedding.fake import FakeEmbedder
from rag_core.content.parsing import Parser
from rag_core.content.sources import Scope
from rag_core.database import Store
from rag_core.governance.history import HistoryRecorder
from rag_core.ingestion.generations import TransformRegistry, Transforms
from rag_core.ingestion.generations import store as generations
from rag_core.ingestion.pipeline import account, run_pipeline
from rag_core.ingestion.pipeline.active_generation import ensure_generation
from rag_core.ingestion.promotion.golden import GoldenSet
from rag_core.retrieval.index import VectorIndex
from rag_core.settings import Settings
from tests.support.pipeline import PipelineHarness, WordCounter


class WordTransformRegistry(TransformRegistry):
    """`TransformRegistry` whose chunker counts words, so that no tokenizer is needed."""

    def _named(self, generation_config: Any) -> Transforms:
        key = key_of(generation_config)
        if key == key_of(self.own.generation_config):
            return self.own
        if key not in self._others:
            self._others[key] = word_transforms(
                version=generation_config["embed_model"],
                tokens=generation_config["chunk_tokens"],
                dimensions=generation_config["embed_dimensions"],
                prefix=generation_config["embed_query_prefix"],
            )
        return self._others[key]


def key_of(generation_config: Any) -> str:
    return repr(sorted(generation_config.items()))


def word_transforms(*, version: str = "1", tokens: int = 24, dimensions: int = 64, prefix: str = "") -> Transforms:
    """A kit of the fake embedder `version` and chunks of so many words."""
    generation_config = {
        "embedder": "fake",
        "embed_model": version,
        "embed_dimensions": dimensions,
        "embed_query_prefix": prefix,
        "chunk_tokens": tokens,
    }
    embedder = FakeEmbedder(version=version, dimensions=dimensions, query_prefix=prefix)
    chunker = Chunker(ChunkSettings(tokens=tokens, max_chunks=400), WordCounter())
    return Transforms(lambda: embedder, lambda: chunker, generation_config)


@dataclass
class GenerationHarness:
    """A pipeline that follows every generation, as the assets run it."""

    pipeline: PipelineHarness
    own: Transforms = field(default_factory=word_transforms)

    def __post_init__(self) -> None:
        self.transform_registry = WordTransformRegistry(self.pipeline.settings, self.own)
        self.recorder = HistoryRecorder(lambda: self.store)
        self.runs = 0

    @property
    def settings(self) -> Settings:
        return self.pipeline.settings

    @property
    def store(self) -> Store:
        return self.pipeline.store

    @property
    def parser(self) -> Parser:
        return self.pipeline.parser

    @property
    def index(self) -> VectorIndex:
        return self.pipeline.index

    def run(self, **source: Any) -> Any:
        """One run of the source through all stages; its accounting."""
        flow = self.pipeline
        self.runs += 1
        scope = Scope(flow.source, f"run-{self.runs}")
        self.ensure()
        flow.reports = run_pipeline(self, scope, connector=flow.connector)
        return account(flow.store, scope)

    def ensure(self) -> str:
        """As `Pipeline.ensure_generation`."""
        embedder, chunker = self.own.embedder, self.own.chunker
        return ensure_generation(
            self.pipeline.store,
            self.pipeline.index,
            embedder,
            chunker,
            generation_config=self.own.generation_config,
            can_make=self.transform_registry.can_reproduce,
        )

    def row(self, name: str) -> generations.Generation:
        with self.pipeline.store.engine.connect() as connection:
            return generations.get(connection, name)

    def texts(self, name: str) -> set[str]:
        """The texts in a generation, white space folded."""
        return {" ".join(p.payload.text.split()) for page in self.pipeline.index.scroll(name) for p in page}

    def acls(self, name: str, locator: str) -> set[tuple[str, ...]]:
        return {
            point.payload.acl
            for page in self.pipeline.index.scroll(name)
            for point in page
            if point.payload.locator == locator
        }


def golden(questions: dict[str, str], source: str = "handbook") -> GoldenSet:
    """Questions, each about one document of the source."""
    judged = {str(number): {f"{source}/{locator}": 1} for number, locator in enumerate(questions.values())}
    asked = {str(number): question for number, question in enumerate(questions)}
    return GoldenSet(Dataset("test", (), asked, judged))


def write_set(folder: Path, questions: dict[str, str], source: str = "handbook") -> None:
    """The same as files in the common layout."""
    import json

    folder.mkdir(parents=True)
    with (folder / "queries.jsonl").open("w") as file:
        file.writelines(json.dumps({"_id": str(n), "text": q}) + "\n" for n, q in enumerate(questions))
    with (folder / "corpus.jsonl").open("w") as file:
        file.writelines(json.dumps({"_id": f"{source}/{locator}"}) + "\n" for locator in questions.values())
    lines = [f"{n}\t{source}/{locator}\t1\n" for n, locator in enumerate(questions.values())]
    (folder / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\n" + "".join(lines))
