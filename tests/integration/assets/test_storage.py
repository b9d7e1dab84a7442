"""Dagster over a PostgreSQL that restarts."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import psycopg
import pytest

from rag_assets.instance import render_dagster_yaml
from rag_core.settings import Settings


def test_the_webservers_first_calls_after_a_restart_of_the_database_succeed(
    tmp_path: Path, empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAG_DATABASE_URL", empty_database_url)
    settings = Settings(home=tmp_path, database_url=empty_database_url)
    (tmp_path / "dagster.yaml").write_text(render_dagster_yaml(settings))
    with (
        psycopg.connect(empty_database_url, autocommit=True) as server,
        dg.DagsterInstance.from_config(str(tmp_path)) as instance,
    ):
        instance.optimize_for_webserver(statement_timeout=10_000, pool_recycle=3600, max_overflow=20)
        _read(instance)
        ended = server.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        ).fetchone()
        assert ended is not None
        assert ended[0] >= 3
        _read(instance)


def _read(instance: dg.DagsterInstance) -> None:
    assert instance.get_runs() == []
    assert instance.all_asset_keys() == []
    assert instance.all_instigator_state() == []
