"""Every target keeps one contract; `tests/faults/test_blue_green.py` runs it on a whole local stack."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rag_core.errors import Unavailable
from rag_core.settings import Settings
from ragctl.gateway.colours import Release
from ragctl.rollout.targets.cluster import OWNER, Cluster
from ragctl.rollout.targets.kubernetes import KubernetesTarget
from tests.support.chart_objects import NAMESPACE, OBJECTS, Installed, installed, weights
from tests.support.deploy_contract import check_target
from tests.support.deploys import MemoryTarget

DIGESTS = [f"registry.example.com/rag/query@sha256:{number * 64}" for number in "12"]


@pytest.fixture
def cluster() -> Iterator[Installed]:
    with installed() as running:
        yield running


def open_target(cluster: Installed, tmp_path: Path) -> KubernetesTarget:
    from kubernetes import client

    configuration = client.Configuration(host=cluster.api.url)
    configuration.retries = False
    return KubernetesTarget(Cluster(client.ApiClient(configuration), NAMESPACE, OBJECTS), Settings(home=tmp_path))


@pytest.fixture
def target(cluster: Installed, tmp_path: Path) -> KubernetesTarget:
    """With blue at two servers, as after the first installation."""
    opened = open_target(cluster, tmp_path)
    wanted = opened.wanted()
    assert wanted is not None
    opened.start("blue", wanted)
    opened.shift(0)
    cluster.api.patches.clear()
    return opened


def scale(cluster: Installed, colour: str, replicas: int) -> None:
    deployment = cluster.deployment(colour)
    assert deployment is not None
    deployment["spec"]["replicas"] = replicas
    cluster.follow("deployments", deployment)


def test_the_target_in_memory() -> None:
    check_target(MemoryTarget(), Release("r2"), Release("r3"))


def test_a_cluster(target: KubernetesTarget) -> None:
    check_target(target, Release("r2", image=DIGESTS[0]), Release("r3", image=DIGESTS[1]))


def test_what_is_wanted_is_made_whole_by_its_owner_and_belongs_to_what_helm_removes(
    cluster: Installed, target: KubernetesTarget
) -> None:
    wanted = target.wanted()
    assert wanted is not None
    target.start("green", wanted)
    target.shift(30)
    green, release = cluster.deployment("green"), cluster.api.objects["configmaps", f"{OBJECTS}-query-release"]
    assert green is not None
    assert "@@" not in str(green)
    assert {patch.owner for patch in cluster.api.patches if patch.resource != "pods"} == {OWNER}
    for item in (green, cluster.routes()):
        assert [owner["uid"] for owner in item["metadata"]["ownerReferences"]] == [release["metadata"]["uid"]]
    assert weights(cluster.routes()) == {(70, 30)}
    assert target.runs("green", wanted)
    cluster.want(query={"resources": {"limits": {"memory": "5Gi"}}})
    other = target.wanted()
    assert other is not None
    assert other.key != wanted.key
    assert not target.runs("green", other)


def test_a_release_is_left_to_the_deployer_that_has_its_golden_sets(
    cluster: Installed, target: KubernetesTarget, tmp_path: Path
) -> None:
    cluster.want(sources={"golden": [{"name": "handbook", "configMap": "golden-handbook"}]})
    assert target.wanted() is None  # the one of the upgrade before
    (tmp_path / "golden" / "handbook").mkdir(parents=True)
    assert target.wanted() is not None


def test_the_autoscaler_keeps_the_number_of_pods(cluster: Installed, target: KubernetesTarget) -> None:
    scale(cluster, "blue", 3)
    target.start("green", Release("r2", image=DIGESTS[0]))
    target.start("green", Release("r3", image=DIGESTS[1]))
    applied = [patch.body for patch in cluster.api.patches if patch.resource == "deployments" and not patch.sub]
    assert all("replicas" not in body["spec"] for body in applied)
    assert [patch.body["spec"] for patch in cluster.api.patches if patch.sub == "/scale"] == [{"replicas": 3}]


def test_other_routes_of_an_upgrade_reach_the_gateway_with_the_weights_that_are_live(
    cluster: Installed, target: KubernetesTarget
) -> None:
    target.shift(100)
    cluster.want(settings={"gateway_cors_origins": ["https://app.example.com"]})
    target.maintain()
    assert "https://app.example.com" in cluster.routes()["data"]["routes.yaml"]
    assert weights(cluster.routes()) == {(0, 100)}
    cluster.api.patches.clear()
    target.maintain()
    assert cluster.api.patches == []


def test_a_colour_that_a_gateway_does_not_reach_is_not_healthy(cluster: Installed, target: KubernetesTarget) -> None:
    target.start("green", Release("r2", image=DIGESTS[0]))
    assert target.health("green").good
    cluster.gateway.healthy["green"] = 0
    health = target.health("green")
    assert (health.good, health.detail) == (False, f"a gateway finds 0 of {health.servers} servers healthy")


def test_calls_that_reach_no_server_are_counted_by_the_gateways(cluster: Installed, target: KubernetesTarget) -> None:
    cluster.gateway.completed["green"], cluster.gateway.faults["green"] = 40, 30
    (counted,) = target.traffic("green").values()
    assert (counted.requests, counted.failed) == (40, 30)


def test_pods_of_the_release_before_are_not_taken_for_the_new_ones(
    cluster: Installed, target: KubernetesTarget
) -> None:
    target.start("green", Release("r2", image=DIGESTS[0]))
    green = cluster.deployment("green")
    assert green is not None
    scale(cluster, "green", 2)
    status = green["status"]
    for lag in ({"observedGeneration": 0}, {"updatedReplicas": 1}, {"availableReplicas": 1}):
        before = dict(status)
        status.update(lag)
        assert not target.health("green").good, lag
        status.update(before)
    assert target.health("green").good


def test_pods_that_cannot_start_are_reported_from_pods_that_take_their_time(
    cluster: Installed, target: KubernetesTarget
) -> None:
    target.start("green", Release("r2", image=DIGESTS[0]))
    green = cluster.deployment("green")
    assert green is not None
    green["status"]["availableReplicas"] = 0
    pod = cluster.api.objects["pods", f"{OBJECTS}-query-green-0"]
    for reason, failed in (("ContainerCreating", False), ("ImagePullBackOff", True), ("CrashLoopBackOff", True)):
        waiting = {"name": "query", "image": "", "imageID": "", "ready": False, "restartCount": 0,
                   "state": {"waiting": {"reason": reason}}}  # fmt: skip
        pod["status"] = {"containerStatuses": [waiting]}
        health = target.health("green")
        assert (health.good, health.failed) == (False, failed)
        assert (reason in health.detail) is failed


def test_an_api_that_refuses_or_is_away_is_a_typed_error(cluster: Installed, target: KubernetesTarget) -> None:
    del cluster.api.objects["configmaps", f"{OBJECTS}-query-release"]
    with pytest.raises(Unavailable, match=r"TARGET_UNAVAILABLE.*query-release: is the chart installed"):
        target.start("green", Release("r2", image=DIGESTS[0]))
    cluster.api.token = "another"
    with pytest.raises(Unavailable, match=r"TARGET_UNAVAILABLE.*HTTP 401"):
        target.green_percent()
