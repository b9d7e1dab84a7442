"""S39: the rendered NetworkPolicies as packet filter rules between network namespaces; the kernel says what opens."""

from __future__ import annotations

import pytest

from tests.support.chart import NAMESPACE, render, values
from tests.support.packets import Host, missing, rules, wired
from tests.unit.ragctl.chart.test_network import EVALUATION, INSIDE, ROLES, labels_of

pytestmark = pytest.mark.root
_WHY = missing()
METADATA, API, DATABASE, IDENTITY, STRANGER = "169.254.169.254", "10.0.0.1", "10.1.0.9", "10.4.0.9", "203.0.113.7"
PORTS = sorted(
    {port for *_, port in INSIDE | EVALUATION}
    | {53, 80, 443, 5432, 6333, 6335, 6379, 6443, 8501, 9187, 9466, 9468, 9901, 9902}
)


@pytest.mark.catalogue("S39")
@pytest.mark.skipif(_WHY is not None, reason=str(_WHY))
@pytest.mark.parametrize("preset", ["dev", "production"])
def test_the_kernel_opens_the_listed_edges_and_no_other(preset: str) -> None:
    pods = [Host(role, NAMESPACE, labels_of(role), (f"10.99.0.{number}",)) for number, role in enumerate(ROLES, 10)]
    others = [
        Host("dns", "kube-system", {"k8s-app": "kube-dns"}, ("10.98.0.1",)),
        Host("prometheus", "monitoring", {}, ("10.98.0.2",)),
        Host("controller", "ingress", {}, ("10.98.0.3",)),
        Host("neighbour", "default", {"rag-platform/role": "gateway", "rag-platform/release": "rag"}, ("10.98.0.4",)),
        Host("outside", "", {}, (METADATA, API, DATABASE, IDENTITY, STRANGER)),
    ]
    policies = [item for item in render(values(preset)) if item["kind"] == "NetworkPolicy"]
    with wired([*pods, *others], rules(policies, [*pods, *others])) as wires:
        opened = wires.open_connections(PORTS)
    role_at = {pod.addresses[0]: pod.name for pod in pods}
    between = {(source, role_at[where], port) for source, where, port in opened if where in role_at}
    own = {edge for edge in between if edge[0] in ROLES}
    assert own == (INSIDE | EVALUATION if preset == "dev" else INSIDE)
    scraped = {"query": 9464, "stream": 9466, "rate-limits": 9468, "gateway": 9902}
    metrics = {("prometheus", *endpoint) for endpoint in scraped.items()}
    operators = {("dns", "dagster-webserver", 3000), ("dns", "console", 8501)}  # `dev` lets kube-system in
    assert between - own == metrics | (operators if preset == "dev" else {("controller", "gateway", 8080)})
    outward = {(source, where, port) for source, where, port in opened if source in ROLES and where not in role_at}
    assert not [edge for edge in outward if edge[1] == METADATA]
    launching = {"dagster-webserver", "dagster-daemon"}
    assert {source for source, where, port in outward if (where, port) == (API, 6443)} == launching
    asking = {source for source, where, port in outward if (where, port) == ("10.98.0.1", 53)}
    assert asking == set(ROLES) - {"postgresql", "qdrant", "valkey"}
