"""A stand-in for the API server of Kubernetes over HTTP or TLS: the objects of one namespace by path.

It keeps what it is given and merges patches; it knows no schema and no controller. Who needs one gives `controller`,
which is called with every object that was written. `tests/real_servers/cluster` runs the real server.
"""

from __future__ import annotations

import copy
import json
import re
import ssl
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

Object = dict[str, Any]
_PATH = re.compile(
    r"/(?:api/v1|apis/[a-z0-9.]+/v[0-9a-z]+)/namespaces/([a-z0-9-]+)/([a-z]+)(?:/([a-z0-9.-]+))?(/[a-z]+)?"
)


@dataclass(frozen=True, slots=True)
class Patch:
    """A requested change, and its user."""

    resource: str
    name: str
    sub: str
    owner: str
    body: Object


@dataclass
class Api:
    """Objects by resource and name. `patches` are what was asked for, in order. Without `token` everybody is let in."""

    namespace: str
    objects: dict[tuple[str, str], Object] = field(default_factory=dict)
    patches: list[Patch] = field(default_factory=list)
    token: str = ""
    controller: Callable[[str, Object], None] = lambda resource, item: None
    url: str = ""

    def __post_init__(self) -> None:
        self.lock = threading.RLock()

    def put(self, resource: str, item: Object) -> Object:
        """Create or replace."""
        with self.lock:
            item.setdefault("metadata", {}).setdefault("uid", str(uuid.uuid4()))
            item["metadata"].setdefault("generation", 1)
            item.setdefault("status", {})
            item["metadata"].setdefault("creationTimestamp", datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
            self.objects[resource, item["metadata"]["name"]] = item
            self.controller(resource, item)
            return item

    def patch(self, patch: Patch) -> Object | None:
        """Merge; an applied object that is not there is created."""
        with self.lock:
            self.patches.append(copy.deepcopy(patch))
            found = self.objects.get((patch.resource, patch.name))
            if found is None:
                return self.put(patch.resource, patch.body) if "apiVersion" in patch.body else None
            if patch.sub == "/scale":
                found["spec"]["replicas"] = patch.body["spec"]["replicas"]
            else:
                _merge(found, patch.body)
            if "spec" in patch.body:
                found["metadata"]["generation"] += 1
            self.controller(patch.resource, found)
            return found

    def listed(self, resource: str, labels: dict[str, str]) -> list[Object]:
        with self.lock:
            return [item for (of, _), item in self.objects.items() if of == resource and _has(item, labels)]


@contextmanager
def running_api(api: Api, *, address: str = "127.0.0.1", certificate: tuple[Path, Path] | None = None) -> Iterator[Api]:
    """Serve it; with a certificate (file, key file) over TLS."""

    class Handler(_Handler):
        known = api

    server = ThreadingHTTPServer((address, 0), Handler)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    api.url = f"{'http' if certificate is None else 'https'}://{address}:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    known: Api

    def do_GET(self) -> None:
        if self._refused():
            return None
        if urlsplit(self.path).path == "/version/":
            return self._send({"major": "1", "minor": "34", "gitVersion": "v1.34.2"})
        resource, name, _ = self._named()
        if name:
            return self._send(self.known.objects.get((resource, name)))
        selector = parse_qs(urlsplit(self.path).query).get("labelSelector", [""])[0]
        labels = dict(pair.split("=", 1) for pair in selector.split(",") if pair)
        return self._send({"items": self.known.listed(resource, labels)})

    def do_POST(self) -> None:
        if not self._refused():
            self._send(self.known.put(self._named()[0], self._body()), 201)

    def do_DELETE(self) -> None:
        if not self._refused():
            resource, name, _ = self._named()
            self._send(self.known.objects.pop((resource, name), None))

    def do_PATCH(self) -> None:
        if not self._refused():
            owner = parse_qs(urlsplit(self.path).query).get("fieldManager", [""])[0]
            resource, name, sub = self._named()
            found = self.known.patch(Patch(resource, name, sub, owner, self._body()))
            self._send(_scale(found) if sub == "/scale" and found is not None else found)

    def _named(self) -> tuple[str, str, str]:
        found = _PATH.fullmatch(urlsplit(self.path).path)
        assert found is not None, self.path
        assert found[1] == self.known.namespace, self.path
        return found[2], found[3] or "", found[4] or ""

    def _refused(self) -> bool:
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        refused = bool(self.known.token) and (scheme.lower(), token) != ("bearer", self.known.token)
        if refused:
            self._send({"reason": "Unauthorized"}, 401)
        return refused

    def _body(self) -> Object:
        body: Object = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        return body

    def _send(self, body: Object | None, status: int = 200) -> None:
        with self.known.lock:
            data = json.dumps(body if body is not None else {"kind": "Status", "reason": "NotFound"}).encode()
        self.send_response(status if body is not None else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class names it so
        return


def _scale(item: Object) -> Object:
    replicas = {"replicas": item["spec"]["replicas"]}
    return {"apiVersion": "autoscaling/v1", "kind": "Scale", "spec": replicas, "status": replicas}


def _has(item: Object, labels: dict[str, str]) -> bool:
    return bool(labels.items() <= item["metadata"].get("labels", {}).items())


def _merge(into: Object, patch: Object) -> None:
    for key, value in patch.items():
        if key == "containers":  # a strategic merge: by name
            for container in value:
                known = next((item for item in into[key] if item["name"] == container["name"]), None)
                if known is None:
                    into[key].append(container)
                else:
                    known.update(container)
        elif isinstance(value, dict):
            _merge(into.setdefault(key, {}), value)
        else:
            into[key] = value
