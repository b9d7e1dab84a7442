"""HTTP client for our own servers, and the gateway's readiness."""

from __future__ import annotations

import secrets
import ssl
from functools import cache
from pathlib import Path

import httpx

from console.clients.errors import ServiceError
from console.settings import ConsoleSettings


@cache
def _certificates(authority: Path | None) -> ssl.SSLContext:
    # One set for all calls: reading them again costs tens of milliseconds of processor time each.
    return ssl.create_default_context(cafile=authority)


def http_client(seconds: float, authority: Path | None = None) -> httpx.Client:
    """A client that goes through no proxy of the environment. `authority`: the one to trust alone. Thread-safe."""
    return httpx.Client(timeout=seconds, trust_env=False, verify=_certificates(authority))


class GatewayClient:
    """Client that asks whether requests through the gateway can be answered. Thread-safe."""

    def __init__(self, settings: ConsoleSettings) -> None:
        self._url = f"{settings.gateway_url.rstrip('/')}/ready"
        self._http = http_client(settings.call_seconds, settings.gateway_tls_ca)
        # A check every few seconds is in nobody's interest as a trace: the last flag says that it is not sampled.
        self._headers = {"traceparent": f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-00"}
        self._named = {"sni_hostname": settings.gateway_tls_name} if settings.gateway_tls_name else {}

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def ready(self) -> None:
        """Raises `ServiceError` with the reason when they cannot."""
        try:
            response = self._http.get(self._url, headers=self._headers, extensions=self._named)
        except httpx.HTTPError:
            raise ServiceError("gateway", "SERVER_UNAVAILABLE") from None
        if not response.is_success:
            raise ServiceError("gateway", _ready_reason(response))


def _ready_reason(response: httpx.Response) -> str:
    try:
        reasons = response.json().get("reasons")
    except (ValueError, AttributeError):
        reasons = None
    return str(reasons[0]) if isinstance(reasons, list) and reasons else "SERVER_UNAVAILABLE"
