"""`rag mcp`: the MCP server over standard input and output."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ragctl.output import Json, emit_json, say

if TYPE_CHECKING:
    from interfaces.settings import InterfacesSettings
    from rag_core.settings import Settings

_SCOPES = ("query.read", "documents.read")
_LIFETIME = 3600
_RENEW = 600
"""Seconds before its end at which a token is replaced."""


def mcp(
    *,
    tenant: str = "default",
    group: Annotated[tuple[str, ...], Parameter(negative="")] = (),
    config: bool = False,
    json: Json = False,
) -> None:
    """Serve the Model Context Protocol on standard input and output, for assistants that start their servers.

    Tools: search, answer, get_document, list_sources; documents are resources.

    It asks the gateway of the local stack by a token of its own that can only read.

    Other clients connect to `http://127.0.0.1:8080/mcp`.

    Example: rag mcp --tenant acme

    Parameters
    ----------
    tenant
        Tenant whose documents are searched.
    group
        Groups whose documents may be read; may be repeated.
    config
        Print the entry for an assistant's configuration file instead of serving.
    """
    import asyncio

    from interfaces.mcp.stdio import serve
    from rag_core.settings import Settings

    settings = Settings.load()
    if config or json:
        entry = _entry(settings, tenant, group)
        return emit_json(entry) if json else say(dumps(entry, indent=2))
    token = _tokens(settings, tenant, group)
    token()  # what is wrong with the keys is said at once
    return asyncio.run(serve(through_gateway(settings), token))


def through_gateway(settings: Settings) -> InterfacesSettings:
    """Return how the gateway of this machine is called; where it serves TLS, its own certificate is the trusted one."""
    from interfaces.settings import InterfacesSettings
    from ragctl.grpc_client import gateway_address

    at = gateway_address(settings)
    return InterfacesSettings(
        query_address=at.target,
        call_seconds=settings.max_deadline_seconds,
        query_tls_ca=at.certificate,
        query_tls_name=at.name,
    )


def _entry(settings: Settings, tenant: str, groups: tuple[str, ...]) -> dict[str, object]:
    """Return what an assistant needs to start this command itself."""
    chosen = [] if tenant == "default" else ["--tenant", tenant]
    arguments = ["mcp", *chosen, *(word for group in groups for word in ("--group", group))]
    command = Path(sys.executable).with_name("rag")
    entry = {"command": str(command), "args": arguments, "env": {"RAG_HOME": str(settings.home.absolute())}}
    return {"mcpServers": {"rag": entry}}


def _tokens(settings: Settings, tenant: str, groups: tuple[str, ...]) -> Callable[[], str]:
    """A token that is replaced before it expires."""
    from ragctl.tokens import mint_token

    lifetime = min(_LIFETIME, settings.jwt_max_lifetime_seconds)
    made, text = 0.0, ""

    def current() -> str:
        nonlocal made, text
        if not text or time.monotonic() - made > max(lifetime - _RENEW, lifetime / 2):
            made = time.monotonic()
            text = mint_token(
                settings, subject="developer", tenant=tenant, scopes=_SCOPES, groups=groups, lifetime=lifetime
            )
        return text

    return current
