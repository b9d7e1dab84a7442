"""The session: signed-in user, language, time zone, and the clients that sessions share."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import tzinfo
from enum import IntEnum
from functools import partial
from typing import TypeVar
from zoneinfo import ZoneInfo

import streamlit as st

from console.call_threads import CallThreads
from console.clients.dagster import dagster_client
from console.clients.errors import SIGNED_OUT, ServiceError
from console.clients.gitlab import GitLabClient
from console.clients.grpc_api import Api, Channels, read_token
from console.clients.http import GatewayClient
from console.clients.metrics import MetricsClient
from console.conversations import Conversations
from console.i18n import LANGUAGES, language_of, translate
from console.plain_page import LANGUAGE_COOKIE
from console.presenters.sources import key_of
from console.settings import ConsoleSettings
from console.sign_in import COOKIE
from rag_clients.dagster import DagsterClient

# --------------------------------------------------------------------------------------------------------------------
# Which parts answer: asked once for all sessions, so that every page hears of a part that went or came back.


class HealthCache:
    """Remembers for `seconds` which parts were down. Thread-safe."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._down: frozenset[str] = frozenset()
        self._asked = float("-inf")
        self._lock = threading.Lock()

    def down(self, probes: Mapping[str, Callable[[], object]]) -> frozenset[str]:
        """The parts whose probe fails because they cannot be reached. One session asks, the others take its answer."""
        if not self._lock.acquire(blocking=False):
            return self._down
        try:
            if time.monotonic() - self._asked >= self._seconds:
                self._down = frozenset(part for part, probe in probes.items() if _fails(probe))
                self._asked = time.monotonic()
            return self._down
        finally:
            self._lock.release()


def _fails(probe: Callable[[], object]) -> bool:
    try:
        probe()
    except ServiceError as error:
        return error.down
    return False


VERIFY_SECONDS = 10.0
SOURCES_SECONDS = 30.0
MAX_KNOWN = 1000
_CALLS_AT_ONCE, _CALLS_OF_TENANT = 16, 8
C = TypeVar("C")
T = TypeVar("T")


class Role(IntEnum):
    """Roles within a tenant, as the API grants them; each includes the ones before it."""

    NONE = 0
    VIEWER = 1
    OPERATOR = 2
    ADMIN = 3


class PlatformRole(IntEnum):
    """Roles beyond the tenant, as the API grants them; each includes the ones before it."""

    NONE = 0
    READER = 1
    ADMIN = 2


@dataclass(frozen=True, slots=True)
class Identity:
    """A caller as the API verified it."""

    subject: str
    tenant: str
    role: Role
    platform: PlatformRole = PlatformRole.NONE
    hashes: frozenset[str] = frozenset()
    """The values that stand for the tenant in metrics."""
    may_ask: bool = True


@dataclass(slots=True)
class SharedState:
    """State shared by sessions: connections, verified callers, and the start of each service's outage."""

    settings: ConsoleSettings
    channels: Channels
    dagster: DagsterClient
    gateway: GatewayClient
    metrics: MetricsClient
    gitlab: GitLabClient
    health_cache: HealthCache
    known: dict[bytes, tuple[Identity, float]] = field(default_factory=dict)
    sources: dict[str, tuple[frozenset[str], float]] = field(default_factory=dict)
    """Keys of the sources that have runs, by tenant, and when they were read."""
    outages: dict[str, float] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    """Held while `known` is changed in more than one step."""
    conversations: Conversations = field(default_factory=Conversations)
    calls: CallThreads = field(default_factory=lambda: CallThreads(_CALLS_AT_ONCE, _CALLS_OF_TENANT))

    def close(self) -> None:
        """Close the connections."""
        self.calls.close()
        self.channels.close()
        for client in (self.dagster, self.gateway, self.metrics, self.gitlab):
            client.close()


@st.cache_resource(on_release=SharedState.close)
def shared() -> SharedState:
    """One per process."""
    settings = ConsoleSettings()
    return SharedState(
        settings,
        Channels(settings),
        dagster_client(settings),
        GatewayClient(settings),
        MetricsClient(settings),
        GitLabClient(settings),
        HealthCache(settings.refresh_seconds / 2),
    )


def api() -> Api:
    """The platform as this session's caller sees it. Raises `ServiceError` (`TOKEN_MISSING`)."""
    return Api(shared().channels, token())


def token() -> str:
    """The access token of this session. Raises `ServiceError` (`TOKEN_MISSING`)."""
    settings = shared().settings
    found: str | None
    if settings.sign_in == "none":
        return read_token(settings)
    if settings.sign_in == "oidc":
        found = st.user.tokens["access"] if st.user.is_logged_in else None
    else:
        found = st.context.cookies.get(COOKIE)
    if not found:
        raise ServiceError("console", "TOKEN_MISSING")
    return found


def ahead(client: Callable[[], C], call: Callable[[C], T]) -> Callable[[], T]:
    """Begin a call and return what waits for its end, so that a page that needs several waits for the slowest only.

    The client is made here, in the session; the call runs beside it and knows no session. What the two raise is
    raised by the wait.
    """
    begun: Future[T]
    try:
        begun = shared().calls.submit(tenant(), partial(call, client()))
    except ServiceError as error:
        begun = Future()
        begun.set_exception(error)
    return begun.result


def identify() -> Identity:
    """Return the identity of this session, verified by the API at most every ten seconds.

    While the API is down a caller it has verified before stays known. Raises `ServiceError`: a code of `SIGNED_OUT`
    when the token is not good, another when it cannot be verified now.
    """
    place, now = shared(), time.monotonic()
    digest = hashlib.sha256(token().encode()).digest()
    known = place.known.get(digest)
    if known is not None and now - known[1] < VERIFY_SECONDS:
        return known[0]
    try:
        said = api().who_am_i()
    except ServiceError as error:
        if error.code in SIGNED_OUT:
            with place.lock:
                place.known.pop(digest, None)
        elif known is not None and error.down:
            return known[0]
        raise
    made = Identity(
        said.subject, said.tenant, role_of(said.scopes), platform_of(said.scopes), frozenset(said.tenant_hashes),
        may_ask="query.read" in said.scopes,
    )  # fmt: skip
    with place.lock:  # another session's thread may add one while this looks for the oldest
        while len(place.known) >= MAX_KNOWN:
            place.known.pop(next(iter(place.known)))
        place.known[digest] = (made, now)
    return made


def is_signed_out() -> bool:
    """Return whether the API does not take the session's token any more; asks it now."""
    try:
        digest = hashlib.sha256(token().encode()).digest()
        with shared().lock:
            shared().known.pop(digest, None)
        identify()
    except ServiceError as error:
        return error.code in SIGNED_OUT
    return False


def role_of(scopes: Iterable[str]) -> Role:
    """The role that scopes amount to."""
    held = set(scopes)
    for scope, role in (("admin", Role.ADMIN), ("ops.write", Role.OPERATOR), ("ops.read", Role.VIEWER)):
        if scope in held:
            return role
    return Role.NONE


def platform_of(scopes: Iterable[str]) -> PlatformRole:
    """The role that scopes grant beyond the tenant."""
    held = set(scopes)
    if "platform.admin" in held:
        return PlatformRole.ADMIN
    return PlatformRole.READER if "platform.read" in held else PlatformRole.NONE


def dagster() -> DagsterClient:
    """Dagster as this session may see it: the runs of its tenant's sources, or everything with a platform scope.

    Dagster itself knows no callers, so the console is what keeps them apart. Raises `ServiceError`.
    """
    place = shared()
    if platform() >= PlatformRole.READER:
        return place.dagster
    found, read = place.sources.get(tenant(), (frozenset(), float("-inf")))
    if time.monotonic() - read >= SOURCES_SECONDS:
        # Pushed documents have no runs, and their source may be called like another tenant's.
        found = frozenset(key_of(item.name) for item in api().sources() if item.kind != "push")
        place.sources[tenant()] = (found, time.monotonic())
    return place.dagster.within(tenant(), found)


def platform() -> PlatformRole:
    """Platform rights of this session, `NONE` while it cannot be verified."""
    return identity().platform


def identity() -> Identity:
    """The user of this session, empty while it cannot be verified."""
    found = st.session_state.get("identity")
    return found if isinstance(found, Identity) else Identity("", "", Role.NONE)


def role() -> Role:
    """The role of this session, `NONE` while it cannot be verified."""
    return identity().role


def tenant() -> str:
    """The tenant of this session, empty while it cannot be verified."""
    return identity().tenant


def language() -> str:
    """`en` or `zh`: chosen in the sidebar, now or at an earlier visit, else what the browser prefers."""
    earlier = st.context.cookies.get(LANGUAGE_COOKIE, "")
    known = earlier if earlier in LANGUAGES else language_of(st.context.locale or "en")
    return str(st.session_state.get("language") or known)


def t(text: str, /, **values: object) -> str:
    """The sentence in the session's language, with `values` in its braces."""
    return translate(language(), text, **values)


def zone() -> tzinfo:
    """The time zone of this session: the browser's, or UTC when chosen or unknown."""
    name = "UTC" if st.session_state.get("utc") else st.context.timezone or "UTC"
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        return ZoneInfo("UTC")
