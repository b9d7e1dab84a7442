"""The weights of a cluster where the Gateway API divides: a GRPCRoute that the deployer owns."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rag_core.errors import Unavailable
from ragctl.gateway.colours import Release
from ragctl.rollout.targets import weights
from ragctl.rollout.targets.cluster import OWNER
from ragctl.rollout.targets.kubernetes import KubernetesTarget
from tests.contract.deploy.test_targets import DIGESTS, open_target
from tests.support.chart import GATEWAY_API
from tests.support.chart_objects import Installed, installed
from tests.support.deploy_contract import check_target


@pytest.fixture
def cluster() -> Iterator[Installed]:
    with installed(rollout=GATEWAY_API) as running:
        yield running


@pytest.fixture
def target(cluster: Installed, tmp_path: Path) -> KubernetesTarget:
    opened = open_target(cluster, tmp_path)
    wanted = opened.wanted()
    assert wanted is not None
    opened.start("blue", wanted)
    opened.shift(0)
    cluster.api.patches.clear()
    return opened


def shares(cluster: Installed) -> dict[str, int]:
    (rule,) = cluster.route()["spec"]["rules"]
    return {backend["name"].rpartition("-")[2]: backend["weight"] for backend in rule["backendRefs"]}


def test_a_cluster_whose_weights_are_in_a_route(target: KubernetesTarget) -> None:
    check_target(target, Release("r2", image=DIGESTS[0]), Release("r3", image=DIGESTS[1]))


def test_the_route_is_made_by_the_deployer_and_belongs_to_what_helm_removes(
    cluster: Installed, target: KubernetesTarget
) -> None:
    target.shift(30)
    assert shares(cluster) == {"blue": 70, "green": 30}
    assert target.green_percent() == 30
    assert [patch.owner for patch in cluster.api.patches if patch.resource == "grpcroutes"] == [OWNER]
    (owner,) = cluster.route()["metadata"]["ownerReferences"]
    assert owner["name"].endswith("-query-release")
    assert not [key for key in cluster.api.objects if key[1].endswith("-gateway-routes")]


def test_another_parent_of_an_upgrade_keeps_the_weights_that_are_live(
    cluster: Installed, target: KubernetesTarget
) -> None:
    target.shift(100)
    cluster.want(rollout={"gatewayApi": {"parentRef": {"name": "other"}}})
    target.maintain()
    assert cluster.route()["spec"]["parentRefs"][0]["name"] == "other"
    assert shares(cluster) == {"blue": 0, "green": 100}
    cluster.route()["spec"]["parentRefs"][0]["kind"] = "Gateway"  # as the API server fills in a default
    cluster.api.patches.clear()
    target.maintain()
    assert cluster.api.patches == []


@pytest.mark.parametrize(
    ("says", "why"),
    [
        ({}, "no controller has said anything"),
        ({"Accepted": ("False", 99)}, "Accepted"),
        ({"Accepted": ("True", 99), "ResolvedRefs": ("False", 99)}, "ResolvedRefs"),
        ({"Accepted": ("True", 0), "ResolvedRefs": ("True", 0)}, "an earlier state"),
    ],
    ids=["nobody", "refused", "servers-unknown", "not-yet"],
)
def test_weights_that_nobody_takes_up_are_an_error(
    cluster: Installed,
    target: KubernetesTarget,
    monkeypatch: pytest.MonkeyPatch,
    says: dict[str, tuple[str, int]],
    why: str,
) -> None:
    monkeypatch.setattr(weights, "_EFFECT_SECONDS", 0.0)
    cluster.divides = False
    conditions = [{"type": kind, "status": status, "observedGeneration": at} for kind, (status, at) in says.items()]
    cluster.route()["status"] = {"parents": [{"conditions": conditions}]} if says else {}
    with pytest.raises(Unavailable, match=f"TARGET_UNAVAILABLE.*{why}"):
        target.shift(10)


def test_silence_of_a_colour_is_strange_only_when_many_calls_should_have_reached_it(
    cluster: Installed, target: KubernetesTarget
) -> None:
    target.shift(10)
    cluster.gateway.completed["blue"], cluster.gateway.faults["blue"] = 40, 0
    assert [counts.requests for counts in target.traffic("green").values()] == [0]
    cluster.gateway.completed["blue"] = 4000
    assert [counts.requests for counts in target.traffic("green").values()] == [80]
    target.shift(100)
    cluster.gateway.faults["blue"] = 7
    assert [(counts.requests, counts.failed) for counts in target.traffic("green").values()] == [(4000, 7)]
