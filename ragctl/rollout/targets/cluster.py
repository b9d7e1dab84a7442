"""Kubernetes objects of one installation of the chart, with API errors as ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rag_core.errors import ConfigError, Reason, Unavailable

OWNER = "rag-deployer"
"""Field manager: the API server keeps apart what is ours and what Helm, the autoscaler and people set."""
_CALL_SECONDS = 15
_APPLY = "application/apply-patch+yaml"
_MERGE = "application/merge-patch+json"


class Cluster:
    """`objects` is what the names begin with, such as `rag-rag-platform`."""

    def __init__(self, api: Any, namespace: str, objects: str) -> None:
        from kubernetes import client

        self._apps, self._core = client.AppsV1Api(api), client.CoreV1Api(api)
        self._namespace, self._objects = namespace, objects

    @classmethod
    def open(cls, namespace: str, objects: str) -> Cluster:
        """Raises as `connected`."""
        return cls(connected(), namespace, objects)

    def name(self, component: str) -> str:
        """Name of a component's object."""
        return f"{self._objects}-{component}"

    def deployment(self, component: str) -> Any:
        """None when there is none."""
        return self._read(self._apps.read_namespaced_deployment, component)

    def config_map(self, component: str) -> Any:
        """None when there is none."""
        return self._read(self._core.read_namespaced_config_map, component)

    def apply_deployment(self, component: str, body: dict[str, Any]) -> Any:
        """Create it or bring our fields of it to this."""
        return self._apply(self._apps.patch_namespaced_deployment, component, body)

    def apply_config_map(self, component: str, body: dict[str, Any]) -> Any:
        """Create it or bring our fields of it to this."""
        return self._apply(self._core.patch_namespaced_config_map, component, body)

    def scale(self, component: str, replicas: int) -> None:
        """Set the number of pods once; afterwards the autoscaler owns it."""
        with _typed():
            self._apps.patch_namespaced_deployment_scale(
                self.name(component),
                self._namespace,
                {"spec": {"replicas": replicas}},
                field_manager=OWNER,
                _content_type=_MERGE,
                _request_timeout=_CALL_SECONDS,
            )

    def pods(self, deployment: Any) -> list[Any]:
        """Pods that a Deployment selects."""
        labels = ",".join(f"{name}={value}" for name, value in deployment.spec.selector.match_labels.items())
        with _typed():
            found = self._core.list_namespaced_pod(
                self._namespace, label_selector=labels, _request_timeout=_CALL_SECONDS
            )
        return list(found.items)

    def mark(self, pod: Any, annotations: dict[str, str]) -> None:
        """Annotate a pod. One that left meanwhile needs no mark."""
        with _typed(absent=True):
            self._core.patch_namespaced_pod(
                pod.metadata.name,
                self._namespace,
                {"metadata": {"annotations": annotations}},
                field_manager=OWNER,
                _request_timeout=_CALL_SECONDS,
            )

    def _read(self, read: Any, component: str) -> Any:
        with _typed(absent=True):
            return read(self.name(component), self._namespace, _request_timeout=_CALL_SECONDS)
        return None

    def _apply(self, patch: Any, component: str, body: dict[str, Any]) -> Any:
        with _typed():
            return patch(
                self.name(component),
                self._namespace,
                body,
                field_manager=OWNER,
                force=True,
                _content_type=_APPLY,
                _request_timeout=_CALL_SECONDS,
            )


def connected() -> Any:
    """A client with the identity of this pod, else the current context of the kubeconfig. Raises `ConfigError`."""
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
    return client.ApiClient()


def is_ready(pod: Any) -> bool:
    """Return whether a Service would send to the pod."""
    conditions = {item.type: item.status for item in pod.status.conditions or ()}
    return bool(pod.status.pod_ip) and conditions.get("Ready") == "True" and pod.metadata.deletion_timestamp is None


def host_of(pod: Any) -> str:
    """Its address as it stands in a URL."""
    address = str(pod.status.pod_ip)
    return f"[{address}]" if ":" in address else address


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
