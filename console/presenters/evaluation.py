"""Runs of the owners' questions, what changed in them, and proposed questions, as rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from console.i18n import N_
from console.presenters.formats import plain
from ragproto.admin.v1 import evaluation_pb2 as pb

ORIGINS = N_({"command": "command", "gate": "promotion gate", "schedule": "daily"})
STATES = N_(("proposed", "accepted", "rejected", "worse"))
GRADES = N_(
    {
        "right": "right",
        "closest": "closest passages",
        "partly": "partly",
        "missed": "closest passages without it",
        "abstained": "no answer",
        "wrong": "wrong",
        "failed": "broke off",
        "not graded": "not graded",
    }
)
"""Grades in words; those that satisfy are the first two."""
COLUMNS = N_(
    {
        "right": "right",
        "closest": "closest",
        "partly": "partly",
        "missed": "missed",
        "abstained": "no answer",
        "wrong": "wrong",
    }
)
"""Grades that have a column, under a short heading."""
QUESTION_ORIGINS = N_({"feedback": "feedback", "heading": "heading (generated)"})


def run_rows(runs: Iterable[pb.EvaluationRun]) -> list[dict[str, Any]]:
    """One row per run. Shares are between 0 and 1; recall is `None` where no question names a source."""
    return [
        {
            "id": item.id,
            "at": item.at.seconds,
            "name": plain(item.name),
            "origin": ORIGINS.get(item.origin, item.origin),
            "generation": item.generation,
            "questions": item.figures.questions,
            **shares(item.figures),
            "state": N_("worse") if item.worse else N_("accepted") if item.accepted else "",
        }
        for item in runs
    ]


def shares(figures: pb.EvaluationFigures) -> dict[str, float | None]:
    """Return the shares that a person compares."""
    return {
        "satisfied": figures.satisfied,
        "wrong": figures.wrong,
        "recall": figures.recall if figures.HasField("recall") else None,
        "ndcg": figures.ndcg if figures.HasField("ndcg") else None,
    }


def series(runs: Sequence[pb.EvaluationRun]) -> list[dict[str, Any]]:
    """The share that satisfies over time, a line for each set of questions. The gate's candidates are left out."""
    asked = [item for item in runs if item.origin != "gate"]
    return [
        {"at": item.at.seconds, "satisfied": item.figures.satisfied, "name": plain(item.name)}
        for item in sorted(asked, key=lambda item: item.at.seconds)
    ]


def tag_rows(run: pb.EvaluationRun, before: pb.EvaluationRun | None) -> list[dict[str, Any]]:
    """One row for all questions (empty tag) and one for each tag, with the difference to the run before."""
    rows = [_tag_row("", run.figures, before.figures if before else None)]
    for tag in sorted(run.tags):
        old = before.tags[tag] if before is not None and tag in before.tags else None
        rows.append(_tag_row(tag, run.tags[tag], old))
    return rows


def _tag_row(tag: str, now: pb.EvaluationFigures, old: pb.EvaluationFigures | None) -> dict[str, Any]:
    counted = {name: now.grades[name] for name in COLUMNS if name in now.grades}  # fmt: skip
    return {
        "tag": plain(tag),
        "questions": now.questions,
        **shares(now),
        "moved": now.satisfied - old.satisfied if old is not None else None,
        **{f"n_{name}": count for name, count in counted.items()},
    }


def change_heading(change: pb.EvaluationChange) -> tuple[str, str]:
    """Arrow and question of a change."""
    return ("▲" if change.better else "▼"), plain(change.question)


def question_rows(questions: Iterable[pb.ProposedQuestion]) -> list[dict[str, Any]]:
    """One row per question."""
    return [
        {
            "id": item.id,
            "at": item.at.seconds,
            "origin": QUESTION_ORIGINS.get(item.origin, item.origin),
            "question": plain(item.question),
            "expected": plain(", ".join([*item.expected, *item.patterns])),
            "source": plain(", ".join(item.sources)),
            "tags": plain(", ".join(item.tags)),
            "note": plain(item.note),
            "decided_by": plain(item.decided_by),
        }
        for item in questions
    ]


def lines(text: str) -> list[str]:
    """The entries of a box with one in each line."""
    return [line.strip() for line in text.splitlines() if line.strip()]
