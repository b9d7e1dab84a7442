"""The order of the states, and the words for each. That each of them happens: tests/integration/assets."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from rag_core.errors import Reason
from rag_core.ingestion.source_status import (
    SENTENCES,
    EmbeddingTurn,
    Facts,
    RunState,
    SourceRun,
    SourceState,
    Texts,
    decide,
    describe,
    needs_attention,
)

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
GOOD = Facts("handbook", "filesystem", documents=10, last_complete_at=NOW - HOUR, observed_at=NOW)


def run(state: RunState, **more: object) -> SourceRun:
    return replace(SourceRun(0, "r", state, NOW - HOUR, started_at=NOW - HOUR), **more)  # type: ignore[arg-type]


RUNNING, QUEUED = run(RunState.RUNNING), run(RunState.QUEUED)
FAILED = run(RunState.FAILED, failing_since=NOW - 2 * HOUR, reason="SOURCE_UNAVAILABLE", message="no route to host")
EVERYTHING_WRONG = replace(
    GOOD, held_deletions=60, held_at=NOW - HOUR, quarantined=3, pending=5, freshness_minutes=1, paused_at=NOW - HOUR
)


@pytest.mark.parametrize(("facts", "said"), [
    (Facts("handbook", "filesystem"), "new: not read yet"),
    (GOOD, "up to date"),
    (replace(GOOD, quarantined=3), "degraded: 3 quarantined"),
    (replace(GOOD, pending=141), "waiting for the next run: 141 documents are not searchable yet"),
    (replace(GOOD, quarantined=3, freshness_minutes=30), "stale since 2026-11-26 11:30 UTC"),
    (replace(GOOD, paused_at=NOW - HOUR, freshness_minutes=30), "paused since 2026-11-26 11:00 UTC"),
    (replace(GOOD, closed="TENANT_SUSPENDED"), "paused: its tenant is suspended"),
    (replace(GOOD, closed="TENANT_ERASED"), "paused: its tenant is being erased"),
    (replace(GOOD, pending=3, egress_refused_at=NOW - HOUR), "failed since 2026-11-26 11:00 UTC: EGRESS_FORBIDDEN"),
    (replace(GOOD, egress_refused_at=NOW - HOUR), "up to date"),
    (replace(GOOD, configured=False, documents=0), "no source file configures it any more"),
    (replace(GOOD, configured=False, documents=1200),
     "no source file configures it any more: 1,200 documents stay searchable"),
    (replace(GOOD, runs=(FAILED,), paused_at=NOW), "failed since 2026-11-26 10:00 UTC: SOURCE_UNAVAILABLE"),
    (replace(EVERYTHING_WRONG, runs=(FAILED,)), "held for approval: 60 deletions"),
    (replace(GOOD, runs=(run(RunState.FAILED, reason="QUOTA_EXCEEDED", failing_since=NOW),), quarantined=3),
     "held: the tenant's budget of stored documents is used up"),
    (replace(EVERYTHING_WRONG, runs=(RUNNING,)), "listing: 0 new or changed documents so far"),
    (replace(EVERYTHING_WRONG, runs=(QUEUED,), ahead=2), "waiting for a free run slot, sources before it: 2"),
    (replace(GOOD, runs=(RUNNING,), texts=Texts(100, 34, 0.5)), "embedding 34 % (2 min left)"),
    (replace(GOOD, runs=(RUNNING,), texts=Texts(100, 34)), "embedding 34 %"),
    (replace(GOOD, runs=(RUNNING,), texts=Texts(100, 50, 0.5), read=10, unread=10), "embedding 25 % (5 min left)"),
    (replace(GOOD, runs=(RUNNING,), texts=Texts(100, 50, 0.5), read=1200, unread=10, listing=True),
     "listing: 1,200 new or changed documents so far"),
    (replace(GOOD, runs=(RUNNING,), texts=Texts(9, 0), turn=EmbeddingTurn(2, 240.0)),
     "waiting for embedding, sources before it: 2, about 4 min"),
    (replace(GOOD, runs=(RUNNING,), texts=Texts(9, 0), turn=EmbeddingTurn(0, 1.0)), "waiting for embedding"),
    (replace(GOOD, runs=(RUNNING,), texts=Texts(9, 9), listed=True, pending=4), "indexing 4 documents"),
    (replace(GOOD, runs=(RUNNING,), texts=Texts(9, 9), listed=True), "checking what was indexed"),
    (replace(GOOD, runs=(RUNNING,), observed_at=NOW - HOUR),
     "waiting for Dagster, which has not reported since 2026-11-26 11:00 UTC"),
    (replace(GOOD, runs=(FAILED,), mistake="attributes.name: missing"), "failed: CONFIG_INVALID"),
    (Facts("tickets", "push", has_runs=False, inbox=7, worker_alive=False), "waiting for a stream worker: 7 changes"),
    (Facts("events", "kafka", has_runs=False, halted="POISON_RATE"), "failed: POISON_RATE"),
])  # fmt: skip
def test_what_is_under_way_comes_before_what_needs_somebody_and_that_before_how_good_it_is(
    facts: Facts, said: str
) -> None:
    assert describe(decide(facts, NOW)) == said


def test_a_failure_stays_known_with_its_remedy_while_the_source_is_tried_again() -> None:
    status = decide(replace(GOOD, runs=(replace(FAILED, state=RunState.RUNNING),)), NOW)
    assert status.state is SourceState.LISTING
    assert (status.reason, status.message, status.failing_since) == (
        Reason.SOURCE_UNAVAILABLE, "no route to host", NOW - 2 * HOUR,
    )  # fmt: skip
    assert status.remedy
    assert needs_attention(status)


@pytest.mark.parametrize(("message", "said"), [
    ("the check documents:schema failed", "the check documents:schema failed (run r)"),
    (None, "the run ended without a reason, as one that is killed does (run r)"),
])  # fmt: skip
def test_a_failure_without_a_reason_of_ours_names_its_run(message: str | None, said: str) -> None:
    failed = run(RunState.FAILED, failing_since=NOW, message=message)
    status = decide(replace(GOOD, runs=(failed,)), NOW)
    assert (status.reason, status.message, status.run_id) == (Reason.INTERNAL, said, "r")
    again = decide(replace(GOOD, runs=(replace(failed, state=RunState.RUNNING),)), NOW)
    assert (again.message, again.run_id) == (said, "r")


def test_approved_deletions_are_held_no_more_and_their_failed_run_is_no_failure() -> None:
    held = run(RunState.FAILED, failing_since=NOW, reason=str(Reason.MASS_DELETE_HELD))
    facts = replace(GOOD, held_deletions=60, held_at=NOW - HOUR, deletions_approved=True, runs=(held,))
    status = decide(facts, NOW)
    assert (status.state, describe(status)) == (
        SourceState.WAITING, "waiting for the next run: 60 approved deletions",
    )  # fmt: skip
    assert "rag source sync handbook" in status.remedy
    assert not needs_attention(status)


def test_a_remedy_names_the_tenant_of_its_source() -> None:
    status = decide(replace(GOOD, quarantined=2, tenant="acme"), NOW)
    assert status.remedy == "See `rag quarantine list --source handbook --tenant acme`."


@pytest.mark.parametrize("facts", [GOOD, replace(GOOD, pending=3), replace(GOOD, runs=(RUNNING,)),
                                   Facts("a", "web"), replace(GOOD, paused_at=NOW)])  # fmt: skip
def test_a_source_that_works_or_was_paused_needs_nobody(facts: Facts) -> None:
    assert not needs_attention(decide(facts, NOW))


@pytest.mark.parametrize(("kind", "state"), [("push", SourceState.UP_TO_DATE), ("topic", SourceState.NEW)])
def test_a_source_of_pushes_whose_documents_are_all_deleted_was_read(kind: str, state: SourceState) -> None:
    assert decide(Facts("notes", kind, has_runs=False, worker_alive=True), NOW).state is state


def test_every_state_has_words() -> None:
    assert {key.partition(".")[0] for key in SENTENCES} == {str(state) for state in SourceState}
