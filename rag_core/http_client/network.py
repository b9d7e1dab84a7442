"""Network connections to checked addresses only: name resolution, guarded sockets, and httpx clients over them."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import cache
from ipaddress import ip_address
from typing import Any

import httpcore
import httpx

from rag_core.errors import ConfigError, InvalidInput, Reason, Unavailable
from rag_core.http_client import egress
from rag_core.http_client.egress import Use
from rag_core.http_client.policy import OWN_PART, FetchPolicy
from rag_tracing import outgoing

# --------------------------------------------------------------------------------------------------------------------
# Name resolution: once per connection, and every address is checked before any is connected to.


Resolver = Callable[[str, int], list[str]]
"""Resolves host and port to addresses, as text. Raises `OSError`."""

_THREADS = ThreadPoolExecutor(8, thread_name_prefix="resolve")


def system_resolver(host: str, port: int) -> list[str]:
    """The system's addresses, in its order of preference."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def resolve(policy: FetchPolicy, resolver: Resolver, host: str, port: int, timeout: float | None) -> list[str]:
    """Resolve a host to its addresses: at least one, and all of them allowed.

    The system's resolver cannot be interrupted, so it runs in a thread that is abandoned after `timeout`.
    Raises `InvalidInput` (`SSRF_BLOCKED`) for an address, `Unavailable` (`HOST_UNREACHABLE`) for a name, and
    `httpcore.ConnectTimeout`.
    """
    future = _THREADS.submit(resolver, host, port)
    try:
        found = future.result(timeout)
    except TimeoutError:
        raise httpcore.ConnectTimeout("the name was not resolved in time") from None
    except (OSError, UnicodeError):
        found = []
    return _checked(policy, host, port, found)


async def resolve_async(
    policy: FetchPolicy, resolver: Resolver, host: str, port: int, seconds: float | None
) -> list[str]:
    """As `resolve`, for asyncio."""
    work = asyncio.get_running_loop().run_in_executor(_THREADS, resolver, host, port)
    try:
        async with asyncio.timeout(seconds):
            found = await work
    except TimeoutError:
        raise httpcore.ConnectTimeout("the name was not resolved in time") from None
    except (OSError, UnicodeError):
        found = []
    if not found:
        raise httpcore.ConnectError("the name cannot be resolved")
    return _checked(policy, host, port, found)


def _checked(policy: FetchPolicy, host: str, port: int, found: list[str]) -> list[str]:
    problems = [policy.address_problem(host, port, ip_address(text)) for text in found]
    # One forbidden address is enough: a name with both kinds is an attack or a mistake.
    problem = next(filter(None, problems), None)
    if found and problem is None:
        return found
    if policy.trusted is not None or is_address(host):
        hint = "" if problem == OWN_PART else "; an operator may allow its network in RAG_FETCH_ALLOW_NETWORKS"
        raise InvalidInput(Reason.SSRF_BLOCKED, f"{host} is {problem}, which is not fetched{hint}")
    raise Unavailable(Reason.HOST_UNREACHABLE, f"{host} {NO_ADDRESS}")


NO_ADDRESS = (
    "has no address, or one that is not called; check the name, or let an operator allow its network "
    "(RAG_FETCH_ALLOW_NETWORKS)"
)
"""One text for a name that does not resolve and one that resolves to a private address: who may name hosts would
otherwise learn which names there are inside."""


def is_address(host: str) -> bool:
    """Return whether a host is an address itself in any spelling, or `localhost`: what it leads to is no secret."""
    bare = host.strip("[]").lower().rstrip(".")
    if bare == "localhost":
        return True
    try:
        socket.getaddrinfo(bare, None, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return False
    return True


# --------------------------------------------------------------------------------------------------------------------
# Connections to checked addresses. TLS and the Host header use the name, the socket uses the address.


_Options = Iterable[Any] | None
_deadline: ContextVar[float | None] = ContextVar("fetch_deadline", default=None)


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """End every wait on a connection within the block after `seconds`.

    A read timeout is not enough: a peer that sends a byte from time to time would never exceed it.
    """
    token = _deadline.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _deadline.reset(token)


def remaining(timeout: float | None) -> float | None:
    """The remaining time for one wait. Raises `httpcore.ReadTimeout` after the deadline."""
    end = _deadline.get()
    if end is None:
        return timeout
    left = end - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout("the time allowed ran out")
    return left if timeout is None else min(timeout, left)


class GuardedBackend(httpcore.NetworkBackend):
    """Resolves and checks addresses, and connects only to checked ones."""

    def __init__(self, policy: FetchPolicy, resolver: Resolver) -> None:
        self._policy, self._resolver = policy, resolver
        self._real = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: _Options = None,
    ) -> httpcore.NetworkStream:
        addresses = resolve(self._policy, self._resolver, host, port, remaining(timeout))

        def connect(address: str) -> httpcore.NetworkStream:
            left = remaining(timeout)
            return _GuardedStream(self._real.connect_tcp(address, port, left, local_address, socket_options))

        for address in addresses[:-1]:
            with suppress(httpcore.ConnectError, httpcore.ConnectTimeout):
                return connect(address)
        return connect(addresses[-1])

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: _Options = None
    ) -> httpcore.NetworkStream:
        raise httpcore.UnsupportedProtocol("sockets of this machine are not connected to")


class _GuardedStream(httpcore.NetworkStream):
    """A stream whose waits end at the deadline."""

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, remaining(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, remaining(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _GuardedStream(self._stream.start_tls(ssl_context, server_hostname, remaining(timeout)))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class GuardedAsyncBackend(httpcore.AsyncNetworkBackend):
    """As `GuardedBackend`, for asyncio; deadlines are the caller's `asyncio.timeout`."""

    def __init__(self, policy: FetchPolicy, resolver: Resolver) -> None:
        self._policy, self._resolver = policy, resolver
        self._real = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature of httpcore
        local_address: str | None = None,
        socket_options: _Options = None,
    ) -> httpcore.AsyncNetworkStream:
        addresses = await resolve_async(self._policy, self._resolver, host, port, timeout)
        for address in addresses[:-1]:
            with suppress(httpcore.ConnectError, httpcore.ConnectTimeout):
                return await self._real.connect_tcp(address, port, timeout, local_address, socket_options)
        return await self._real.connect_tcp(addresses[-1], port, timeout, local_address, socket_options)

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109
        socket_options: _Options = None,
    ) -> httpcore.AsyncNetworkStream:
        raise httpcore.UnsupportedProtocol("sockets of this machine are not connected to")

    async def sleep(self, seconds: float) -> None:
        await self._real.sleep(seconds)


# --------------------------------------------------------------------------------------------------------------------
# httpx over guarded connections, without proxies, netrc or certificate folders from the environment.


@cache
def trust() -> ssl.SSLContext:
    """The CA certificates of this machine, loaded once per process, because loading takes longer than a request."""
    return ssl.create_default_context()


def trust_file(path: str) -> ssl.SSLContext:
    """The CA certificates of a file, in place of the machine's. Raises `ConfigError` (`CONFIG_INVALID`)."""
    try:
        return ssl.create_default_context(cafile=path)
    except (OSError, ValueError):  # an unreadable file, or one without a certificate
        raise ConfigError(Reason.CONFIG_INVALID, "ca_file: not a readable file of PEM certificates") from None


class GuardedTransport(httpx.HTTPTransport):
    """An httpx transport over `GuardedBackend`. httpx accepts no network backend, so its pool is replaced."""

    def __init__(
        self,
        policy: FetchPolicy,
        resolver: Resolver,
        *,
        connections: int,
        ca_file: str | None = None,
        use: Use | None = None,
    ) -> None:
        self._use = use
        trusted = trust_file(ca_file) if ca_file else trust()
        super().__init__(verify=trusted, trust_env=False)
        self._pool = httpcore.ConnectionPool(
            ssl_context=trusted,
            max_connections=connections,
            max_keepalive_connections=connections,
            keepalive_expiry=5,
            network_backend=GuardedBackend(policy, resolver),
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        egress.check(self._use, request)
        return super().handle_request(request)


class EndpointTransport(httpx.AsyncHTTPTransport):
    """As `GuardedTransport`, for the only origin of its policy. `use`: what the policy of a text must allow."""

    def __init__(self, policy: FetchPolicy, resolver: Resolver, use: Use | None) -> None:
        super().__init__(verify=trust(), trust_env=False)
        self._policy, self._use = policy, use
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=trust(),
            max_connections=100,
            max_keepalive_connections=20,
            keepalive_expiry=5,
            network_backend=GuardedAsyncBackend(policy, resolver),
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self._policy.check_url(request.url)
        egress.check(self._use, request)
        return await super().handle_async_request(request)


def endpoint_client(
    url: str, *, use: Use | None, resolver: Resolver = system_resolver, **options: Any
) -> httpx.AsyncClient:
    """A client for one endpoint from the settings, such as a model server.

    `use` is what the text of each request must be allowed for (`egress.EXTENSION` says whose it is); `None` for an
    endpoint that gets no text of documents or users, or that counts as inside.

    The configured endpoint may be on loopback or in a private network and have any port. Requests stay on its origin,
    redirects are not followed, metadata addresses are refused. Raises `InvalidInput` for an invalid URL.
    """
    policy = FetchPolicy.for_endpoint(url)
    checked = policy.check_url(url)
    return httpx.AsyncClient(
        base_url=checked,
        transport=EndpointTransport(policy, resolver, use),
        trust_env=False,
        follow_redirects=False,
        event_hooks={"request": [_within_trace]},
        **options,
    )


async def _within_trace(request: httpx.Request) -> None:
    """A model server that traces its calls shows them in the trace of the question."""
    request.headers.update(outgoing())
