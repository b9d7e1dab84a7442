"""Authenticate a call: a signed token, or an API key whose hash is a row in PostgreSQL.

Verified credentials are cached, but never longer than a second without checking for revocation: a token
is compared with the revocations of the last second, a key is read again twice a second while it is used.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from query_server.auth.directories import Directories
from query_server.auth.revocations import Revocations
from query_server.auth.sessions import SessionRecorder
from query_server.auth.tenants import Tenants
from query_server.runtime.blocking import BlockingPool
from query_server.runtime.calls import CallState
from query_server.runtime.dependencies import LOOKUPS, LazyStore
from rag_core.errors import Reason, Unauthenticated
from rag_core.governance import access
from rag_core.governance.access import (
    KEY_MARK,
    SESSION_MARK,
    ApiKey,
    Principal,
    TokenVerifier,
    UnknownKey,
    VerifiedToken,
    invalid_key,
    parse_api_key,
    session_of,
)
from rag_core.logging import get_logger

if TYPE_CHECKING:
    from rag_core.governance.access import StoredKey

API_KEY_HEADER = "x-api-key"
WHO_AM_I = "/ragproto.admin.v1.OperationsService/WhoAmI"
"""The call that a console makes for each visitor: its token is a session."""
KEY_SECONDS = 0.5
"""Lifetime of a cached key row; together with the time of a read, a revocation works within a second."""
READ_SECONDS = 5.0
"""Timeout of reading a key's row, shared by all that wait for it."""
USE_SECONDS = 60.0
_KEPT_KEYS = 10_000
_log = get_logger("query_server.identities")


class Authenticator:
    """Authenticates a call: its credentials become a principal. For one event loop."""

    def __init__(
        self,
        verifier: TokenVerifier,
        store: LazyStore,
        revocations: Revocations,
        sessions: SessionRecorder,
        tenants: Tenants,
        directories: Directories,
    ) -> None:
        self._verifier = verifier
        self._keys = _KeyRows(store)
        self._revocations = revocations
        self._sessions = sessions
        self._tenants = tenants
        self._directories = directories
        self._fetching: asyncio.Task[bool] | None = None

    async def authenticate(self, call: CallState) -> Principal:
        """The caller. A token wins over a key.

        Raises `Unauthenticated` (`TOKEN_…`, `API_KEY_INVALID`), `PermissionDenied` (`TENANT_MISSING`, and for everybody
        of a closed tenant `TENANT_SUSPENDED` or `TENANT_ERASED`; as `Directories.resolve`), or `Unavailable` when the
        issuer's keys, the directories or the database of API keys cannot be reached: nobody gets in unverified.
        """
        token, key = _credentials(call)
        if token:
            verified = await self._by_token(token)
            self._tenants.require_active(verified.principal.tenant, verified.issued)
            if call.method == WHO_AM_I:
                self._sessions.used(verified)
            return await self._directories.resolve(verified.principal)
        if key:
            principal = await self._by_key(parse_api_key(key))
            self._tenants.require_active(principal.tenant)
            return await self._directories.resolve(principal)
        raise Unauthenticated(
            Reason.TOKEN_MISSING, "send `authorization: Bearer` with a token or an API key, or a key as `x-api-key`"
        )

    @property
    def threads(self) -> BlockingPool:
        """Set the store from which API keys are read."""
        return self._keys.threads

    async def _by_token(self, token: str) -> VerifiedToken:
        try:
            verified = self._verifier.check(token)
        except UnknownKey:
            if not await self._new_keys():
                raise
            verified = self._verifier.check(token)
        self._revocations.check(verified)
        return verified

    async def _new_keys(self) -> bool:
        if self._fetching is None or self._fetching.done():
            self._fetching = asyncio.create_task(asyncio.to_thread(self._verifier.fetch_unknown))
        return await asyncio.shield(self._fetching)

    async def _by_key(self, key: ApiKey) -> Principal:
        stored = await self._keys.get(key.key_id)
        # The hash is compared also where no row is, so that the time of the answer does not reveal which it was.
        matches = key.matches(stored.digest if stored else bytes(32))
        if stored is None or not matches or stored.revoked or stored.expires <= datetime.now(UTC):
            raise invalid_key()
        return Principal(f"key:{key.key_id}", stored.tenant, stored.groups, stored.scopes)


class _KeyRows:
    """Rows of API keys, each at most `KEY_SECONDS` old, read once however many calls ask."""

    def __init__(self, store: LazyStore) -> None:
        self._store = store
        self._rows: OrderedDict[str, tuple[StoredKey | None, float]] = OrderedDict()
        self._reading: dict[str, asyncio.Task[StoredKey | None]] = {}
        self._lookups = asyncio.Semaphore(LOOKUPS)
        # Threads of their own: a flood of made-up keys delays neither documents nor revocations.
        self.threads = BlockingPool(LOOKUPS, name="api-keys", reason=Reason.DATABASE_UNAVAILABLE, what="the database")
        self._noted: dict[str, float] = {}

    async def get(self, key_id: str) -> StoredKey | None:
        row, read = self._rows.get(key_id, (None, float("-inf")))
        if time.monotonic() - read < KEY_SECONDS:
            return row
        task = self._reading.get(key_id)
        if task is None:
            task = self._reading[key_id] = asyncio.create_task(self._read(key_id))
            task.add_done_callback(lambda _: self._reading.pop(key_id, None))
        return await asyncio.shield(task)

    async def _read(self, key_id: str) -> StoredKey | None:
        async with self._lookups:
            began = time.monotonic()
            row = await self.threads.run_within(READ_SECONDS, lambda: self._load(key_id))
        self._rows[key_id] = (row, began)
        self._rows.move_to_end(key_id)
        if len(self._rows) > _KEPT_KEYS:
            forgotten, _ = self._rows.popitem(last=False)
            self._noted.pop(forgotten, None)
        return row

    def _load(self, key_id: str) -> StoredKey | None:
        with self._store.get().engine.begin() as connection:
            row = access.find_key(connection, key_id)
            if row is not None and time.monotonic() - self._noted.get(key_id, float("-inf")) > USE_SECONDS:
                access.record_use(connection, key_id)
                self._noted[key_id] = time.monotonic()
        return row


def bearer_of(call: CallState) -> str:
    """The token of a call. Raises `Unauthenticated` (`TOKEN_MISSING`) when it has none, but perhaps an API key."""
    token, _ = _credentials(call)
    if not token:
        raise Unauthenticated(Reason.TOKEN_MISSING, "only a token can be signed out; `rag key revoke` ends an API key")
    return token


def session_id_of(call: CallState) -> str:
    """The id of the call's session; empty for an API key."""
    token, _ = _credentials(call)
    return session_of(token).removeprefix(SESSION_MARK) if token else ""


def _credentials(call: CallState) -> tuple[str, str]:
    """The token and the API key of a call, empty for none. A key may come as either header."""
    header = call.header("authorization")
    if not header:
        return "", call.header(API_KEY_HEADER) or ""
    sent = _bearer(header)
    return ("", sent) if sent.startswith(KEY_MARK) else (sent, "")


def _bearer(header: str) -> str:
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated(Reason.TOKEN_MALFORMED, "authorization: send `Bearer <token>`")
    return token.strip()
