"""The gateway of the chart: what its init container makes of the values, and the routes that stay apart from it."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from rag_core.settings import Settings
from ragctl.chart.files import routes_file
from ragctl.container.gateway import write
from ragctl.gateway.program import ENVOY_FLAGS, envoy_path
from ragctl.tokens import ensure_keys
from tests.support.chart import ROOT, Manifest, everything, find, loaded, render, values


def deployment(manifests: list[Manifest]) -> Manifest:
    spec: Manifest = find(manifests, "Deployment", "-gateway")["spec"]["template"]["spec"]
    return spec


class Configured:
    """Envoy's configuration as the init container leaves it, made by the program with the container's environment."""

    def __init__(self, folder: Path, change: dict[str, Any], *, green: int = 0) -> None:
        self.manifests = everything(values("production", change), green=green)
        (container,) = deployment(self.manifests)["initContainers"]
        assert container["command"][:5] == ["python", "-P", "-m", "ragctl.container", "gateway"]
        environment = {item["name"].removeprefix("RAG_").lower(): item["value"] for item in container["env"]}
        if "jwt_public_keys" in environment:
            keys = folder / "jwks.json"
            keys.write_text(find(self.manifests, "ConfigMap", "-jwks")["data"]["jwks.json"])
            environment["jwt_public_keys"] = str(keys)
        write(Settings.model_validate(environment), str(folder))
        self.text = (folder / "envoy.yaml").read_text("utf-8")
        self.config = loaded(self.text)
        self.routes = find(self.manifests, "ConfigMap", "-gateway-routes")["data"]["routes.yaml"]

    @property
    def manager(self) -> dict[str, Any]:
        listener = self.config["static_resources"]["listeners"][0]
        found: dict[str, Any] = listener["filter_chains"][0]["filters"][0]["typed_config"]
        return found

    def filter(self, name: str) -> dict[str, Any]:
        filters = {item["name"]: item["typed_config"] for item in self.manager["http_filters"]}
        found: dict[str, Any] = filters[name]
        return found


def test_the_gateway_verifies_tokens_and_limits_by_the_settings_of_the_installation(tmp_path: Path) -> None:
    settings = {"gateway_ip_per_minute": 7777, "gateway_client_per_minute": 42, "jwt_issuer": "https://idp.example.com"}
    settings |= {"max_message_bytes": 1_000_000, "gateway_limit_overrides": ["acme/crawler=5:50"]}
    made = Configured(tmp_path, {"settings": settings})
    (provider,) = made.filter("envoy.filters.http.jwt_authn")["providers"].values()
    assert provider["issuer"] == "https://idp.example.com"
    assert provider["local_jwks"] == {"inline_string": '{"keys": []}'}
    (address,) = made.filter("rag.limits.address")["descriptors"]
    assert address["token_bucket"]["tokens_per_fill"] == 7777
    refills = {item["token_bucket"]["tokens_per_fill"] for item in made.filter("rag.limits.minute")["descriptors"]}
    assert refills == {42, 5}
    assert "max_request_bytes: 1000000" in made.text


def test_keys_come_from_an_address_instead_of_a_volume(tmp_path: Path) -> None:
    url = "https://idp.example.com/keys"
    made = Configured(tmp_path, {"auth": {"jwks": ""}, "settings": {"jwt_jwks_url": url}})
    (provider,) = made.filter("envoy.filters.http.jwt_authn")["providers"].values()
    assert provider["remote_jwks"]["http_uri"]["uri"] == url
    assert "/etc/envoy/static/authorities.pem" in made.text
    assert (tmp_path / "authorities.pem").stat().st_size > 1000
    for name in ("-gateway", "-query-blue"):
        spec = find(made.manifests, "Deployment", name)["spec"]["template"]["spec"]
        assert "jwks" not in {volume["name"] for volume in spec["volumes"]}


def test_the_page_gives_gateway_query_servers_deployer_and_console_tls_among_them(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "how-to" / "deploy-to-kubernetes.md").read_text("utf-8")
    (text,) = re.findall(r"(?ms)^## TLS inside\n.*?^```yaml\n(.*?)^```", page)
    made = Configured(tmp_path, loaded(text))
    for path in ("tls.crt", "tls.key", "ca.crt"):
        assert f"/etc/rag/query-tls/{path}" in made.text
    assert "query-server" in made.text
    for name in ("-gateway", "-query-blue", "-deployer", "-console"):
        spec = find(made.manifests, "Deployment", name)["spec"]["template"]["spec"]
        assert "query-tls" in {volume["name"] for volume in spec["volumes"]}
        assert all("/etc/rag/query-tls" in str(container["volumeMounts"]) for container in spec["containers"])


def test_keys_come_from_a_secret(tmp_path: Path) -> None:
    manifests = everything(values("production", {"auth": {"jwks": "", "existingSecret": "idp-keys"}}))
    for name in ("-gateway", "-query-blue"):
        volumes = find(manifests, "Deployment", name)["spec"]["template"]["spec"]["volumes"]
        assert next(v for v in volumes if v["name"] == "jwks")["secret"]["secretName"] == "idp-keys"


@pytest.mark.parametrize(
    ("kind", "settings", "hops"), [("ingress", {}, 1), ("none", {}, 0), ("none", {"gateway_trusted_hops": 2}, 2)]
)
def test_behind_an_ingress_an_address_is_the_caller_not_the_ingress(
    tmp_path: Path, kind: str, settings: dict[str, Any], hops: int
) -> None:
    made = Configured(tmp_path, {"ingress": {"kind": kind}, "settings": settings})
    assert made.manager["xff_num_trusted_hops"] == hops


@pytest.mark.catalogue("S31")
def test_the_admin_interface_of_envoy_stays_on_loopback(tmp_path: Path) -> None:
    made = Configured(tmp_path, {})
    assert made.config["admin"]["address"]["pipe"] == {"path": "/tmp/envoy-9901.sock", "mode": 0o600}  # noqa: S108
    [served] = [item for item in made.config["static_resources"]["listeners"] if item["name"] == "operations"]
    assert served["address"]["socket_address"]["address"] == "127.0.0.1"


def test_the_gateway_finds_both_colours_and_the_routes_carry_their_weights(tmp_path: Path) -> None:
    made = Configured(tmp_path, {"settings": {"max_deadline_seconds": 20}}, green=5)
    first = loaded(made.routes)["resources"][0]["virtual_hosts"][0]["routes"][0]["route"]
    assert first["max_stream_duration"]["max_stream_duration"] == "21s"
    shares = [(item["name"], item["weight"]) for item in first["weighted_clusters"]["clusters"]]
    assert shares == [("query-blue", 95), ("query-green", 5)]
    hosts = {
        where["endpoint"]["address"]["socket_address"]["address"]
        for cluster in made.config["static_resources"]["clusters"]
        for group in cluster["load_assignment"]["endpoints"]
        for where in group["lb_endpoints"]
        if cluster["name"] != "envoy-admin"
    }
    servers = {f"rag-rag-platform-{name}" for name in ("query-blue", "query-green", "interfaces")}
    assert hosts == servers


BROWSERS = ["https://app.example.com", "http://localhost:3000"]


@pytest.mark.parametrize("settings", [{}, {"gateway_cors_origins": BROWSERS, "gateway_expose_admin": True}], ids=str)
def test_envoy_accepts_what_the_init_container_makes_with_the_routes_of_the_chart(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    local = Settings(home=tmp_path)
    local.secrets_dir.mkdir(parents=True)
    ensure_keys(local)
    made = Configured(tmp_path, {"auth": {"jwks": local.jwks_path.read_text("utf-8")}, "settings": settings})
    # Validation reads no watched file, so the routes are put where they would be served.
    routes = loaded(made.routes)["resources"][0]
    served = {name: value for name, value in routes.items() if name != "@type"}
    public, internal, *_ = made.config["static_resources"]["listeners"]
    for listener in (public, internal):  # both serve the same ones
        manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
        assert manager.pop("rds")["route_config_name"] == "public"
        manager["route_config"] = served
    file = tmp_path / "validated.yaml"
    file.write_text(yaml.safe_dump(made.config).replace("/etc/envoy/static", str(tmp_path)))
    command = [str(envoy_path()), "--mode", "validate", *ENVOY_FLAGS, "-c", str(file)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("admin", [False, True])
def test_browsers_and_the_admin_api_pass_where_the_installation_says_so(tmp_path: Path, admin: bool) -> None:
    settings = {"gateway_cors_origins": BROWSERS} if admin else {}
    made = Configured(tmp_path, {"settings": {**settings, "gateway_expose_admin": admin}})
    (host,) = loaded(made.routes)["resources"][0]["virtual_hosts"]
    policy = host["typed_per_filter_config"]["envoy.filters.http.cors"]
    allowed = [origin["exact"] for origin in policy["allow_origin_string_match"] or []]
    names = [route.get("name", "") for route in host["routes"]]
    assert allowed == (BROWSERS if admin else [])
    assert [name for name in names if name.startswith("preflight")] == [f'preflight "{origin}"' for origin in allowed]
    assert any(name.startswith("/ragproto.admin.") for name in names) is admin
    assert ("ragproto.admin.v1.AdminService" in made.text) is admin, "the rules about scopes and tokens"
    service = find(render(values("production", {"settings": settings})), "Deployment", "-interfaces")
    (container,) = service["spec"]["template"]["spec"]["containers"]
    origins = next(one["value"] for one in container["env"] if one["name"] == "RAG_INTERFACES_ORIGINS")
    assert origins == ",".join(BROWSERS if admin else [])


def test_an_origin_with_a_path_is_refused() -> None:
    with pytest.raises(Exception, match="gateway_cors_origins"):
        render(values("production", {"settings": {"gateway_cors_origins": ["https://app.example.com/"]}}))


def test_no_placeholder_is_left_in_the_routes() -> None:
    text = routes_file()
    assert not [mark for mark in ("987654321", "98765") if mark in text]
    assert set(re.findall("@@.*?@@", text)) == {"@@weight-blue@@", "@@weight-green@@"}, "which the deployer fills in"


def test_traces_go_from_every_process_and_the_gateway_to_the_collector(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change = {"tracing": {"endpoint": "http://collector.watch:4318", "share": 0.05}}
    manifests = everything(values("production", change))
    (container,) = deployment(manifests)["initContainers"]
    given = {item["name"]: item["value"] for item in container["env"] if item["name"].startswith("OTEL_")}
    assert given["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://collector.watch:4318"
    assert find(manifests, "ConfigMap", "-settings")["data"].items() >= given.items()
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    made = Configured(tmp_path, change)
    assert '"numerator": 50000' in json.dumps(made.manager["tracing"])
    assert "collector.watch" in made.text
    assert "OTEL_" not in str(everything(values("production")))
