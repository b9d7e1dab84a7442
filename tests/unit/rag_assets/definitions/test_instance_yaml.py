from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from dagster._core.instance.config import dagster_instance_config

from rag_assets.instance import render_dagster_yaml, render_workspace_yaml
from rag_core.errors import ConfigError, Reason
from rag_core.settings import Settings


def test_dagster_accepts_the_file(tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_text(render_dagster_yaml(Settings.load(home=tmp_path)))
    config, _ = dagster_instance_config(str(tmp_path))
    assert config["run_monitoring"]["enabled"] is True
    assert config["telemetry"]["enabled"] is False


def test_output_of_runs_is_kept_where_runs_and_webserver_share_a_folder(tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_text(
        render_dagster_yaml(Settings.load(home=tmp_path), compute_logs=tmp_path / "logs")
    )
    config, _ = dagster_instance_config(str(tmp_path))
    assert config["compute_logs"]["config"]["base_dir"] == str(tmp_path / "logs")
    alone = yaml.safe_load(render_dagster_yaml(Settings.load(home=tmp_path)))
    assert alone["compute_logs"]["class"] == "NoOpComputeLogManager"


def test_settings_reach_the_file(tmp_path: Path) -> None:
    settings = Settings.load(home=tmp_path, max_concurrent_runs=7, event_retention_days=3, postgres_port=55432)
    config = yaml.safe_load(render_dagster_yaml(settings))
    assert config["concurrency"]["runs"]["max_concurrent_runs"] == 7
    assert config["retention"]["schedule"]["purge_after_days"] == 3
    assert config["storage"]["custom"]["config"]["postgres_url"] == "postgresql://rag@127.0.0.1:55432/rag"


@pytest.mark.catalogue("S26")
def test_a_configured_database_url_stays_in_its_environment_variable(tmp_path: Path) -> None:
    text = render_dagster_yaml(Settings.load(home=tmp_path, database_url="postgresql://u:canary@db/rag"))
    assert "canary" not in text
    assert yaml.safe_load(text)["storage"]["custom"]["config"]["postgres_url"] == {"env": "RAG_DATABASE_URL"}


TWO_HOSTS = "postgresql://u:canary@/rag?host=db1:5432&host=db2:5432"


@pytest.mark.parametrize(
    "url", ["postgresql+psycopg://u:canary@db/rag", "mysql://u:canary@db/rag", "canary", TWO_HOSTS]
)
def test_a_url_that_dagster_cannot_use_is_refused_without_repeating_it(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        render_dagster_yaml(Settings.load(home=tmp_path, database_url=url))
    assert caught.value.reason is Reason.CONFIG_INVALID
    assert "canary" not in str(caught.value)


def test_of_several_databases_dagster_takes_the_one_that_is_written_to(tmp_path: Path) -> None:
    url = f"{TWO_HOSTS}&target_session_attrs=read-write"
    text = render_dagster_yaml(Settings.load(home=tmp_path, database_url=url))
    assert yaml.safe_load(text)["storage"]["custom"]["config"]["postgres_url"] == {"env": "RAG_DATABASE_URL"}


def test_the_workspace_names_the_code_server(tmp_path: Path) -> None:
    text = render_workspace_yaml(Settings.load(home=tmp_path, code_location_port=4999))
    (entry,) = yaml.safe_load(text)["load_from"]
    assert entry["grpc_server"] == {"host": "127.0.0.1", "port": 4999, "location_name": "rag"}
