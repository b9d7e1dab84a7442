"""The whole Envoy configuration, as one file or as a bootstrap with watched files, and its validation by Envoy."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from rag_core.errors import ConfigError, Reason
from rag_core.files import update_file
from ragctl.gateway.access import jwt_filter
from ragctl.gateway.admin import ADMIN, admin_listener
from ragctl.gateway.clusters import certificate, clusters, endpoints
from ragctl.gateway.files import JWT_FILTER, Inline, Sources, Watched, resource, resources, to_yaml
from ragctl.gateway.listener import listeners
from ragctl.gateway.options import Config, GatewayOptions, any_of, extension
from ragctl.gateway.program import ENVOY_FLAGS, envoy_path
from ragctl.gateway.routes import route_config
from ragctl.runtime_folder import create_private

_HEAP = "envoy.resource_monitors.fixed_heap"
_CONNECTIONS = "envoy.resource_monitors.global_downstream_max_connections"
_TRACKED_POWER = 14
"""Streams that hold 2^14 bytes or more are distinguished by what they hold, in eight classes to 2^21."""
_TIMERS = ("CONNECTION_IDLE", "CONNECTION_MAX", "STREAM_FLUSH")
_RUNTIME = {
    # A connection gets one request a turn, so that one with thousands of them delays the others by one.
    "http.max_requests_per_io_cycle": 1,
    # A connection of whose calls so many (and half of all) were taken back within a second is closed.
    "overload.premature_reset_total_stream_count": 200,
}


def bootstrap(options: GatewayOptions, sources: Sources | None = None) -> Config:
    """The static twin as plain data: everything in one file, unless `sources` puts a piece elsewhere."""
    where = sources or Inline()
    statics = {
        "listeners": [*listeners(options, where), admin_listener(options)],
        "clusters": [*clusters(options, where), _admin(options)],
    }
    return {**_frame(options), "static_resources": statics}


def dynamic_files(options: GatewayOptions, folder: Path) -> dict[str, Config]:
    """The same as a bootstrap and one file per kind of resource in `folder`, by file name."""
    watched = Watched(folder)
    lists = {"lds_config": watched.source("lds"), "cds_config": watched.source("cds")}
    statics = {"listeners": [admin_listener(options)], "clusters": [_admin(options)]}
    files: dict[str, Config] = {
        f"eds-{name}.yaml": resource("config.endpoint.v3.ClusterLoadAssignment", config)
        for name, config in endpoints(options).items()
    }
    if options.jwt is not None:
        keys: Config = {"name": JWT_FILTER, "typed_config": jwt_filter(options, options.jwt)}
        files["ecds.yaml"] = resource("config.core.v3.TypedExtensionConfig", keys)
    if options.tls is not None:
        secret: Config = {"name": "gateway", "tls_certificate": certificate(options.tls)}
        files["sds.yaml"] = resource("extensions.transport_sockets.tls.v3.Secret", secret)
    files["rds.yaml"] = resource("config.route.v3.RouteConfiguration", route_config(options))
    files["cds.yaml"] = resources("config.cluster.v3.Cluster", clusters(options, watched))
    files["lds.yaml"] = resources("config.listener.v3.Listener", listeners(options, watched))
    files["bootstrap.yaml"] = {**_frame(options), "dynamic_resources": lists, "static_resources": statics}
    return files


def render(options: GatewayOptions) -> str:
    """The static twin as YAML."""
    return to_yaml(bootstrap(options))


def write(options: GatewayOptions, path: Path) -> None:
    """Write the static twin, whole or not at all: a running Envoy or a validation never sees half a file."""
    update_file(path, render(options))


def write_dynamic(options: GatewayOptions, folder: Path) -> list[str]:
    """Bring the files in `folder` to these options; returns the names of those that changed.

    Members come before the clusters and routes that refer to them, so that a running Envoy never routes to nobody.
    """
    create_private(options.sockets)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    files = dynamic_files(options, folder)
    return [name for name, config in files.items() if update_file(folder / name, to_yaml(config))]


def validate(options: GatewayOptions) -> None:
    """Let Envoy check the static twin. Raises `ConfigError` (`CONFIG_INVALID`) with its message."""
    with tempfile.TemporaryDirectory(prefix="rag-gateway-") as folder:
        path = Path(folder) / "envoy.yaml"
        write(options, path)
        command = [str(envoy_path()), "--mode", "validate", *ENVOY_FLAGS, "-c", str(path)]
        result = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    if result.returncode != 0:
        lines = [line for line in result.stderr.splitlines() if line.strip()]
        raise ConfigError(
            Reason.CONFIG_INVALID, f"Envoy refuses the gateway configuration: {lines[-1] if lines else 'no reason'}"
        )


def _frame(options: GatewayOptions) -> Config:
    return {
        "node": {"id": "rag-gateway", "cluster": "rag"},
        "admin": {"address": {"pipe": {"path": str(options.admin_socket), "mode": 0o600}}},
        "overload_manager": _overload(options),
        "layered_runtime": {"layers": [{"name": "static", "static_layer": dict(_RUNTIME)}]},
    }


def _admin(options: GatewayOptions) -> Config:
    """The admin interface as a cluster, for the listeners that pass on some of its pages."""
    member = {"endpoint": {"address": {"pipe": {"path": str(options.admin_socket)}}}}
    where: Config = {"cluster_name": ADMIN, "endpoints": [{"lb_endpoints": [member]}]}
    return {"name": ADMIN, "type": "STATIC", "connect_timeout": "1s", "load_assignment": where}


def _overload(options: GatewayOptions) -> Config:
    """Limits of what is buffered: callers decide how much they send and how slowly they read, so the largest streams
    are reset long before anybody is refused."""
    heap = extension(
        _HEAP, "extensions.resource_monitors.fixed_heap.v3.FixedHeapConfig", max_heap_size_bytes=options.heap_bytes
    )
    return {
        "refresh_interval": "0.02s",
        "resource_monitors": [_connection_monitor(options.max_client_connections), heap],
        "buffer_factory_config": {"minimum_account_to_track_power_of_two": _TRACKED_POWER},
        "actions": [
            _at_heap("reset_high_memory_stream", scaled={"scaling_threshold": 0.3, "saturation_threshold": 0.6}),
            _at_heap("shrink_heap", threshold={"value": 0.8}),
            _at_heap("stop_accepting_requests", threshold={"value": 0.95}),
            _shorter_times(),
        ],
    }


def _at_heap(action: str, **trigger: Config) -> Config:
    return {"name": f"envoy.overload_actions.{action}", "triggers": [{"name": _HEAP, **trigger}]}


def _shorter_times() -> Config:
    """Idle connections, all connections, and answers that are complete and not taken, end the sooner the more
    connections or memory are in use.

    Envoy counts neither by address: one address may take all that there is, but not keep it. What a peer that does not
    read was sent already belongs to its connection and not to a stream that could be reset.
    """
    triggers = {_CONNECTIONS: (0.3, 0.8), _HEAP: (0.1, 0.4)}
    return {
        "name": "envoy.overload_actions.reduce_timeouts",
        "triggers": [
            {"name": name, "scaled": {"scaling_threshold": low, "saturation_threshold": high}}
            for name, (low, high) in triggers.items()
        ],
        "typed_config": any_of(
            "config.overload.v3.ScaleTimersOverloadActionConfig",
            timer_scale_factors=[{"timer": f"HTTP_DOWNSTREAM_{name}", "min_timeout": "1s"} for name in _TIMERS],
        ),
    }


def _connection_monitor(most: int) -> Config:
    return extension(
        _CONNECTIONS,
        "extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
        max_active_downstream_connections=most,
    )
