"""Dagster over a PostgreSQL that restarts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import psycopg
import pytest

from rag_assets.instance import render_dagster_yaml
from rag_core.settings import Settings


@pytest.fixture
def instance(tmp_path: Path, empty_database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    monkeypatch.setenv("RAG_DATABASE_URL", empty_database_url)
    settings = Settings(home=tmp_path, database_url=empty_database_url)
    (tmp_path / "dagster.yaml").write_text(render_dagster_yaml(settings))
    with dg.DagsterInstance.from_config(str(tmp_path)) as opened:
        yield opened


def _optimize(instance: dg.DagsterInstance) -> None:
    instance.optimize_for_webserver(statement_timeout=10_000, pool_recycle=3600, max_overflow=20)


@pytest.mark.parametrize(
    ("prepare", "connections"), [(_optimize, 3), (lambda _: None, 1)], ids=["webserver", "every other process"]
)
def test_connections_are_kept_and_the_first_calls_after_a_restart_of_the_database_succeed(
    instance: dg.DagsterInstance,
    empty_database_url: str,
    prepare: Callable[[dg.DagsterInstance], None],
    connections: int,
) -> None:
    with psycopg.connect(empty_database_url, autocommit=True) as server:
        prepare(instance)
        for _ in range(2):
            _read(instance)
            if connections == 1:  # as each evaluation of a sensor opens an instance
                with dg.DagsterInstance.from_ref(instance.get_ref()) as another:
                    _read(another)
            ended = server.execute(
                "SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            ).fetchone()
            assert ended == (connections,)
        _read(instance)


def _read(instance: dg.DagsterInstance) -> None:
    assert instance.get_runs() == []
    assert instance.all_asset_keys() == []
    assert instance.all_instigator_state() == []
