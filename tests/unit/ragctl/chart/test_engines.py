"""Who moves the weights: our deployer, a GRPCRoute of the Gateway API, or Argo Rollouts.

The kinds of others are checked here for what our code and theirs rely on; their whole schemas are asked in the real API
(`tests/real_servers/cluster/test_engines.py`).
"""

from __future__ import annotations

from typing import Any

import helm_python
import pytest
import yaml

from tests.support.chart import GATEWAY_API, PRESETS, Manifest, containers, find, notes, pod_specs, render, values
from tests.unit.ragctl.chart.test_network import Network

ARGO: dict[str, Any] = {"rollout": {"engine": "argo-rollouts"}}
ROUTED: dict[str, Any] = {"rollout": GATEWAY_API}


def names(manifests: list[Manifest], kind: str) -> set[str]:
    found = [item["metadata"]["name"] for item in manifests if item["kind"] == kind]
    return {name.removeprefix("rag-rag-platform-") for name in found}


def variables(container: Manifest) -> dict[str, str]:
    return {item["name"]: item["value"] for item in container["env"] if "value" in item}


def rollout_of(manifests: list[Manifest]) -> Any:
    return find(manifests, "Rollout", "-query")["spec"]


@pytest.mark.parametrize("preset", PRESETS)
def test_argo_rollouts_takes_the_place_of_colours_deployer_and_weights(preset: str) -> None:
    manifests = render(values(preset, ARGO))
    assert not {"query-blue", "query-green"} & names(manifests, "Service")
    assert not {"deployer"} & (names(manifests, "Deployment") | names(manifests, "Role"))
    assert "query-release" not in names(manifests, "ConfigMap")
    assert "@@" not in str(manifests)
    spec = rollout_of(manifests)
    blue_green = spec["strategy"]["blueGreen"]
    services = {blue_green[f"{kind}Service"] for kind in ("active", "preview")}
    for name in services:
        service = find(manifests, "Service", name)
        assert service["spec"]["selector"].items() <= spec["template"]["metadata"]["labels"].items()
    assert spec["selector"]["matchLabels"].items() <= spec["template"]["metadata"]["labels"].items()
    assert "replicas" not in spec
    scaled = find(manifests, "HorizontalPodAutoscaler", "-query")["spec"]["scaleTargetRef"]
    assert scaled == {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "name": "rag-rag-platform-query"}


def test_its_servers_run_exactly_as_those_of_our_deployer() -> None:
    wanted = find(render(values("production")), "ConfigMap", "-query-release")["data"]["deployment.yaml"]
    ours = yaml.safe_load(wanted)["spec"]["template"]["spec"]
    theirs = rollout_of(render(values("production", ARGO)))["template"]["spec"]
    for spec in (ours, theirs):
        del spec["topologySpreadConstraints"]  # by the labels of a colour
    assert theirs == ours


def test_the_smoke_suite_judges_before_argo_promotes_and_holds_no_token_of_the_cluster() -> None:
    manifests = render(values("production", ARGO))
    blue_green = rollout_of(manifests)["strategy"]["blueGreen"]
    template = find(manifests, "AnalysisTemplate", "-query-smoke")
    assert blue_green["prePromotionAnalysis"]["templates"] == [{"templateName": template["metadata"]["name"]}]
    (metric,) = template["spec"]["metrics"]
    job = metric["provider"]["job"]["spec"]
    assert job["backoffLimit"] == 0, "a refused release would be refused again"
    pod = job["template"]
    assert pod["metadata"]["labels"]["rag-platform/role"] == "deployer", "by which the network policies know it"
    (container,) = pod["spec"]["containers"]
    asked = [blue_green["previewService"], "--serving", blue_green["activeService"]]
    assert container["args"] == ["deploy", "check", "--candidate", *asked]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert not [volume for volume in pod["spec"]["volumes"] if "projected" in volume]
    assert pod["spec"]["serviceAccountName"].removeprefix("rag-rag-platform-") in names(manifests, "ServiceAccount")
    network = Network(manifests)
    assert network.pods("deployer", "query", 50051)
    assert not network.pods("deployer", "gateway", 9902)


def test_what_helm_prints_leads_to_what_is_there() -> None:
    assert "exec deploy/rag-rag-platform-deployer" in notes(values("production", ROUTED))
    said = notes(values("production", ARGO))
    assert "-deployer" not in said
    assert "kubectl argo rollouts get rollout rag-rag-platform-query -n rag-space" in said


def gateway_of(manifests: list[Manifest]) -> dict[str, str]:
    (init,) = find(manifests, "Deployment", "-gateway")["spec"]["template"]["spec"]["initContainers"]
    return variables(init)


@pytest.mark.parametrize("change", [ARGO, ROUTED], ids=["argo-rollouts", "gateway-api"])
def test_where_others_divide_the_gateway_sends_everything_to_its_first_colour(change: dict[str, Any]) -> None:
    manifests = render(values("production", change))
    volumes = find(manifests, "Deployment", "-gateway")["spec"]["template"]["spec"]["volumes"]
    (name,) = [item["configMap"]["name"] for item in volumes if item["name"] == "routes"]
    text = find(manifests, "ConfigMap", name)["data"]["routes.yaml"]
    (host,) = yaml.safe_load(text)["resources"][0]["virtual_hosts"]
    pairs = [item["route"]["weighted_clusters"]["clusters"] for item in host["routes"] if "weighted_clusters" in
             item.get("route", {})]  # fmt: skip
    assert pairs
    assert {tuple(cluster["weight"] for cluster in pair) for pair in pairs} == {(100, 0)}


def test_the_gateway_finds_what_argo_makes_active() -> None:
    known = gateway_of(render(values("production", ARGO)))
    assert known["RAG_GATEWAY_BLUE"] == "rag-rag-platform-query-active:50051"
    assert known["RAG_GATEWAY_GREEN"] == "rag-rag-platform-query-preview:50051"


@pytest.mark.parametrize("preset", PRESETS)
def test_the_gateway_api_divides_between_the_colours_by_a_route_of_the_deployer(preset: str) -> None:
    manifests = render(values(preset, ROUTED))
    data = find(manifests, "ConfigMap", "-query-release")["data"]
    route = yaml.safe_load(data["route.yaml"].replace("@@weight-blue@@", "90").replace("@@weight-green@@", "10"))
    assert (route["apiVersion"], route["kind"]) == ("gateway.networking.k8s.io/v1", "GRPCRoute")
    assert route["spec"]["parentRefs"] == [GATEWAY_API["gatewayApi"]["parentRef"]]
    (rule,) = route["spec"]["rules"]
    assert [(backend["name"].rpartition("-")[2], backend["weight"]) for backend in rule["backendRefs"]] == [
        ("blue", 90),
        ("green", 10),
    ]
    assert {backend["name"].removeprefix("rag-rag-platform-") for backend in rule["backendRefs"]} <= names(
        manifests, "Service"
    )
    assert "GRPCRoute" not in {item["kind"] for item in manifests}, "Helm would reset the weights"
    assert gateway_of(manifests)["RAG_GATEWAY_VIA"] == GATEWAY_API["gatewayApi"]["address"]
    rules = find(manifests, "Role", "-deployer")["rules"]
    (allowed,) = [rule for rule in rules if rule["apiGroups"] == ["gateway.networking.k8s.io"]]
    assert allowed["resourceNames"] == [route["metadata"]["name"]]
    assert not [rule for rule in rules if "rag-rag-platform-gateway-routes" in rule.get("resourceNames", [])]


def test_only_who_divides_is_let_in_between_gateway_and_servers() -> None:
    policies = {
        item["metadata"]["name"]: item["spec"]
        for item in render(values("production", ROUTED))
        if item["kind"] == "NetworkPolicy"
    }
    namespace = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "gateways"}}}
    reached = {
        (name.removeprefix("rag-rag-platform-"), way)
        for name, spec in policies.items()
        for way, end in (("ingress", "from"), ("egress", "to"))
        for rule in spec.get(way) or []
        if namespace in rule.get(end, [])
    }
    assert reached == {("query", "ingress"), ("gateway", "egress")}


@pytest.mark.parametrize("change", [{}, ARGO], ids=["builtin", "argo-rollouts"])
def test_servers_that_answer_no_probe_stay_in_the_names_that_the_gateway_resolves(change: dict[str, Any]) -> None:
    """An empty answer would take all of them away, and every call would fail."""
    headless = [
        item
        for item in render(values("production", change))
        if item["kind"] == "Service" and item["metadata"]["labels"]["app.kubernetes.io/component"].startswith("query-")
    ]
    assert len(headless) == 2
    assert all(item["spec"]["publishNotReadyAddresses"] for item in headless)


def test_who_does_not_check_servers_itself_is_shown_only_those_that_are_ready() -> None:
    for colour in ("blue", "green"):
        service = find(render(values("production", ROUTED)), "Service", f"-query-{colour}")
        assert "publishNotReadyAddresses" not in service["spec"]


@pytest.mark.parametrize("name", ["parentRef", "address", "namespace"])
def test_what_the_gateway_api_needs_is_asked_for_by_name(name: str) -> None:
    given = {key: value for key, value in GATEWAY_API["gatewayApi"].items() if key != name}
    with pytest.raises(helm_python.HelmError, match=f"rollout.gatewayApi.{name} is required"):
        render(values("production", {"rollout": {"engine": "gateway-api", "gatewayApi": given}}))


@pytest.mark.parametrize("change", [ARGO, ROUTED], ids=["argo-rollouts", "gateway-api"])
def test_every_pod_of_every_engine_is_as_confined(change: dict[str, Any]) -> None:
    manifests = render(values("production", change))
    accounts = names(manifests, "ServiceAccount")
    for _, spec in pod_specs(manifests):
        assert spec["serviceAccountName"].removeprefix("rag-rag-platform-") in accounts
    for name, container in containers(manifests):
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}, name
