"""Envoy's files for two sets of query servers on one network.

They are known as `query-blue` and `query-green` unless RAG_GATEWAY_BLUE and RAG_GATEWAY_GREEN name others, and the open
interfaces as `interfaces` unless RAG_GATEWAY_INTERFACES does.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from rag_core.errors import ConfigError, Reason
from rag_core.files import replace_file
from rag_core.settings import Settings
from ragctl.gateway.clusters import system_authorities
from ragctl.gateway.options import Backends, Endpoint, GatewayOptions
from ragctl.gateway.shared import COLOURS, QUERY_HOST, colour, filled, share

_MOUNTED = "/etc/envoy/static"
"""The folder's path in Envoy's container."""
_READ_ONLY = 0o444


def write(settings: Settings, folder: str, green: str = "0") -> None:
    """Write `envoy.yaml`, the descriptors and, last, the watched `routes/routes.yaml` with `green` per cent for green.

    Each file is replaced by a rename, which Envoy watches for. Raises `ConfigError` for a bad weight.
    """
    if not green.isascii() or not green.isdigit() or int(green) > 100:
        raise ConfigError(Reason.USAGE, "the weight of green must be 0 to 100")
    target = Path(folder)
    options = GatewayOptions.from_settings(settings)
    replace_file(target / "descriptors.binpb", options.descriptors.read_bytes(), mode=_READ_ONLY)
    listen = Endpoint("0.0.0.0", options.listen.port)  # noqa: S104  its network is the container's own
    blue, green_servers = (colour(name, query=settings.query_port, probes=settings.metrics_port) for name in COLOURS)
    named = settings.gateway_interfaces or f"interfaces:{settings.interfaces_port}"
    interfaces = Backends((_endpoint(named, "RAG_GATEWAY_INTERFACES"),), discovery="dns")
    searches = settings.gateway_searches or 0  # the number of servers behind a DNS name is unknown
    here = dataclasses.replace(options, listen=listen, blue=blue, green=green_servers, searches=searches)
    internal = Endpoint("0.0.0.0", settings.gateway_internal_port)  # noqa: S104
    here = dataclasses.replace(here, interfaces=interfaces, internal=internal)
    if here.shared:
        service = dataclasses.replace(here.shared.service, discovery="dns")
        here = dataclasses.replace(here, shared=dataclasses.replace(here.shared, service=service))
    shared = share(here)
    hosts = {QUERY_HOST[name]: _host(settings, name) for name in COLOURS}
    mounted = {str(options.descriptors): f"{_MOUNTED}/descriptors.binpb"}
    if options.jwt and options.jwt.jwks_url.startswith("https:"):  # Envoy's image need not trust whom ours trusts
        authorities = system_authorities()
        replace_file(target / "authorities.pem", Path(authorities).read_bytes(), mode=_READ_ONLY)
        mounted[authorities] = f"{_MOUNTED}/authorities.pem"
    weights = {"@@weight-green@@": green, "@@weight-blue@@": str(100 - int(green))}
    replace_file(target / "envoy.yaml", filled(shared.bootstrap, {**hosts, **mounted}).encode(), mode=_READ_ONLY)
    (target / "routes").mkdir(exist_ok=True)
    replace_file(target / "routes" / "routes.yaml", filled(shared.routes, weights).encode(), mode=_READ_ONLY)


def _endpoint(text: str, setting: str) -> Endpoint:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit():
        raise ConfigError(Reason.CONFIG_INVALID, f"{setting} must be host:port")
    return Endpoint(host, int(port))


def _host(settings: Settings, name: str) -> str:
    """The name under which the network knows a colour. Its ports are the same everywhere."""
    given: str | None = getattr(settings, f"gateway_{name}")
    return given.rpartition(":")[0] if given else f"query-{name}"
