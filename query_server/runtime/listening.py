"""gRPC servers of this package: their transport options, and binding with a typed error."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import grpc.aio

from rag_core.errors import ConfigError, Conflict, Reason
from rag_core.settings import Settings

LOOPBACK = "127.0.0.1"
KEEPALIVE_MS = 30_000


@dataclass(frozen=True, slots=True)
class BindAddresses:
    """Addresses to listen on; port 0 takes a free one (`QueryServer.ports` has the ones taken)."""

    host: str
    query: int
    metrics: int
    index: int

    @classmethod
    def of(cls, settings: Settings) -> BindAddresses:
        """The addresses that the settings name."""
        return cls(settings.host, settings.query_port, settings.metrics_port, settings.index_port)


def new_server(
    settings: Settings,
    chain: grpc.aio.ServerInterceptor,  # type: ignore[type-arg]  # generic only in its published types
) -> grpc.aio.Server:
    """A server of clients behind the layers of `chain`, not yet bound. It renews connections: calls have deadlines."""
    ages = [
        ("grpc.max_connection_age_ms", int(settings.max_connection_age_seconds * 1000)),
        ("grpc.max_connection_age_grace_ms", int(settings.max_deadline_seconds * 1000)),
    ]
    return grpc.aio.server(interceptors=[chain], options=[*_options(settings.max_message_bytes), *ages])


def new_index_server(
    settings: Settings,
    chain: grpc.aio.ServerInterceptor,  # type: ignore[type-arg]
) -> grpc.aio.Server:
    """A server of the index behind the layers of `chain`, not yet bound.

    Its connections last: reading an index to its end, or building its search graph, takes minutes without a deadline.
    """
    return grpc.aio.server(interceptors=[chain], options=_options(settings.max_index_message_bytes))


def bind(
    server: grpc.aio.Server, host: str, port: int, setting: str, credentials: grpc.ServerCredentials | None = None
) -> int:
    """Listen, by TLS with `credentials`; port 0 takes a free one. Returns the port.

    Raises `Conflict` (`PORT_TAKEN`) that names the setting.
    """
    address = f"{host}:{port}"
    try:
        return server.add_secure_port(address, credentials) if credentials else server.add_insecure_port(address)
    except RuntimeError:
        raise Conflict(Reason.PORT_TAKEN, f"port {port} is taken ({setting})") from None


def tls_credentials(settings: Settings) -> grpc.ServerCredentials | None:
    """The server's certificate, and the authority that clients must be signed by; None without RAG_QUERY_TLS_….

    Replaced files count from the next connection. Raises `ConfigError` (`CONFIG_INVALID`, `SECRET_MISSING`).
    """
    certificate, key = settings.query_tls_certificate, settings.query_tls_key
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise ConfigError(Reason.CONFIG_INVALID, "RAG_QUERY_TLS_CERTIFICATE and RAG_QUERY_TLS_KEY go together")
    files = (key, certificate, *([settings.query_tls_ca] if settings.query_tls_ca else []))
    try:
        first = _read_certificates(files)
    except OSError as error:
        raise ConfigError(Reason.SECRET_MISSING, f"RAG_QUERY_TLS_…: {error.strerror}: {error.filename}") from None

    def current() -> grpc.ServerCertificateConfiguration | None:
        try:
            return _read_certificates(files)
        except OSError:
            return None  # in the middle of an exchange; the ones from before hold

    # Its published type leaves out that a fetcher may have nothing new.
    return grpc.dynamic_ssl_server_credentials(first, current, settings.query_tls_ca is not None)  # type: ignore[arg-type]


def _read_certificates(files: Sequence[Path]) -> grpc.ServerCertificateConfiguration:
    key, certificate, *authorities = (file.read_bytes() for file in files)
    return grpc.ssl_server_certificate_configuration([(key, certificate)], authorities[0] if authorities else None)


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


def _options(max_message_bytes: int) -> list[tuple[str, int]]:
    return [
        # On by default: a forgotten process would silently take a share of the connections.
        ("grpc.so_reuseport", 0),
        ("grpc.max_receive_message_length", max_message_bytes),
        ("grpc.max_send_message_length", max_message_bytes),
        ("grpc.keepalive_time_ms", KEEPALIVE_MS),
        ("grpc.keepalive_timeout_ms", KEEPALIVE_MS // 3),
        ("grpc.http2.min_ping_interval_without_data_ms", KEEPALIVE_MS // 3),
    ]
