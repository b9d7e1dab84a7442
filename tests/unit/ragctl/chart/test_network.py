"""S39: the rendered NetworkPolicies, read the way a network plugin reads them."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest

from tests.support.chart import DIGEST, NAMESPACE, PRESETS, Manifest, render, values

ROLES = (
    "gateway",
    "query",
    "interfaces",
    "rate-limits",
    "console",
    "dagster-code",
    "dagster-webserver",
    "dagster-daemon",
    "run",
    "jobs",
    "stream",
    "postgresql",
    "qdrant",
    "valkey",
    "test",
    "backup",
)
INSIDE = {
    ("gateway", "query", 50051),
    ("gateway", "query", 9464),
    ("gateway", "interfaces", 8090),
    ("gateway", "rate-limits", 50053),
    ("interfaces", "gateway", 8091),
    ("console", "query", 50051),
    ("console", "query", 9464),
    ("console", "gateway", 8080),
    ("console", "dagster-webserver", 3000),
    ("test", "gateway", 8080),
    ("test", "dagster-webserver", 3000),
    ("dagster-webserver", "dagster-code", 4266),
    ("dagster-daemon", "dagster-code", 4266),
    ("dagster-daemon", "dagster-webserver", 3000),
}
_DATABASE = ("query", "dagster-code", "dagster-webserver", "dagster-daemon", "run", "jobs", "stream")
_INDEX = ("query", "dagster-code", "run", "jobs", "stream")
EVALUATION = {(role, "postgresql", 5432) for role in _DATABASE} | {(role, "qdrant", 6334) for role in _INDEX}


def labels_of(role: str) -> dict[str, str]:
    return {"rag-platform/role": role, "rag-platform/release": "rag"}


class Network:
    """Answers whether a connection may be opened: both ends must allow it."""

    def __init__(self, manifests: list[Manifest]) -> None:
        self.policies = [item["spec"] for item in manifests if item["kind"] == "NetworkPolicy"]

    def rules(self, role: str, direction: str) -> list[dict[str, Any]]:
        chosen = [policy for policy in self.policies if _selects(policy["podSelector"], labels_of(role))]
        assert any(direction.capitalize() in policy["policyTypes"] for policy in chosen), "not isolated at all"
        return [rule for policy in chosen for rule in policy.get(direction) or []]

    def pods(self, source: str, target: str, port: int) -> bool:
        out = any(_allows(rule, "to", port, pod=target) for rule in self.rules(source, "egress"))
        return out and any(_allows(rule, "from", port, pod=source) for rule in self.rules(target, "ingress"))

    def out(self, source: str, address: str, port: int) -> bool:
        return any(_allows(rule, "to", port, address=address) for rule in self.rules(source, "egress"))

    def into(self, namespace: str, target: str, port: int) -> bool:
        return any(_allows(rule, "from", port, namespace=namespace) for rule in self.rules(target, "ingress"))


def _selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    return selector.get("matchLabels", {}).items() <= labels.items()


def _allows(
    rule: dict[str, Any], side: str, port: int, *, pod: str = "", namespace: str = "", address: str = ""
) -> bool:
    if port not in {item["port"] for item in rule["ports"] if item["protocol"] == "TCP"}:
        return False
    return any(_is_peer(peer, pod, namespace, address) for peer in rule[side])


def _is_peer(peer: dict[str, Any], pod: str, namespace: str, address: str) -> bool:
    if "ipBlock" in peer:
        block = peer["ipBlock"]
        where = ipaddress.ip_address(address) if address else None
        inside = where is not None and where in ipaddress.ip_network(block["cidr"])
        return inside and all(where not in ipaddress.ip_network(but) for but in block.get("except", []))
    if "namespaceSelector" in peer:
        return bool(namespace) and _selects(peer["namespaceSelector"], {"kubernetes.io/metadata.name": namespace})
    return bool(pod) and _selects(peer["podSelector"], labels_of(pod))


@pytest.fixture(params=PRESETS, scope="module")
def network(request: pytest.FixtureRequest) -> Network:
    return Network(render(values(request.param)))


@pytest.mark.catalogue("S39")
def test_default_deny_covers_every_pod_both_ways(network: Network) -> None:
    everything = [policy for policy in network.policies if policy["podSelector"] == {}]
    assert [set(policy["policyTypes"]) for policy in everything] == [{"Ingress", "Egress"}]
    assert not any(everything[0].get(way) for way in ("ingress", "egress"))


@pytest.mark.catalogue("S39")
@pytest.mark.parametrize("preset", PRESETS)
def test_exactly_the_listed_edges_are_open(preset: str) -> None:
    network = Network(render(values(preset)))
    ports = sorted({port for *_, port in INSIDE | EVALUATION} | {6333, 6335, 9901, 9902, 8501, 9466, 22, 443})
    found = {(a, b, port) for a in ROLES for b in ROLES for port in ports if network.pods(a, b, port)}
    assert found == (INSIDE | EVALUATION if preset == "dev" else INSIDE)


@pytest.mark.catalogue("S39")
def test_the_deployer_reaches_what_it_judges_and_the_kubernetes_api() -> None:
    network = Network(render(values("production")))
    ports = (50051, 9464, 9902, 8080, 3000, 9901)
    inside = {(role, port) for role in ROLES for port in ports if network.pods("deployer", role, port)}
    assert inside == {("query", 50051), ("query", 9464), ("gateway", 9902)}
    assert network.out("deployer", "10.0.0.1", 6443)
    assert network.out("deployer", "10.1.0.9", 5432)


@pytest.mark.catalogue("S39")
def test_no_pod_reaches_the_metadata_service(network: Network) -> None:
    reached = [(role, port) for role in ROLES for port in (80, 443, 6443) if network.out(role, "169.254.169.254", port)]
    assert reached == []


@pytest.mark.catalogue("S39")
def test_only_what_launches_runs_reaches_the_kubernetes_api() -> None:
    network = Network(render(values("production")))
    assert {role for role in ROLES if network.out(role, "10.0.0.1", 6443)} == {"dagster-webserver", "dagster-daemon"}


@pytest.mark.catalogue("S39")
def test_external_stores_are_reached_by_address_and_port_only() -> None:
    network = Network(render(values("production")))
    assert {role for role in ROLES if network.out(role, "10.1.0.9", 5432)} == set(_DATABASE)
    assert {role for role in ROLES if network.out(role, "10.2.0.9", 6334)} == set(_INDEX)
    assert not any(network.out(role, "10.2.0.9", 6335) for role in ROLES)
    assert {role for role in ROLES if network.out(role, "10.3.0.9", 9092)} == {"query", "stream"}
    assert {role for role in ROLES if network.out(role, "10.4.0.9", 443)} == {"query", "gateway", "console"}


@pytest.mark.catalogue("S39")
def test_other_namespaces_reach_metrics_and_the_gateway_and_nothing_else() -> None:
    network = Network(render(values("production")))
    ports = (5432, 6334, 3000, 4266, 8080, 8501, 9464, 9466, 9901, 9902, 50051)
    found = {(role, port) for role in ROLES for port in ports if network.into("monitoring", role, port)}
    assert found == {("query", 9464), ("stream", 9466), ("gateway", 9902)}
    assert {(r, p) for r in ROLES for p in ports if network.into("ingress", r, p)} == {("gateway", 8080)}
    assert not any(network.into("default", role, port) for role in ROLES for port in ports)
    operators = Network(render(values("production", {"networkPolicy": {"operatorNamespace": "ops"}})))
    allowed = {(role, port) for role in ROLES for port in ports if operators.into("ops", role, port)}
    assert allowed == {("dagster-webserver", 3000), ("console", 8501)}


@pytest.mark.catalogue("S39")
def test_the_policies_live_in_the_namespace_of_the_release() -> None:
    policies = [item for item in render(values("dev")) if item["kind"] == "NetworkPolicy"]
    assert {item["metadata"]["namespace"] for item in policies} == {NAMESPACE}


@pytest.mark.parametrize("preset", PRESETS)
def test_the_exporter_of_postgresql_reaches_the_database_and_only_prometheus_reaches_it(preset: str) -> None:
    exporter = {"monitoring": {"postgresExporter": {"enabled": True, "digest": DIGEST}}}
    network = Network(render(values(preset, exporter)))
    name = "postgres-exporter"
    assert network.into("monitoring", name, 9187)
    assert not network.into("default", name, 9187)
    assert not [role for role in ROLES if network.pods(role, name, 9187)]
    reached = {role for role in ROLES if any(network.pods(name, role, port) for port in (5432, 6334, 9464, 50051))}
    if preset == "dev":
        assert reached == {"postgresql"}
    else:
        assert reached == set()
        assert network.out(name, "10.1.0.9", 5432)
    assert not network.out(name, "10.0.0.1", 6443)


def test_traces_open_the_way_to_the_collector_and_no_other() -> None:
    tracing = {"endpoint": "http://collector.watch:4318", "namespace": "watch"}
    before = Network(render(values("production")))
    after = Network(render(values("production", {"tracing": tracing})))
    opened = {role for role in ROLES if _reaches(after, role) and not _reaches(before, role)}
    assert opened == {"query", "gateway", "interfaces", "run", "stream"}


def _reaches(network: Network, role: str) -> bool:
    return any(_allows(rule, "to", 4318, namespace="watch") for rule in network.rules(role, "egress"))
