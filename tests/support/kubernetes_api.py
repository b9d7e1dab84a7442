"""A stand-in for the API server of Kubernetes over HTTP: the objects that a deployment touches, and their controller.

No cluster runs here. It speaks the real paths and patches to the real client; a patched Deployment gets its pods when
`settle` says so, as a controller would make them.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

NAMESPACE, OBJECTS = "rag-test", "rag-rag-platform"
FIRST_IMAGE = "registry.example/query@sha256:" + "0" * 64
_ROUTES = """virtual_hosts:
- routes:
  - name: query-blue
    weight: 100
  - name: query-green
    weight: 0
  - name: query-blue
    weight: 100
  - name: query-green
    weight: 0
"""
_PATH = re.compile(rf"/(?:api/v1|apis/apps/v1)/namespaces/{NAMESPACE}/(deployments|configmaps|pods)(?:/([a-z0-9-]+))?")


@dataclass
class Cluster:
    """Objects by kind and name. `patches` are what was asked for, in order."""

    url: str = ""
    objects: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    patches: list[tuple[str, str, str, dict[str, Any]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name, replicas in (("query-blue", 2), ("query-green", 0), ("gateway", 1)):
            self._add(name, replicas)
        self.objects["configmaps", f"{OBJECTS}-gateway-routes"] = {"metadata": {}, "data": {"routes.yaml": _ROUTES}}

    def _add(self, component: str, replicas: int) -> None:
        labels = {"app.kubernetes.io/component": component}
        containers = [{"name": "query", "image": FIRST_IMAGE}]
        self.objects["deployments", f"{OBJECTS}-{component}"] = {
            "metadata": {"name": f"{OBJECTS}-{component}", "generation": 1, "annotations": {}},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"annotations": {}}, "spec": {"containers": containers}},
            },
            "status": {},
        }
        self.settle(component)

    def settle(self, component: str) -> None:
        """Bring pods and status of a Deployment to what it wants."""
        deployment = self.objects["deployments", f"{OBJECTS}-{component}"]
        wanted = deployment["spec"]["replicas"]
        for kind, name in list(self.objects):
            if kind == "pods" and name.startswith(component):
                del self.objects[kind, name]
        for number in range(wanted):
            name = f"{component}-{number}"
            self.objects["pods", name] = {
                "metadata": {"name": name, "labels": deployment["spec"]["selector"]["matchLabels"]},
                "status": {"podIP": "127.0.0.1", "conditions": [{"type": "Ready", "status": "True"}]},
            }
        counts = dict.fromkeys(("replicas", "updatedReplicas", "availableReplicas"), wanted)
        deployment["status"] = {"observedGeneration": deployment["metadata"]["generation"], **counts}

    def patch(self, kind: str, name: str, body: dict[str, Any], owner: str) -> dict[str, Any]:
        self.patches.append((kind, name, owner, body))
        found = self.objects[kind, name]
        _merge(found, body)
        if kind == "deployments" and "spec" in body:
            found["metadata"]["generation"] += 1
            self.settle(name.removeprefix(f"{OBJECTS}-"))
        return found


def _merge(into: dict[str, Any], patch: dict[str, Any]) -> None:
    for key, value in patch.items():
        if key == "containers":  # a strategic merge: by name
            for container in value:
                known = next(item for item in into[key] if item["name"] == container["name"])
                known.update(container)
        elif isinstance(value, dict):
            _merge(into.setdefault(key, {}), value)
        else:
            into[key] = value


@contextmanager
def running_cluster() -> Iterator[Cluster]:
    """A cluster with the chart installed: two servers of blue, none of green, one gateway."""
    cluster = Cluster()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            address = urlsplit(self.path)
            kind, name = self._named(address.path)
            if name:
                self._send(cluster.objects.get((kind, name)))
                return
            labels = dict(pair.split("=", 1) for pair in parse_qs(address.query)["labelSelector"][0].split(","))
            items = [item for (of, _), item in cluster.objects.items() if of == kind and _has(item, labels)]
            self._send({"items": items})

        def do_PATCH(self) -> None:
            address = urlsplit(self.path)
            kind, name = self._named(address.path)
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            owner = parse_qs(address.query).get("fieldManager", [""])[0]
            self._send(cluster.patch(kind, name, body, owner))

        def _named(self, path: str) -> tuple[str, str]:
            found = _PATH.fullmatch(path)
            assert found is not None, path
            return found[1], found[2] or ""

        def _send(self, body: dict[str, Any] | None) -> None:
            data = json.dumps(body if body is not None else {"reason": "NotFound"}).encode()
            self.send_response(200 if body is not None else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class names it so
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    cluster.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield cluster
    server.shutdown()
    thread.join()
    server.server_close()


def _has(item: dict[str, Any], labels: dict[str, str]) -> bool:
    return labels.items() <= item["metadata"].get("labels", {}).items()
