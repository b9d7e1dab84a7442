"""The tenant of a request: that of its credentials, by which callers share what they could fill."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections import OrderedDict
from collections.abc import Callable

from interfaces.errors import ApiError
from interfaces.platform import Credentials, Platform

_KNOWN_SECONDS = 60.0
_MOST_KNOWN = 10_000


class CallerTenants:
    """Tenants by credentials. A token names its own; that of an API key the query server says, and it is remembered."""

    def __init__(self, platform: Platform, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._platform = platform
        self._clock = clock
        self._known: OrderedDict[str, tuple[str, float]] = OrderedDict()

    async def of(self, credentials: Credentials) -> str:
        """The tenant; a token must have been verified. Raises `ApiError` for a key that may not ask."""
        if claims := claims_of(credentials):
            return str(claims.get("tenant", ""))
        key = digest(credentials.secret)
        tenant, read_at = self._known.get(key, ("", float("-inf")))
        if self._clock() - read_at < _KNOWN_SECONDS:
            return tenant
        tenant = (await self._platform.of(credentials).usage()).tenant
        self._known[key] = tenant, self._clock()
        self._known.move_to_end(key)
        if len(self._known) > _MOST_KNOWN:
            self._known.popitem(last=False)
        return tenant

    async def share_of(self, credentials: Credentials) -> str:
        """Return the group that shares places with this caller: its tenant, all that nobody knows together, or a key
        that may not ask."""
        if not credentials.secret:
            return ""
        try:
            return f"tenant {await self.of(credentials)}"
        except ApiError as error:
            # Such a key may read documents, of which the query servers let a tenant hold no more than its share.
            return f"key {digest(credentials.secret)}" if error.reason == "SCOPE_MISSING" else ""


def owner_of(credentials: Credentials) -> str:
    """The caller itself: the subject of a token, which is renewed meanwhile, or a key."""
    claims = claims_of(credentials)
    return digest(json.dumps([claims.get("tenant"), claims.get("sub")]) if claims else credentials.secret)


def digest(text: str) -> str:
    """A name for what must not be kept."""
    return hashlib.sha256(text.encode()).hexdigest()


def claims_of(credentials: Credentials) -> dict[str, object]:
    """The claims of a token, unverified; empty for a key."""
    try:
        payload = credentials.secret.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (ValueError, IndexError):
        return {}
    return claims if isinstance(claims, dict) else {}
