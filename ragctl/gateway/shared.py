"""The gateway before two sets of query servers, blue and green, on hosts that a name service knows.

A transformation of the single-host configuration, so that filters, limits and routes are written once:
  * each cluster of the query server becomes one per colour, resolved by DNS;
  * the routes go to both by weight, and come from a watched file, so that a switch needs no restart;
  * a listener for probes and metrics, because the admin interface stays on loopback.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from ragctl.gateway.bootstrap import bootstrap
from ragctl.gateway.clusters import PROBES, QUERY, address
from ragctl.gateway.options import Endpoint, GatewayOptions, extension

COLOURS = ("blue", "green")
QUERY_HOST = {colour: f"@@query-{colour}@@" for colour in COLOURS}
STATUS_PORT = 9902
ROUTES_FOLDER = "/etc/envoy/routes"
_ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Shared:
    """The file Envoy starts from, and the file it watches."""

    bootstrap: dict[str, Any]
    routes: dict[str, Any]


def share(options: GatewayOptions) -> Shared:
    """Both files. Hosts and weights are the placeholders `@@query-COLOUR@@` and `@@weight-COLOUR@@`."""
    start: dict[str, Any] = copy.deepcopy(bootstrap(options))
    resources = start["static_resources"]
    manager = _connection_manager(resources["listeners"][0])
    routes = manager.pop("route_config")
    manager["rds"] = _watched(routes["name"])
    resources["clusters"] = [*_per_colour(resources["clusters"]), _admin_cluster(options.admin_port)]
    resources["listeners"].append(_status_listener())
    return Shared(start, {"resources": [{"@type": _ROUTES_TYPE, **_weighted(routes)}]})


def filled(data: dict[str, Any], replacements: Mapping[str, str]) -> str:
    """One of the two as YAML, with its placeholders replaced by plain YAML scalars or Helm expressions."""
    text = yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=120)
    for mark, value in replacements.items():
        text = text.replace(f"'{mark}'", value).replace(mark, value)
    return text


_ROUTES_TYPE = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"


def _connection_manager(listener: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = listener["filter_chains"][0]["filters"][0]["typed_config"]
    return found


def _watched(name: str) -> dict[str, Any]:
    # A mounted ConfigMap is changed by swapping the link `..data`; that swap in the folder is what must be watched.
    source = {"path": f"{ROUTES_FOLDER}/routes.yaml", "watched_directory": {"path": ROUTES_FOLDER}}
    return {"route_config_name": name, "config_source": {"resource_api_version": "V3", "path_config_source": source}}


def _per_colour(clusters: list[dict[str, Any]]) -> list[dict[str, Any]]:
    made = []
    for cluster in clusters:
        if cluster["name"] not in {QUERY, PROBES}:
            made.append(cluster)
            continue
        made += [_resolved(cluster, colour) for colour in COLOURS]
    return made


def _resolved(cluster: dict[str, Any], colour: str) -> dict[str, Any]:
    mine = copy.deepcopy(cluster)
    mine["name"] = mine["load_assignment"]["cluster_name"] = f"{cluster['name']}-{colour}"
    # Every pod is an endpoint of its own, so that load, health and retries are per pod.
    mine |= {"type": "STRICT_DNS", "dns_refresh_rate": "2s", "dns_lookup_family": "V4_PREFERRED"}
    for group in mine["load_assignment"]["endpoints"]:
        for endpoint in group["lb_endpoints"]:
            endpoint["endpoint"]["address"]["socket_address"]["address"] = QUERY_HOST[colour]
    return mine


def _weighted(routes: dict[str, Any]) -> dict[str, Any]:
    for host in routes["virtual_hosts"]:
        for route in host["routes"]:
            action = route.get("route", {})
            name = action.get("cluster")
            if name in {QUERY, PROBES}:
                del action["cluster"]
                action["weighted_clusters"] = {
                    "clusters": [{"name": f"{name}-{colour}", "weight": f"@@weight-{colour}@@"} for colour in COLOURS]
                }
    return routes


def _admin_cluster(port: int) -> dict[str, Any]:
    endpoint = {"endpoint": {"address": address(Endpoint("127.0.0.1", port))}}
    return {
        "name": _ADMIN,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": _ADMIN, "endpoints": [{"lb_endpoints": [endpoint]}]},
    }


def _status_listener() -> dict[str, Any]:
    """Two pages of the admin interface, by GET only: it could also stop Envoy and show its configuration."""
    routes = [
        {
            "match": {"path": path, "headers": [{"name": ":method", "string_match": {"exact": "GET"}}]},
            "route": {"cluster": _ADMIN, "timeout": "5s"},
        }
        for path in ("/ready", "/stats/prometheus")
    ]
    manager = extension(
        "envoy.filters.network.http_connection_manager",
        "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix="status",
        normalize_path=True,
        path_with_escaped_slashes_action="REJECT_REQUEST",
        route_config={"name": "status", "virtual_hosts": [{"name": "status", "domains": ["*"], "routes": routes}]},
        http_filters=[extension("envoy.filters.http.router", "extensions.filters.http.router.v3.Router")],
    )
    listen = address(Endpoint("0.0.0.0", STATUS_PORT))  # noqa: S104
    return {"name": "status", "address": listen, "filter_chains": [{"filters": [manager]}]}
