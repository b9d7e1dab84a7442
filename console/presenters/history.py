"""Figures over an hour, a day or a week as rows of charts and tables."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from console.clients.prometheus import ChartLine, ChartLines
from console.i18n import N_
from console.presenters.formats import plain
from ragproto.admin.v1 import history_pb2 as pb

SHOWN = 6
"""Lines of one chart; the others are summed up, so that each has a colour of its own."""
OTHER = "other"
WORDS = N_(("search", "answer", "documents", "answered", "closest passages", "no results", "not supported", "failed",
         "database", "index", "logs", "other"))  # fmt: skip
"""Labels of series that are words of ours, and no names; see `word`."""
NAMED_BY_US = frozenset({"calls", "answers", "disk"})
"""Series whose labels are such words; those of the others are names of sources, services and codes."""
_FROM_PROMETHEUS = frozenset(
    {"calls", "failures", "search_seconds", "answer_seconds", "answers", "lag", "lag_seconds", "memory"}
)


def word(label: str) -> str:
    """A label of ours as it is read and translated: `CLOSEST_PASSAGES` is "closest passages"."""
    return label.lower().replace("_", " ")


def from_message(found: pb.GetHistoryResponse) -> ChartLines:
    """Convert what the platform recorded."""
    lines = tuple(
        ChartLine(one.name, one.label, {point.at: point.value for point in one.points}, one.total)
        for one in found.series
    )
    return ChartLines(found.begins_at.seconds, found.ends_at.seconds, found.step_seconds, lines, found.recording)


def with_prometheus(own: ChartLines, prometheus: ChartLines) -> ChartLines:
    """Series that Prometheus has are its own; what it has not (sources, queues, disk) stays as it was recorded."""
    kept = tuple(line for line in own.lines if line.name not in _FROM_PROMETHEUS)
    return replace(own, lines=(*prometheus.lines, *kept), recording=True)


def rows(found: ChartLines, name: str, *, scale: float = 1.0) -> list[dict[str, Any]]:
    """The points of the largest lines of a series: `at`, `label`, `value`, and `part`, which a gap increases."""
    lines = [line for line in found.lines if line.name == name]
    if len(lines) > SHOWN + 1:
        # The platform sums up what is smallest itself: that is part of the rest, whatever its size.
        ranked = sorted(lines, key=lambda line: (line.label == OTHER, -(line.total or sum(line.points.values()))))
        lines = [*ranked[:SHOWN], _sum(name, ranked[SHOWN:])]
    made = []
    for line in lines:
        part, before = 0, None
        for at, value in sorted(line.points.items()):
            part += before is not None and at - before > found.step
            made.append({"at": at, "label": plain(line.label), "value": value * scale, "part": part})
            before = at
    return made


def _sum(name: str, lines: Sequence[ChartLine]) -> ChartLine:
    points: defaultdict[int, float] = defaultdict(float)
    for line in lines:
        for at, value in line.points.items():
            points[at] += value
    return ChartLine(name, OTHER, points, sum(line.total for line in lines))


def totals(found: ChartLines, name: str) -> dict[str, float]:
    """Return the sum of each label of a series over the whole span."""
    return {line.label: line.total for line in found.lines if line.name == name}


def source_rows(found: ChartLines) -> list[dict[str, Any]]:
    """Return how often each source was found by a search and cited in an answer, the most cited first."""
    hits, cited = totals(found, "found"), totals(found, "cited")
    made = [
        {"source": plain(name), "found": int(hits.get(name, 0)), "cited": int(cited.get(name, 0))}
        for name in {*hits, *cited}
    ]
    return sorted(made, key=lambda row: (-row["cited"], -row["found"], row["source"]))


def question_rows(questions: Iterable[pb.UnansweredQuestion]) -> list[dict[str, Any]]:
    """Questions without an answer: their text, or what stands for it."""
    return [
        {"question": plain(one.question), "hash": one.question_hash, "withheld": one.question_withheld,
         "outcome": word(one.outcome), "asked": one.asked, "last": one.last_at.seconds}
        for one in questions
    ]  # fmt: skip


_ALIKE = 0.5
"""Share of words that questions of one group have in common."""


def question_groups(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of `question_rows` grouped by likeness, the most asked first; `alike` are the texts of a group. A hash is
    alike to nothing."""
    groups: list[tuple[set[str], dict[str, Any]]] = []
    for row in sorted(rows, key=lambda row: -row["asked"]):
        words = _words(row["question"])
        alike = next((group for known, group in groups if words and _likeness(known, words) >= _ALIKE), None)
        if alike is None:
            groups.append((words, {**row, "alike": [row["question"]]}))
            continue
        alike["alike"].append(row["question"])
        alike["asked"] += row["asked"]
        alike["last"] = max(alike["last"], row["last"])
    return sorted((group for _, group in groups), key=lambda group: -group["asked"])


def _words(question: str) -> set[str]:
    """The words that say what is asked, and each character of scripts without spaces."""
    found = re.findall(r"[^\W_]+", question.casefold())
    return {
        part for word in found for part in ([word] if word.isascii() else word) if len(part) > 3 or not part.isascii()
    }


def _likeness(one: set[str], other: set[str]) -> float:
    return len(one & other) / (len(one | other) or 1)
