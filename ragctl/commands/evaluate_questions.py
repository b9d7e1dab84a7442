"""`rag evaluate runs|show|accept` and `questions|propose|take|reject`: what is compared with, and what is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, Literal

from rag_core.answering import evaluation
from rag_core.governance import audit
from ragctl.commands._shared import actor, transaction
from ragctl.commands.evaluate import Several, app, described, print_changes, print_figures
from ragctl.output import Json, emit, emit_json, say, table

if TYPE_CHECKING:
    from rag_core.answering.evaluation import StoredQuestion, Verdict
_WIDTH = 100


@app.command
def runs(*, tenant: str = "default", limit: int = 20, json: Json = False) -> None:
    """List the runs of a tenant's questions, the newest first.

    Example: rag evaluate runs

    Parameters
    ----------
    tenant
        Whose runs.
    limit
        So many at most.
    """
    with transaction() as connection:
        found = evaluation.run_store.newest(connection, tenant, limit)
    if json:
        emit_json([described(run) for run in found])
        return
    rows = [
        (run.id, run.at, run.name, run.origin, run.generation, f"{run.figures['satisfied']:.3f}",
         f"{run.figures['wrong']:.3f}", "worse" if run.worse else "", "accepted" if run.accepted else "")
        for run in found
    ]  # fmt: skip
    columns = ("run", "at", "questions", "by", "generation", "satisfied", "wrong", "", "")
    table(columns, rows, empty="no question was asked yet; `rag evaluate --questions FILE`")


@app.command
def show(run: int, /, *, tenant: str = "default", json: Json = False) -> None:
    """Show a run: its figures, and the questions that changed with the answers before and after.

    Example: rag evaluate show 17 --json

    Parameters
    ----------
    run
        Its number in the list.
    tenant
        Whose run.
    """
    with transaction() as connection:
        found = evaluation.run_store.get(connection, tenant, run)
        results = evaluation.run_store.results(connection, run)
        before = evaluation.run_store.results(connection, found.compared_with) if found.compared_with else []
    changed = [asdict(one) for one in evaluation.changes(before, results)]
    if json:
        emit_json({**described(found), "changes": changed, "results": evaluation.grading.as_dict(results)["results"]})
        return
    print_figures(described(found))
    if found.detail:
        say(f"\n{found.detail}")
    if found.compared_with:
        say(f"\nSince run {found.compared_with}:")
        print_changes(changed)


@app.command
def accept(run: int, /, *, reason: str, tenant: str = "default", json: Json = False) -> None:
    """Accept a run: later ones are compared with it. Use it when answers are worse for a good reason; it is audited.

    Example: rag evaluate accept 17 --reason "the handbook lost its old chapters"

    Parameters
    ----------
    run
        Its number in the list.
    reason
        Why; kept in the audit log.
    tenant
        Whose run.
    """
    with transaction() as connection:
        found = evaluation.run_store.accept(connection, tenant, run)
        details = {"reason": reason, "tenant": tenant}
        audit.audit_store.record(
            connection, actor=actor(), action="evaluation.accept", target=str(run), details=details
        )
    emit(described(found), f"later runs are compared with run {run}", json=json)


# --------------------------------------------------------------------------------------------------------------------
# Questions that feedback and headings propose.


@app.command
def questions(
    *,
    state: Literal["proposed", "accepted", "rejected"] = "proposed",
    tenant: str = "default",
    limit: int = 50,
    json: Json = False,
) -> None:
    """List proposed questions, or those that were accepted or rejected.

    Example: rag evaluate questions --state accepted

    Parameters
    ----------
    state
        proposed, accepted or rejected.
    tenant
        Whose questions.
    limit
        So many at most.
    """
    with transaction() as connection:
        found = evaluation.question_store.listed(connection, tenant, state=evaluation.Verdict(state), limit=limit)
    if json:
        emit_json([_as_dict(one) for one in found])
        return
    rows = [
        (one.id, one.origin.value, one.question[:_WIDTH], ", ".join(one.expected + one.patterns) or "-",
         ", ".join(one.sources) or "-", one.note[:_WIDTH])
        for one in found
    ]  # fmt: skip
    columns = ("id", "from", "question", "expected", "source", "said")
    table(columns, rows, empty=f"no question is {state}; `rag evaluate propose` makes some from headings")


@app.command
def propose(*, count: int = 20, source: str = "", tenant: str = "default", json: Json = False) -> None:
    """Propose questions from headings of stored documents; they carry the tag `generated` and wait to be accepted.

    Such a question only measures whether its document is found. Repeating it proposes others.

    Example: rag evaluate propose --count 50 --source handbook

    Parameters
    ----------
    count
        How many, at most.
    source
        Only documents of this source.
    tenant
        Whose documents.
    """
    with transaction() as connection:
        added = evaluation.propose_from_headings(connection, tenant, limit=count, source=source)
    emit(
        {"proposed": added},
        f"{added} questions proposed; `rag evaluate questions` lists them, `rag evaluate take ID` accepts one",
        json=json,
    )


@app.command
def take(
    question: int,
    /,
    *,
    expected: Several = None,
    pattern: Several = None,
    source: Several = None,
    tag: Several = None,
    tenant: str = "default",
    json: Json = False,
) -> None:
    """Accept a proposed question: `rag evaluate`, the daily evaluation and the promotion gate ask it from then on.

    Example: rag evaluate take 4 --expected "16 weeks" --source handbook/leave.md

    Parameters
    ----------
    question
        Its number in the list.
    expected
        Text that a right answer shows, instead of what was proposed; may be repeated.
    pattern
        RE2 pattern that a right answer matches, likewise.
    source
        Part of source/locator of the document that has it, likewise.
    tag
        Tag, likewise; `unanswerable` says that there is no answer.
    tenant
        Whose question.
    """
    changed = {"expected": expected or (), "patterns": pattern or (), "sources": source or (), "tags": tag or ()}
    _decide(question, evaluation.Verdict.ACCEPTED, tenant, changed, json=json)


@app.command
def reject(question: int, /, *, tenant: str = "default", json: Json = False) -> None:
    """Reject a proposed question: it is not proposed again as long as it is remembered.

    Example: rag evaluate reject 4

    Parameters
    ----------
    question
        Its number in the list.
    tenant
        Whose question.
    """
    _decide(question, evaluation.Verdict.REJECTED, tenant, {}, json=json)


def _decide(question: int, verdict: Verdict, tenant: str, changed: Mapping[str, Sequence[str]], *, json: bool) -> None:
    with transaction() as connection:
        found = evaluation.question_store.get(connection, tenant, question).completed(changed)
        evaluation.question_store.decide(connection, tenant, found, verdict, actor=actor())
        action = f"evaluation.question_{verdict.value}"
        audit.audit_store.record(
            connection, actor=actor(), action=action, target=str(question), details={"tenant": tenant}
        )
    decided = replace(found, state=verdict, decided_by=actor())
    emit(_as_dict(decided), f"question {question} is {verdict.value}: {decided.question}", json=json)


def _as_dict(question: StoredQuestion) -> dict[str, Any]:
    return {**asdict(question), "doc_ids": list(map(str, question.doc_ids))}
