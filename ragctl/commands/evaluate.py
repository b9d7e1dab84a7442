"""`rag evaluate`: the questions of a corpus's owners, asked of the running stack."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from rag_core import answering, database
from rag_core.answering import evaluation
from rag_core.errors import InvalidInput, Reason
from rag_core.ingestion import promotion
from ragctl.commands.query import resumed
from ragctl.grpc_client import query_stub
from ragctl.output import Json, emit_json, note, progress_bar, say, table

if TYPE_CHECKING:
    from rag_core.answering.evaluation import EvaluationQuestion, Result, Run, Shown
    from rag_core.database import Store
    from rag_core.settings import Settings
    from ragproto.query.v2 import query_pb2


app = App(
    name="evaluate",
    help="Ask your own questions of the running stack and grade the answers; keep and propose questions.\n\n"
    "Example: rag evaluate --questions questions.yaml",
    help_format="plaintext",
)
Several = Annotated[list[str] | None, Parameter(negative="")]
Flag = Annotated[bool, Parameter(negative="")]
_SHOWN = 5


@app.default
def evaluate(
    *, questions: Path | None = None, tag: Several = None, top_k: int | None = None, tenant: str = "default",
    at_least: Several = None, at_most: Several = None, not_worse: Flag = False, json: Json = False,
) -> int:  # fmt: skip
    """Ask questions of the running stack and grade retrieval and answers, by tag and against the last run.

    Each run is kept in PostgreSQL; the console shows it. Exits with 1 when a limit is not met. The layout of the file
    is in docs/how-to/evaluate-answers.md.

    Example: rag evaluate --questions questions.yaml --at-least satisfied=0.6 --at-most wrong=0.1

    Parameters
    ----------
    questions
        YAML or JSONL: question, expected text or pattern, source, tags. Without it the tenant's own questions are
        asked, as the promotion gate does: the files in RAG_QUESTIONS_DIR, and the proposed ones that were accepted.
    tag
        Only questions with this tag; repeated, with all of them.
    top_k
        How many passages to retrieve; recall counts among them. As many as a request gets (RAG_DEFAULT_TOP_K) unless
        given.
    tenant
        Whose documents to ask.
    at_least
        NAME=SHARE that must be reached: satisfied, recall or ndcg; may be repeated.
    at_most
        NAME=SHARE that must not be exceeded: wrong; may be repeated.
    not_worse
        Also exit with 1 when the last run was better, by more than RAG_GATE_ANSWER_TOLERANCE and than chance explains.
    """
    from rag_core.settings import Settings

    for text in (*(at_least or ()), *(at_most or ())):
        evaluation.grading.parse_limit(text)
    settings = Settings.load()
    with closing(database.open_store(settings)) as store:
        asked = _asked(store, settings, questions, tag or (), tenant)
        unknown = _unknown_sources(store, tenant, asked)
        cut = settings.default_top_k if top_k is None else top_k
        generation, results = _ask(settings, asked, cut, tenant)
        name = questions.name if questions else "own questions"
        series = _series(questions, tag or (), cut, settings)
        report = _keep(store, settings, results, tenant, name, series, generation, cut)
    report["unknown_sources"] = unknown
    report["missed_limits"] = evaluation.grading.missed_limits(
        evaluation.grading.figures(results), at_least or (), at_most or ()
    )
    if not_worse and report["worse"]:
        report["missed_limits"].append(f"worse than the last run: {report['detail']}")
    emit_json(report) if json else _print(report)
    for missed in report["missed_limits"]:
        note(missed)
    return int(bool(report["missed_limits"]))


def _asked(
    store: Store, settings: Settings, questions: Path | None, tags: Sequence[str], tenant: str
) -> Sequence[EvaluationQuestion]:
    if questions is not None:
        return evaluation.load_questions(questions, tags, limit=settings.evaluation_max_questions)
    own = promotion.load_own_questions(store, settings, [tenant])
    chosen = [one for each in own for one in each.questions if set(tags) <= set(one.tags)]
    if not chosen:
        message = (
            f"tenant {tenant} has no questions of its own{' with these tags' if own else ''}; give --questions FILE"
        )
        raise InvalidInput(Reason.QUESTIONS_INVALID, message)
    return chosen


def _unknown_sources(store: Store, tenant: str, asked: Sequence[EvaluationQuestion]) -> list[str]:
    with store.engine.connect() as connection:
        unknown = evaluation.question_store.unknown_sources(connection, tenant, asked)
    if unknown:
        more = f" and {len(unknown) - _SHOWN} more" if len(unknown) > _SHOWN else ""
        note(
            f"no document of tenant {tenant} is at {', '.join(unknown[:_SHOWN])}{more}: their questions count as missed"
        )
    return unknown


def _ask(settings: Settings, asked: Sequence[EvaluationQuestion], top_k: int, tenant: str) -> tuple[str, list[Result]]:
    generation, results = "", []
    with progress_bar("asking") as progress:
        for searched, result in ask(settings, asked, top_k, tenant):
            generation = searched
            results.append(result)
            progress(len(results), len(asked))
    return generation, results


# --------------------------------------------------------------------------------------------------------------------
# The run, kept and compared with the one before over the same questions.


def _series(questions: Path | None, tags: Sequence[str], top_k: int, settings: Settings) -> str:
    """Return the name of a series of comparable results: the same questions, and recall among as many passages."""
    from hashlib import sha256

    if questions is None and not tags and top_k == settings.default_top_k:
        return evaluation.run_store.OWN
    key = "\0".join([str(questions and questions.resolve()), str(top_k), *sorted(tags)])
    return sha256(key.encode()).hexdigest()[:16]


def _keep(
    store: Store, settings: Settings, results: Sequence[Result], tenant: str, name: str, series: str, generation: str,
    top_k: int,
) -> dict[str, Any]:  # fmt: skip
    """Store the run; returns what is reported of it."""
    from ragctl.commands._shared import actor

    graded = evaluation.grading.as_dict(results)
    with store.engine.begin() as connection:
        last = evaluation.run_store.last(connection, tenant, series)
        old = evaluation.run_store.results(connection, last.id) if last else []
        compared = evaluation.compare(old, results, settings.gate_answer_tolerance)
        run = evaluation.run_store.add(
            connection,
            evaluation.Run(
                tenant, "command", actor(), name, series, generation, answering.answerer_fingerprint(settings), top_k,
                graded["figures"], graded["tags"], last.id if last else None, bool(last and compared.worse),
                str(compared) if last else "",
            ),
            results,
            keep=settings.evaluation_keep_runs,
        )  # fmt: skip
    return {
        **described(run),
        "results": graded["results"],
        "before": {"run": last.id, "at": last.at, "figures": last.figures} if last else None,
        "comparison": compared.as_figures() if last else {},
        "changes": [asdict(one) for one in evaluation.changes(old, results)],
    }


def described(run: Run) -> dict[str, Any]:
    """A run without its results."""
    return {
        "run": run.id, "at": run.at, "name": run.name, "origin": run.origin, "actor": run.actor,
        "generation": run.generation, "top_k": run.top_k, "figures": run.figures, "tags": run.tags,
        "worse": run.worse, "detail": run.detail, "accepted": run.accepted,
    }  # fmt: skip


# --------------------------------------------------------------------------------------------------------------------
# What a person reads.


def _print(report: Mapping[str, Any]) -> None:
    print_figures(report)
    poor = [(one["grade"], one["question"]) for one in report["results"] if one["grade"] in evaluation.UNSATISFIED]
    say("\nNot satisfied:")
    table(("grade", "question"), sorted(poor), empty="none")
    say(f"\nKept as run {report['run']}.")
    if report["before"] is None:
        return
    now, then = report["figures"], report["before"]["figures"]
    moved = ", ".join(
        f"{name} {now[name] - then[name]:+.3f}"
        for name in ("satisfied", "wrong", "recall", "ndcg")
        if now[name] is not None and then[name] is not None
    )
    worse = " Worse than chance explains." if report["worse"] else ""
    say(f"Since run {report['before']['run']} of {report['before']['at']:%Y-%m-%d %H:%M}: {moved}.{worse}")
    print_changes(report["changes"])


def print_figures(report: Mapping[str, Any]) -> None:
    """The figures of all questions and of each tag."""
    counted = [grade.value for grade in evaluation.Grade if report["figures"]["grades"][grade.value]]
    columns = ("", "questions", "satisfied", "wrong", f"recall@{report['top_k']}", "nDCG@10", *counted)
    rows = [_row(name, found, counted) for name, found in {"all": report["figures"], **report["tags"]}.items()]
    table(columns, rows)


def print_changes(changed: Iterable[Mapping[str, Any]]) -> None:
    """The questions that changed, the worse ones first."""
    rows = [(one["direction"], one["before"], one["now"], one["question"]) for one in changed]
    table(("", "before", "now", "question"), rows, empty="no question changed")


def _row(name: str, found: Mapping[str, Any], counted: Sequence[str]) -> tuple[object, ...]:
    shares = (found[share] for share in ("satisfied", "wrong", "recall", "ndcg"))
    written = ("" if share is None else f"{share:.3f}" for share in shares)
    return (name, found["questions"], *written, *(found["grades"][grade] for grade in counted))


_TOKEN_SECONDS = 86_400 // 2


def ask(
    settings: Settings, asked: Sequence[EvaluationQuestion], top_k: int, tenant: str
) -> Iterator[tuple[str, Result]]:
    """For each question the generation that was searched, and the graded answer."""
    from ragproto.query.v2 import query_pb2

    with query_stub(settings, tenant, _TOKEN_SECONDS) as (stub, call):
        for question in asked:
            found = stub.Search(query_pb2.SearchRequest(query=question.text, top_k=top_k), **call)
            recall, ndcg = evaluation.retrieval(
                question, [f"{one.source}/{one.locator}" for one in found.passages], top_k
            )
            text, final = _answer(stub, call, query_pb2.AnswerRequest(query=question.text, top_k=top_k))
            shown, citations = _shown(final)
            quotes = {citation.number: citation.quote for citation in citations}
            places = (
                evaluation.places_of(text, final.excerpts, quotes)
                if shown in (evaluation.Shown.ANSWERED, evaluation.Shown.CLOSEST)
                else []
            )
            cited = tuple(dict.fromkeys(uuid.UUID(one.doc_id) for one in citations if one.doc_id))
            verdict = evaluation.grade(question, shown, places)
            yield (
                found.generation,
                evaluation.Result(question.text, question.tags, verdict, recall, ndcg, question.key, text, cited),
            )


def _answer(stub: Any, call: dict[str, Any], request: query_pb2.AnswerRequest) -> tuple[str, query_pb2.AnswerFinal]:
    from ragproto.query.v2 import query_pb2

    text, final = "", query_pb2.AnswerFinal()
    for event in resumed(partial(stub.Answer, **call), request):
        text += event.delta.text
        final = event.final
    return text, final


def _shown(final: query_pb2.AnswerFinal) -> tuple[Shown, Sequence[query_pb2.Citation]]:
    """Return what the answer claims to be, and what it cites."""
    from ragproto.query.v2 import query_pb2

    if final.answer_outcome == query_pb2.ANSWER_OUTCOME_CLOSEST_PASSAGES:
        return evaluation.Shown.CLOSEST, final.abstained.citations
    outcome = final.WhichOneof("outcome")
    if outcome == "answered":
        return evaluation.Shown.ANSWERED, final.answered.citations
    return (evaluation.Shown.NOTHING if outcome == "abstained" else evaluation.Shown.FAILED), ()
