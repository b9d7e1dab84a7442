"""Counters of calls that every gateway shares."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from limits import RateLimitItem, RateLimitItemPerHour, RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from limits.errors import ConfigurationError

from query_server.rate_limits.rules import MINUTE, Window, overrides_of, shared_windows
from rag_core.errors import ConfigError, Reason
from rag_core.settings import Settings

Storage = MemoryStorage | RedisStorage
PREFIX = "rag-limits"


def redis_storage(url: str, *, seconds: float, prefix: str = PREFIX) -> RedisStorage:
    """Counters in Redis or Valkey. A call of it takes `seconds` at most.

    Raises `ConfigError` (`CONFIG_INVALID`) for a URL that is none; whether it answers is seen later.
    """
    try:
        return RedisStorage(
            f"async+{url}",
            wrap_exceptions=True,
            implementation="redispy",
            key_prefix=prefix,
            socket_timeout=seconds,
            socket_connect_timeout=seconds,
            health_check_interval=30,
        )
    except (ConfigurationError, ValueError):  # whose texts have the URL, and with it a password
        message = "RAG_REDIS_URL must be like redis://user:password@host:6379/0, with rediss:// for TLS"
        raise ConfigError(Reason.CONFIG_INVALID, message) from None


async def close(storage: object) -> None:
    """Close its connections; the library leaves that to the garbage collector."""
    if isinstance(storage, RedisStorage):
        bridge: Any = storage.bridge  # its published type leaves out the connection
        await bridge.get_connection().aclose()


@dataclass(frozen=True, slots=True)
class Refusal:
    """The window that is used up, and the seconds until it lets the next call through, rounded up."""

    window: Window
    retry_after: int


class SharedLimits:
    """Decides about calls by the limits of the settings, counted in a storage.

    A window slides: what a client did in the last minute counts, of the minute before in proportion to what of it is
    younger than a minute. A refused call is not counted.
    """

    def __init__(self, settings: Settings, storage: Storage) -> None:
        """Raises `ConfigError` (`CONFIG_INVALID`) for overrides that are none."""
        self._settings = settings
        self._overrides = overrides_of(settings)
        self._counter = SlidingWindowCounterRateLimiter(storage)

    async def refusal(self, clients: Sequence[Mapping[str, str]], hits: int = 1) -> Refusal | None:
        """Count a call of these clients, unless it is refused. Raises what the storage raises when it is away."""
        counted: list[tuple[RateLimitItem, str]] = []
        for client in clients:
            named = _digest(client)
            for window in shared_windows(self._settings, self._overrides, client):
                limit = _item(window)
                if not await self._counter.hit(limit, named, cost=hits):
                    for before in counted:
                        await self._counter.hit(*before, cost=-hits)
                    return Refusal(window, await self._seconds_left(limit, named))
                counted.append((limit, named))
        return None

    async def _seconds_left(self, limit: RateLimitItem, client: str) -> int:
        stats = await self._counter.get_window_stats(limit, client)
        # The calls of a window that has ended leave one by one.
        return max(1, math.ceil(stats.reset_time - time.time() + limit.get_expiry() / limit.amount))


def _item(window: Window) -> RateLimitItem:
    kind = RateLimitItemPerMinute if window.seconds == MINUTE else RateLimitItemPerHour
    return kind(window.calls)


def _digest(client: Mapping[str, str]) -> str:
    """The client's name in the storage, which holds neither API keys nor names of people."""
    parts = (f"{len(name)}:{name}{len(value)}:{value}" for name, value in sorted(client.items()))
    return hashlib.blake2b("".join(parts).encode(), digest_size=16).hexdigest()
