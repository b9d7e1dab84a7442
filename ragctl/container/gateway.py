"""Envoy's files for two sets of query servers that the network knows as `query-blue` and `query-green`."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from rag_core.errors import ConfigError, Reason
from rag_core.files import replace_file
from rag_core.settings import Settings
from ragctl.gateway.options import Endpoint, GatewayOptions
from ragctl.gateway.shared import COLOURS, QUERY_HOST, colour, filled, share

_READ_ONLY = 0o444


def write(settings: Settings, folder: str, green: str = "0") -> None:
    """Write `envoy.yaml`, the descriptors and, last, the watched `routes/routes.yaml` with `green` per cent for green.

    Each file appears whole, by a rename, which is also what makes Envoy look. Raises `ConfigError` for a bad weight.
    """
    if not green.isascii() or not green.isdigit() or int(green) > 100:
        raise ConfigError(Reason.USAGE, "the weight of green must be 0 to 100")
    target = Path(folder)
    options = GatewayOptions.from_settings(settings)
    replace_file(target / "descriptors.binpb", options.descriptors.read_bytes(), mode=_READ_ONLY)
    listen = Endpoint("0.0.0.0", options.listen.port)  # noqa: S104  its network is the container's own
    blue, green_servers = (colour(name, query=settings.query_port, probes=settings.metrics_port) for name in COLOURS)
    shared = share(dataclasses.replace(options, listen=listen, blue=blue, green=green_servers))
    hosts = {QUERY_HOST[name]: f"query-{name}" for name in COLOURS}
    mounted = {str(options.descriptors): "/etc/envoy/static/descriptors.binpb"}
    weights = {"@@weight-green@@": green, "@@weight-blue@@": str(100 - int(green))}
    replace_file(target / "envoy.yaml", filled(shared.bootstrap, {**hosts, **mounted}).encode(), mode=_READ_ONLY)
    (target / "routes").mkdir(exist_ok=True)
    replace_file(target / "routes" / "routes.yaml", filled(shared.routes, weights).encode(), mode=_READ_ONLY)
