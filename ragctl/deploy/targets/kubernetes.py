"""A cluster with the chart installed: colours are Deployments, weights are in the ConfigMap that the gateway watches.

The autoscaler owns the number of pods. It leaves a Deployment with none alone, so that an idle colour costs nothing.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rag_core.errors import ConfigError, Reason, Unavailable
from rag_core.settings import Settings
from ragctl.deploy.pages import fetch
from ragctl.deploy.targets.base import Health, Server, other
from ragctl.gateway.colours import FIRST_RELEASE, Release
from ragctl.gateway.shared import STATUS_PORT

RELEASE, IMAGE, SHARE, ROUTES = (f"rag-platform/{name}" for name in ("release", "image", "green-percent", "routes"))
"""Annotations. The chart reads IMAGE and SHARE from what is live, so that `helm upgrade` undoes no deployment."""
_WEIGHT = re.compile(r"(name: query-(blue|green)\n\s+weight: )(\d+)")
_CONTAINER = "query"
_OWNER = "helm"
"""Our changes are Helm's in the eyes of the API server, or the next upgrade would find a conflict."""
_CALL_SECONDS = 15
_EFFECT_SECONDS = 120.0
_POLL_SECONDS = 0.5
_REFUSED = {"CrashLoopBackOff", "ImagePullBackOff", "ErrImagePull", "InvalidImageName", "CreateContainerConfigError"}
"""Why a container waits although nothing that it waits for is under way; the kubelet tries again and again."""
_UPDATES = re.compile(r"^envoy_http_rds_update_success\{(?:(?!public)[^}])*+public[^}]*+\} (\d+)", re.MULTILINE)


class KubernetesTarget:
    """`name` of the chart's objects, such as `rag-rag-platform`, in one namespace."""

    name = "kubernetes"

    def __init__(self, api: Any, namespace: str, objects: str, settings: Settings) -> None:
        from kubernetes import client

        self._apps, self._core = client.AppsV1Api(api), client.CoreV1Api(api)
        self._namespace, self._objects = namespace, objects
        self._query, self._http = settings.query_port, settings.metrics_port

    @classmethod
    def open(cls, settings: Settings) -> KubernetesTarget:
        """With the identity of this pod, else the current context of the kubeconfig. Raises `ConfigError`."""
        try:
            from kubernetes import client, config
        except ImportError:
            raise ConfigError(Reason.CONFIG_INVALID, "--target kubernetes needs the package `kubernetes`") from None
        try:
            config.load_incluster_config()
        except config.ConfigException:
            try:
                config.load_kube_config()
            except config.ConfigException:
                message = "no cluster here: neither a pod's identity nor a kubeconfig"
                raise ConfigError(Reason.CONFIG_INVALID, message) from None
        return cls(client.ApiClient(), settings.deploy_namespace, settings.deploy_objects, settings)

    def release(self, colour: str) -> Release | None:
        deployment = self._deployment(colour)
        if deployment is None or deployment.spec.replicas == 0:
            return None
        known = deployment.metadata.annotations or {}
        return Release(known.get(RELEASE, FIRST_RELEASE), image=_image(deployment))

    def start(self, colour: str, release: Release) -> None:
        deployment = self._deployment(colour)
        if deployment is None:
            message = f"there is no Deployment {self._of(colour)}: set query.colours.{colour}.enabled in the chart"
            raise Unavailable(Reason.TARGET_UNAVAILABLE, message)
        spec: dict[str, Any] = {"template": _template(release)}
        if not deployment.spec.replicas:
            serving = self._deployment(other(colour))
            spec["replicas"] = max(1, serving.spec.replicas or 1) if serving is not None else 1
        self._patch(colour, {"metadata": {"annotations": _told(release)}, "spec": spec})

    def stop(self, colour: str) -> None:
        if self._deployment(colour) is not None:
            self._patch(colour, {"spec": {"replicas": 0}})

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
            return Health(wanted, ready)
        refused = self._refused(deployment)
        detail = f"{updated} new pods, {available} pods available"
        return Health(wanted, ready, f"{detail}; {refused}" if refused else detail, bool(refused))

    def _refused(self, deployment: Any) -> str:
        """Why a pod of the newest template does not start; empty when each starts or runs."""
        pods = self._pods(_selector(deployment))
        newest = max((pod.metadata.creation_timestamp for pod in pods if pod.metadata.creation_timestamp), default=None)
        hashes = {_hash(pod) for pod in pods if pod.metadata.creation_timestamp == newest}
        for pod in pods:
            for container in (pod.status.container_statuses or []) if _hash(pod) in hashes else []:
                waiting = container.state.waiting if container.state else None
                if waiting is not None and waiting.reason in _REFUSED:
                    return f"pod {pod.metadata.name}: {waiting.reason}"
        return ""

    def servers(self, colour: str) -> Sequence[Server]:
        deployment = self._deployment(colour)
        if deployment is None:
            return ()
        ready = [pod for pod in self._pods(_selector(deployment)) if _is_ready(pod)]
        return [Server(f"{_host(pod)}:{self._query}", f"http://{_host(pod)}:{self._http}") for pod in ready]

    def green_percent(self) -> int:
        found = {name: int(weight) for _, name, weight in _WEIGHT.findall(self._routes())}
        if "green" not in found:
            raise Unavailable(Reason.TARGET_UNAVAILABLE, "the gateway's routes name no weight for green")
        return found["green"]

    def shift(self, green_percent: int) -> None:
        weights = {"green": green_percent, "blue": 100 - green_percent}
        known = self._routes()
        text = _WEIGHT.sub(lambda found: f"{found[1]}{weights[found[2]]}", known)
        pods = self._gateways()
        before = {_host(pod): _updates(pod) for pod in pods}
        body = {"metadata": {"annotations": {SHARE: str(green_percent)}}, "data": {"routes.yaml": text}}
        with _typed():
            name = f"{self._objects}-gateway-routes"
            self._core.patch_namespaced_config_map(
                name, self._namespace, body, field_manager=_OWNER, _request_timeout=_CALL_SECONDS
            )
        # A changed pod has its volumes refreshed at once; otherwise that takes up to a minute or two.
        mark = {"metadata": {"annotations": {ROUTES: hashlib.sha256(text.encode()).hexdigest()[:16]}}}
        for pod in pods:
            with _typed():
                self._core.patch_namespaced_pod(
                    pod.metadata.name, self._namespace, mark, _request_timeout=_CALL_SECONDS
                )
        if text != known:
            self._await_effect(pods, before)

    def _await_effect(self, pods: Sequence[Any], before: dict[str, int | None]) -> None:
        deadline = time.monotonic() + _EFFECT_SECONDS
        waiting = [pod for pod in pods if before[_host(pod)] is not None]
        while waiting := [pod for pod in waiting if (_updates(pod) or 0) <= (before[_host(pod)] or 0)]:
            if time.monotonic() > deadline:
                names = ", ".join(pod.metadata.name for pod in waiting)
                raise Unavailable(Reason.TARGET_UNAVAILABLE, f"the gateway did not take up the weights: {names}")
            time.sleep(_POLL_SECONDS)

    def _deployment(self, colour: str) -> Any:
        with _typed(absent=True):
            return self._apps.read_namespaced_deployment(
                self._of(colour), self._namespace, _request_timeout=_CALL_SECONDS
            )
        return None

    def _patch(self, colour: str, body: dict[str, Any]) -> None:
        with _typed():
            self._apps.patch_namespaced_deployment(
                self._of(colour), self._namespace, body, field_manager=_OWNER, _request_timeout=_CALL_SECONDS
            )

    def _routes(self) -> str:
        with _typed():
            name = f"{self._objects}-gateway-routes"
            found = self._core.read_namespaced_config_map(name, self._namespace, _request_timeout=_CALL_SECONDS)
        return str((found.data or {}).get("routes.yaml", ""))

    def _gateways(self) -> list[Any]:
        with _typed():
            deployment = self._apps.read_namespaced_deployment(
                f"{self._objects}-gateway", self._namespace, _request_timeout=_CALL_SECONDS
            )
        labels = ",".join(f"{name}={value}" for name, value in deployment.spec.selector.match_labels.items())
        return [pod for pod in self._pods(labels) if _is_ready(pod)]

    def _pods(self, labels: str) -> list[Any]:
        with _typed():
            found = self._core.list_namespaced_pod(
                self._namespace, label_selector=labels, _request_timeout=_CALL_SECONDS
            )
        return list(found.items)

    def _of(self, colour: str) -> str:
        return f"{self._objects}-query-{colour}"


def _told(release: Release) -> dict[str, str | None]:
    return {RELEASE: release.name, IMAGE: release.image}


def _template(release: Release) -> dict[str, Any]:
    container = {"name": _CONTAINER, "image": release.image}
    return {"metadata": {"annotations": {RELEASE: release.name}}, "spec": {"containers": [container]}}


def _selector(deployment: Any) -> str:
    return ",".join(f"{name}={value}" for name, value in deployment.spec.selector.match_labels.items())


def _hash(pod: Any) -> str:
    """Which template of its Deployment a pod was made from."""
    return str((pod.metadata.labels or {}).get("pod-template-hash", ""))


def _image(deployment: Any) -> str | None:
    images = {container.name: container.image for container in deployment.spec.template.spec.containers}
    return images.get(_CONTAINER)


def _is_ready(pod: Any) -> bool:
    conditions = {item.type: item.status for item in pod.status.conditions or ()}
    return bool(pod.status.pod_ip) and conditions.get("Ready") == "True" and pod.metadata.deletion_timestamp is None


def _host(pod: Any) -> str:
    address = str(pod.status.pod_ip)
    return f"[{address}]" if ":" in address else address


def _updates(pod: Any) -> int | None:
    """How often a gateway has taken up routes; None when it cannot be asked."""
    page = fetch(f"http://{_host(pod)}:{STATUS_PORT}/stats/prometheus")
    found = _UPDATES.search(page) if page is not None else None
    return int(found[1]) if found is not None else None


@contextmanager
def _typed(*, absent: bool = False) -> Iterator[None]:
    """Errors of the API as ours. With `absent` an object that is not there is no error."""
    from kubernetes.client import ApiException
    from urllib3.exceptions import HTTPError

    try:
        yield
    except ApiException as error:
        if not (absent and error.status == 404):
            message = f"the Kubernetes API refused: HTTP {error.status} {error.reason or ''}".strip()
            raise Unavailable(Reason.TARGET_UNAVAILABLE, message) from None
    except HTTPError as error:
        message = f"the Kubernetes API does not answer ({type(error).__name__})"
        raise Unavailable(Reason.TARGET_UNAVAILABLE, message) from None
