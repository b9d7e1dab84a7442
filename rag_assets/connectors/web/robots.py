"""robots.txt by host (RFC 9309): what may be asked for, how often, and where the sitemaps are."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import httpx
from protego import Protego

from rag_core.errors import RagError, Reason, Unavailable
from rag_core.fetch import Fetcher

MAX_BYTES = 512_000
"""RFC 9309 asks for at least 500 KiB to be read; the rest is ignored."""
_MAX_DELAY = 30.0


@dataclass(slots=True)
class Robots:
    """Rules of the hosts of one crawl. Thread-safe."""

    fetcher: Fetcher
    agent: str
    _hosts: dict[str, Protego | RagError] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def allows(self, url: str) -> bool:
        """Raises `Unavailable` when the host's rules cannot be known just now; then nothing of it may be asked for."""
        return bool(self._rules(url).can_fetch(url, self.agent))

    def delay(self, url: str) -> float:
        """Seconds between two requests that the host asks for; raises as `allows`."""
        asked = self._rules(url).crawl_delay(self.agent)
        return min(float(asked), _MAX_DELAY) if asked else 0.0

    def sitemaps(self, url: str) -> list[str]:
        """The sitemaps the host names; raises as `allows`."""
        return list(self._rules(url).sitemaps)

    def _rules(self, url: str) -> Protego:
        origin = str(httpx.URL(url).join("/"))
        with self._lock:
            if origin not in self._hosts:
                self._hosts[origin] = self._load(origin)
            found = self._hosts[origin]
        if isinstance(found, RagError):
            raise found
        return found

    def _load(self, origin: str) -> Protego | RagError:
        try:
            answer = self.fetcher.get(f"{origin}robots.txt")
        except RagError as error:
            return Unavailable(error.reason, f"robots.txt of {origin} cannot be read: {error.message}")
        if answer.status == 200:
            return Protego.parse(answer.content[:MAX_BYTES].decode("utf-8", "replace"))
        if 400 <= answer.status < 500 and answer.status != 429:
            return Protego.parse("")
        return Unavailable(Reason.HTTP_STATUS, f"robots.txt of {origin} answers with status {answer.status}")
