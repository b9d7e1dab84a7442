"""A cluster with the chart installed. What serves is the cluster's state, never the chart's.

The chart says which release is wanted: the ConfigMap `query-release` holds a Deployment for a colour yet to be named
and the gateway's routes with weights yet to be filled in. The Deployments `query-blue` and `query-green` and the
ConfigMap `gateway-routes` are made from it here, by server-side apply, and Helm never sees them: no upgrade and no
rollback of the chart takes a serving colour away or moves a weight. They belong to `query-release`, so that
`helm uninstall` ends them.

The autoscaler owns the number of pods. It leaves a Deployment with none alone, so that an idle colour costs nothing.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from rag_core.errors import Reason, Unavailable
from rag_core.settings import Settings
from ragctl.deploy.pages import fetch
from ragctl.deploy.targets.base import COLOURS, Health, Server, Traffic, other
from ragctl.deploy.targets.cluster import Cluster
from ragctl.gateway.colours import FIRST_RELEASE, Release
from ragctl.gateway.shared import STATUS_PORT

WANTED, ROUTES = "query-release", "gateway-routes"
"""ConfigMaps: of the chart, and of the deployer."""
RELEASE, KEY, MARK = (f"rag-platform/{name}" for name in ("release", "release-key", "routes"))
"""Annotations."""
_COLOUR = "@@colour@@"
_WEIGHT_MARKS = {name: f"@@weight-{name}@@" for name in COLOURS}
_WEIGHT = re.compile(r"name: query-(blue|green)\n\s+weight: (\d+)")
_CONTAINER = "query"
_EFFECT_SECONDS = 120.0
_POLL_SECONDS = 0.5
_REFUSED = {"CrashLoopBackOff", "ImagePullBackOff", "ErrImagePull", "InvalidImageName", "CreateContainerConfigError"}
"""Why a container waits although nothing that it waits for is under way; the kubelet tries again and again."""
_UPDATES = re.compile(r"^envoy_http_rds_update_success\{(?:(?!public)[^}])*+public[^}]*+\} (\d+)", re.MULTILINE)


class KubernetesTarget:
    """The query servers of one installation."""

    name = "kubernetes"

    def __init__(self, cluster: Cluster, settings: Settings) -> None:
        self._cluster = cluster
        self._query, self._http = settings.query_port, settings.metrics_port

    @classmethod
    def open(cls, settings: Settings) -> KubernetesTarget:
        """Raises `ConfigError` where there is no cluster."""
        return cls(Cluster.open(settings.deploy_namespace, settings.deploy_objects), settings)

    def wanted(self) -> Release | None:
        known = self._wanted()
        template = known.data["deployment.yaml"]
        return Release(known.data["release"], image=_image_of(yaml.safe_load(template)), template=template)

    def release(self, colour: str) -> Release | None:
        deployment = self._deployment(colour)
        if deployment is None or deployment.spec.replicas == 0:
            return None
        known = deployment.metadata.annotations or {}
        containers = {item.name: item.image for item in deployment.spec.template.spec.containers}
        return Release(known.get(RELEASE, FIRST_RELEASE), image=containers.get(_CONTAINER))

    def runs(self, colour: str, release: Release) -> bool:
        """Whether a colour runs exactly this release, settings included."""
        deployment = self._deployment(colour)
        return (
            deployment is not None
            and deployment.spec.replicas != 0
            and (deployment.metadata.annotations or {}).get(KEY) == release.key
        )

    def start(self, colour: str, release: Release) -> None:
        known, idle = self._deployment(colour), self._deployment(other(colour))
        self._cluster.apply_deployment(f"query-{colour}", self._made(colour, release))
        if known is None or not known.spec.replicas:
            self._cluster.scale(f"query-{colour}", max(1, (idle.spec.replicas or 1) if idle is not None else 1))

    def stop(self, colour: str) -> None:
        if self._deployment(colour) is not None:
            self._cluster.scale(f"query-{colour}", 0)

    def health(self, colour: str) -> Health:
        deployment = self._deployment(colour)
        if deployment is None or not deployment.spec.replicas:
            return Health(0, 0, "nothing runs there")
        wanted, status = deployment.spec.replicas, deployment.status
        if (status.observed_generation or 0) < deployment.metadata.generation:
            return Health(wanted, 0, "the cluster has not begun with the new pods")
        updated, available = status.updated_replicas or 0, status.available_replicas or 0
        ready = min(updated, available) if (status.replicas or 0) <= updated else 0
        if ready >= wanted:
            return self._as_gateways_see(colour, wanted)
        refused = self._refused(deployment)
        detail = f"{updated} new pods, {available} pods available"
        return Health(wanted, ready, f"{detail}; {refused}" if refused else detail, bool(refused))

    def servers(self, colour: str) -> Sequence[Server]:
        deployment = self._deployment(colour)
        if deployment is None:
            return ()
        ready = [pod for pod in self._cluster.pods(deployment) if _is_ready(pod)]
        return [Server(f"{_host(pod)}:{self._query}", f"http://{_host(pod)}:{self._http}") for pod in ready]

    def green_percent(self) -> int:
        live = self._cluster.config_map(ROUTES)
        if live is None:  # never made, or removed by hand: the gateway has no other routes than the next ones
            return 0 if self.release("blue") is not None or self.release("green") is None else 100
        found = {name: int(weight) for name, weight in _WEIGHT.findall((live.data or {}).get("routes.yaml", ""))}
        if "green" not in found:
            raise Unavailable(Reason.TARGET_UNAVAILABLE, "the gateway's routes name no weight for green")
        return found["green"]

    def shift(self, green_percent: int) -> None:
        text, live = self._routes(green_percent), self._cluster.config_map(ROUTES)
        pods = list(self._gateways())
        before = {_host(pod): _updates(pod) for pod in pods}
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": self._meta(ROUTES), "data": {"routes.yaml": text}}
        self._cluster.apply_config_map(ROUTES, body)
        # A changed pod has its volumes refreshed at once; otherwise that takes up to a minute or two.
        mark = {MARK: hashlib.sha256(text.encode()).hexdigest()[:16]}
        for pod in pods:
            self._cluster.mark(pod, mark)
        if live is not None and text != (live.data or {}).get("routes.yaml"):
            self._await_effect(pods, before)

    def traffic(self, colour: str) -> Mapping[str, Traffic]:
        found = {_host(pod): _cluster_numbers(_page(pod), colour) for pod in self._gateways()}
        return {
            host: Traffic(numbers.get("upstream_rq_completed", 0), numbers.get("upstream_rq_xx", 0))
            for host, numbers in found.items()
            if numbers
        }

    def maintain(self) -> None:
        green, live = self.green_percent(), self._cluster.config_map(ROUTES)
        if live is None or (live.data or {}).get("routes.yaml") != self._routes(green):
            self.shift(green)

    def _as_gateways_see(self, colour: str, wanted: int) -> Health:
        """A server that is ready for its node and that no gateway reaches helps nobody."""
        pods = list(self._gateways())
        if not pods:
            return Health(wanted, 0, "no gateway is ready")
        seen = [_cluster_numbers(_page(pod), colour).get("membership_healthy", 0) for pod in pods]
        if min(seen) < wanted:
            return Health(wanted, min(seen), f"a gateway finds {min(seen)} of {wanted} servers healthy")
        return Health(wanted, wanted)

    def _refused(self, deployment: Any) -> str:
        """Why a pod of the newest template does not start; empty when each starts or runs."""
        pods = self._cluster.pods(deployment)
        newest = max((pod.metadata.creation_timestamp for pod in pods if pod.metadata.creation_timestamp), default=None)
        hashes = {_hash(pod) for pod in pods if pod.metadata.creation_timestamp == newest}
        for pod in pods:
            for container in (pod.status.container_statuses or []) if _hash(pod) in hashes else []:
                waiting = container.state.waiting if container.state else None
                if waiting is not None and waiting.reason in _REFUSED:
                    return f"pod {pod.metadata.name}: {waiting.reason}"
        return ""

    def _await_effect(self, pods: Sequence[Any], before: Mapping[str, int | None]) -> None:
        deadline = time.monotonic() + _EFFECT_SECONDS
        waiting = [pod for pod in pods if before[_host(pod)] is not None]
        while waiting := [pod for pod in waiting if (_updates(pod) or 0) <= (before[_host(pod)] or 0)]:
            if time.monotonic() > deadline:
                names = ", ".join(pod.metadata.name for pod in waiting)
                raise Unavailable(Reason.TARGET_UNAVAILABLE, f"the gateway did not take up the weights: {names}")
            time.sleep(_POLL_SECONDS)
            here = {_host(pod) for pod in self._gateways()}
            waiting = [pod for pod in waiting if _host(pod) in here]  # a new one starts with the new weights

    def _routes(self, green_percent: int) -> str:
        text = str(self._wanted().data["routes.yaml"])
        for name, weight in {"green": green_percent, "blue": 100 - green_percent}.items():
            text = text.replace(_WEIGHT_MARKS[name], str(weight))
        return text

    def _made(self, colour: str, release: Release) -> dict[str, Any]:
        """The Deployment of a colour. A release without a template is the wanted one with another image."""
        template = release.template or self._wanted().data["deployment.yaml"]
        made: dict[str, Any] = yaml.safe_load(template.replace(_COLOUR, colour))
        for container in made["spec"]["template"]["spec"]["containers"]:
            if container["name"] == _CONTAINER and release.image:
                container["image"] = release.image
        made["metadata"] = {**made["metadata"], **self._meta(f"query-{colour}")}
        made["metadata"]["annotations"] = {RELEASE: release.name, KEY: release.key}
        made["spec"]["template"]["metadata"].setdefault("annotations", {})[RELEASE] = release.name
        return made

    def _meta(self, component: str) -> dict[str, Any]:
        owner = self._wanted().metadata
        reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": owner.name, "uid": owner.uid}
        return {"name": self._cluster.name(component), "ownerReferences": [reference]}

    def _wanted(self) -> Any:
        found = self._cluster.config_map(WANTED)
        if found is None:
            name = self._cluster.name(WANTED)
            raise Unavailable(Reason.TARGET_UNAVAILABLE, f"there is no ConfigMap {name}: is the chart installed here?")
        return found

    def _deployment(self, colour: str) -> Any:
        return self._cluster.deployment(f"query-{colour}")

    def _gateways(self) -> Iterator[Any]:
        deployment = self._cluster.deployment("gateway")
        return filter(_is_ready, self._cluster.pods(deployment) if deployment is not None else ())


def _image_of(deployment: dict[str, Any]) -> str:
    containers = deployment["spec"]["template"]["spec"]["containers"]
    return str(next(item["image"] for item in containers if item["name"] == _CONTAINER))


def _hash(pod: Any) -> str:
    """Which template of its Deployment a pod was made from."""
    return str((pod.metadata.labels or {}).get("pod-template-hash", ""))


def _is_ready(pod: Any) -> bool:
    conditions = {item.type: item.status for item in pod.status.conditions or ()}
    return bool(pod.status.pod_ip) and conditions.get("Ready") == "True" and pod.metadata.deletion_timestamp is None


def _host(pod: Any) -> str:
    address = str(pod.status.pod_ip)
    return f"[{address}]" if ":" in address else address


def _page(pod: Any) -> str:
    return fetch(f"http://{_host(pod)}:{STATUS_PORT}/stats/prometheus") or ""


def _updates(pod: Any) -> int | None:
    """How often a gateway has taken up routes; None when it cannot be asked."""
    found = _UPDATES.search(_page(pod))
    return int(found[1]) if found is not None else None


def _cluster_numbers(page: str, colour: str) -> dict[str, int]:
    """What a gateway says about its servers of a colour; of the responses by class only the faults."""
    label = f'"query-{colour}"'
    lines = re.findall(rf"^envoy_cluster_(\w+)\{{((?:(?!{label})[^}}])*+{label}[^}}]*+)\}} (\d+)", page, re.MULTILINE)
    kept = [line for line in lines if "response_code_class" not in line[1] or 'class="5"' in line[1]]
    return {name: int(value) for name, _, value in kept}
