"""Sabotaged generations are refused, each with its reason."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Connection, event, text

from rag_core.content.chunking import Chunker
from rag_core.content.chunking.chunker import ChunkSettings
from rag_core.content.embedding import Vectors
from rag_core.content.parsing import BlockKind
from rag_core.errors import Conflict, InvalidInput, Reason
from rag_core.ingestion.generations import Transforms
from rag_core.ingestion.promotion import GateEvaluation, build, declare, evaluate, promote
from rag_core.ingestion.promotion.golden import GoldenSet
from rag_core.retrieval.index import SearchRequest, SearchResult, VectorIndex
from tests.support.generations import GenerationHarness, golden, key_of, word_transforms
from tests.support.pipeline import WordCounter
from tests.unit.rag_core.ingestion.generations.conftest import TOPICS, manual

Embed = Callable[[Sequence[str]], Vectors]


def judged(
    plant: GenerationHarness,
    questions: GoldenSet,
    transforms: Transforms,
    sabotage: Callable[[str], None] | None = None,
) -> GateEvaluation:
    """A generation of this kit, built, sabotaged and judged."""
    flow = plant.pipeline
    row = declare(flow.store, flow.index, transforms, name="candidate", actor="ann")
    build(flow.store, flow.index, transforms, row.name, flow.settings)
    if sabotage:
        sabotage(row.name)
    plant.transform_registry._others[key_of(transforms.generation_config)] = transforms
    return evaluate(flow.store, flow.index, plant.transform_registry, row.name, flow.settings, golden=[questions])


def failed(plant: GenerationHarness, evaluation: GateEvaluation) -> dict[str, str]:
    """The failed checks; promoting must be refused with what they say."""
    flow = plant.pipeline
    found = {check.name: check.detail for check in evaluation.checks if not check.passed}
    old = flow.index.alias()
    with pytest.raises(Conflict) as caught:
        promote(flow.store, flow.index, evaluation.generation, flow.settings, actor="ann")
    assert caught.value.reason is Reason.GENERATION_REFUSED
    assert all(detail in caught.value.message for detail in found.values())
    assert flow.index.alias() == old
    return found


class Halved:
    """The index with searches that find half of what they should."""

    def __init__(self, index: VectorIndex) -> None:
        self._index = index

    def __getattr__(self, name: str) -> Any:
        return getattr(self._index, name)

    def search(self, request: SearchRequest) -> SearchResult:
        found = self._index.search(request)
        return replace(found, hits=found.hits[::2])


def test_a_search_graph_that_finds_too_little_is_refused(plant: GenerationHarness, questions: GoldenSet) -> None:
    evaluation = judged(plant, questions, word_transforms(version="2"))
    flow = plant.pipeline
    halved: Any = Halved(flow.index)
    poor = evaluate(
        flow.store, halved, plant.transform_registry, evaluation.generation, flow.settings, golden=[questions]
    )
    found = {check.name: check.detail for check in poor.checks if not check.passed}
    assert "of the exact ten nearest" in found["recall"]
    assert "parity" not in found


def test_a_good_generation_passes_and_its_figures_are_kept(plant: GenerationHarness, questions: GoldenSet) -> None:
    evaluation = judged(plant, questions, word_transforms(version="2"))
    assert evaluation.passed, evaluation
    kept = plant.row("candidate").evaluation
    assert kept is not None
    assert [check["name"] for check in kept["checks"]] == [
        "parity",
        "recall",
        "coverage",
        "vectors",
        "retrieval",
        "answers",
        "latency",
        "size",
    ]
    figures = {check["name"]: check["figures"] for check in kept["checks"]}
    assert figures["retrieval"]["questions"] == len(TOPICS)
    assert {"hybrid_ndcg", "dense_recall", "bm25_mrr", "baseline_hybrid_ndcg", "hybrid_low", "hybrid_high"} <= set(
        figures["retrieval"]
    )
    assert figures["answers"] == {"questions": 0}
    assert figures["parity"]["points"] == figures["parity"]["expected"] > 0
    assert figures["recall"]["recall"] == 1.0
    assert plant.row("candidate").recall == 1.0


def test_missing_chunks_are_refused(plant: GenerationHarness, questions: GoldenSet) -> None:
    def drop_some(name: str) -> None:
        (page, *_) = plant.pipeline.index.scroll(name)
        plant.pipeline.index.delete_points(name, [page[0].chunk_id])

    found = failed(plant, judged(plant, questions, word_transforms(version="2"), drop_some))
    assert "1 missing" in found["parity"]


def another_prefix(embed: Embed) -> Embed:
    return lambda texts: embed([f"zzz qqq {text}" for text in texts])


def a_little_off(embed: Embed) -> Embed:
    """As those of the bundled model with the prefix of queries: cosine 0.985 to the right ones, 0.98 at least."""
    off = np.random.default_rng(4).standard_normal(word_transforms().embedder.dimensions).astype(np.float32)
    off *= 0.17 / np.linalg.norm(off)
    return lambda texts: embed(texts) + off


def shuffled(embed: Embed) -> Embed:
    return lambda texts: np.roll(embed(texts), 1, axis=0)


@pytest.mark.parametrize(
    ("sabotage", "details"),
    [
        (another_prefix, ["another prefix"]),
        (a_little_off, ["another prefix", "most of"]),
        (shuffled, ["vectors of other texts"]),
    ],
)
def test_vectors_that_the_model_does_not_give_are_refused(
    plant: GenerationHarness, questions: GoldenSet, sabotage: Callable[[Embed], Embed], details: list[str]
) -> None:
    transforms = word_transforms(version="2")
    embed = transforms.embedder.embed_passages
    transforms.embedder.embed_passages = sabotage(embed)  # type: ignore[method-assign]

    def mend(_name: str) -> None:
        transforms.embedder.embed_passages = embed  # type: ignore[method-assign]

    found = failed(plant, judged(plant, questions, transforms, mend))
    assert [detail for detail in details if detail not in found["vectors"]] == []


def test_a_prefix_that_makes_retrieval_worse_is_refused_with_the_numbers(
    plant: GenerationHarness, questions: GoldenSet
) -> None:
    transforms = word_transforms(prefix="zq vx jk wy zq vx jk wy " * 40)
    found = failed(plant, judged(plant, questions, transforms))
    assert set(found) == {"retrieval"}
    assert "worse than the active one: nDCG@10 dense 1.000 -> 0." in found["retrieval"]


def test_vectors_shuffled_in_the_index_alone_are_refused(plant: GenerationHarness, questions: GoldenSet) -> None:
    def shuffle(name: str) -> None:
        with plant.pipeline.store.engine.begin() as connection:
            connection.execute(
                text("""
                UPDATE rag.embeddings e SET vector = o.vector FROM (
                    SELECT text_hash, lead(vector, 1, vector) OVER (ORDER BY text_hash) AS vector FROM rag.embeddings
                    WHERE embedder = :embedder) AS o
                WHERE o.text_hash = e.text_hash AND e.embedder = :embedder"""),
                {"embedder": plant.row(name).embedder},
            )

    found = failed(plant, judged(plant, questions, word_transforms(version="2"), shuffle))
    assert "vector_mismatch" in found["parity"]


def test_another_dimension_stops_the_build_and_is_refused(plant: GenerationHarness, questions: GoldenSet) -> None:
    flow = plant.pipeline
    transforms = word_transforms(version="2")
    row = declare(flow.store, flow.index, transforms, name="candidate", actor="ann")
    transforms.embedder._embed = lambda text: np.ones(32, np.float32)  # type: ignore[attr-defined]
    transforms.embedder.dimensions = 32  # type: ignore[misc]
    with pytest.raises(InvalidInput) as caught:
        build(flow.store, flow.index, transforms, row.name, flow.settings)
    assert caught.value.reason is Reason.VECTOR_DIM
    with flow.store.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE rag.generations SET state = 'ready' WHERE name = 'candidate'")
        # As if it held every document, or the gate would wait for them to arrive.
        connection.exec_driver_sql(
            "INSERT INTO rag.generation_documents (generation, doc_id, indexed_version)"
            " SELECT 'candidate', doc_id, version FROM rag.documents"
        )
    plant.transform_registry._others[key_of(transforms.generation_config)] = transforms
    evaluation = evaluate(flow.store, flow.index, plant.transform_registry, row.name, flow.settings, golden=[questions])
    assert "64 dimensions" in failed(plant, evaluation)["vectors"]


class _NoTables(Chunker):
    """The real chunker, blind to tables."""

    @property
    def fingerprint(self) -> str:
        return "no-tables"

    def chunk(self, doc_id: Any, document: Any) -> Any:
        tables = [block for block in document.blocks if block.kind is BlockKind.TABLE]
        made = super().chunk(doc_id, document)
        return [
            chunk
            for chunk in made
            if not any(table.start <= chunk.start and chunk.end <= table.end for table in tables)
        ]


def test_a_chunker_that_drops_tables_is_refused(plant: GenerationHarness, questions: GoldenSet) -> None:
    rows = "\n".join(f"| part {n} of the pump | shelf {n} | {n} pieces in stock |" for n in range(12))
    body = f"# Pump parts\n\n{manual('pump')}\n\n| part | shelf | stock |\n|---|---|---|\n{rows}\n"
    plant.pipeline.connector.put("parts.md", body, media_type="text/markdown")
    assert plant.run().balanced
    sound = word_transforms(version="2")
    blind = _NoTables(ChunkSettings(24, 0, 400), WordCounter())
    transforms = Transforms(lambda: sound.embedder, lambda: blind, sound.generation_config | {"chunk_overlap": 1})
    found = failed(plant, judged(plant, questions, transforms))
    assert "in table" in found["coverage"]
    assert "parts.md" in found["coverage"]


def test_an_edit_during_the_comparison_of_texts_and_chunks_is_no_loss(
    plant: GenerationHarness, questions: GoldenSet
) -> None:
    """Texts and chunks of one moment are compared, whatever is written between reading the two."""
    flow = plant.pipeline
    edited: list[str] = []

    def edit(connection: Connection, cursor: object, statement: str, *_: object) -> None:
        if not edited and "d.text, d.blocks, d.locator FROM rag.documents" in statement:
            edited.append(statement)
            flow.connector.put("pump.txt", "Pumps are gone.")
            assert plant.run().balanced

    event.listen(flow.store.engine, "after_cursor_execute", edit)
    try:
        evaluation = judged(plant, questions, word_transforms())
    finally:
        event.remove(flow.store.engine, "after_cursor_execute", edit)
    assert edited
    assert {check.name: check.detail for check in evaluation.checks if not check.passed}.get("coverage") is None


def test_too_few_golden_questions_cannot_tell_and_are_refused(plant: GenerationHarness) -> None:
    few = golden({f"where is the {topic}": f"{topic}.txt" for topic in TOPICS[:9]})
    found = failed(plant, judged(plant, few, word_transforms(version="2")))
    assert set(found) == {"retrieval"}
    assert "only 9 golden questions" in found["retrieval"]


def test_questions_about_documents_that_are_not_here_are_left_out(plant: GenerationHarness) -> None:
    bound = golden({"who": "pump.txt", "where": "nowhere.txt"}).bind(plant.pipeline.store)
    assert [question.gains for question in bound.questions] == [{"handbook/pump.txt": 1}]
    assert (bound.left_out, bound.acl) == (1, {"acme": ("everyone",)})
