"""gRPC servers of this package: their transport options, and binding with a typed error."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import grpc.aio

from query_server.interceptors import Chain
from rag_core.errors import Conflict, Reason
from rag_core.settings import Settings

LOOPBACK = "127.0.0.1"
KEEPALIVE_MS = 30_000


@dataclass(frozen=True, slots=True)
class Listen:
    """Where to listen; port 0 takes a free one (`QueryServer.ports` has the ones taken)."""

    host: str
    query: int
    metrics: int
    index: int

    @classmethod
    def of(cls, settings: Settings) -> Listen:
        """The addresses that the settings name."""
        return cls(settings.host, settings.query_port, settings.metrics_port, settings.index_port)


def new_server(settings: Settings, chain: Chain, max_message_bytes: int) -> grpc.aio.Server:
    """A server behind the layers of `chain`, not yet bound."""
    return grpc.aio.server(interceptors=[chain], options=_options(settings, max_message_bytes))


def bind(server: grpc.aio.Server, host: str, port: int, setting: str) -> int:
    """Listen; port 0 takes a free one. Returns the port. Raises `Conflict` (`PORT_TAKEN`) that names the setting."""
    try:
        return server.add_insecure_port(f"{host}:{port}")
    except RuntimeError:
        raise Conflict(Reason.PORT_TAKEN, f"port {port} is taken ({setting})") from None


@contextmanager
def stop_signals(stopping: asyncio.Event) -> Iterator[None]:
    """Set the event at SIGTERM and SIGINT while this is entered."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


def _options(settings: Settings, max_message_bytes: int) -> list[tuple[str, int]]:
    return [
        # On by default: a forgotten process would silently take a share of the connections.
        ("grpc.so_reuseport", 0),
        ("grpc.max_receive_message_length", max_message_bytes),
        ("grpc.max_send_message_length", max_message_bytes),
        ("grpc.keepalive_time_ms", KEEPALIVE_MS),
        ("grpc.keepalive_timeout_ms", KEEPALIVE_MS // 3),
        ("grpc.http2.min_ping_interval_without_data_ms", KEEPALIVE_MS // 3),
        ("grpc.max_connection_age_ms", int(settings.max_connection_age_seconds * 1000)),
        ("grpc.max_connection_age_grace_ms", int(settings.max_deadline_seconds * 1000)),
    ]
