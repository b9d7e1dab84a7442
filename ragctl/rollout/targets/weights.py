"""Traffic weights of the two colours in a cluster, and their enforcement.

`EnvoyWeights`: our gateway, by routes in a ConfigMap that it watches. `RouteWeights`: an implementation of the Gateway
API, or a mesh, behind our gateway, by a GRPCRoute. Either object is made from what the chart wants, with the weights
filled in, and belongs to the deployer.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import yaml

from rag_core.errors import Reason, Unavailable
from ragctl.gateway.shared import STATUS_PORT
from ragctl.rollout.metrics import fetch
from ragctl.rollout.targets.base import COLOURS, ColourTraffic
from ragctl.rollout.targets.cluster import Cluster, host_of, is_ready

ROUTES, GATEWAY = "gateway-routes", "gateway"
ENVOY_FILE, ROUTE_FILE = "routes.yaml", "route.yaml"
"""Keys of what the chart wants; it has one of them."""
MARK = "rag-platform/routes"
_MARKS = {name: f"@@weight-{name}@@" for name in COLOURS}
_WEIGHT = re.compile(r"name: query-(blue|green)\n\s+weight: (\d+)")
_EFFECT_SECONDS = 120.0
_POLL_SECONDS = 0.5
_UPDATES = re.compile(r"^envoy_http_rds_update_success\{(?:(?!public)[^}])*+public[^}]*+\} (\d+)", re.MULTILINE)
_ENOUGH = 5
"""So many requests must be expected at a colour before it is strange that it saw none."""


class Weights(Protocol):
    """Raises `Unavailable` (`TARGET_UNAVAILABLE`) when the cluster, or who divides, does not do what it is asked."""

    def green(self) -> int | None:
        """Share of green; None when it was never set."""

    def set(self, text: str, meta: dict[str, Any]) -> None:
        """Apply what the chart wants with its weights filled in; returns when it is in effect."""

    def is_set(self, text: str) -> bool:
        """Return whether exactly this is applied."""

    def reached(self, colour: str) -> int | None:
        """Number of a colour's servers that can be reached; None when unknown."""

    def traffic(self, colour: str) -> Mapping[str, ColourTraffic]:
        """As `Target.traffic`."""


def filled(text: str, green: int) -> str:
    """The chart's object, with the shares of both colours."""
    return text.replace(_MARKS["green"], str(green)).replace(_MARKS["blue"], str(100 - green))


class EnvoyWeights:
    """Our gateway divides."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def green(self) -> int | None:
        live = self._cluster.config_map(ROUTES)
        if live is None:
            return None
        found = {name: int(weight) for name, weight in _WEIGHT.findall((live.data or {}).get(ENVOY_FILE, ""))}
        if "green" not in found:
            raise Unavailable(Reason.TARGET_UNAVAILABLE, "the gateway's routes name no weight for green")
        return found["green"]

    def set(self, text: str, meta: dict[str, Any]) -> None:
        live, pods = self._cluster.config_map(ROUTES), list(gateways(self._cluster))
        before = {host_of(pod): _updates(pod) for pod in pods}
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {ENVOY_FILE: text}}
        self._cluster.apply_config_map(ROUTES, body)
        # A changed pod has its volumes refreshed at once; otherwise that takes up to a minute or two.
        mark = {MARK: hashlib.sha256(text.encode()).hexdigest()[:16]}
        for pod in pods:
            self._cluster.mark(pod, mark)
        if live is not None and text != (live.data or {}).get(ENVOY_FILE):
            self._await_effect(pods, before)

    def is_set(self, text: str) -> bool:
        live = self._cluster.config_map(ROUTES)
        return live is not None and (live.data or {}).get(ENVOY_FILE) == text

    def reached(self, colour: str) -> int | None:
        found = [_numbers(_page(pod), colour).get("membership_healthy", 0) for pod in gateways(self._cluster)]
        return min(found, default=0)

    def traffic(self, colour: str) -> Mapping[str, ColourTraffic]:
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


class RouteWeights:
    """The GRPCRoute's controller divides the calls. Our gateway sends all there, as calls of its first colour."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def green(self) -> int | None:
        live = self._cluster.route()
        return None if live is None else _green_of(live)

    def set(self, text: str, meta: dict[str, Any]) -> None:
        made = yaml.safe_load(text)
        made["metadata"] = {**made["metadata"], **meta}
        self._cluster.apply_route(made)
        deadline = time.monotonic() + _EFFECT_SECONDS
        while why := _not_taken_up(self._cluster.route()):
            if time.monotonic() > deadline:
                raise Unavailable(Reason.TARGET_UNAVAILABLE, f"nobody divides the requests by the GRPCRoute: {why}")
            time.sleep(_POLL_SECONDS)

    def is_set(self, text: str) -> bool:
        live, wanted = self._cluster.route(), yaml.safe_load(text)["spec"]
        return live is not None and _within(wanted, live["spec"])

    def reached(self, colour: str) -> int | None:
        return None

    def traffic(self, colour: str) -> Mapping[str, ColourTraffic]:
        """Our gateways do not see where a call goes: what they counted in all, by less than the colour's share."""
        green = self.green() or 0
        service = (green if colour == "green" else 100 - green) / 100 / (1 if green in {0, 100} else _ENOUGH)
        return {
            name: ColourTraffic(int(all_.requests * service), int(all_.failed * service), all_.active)
            for name, all_ in counted(self._cluster, COLOURS[0]).items()
        }


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


def _green_of(route: dict[str, Any]) -> int:
    for rule in route["spec"].get("rules", []):
        for backend in rule.get("backendRefs", []):
            if backend["name"].endswith("-green"):
                return int(backend.get("weight", 1))
    raise Unavailable(Reason.TARGET_UNAVAILABLE, "the GRPCRoute names no weight for green")


def _not_taken_up(route: dict[str, Any] | None) -> str:
    """Reason why no implementation has accepted the present route; empty when one has."""
    if route is None:
        return "it is gone"
    parents = route.get("status", {}).get("parents", [])
    if not parents:
        return "no controller has said anything about it"
    for condition in [condition for parent in parents for condition in parent.get("conditions", [])]:
        if condition["type"] not in {"Accepted", "ResolvedRefs"}:
            continue
        if condition.get("observedGeneration", 0) < route["metadata"].get("generation", 0):
            return f"{condition['type']} is of an earlier state of it"
        if condition["status"] != "True":
            return f"{condition['type']}: {condition.get('reason', '')} {condition.get('message', '')}".strip()
    return ""


def _within(wanted: Any, live: Any) -> bool:
    """Return whether everything wanted is live; the API server adds defaults."""
    if isinstance(wanted, dict):
        return isinstance(live, dict) and all(
            name in live and _within(item, live[name]) for name, item in wanted.items()
        )
    if isinstance(wanted, list):
        return isinstance(live, list) and len(wanted) == len(live) and all(map(_within, wanted, live))
    return bool(wanted == live)


def _page(pod: Any) -> str:
    return fetch(f"http://{host_of(pod)}:{STATUS_PORT}/stats/prometheus") or ""


def _updates(pod: Any) -> int | None:
    """Number of route updates that a gateway has loaded; None when it does not answer."""
    found = _UPDATES.search(_page(pod))
    return int(found[1]) if found is not None else None


def _numbers(page: str, colour: str) -> dict[str, int]:
    """A gateway's counters of its servers of a colour; of the response classes only the faults."""
    label = f'"query-{colour}"'
    lines = re.findall(rf"^envoy_cluster_(\w+)\{{((?:(?!{label})[^}}])*+{label}[^}}]*+)\}} (\d+)", page, re.MULTILINE)
    kept = [line for line in lines if "response_code_class" not in line[1] or 'class="5"' in line[1]]
    return {name: int(value) for name, _, value in kept}
