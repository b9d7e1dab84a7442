"""Answers to the owners' questions, graded every day and on request."""

# No postponed annotations: Dagster reads the type of `context` at definition.

from collections.abc import Iterator, Sequence

import dagster as dg

from rag_assets.lib.failures import RETRY, typed_failures
from rag_core.answering.evaluation import Run
from rag_core.ingestion.pipeline import Pipeline
from rag_core.ingestion.promotion import NO_QUESTIONS, QuestionRunner, evaluate_active

GROUP = "evaluation"
NOT_WORSE = "answers_not_worse"


@dg.asset(
    key_prefix=GROUP,
    group_name=GROUP,
    kinds={"qdrant", "postgres"},
    retry_policy=RETRY,
    check_specs=[
        dg.AssetCheckSpec(
            NOT_WORSE,
            asset=dg.AssetKey([GROUP, "answers"]),
            blocking=True,
            description="For no tenant are its own questions answered worse than in the run that was accepted last.",
        )
    ],
)
def answers(
    context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]
) -> Iterator[dg.MaterializeResult[None]]:
    """The questions of every tenant (files, and accepted ones), asked of the active generation and graded.

    A change of documents, answerer or settings that made answers worse fails the check. The promotion gate asks the
    same questions of a new generation before readers get it.
    """
    with typed_failures():
        here = QuestionRunner(pipeline.store, pipeline.index, pipeline.transform_registry, pipeline.settings)
        runs = evaluate_active(here, actor=f"dagster:{context.run.run_id[:8]}")
    yield dg.MaterializeResult(metadata=_figures(runs), check_results=[_check(runs)])


def _figures(runs: Sequence[Run]) -> dict[str, dg.MetadataValue]:
    questions = sum(run.figures["questions"] for run in runs)
    graded = max(1, sum(run.figures["graded"] for run in runs))
    shares = {
        name: sum(run.figures[name] * run.figures["graded"] for run in runs) / graded for name in ("satisfied", "wrong")
    }
    rows = [dg.TableRecord(_row(run)) for run in runs]
    return {
        "questions": dg.MetadataValue.int(questions),
        **({name: dg.MetadataValue.float(share) for name, share in shares.items()} if runs else {}),
        **({"tenants": dg.MetadataValue.table(rows)} if rows else {}),
    }


def _row(run: Run) -> dict[str, str | int | float | bool]:
    return {
        "tenant": run.tenant,
        "run": run.id,
        "questions": run.figures["questions"],
        "satisfied": round(run.figures["satisfied"], 4),
        "wrong": round(run.figures["wrong"], 4),
        "worse": run.worse,
        "accepted": run.accepted,
    }


def _check(runs: Sequence[Run]) -> dg.AssetCheckResult:
    worse = [run for run in runs if run.worse]
    said = "; ".join(f"{run.tenant}: {run.detail}" for run in worse or runs) or NO_QUESTIONS
    if worse:
        said += "; `rag evaluate accept RUN --reason …` accepts it"
    return dg.AssetCheckResult(
        check_name=NOT_WORSE, passed=not worse, description=said[:2000], metadata={"worse_tenants": len(worse)}
    )
