"""Runs take turns at embedding: fair between tenants, small sources first within one, and dead ones do not count. What
a pipeline process opens once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from rag_core.content.sources import Scope, Source
from rag_core.database import Store, locks
from rag_core.errors import Unavailable
from rag_core.ingestion.pipeline import Pipeline, Waiting, turn_store, turns, waiting_runs
from rag_core.ingestion.pipeline.turn_store import TurnRow
from rag_core.ingestion.pipeline.turns import SharedTurn, in_order, may_work
from rag_core.settings import Settings


def row(number: int, state: str = "waiting", **values: object) -> TurnRow:
    known = {"tenant": "acme", "source": f"s{number}", "shard": 0, "weight": 1.0, "remaining": 100, "rate": 10.0}
    return TurnRow(id=number, state=state, **{**known, "used": 0.0, "seconds": 1.0, **values})  # type: ignore[arg-type]


def order(*rows: TurnRow) -> list[int]:
    return [one.id for one in in_order(rows)]


@pytest.mark.catalogue("A19")
def test_the_source_with_the_least_work_is_next_within_a_tenant() -> None:
    assert order(row(1, remaining=10_000), row(2, remaining=30), row(3, remaining=500)) == [2, 3, 1]


def test_a_weight_counts_as_less_work() -> None:
    assert order(row(1, remaining=100), row(2, remaining=150, weight=2.0)) == [2, 1]


def test_a_large_source_that_waited_long_is_taken_in_between() -> None:
    large = row(1, remaining=10_000, seconds=3 * turns.AGED_SECONDS + 1)
    assert order(large, row(2, remaining=1), row(3, remaining=2)) == [1, 2, 3]
    assert order(row(1, remaining=10_000, seconds=turns.AGED_SECONDS), row(2, remaining=1)) == [2, 1]


def test_the_tenant_that_used_less_is_next_however_much_it_has_to_do() -> None:
    assert order(row(1, used=9.0, remaining=1), row(2, tenant="other", used=3.0, remaining=10_000)) == [2, 1]


def test_only_free_slots_are_given() -> None:
    rows = [row(1, "working"), row(2, remaining=1), row(3, remaining=2), row(4, "idle")]
    assert not may_work(rows, 2, slots=1)
    assert may_work(rows, 2, slots=2)
    assert not may_work(rows, 3, slots=2)
    assert may_work(rows, 3, slots=3)


@pytest.mark.parametrize(
    ("before", "seconds", "said"),
    [
        (2, 240.0, "waits for embedding: 2 sources before it, about 4 min"),
        (1, 2.6, "waits for embedding: 1 source before it, about 3 s"),
        (1, None, "waits for embedding: 1 source before it"),
        (0, 1.0, "waits for embedding"),
    ],
)
def test_the_reason_of_waiting_is_said_in_words(before: int, seconds: float | None, said: str) -> None:
    assert str(Waiting("acme", "wiki", 0, before, seconds)) == said


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def connect(store: Store, opened: ExitStack, source: str) -> Connection:
    return opened.enter_context(locks.shard_connection(store, "acme", source, 0, wait=5))


def turn(connection: Connection, source: str, remaining: int) -> SharedTurn:
    made = SharedTurn(connection, Scope(Source(source, "acme", "memory"), f"run-{source}"), slots=1)
    made.remaining = remaining
    return made


def states(store: Store) -> dict[str, str]:
    with store.engine.connect() as connection:
        return {one.source: one.state for one in turn_store.rows(connection)}


@pytest.mark.catalogue("A19")
def test_a_run_passes_its_turn_on_and_gets_it_back(
    store: Store, opened: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "TURN_SECONDS", 0.0)
    large = turn(connect(store, opened, "large"), "large", 10_000)
    small = turn(connect(store, opened, "small"), "small", 10)
    done: list[str] = []

    def work_small() -> None:
        with small.taken():
            done.append("small")
        small.close()

    with large.taken():
        thread = threading.Thread(target=work_small)
        thread.start()
        while states(store).get("small") != "waiting":
            pass
        with store.engine.connect() as connection:
            (waiting,) = waiting_runs(connection)
        assert (waiting.source, waiting.before) == ("small", 1)
        large.pass_on()
        done.append("large")
    thread.join()
    assert done == ["small", "large"]
    assert states(store) == {"large": "idle"}
    large.close()
    assert states(store) == {}


def test_the_turn_of_a_run_that_died_is_free_at_once(store: Store, opened: ExitStack) -> None:
    lost = connect(store, opened, "lost")
    held = turn(lost, "lost", 10)
    other = turn(connect(store, opened, "other"), "other", 10)
    pid = lost.scalar(text("SELECT pg_backend_pid()"))
    lost.commit()
    with pytest.raises(Unavailable), held.taken():  # noqa: PT012
        with store.engine.begin() as connection:
            connection.execute(text("SELECT pg_terminate_backend(:pid, 60000)"), {"pid": pid})
        with other.taken():
            assert states(store) == {"other": "working"}
    other.close()


def test_transforms_are_closed_with_the_pipeline_and_opened_again_at_the_next_use(tmp_path: Path) -> None:
    with Pipeline(Settings.load(home=tmp_path)) as pipeline:
        first = pipeline.transform_registry
        assert pipeline.transform_registry is first
    assert pipeline.transform_registry is not first
