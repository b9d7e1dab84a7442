"""S39: the rendered NetworkPolicies, enforced between real pods by kube-router's controller."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.cluster.images import REGISTRY
from tests.cluster.node import Cluster
from tests.support.chart import NAMESPACE, render, values
from tests.support.waiting import eventually
from tests.unit.ragctl.chart.test_network import EVALUATION, INSIDE, ROLES, labels_of

pytestmark = [pytest.mark.cluster, pytest.mark.root, pytest.mark.timeout(1800)]
PORTS = sorted({port for *_, port in INSIDE | EVALUATION} | {5432, 6333, 6335, 8501, 9466, 9901, 9902})
_LISTEN = f"""
import asyncio
async def main():
    servers = [await asyncio.start_server(lambda r, w: w.close(), "0.0.0.0", port) for port in {PORTS}]
    await asyncio.gather(*(server.serve_forever() for server in servers))
asyncio.run(main())
"""
_ASK = """
import asyncio, json, sys
async def opens(where, port):
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(where, port), 5)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True
async def main():
    pairs = json.loads(sys.argv[1])
    opened = await asyncio.gather(*(opens(*pair) for pair in pairs))
    print(json.dumps([pair for pair, yes in zip(pairs, opened) if yes]))
asyncio.run(main())
"""


@pytest.mark.catalogue("S39")
def test_pods_open_the_listed_edges_and_no_other(node: tuple[Cluster, dict[str, str]]) -> None:
    cluster, images = node
    policies = [item for item in render(values("dev")) if item["kind"] == "NetworkPolicy"]
    others = {"prometheus": "monitoring", "neighbour": "default"}
    for name in (NAMESPACE, "monitoring"):
        cluster.namespace(name)
    for role in ROLES:
        _apply(cluster, _pod(role, NAMESPACE, labels_of(role), images))
    for name, namespace in others.items():  # a stranger's pod has the labels of ours
        _apply(cluster, _pod(name, namespace, labels_of("gateway"), images))
    for namespace in (NAMESPACE, *others.values()):
        cluster.kubectl("-n", namespace, "wait", "--for=condition=Ready", "pod", "--all", "--timeout", "300s")
    where = {
        name: _address(cluster, namespace, name)
        for name, namespace in {**dict.fromkeys(ROLES, NAMESPACE), **others}.items()
    }
    assert len(_opened(cluster, NAMESPACE, "console", where)) == len(where) * len(PORTS)
    for policy in policies:
        _apply(cluster, policy)
    with cluster.policies():
        assert eventually(lambda: not _opened(cluster, "default", "neighbour", {"query": where["query"]}), seconds=120)
        with ThreadPoolExecutor(4) as several:
            found = several.map(lambda role: _opened(cluster, NAMESPACE, role, where), ROLES)
            edges = {
                (role, *edge) for role, opened in zip(ROLES, found, strict=True) for edge in opened if edge[0] != role
            }
        assert edges == INSIDE | EVALUATION
        assert not [edge for edge in _opened(cluster, "default", "neighbour", where) if edge[0] in ROLES]
        watched = {edge for edge in _opened(cluster, "monitoring", "prometheus", where) if edge[0] in ROLES}
        assert watched == {("query", 9464), ("stream", 9466), ("gateway", 9902)}
    for namespace in (NAMESPACE, "monitoring"):
        cluster.kubectl("delete", "namespace", namespace, "--wait")
    cluster.kubectl("-n", "default", "delete", "pod", "neighbour")


def _pod(name: str, namespace: str, labels: dict[str, str], images: dict[str, str]) -> dict[str, Any]:
    image = f"{REGISTRY}/query@{images['query:1']}"
    container = {
        "name": "pod", "image": image, "command": ["python", "-c", _LISTEN],
        "readinessProbe": {"tcpSocket": {"port": PORTS[0]}, "periodSeconds": 2},
    }  # fmt: skip
    spec = {"containers": [container], "terminationGracePeriodSeconds": 0}
    return {"kind": "Pod", "metadata": {"name": name, "namespace": namespace, "labels": labels}, "spec": spec}


def _apply(cluster: Cluster, body: dict[str, Any]) -> None:
    cluster.kubectl("apply", "-f", "-", given=json.dumps({"apiVersion": "v1", **body}))


def _address(cluster: Cluster, namespace: str, name: str) -> str:
    return cluster.kubectl("-n", namespace, "get", "pod", name, "-o", "jsonpath={.status.podIP}")


def _opened(cluster: Cluster, namespace: str, name: str, where: dict[str, str]) -> set[tuple[str, int]]:
    """To which pods and ports a pod can connect."""
    named = {address: role for role, address in where.items()}
    asked = json.dumps([(address, port) for address in named for port in PORTS])
    said = cluster.kubectl("-n", namespace, "exec", name, "--", "python", "-c", _ASK, asked)
    return {(named[address], port) for address, port in json.loads(said)}
