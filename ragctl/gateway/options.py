"""What the gateway is told: addresses, limits and the file with the service descriptors."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import ragproto
from rag_core.settings import Settings

Config = dict[str, object]
"""A piece of Envoy configuration, ready for YAML."""

_DEADLINE_SLACK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address Envoy connects to."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class GatewayOptions:
    """Everything the configuration depends on, so that equal options give an equal file.

    `max_seconds` caps any call and is a little above the server's own cap, so that callers see the server's error.
    """

    listen: Endpoint
    admin_port: int
    query: tuple[Endpoint, ...]
    probes: tuple[Endpoint, ...]
    descriptors: Path
    max_seconds: float
    max_request_bytes: int
    max_connections: int = 1024

    @classmethod
    def from_settings(cls, settings: Settings) -> GatewayOptions:
        """Options of the embedded stack: one query server on this host."""
        backend = reachable(settings.host)
        return cls(
            listen=Endpoint(settings.host, settings.gateway_port),
            admin_port=settings.envoy_admin_port,
            query=(Endpoint(backend, settings.query_port),),
            probes=(Endpoint(backend, settings.metrics_port),),
            descriptors=Path(ragproto.__file__).parent / "descriptors.binpb",
            max_seconds=settings.max_deadline_seconds + _DEADLINE_SLACK_SECONDS,
            max_request_bytes=settings.max_message_bytes,
        )


def reachable(host: str) -> str:
    """The address a client on this machine uses for a server that listens on `host`."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104


def any_of(type_name: str, **fields: object) -> Config:
    """A `google.protobuf.Any` of the Envoy message `type_name` (without the `envoy.` prefix)."""
    return {"@type": f"type.googleapis.com/envoy.{type_name}", **fields}


def extension(name: str, type_name: str, **fields: object) -> Config:
    """A named extension with its typed configuration."""
    return {"name": name, "typed_config": any_of(type_name, **fields)}


def seconds(value: float) -> str:
    """A protobuf duration."""
    return f"{value:g}s"
