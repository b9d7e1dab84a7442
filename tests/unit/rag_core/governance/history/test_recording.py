"""What processes count reaches the rows once, and only what was recorded is told."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from rag_core.database import Store
from rag_core.errors import Reason, Unavailable
from rag_core.governance.history import QUERY_SERVER, HistoryRecorder, StoredSeries, Tally, TimeSpan, read_history
from rag_core.governance.history import store as history
from rag_core.governance.history.tally import MAX_KEYS, MAX_MINUTES, MAX_QUESTIONS
from rag_core.governance.tenants import store as tenants

NOON = 1_789_999_200  # begins a minute, ten minutes and an hour
assert NOON % 3600 == 0


@dataclass
class Clock:
    """A clock that the test sets."""

    now: float = NOON

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def recorder_of(store: Store, clock: Clock, service: str | None = QUERY_SERVER) -> HistoryRecorder:
    return HistoryRecorder(lambda: store, service=service, clock=clock)


def shown(
    store: Store, span: TimeSpan, now: float, *, tenant: str | None = "acme", platform: bool = False
) -> dict[tuple[str, str], dict[int, float]]:
    """The points of every series, at minutes after noon."""
    with store.engine.connect() as connection:
        found = read_history(connection, span, datetime.fromtimestamp(now, UTC), tenant=tenant, platform=platform)
    return {
        (series.name, series.label): {(at - NOON) // 60: value for at, value in series.points.items()}
        for series in found.series
    }


def test_a_minute_without_calls_is_zero_and_one_that_nobody_recorded_is_a_gap(store: Store, clock: Clock) -> None:
    recorder = recorder_of(store, clock)
    for _ in range(6):
        recorder.tally.record_call("acme", "search", 0.04, "")
    clock.now = NOON + 120
    recorder.flush()  # noon, and the minute after it without a call
    clock.now = NOON + 300  # the process was stopped, and another one takes over
    later = recorder_of(store, clock)
    later.tally.record_call("acme", "search", 0.04, "")
    clock.now = NOON + 360
    later.flush()
    rates = shown(store, TimeSpan.HOUR, clock.now)["calls", "search"]
    assert rates == {0: pytest.approx(0.1), 1: 0.0, 5: pytest.approx(1 / 60)}


def test_replicas_add_up_and_a_repeated_write_counts_once(store: Store, clock: Clock) -> None:
    replicas = [recorder_of(store, clock) for _ in range(2)]
    for recorder in replicas:
        for _ in range(30):
            recorder.tally.record_call("acme", "search", 0.04, "")
        recorder.tally.record_unanswered("acme", "h1", None, "no_evidence")
    clock.now = NOON + 60
    kept = replicas[0].tally.take(before=NOON + 60)
    replicas[0].tally.put_back(kept)
    for recorder in replicas:
        recorder.flush()
    replicas[0].tally.put_back(kept)  # the outcome of its commit was lost
    replicas[0].flush()
    assert shown(store, TimeSpan.HOUR, clock.now)["calls", "search"] == {0: pytest.approx(1.0)}
    with store.engine.connect() as connection:
        (question,) = history.unanswered(connection, "acme", since=datetime.fromtimestamp(NOON, UTC), limit=10)
    assert (question.question_hash, question.question, question.asked) == ("h1", None, 2)


def test_a_tenant_sees_its_own_series_and_none_of_the_platform(store: Store, clock: Clock) -> None:
    recorder = recorder_of(store, clock)
    recorder.tally.record_call("acme", "search", 0.04, "")
    recorder.tally.record_call("zenith", "search", 0.04, "")
    recorder.tally.record_sources(StoredSeries.FOUND, "zenith", ["secret-plans"])
    recorder.tally.sample(StoredSeries.MEMORY, 5e8, label=QUERY_SERVER)
    clock.now = NOON + 60
    recorder.flush()
    own = shown(store, TimeSpan.HOUR, clock.now)
    assert set(own) == {("calls", "search"), ("search_seconds", "p50"), ("search_seconds", "p95")}
    assert own["calls", "search"] == {0: pytest.approx(1 / 60)}
    everything = shown(store, TimeSpan.HOUR, clock.now, tenant=None, platform=True)
    assert everything["calls", "search"] == {0: pytest.approx(2 / 60)}
    assert everything["found", "zenith/secret-plans"] == {0: 1.0}
    assert everything["memory", QUERY_SERVER] == {0: 5e8}


def test_latencies_are_quantiles_of_the_calls_that_succeeded(store: Store, clock: Clock) -> None:
    recorder = recorder_of(store, clock)
    for seconds in (0.02, 0.02, 0.02, 0.02, 0.02, 0.02, 0.02, 0.02, 0.02, 0.9):
        recorder.tally.record_call("acme", "search", seconds, "")
    recorder.tally.record_call("acme", "search", 30.0, "DEADLINE")
    clock.now = NOON + 60
    recorder.flush()
    found = shown(store, TimeSpan.HOUR, clock.now)
    assert 0.01 < found["search_seconds", "p50"][0] <= 0.02
    assert 0.75 < found["search_seconds", "p95"][0] <= 1
    assert found["failures", "DEADLINE"] == {0: pytest.approx(1 / 60)}


def test_minutes_become_tens_and_hours_that_say_the_same(store: Store, clock: Clock) -> None:
    recorder = recorder_of(store, clock)
    for minute in range(65):
        clock.now = NOON + 60 * minute
        for _ in range(12):
            recorder.tally.record_call("acme", "answer", 0.2, "")
        recorder.tally.count(StoredSeries.ANSWERS, tenant="acme", label="answered")
        clock.now += 60
        recorder.flush()
    now = datetime.fromtimestamp(clock.now, UTC)
    with store.engine.begin() as connection:
        for _ in range(2):  # idempotent
            history.downsample(connection, now)
    day, week = shown(store, TimeSpan.DAY, clock.now), shown(store, TimeSpan.WEEK, clock.now)
    assert day["calls", "answer"] == {10 * number: pytest.approx(0.2) for number in range(7)}
    assert day["answers", "answered"] == {**{10 * number: 10.0 for number in range(6)}, 60: 5.0}
    assert week["answers", "answered"] == {0: 60.0, 60: 5.0}
    assert week["calls", "answer"] == {0: pytest.approx(0.2), 60: pytest.approx(0.2)}


def test_minutes_that_arrive_late_are_summed_even_after_hours_without_the_one_who_sums(
    store: Store, clock: Clock
) -> None:
    recorder = recorder_of(store, clock)
    recorder.tally.count(StoredSeries.ANSWERS, tenant="acme", label="answered")
    clock.now = NOON + 60
    recorder.flush()
    clock.now = NOON + 2 * 3600
    with store.engine.begin() as connection:
        history.downsample(connection, datetime.fromtimestamp(clock.now, UTC))
    assert shown(store, TimeSpan.DAY, clock.now)["answers", "answered"] == {0: 1.0}


def test_old_rows_go_step_by_step_and_questions_with_them(store: Store, clock: Clock) -> None:
    recorder = recorder_of(store, clock)
    recorder.tally.count(StoredSeries.ANSWERS, tenant="acme", label="answered")
    recorder.tally.record_unanswered("acme", "h1", "What is it?", "no_evidence")
    clock.now = NOON + 60
    recorder.flush()

    def left(days: int, now: float, *, plain: bool = True) -> tuple[set[int], list[str | None]]:
        with store.engine.begin() as connection:
            history.downsample(connection, datetime.fromtimestamp(clock.now, UTC))
            history.purge(connection, datetime.fromtimestamp(now, UTC), days=days, plain_questions=plain)
            steps = set(connection.exec_driver_sql("SELECT DISTINCT step FROM rag.history").scalars())
            texts = list(connection.exec_driver_sql("SELECT question FROM rag.unanswered_questions").scalars())
        return steps, texts

    assert left(14, NOON + 3600) == ({60, 600, 3600}, ["What is it?"])
    assert left(14, NOON + 4 * 3600) == ({600, 3600}, ["What is it?"])
    assert left(14, NOON + 3 * 86_400, plain=False) == ({3600}, [None])
    assert left(14, NOON + 15 * 86_400) == (set(), [])


def test_texts_that_are_not_kept_go_but_those_of_tenants_whose_switch_keeps_them(store: Store, clock: Clock) -> None:
    recorder = recorder_of(store, clock)
    with store.engine.begin() as connection:
        for name, readable in (("open", True), ("shut", False), ("neither", None)):
            tenants.create(connection, name, actor="op")
            tenants.set_question_words(connection, name, actor="op", readable=readable)
    for name in ("open", "shut", "neither"):
        recorder.tally.record_unanswered(name, "h1", "What is it?", "no_evidence", plain=True)
    clock.now = NOON + 60
    recorder.flush()

    def kept() -> list[str]:
        with store.engine.connect() as connection:
            found = "SELECT tenant FROM rag.unanswered_questions WHERE question IS NOT NULL ORDER BY 1"
            return list(connection.exec_driver_sql(found).scalars())

    assert kept() == ["neither", "open"]
    with store.engine.begin() as connection:
        history.purge(connection, datetime.fromtimestamp(NOON + 60, UTC), days=14, plain_questions=False)
    assert kept() == ["open"]


def test_of_a_tenants_questions_those_asked_last_are_kept(
    store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "MAX_QUESTIONS", 2)
    recorder = recorder_of(store, clock)
    for number in range(4):
        clock.now = NOON + number
        recorder.tally.record_unanswered("acme", f"h{number}", None, "no_evidence")
        recorder.tally.record_unanswered("zenith", f"h{number}", None, "no_evidence")
    clock.now = NOON + 60
    recorder.flush()
    with store.engine.begin() as connection:
        history.purge(connection, datetime.fromtimestamp(NOON + 60, UTC), days=14, plain_questions=False)
        kept = connection.exec_driver_sql("SELECT tenant, question_hash FROM rag.unanswered_questions ORDER BY 1, 2")
        assert [tuple(row) for row in kept] == [
            ("acme", "h2"), ("acme", "h3"), ("zenith", "h2"), ("zenith", "h3")
        ]  # fmt: skip


def test_while_the_database_is_away_the_newest_minutes_wait(store: Store, clock: Clock) -> None:
    away = True

    def open_store() -> Store:
        if away:
            raise Unavailable(Reason.DATABASE_UNAVAILABLE, "away")
        return store

    recorder = HistoryRecorder(open_store, service=QUERY_SERVER, clock=clock)
    for minute in range(MAX_MINUTES + 5):
        clock.now = NOON + 60 * minute
        recorder.tally.count(StoredSeries.ANSWERS, tenant="acme", label="answered")
        clock.now += 60
        recorder.flush()
    away = False
    recorder.flush()
    counts = shown(store, TimeSpan.HOUR, clock.now)["answers", "answered"]
    assert counts == dict.fromkeys(range(5, MAX_MINUTES + 5), 1.0)


def test_a_process_that_ends_writes_the_minute_it_is_in(store: Store, clock: Clock) -> None:
    recorder = recorder_of(store, clock, service=None)
    recorder.tally.count(StoredSeries.INGESTED, 7, tenant="acme", label="handbook")
    recorder.start()
    clock.now = NOON + 30
    recorder.close()
    with store.engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT series, label, total FROM rag.history WHERE series <> 'flushed'")
        assert [tuple(row) for row in rows] == [("ingested", "handbook", 7.0)]


def test_a_machine_that_slept_claims_no_minute_that_it_slept_through(store: Store, clock: Clock) -> None:
    recorder = recorder_of(store, clock)
    recorder.tally.record_call("acme", "search", 0.04, "")
    clock.now = NOON + 60
    recorder.flush()
    clock.now = NOON + 1800
    recorder.flush()
    assert set(shown(store, TimeSpan.HOUR, clock.now)["calls", "search"]) == {0, 29}


def test_what_a_minute_holds_is_bounded(clock: Clock) -> None:
    tally = Tally(clock=clock)
    for number in range(MAX_KEYS + 50):
        tally.count(StoredSeries.CITED, tenant="acme", label=f"s{number}")
        tally.record_unanswered("acme", f"h{number}", None, "no_evidence")
    (minute,) = tally.take(before=NOON + 60)
    assert len(minute.figures) == MAX_KEYS + 1
    assert sum(figure.total for figure in minute.figures.values()) == MAX_KEYS + 50
    assert len(minute.unanswered) == MAX_QUESTIONS
