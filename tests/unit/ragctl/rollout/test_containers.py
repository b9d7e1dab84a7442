"""What the containers of deploy/compose.yaml are told, against the programs that are told it."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jwt
import pytest
import yaml

from benchmarks.ports import free_port
from console.settings import ConsoleSettings
from rag_core.errors import ConfigError
from rag_core.settings import Settings
from ragctl.container.gateway import write
from ragctl.container.identity import publish
from ragctl.container.roles import ROLES, command_of
from ragctl.gateway.options import Endpoint
from ragctl.gateway.program import ENVOY_FLAGS, envoy_path
from ragctl.tokens import ensure_keys
from tests.support.certificates import self_signed
from tests.support.chart import ROOT
from tests.support.wire import running_gateway

SERVICES: dict[str, dict[str, Any]] = yaml.load(
    (ROOT / "deploy" / "compose.yaml").read_text("utf-8"), yaml.CSafeLoader
)["services"]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Those of `gateway-config`, with keys that `identity` has made."""
    made = Settings(home=tmp_path / "identity")
    made.secrets_dir.mkdir(parents=True)
    ensure_keys(made)
    return Settings(home=tmp_path, environment="production", jwt_public_keys=made.jwks_path)


def with_tls(settings: Settings, folder: Path) -> Settings:
    """Those of `gateway-config` in compose.tls.yaml, whose folder of certificates lies elsewhere here."""
    made = dict(zip(("crt", "key"), self_signed(folder, "rag.example.com"), strict=True))
    text = (ROOT / "deploy" / "compose.tls.yaml").read_text("utf-8")
    given = re.findall(r"RAG_(GATEWAY_TLS_\w+): /etc/rag/tls/tls\.(crt|key)", text)
    return settings.model_copy(update={name.lower(): made[kind] for name, kind in given})


def gateway(settings: Settings, folder: Path, *weight: str) -> tuple[dict[str, Any], dict[str, Any]]:
    write(settings, str(folder), *weight)
    read = [
        yaml.load((folder / name).read_text("utf-8"), yaml.CSafeLoader) for name in ("envoy.yaml", "routes/routes.yaml")
    ]
    return read[0]["static_resources"], read[1]["resources"][0]["virtual_hosts"][0]


def test_the_gateway_of_compose_finds_both_colours_by_their_service_names(settings: Settings, tmp_path: Path) -> None:
    statics, routes = gateway(settings, tmp_path, "30")
    hosts = {
        cluster["name"]: {
            where["endpoint"]["address"]["socket_address"]["address"]
            for group in cluster["load_assignment"]["endpoints"]
            for where in group["lb_endpoints"]
        }
        for cluster in statics["clusters"]
        if cluster["name"] != "envoy-admin"
    }
    assert hosts == {
        "query-blue": {"query-blue"},
        "query-green": {"query-green"},
        "query-probes": {"query-blue", "query-green"},
        "interfaces": {"interfaces"},
        "pages": {"interfaces"},
    }
    assert {"query-blue", "query-green"} <= SERVICES.keys()
    shares = {
        tuple((item["name"], item["weight"]) for item in route["route"]["weighted_clusters"]["clusters"])
        for route in routes["routes"]
        if "weighted_clusters" in route.get("route", {})
    }
    assert shares == {(("query-blue", 70), ("query-green", 30))}


def test_the_gateway_of_compose_verifies_tokens_and_exempts_nobody(settings: Settings, tmp_path: Path) -> None:
    statics, _ = gateway(settings, tmp_path)
    manager = statics["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    filters = {item["name"]: item["typed_config"] for item in manager["http_filters"]}
    (provider,) = filters["envoy.filters.http.jwt_authn"]["providers"].values()
    assert provider["local_jwks"] == {"inline_string": settings.jwks_path.read_text("utf-8")}
    assert "developer" not in str(filters)


def test_the_gateway_of_compose_asks_the_rate_limit_service_that_is_named(settings: Settings, tmp_path: Path) -> None:
    shared = settings.model_copy(update={"gateway_rate_limits": "rate-limits:50053"})
    statics, _ = gateway(shared, tmp_path)
    (cluster,) = [item for item in statics["clusters"] if item["name"] == "rate-limits"]
    assert cluster["type"] == "STRICT_DNS"
    assert "'address': 'rate-limits', 'port_value': 50053" in str(cluster)
    assert SERVICES["rate-limits"]["command"][-1] == "rate-limits"


@pytest.mark.parametrize("tls", [False, True])
def test_envoy_accepts_the_files_of_compose(settings: Settings, tmp_path: Path, tls: bool) -> None:
    statics, _ = gateway(with_tls(settings, tmp_path) if tls else settings, tmp_path)
    encrypted = ["transport_socket" in chain for item in statics["listeners"] for chain in item["filter_chains"]]
    assert any(encrypted) == tls
    file = tmp_path / "envoy.yaml"
    file.chmod(0o644)
    text = file.read_text("utf-8").replace("/etc/envoy/static", str(tmp_path))
    file.write_text(text.replace("/etc/envoy/routes", str(tmp_path / "routes")))
    command = [str(envoy_path()), "--mode", "validate", *ENVOY_FLAGS, "-c", str(file)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(("wanted", "let_in"), [(None, 4096), (500, 500)])
def test_searches_are_limited_only_to_what_is_said_where_servers_are_found_by_name(
    settings: Settings, tmp_path: Path, wanted: int | None, let_in: int
) -> None:
    statics, _ = gateway(settings.model_copy(update={"gateway_searches": wanted}), tmp_path)
    blue = next(cluster for cluster in statics["clusters"] if cluster["name"] == "query-blue")
    thresholds = {item["priority"]: item["max_requests"] for item in blue["circuit_breakers"]["thresholds"]}
    assert thresholds == {"DEFAULT": 4096, "HIGH": let_in}


@pytest.mark.parametrize("weight", ["101", "-1", "half", ""])
def test_a_weight_that_is_no_percentage_is_refused(settings: Settings, tmp_path: Path, weight: str) -> None:
    with pytest.raises(ConfigError, match="0 to 100"):
        write(settings, str(tmp_path), weight)


def test_compose_gives_the_gateway_the_keys_and_the_mode_of_the_servers() -> None:
    config, servers = SERVICES["gateway-config"], SERVICES["query-blue"]
    for name in ("RAG_ENVIRONMENT", "RAG_JWT_PUBLIC_KEYS"):
        assert config["environment"][name] == servers["environment"][name]
    assert "public-keys:/run/identity:ro" in config["volumes"]
    assert "identity" in config["depends_on"]


@pytest.mark.catalogue("A25")
def test_no_source_reaches_a_service_of_compose_but_kafka() -> None:
    named = SERVICES["dagster-code"]["environment"]["RAG_OWN_HOSTS"].split(",")
    once = {"migrate", "bootstrap", "gateway-config"}  # they end, and listen on nothing
    assert SERVICES.keys() - once - {"kafka"} <= set(named)


def test_only_the_console_shares_a_volume_with_its_token(tmp_path: Path) -> None:
    folders = {name: tmp_path / name for name in ("identity", "public-keys", "home")}
    for folder in folders.values():
        folder.mkdir()
    publish(Settings(home=folders["home"]), folders["identity"], folders["public-keys"])
    _, _, _, _, role, tokens, keys = SERVICES["identity"]["command"]
    mounts = dict(volume.split(":")[1::-1] for volume in SERVICES["identity"]["volumes"])
    assert (role, mounts[tokens], mounts[keys]) == ("identity", "identity", "public-keys")
    assert [path.name for path in folders["public-keys"].iterdir()] == ["jwks.json"]
    token = (folders["identity"] / "console-token").read_text().strip()
    assert "platform.admin" in jwt.decode(token, options={"verify_signature": False})["scope"].split()
    for secret in ("identity", "identity-key"):
        holders = {name for name, service in SERVICES.items() if secret in str(service.get("volumes", ""))}
        sharing = {name for name in holders if any(str(volume).startswith(f"{secret}:")
                                                   for volume in SERVICES[name]["volumes"])}  # fmt: skip
        assert sharing == ({"identity", "console"} if secret == "identity" else {"identity"})


def test_compose_tells_the_console_how_people_come_in(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SERVICES["console"]["environment"].items():
        monkeypatch.setenv(name, re.sub(r"\$\{\w+:-(.*)\}", r"\1", value))
    message = ConsoleSettings()
    assert message.sign_in == "none"  # the accounts of `rag account` are behind a socket of the local stack
    assert message.token_file == Path("/run/identity/console-token")
    assert (
        "127.0.0.1" not in f"{message.query_address} {message.gateway_url} {message.dagster_url} {message.metrics_urls}"
    )
    for service, url in (("dagster-webserver", message.dagster_url), ("query-blue", message.metrics_urls)):
        allowed = SERVICES[service]["environment"]["RAG_ALLOWED_HOSTS"].split(",")
        assert urlsplit(url).hostname in allowed
    assert "gateway" in SERVICES["gateway-config"]["environment"]["RAG_ALLOWED_HOSTS"].split(",")  # Prometheus


def test_both_colours_sign_page_tokens_with_one_secret() -> None:
    assert all("rag_page_token_secret" in SERVICES[name]["secrets"] for name in ("query-blue", "query-green"))


@pytest.mark.parametrize("role", ROLES)
def test_every_role_becomes_a_program_that_exists(role: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", "/tmp/dagster")  # noqa: S108  where the images have it
    python, safe_path, as_module, module, *_ = command_of(Settings(), role)
    assert (Path(python).exists(), safe_path, as_module) == (True, "-P", "-m")
    assert importlib.util.find_spec(module) is not None


WITHOUT_LOCAL = """
import importlib, sys
sys.modules |= dict.fromkeys(("supervisor", "envoy", "swagger_ui"))
for name in sys.argv[1:]:
    importlib.import_module(name)
"""
"""Imports modules as an image has them, which holds nothing of the extra `local`."""


def test_the_programs_of_the_images_need_nothing_of_the_local_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", "/tmp/dagster")  # noqa: S108
    programs = {command_of(Settings(), role)[3] for role in ROLES} | {"ragctl.container", "ragctl.commands.deploy"}
    packages = {"query_server", "interfaces", "rag_assets.stream_worker", "ragctl.container"}
    own = [
        f"{name}.__main__" if name in packages else name
        for name in sorted(programs)
        if (ROOT / name.split(".")[0]).exists()
    ]
    assert "ragctl.rollout.controller" in own
    subprocess.run([sys.executable, "-P", "-c", WITHOUT_LOCAL, *own], check=True, cwd=ROOT / "docs")


def test_the_health_check_of_the_gateway_passes_while_it_is_live(tmp_path: Path) -> None:
    """The status page answers nobody who asks for a name that it does not know."""
    check = SERVICES["gateway"]["healthcheck"]["test"]
    with running_gateway(tmp_path, metrics=Endpoint("127.0.0.1", free_port())) as gateway:
        assert gateway.options.metrics is not None
        command = [part.replace("/9902;", f"/{gateway.options.metrics.port};") for part in check[1:]]
        assert command != check[1:]
        subprocess.run(command, check=True, timeout=60)
