"""Every target keeps one contract; `tests/faults/test_blue_green.py` runs it on a whole local stack."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rag_core.errors import Unavailable
from rag_core.settings import Settings
from ragctl.deploy.targets.kubernetes import KubernetesTarget
from ragctl.gateway.colours import Release
from tests.support.deploy_contract import check_target
from tests.support.deploys import MemoryTarget
from tests.support.kubernetes_api import NAMESPACE, OBJECTS, Cluster, running_cluster

DIGESTS = [f"registry.example/query@sha256:{number * 64}" for number in "12"]


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with running_cluster() as running:
        yield running


def open_cluster(cluster: Cluster, tmp_path: Path) -> KubernetesTarget:
    from kubernetes import client

    configuration = client.Configuration(host=cluster.url)
    configuration.retries = False
    return KubernetesTarget(client.ApiClient(configuration), NAMESPACE, OBJECTS, Settings(home=tmp_path))


def test_the_target_in_memory() -> None:
    check_target(MemoryTarget(), Release("r2"), Release("r3"))


def test_a_cluster(cluster: Cluster, tmp_path: Path) -> None:
    target = open_cluster(cluster, tmp_path)
    check_target(target, Release("r2", image=DIGESTS[0]), Release("r3", image=DIGESTS[1]))


def test_a_cluster_keeps_the_number_of_pods_to_the_autoscaler_and_tells_helm_what_is_live(
    cluster: Cluster, tmp_path: Path
) -> None:
    target = open_cluster(cluster, tmp_path)
    target.start("green", Release("r2", image=DIGESTS[0]))
    target.start("green", Release("r3", image=DIGESTS[1]))
    specs = [body["spec"] for kind, _, owner, body in cluster.patches if kind == "deployments" and owner == "helm"]
    assert ["replicas" in spec for spec in specs] == [True, False]
    assert specs[0]["replicas"] == 2  # as many as blue has
    target.shift(30)
    annotations = cluster.objects["configmaps", f"{OBJECTS}-gateway-routes"]["metadata"]["annotations"]
    assert annotations == {"rag-platform/green-percent": "30"}
    assert "rag-platform/routes" in cluster.objects["pods", "gateway-0"]["metadata"]["annotations"]
    live = cluster.objects["deployments", f"{OBJECTS}-query-green"]["metadata"]["annotations"]
    assert live == {"rag-platform/release": "r3", "rag-platform/image": DIGESTS[1]}


def test_pods_of_the_release_before_are_not_taken_for_the_new_ones(cluster: Cluster, tmp_path: Path) -> None:
    target = open_cluster(cluster, tmp_path)
    target.start("green", Release("r2", image=DIGESTS[0]))
    status = cluster.objects["deployments", f"{OBJECTS}-query-green"]["status"]
    for lag in ({"observedGeneration": 0}, {"updatedReplicas": 1}, {"availableReplicas": 1}):
        before = dict(status)
        status.update(lag)
        assert not target.health("green").good, lag
        status.update(before)
    assert target.health("green").good


def test_pods_that_cannot_start_are_told_from_pods_that_take_their_time(cluster: Cluster, tmp_path: Path) -> None:
    target = open_cluster(cluster, tmp_path)
    target.start("green", Release("r2", image=DIGESTS[0]))
    cluster.objects["deployments", f"{OBJECTS}-query-green"]["status"]["availableReplicas"] = 0
    pod = cluster.objects["pods", "query-green-0"]
    for reason, failed in (("ContainerCreating", False), ("ImagePullBackOff", True), ("CrashLoopBackOff", True)):
        waiting = {"name": "query", "image": "", "imageID": "", "ready": False, "restartCount": 0,
                   "state": {"waiting": {"reason": reason}}}  # fmt: skip
        pod["status"] = {"containerStatuses": [waiting]}
        health = target.health("green")
        assert (health.good, health.failed) == (False, failed)
        assert (reason in health.detail) is failed


def test_an_api_that_refuses_or_is_away_is_a_typed_error(cluster: Cluster, tmp_path: Path) -> None:
    target = open_cluster(cluster, tmp_path)
    del cluster.objects["deployments", f"{OBJECTS}-query-green"]
    with pytest.raises(Unavailable, match=r"TARGET_UNAVAILABLE.*query\.colours\.green\.enabled"):
        target.start("green", Release("r2", image=DIGESTS[0]))
    del cluster.objects["configmaps", f"{OBJECTS}-gateway-routes"]
    with pytest.raises(Unavailable, match=r"TARGET_UNAVAILABLE.*HTTP 404"):
        target.green_percent()
