"""Refusal of requests that a page of another site makes an operator's browser send to a port of the platform.

A browser is inside the network that such a port trusts. It names the page that sends a request (`Origin`,
`Sec-Fetch-Site`), and the host as that page knows it (`Host`): a name of a stranger's that was made to resolve to this
machine (DNS rebinding) is no name of ours.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING

from rag_core.errors import PermissionDenied, Reason

if TYPE_CHECKING:
    from rag_core.settings import Settings

_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::\d{1,5})?", re.ASCII)
_FROM_OWN_PAGES = {"same-origin", "none"}
"""Values of `Sec-Fetch-Site`: a page of the same origin, or the person who typed the address."""


def is_link(method: str, headers: Mapping[str, str]) -> bool:
    """Return whether a person follows a link to a page, which changes nothing; the page with the link reads nothing."""
    return method == "GET" and (headers.get("sec-fetch-mode"), headers.get("sec-fetch-dest")) == (
        "navigate",
        "document",
    )


@dataclass(frozen=True, slots=True)
class BrowserGuard:
    """The host names that requests may be sent to, and the origins of other hosts whose pages may send them.

    Addresses and `localhost` need not be named: no page of a stranger has one of them as its own host.
    """

    hosts: frozenset[str] = frozenset()
    origins: frozenset[str] = frozenset()

    @classmethod
    def of(cls, settings: Settings, *, origins: frozenset[str] = frozenset()) -> BrowserGuard:
        """The configured names, and those of this machine."""
        own = {"localhost", socket.gethostname().lower(), settings.host.lower()}
        return cls(settings.allowed_hosts | own, origins)

    def check_host(self, host: str | None) -> None:
        """Raises `PermissionDenied` (`HOST_REFUSED`) unless the `Host` of a request is an address or a known name."""
        if not self._knows(host or ""):
            raise PermissionDenied(
                Reason.HOST_REFUSED, "the host of the request is not known here: add its name to RAG_ALLOWED_HOSTS"
            )

    def check_page(self, headers: Mapping[str, str]) -> None:
        """Check `Host`, `Origin` and `Sec-Fetch-Site`; names of headers in lower case.

        A program sends the first alone. Raises `PermissionDenied` (`HOST_REFUSED`, `ORIGIN_REFUSED`).
        """
        self.check_host(headers.get("host"))
        origin, site = headers.get("origin"), headers.get("sec-fetch-site", "none")
        if site in _FROM_OWN_PAGES and (origin is None or self._is_own(origin, headers["host"])):
            return
        raise PermissionDenied(Reason.ORIGIN_REFUSED, "a page of another site sent this request: open the page itself")

    def _knows(self, host: str) -> bool:
        parts = _HOST.fullmatch(host.lower())
        if parts is None:
            return False
        name = parts[1].rstrip(".")
        try:
            ip_address(name.strip("[]"))
        except ValueError:
            return name in self.hosts or name == "localhost"
        return True

    def _is_own(self, origin: str, host: str) -> bool:
        scheme, _, place = origin.lower().partition("://")
        return (scheme in {"http", "https"} and place == host.lower()) or origin in self.origins
