"""What every preset must keep, whatever else is set: catalogue rows S31, S38 and S40. The rate-limit service in the
chart: the values of docs/how-to/share-limits.md, and the chart's own Valkey."""

from __future__ import annotations

import re
from typing import Any

import helm_python
import pytest
import yaml

from query_server.runtime.metrics import Metrics
from tests.support.chart import (
    DIGEST,
    NAMESPACE,
    PRESETS,
    ROOT,
    Manifest,
    containers,
    everything,
    find,
    notes,
    pod_specs,
    render,
    values,
)

KEDA = {
    "enabled": True,
    "bootstrapServers": "kafka:9092",
    "topics": [{"topic": name, "consumerGroup": f"rag-default-{name}"} for name in ("tickets", "wiki")],
}
# A second colour, a worker scaled by lag and everything optional, so that no template escapes.
_ALL: dict[str, Any] = {
    "query": {"autoscaling": {"inFlight": 8}},
    "stream": {"enabled": True, "keda": KEDA},
    "ingress": {"kind": "ingress", "host": "rag.example.com"},
    "rollout": {"release": "2.4.0"},
    "monitoring": {
        "serviceMonitor": True,
        "prometheusRule": True,
        "dashboards": True,
        "postgresExporter": {"enabled": True, "digest": DIGEST},
    },
}


@pytest.fixture(params=[*PRESETS, "all"], scope="module")
def manifests(request: pytest.FixtureRequest) -> list[Manifest]:
    return everything(values("dev", _ALL) if request.param == "all" else values(request.param))


@pytest.mark.catalogue("S38")
def test_every_container_keeps_the_restricted_profile(manifests: list[Manifest]) -> None:
    seen = 0
    for name, container in containers(manifests):
        security = container["securityContext"]
        assert security["allowPrivilegeEscalation"] is False, name
        assert security["readOnlyRootFilesystem"] is True, name
        assert security["runAsNonRoot"] is True, name
        assert security["capabilities"] == {"drop": ["ALL"]}, name
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert "privileged" not in security, name
        seen += 1
    assert seen >= 9


@pytest.mark.catalogue("A25")
def test_every_service_of_the_release_is_one_that_no_source_reaches(manifests: list[Manifest]) -> None:
    named = find(manifests, "ConfigMap", "-settings")["data"]["RAG_OWN_HOSTS"].split(",")
    services = {one["metadata"]["name"] for one in manifests if one["kind"] == "Service"}
    assert services
    assert services <= set(named)


@pytest.mark.catalogue("S38")
def test_every_pod_is_numeric_non_root_without_token_or_host(manifests: list[Manifest]) -> None:
    for name, spec in pod_specs(manifests):
        assert spec["securityContext"]["runAsNonRoot"] is True, name
        assert spec["securityContext"]["runAsUser"] > 0, name
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert spec["automountServiceAccountToken"] is False, name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys(), name
        assert [v for v in spec["volumes"] if "hostPath" in v] == [], name


@pytest.mark.catalogue("S38")
def test_every_container_has_resources_and_an_image_by_digest(manifests: list[Manifest]) -> None:
    for name, container in containers(manifests):
        assert {"cpu", "memory"} <= container["resources"]["requests"].keys(), name
        assert "memory" in container["resources"]["limits"], name
        image, _, digest = container["image"].partition("@sha256:")
        assert len(digest) == 64, name
        assert ":" not in image.rpartition("/")[2], name


@pytest.mark.catalogue("S38", "A23")
def test_long_running_containers_have_three_probes_that_ask_for_their_work(manifests: list[Manifest]) -> None:
    running = [item for item in manifests if item["kind"] in {"Deployment", "StatefulSet"}]
    for name, container in containers(running, initial=False):
        short = name.rpartition("/")[2]
        # Nothing sends by the daemon's readiness: it is ready when it has started.
        for probe in ("startupProbe", "livenessProbe", *(() if short == "dagster-daemon" else ("readinessProbe",))):
            assert "tcpSocket" not in container[probe] or short in {"postgresql", "qdrant", "kafka"}, (name, probe)
        # A kubelet that has just begun waits for a part of the period before it asks, and `helm --wait` with it.
        assert container.get("readinessProbe", {}).get("periodSeconds", 10) <= 30, name


@pytest.mark.catalogue("S38")
def test_a_node_drain_can_always_continue(manifests: list[Manifest]) -> None:
    budgets = [item for item in manifests if item["kind"] == "PodDisruptionBudget"]
    assert len(budgets) >= 2
    assert all(item["spec"]["maxUnavailable"] >= 1 for item in budgets)


@pytest.mark.catalogue("S31")
def test_only_the_gateway_can_be_reached_from_outside(manifests: list[Manifest]) -> None:
    services = [item for item in manifests if item["kind"] == "Service"]
    for service in services:
        spec = service["spec"]
        public = service["metadata"]["labels"]["app.kubernetes.io/component"] == "gateway"
        assert spec.get("type", "ClusterIP") == "ClusterIP" or public
        assert "externalIPs" not in spec
        if public:
            assert [port["port"] for port in spec["ports"]] == [8080]
    assert not [item for item in services for port in item["spec"]["ports"] if port["port"] in {9901, 6335, 6333}]


@pytest.mark.catalogue("S31")
def test_ingress_and_route_lead_to_the_gateway_with_tls() -> None:
    by_ingress = find(render(values("production")), "Ingress", "-gateway")
    assert by_ingress["spec"]["tls"] == [{"hosts": ["rag.example.com"], "secretName": "rag-platform-tls"}]
    assert by_ingress["metadata"]["annotations"]["cert-manager.io/cluster-issuer"] == "letsencrypt"
    given = values("production", {"ingress": {"kind": "gateway", "gateway": {"name": "public"}}})
    route = find(render(given), "HTTPRoute", "-gateway")
    assert route["spec"]["parentRefs"][0]["sectionName"] == "https"
    assert route["spec"]["rules"][0]["backendRefs"][0]["name"].endswith("-gateway")


@pytest.mark.catalogue("S40")
def test_no_role_is_wide(manifests: list[Manifest]) -> None:
    assert [item for item in manifests if item["kind"] in {"ClusterRole", "ClusterRoleBinding"}] == []
    rules = [rule for item in manifests if item["kind"] == "Role" for rule in item["rules"]]
    for rule in rules:
        assert "*" not in {*rule["apiGroups"], *rule["resources"], *rule["verbs"]}
        assert not {"secrets", "pods/exec", "pods/attach", "serviceaccounts/token"} & set(rule["resources"])
        assert not {"escalate", "bind", "impersonate"} & set(rule["verbs"])


@pytest.mark.catalogue("S40")
def test_only_webserver_daemon_and_deployer_hold_a_token_and_it_expires(manifests: list[Manifest]) -> None:
    holders = set()
    for name, spec in pod_specs(manifests):
        for volume in spec["volumes"]:
            for source in volume.get("projected", {}).get("sources", []):
                if "serviceAccountToken" in source:
                    assert source["serviceAccountToken"]["expirationSeconds"] <= 3600
                    holders.add(name.rpartition("platform-")[2])
    launchers, deployers = {"dagster-webserver", "dagster-daemon"}, {"deployer", "rollout"}
    assert holders == launchers | deployers | {"end-runs", "test-answers"}, "which acts as the daemon"
    bound = {
        item["metadata"]["name"].rpartition("platform-")[2]: {
            subject["name"].rpartition("platform-")[2] for subject in item["subjects"]
        }
        for item in manifests
        if item["kind"] == "RoleBinding"
    }
    assert bound == {"run-launcher": launchers, "deployer": {"deployer"}}


@pytest.mark.catalogue("S40")
def test_the_deployer_changes_the_two_colours_and_the_routes_only() -> None:
    role = find(render(values("production")), "Role", "-deployer")
    changing = {
        (resource, name)
        for rule in role["rules"]
        for resource in rule["resources"]
        for name in rule.get("resourceNames", ["*"])
        if "patch" in rule["verbs"]
    }
    assert {(resource, name.removeprefix("rag-rag-platform-")) for resource, name in changing} == {
        ("deployments", "query-blue"),
        ("deployments", "query-green"),
        ("deployments/scale", "query-blue"),
        ("deployments/scale", "query-green"),
        ("configmaps", "gateway-routes"),
        ("pods", "*"),  # annotations that make a node refresh its mounts; names of pods cannot be known before
    }


def test_query_servers_scale_by_processor_and_when_asked_by_calls_in_flight() -> None:
    # With a metric that nothing serves an autoscaler adds pods and never removes one.
    for preset in PRESETS:
        (cpu,) = find(render(values(preset)), "HorizontalPodAutoscaler", "-query-blue")["spec"]["metrics"]
        assert cpu["resource"]["name"] == "cpu"
    more = values("production", {"query": {"autoscaling": {"inFlight": 8}}})
    _, calls = find(render(more), "HorizontalPodAutoscaler", "-query-blue")["spec"]["metrics"]
    assert calls["pods"]["metric"]["name"] == "rag_server_in_flight"
    assert "rag_server_in_flight" in {family.name for family in Metrics().registry.collect()}


def test_keda_scales_workers_by_the_lag_of_every_topic_and_owns_their_number() -> None:
    manifests = render(values("production", {"stream": {"keda": KEDA}}))
    scaled = find(manifests, "ScaledObject", "-stream")["spec"]
    groups = {item["metadata"]["topic"]: item["metadata"]["consumerGroup"] for item in scaled["triggers"]}
    assert groups == {"tickets": "rag-default-tickets", "wiki": "rag-default-wiki"}
    worker = find(manifests, "Deployment", "-stream")
    assert scaled["scaleTargetRef"]["name"] == worker["metadata"]["name"]
    assert "replicas" not in worker["spec"]


def test_every_pod_uses_an_account_of_the_chart(manifests: list[Manifest]) -> None:
    accounts = {item["metadata"]["name"] for item in manifests if item["kind"] == "ServiceAccount"}
    assert {spec["serviceAccountName"] for _, spec in pod_specs(manifests)} <= accounts


def test_no_object_holds_a_secret(manifests: list[Manifest]) -> None:
    assert [item for item in manifests if item["kind"] == "Secret"] == []
    for name, container in containers(manifests):
        for variable in container.get("env", []):
            secret = variable["name"].endswith(("_KEY", "_SECRET", "_PASSWORD", "DATABASE_URL"))
            assert not secret or "valueFrom" in variable, name


def test_servers_that_answer_no_probe_stay_in_the_names_that_the_gateway_resolves() -> None:
    """An empty answer would take all of them away, and every call would fail."""
    headless = [
        item
        for item in render(values("production"))
        if item["kind"] == "Service" and item["metadata"]["labels"]["app.kubernetes.io/component"].startswith("query-")
    ]
    assert len(headless) == 2
    assert all(item["spec"]["publishNotReadyAddresses"] for item in headless)


def test_what_helm_prints_leads_to_the_deployer() -> None:
    assert "exec deploy/rag-rag-platform-deployer" in notes(values("production"))


def test_the_page_on_kubernetes_shows_what_helm_prints() -> None:
    page = (ROOT / "docs" / "how-to" / "deploy-to-kubernetes.md").read_text("utf-8")
    shown = page.partition("\nSTATUS: deployed\n")[2].partition("\n```")[0]
    lines = {line for line in shown.splitlines() if line and "…" not in line}
    assert len(lines) > 6
    assert lines <= set(notes(values("production")).replace(NAMESPACE, "rag").splitlines())


PAGE = (ROOT / "docs" / "how-to" / "share-limits.md").read_text("utf-8")


def test_the_values_of_the_page_run_the_service_and_the_gateway_asks_it() -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    manifests = render(values("production", yaml.safe_load(block)))
    service = find(manifests, "Deployment", "-rate-limits")["spec"]["template"]["spec"]["containers"][0]
    assert service["command"][-1] == "rate-limits"
    named = {one["name"]: one for one in service["env"]}
    assert named["RAG_REDIS_URL"]["valueFrom"]["secretKeyRef"]["key"] == "RAG_REDIS_URL"
    assert named["RAG_GATEWAY_CLIENT_PER_MINUTE"]["value"] == "100"
    pod = find(manifests, "Deployment", "-gateway")["spec"]["template"]["spec"]
    given = {one["name"]: one["value"] for one in pod["initContainers"][0]["env"]}
    assert given["RAG_GATEWAY_RATE_LIMITS"] == "rag-rag-platform-rate-limits:50053"
    assert given["RAG_GATEWAY_RATE_LIMITS_FAIL"] == "open"


def test_without_it_there_is_no_such_object_and_each_gateway_counts_for_itself() -> None:
    manifests = render(values("production"))
    named = {one["kind"] for one in manifests if one["metadata"]["name"].endswith("-rate-limits")}
    assert named <= {"NetworkPolicy"}
    pod = find(manifests, "Deployment", "-gateway")["spec"]["template"]["spec"]
    assert "RAG_GATEWAY_RATE_LIMITS" not in {one["name"] for one in pod["initContainers"][0]["env"]}


def test_the_charts_own_valkey_is_named_to_all_who_count() -> None:
    valkey = {"enabled": True, "digest": DIGEST}
    manifests = render(values("production", {"rateLimits": {"enabled": True}, "valkey": valkey}))
    assert (
        find(manifests, "ConfigMap", "-settings")["data"]["RAG_REDIS_URL"] == "redis://rag-rag-platform-valkey:6379/0"
    )
    assert find(manifests, "StatefulSet", "-valkey")


def test_where_redis_is_must_be_said_to_the_network_policies() -> None:
    with pytest.raises(helm_python.HelmError, match=r"networkPolicy\.redis\.cidrs"):
        render(values("production", {"rateLimits": {"enabled": True}}))
