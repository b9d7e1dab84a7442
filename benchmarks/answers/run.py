"""Ask the extractive answerer what labelled sets and question files ask, fit its constants, and time it.

rag bench answers --data DIR                       labelled sets: with and without the document that answers
rag bench answers --questions FILE --tenant NAME   a file of questions, of the running stack's documents
rag bench answers --data DIR --questions FILE --tenant NAME --fit     fit on both, by cross-validation
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.answers import fitting, written
from benchmarks.answers.asked import Asked, answers_of, from_dataset, from_file, holds
from benchmarks.answers.corpus import Corpus
from benchmarks.answers.written import WrittenTally
from benchmarks.own_text import OwnText
from benchmarks.report import Cell, Progress, Report, Table, Target
from benchmarks.retrieval.indexing import TENANT, chunk_corpus, fill
from benchmarks.vectors import VectorCache
from rag_core.answering import Answered, Citation, Outcome, Question, open_answerer
from rag_core.answering.evaluation import Dataset, load_datasets
from rag_core.answering.evaluation.grading import Grade, Shown, grade
from rag_core.answering.evaluation.questions import EvaluationQuestion, load_questions
from rag_core.answering.extractive import decide
from rag_core.content.chunking import open_chunker
from rag_core.content.documents import In, Not
from rag_core.content.embedding import Embedder, open_embedder
from rag_core.database import open_store
from rag_core.governance.tenants import store as tenant_store
from rag_core.http_client import UNRESTRICTED, EgressPolicy
from rag_core.retrieval.engines import open_index
from rag_core.retrieval.engines.edge import EdgeIndex
from rag_core.settings import Settings

TIMED = 100
"""Questions of each set that are timed, with nothing embedded before."""
P95_SECONDS = 0.150
COLUMNS = (
    "set", "questions", "answered", "answer in citations", "of those answered", "in the first", "closest holds it",
    "citations", "valid", "removed: answered", "removed: closest", "removed: nothing",
)  # fmt: skip
_GRADES = tuple(known for known in Grade if known not in (Grade.FAILED, Grade.NOT_GRADED))


@dataclass(frozen=True, slots=True)
class Questions:
    """What to ask: labelled sets under `data`, and a file's questions of the tenants of the running stack."""

    data: Path | None = None
    file: Path | None = None
    tenants: tuple[str, ...] = ()
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class LabelledSet:
    """A set with its gold answers by query, in an index of its own."""

    dataset: Dataset
    answers: dict[str, list[str]]
    corpus: Corpus


@dataclass(slots=True)
class Tally:
    """Counts over the questions of one set."""

    asked: int = 0
    answered: int = 0
    contained: int = 0
    first: int = 0
    closest: int = 0
    citations: int = 0
    valid: int = 0
    removed: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("answered", "closest", "nothing"), 0))


def run(settings: Settings, asked: Questions, *, fit: bool, write: bool, progress: Progress) -> Report:
    """Ask everything; with `fit` only fit the constants."""
    with ExitStack() as stack:
        embedder = stack.enter_context(closing(open_embedder(settings)))
        folder = settings.home / "bench" / "vectors"
        vectors = stack.enter_context(closing(VectorCache(folder, OwnText(embedder))))
        corpora = {}
        if asked.file:
            index = stack.enter_context(closing(open_index(settings)))
            theirs = stack.enter_context(closing(VectorCache(folder, embedder)))
            corpora = {
                name: Corpus(index, name, theirs.queries, embedder, policy)
                for name, policy in _policies(settings, asked.tenants, embedder).items()
            }
        sets = _open_sets(stack, settings, asked, vectors, embedder, progress)
        if fit:
            return _fit(asked, sets, corpora, write=write, progress=progress)
        report = _measured(asked, sets, corpora, embedder)
        if settings.answerer != "openai":
            return report
        limit = asked.limit or written.MAX_QUESTIONS
        rows = tuple(asyncio.run(_ask_model(settings, known, limit)).row(name) for name, known in sets.items())
        return replace(
            report, tables=(*report.tables, Table(f"{written.TITLE} {settings.answer_model}", written.COLUMNS, rows))
        )


def _policies(settings: Settings, tenants: Sequence[str], embedder: Embedder) -> dict[str, EgressPolicy]:
    """Where the texts of the stack's tenants may go; without an endpoint nothing of them leaves."""
    if not embedder.remote:
        return dict.fromkeys(tenants, UNRESTRICTED)
    with closing(open_store(settings)) as store, store.engine.connect() as connection:
        return {name: tenant_store.egress_policy(connection, name, settings) for name in tenants}


async def _ask_model(settings: Settings, known: LabelledSet, limit: int) -> WrittenTally:
    tally, answerer = WrittenTally(), open_answerer(settings)
    try:
        for query, text in list(known.dataset.queries.items())[:limit]:
            await tally.ask(answerer, known.corpus.ask(text), partial(_holds, answers=known.answers[query]))
    finally:
        await answerer.close()
    return tally


def _open_sets(
    stack: ExitStack,
    settings: Settings,
    asked: Questions,
    vectors: VectorCache,
    embedder: Embedder,
    progress: Progress,
) -> dict[str, LabelledSet]:
    """The labelled sets that carry answers, each in an index of its own."""
    sets: dict[str, LabelledSet] = {}
    for dataset in load_datasets(asked.data, asked.limit) if asked.data else []:
        if asked.data and (answers := answers_of(asked.data, dataset)):
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="rag-bench-"))
            index = stack.enter_context(closing(EdgeIndex(folder)))
            fill(index, dataset, chunk_corpus(dataset, open_chunker(settings)), vectors, progress)
            sets[dataset.name] = LabelledSet(dataset, answers, Corpus(index, TENANT, vectors.queries, embedder))
    return sets


def _fit(
    asked: Questions, sets: dict[str, LabelledSet], corpora: dict[str, Corpus], *, write: bool,
    progress: Progress,
) -> Report:  # fmt: skip
    questions: list[Asked] = from_file(asked.file, corpora) if asked.file else []
    for known in sets.values():
        questions += from_dataset(known.dataset, known.answers, known.corpus)
    constants, tables = fitting.fit(questions, progress)
    notes = [fitting.written(constants)]
    if write:
        notes.append(f"written to {fitting.write(constants)}")
    return Report("bench answers --fit", tuple(tables), notes=tuple(notes))


def _measured(asked: Questions, sets: dict[str, LabelledSet], corpora: dict[str, Corpus], embedder: Embedder) -> Report:
    rows: list[tuple[Cell, ...]] = []
    graded: list[tuple[Cell, ...]] = []
    timed = []
    for name, known in sets.items():
        rows.append(_row(name, asyncio.run(_ask(known))))
        timed.append(_time(name, known.corpus, list(known.dataset.queries.values())[:TIMED], OwnText(embedder)))
    for name, corpus in corpora.items():
        questions = load_questions(asked.file, [name]) if asked.file else []
        graded.append((name, *_graded(questions, corpus)))
        timed.append(_time(name, corpus, [one.text for one in questions][:TIMED], embedder))
    tables = [
        Table("Labelled sets", COLUMNS, tuple(rows)),
        Table("Questions by pattern", ("tenant", "questions", *_GRADES), tuple(graded)),
        Table("Time of an answer, one at a time, nothing embedded before", _TIMES, tuple(row for row, _ in timed)),
    ]
    slowest = max((p95 for _, p95 in timed), default=0.0)
    target = Target("p95 of an answer", slowest, P95_SECONDS * 1000, "ms; two cores, one at a time, warm")
    return Report("bench answers", tuple(table for table in tables if table.rows), (target,))


# --------------------------------------------------------------------------------------------------------------------
# Labelled sets.


async def _ask(known: LabelledSet) -> Tally:
    tally, dataset, corpus = Tally(), known.dataset, known.corpus
    texts = {document.id: document.text for document in dataset.documents}
    for query, text in dataset.queries.items():
        await _count_present(tally, corpus.ask(text), known.answers[query], texts)
        gone = Not(In("locator", tuple(dataset.judgements[query])))
        tally.removed[_claims(await decide(corpus.ask(text, gone)))] += 1
    return tally


async def _count_present(tally: Tally, question: Question, answers: list[str], texts: dict[str, str]) -> None:
    tally.asked += 1
    outcome = await decide(question)
    if not isinstance(outcome, Answered):
        return
    if outcome.outcome is not Outcome.ANSWERED:
        tally.closest += any(_cites(outcome, at, answers) for at in range(min(2, len(outcome.excerpts))))
        return
    tally.answered += 1
    own = {number for excerpt in outcome.excerpts if not excerpt.further for number in excerpt.citations}
    cited = [citation for citation in outcome.citations if citation.number in own]
    tally.citations += len(cited)
    for citation in cited:
        document = texts[(*question.hits, *outcome.evidence)[citation.rank].payload.locator]
        tally.valid += document[citation.start : citation.end] == citation.quote
    tally.contained += any(_holds(citation, answers) for citation in cited)
    tally.first += _holds(outcome.citations[0], answers)


def _cites(outcome: Answered, at: int, answers: list[str]) -> bool:
    return any(_holds(outcome.citations[number - 1], answers) for number in outcome.excerpts[at].citations)


def _claims(outcome: object) -> str:
    if not isinstance(outcome, Answered):
        return "nothing"
    return "answered" if outcome.outcome is Outcome.ANSWERED else "closest"


def _holds(citation: Citation, answers: list[str]) -> bool:
    return holds(citation.quote, answers)


def _row(name: str, tally: Tally) -> tuple[Cell, ...]:
    asked, answered = tally.asked, max(tally.answered, 1)
    return (
        name,
        asked,
        tally.answered / asked,
        tally.contained / asked,
        tally.contained / answered,
        tally.first / answered,
        tally.closest / asked,
        tally.citations / answered,
        tally.valid / max(tally.citations, 1),
        *(count / asked for count in tally.removed.values()),
    )


# --------------------------------------------------------------------------------------------------------------------
# Question files and time.


def _graded(questions: Sequence[EvaluationQuestion], corpus: Corpus) -> tuple[int, ...]:
    grades = []
    for one in questions:
        outcome = asyncio.run(decide(corpus.ask(one.text)))
        places = [excerpt.markdown for excerpt in outcome.excerpts] if isinstance(outcome, Answered) else []
        grades.append(grade(one, Shown(_claims(outcome)), places))
    return (len(grades), *(grades.count(known) for known in _GRADES))


_TIMES = (
    "set", "questions", "retrieve p50 ms", "answer p50 ms", "whole p50 ms", "whole p95 ms", "processor p50 ms",
    "processor p95 ms",
)  # fmt: skip


def _time(name: str, corpus: Corpus, texts: Sequence[str], embedder: Embedder) -> tuple[tuple[Cell, ...], float]:
    """Milliseconds of retrieval and of an answer with the real model, by the clock and of all cores together.

    On two idle cores an answer takes little more than half of its processor time; on a loaded machine only that says
    anything.
    """
    fresh = replace(corpus, queries=embedder.embed_queries, tokens=embedder)
    asyncio.run(decide(fresh.ask(texts[0])))
    rows = []
    for text in texts:
        began, used = time.perf_counter(), time.process_time()
        question = fresh.ask(text)
        found = time.perf_counter()
        asyncio.run(decide(question))
        ended = time.perf_counter()
        rows.append((found - began, ended - found, ended - began, time.process_time() - used))
    half, most = np.percentile(np.array(rows) * 1000, [50, 95], axis=0)
    shown = (half[0], half[1], half[2], most[2], half[3], most[3])
    return (name, len(texts), *(round(float(one), 1) for one in shown)), float(most[2])
