"""The promotion gate: checks that must pass before a generation is promoted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from rag_core import failpoints
from rag_core.database import Store
from rag_core.errors import Conflict, DeadlineExceeded, RagError, Reason, Unavailable
from rag_core.governance.audit import audit_store as audit
from rag_core.governance.tenants import store as tenants
from rag_core.ingestion.generations import Generation, TransformRegistry
from rag_core.ingestion.generations import store as generations
from rag_core.ingestion.pipeline import Progress
from rag_core.ingestion.promotion import checks
from rag_core.ingestion.promotion.answers import QuestionRunner, compare_answers
from rag_core.ingestion.promotion.checks import CheckedGeneration, CheckResult
from rag_core.ingestion.promotion.golden import GoldenSet, bound_questions
from rag_core.ingestion.promotion.retrieval import Scoring, compare_latency, compare_retrieval, score
from rag_core.ingestion.verify import VerifyReport
from rag_core.retrieval.index import VectorIndex
from rag_core.settings import Settings

CHECKS = ("parity", "recall", "coverage", "vectors", "retrieval", "answers", "latency", "size")


@dataclass(frozen=True, slots=True)
class GateEvaluation:
    """The gate's result for a generation, compared with the generation active at that time (`baseline`)."""

    generation: str
    baseline: str | None
    checks: tuple[CheckResult, ...]
    at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def passed(self) -> bool:
        return all(check.passed for check in self.checks)

    def to_json(self) -> dict[str, Any]:
        return {
            "generation": self.generation,
            "baseline": self.baseline,
            "passed": self.passed,
            "at": self.at.isoformat(timespec="seconds"),
            "checks": [asdict(check) for check in self.checks],
        }


def evaluate(
    store: Store,
    index: VectorIndex,
    registry: TransformRegistry,
    name: str,
    settings: Settings,
    *,
    golden: Sequence[GoldenSet] | None = None,
    actor: str = "pipeline",
    progress: Progress | None = None,
) -> GateEvaluation:
    """Run every check on a generation and store the result with it; a promotion reads it.

    `golden` replaces the configured golden sets. A check that cannot run (a missing model, a damaged collection) has
    failed, with the reason. An outage is not a result: it raises `Unavailable` or `DeadlineExceeded`, and nothing is
    stored. Raises `NotFound`, and `Conflict` (`GENERATION_STATE`) unless the generation is ready or active.
    """
    with store.engine.connect() as connection:
        row = generations.get(connection, name)
        active = generations.active(connection)
    if not row.complete:
        raise Conflict(Reason.GENERATION_STATE, f"generation {name} is {row.state}; it must be ready")
    baseline = None if active is None or active.name == name else active
    run = _Gate(store, index, registry, row, baseline, settings, golden, progress, actor)
    evaluation = GateEvaluation(name, baseline.name if baseline else None, tuple(run.checks()))
    failpoints.reach("before_judgement_kept")
    with store.engine.begin() as connection:
        values = {"evaluation": evaluation.to_json(), "evaluation_wanted_at": None}
        generations.change(connection, name, **values)
        details = {
            "passed": evaluation.passed,
            "failed": [check.name for check in evaluation.checks if not check.passed],
        }
        audit.record(connection, actor=actor, action="index.evaluate", target=name, details=details)
    return evaluation


def request_evaluation(store: Store, name: str, *, actor: str) -> None:
    """Request the gate; a sensor runs it. Raises `NotFound`, and `Conflict` (`GENERATION_STATE`) unless ready."""
    with store.engine.begin() as connection:
        row = generations.get(connection, name)
        if not row.complete:
            raise Conflict(Reason.GENERATION_STATE, f"generation {name} is {row.state}; it must be ready")
        generations.change(connection, name, evaluation_wanted_at=generations.NOW)
        audit.record(connection, actor=actor, action="index.want_evaluation", target=name, details={})


class _Gate:
    """One evaluation of a generation."""

    def __init__(
        self,
        store: Store,
        index: VectorIndex,
        registry: TransformRegistry,
        row: Generation,
        baseline: Generation | None,
        settings: Settings,
        golden: Sequence[GoldenSet] | None,
        progress: Progress | None,
        actor: str,
    ) -> None:
        self._store, self._index, self._registry, self._settings = store, index, registry, settings
        self._row, self._baseline = row, baseline
        self._golden, self._progress, self._actor = golden, progress, actor
        self._scored: tuple[Scoring, Scoring | None] | None = None

    def checks(self) -> list[CheckResult]:
        """Run all checks in the order of `CHECKS`, also after one has failed."""
        by_name: dict[str, Callable[[], CheckResult]] = {
            "parity": lambda: checks.parity(self._candidate, self._report),
            "recall": lambda: checks.recall(self._report),
            "coverage": lambda: checks.coverage(self._candidate),
            "vectors": lambda: checks.vectors(self._candidate, self._registry.for_generation(self._row).embedder),
            "retrieval": self._retrieval,
            "answers": self._answers,
            "latency": self._latency,
            "size": lambda: checks.size(self._candidate, self._baseline),
        }
        made = []
        for number, name in enumerate(CHECKS):
            made.append(_summary(name, by_name[name]))
            if self._progress is not None:
                self._progress(number + 1, len(CHECKS))
        return made

    @property
    def _candidate(self) -> CheckedGeneration:
        return CheckedGeneration(self._store, self._index, self._row, self._settings)

    @cached_property
    def _report(self) -> VerifyReport:
        return checks.verified(self._candidate)

    def _retrieval(self) -> CheckResult:
        ours, theirs = self._scores()
        return compare_retrieval(ours, theirs, self._settings.gate_tolerance)

    def _answers(self) -> CheckResult:
        here = QuestionRunner(self._store, self._index, self._registry, self._settings)
        return compare_answers(here, self._row, self._baseline, actor=self._actor)

    def _latency(self) -> CheckResult:
        ours, theirs = self._scores()
        return compare_latency(self._index, ours, theirs)

    def _scores(self) -> tuple[Scoring, Scoring | None]:
        if self._scored is None:
            if self._golden is None:
                bound = bound_questions(self._store, self._settings)
            else:
                bound = [one.bind(self._store) for one in self._golden]
            with self._store.engine.connect() as connection:
                policy = tenants.directory(connection, self._settings).policy
            embedder = self._registry.for_generation(self._row).embedder
            ours = score(self._index, self._row.name, embedder, bound, policy)
            theirs = None
            if self._baseline is not None and self._registry.can_reproduce(self._baseline):
                theirs = score(
                    self._index,
                    self._baseline.name,
                    self._registry.for_generation(self._baseline).embedder,
                    bound,
                    policy,
                )
            self._scored = (ours, theirs)
        return self._scored


def _summary(name: str, check: Callable[[], CheckResult]) -> CheckResult:
    try:
        return check()
    except RagError as error:
        if isinstance(error, Unavailable | DeadlineExceeded):
            raise
        return CheckResult(
            name, passed=False, detail=f"{error.reason}: {error.message}", figures={"reason": str(error.reason)}
        )
