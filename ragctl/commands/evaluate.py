"""`rag evaluate`: the questions of a corpus's owners, asked of the running stack."""

from __future__ import annotations

import json as _json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from ragctl.commands.query import resumed
from ragctl.grpc_client import query_stub
from ragctl.output import Json, emit_json, note, progress_bar, say, table

if TYPE_CHECKING:
    from rag_core.evaluation import EvaluationQuestion, Result, Shown
    from rag_core.settings import Settings
    from ragproto.query.v2 import query_pb2

_TOKEN_SECONDS = 3600
Several = Annotated[list[str] | None, Parameter(negative="")]


def evaluate(
    *, questions: Path, tag: Several = None, top_k: int = 10, tenant: str = "default", at_least: Several = None,
    at_most: Several = None, json: Json = False,
) -> int:  # fmt: skip
    """Ask a file of questions of the running stack and grade retrieval and answers, by tag and against the last run.

    Exits with 1 when a limit is not met. The layout of the file is in docs/how-to/evaluate-answers.md.

    Example: rag evaluate --questions questions.yaml --at-least satisfied=0.6 --at-most wrong=0.1

    Parameters
    ----------
    questions
        YAML or JSONL: question, expected text or pattern, source, tags.
    tag
        Only questions with this tag; repeated, with all of them.
    top_k
        How many passages to retrieve; recall counts among them.
    tenant
        Whose documents to ask.
    at_least
        NAME=SHARE that must be reached: satisfied, recall or ndcg; may be repeated.
    at_most
        NAME=SHARE that must not be exceeded: wrong; may be repeated.
    """
    from rag_core.evaluation import grading, load_questions
    from rag_core.settings import Settings

    for text in (*(at_least or ()), *(at_most or ())):
        grading.parse_limit(text)
    settings, asked = Settings.load(), load_questions(questions, tag or ())
    with progress_bar("asking") as progress:
        results = []
        for result in _ask(settings, asked, top_k, tenant):
            results.append(result)
            progress(len(results), len(asked))
    kept = _file(settings, questions, tag or (), tenant)
    before = _load(kept)
    run = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "top_k": top_k, **grading.as_dict(results)}
    report = {**run, "before": before and {"at": before["at"], "figures": before["figures"]}}
    report["changes"] = grading.changes(before["results"], results) if before else []
    _keep(kept, run)
    report["missed_limits"] = grading.missed_limits(grading.figures(results), at_least or (), at_most or ())
    emit_json(report) if json else _print(report)
    for missed in report["missed_limits"]:
        note(missed)
    return int(bool(report["missed_limits"]))


def _ask(settings: Settings, asked: Sequence[EvaluationQuestion], top_k: int, tenant: str) -> Iterator[Result]:
    from rag_core.evaluation import Result, grade, retrieval
    from ragproto.query.v2 import query_pb2

    with query_stub(settings, tenant, _TOKEN_SECONDS) as (stub, call):
        for question in asked:
            found = stub.Search(query_pb2.SearchRequest(query=question.text, top_k=top_k), **call)
            recall, ndcg = retrieval(question, [f"{one.source}/{one.locator}" for one in found.passages], top_k)
            shown, places = _answer(stub, call, query_pb2.AnswerRequest(query=question.text, top_k=top_k))
            yield Result(question.text, question.tags, grade(question, shown, places), recall, ndcg)


def _answer(stub: Any, call: dict[str, Any], request: query_pb2.AnswerRequest) -> tuple[Shown, list[str]]:
    """What the answer claims to be, and the text of each place it shows."""
    from functools import partial

    from rag_core.evaluation import Shown
    from ragproto.query.v2 import query_pb2

    text, final = "", query_pb2.AnswerFinal()
    for event in resumed(partial(stub.Answer, **call), request):
        text += event.delta.text
        final = event.final
    if final.answer_outcome == query_pb2.ANSWER_OUTCOME_CLOSEST_PASSAGES:
        return Shown.CLOSEST, _places(text, final, final.abstained.citations)
    outcome = final.WhichOneof("outcome")
    if outcome == "answered":
        return Shown.ANSWERED, _places(text, final, final.answered.citations)
    return (Shown.NOTHING if outcome == "abstained" else Shown.FAILED), []


def _places(text: str, final: query_pb2.AnswerFinal, citations: Sequence[query_pb2.Citation]) -> list[str]:
    quotes = {citation.number: citation.quote for citation in citations}
    if not final.excerpts:
        return ["\n".join([text, *quotes.values()])]
    return [
        "\n".join([*one.heading_path, one.text, one.markdown, *(quotes.get(number, "") for number in one.citations)])
        for one in final.excerpts
    ]


# --------------------------------------------------------------------------------------------------------------------
# The run before, kept for the same file, tags and tenant.


def _file(settings: Settings, questions: Path, tags: Sequence[str], tenant: str) -> Path:
    from hashlib import sha256

    key = sha256("\0".join([str(questions.resolve()), tenant, *sorted(tags)]).encode()).hexdigest()[:12]
    return settings.home / "evaluations" / f"{questions.stem}-{key}.json"


def _load(path: Path) -> dict[str, Any] | None:
    try:
        kept: dict[str, Any] = _json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return kept


def _keep(path: Path, run: dict[str, Any]) -> None:
    from rag_core.files import replace_file

    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, _json.dumps(run, ensure_ascii=False).encode())


# --------------------------------------------------------------------------------------------------------------------
# What a person reads.


def _print(report: dict[str, Any]) -> None:
    from rag_core.evaluation import SATISFIED, Grade

    counted = [grade.value for grade in Grade if report["figures"]["grades"][grade.value]]
    columns = ("", "questions", "satisfied", "wrong", f"recall@{report['top_k']}", "nDCG@10", *counted)
    rows = [_row(name, found, counted) for name, found in {"all": report["figures"], **report["tags"]}.items()]
    table(columns, rows)
    fine = {*SATISFIED, Grade.NOT_GRADED}
    poor = [(one["grade"], one["question"]) for one in report["results"] if one["grade"] not in fine]
    say("\nNot satisfied:")
    table(("grade", "question"), sorted(poor))
    if report["before"] is None:
        return
    now, then = report["figures"], report["before"]["figures"]
    moved = ", ".join(
        f"{name} {now[name] - then[name]:+.3f}"
        for name in ("satisfied", "wrong", "recall", "ndcg")
        if now[name] is not None and then[name] is not None
    )
    say(f"\nSince the run of {report['before']['at']}: {moved}")
    changed = [(one["before"], one["now"], one["question"]) for one in report["changes"]]
    table(("before", "now", "question"), changed, empty="every grade is as it was")


def _row(name: str, found: dict[str, Any], counted: Sequence[str]) -> tuple[object, ...]:
    shares = (found[share] for share in ("satisfied", "wrong", "recall", "ndcg"))
    written = ("" if share is None else f"{share:.3f}" for share in shares)
    return (name, found["questions"], *written, *(found["grades"][grade] for grade in counted))
