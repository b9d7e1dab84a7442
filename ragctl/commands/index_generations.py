"""`rag index`: list generations, build one behind the active one, evaluate it, and promote it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from rag_core.errors import Conflict, InvalidInput, Reason
from rag_core.ingestion import promotion, source_status
from ragctl.commands._shared import actor, open_pipeline
from ragctl.commands.index import app
from ragctl.output import Json, emit, emit_json, note, progress_bar, say, table

if TYPE_CHECKING:
    from rag_core.ingestion.generations import DocumentTotals, Generation
    from rag_core.ingestion.pipeline import Pipeline
    from rag_core.ingestion.promotion import Forecast, GateEvaluation, PromotionResult
_NICE = 10
"""Processor priority of a build: below every process that serves requests."""
Flag = Annotated[bool, Parameter(negative="")]


@app.command
def generations(name: str | None = None, /, *, json: Json = False) -> None:
    """List the generations, or show one in full: settings, counts, actor, reason and the results of the promotion gate.

    Example: rag index generations

    Parameters
    ----------
    name
        Generation to show in full.
    """
    from rag_core.ingestion.generations import store as rows_of

    with open_pipeline() as pipeline, pipeline.store.engine.connect() as connection:
        rows = [rows_of.get(connection, name)] if name else rows_of.all_of(connection)
        totals = rows_of.document_totals(connection)
    if json:
        emit_json([_as_json(row, totals[row.name]) for row in rows])
    elif name:
        _print_row(rows[0], totals[name])
    else:
        columns = ("name", "state", "documents", "pending", "chunk tokens", "embedder", "gate", "promoted")
        table(columns, [_line(row, totals[row.name]) for row in rows], empty="no generation yet")


@app.command
def build(
    *,
    set_: Annotated[list[str] | None, Parameter(name="--set")] = None,
    name: str | None = None,
    reason: str = "",
    yes: Flag = False,
    dry_run: Flag = False,
    declare_only: Flag = False,
    json: Json = False,
) -> None:
    """Build a generation beside the active one. Searches continue and changes reach both. Run again to resume.

    Prints a forecast first and asks for confirmation above RAG_BUILD_CONFIRM_TEXTS or RAG_BUILD_CONFIRM_COST.

    Example: rag index build --set chunk_tokens=300 --reason "longer chunks"

    Parameters
    ----------
    set_
        Override a setting of this installation, as name=value; may be repeated.
    name
        Name of the generation. Default: derived from embedder and chunker.
    reason
        Why it is built; stored with the generation.
    yes
        Accept the forecast without asking.
    dry_run
        Only print the forecast.
    declare_only
        Only declare the generation; Dagster builds it (sensor `generation_builds`).
    """
    from rag_core.ingestion.generations import changed

    with open_pipeline() as pipeline:
        settings = pipeline.settings
        transforms = pipeline.transform_registry.for_settings(changed(settings, _changes(set_ or [])))
        expected = promotion.forecast(pipeline.store, transforms, settings)
        if not json:
            _print_forecast(expected)
        if dry_run:
            if json:
                emit_json({"forecast": expected.to_json()})
            return
        expected.require_consent(settings, consent=yes or _agreed(expected, pipeline, asked=not json))
        row = promotion.declare(pipeline.store, pipeline.index, transforms, name=name, actor=actor(), reason=reason)
        result: dict[str, Any] = {"generation": row.name, "state": row.state}
        if not declare_only:
            _be_nice()
            with progress_bar(f"building {row.name}") as progress:
                report = promotion.build(
                    pipeline.store, pipeline.index, transforms, row.name, settings, progress=progress
                )
            result |= {field: getattr(report, field) for field in report.__slots__}
    if json:
        emit_json({"forecast": expected.to_json(), **result})
    elif declare_only:
        say(f"{row.name}: declared; Dagster builds it")
    else:
        say(f"{row.name}: {report.state}, {report.total} documents")
        say(f"of this command: {report.documents} documents, {report.embedded} texts embedded")
        say(f"{report.seconds:.0f} s, of which {report.paused_seconds:.0f} s paused for searches")


@app.command
def evaluate(name: str, /, *, json: Json = False) -> int:
    """Run the promotion gate: parity, coverage, vectors, retrieval, latency, size. Exits with 1 when it fails.

    Example: rag index evaluate g-2f6c0b7f1d3a9e55
    """
    with open_pipeline() as pipeline, progress_bar("judging") as progress:
        evaluation = promotion.evaluate(
            pipeline.store,
            pipeline.index,
            pipeline.transform_registry,
            name,
            pipeline.settings,
            actor=actor(),
            progress=progress,
        )
    emit_json(evaluation.to_json()) if json else _print_evaluation(evaluation)
    return int(not evaluation.passed)


@app.command
def promote(name: str, /, *, reason: str = "", override: str = "", json: Json = False) -> None:
    """Switch searches to a generation that passed the gate. Every query server uses it from its next search on.

    Example: rag index promote g-2f6c0b7f1d3a9e55 --reason "better answers about invoices"

    Parameters
    ----------
    reason
        Kept in the audit.
    override
        Reason to promote although the gate failed or has not run. Recorded in the audit log.
    """
    from rag_core.ingestion.promotion import promote as run

    with open_pipeline() as pipeline:
        promotion = run(
            pipeline.store, pipeline.index, name, pipeline.settings, actor=actor(), reason=reason, override=override
        )
    _print_promotion(promotion, json=json)


@app.command
def rollback(*, reason: str = "", json: Json = False) -> None:
    """Switch searches back to the previous generation. It was kept up to date, so nothing is lost.

    Example: rag index rollback --reason "answers got worse"

    Parameters
    ----------
    reason
        Kept in the audit.
    """
    from rag_core.ingestion.promotion import rollback as run

    with open_pipeline() as pipeline:
        promotion = run(pipeline.store, pipeline.index, pipeline.settings, actor=actor(), reason=reason)
    _print_promotion(promotion, json=json)


@app.command
def retire(name: str, /, *, reason: str = "", now: Flag = False, json: Json = False) -> None:
    """Retire a generation that serves no searches: its files are deleted, its row stays as history.

    Example: rag index retire g-2f6c0b7f1d3a9e55

    Parameters
    ----------
    reason
        Kept in the audit.
    now
        Retire it even within its grace period; there is no rollback to it afterwards.
    """
    with open_pipeline() as pipeline:
        promotion.retire(pipeline.store, pipeline.index, name, actor=actor(), reason=reason, now=now)
    emit({"generation": name, "state": "retired"}, f"{name}: retired", json=json)


def _changes(pairs: list[str]) -> dict[str, str]:
    changes = {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not separator:
            raise InvalidInput(Reason.FIELD_INVALID, f"--set {pair}: expected name=value")
        changes[name.strip().lower().removeprefix("rag_")] = value
    return changes


def _agreed(expected: Forecast, pipeline: Pipeline, *, asked: bool) -> bool:
    """Ask on a terminal when confirmation is needed; without a terminal the build is refused."""
    import sys

    try:
        expected.require_consent(pipeline.settings, consent=False)
    except Conflict:
        if not (asked and sys.stdin.isatty()):
            return False
        note("Build it? [y/N]")
        return input().strip().lower() in {"y", "yes"}
    return True


def _be_nice() -> None:
    import os

    os.nice(_NICE)


def _as_json(row: Generation, totals: DocumentTotals) -> dict[str, Any]:
    return {field: getattr(row, field) for field in row.__slots__} | asdict(totals)


def _line(row: Generation, totals: DocumentTotals) -> list[object]:
    result = "-" if row.evaluation is None else "passed" if row.evaluation["passed"] else "refused"
    promoted = row.promoted_at.isoformat(sep=" ", timespec="minutes") if row.promoted_at else "-"
    state = f"{row.state} (frozen)" if row.not_reproducible else row.state
    tokens = row.settings.get("chunk_tokens", "?")
    embedder = row.settings.get("embed_model") or row.settings.get("embed_network") or row.embedder[:12]
    return [row.name, state, totals.documents, totals.pending, tokens, embedder, result, promoted]


def _print_row(row: Generation, totals: DocumentTotals) -> None:
    shown = _as_json(row, totals)
    evaluation = shown.pop("evaluation")
    table(("field", "value"), [(field, value) for field, value in shown.items() if value not in (None, "", {})])
    if evaluation:
        say()
        _print_checks((one["name"], one["passed"], one["detail"]) for one in evaluation["checks"])


def _print_forecast(expected: Forecast) -> None:
    about = "" if expected.exact else "about "
    say(f"{expected.documents} documents make {about}{expected.chunks} chunks of {about}{expected.texts} texts")
    say(f"{expected.cached} have a vector; {about}{expected.to_embed} must be embedded, {expected.tokens} tokens")
    cost = f", cost {expected.cost:.2f}" if expected.cost else ""
    lasts = source_status.duration(expected.seconds)
    say(f"about {lasts} alone on this machine{cost}; longer while searches are served")


def _print_evaluation(evaluation: GateEvaluation) -> None:
    against = f", against {evaluation.baseline}" if evaluation.baseline else ""
    say(f"{evaluation.generation}: {'passed' if evaluation.passed else 'REFUSED'}{against}")
    say()
    _print_checks((check.name, check.passed, check.detail) for check in evaluation.checks)


def _print_checks(checks: Iterable[tuple[str, bool, str]]) -> None:
    table(("check", "", "found"), [(name, "ok" if passed else "FAILED", detail) for name, passed, detail in checks])


def _print_promotion(promotion: PromotionResult, *, json: bool) -> None:
    if json:
        emit_json({field: getattr(promotion, field) for field in promotion.__slots__})
        return
    say(f"readers are on {promotion.active}, before on {promotion.before or 'none'}; {promotion.seconds:.2f} s")
    if promotion.pending:
        say(f"{promotion.pending} documents changed just now; the next run of their source brings them")
