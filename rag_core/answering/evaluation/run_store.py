"""Rows of runs over the owners' questions and of their results; old runs make room for new ones."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, text, update

from rag_core.answering.evaluation.grading import Grade, Result
from rag_core.database import page_of
from rag_core.database.tables import evaluation_results, evaluation_runs
from rag_core.errors import NotFound, Reason

MAX_ANSWER_CHARS = 2000
"""Characters of an answer that are kept to be shown."""
OWN = "own"
"""The series over a tenant's own questions: its files, and the proposed ones that were accepted."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run. `figures` and `tags` are as `grading.as_dict` has them; `detail` is its comparison in a line.

    `accepted`: later runs of the series must not be worse than this one.
    """

    tenant: str
    origin: str
    actor: str
    name: str
    series: str
    generation: str
    answerer: str
    top_k: int
    figures: Mapping[str, Any]
    tags: Mapping[str, Any]
    compared_with: int | None = None
    worse: bool = False
    detail: str = ""
    accepted: bool = False
    id: int = 0
    at: datetime | None = None


_COLUMNS = tuple(name for name in Run.__slots__ if name not in {"id", "at", "accepted"})


def add(connection: Connection, run: Run, results: Sequence[Result], *, keep: int) -> Run:
    """Store a run and its results, and delete all but the newest `keep` of its series and the accepted one."""
    values = {name: getattr(run, name) for name in _COLUMNS}
    statement = insert(evaluation_runs).values(**values).returning(evaluation_runs.c.id, evaluation_runs.c.at)
    row = connection.execute(statement).one()
    if results:
        connection.execute(insert(evaluation_results), [_values(row.id, *each) for each in enumerate(results)])
    _make_room(connection, run, keep)
    stored = replace(run, id=row.id, at=row.at, accepted=False)
    return accept(connection, run.tenant, row.id) if run.accepted else stored


def _values(run: int, number: int, result: Result) -> dict[str, Any]:
    return {
        "run": run,
        "number": number,
        "id": result.key,
        "question": result.question,
        "tags": list(result.tags),
        "grade": result.grade.value,
        "recall": result.recall,
        "ndcg": result.ndcg,
        "answer": result.answer[:MAX_ANSWER_CHARS].replace("\0", ""),
        "doc_ids": list(result.doc_ids),
    }


_MAKE_ROOM = text("""
DELETE FROM rag.evaluation_runs WHERE tenant = :tenant AND series = :series AND NOT accepted AND id <= (
    SELECT id FROM rag.evaluation_runs WHERE tenant = :tenant AND series = :series
    ORDER BY id DESC OFFSET :keep LIMIT 1)
""")


def _make_room(connection: Connection, run: Run, keep: int) -> None:
    connection.execute(_MAKE_ROOM, {"tenant": run.tenant, "series": run.series, "keep": keep})


def get(connection: Connection, tenant: str, run: int) -> Run:
    """A run of the tenant. Raises `NotFound` (`EVALUATION_NOT_FOUND`)."""
    statement = select(evaluation_runs).where(evaluation_runs.c.tenant == tenant, evaluation_runs.c.id == run)
    row = connection.execute(statement).one_or_none()
    if row is None:
        raise NotFound(Reason.EVALUATION_NOT_FOUND, "run: there is none with this number; old ones are deleted")
    return _run(row)


def last(connection: Connection, tenant: str, series: str) -> Run | None:
    """The newest run of a series that readers were asked for: a candidate of the gate is none."""
    statement = (
        select(evaluation_runs)
        .where(evaluation_runs.c.tenant == tenant, evaluation_runs.c.series == series)
        .where(evaluation_runs.c.origin != "gate")
        .order_by(evaluation_runs.c.id.desc())
        .limit(1)
    )
    return _one(connection.execute(statement).one_or_none())


def accepted(connection: Connection, tenant: str, series: str = OWN) -> Run | None:
    """The run that later ones of the series are compared with."""
    matching = (evaluation_runs.c.tenant == tenant, evaluation_runs.c.series == series, evaluation_runs.c.accepted)
    return _one(connection.execute(select(evaluation_runs).where(*matching)).one_or_none())


def newest(connection: Connection, tenant: str, limit: int, *, after: Sequence[Any] | None = None) -> list[Run]:
    """The tenant's runs, newest first."""
    statement = select(evaluation_runs).where(evaluation_runs.c.tenant == tenant)
    page = page_of(statement, [evaluation_runs.c.id], after=after, limit=limit, newest_first=True)
    return list(map(_run, connection.execute(page)))


_FORGET = text("UPDATE rag.evaluation_runs SET accepted = false WHERE series = :series AND accepted")
_FOLLOW = text("""
UPDATE rag.evaluation_runs SET accepted = true WHERE id IN (
    SELECT DISTINCT ON (tenant) id FROM rag.evaluation_runs WHERE series = :series AND generation = :generation
    ORDER BY tenant, id DESC)
""")


def follow(connection: Connection, generation: str) -> None:
    """Accept the newest run of each tenant over a generation that readers were moved to, and no other.

    What readers were moved to, by a decision that was audited, is what later runs are compared with.
    """
    connection.execute(_FORGET, {"series": OWN})
    connection.execute(_FOLLOW, {"series": OWN, "generation": generation})


def accept(connection: Connection, tenant: str, run: int) -> Run:
    """Make a run the one that later ones are compared with. Raises `NotFound` (`EVALUATION_NOT_FOUND`)."""
    found = get(connection, tenant, run)
    runs = evaluation_runs.c
    same = (runs.tenant == tenant, runs.series == found.series)
    connection.execute(update(evaluation_runs).where(*same, runs.accepted, runs.id != run).values(accepted=False))
    connection.execute(update(evaluation_runs).where(runs.id == run).values(accepted=True))
    return replace(found, accepted=True)


def results(connection: Connection, run: int) -> list[Result]:
    """The results of a run, in the order of its questions."""
    rows = evaluation_results.c
    statement = select(evaluation_results).where(rows.run == run).order_by(rows.number)
    return [
        Result(
            row.question,
            tuple(row.tags),
            Grade(row.grade),
            row.recall,
            row.ndcg,
            row.id,
            row.answer,
            tuple(row.doc_ids),
        )
        for row in connection.execute(statement)
    ]


_VISIBLE = text("""
SELECT doc_id FROM rag.documents
WHERE tenant = :tenant AND doc_id = ANY(:ids) AND rag.admits(acl, CAST(:acl AS text[]))
""")


def only_visible(connection: Connection, tenant: str, acl: Sequence[str], found: Iterable[Result]) -> list[Result]:
    """The results, without the answers that quote a document which is not visible with these ACL entries."""
    listed = list(found)
    ids = sorted({doc_id for one in listed for doc_id in one.doc_ids})
    params = {"tenant": tenant, "ids": ids, "acl": list(acl)}
    seen: set[uuid.UUID] = set(connection.scalars(_VISIBLE, params)) if ids else set()
    return [one if seen.issuperset(one.doc_ids) else replace(one, answer="") for one in listed]


def purge(connection: Connection, *, days: int) -> int:
    """Delete runs older than `days` that are not accepted; returns how many."""
    old = evaluation_runs.c.at < text(f"now() - make_interval(days => {int(days)})")
    return connection.execute(delete(evaluation_runs).where(old, ~evaluation_runs.c.accepted)).rowcount


def _one(row: Row[Any] | None) -> Run | None:
    return None if row is None else _run(row)


def _run(row: Row[Any]) -> Run:
    return Run(**{name: value for name, value in row._mapping.items() if name in Run.__slots__})
