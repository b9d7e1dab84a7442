"""Answers to the owners' questions: the check of the gate, and the evaluation of the active generation.

A candidate is compared with the active generation, both asked now, so that documents which changed meanwhile count for
neither. When the answerer has changed since the accepted run, or the active generation cannot be asked any more, it is
compared with that run instead, so that a worse answerer is no excuse for itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from rag_core.answering import answerer_fingerprint
from rag_core.answering.evaluation import Comparison, Result, Run, compare, grading, run_store
from rag_core.database import Store
from rag_core.errors import Conflict, Reason
from rag_core.governance.tenants import store as tenants
from rag_core.ingestion.generations import Generation, TransformRegistry
from rag_core.ingestion.generations import store as generations
from rag_core.ingestion.pipeline import Progress
from rag_core.ingestion.promotion.asking import Asker, OwnQuestions, load_own_questions
from rag_core.ingestion.promotion.checks import CheckResult
from rag_core.retrieval.index import VectorIndex
from rag_core.settings import Settings

NO_QUESTIONS = (
    "there are no questions of your own, so answers were not compared and nothing is refused for them"
    " (docs/how-to/evaluate-answers.md)"
)


MAX_TENANTS_SHOWN = 5


@dataclass(frozen=True, slots=True)
class QuestionRunner:
    """The rows, index, transforms and settings with which questions are asked."""

    store: Store
    index: VectorIndex
    registry: TransformRegistry
    settings: Settings

    def ask(self, row: Generation, own: OwnQuestions, progress: Progress | None = None) -> list[Result]:
        """The questions, asked of a generation."""
        embedder = self.registry.for_generation(row).embedder
        with self.store.engine.connect() as connection:
            egress = tenants.egress_policy(connection, own.tenant, self.settings)
        return Asker(self.index, row.name, embedder, self.settings, egress).ask(own, progress)

    def keep(self, run: Run, results: Sequence[Result]) -> Run:
        """Store a run of a tenant's own questions."""
        with self.store.engine.begin() as connection:
            return run_store.add(connection, run, results, keep=self.settings.evaluation_keep_runs)


def compare_answers(here: QuestionRunner, row: Generation, baseline: Generation | None, *, actor: str) -> CheckResult:
    """The check of the gate: refuse a generation that answers the owners' questions worse, of any tenant."""
    asked = load_own_questions(here.store, here.settings)
    if not asked:
        return CheckResult("answers", True, NO_QUESTIONS, {"questions": 0})
    every: list[Result] = []
    said: list[tuple[bool, str]] = []
    for own in asked:
        results = here.ask(row, own)
        before, against = _before(here, own, baseline)
        compared = compare(before, results, here.settings.gate_answer_tolerance) if against else None
        run = _run(here, own, row, results, "gate", actor, compared, against)
        here.keep(run, results)
        every += results
        said.append((run.worse, f"{own.tenant}: {run.detail}"))
    worse = [text for refused, text in said if refused]
    shown = (worse or [text for _, text in said])[:MAX_TENANTS_SHOWN]
    pooled = grading.figures(every)
    figures: dict[str, Any] = {name: getattr(pooled, name) for name in ("questions", *grading.LIMITED)}
    figures |= {"tenants": len(asked), "worse_tenants": len(worse)}
    known = {name: value for name, value in figures.items() if value is not None}
    return CheckResult("answers", not worse, "; ".join(shown), known)


def _before(here: QuestionRunner, own: OwnQuestions, baseline: Generation | None) -> tuple[list[Result], str]:
    """The results to compare with, and what they are of; empty when there is nothing to compare with."""
    with here.store.engine.connect() as connection:
        accepted = run_store.accepted(connection, own.tenant)
        known = run_store.results(connection, accepted.id) if accepted is not None else []
    if accepted is not None and accepted.answerer != answerer_fingerprint(here.settings):
        return known, f"the accepted run {accepted.id}, of another answerer"
    if baseline is not None and here.registry.can_reproduce(baseline):
        return here.ask(baseline, own), f"the active generation {baseline.name}"
    return known, f"the accepted run {accepted.id}" if accepted is not None else ""


def evaluate_active(
    here: QuestionRunner, *, actor: str, origin: str = "schedule", progress: Progress | None = None
) -> list[Run]:
    """Ask every tenant's questions of the active generation and compare with the run that was accepted.

    A run that is no worse becomes the accepted one when it satisfies as many, so that small steps down do not add up.
    Raises `Conflict` (`GENERATION_STATE`) while no generation is active.
    """
    with here.store.engine.connect() as connection:
        row = generations.active(connection)
    if row is None:
        raise Conflict(Reason.GENERATION_STATE, "no generation is active; ingest a source first")
    made = []
    for own in load_own_questions(here.store, here.settings):
        results = here.ask(row, own, progress)
        with here.store.engine.connect() as connection:
            accepted = run_store.accepted(connection, own.tenant)
            before = run_store.results(connection, accepted.id) if accepted else []
        compared = compare(before, results, here.settings.gate_answer_tolerance) if accepted else None
        against = f"the accepted run {accepted.id}" if accepted else ""
        run = replace(
            _run(here, own, row, results, origin, actor, compared, against),
            compared_with=accepted.id if accepted else None,
            accepted=compared is None or _as_good(compared),
        )
        made.append(here.keep(run, results))
    return made


def _as_good(compared: Comparison) -> bool:
    return all(measure.now >= measure.before for measure in compared.measures)


def _run(
    here: QuestionRunner,
    own: OwnQuestions,
    row: Generation,
    results: Sequence[Result],
    origin: str,
    actor: str,
    compared: Comparison | None,
    against: str,
) -> Run:
    kept = grading.as_dict(results)
    shown = grading.figures(results)
    summary = f"{shown.satisfied:.3f} satisfied, {shown.wrong:.3f} wrong of {shown.graded} questions"
    if compared is None:
        detail = f"{summary}; nothing to compare with"
    else:
        verdict = "worse than" if compared.worse else "no worse than"
        detail = f"{verdict} {against}: {compared}"
    return Run(
        own.tenant,
        origin,
        actor,
        "own questions",
        run_store.OWN,
        row.name,
        answerer_fingerprint(here.settings),
        here.settings.default_top_k,
        kept["figures"],
        kept["tags"],
        worse=bool(compared and compared.worse),
        detail=detail,
    )
