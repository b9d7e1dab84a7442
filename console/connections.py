"""Origin checks of requests, and the WebSockets of each session, so that signing out ends them all."""

from __future__ import annotations

import asyncio
import hashlib
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from urllib.parse import urlsplit

from console.settings import ConsoleSettings

# --------------------------------------------------------------------------------------------------------------------
# Whether a request comes from the console's own pages.


def is_own(settings: ConsoleSettings, origin: str | None, host: str | None) -> bool:
    """Return whether a page of this origin may open the console: a configured one, else the origin of the requested
    host.

    Without sign-in, a host must then be an address or localhost: any name can be made to point to this machine.
    """
    if origin is None:
        return False
    if allowed := settings.allowed_origins:
        return origin in allowed
    try:
        asked = urlsplit(origin)
        name, place = asked.hostname or "", asked.netloc
    except ValueError:
        return False
    if asked.scheme not in {"http", "https"} or place != host:
        return False
    return settings.sign_in != "none" or _is_no_name(name)


def _is_no_name(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return host == "localhost"
    return True


# --------------------------------------------------------------------------------------------------------------------
# The WebSockets of each session, so that signing out ends them all, whatever tab or machine they belong to.


class OpenSockets:
    """For one event loop. A session is known by the hash of its token."""

    def __init__(self) -> None:
        self._ends: defaultdict[bytes, set[asyncio.Event]] = defaultdict(set)

    @contextmanager
    def one(self, token: str) -> Iterator[asyncio.Event]:
        """Count a WebSocket for as long as it is open; the event is set when its session ends."""
        digest, end = _digest(token), asyncio.Event()
        self._ends[digest].add(end)
        try:
            yield end
        finally:
            self._ends[digest].discard(end)
            if not self._ends[digest]:
                del self._ends[digest]

    def end(self, token: str) -> None:
        """End every WebSocket of the session."""
        for event in self._ends.get(_digest(token), ()):
            event.set()


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
