"""Traffic weights of the two colours in a cluster, and their enforcement.

The gateway divides, by routes in a ConfigMap that it watches. The ConfigMap is made from what the chart wants, with the
weights filled in, and belongs to the deployer.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rag_core.errors import Reason, Unavailable
from ragctl.gateway.shared import STATUS_PORT
from ragctl.rollout.metrics import fetch
from ragctl.rollout.targets.base import COLOURS, ColourTraffic
from ragctl.rollout.targets.cluster import Cluster, host_of, is_ready

ROUTES, GATEWAY = "gateway-routes", "gateway"
ROUTES_FILE = "routes.yaml"
"""Key of the routes, in the ConfigMap that the gateway watches and in what the chart wants."""
MARK = "rag-platform/routes"
_MARKS = {name: f"@@weight-{name}@@" for name in COLOURS}
_WEIGHT = re.compile(r"name: query-(blue|green)\n\s+weight: (\d+)")
_EFFECT_SECONDS = 120.0
_POLL_SECONDS = 0.5
_UPDATES = re.compile(r"^envoy_http_rds_update_success\{(?:(?!public)[^}])*public[^}]*+\} (\d+)", re.MULTILINE)


def filled(text: str, green: int) -> str:
    """The chart's object, with the shares of both colours."""
    return text.replace(_MARKS["green"], str(green)).replace(_MARKS["blue"], str(100 - green))


class RouteWeights:
    """The weights in the gateway's routes.

    Raises `Unavailable` (`TARGET_UNAVAILABLE`) when the cluster or the gateway does not do what it is asked.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def green(self) -> int | None:
        """Share of green; None when it was never set."""
        live = self._cluster.config_map(ROUTES)
        if live is None:
            return None
        found = {name: int(weight) for name, weight in _WEIGHT.findall((live.data or {}).get(ROUTES_FILE, ""))}
        if "green" not in found:
            raise Unavailable(Reason.TARGET_UNAVAILABLE, "the gateway's routes name no weight for green")
        return found["green"]

    def set(self, text: str, meta: dict[str, Any]) -> None:
        """Apply what the chart wants with its weights filled in; returns when it is in effect."""
        live, pods = self._cluster.config_map(ROUTES), list(gateways(self._cluster))
        before = {host_of(pod): _updates(pod) for pod in pods}
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {ROUTES_FILE: text}}
        self._cluster.apply_config_map(ROUTES, body)
        # A changed pod has its volumes refreshed at once; otherwise that takes up to a minute or two.
        mark = {MARK: hashlib.sha256(text.encode()).hexdigest()[:16]}
        for pod in pods:
            self._cluster.mark(pod, mark)
        if live is not None and text != (live.data or {}).get(ROUTES_FILE):
            self._await_effect(pods, before)

    def is_set(self, text: str) -> bool:
        """Return whether exactly this is applied."""
        live = self._cluster.config_map(ROUTES)
        return live is not None and (live.data or {}).get(ROUTES_FILE) == text

    def reached(self, colour: str) -> int:
        """Number of a colour's servers that every gateway reaches."""
        found = [_numbers(_page(pod), colour).get("membership_healthy", 0) for pod in gateways(self._cluster)]
        return min(found, default=0)

    def traffic(self, colour: str) -> Mapping[str, ColourTraffic]:
        """As `Target.traffic`."""
        return counted(self._cluster, colour)

    def _await_effect(self, pods: Sequence[Any], before: Mapping[str, int | None]) -> None:
        deadline = time.monotonic() + _EFFECT_SECONDS
        waiting = [pod for pod in pods if before[host_of(pod)] is not None]
        while waiting := [pod for pod in waiting if (_updates(pod) or 0) <= (before[host_of(pod)] or 0)]:
            if time.monotonic() > deadline:
                names = ", ".join(pod.metadata.name for pod in waiting)
                raise Unavailable(Reason.TARGET_UNAVAILABLE, f"the gateway did not take up the weights: {names}")
            time.sleep(_POLL_SECONDS)
            here = {host_of(pod) for pod in gateways(self._cluster)}
            waiting = [pod for pod in waiting if host_of(pod) in here]  # a new one starts with the new weights


def gateways(cluster: Cluster) -> Iterator[Any]:
    """The pods of the gateway that are ready."""
    deployment = cluster.deployment(GATEWAY)
    return filter(is_ready, cluster.pods(deployment) if deployment is not None else ())


def counted(cluster: Cluster, colour: str) -> dict[str, ColourTraffic]:
    """Counters of each gateway for a colour; a gateway that does not answer is left out."""
    found = {host_of(pod): _numbers(_page(pod), colour) for pod in gateways(cluster)}
    return {
        host: ColourTraffic(*(numbers.get(f"upstream_rq_{what}", 0) for what in ("completed", "xx", "active")))
        for host, numbers in found.items()
        if numbers
    }


def _page(pod: Any) -> str:
    return fetch(f"http://{host_of(pod)}:{STATUS_PORT}/stats/prometheus") or ""


def _updates(pod: Any) -> int | None:
    """Number of route updates that a gateway has loaded; None when it does not answer."""
    found = _UPDATES.search(_page(pod))
    return int(found[1]) if found is not None else None


def _numbers(page: str, colour: str) -> dict[str, int]:
    """A gateway's counters of its servers of a colour; of the response classes only the faults."""
    label = f'"query-{colour}"'
    lines = re.findall(rf"^envoy_cluster_(\w+)\{{((?:(?!{label})[^}}])*{label}[^}}]*+)\}} (\d+)", page, re.MULTILINE)
    kept = [line for line in lines if "response_code_class" not in line[1] or 'class="5"' in line[1]]
    return {name: int(value) for name, _, value in kept}
