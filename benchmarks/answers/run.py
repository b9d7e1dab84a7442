"""Ask labelled sets that carry their answers, with and without the answering document in the index.

rag bench answers --data DIR            a table for each set
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.answers import written
from benchmarks.answers.written import WrittenTally
from benchmarks.report import Cell, Progress, Report, Table
from benchmarks.retrieval.indexing import TENANT, chunk_corpus, fill
from benchmarks.vectors import VectorCache
from rag_core.access import EVERYONE
from rag_core.answering import Answered, Citation, Outcome, Question, open_answerer
from rag_core.answering.extractive import decide
from rag_core.chunking import open_chunker
from rag_core.documents import In, Not
from rag_core.embedding import Vectors, open_embedder
from rag_core.evaluation import Dataset, load_datasets
from rag_core.index import Hit, Place, SearchRequest, VectorIndex
from rag_core.index.edge import EdgeIndex
from rag_core.settings import Settings

HITS = 24
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


def run(settings: Settings, data: Path, *, max_queries: int | None = None, progress: Progress) -> Report:
    """Chunk, index and ask each set that has answers; the others are passed over. A configured model is asked too."""
    datasets = [dataset for dataset in load_datasets(data, max_queries) if _answers(data, dataset)]
    embedder = open_embedder(settings)
    vectors = VectorCache(settings.home / "bench" / "vectors", embedder)
    tallies, by_model = {}, {}
    try:
        for dataset in datasets:
            with tempfile.TemporaryDirectory(prefix="rag-bench-") as folder:
                index = EdgeIndex(folder)
                try:
                    fill(index, dataset, chunk_corpus(dataset, open_chunker(settings)), vectors, progress)
                    with asyncio.Runner() as runner:
                        asked = _ask(index, dataset, _answers(data, dataset), vectors)
                        tallies[dataset.name] = runner.run(asked)
                        if settings.answerer == "openai":
                            limit = max_queries or written.MAX_QUESTIONS
                            asked_model = _ask_model(settings, index, dataset, _answers(data, dataset), vectors, limit)
                            by_model[dataset.name] = runner.run(asked_model)
                finally:
                    index.close()
    finally:
        vectors.close()
        embedder.close()
    rows = tuple(_row(name, tally) for name, tally in tallies.items())
    tables = [Table("Extractive answers", COLUMNS, rows)]
    if by_model:
        rows_of_model = tuple(tally.row(name) for name, tally in by_model.items())
        tables.append(Table(f"{written.TITLE} {settings.answer_model}", written.COLUMNS, rows_of_model))
    return Report("bench answers", tuple(tables))


async def _ask_model(
    settings: Settings,
    index: VectorIndex,
    dataset: Dataset,
    answers: dict[str, list[str]],
    vectors: VectorCache,
    limit: int,
) -> WrittenTally:
    tally = WrittenTally()
    answerer = open_answerer(settings)
    queries = list(dataset.queries.items())[:limit]
    embedded = vectors.queries([text for _, text in queries])

    async def around(places: Sequence[Place]) -> tuple[Hit, ...]:
        wanted = SearchRequest(TENANT, (EVERYONE,), 1)
        return tuple(Hit(point.chunk_id, 0.0, point.payload) for point in index.around(wanted, places))

    try:
        for (query, text), vector in zip(queries, embedded, strict=True):
            hits = index.search(SearchRequest(TENANT, (EVERYONE,), HITS, text=text, vector=vector)).hits
            question = Question(text, hits, vector, around=around)
            await tally.ask(answerer, question, partial(_holds, answers=answers[query]))
    finally:
        await answerer.close()
    return tally


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
        tally.abstained += not _claims(await decide(question))
    return tally


async def _count_present(tally: Tally, question: Question, answers: list[str], texts: dict[str, str]) -> None:
    tally.asked += 1
    started = time.perf_counter()
    outcome = await decide(question)
    tally.seconds += time.perf_counter() - started
    if not isinstance(outcome, Answered) or not _claims(outcome):
        return
    tally.answered += 1
    tally.citations += len(outcome.citations)
    for citation in outcome.citations:
        document = texts[(*question.hits, *outcome.evidence)[citation.rank].payload.locator]
        tally.valid += document[citation.start : citation.end] == citation.quote
    tally.contained += any(_holds(citation, answers) for citation in outcome.citations)
    tally.first += _holds(outcome.citations[0], answers)


def _claims(outcome: object) -> bool:
    """Whether an answer is given, and not the closest passages or nothing."""
    return isinstance(outcome, Answered) and outcome.outcome is Outcome.ANSWERED


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


def _answers(data: Path, dataset: Dataset) -> dict[str, list[str]]:
    """The gold answers of a set by query id; empty when it has none."""
    return {query: answers for query, answers in _rows(data, dataset.name) if answers}


def _rows(data: Path, name: str) -> Iterator[tuple[str, list[str]]]:
    folder = data if data.name == name else data / name
    with (folder / "queries.jsonl").open(encoding="utf-8") as file:
        for line in filter(str.strip, file):
            row = json.loads(line)
            yield str(row["_id"]), row.get("answers") or []
