"""Ask labelled sets that carry their answers, with and without the answering document in the index.

rag bench answers --data DIR            tables, and the weights a new fit would give
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.answers.fit import fit
from benchmarks.report import Cell, Progress, Report, Table
from benchmarks.retrieval.indexing import TENANT, chunk_corpus, fill
from benchmarks.vectors import VectorCache
from rag_core.access import EVERYONE
from rag_core.answering import Abstained, Answered, Citation, Question
from rag_core.answering.extractive import BIAS, WEIGHTS, Signs, decide, examine
from rag_core.chunking import open_chunker
from rag_core.documents import In, Not
from rag_core.embedding import Vectors, open_embedder
from rag_core.evaluation import Dataset, load_datasets
from rag_core.index import SearchRequest, VectorIndex
from rag_core.index.edge import EdgeIndex
from rag_core.settings import Settings

HITS = 10
COLUMNS = (
    "set", "questions", "answered", "answer in citations", "of those answered", "in the first", "citations",
    "valid", "abstained, document removed", "sentences embedded", "ms",
)  # fmt: skip


@dataclass(slots=True)
class Tally:
    """Counts over the questions of one set."""

    asked: int = 0
    answered: int = 0
    contained: int = 0
    first: int = 0
    citations: int = 0
    valid: int = 0
    abstained: int = 0
    sentences: int = 0
    """Embedded to compare meanings; their time is not in `seconds` when an earlier run has kept the vectors."""
    seconds: float = 0.0
    present: list[Signs] = field(default_factory=list)
    removed: list[Signs] = field(default_factory=list)


def run(settings: Settings, data: Path, *, max_queries: int | None = None, progress: Progress) -> Report:
    """Chunk, index and ask each set that has answers; the others are passed over."""
    datasets = [dataset for dataset in load_datasets(data, max_queries) if _answers(data, dataset)]
    embedder = open_embedder(settings)
    vectors = VectorCache(settings.home / "bench" / "vectors", embedder)
    tallies = {}
    try:
        for dataset in datasets:
            with tempfile.TemporaryDirectory(prefix="rag-bench-") as folder:
                index = EdgeIndex(folder)
                try:
                    fill(index, dataset, chunk_corpus(dataset, open_chunker(settings)), vectors, progress)
                    with asyncio.Runner() as runner:
                        asked = _ask(index, dataset, _answers(data, dataset), vectors)
                        tallies[dataset.name] = runner.run(asked)
                finally:
                    index.close()
    finally:
        vectors.close()
        embedder.close()
    rows = tuple(_row(name, tally) for name, tally in tallies.items())
    return Report(
        "bench answers", (Table("Extractive answers", COLUMNS, rows), _fit_table(tallies), _trade_table(tallies))
    )


async def _ask(index: VectorIndex, dataset: Dataset, answers: dict[str, list[str]], vectors: VectorCache) -> Tally:
    tally = Tally()
    texts = {document.id: document.text for document in dataset.documents}
    embedded = vectors.queries(list(dataset.queries.values()))

    async def embed(sentences: Sequence[str]) -> Vectors:
        tally.sentences += len(sentences)
        return vectors.passages(sentences)

    for (query, text), vector in zip(dataset.queries.items(), embedded, strict=True):
        hits = index.search(SearchRequest(TENANT, (EVERYONE,), HITS, text=text, vector=vector)).hits
        await _count_present(tally, Question(text, hits, vector, embed=embed), answers[query], texts)
        gone = Not(In("locator", tuple(dataset.judgements[query])))
        without = index.search(SearchRequest(TENANT, (EVERYONE,), HITS, text=text, vector=vector, filter=gone)).hits
        question = Question(text, without, vector, embed=embed)
        tally.removed.append(examine(question)[1])
        tally.abstained += isinstance(await decide(question), Abstained)
    return tally


async def _count_present(tally: Tally, question: Question, answers: list[str], texts: dict[str, str]) -> None:
    tally.asked += 1
    tally.present.append(examine(question)[1])
    started = time.perf_counter()
    outcome = await decide(question)
    tally.seconds += time.perf_counter() - started
    if not isinstance(outcome, Answered):
        return
    tally.answered += 1
    tally.citations += len(outcome.citations)
    for citation in outcome.citations:
        document = texts[question.hits[citation.rank].payload.locator]
        tally.valid += document[citation.start : citation.end] == citation.quote
    tally.contained += any(_holds(citation, answers) for citation in outcome.citations)
    tally.first += _holds(outcome.citations[0], answers)


def _holds(citation: Citation, answers: list[str]) -> bool:
    quote = _folded(citation.quote)
    return any(_folded(answer) in quote for answer in answers)


def _folded(text: str) -> str:
    return "".join(unicodedata.normalize("NFKC", text).lower().split())


def _row(name: str, tally: Tally) -> tuple[Cell, ...]:
    asked, answered = tally.asked, max(tally.answered, 1)
    return (
        name,
        asked,
        tally.answered / asked,
        tally.contained / asked,
        tally.contained / answered,
        tally.first / answered,
        tally.citations / answered,
        tally.valid / max(tally.citations, 1),
        tally.abstained / asked,
        tally.sentences / (2 * asked),
        tally.seconds / asked * 1000,
    )


def _fit_table(tallies: dict[str, Tally]) -> Table:
    present = np.array([signs for tally in tallies.values() for signs in tally.present])
    removed = np.array([signs for tally in tallies.values() for signs in tally.removed])
    weights, bias = fit(present, removed)
    rows: tuple[tuple[Cell, ...], ...] = (
        ("in use", *WEIGHTS, BIAS),
        ("fitted here (balanced)", *map(float, weights), float(bias)),
    )
    return Table("Weights of the signs", ("", *Signs._fields, "bias"), rows)


def _trade_table(tallies: dict[str, Tally]) -> Table:
    """Answering against abstaining when the threshold moves."""
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (name, threshold, _share(tally.present, threshold), _share(tally.removed, threshold))
        for name, tally in tallies.items()
        for threshold in (-1.0, -0.5, 0.0, 0.5, 1.0, 1.5)
    )
    return Table("Threshold", ("set", "threshold", "answers, document present", "answers, document removed"), rows)


def _share(signs: list[Signs], threshold: float) -> float:
    """The part of the questions that is answered at a threshold."""
    return float(np.mean(np.array(signs) @ np.array(WEIGHTS) + BIAS > threshold))


def _answers(data: Path, dataset: Dataset) -> dict[str, list[str]]:
    """The gold answers of a set by query id; empty when it has none."""
    return {query: answers for query, answers in _rows(data, dataset.name) if answers}


def _rows(data: Path, name: str) -> Iterator[tuple[str, list[str]]]:
    folder = data if data.name == name else data / name
    with (folder / "queries.jsonl").open(encoding="utf-8") as file:
        for line in filter(str.strip, file):
            row = json.loads(line)
            yield str(row["_id"]), row.get("answers") or []
