"""MCP over standard input and output, for assistants that start their servers themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mcp.server.lowlevel import NotificationOptions
from mcp.server.stdio import stdio_server

from interfaces.mcp.server import build_server
from interfaces.platform import Caller, Credentials, Platform
from interfaces.settings import InterfacesSettings


async def serve(settings: InterfacesSettings, token: Callable[[], str]) -> None:
    """Serve one client until it closes its end. `token` is asked before each call, so that it can be renewed."""
    async with Platform(settings) as platform:

        def caller_of(_: Any) -> Caller:
            return platform.of(Credentials((("authorization", f"Bearer {token()}"),)))

        server = build_server(caller_of)
        async with stdio_server() as (incoming, outgoing):
            await server.run(incoming, outgoing, server.create_initialization_options(NotificationOptions()))
