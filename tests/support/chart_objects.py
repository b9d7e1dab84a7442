"""The chart's objects in the stand-in for the API server, with a controller: two servers of blue, none of green, one
gateway that counts what a test says."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import yaml

from ragctl.gateway.shared import STATUS_PORT
from tests.support.chart import find, render, values
from tests.support.kubernetes_api import Api, Object, running_api

NAMESPACE, OBJECTS = "rag-space", "rag-rag-platform"


@dataclass
class Gateway:
    """Its statistics page. `healthy` by colour; None: as many servers as there are."""

    address: str = field(default_factory=lambda: f"127.{random.randrange(60, 250)}.{random.randrange(250)}.7")
    healthy: dict[str, int | None] = field(default_factory=lambda: {"blue": None, "green": None})
    completed: dict[str, int] = field(default_factory=dict)
    faults: dict[str, int] = field(default_factory=dict)
    updates: int = 1

    def page(self, servers: dict[str, int]) -> str:
        lines = [f'envoy_http_rds_update_success{{envoy_rds_route_config="public"}} {self.updates}']
        for colour in ("blue", "green"):
            known = self.healthy[colour]
            of = f'{{envoy_cluster_name="query-{colour}"}}'
            faults = f'{{envoy_response_code_class="5",envoy_cluster_name="query-{colour}"}}'
            lines.append(f"envoy_cluster_membership_healthy{of} {servers[colour] if known is None else known}")
            lines.append(f"envoy_cluster_upstream_rq_completed{of} {self.completed.get(colour, 0)}")
            lines.append(f"envoy_cluster_upstream_rq_xx{faults} {self.faults.get(colour, 0)}")
        return "\n".join(lines) + "\n"


@dataclass
class Installed:
    """The installation: its API, its gateway."""

    api: Api
    gateway: Gateway
    given: dict[str, Any] = field(default_factory=dict)

    def deployment(self, colour: str) -> Object | None:
        return self.api.objects.get(("deployments", f"{OBJECTS}-query-{colour}"))

    def routes(self) -> Object:
        return self.api.objects["configmaps", f"{OBJECTS}-gateway-routes"]

    def servers(self) -> dict[str, int]:
        found = {colour: self.deployment(colour) for colour in ("blue", "green")}
        return {colour: item["spec"].get("replicas", 1) if item else 0 for colour, item in found.items()}

    def want(self, **changes: Any) -> None:
        """As `helm upgrade` with other values does."""
        wanted = find(render(values("production", self.given, changes)), "ConfigMap", "query-release")
        known = self.api.objects.get(("configmaps", wanted["metadata"]["name"]), {"metadata": {}})
        wanted["metadata"] = {**known["metadata"], **wanted["metadata"]}
        self.api.put("configmaps", wanted)

    def follow(self, resource: str, item: Object) -> None:
        """Stand-in for the controllers of a cluster."""
        if resource == "configmaps" and item["metadata"]["name"].endswith("-gateway-routes"):
            self.gateway.updates += 1
        if resource != "deployments":
            return
        name = item["metadata"]["name"]
        wanted = item["spec"].setdefault("replicas", 1)
        for known in [key for key in self.api.objects if key[0] == "pods" and key[1].startswith(f"{name}-")]:
            del self.api.objects[known]
        address = self.gateway.address if name.endswith("-gateway") else "127.0.0.1"
        for number in range(wanted):
            labels = item["spec"]["selector"]["matchLabels"]
            status = {"podIP": address, "conditions": [{"type": "Ready", "status": "True"}]}
            self.api.put("pods", {"metadata": {"name": f"{name}-{number}", "labels": labels}, "status": status})
        counts = dict.fromkeys(("replicas", "updatedReplicas", "availableReplicas"), wanted)
        item["status"] = {"observedGeneration": item["metadata"].get("generation", 1), **counts}


@contextmanager
def installed(**given: Any) -> Iterator[Installed]:
    """The production preset, with these values, as Helm has just installed it, before the deployer has looked."""
    cluster = Installed(Api(NAMESPACE), Gateway(), given)
    cluster.api.controller = cluster.follow
    cluster.want()
    gateway = find(render(values("production", given)), "Deployment", "-gateway")
    gateway["spec"]["replicas"] = 1
    cluster.api.put("deployments", gateway)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            data = cluster.gateway.page(cluster.servers()).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class names it so
            return

    server = ThreadingHTTPServer((cluster.gateway.address, STATUS_PORT), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        with running_api(cluster.api):
            yield cluster
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def weights(routes: Object) -> set[tuple[int, int]]:
    """The pairs of weights, blue and green, in the gateway's routes."""
    (host,) = yaml.load(routes["data"]["routes.yaml"], yaml.CSafeLoader)["resources"][0]["virtual_hosts"]
    targets = [item.get("route", {}).get("weighted_clusters", {}).get("clusters", []) for item in host["routes"]]
    pairs = [{cluster["name"]: cluster["weight"] for cluster in pair} for pair in targets if pair]
    return {(pair["query-blue"], pair["query-green"]) for pair in pairs}
