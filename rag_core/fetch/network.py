"""Connections to checked addresses only. TLS and the Host header keep the name; the socket gets the address."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any

import httpcore

from rag_core.fetch.policy import FetchPolicy
from rag_core.fetch.resolve import Resolver, resolve, resolve_async

_Options = Iterable[Any] | None
_deadline: ContextVar[float | None] = ContextVar("fetch_deadline", default=None)


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Every wait on a connection within the block ends `seconds` from now: a peer that sends a byte now and then
    never exceeds the time allowed to one read, and would otherwise hold us for good."""
    token = _deadline.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _deadline.reset(token)


def remaining(timeout: float | None) -> float | None:
    """The time one wait may take. Raises `httpcore.ReadTimeout` when the deadline has passed."""
    end = _deadline.get()
    if end is None:
        return timeout
    left = end - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout("the time allowed ran out")
    return left if timeout is None else min(timeout, left)


class GuardedBackend(httpcore.NetworkBackend):
    """Resolves, checks, and connects to what was checked."""

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
    """A stream whose waits respect the deadline."""

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
    """As `GuardedBackend`; deadlines are the caller's `asyncio.timeout`."""

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
