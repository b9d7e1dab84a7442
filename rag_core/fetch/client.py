"""httpx over guarded connections. No proxy, no netrc and no certificate folder of the environment is used."""

from __future__ import annotations

import ssl
from functools import cache
from typing import Any

import httpcore
import httpx

from rag_core.errors import ConfigError, Reason
from rag_core.fetch.network import GuardedAsyncBackend, GuardedBackend
from rag_core.fetch.policy import FetchPolicy
from rag_core.fetch.resolve import Resolver, system_resolver


@cache
def trust() -> ssl.SSLContext:
    """The certificates this machine trusts. Loading them takes longer than a request, so once per process."""
    return ssl.create_default_context()


def trust_file(path: str) -> ssl.SSLContext:
    """The CA certificates of one file, instead of this machine's. Raises `ConfigError` (`CONFIG_INVALID`)."""
    try:
        return ssl.create_default_context(cafile=path)
    except (OSError, ValueError):  # an unreadable file; one without a certificate
        raise ConfigError(Reason.CONFIG_INVALID, "ca_file: not a readable file of PEM certificates") from None


class GuardedTransport(httpx.HTTPTransport):
    """httpx has no way to pass a network backend, so its connection pool is replaced by one that has ours."""

    def __init__(
        self, policy: FetchPolicy, resolver: Resolver, *, connections: int, ca_file: str | None = None
    ) -> None:
        trusted = trust_file(ca_file) if ca_file else trust()
        super().__init__(verify=trusted, trust_env=False)
        self._pool = httpcore.ConnectionPool(
            ssl_context=trusted,
            max_connections=connections,
            max_keepalive_connections=connections,
            keepalive_expiry=5,
            network_backend=GuardedBackend(policy, resolver),
        )


class EndpointTransport(httpx.AsyncHTTPTransport):
    """As `GuardedTransport`, for the one origin of its policy."""

    def __init__(self, policy: FetchPolicy, resolver: Resolver) -> None:
        super().__init__(verify=trust(), trust_env=False)
        self._policy = policy
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=trust(),
            max_connections=100,
            max_keepalive_connections=20,
            keepalive_expiry=5,
            network_backend=GuardedAsyncBackend(policy, resolver),
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self._policy.check_url(request.url)
        return await super().handle_async_request(request)


def endpoint_client(url: str, *, resolver: Resolver = system_resolver, **options: Any) -> httpx.AsyncClient:
    """A client for one endpoint that an operator configured in the settings (a model server, say).

    Being configured is the permission: its host may be on loopback or in a private network, and its port may be any.
    Nothing else may be: requests stay on its origin, redirects are not followed, metadata addresses are refused. Raises
    `InvalidInput` for a URL that cannot be used.
    """
    policy = FetchPolicy.for_endpoint(url)
    checked = policy.check_url(url)
    return httpx.AsyncClient(
        base_url=checked,
        transport=EndpointTransport(policy, resolver),
        trust_env=False,
        follow_redirects=False,
        **options,
    )
