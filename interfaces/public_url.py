"""The gateway as clients know it."""

from __future__ import annotations

from starlette.requests import Request

from interfaces.settings import InterfacesSettings


def public_url(request: Request, settings: InterfacesSettings) -> str:
    """The configured address, or the one that the client asked for."""
    if settings.public_url:
        return settings.public_url.rstrip("/")
    scheme = request.headers.get("x-forwarded-proto", request.url.scheme)
    return f"{scheme if scheme in ('http', 'https') else 'http'}://{request.url.netloc}"
