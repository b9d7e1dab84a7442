"""A cluster with the chart installed as a deployment target.

The chart says which release is wanted: the ConfigMap `query-release` holds a Deployment for a colour yet to be named
and routes with weights yet to be filled in (`weights.py`). The Deployments `query-blue` and `query-green` and the
object with the weights are made from it here, by server-side apply, and Helm never sees them: no upgrade and no
rollback of the chart takes a serving colour away or moves a weight. They belong to `query-release`, so that
`helm uninstall` ends them.

The autoscaler owns the number of pods. It leaves a Deployment with none alone, so that an idle colour costs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from rag_core.errors import Reason, Unavailable
from rag_core.settings import Settings
from ragctl.gateway.colours import FIRST_RELEASE, Release
from ragctl.rollout.targets.base import ColourTraffic, Health, Server, other
from ragctl.rollout.targets.cluster import Cluster, host_of, is_ready
from ragctl.rollout.targets.weights import (
    ROUTES,
    ROUTES_FILE,
    RouteWeights,
    filled,
    gateways,
)

WANTED = "query-release"
"""A ConfigMap of the chart."""
RELEASE, KEY = (f"rag-platform/{name}" for name in ("release", "release-key"))
"""Annotations."""
_COLOUR = "@@colour@@"
_CONTAINER = "query"
_REFUSED = {"CrashLoopBackOff", "ImagePullBackOff", "ErrImagePull", "InvalidImageName", "CreateContainerConfigError"}
"""Causes for which a container waits although nothing that it waits for is under way; the kubelet tries again and
again."""


class KubernetesTarget:
    """The query servers of one installation."""

    name = "kubernetes"

    def __init__(self, cluster: Cluster, settings: Settings) -> None:
        self._cluster, self._weights = cluster, RouteWeights(cluster)
        self._query, self._http = settings.query_port, settings.metrics_port
        self._golden = settings.effective_golden_dir

    @classmethod
    def open(cls, settings: Settings) -> KubernetesTarget:
        """Raises `ConfigError` where there is no cluster."""
        return cls(Cluster.open(settings.deploy_namespace, settings.deploy_objects), settings)

    def wanted(self) -> Release | None:
        known = self._wanted()
        if not all((self._golden / name).is_dir() for name in known.data.get("golden", "").split()):
            return None  # an upgrade brings golden sets: its own deployer has them, this one is about to end
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
        """Return whether a colour runs exactly this release, settings included."""
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
        ready = [pod for pod in self._cluster.pods(deployment) if is_ready(pod)]
        return [Server(f"{host_of(pod)}:{self._query}", f"http://{host_of(pod)}:{self._http}") for pod in ready]

    def green_percent(self) -> int:
        found = self._weights.green()
        if found is None:  # never made, or removed by hand: the gateway has no other routes than the next ones
            return 0 if self.release("blue") is not None or self.release("green") is None else 100
        return found

    def shift(self, green_percent: int) -> None:
        self._weights.set(self._routes(green_percent), self._meta(ROUTES))

    def traffic(self, colour: str) -> Mapping[str, ColourTraffic]:
        return self._weights.traffic(colour)

    def maintain(self) -> None:
        green = self.green_percent()
        if not self._weights.is_set(self._routes(green)):
            self.shift(green)

    def _routes(self, green_percent: int) -> str:
        return filled(self._wanted().data[ROUTES_FILE], green_percent)

    def _as_gateways_see(self, colour: str, wanted: int) -> Health:
        """A server that is ready for its node and that no gateway reaches helps nobody."""
        if next(gateways(self._cluster), None) is None:
            return Health(wanted, 0, "no gateway is ready")
        seen = self._weights.reached(colour)
        if seen < wanted:
            return Health(wanted, seen, f"a gateway finds {seen} of {wanted} servers healthy")
        return Health(wanted, wanted)

    def _refused(self, deployment: Any) -> str:
        """Return why a pod of the newest template does not start; empty when each starts or runs."""
        pods = self._cluster.pods(deployment)
        newest = max((pod.metadata.creation_timestamp for pod in pods if pod.metadata.creation_timestamp), default=None)
        hashes = {_hash(pod) for pod in pods if pod.metadata.creation_timestamp == newest}
        for pod in pods:
            for container in (pod.status.container_statuses or []) if _hash(pod) in hashes else []:
                waiting = container.state.waiting if container.state else None
                if waiting is not None and waiting.reason in _REFUSED:
                    return f"pod {pod.metadata.name}: {waiting.reason}"
        return ""

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


def _image_of(deployment: dict[str, Any]) -> str:
    containers = deployment["spec"]["template"]["spec"]["containers"]
    return str(next(item["image"] for item in containers if item["name"] == _CONTAINER))


def _hash(pod: Any) -> str:
    """Return which template of its Deployment a pod was made from."""
    return str((pod.metadata.labels or {}).get("pod-template-hash", ""))
