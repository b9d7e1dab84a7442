"""What the pages show, as pure functions."""

from __future__ import annotations

import pytest

from console import views
from console.clients import DagsterHealth, Run, ServiceError
from ragproto.admin.v1 import admin_pb2
from ragproto.query.v2 import query_pb2

FINE = DagsterHealth((), ())


def test_each_component_has_a_row_and_a_reason_when_it_is_not_healthy() -> None:
    status = admin_pb2.GetStatusResponse(
        components=[
            admin_pb2.Component(name="database", healthy=True, detail="18.6"),
            admin_pb2.Component(name="index", healthy=False, detail="INDEX_EMPTY"),
        ]
    )
    rows = views.health_rows(status, DagsterHealth(("SENSOR",), ("rag",)), None)
    assert [(row.component, row.healthy, row.reason) for row in rows] == [
        ("database", True, ""),
        ("index", False, "INDEX_EMPTY"),
        ("query server", True, ""),
        ("gateway", True, ""),
        ("Dagster daemons", False, "no heartbeat: SENSOR"),
        ("Dagster code location", False, "does not load: rag"),
    ]


def test_a_part_that_does_not_answer_is_shown_by_its_code() -> None:
    rows = views.health_rows(
        ServiceError("query server", "UNAVAILABLE"),
        ServiceError("Dagster", "DAGSTER_UNAVAILABLE"),
        ServiceError("gateway", "INDEX_EMPTY"),
    )
    assert [(row.component, row.reason) for row in rows] == [
        ("query server", "service unavailable, UNAVAILABLE"),
        ("gateway", "service unavailable, INDEX_EMPTY"),
        ("Dagster", "service unavailable, DAGSTER_UNAVAILABLE"),
    ]


def test_a_code_that_is_none_is_not_shown() -> None:
    assert ServiceError("gateway", "<img src=x>").code == "UNKNOWN"


def test_totals_sum_the_sources_and_count_the_active_generation_only() -> None:
    status = admin_pb2.GetStatusResponse(
        sources=[
            admin_pb2.SourceStatus(name="a", documents=2, chunks=20, pending=1, quarantined=3, held_deletions=4),
            admin_pb2.SourceStatus(name="b", documents=1, chunks=5),
        ],
        generations=[
            admin_pb2.Generation(name="new", state="building", points=7),
            admin_pb2.Generation(name="old", state="active", points=25),
        ],
    )
    assert views.totals(status) == views.Totals(documents=3, chunks=25, vectors=25, pending=1, quarantined=3, held=4)


def test_a_source_that_never_completed_says_so() -> None:
    status = admin_pb2.GetStatusResponse(sources=[admin_pb2.SourceStatus(name="a")])
    assert views.source_rows(status)[0]["last complete"] == "never"


@pytest.mark.parametrize(
    ("run", "seconds", "started"),
    [
        (Run("r" * 36, "a", "SUCCESS", 100.0, 107.5), 7.5, "1970-01-01 00:01:40 UTC"),
        (Run("r" * 36, "a", "STARTED", 100.0, None), 20.0, "1970-01-01 00:01:40 UTC"),
        (Run("r" * 36, "a", "QUEUED", None, None), None, "never"),
    ],
)
def test_a_run_shows_its_duration_so_far(run: Run, seconds: float | None, started: str) -> None:
    (row,) = views.run_rows([run], now=120.0)
    assert (row["seconds"], row["started"], row["run"]) == (seconds, started, "r" * 8)


def test_citations_are_plain_text_with_controls_written_out() -> None:
    citation = query_pb2.Citation(
        number=1, source="s", locator="a\u202eb.txt", version=2, start=3, end=9, quote="<b>\x1b[31mred</b>"
    )
    (line,) = views.citation_lines([citation])
    assert "\x1b" not in line
    assert "\u202e" not in line
    assert "<b>\\u001b[31mred</b>" in line
    assert "s: a\\u202eb.txt, version 2, characters 3 to 9" in line


def test_an_answer_that_came_needs_no_explanation() -> None:
    assert views.outcome_text(query_pb2.AnswerFinal(answered=query_pb2.AnswerFinal.Answered())) == ""


@pytest.mark.parametrize(
    ("final", "said"),
    [
        (query_pb2.AnswerFinal(abstained=query_pb2.AnswerFinal.Abstained(reason="NO_RESULTS")), "matches"),
        (query_pb2.AnswerFinal(abstained=query_pb2.AnswerFinal.Abstained(reason="NEW")), "no answer"),
        (query_pb2.AnswerFinal(failed=query_pb2.AnswerFinal.Failed(reason="DEADLINE", message="<x>")), "DEADLINE"),
    ],
)
def test_an_answer_that_did_not_come_is_explained(final: query_pb2.AnswerFinal, said: str) -> None:
    assert said in views.outcome_text(final)
    assert "<x>" not in views.outcome_text(final)
