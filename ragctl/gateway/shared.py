"""Gateway configuration for two sets of query servers, blue and green, that are found by DNS name.

The single-host configuration, so that filters, limits and routes are written once, with two choices made:
  * the routes come from a watched file, with the weights of the colours as placeholders, so that a switch needs no
    restart;
  * probes and metrics are on a port that the network reaches, because the admin interface stays on loopback.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ragctl.gateway.bootstrap import bootstrap
from ragctl.gateway.clusters import BLUE, GREEN
from ragctl.gateway.files import Inline, Watched, resource, to_yaml
from ragctl.gateway.options import Backends, Config, Endpoint, GatewayOptions
from ragctl.gateway.routes import route_config

COLOURS = ("blue", "green")
_COLOUR_OF = {BLUE: "blue", GREEN: "green"}
QUERY_HOST = {colour: f"@@query-{colour}@@" for colour in COLOURS}
STATUS_PORT = 9902
_SOCKETS = Path("/tmp")  # noqa: S108  the container's own
ROUTES_FOLDER = Path("/etc/envoy/routes")


@dataclass(frozen=True, slots=True)
class Shared:
    """The file Envoy starts from, and the file it watches."""

    bootstrap: Config
    routes: Config


class _WatchedRoutes(Inline):
    """Everything in the file Envoy starts from, but for the routes."""

    def routes(self, config: Config) -> Config:
        source = Watched(ROUTES_FOLDER).source("routes")
        return {"rds": {"route_config_name": config["name"], "config_source": source}}


def colour(name: str, *, query: int, probes: int) -> Backends:
    """The query servers of a colour: every address behind its name is one, at these ports."""
    host = QUERY_HOST[name]
    return Backends((Endpoint(host, query),), (Endpoint(host, probes),), "dns")


def share(options: GatewayOptions) -> Shared:
    """Both files. Hosts and weights are the placeholders `@@query-COLOUR@@` and `@@weight-COLOUR@@`."""
    reached = replace(options, metrics=Endpoint("0.0.0.0", STATUS_PORT), sockets=_SOCKETS)  # noqa: S104
    routes = resource("config.route.v3.RouteConfiguration", _weighted(route_config(reached)))
    return Shared(bootstrap(reached, _WatchedRoutes()), routes)


def filled(data: Config, replacements: Mapping[str, str]) -> str:
    """One of the two as YAML, with its placeholders replaced by plain YAML scalars or Helm expressions."""
    text = to_yaml(data)
    for mark, value in replacements.items():
        text = text.replace(f"'{mark}'", value).replace(mark, value)
    return text


def _weighted(routes: dict[str, Any]) -> Config:
    for host in routes["virtual_hosts"]:
        for route in host["routes"]:
            for cluster in route.get("route", {}).get("weighted_clusters", {}).get("clusters", []):
                cluster["weight"] = f"@@weight-{_COLOUR_OF[cluster['name']]}@@"
    return routes
