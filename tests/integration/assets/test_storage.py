"""Dagster over a PostgreSQL that restarts. The page that adds the code location to a Dagster that is already there,
tried with the workspace that it shows."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import psycopg
import pytest
import yaml
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteInstigatorOrigin, RemoteRepositoryOrigin
from dagster._core.scheduler.instigation import InstigatorState, InstigatorStatus, InstigatorType
from sqlalchemy import text

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


@pytest.mark.parametrize("prepare", [_optimize, lambda _: None], ids=["webserver", "every other process"])
def test_the_server_ends_a_session_whose_machine_lost_power_within_a_minute(
    instance: dg.DagsterInstance, prepare: Callable[[dg.DagsterInstance], None]
) -> None:
    prepare(instance)
    parts: tuple[Any, ...] = (instance.run_storage, instance.event_log_storage, instance.schedule_storage)
    for part in parts:
        with part._engine.connect() as connection:
            assert connection.scalar(text("SHOW tcp_user_timeout")) == "60000"


def test_the_state_of_a_sensor_is_read_again_only_when_it_has_changed(instance: dg.DagsterInstance) -> None:
    repository = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("rag"), "__repository__")
    origin = RemoteInstigatorOrigin(repository, "handbook_changes")
    off = InstigatorState(origin, InstigatorType.SENSOR, InstigatorStatus.STOPPED, None)
    instance.add_instigator_state(off)
    [first] = instance.all_instigator_state()
    with dg.DagsterInstance.from_ref(instance.get_ref()) as another:  # as each evaluation of a sensor opens one
        [second] = another.all_instigator_state()
    assert first == off
    assert second is first
    instance.update_instigator_state(off.with_status(InstigatorStatus.RUNNING))
    [third] = instance.all_instigator_state()
    assert third.status is InstigatorStatus.RUNNING


def _read(instance: dg.DagsterInstance) -> None:
    assert instance.get_runs() == []
    assert instance.all_asset_keys() == []
    assert instance.all_instigator_state() == []


ROOT = Path(__file__).parents[3]
COMPANY = """
import dagster as dg

@dg.asset
def sales() -> None: ...

defs = dg.Definitions(assets=[sales])
"""


def test_the_workspace_of_the_page_loads_the_location_beside_those_of_a_company(tmp_path: Path) -> None:
    page = (ROOT / "docs/how-to/add-to-your-dagster.md").read_text("utf-8")
    workspace = yaml.safe_load(page.partition("```yaml\n")[2].partition("```")[0])
    workspace["load_from"][1]["python_module"]["executable_path"] = sys.executable
    (tmp_path / "workspace.yaml").write_text(yaml.safe_dump(workspace))
    (tmp_path / "company.py").write_text(COMPANY)
    dagster = Path(sys.executable).with_name("dagster")
    environment = {**os.environ, "RAG_HOME": str(tmp_path / "home"), "RAG_SOURCES_DIR": str(tmp_path / "sources")}
    result = subprocess.run(
        [dagster, "definitions", "validate", "-w", "workspace.yaml"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert "Validation successful for code location rag" in result.stdout + result.stderr
