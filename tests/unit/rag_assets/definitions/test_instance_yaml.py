"""The files that Dagster is given, and what the product takes from Dagster that Dagster does not publish."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml
from dagster._core.instance.config import dagster_instance_config

from rag_assets.instance import render_dagster_yaml, render_workspace_yaml
from rag_core.errors import ConfigError, Reason
from rag_core.settings import Settings
from tests.support.names import ROOT


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


@pytest.mark.parametrize(("runs", "shards"), [(1, 1), (2, 1), (6, 4), (20, 15)])
def test_a_quarter_of_the_slots_stays_free_of_shards(tmp_path: Path, runs: int, shards: int) -> None:
    config = yaml.safe_load(render_dagster_yaml(Settings.load(home=tmp_path, max_concurrent_runs=runs)))
    limits = {one["key"]: one["limit"] for one in config["concurrency"]["runs"]["tag_concurrency_limits"]}
    assert limits["dagster/partition"] == shards


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


TRIED_WITH = "1.13.27"
PRIVATE = re.compile(r"dagster(_\w+)?(\.\w+)*\._|dagster_webserver\.")
REASONS = {
    ("rag_assets/code_server.py", "dagster._grpc"): "the proxy asks its child three times a second and has no setting",
    ("rag_assets/daemon.py", "dagster._daemon"): "the daemon loads all definitions each minute and has no setting",
    (
        "rag_assets/launcher.py",
        "dagster._core.launcher",
    ): "the health of a run, as monitoring takes it, has no public name",
    ("rag_assets/launcher.py", "dagster._grpc.types"): "the argument of `dagster api execute_run`",
    ("rag_assets/webserver.py", "dagster._core.workspace"): "the webserver is made of one; the CLI makes no checks",
    ("rag_assets/webserver.py", "dagster_webserver.app"): "the webserver itself, to put our checks before it",
}
"""Why each is taken, and that it was tried with `TRIED_WITH`."""


def imports(path: Path) -> Iterator[str]:
    """The private modules that a file imports from, once for each statement."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        yield from (name for name in names if PRIVATE.match(f"{name}."))


def test_each_private_import_has_a_reason_and_there_are_six_at_most() -> None:
    packages = ("rag_core", "rag_assets", "query_server", "console", "interfaces", "ragctl", "rag_tracing")
    files = [path for package in packages for path in sorted((ROOT / package).rglob("*.py"))]
    found = [(str(path.relative_to(ROOT)), name) for path in files for name in imports(path)]
    assert sorted(found) == sorted(REASONS)
    assert len(found) <= 6


def test_the_private_imports_were_tried_with_the_version_that_is_installed() -> None:
    """When this fails: run the tests of launcher and webserver with the new version, then write it above."""
    assert version("dagster") == version("dagster-webserver") == TRIED_WITH
