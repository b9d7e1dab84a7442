"""Queries and actions of operators. Every action and its audit record are one transaction."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

from query_server.auth.policies import ADMIN, PLATFORM_ADMIN, PLATFORM_READ, allows
from query_server.handlers.admin.rules import (
    check_action,
    check_details,
    check_ids,
    check_text_field,
    tenant_of,
)
from query_server.handlers.paging import ListPage
from query_server.handlers.transactions import transact
from query_server.runtime.dependencies import LazyStore
from rag_core.answering import evaluation
from rag_core.content import quality, sources
from rag_core.errors import PermissionDenied, Reason
from rag_core.governance import access, audit
from rag_core.governance.access import Principal
from rag_core.ingestion import pipeline

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

    from rag_core.answering.evaluation import Rating
    from rag_core.content.quality import Quarantined, QuarantineFilter
    from rag_core.governance.audit import AuditEntry
    from rag_core.ingestion.pipeline import Stage

MAX_PAYLOAD_CHARS = 20_000
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class QuarantinedPayload:
    """A quarantined input; `text` is `None` when nothing is stored of it, or when it is `withheld`."""

    entry: Quarantined
    text: str | None
    withheld: bool


class OperationsHandler:
    """Works on the caller's tenant; reading another one needs `platform.read`, acting on its runs `platform.admin`.

    Raises `Unavailable` (`DATABASE_UNAVAILABLE`) while the database is down.

    SQLAlchemy is imported at the first call: it takes as long to load as the rest of the server.
    """

    def __init__(self, store: LazyStore, *, token_seconds: int) -> None:
        """`token_seconds` is the longest that a token can be accepted."""
        self._store = store
        self._token_seconds = token_seconds

    async def sign_out(self, principal: Principal, session: str) -> None:
        """Refuse the caller's token from now on."""
        who = {"tenant": principal.tenant, "subject": principal.subject, "actor": principal.actor}
        await self._transact(lambda db: access.end_session(db, **who, session=session, lifetime=self._token_seconds))

    async def sources(
        self, principal: Principal, page: ListPage, tenant: str = ""
    ) -> list[tuple[Row[tuple[object, ...]], Stage | None]]:
        """Sources of a tenant by name, with their newest run."""
        whose = tenant_of(principal, tenant)

        def read(connection: Connection) -> list[tuple[Row[tuple[object, ...]], Stage | None]]:
            found = sources.store.listed(connection, whose, limit=page.rows, after=page.after)
            last = pipeline.run_store.last_of_each(connection, whose, [str(row.name) for row in found])
            return [(row, last.get(str(row.name))) for row in found]

        return await self._transact(read)

    async def runs(self, principal: Principal, source: str, page: ListPage, tenant: str = "") -> list[Stage]:
        """Finished stages of runs, newest first."""
        check_text_field("source", source)
        whose = tenant_of(principal, tenant)
        return await self._transact(
            lambda db: pipeline.run_store.newest(db, whose, source=source, limit=page.rows, after=page.after)
        )

    async def release(self, principal: Principal, source: str, why: str, expected: int | None) -> int:
        """Release held deletions; returns how many. Raises `NotFound`, `Conflict` (`MASS_DELETE_HELD`)."""
        check_text_field("source", source)
        check_text_field("reason", why)
        tenant, actor = principal.tenant, principal.actor
        return await self._transact(
            lambda db: sources.store.approve(db, tenant, source, actor, why=why, expected=expected)
        )

    async def quarantine(
        self, wanted: QuarantineFilter, page: ListPage
    ) -> tuple[list[Quarantined], list[tuple[str, str, int]]]:
        """A page of entries, and the counts of all."""

        def read(connection: Connection) -> tuple[list[Quarantined], list[tuple[str, str, int]]]:
            entries = quality.quarantine_read_store.page(connection, wanted, before=page.place, limit=page.rows)
            return entries, quality.quarantine_read_store.counts(connection, wanted)

        return await self._transact(read)

    async def quarantined(self, principal: Principal, entry_id: int) -> QuarantinedPayload:
        """One entry. Raises `NotFound` (`QUARANTINE_NOT_FOUND`)."""

        def read(connection: Connection) -> QuarantinedPayload:
            entry = quality.quarantine_read_store.entry(connection, principal.tenant, entry_id)
            text = quality.quarantine_read_store.payload(connection, principal.tenant, entry, MAX_PAYLOAD_CHARS + 1)
            seen = ADMIN in principal.scopes
            return QuarantinedPayload(entry, text if seen else None, withheld=text is not None and not seen)

        return await self._transact(read)

    async def redrive(self, principal: Principal, ids: Sequence[int], why: str) -> list[str]:
        """Retry inputs. Raises `NotFound`, and changes nothing then."""
        return await self._each(principal, ids, why, quality.redrive)

    async def discard(self, principal: Principal, ids: Sequence[int], why: str) -> list[str]:
        """Discard inputs. Raises `NotFound`, and changes nothing then."""
        return await self._each(principal, ids, why, quality.discard)

    async def _each(self, principal: Principal, ids: Sequence[int], why: str, act: Callable[..., str]) -> list[str]:
        check_ids(ids)
        check_text_field("reason", why)
        tenant, actor = principal.tenant, principal.actor
        return await self._transact(lambda db: [act(db, entry, tenant=tenant, actor=actor, note=why) for entry in ids])

    async def audit(
        self,
        principal: Principal,
        filters: Mapping[str, str],
        page: ListPage,
        tenant: str = "",
        *,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> list[AuditEntry]:
        """Actions, newest first. An empty filter lets everything pass."""
        for name, value in filters.items():
            check_text_field(name, value)
        wanted = audit.audit_store.AuditQuery(
            tenant=tenant_of(principal, tenant),
            actor=_full_name(principal, filters["actor"]),
            platform=allows(principal.scopes, PLATFORM_READ),
            action_start=filters["action"] or None,
            target=filters["target"] or None,
            outcome=filters["outcome"] or None,
            since=since,
            until=until,
            before=page.place,
            limit=page.rows,
        )
        return await self._transact(lambda db: audit.audit_store.find(db, wanted))

    async def record(
        self, principal: Principal, action: str, target: str, why: str, facts: Mapping[str, str], source: str
    ) -> int:
        """Record an action that is done elsewhere.

        Raises `PermissionDenied` (`SCOPE_MISSING`) for a source or run of another tenant, and for what is no source's,
        without `platform.admin`.
        """
        check_action(action)
        check_text_field("target", target, required=True)
        check_text_field("reason", why)
        check_text_field("source", source)
        check_details(facts)
        named = {"source": source, "reason": why}
        details = {**facts, "tenant": principal.tenant} | {name: value for name, value in named.items() if value}

        def write(connection: Connection) -> int:
            if not allows(principal.scopes, PLATFORM_ADMIN):
                _require_own(connection, principal.tenant, source, target)
            return audit.audit_store.record(
                connection, actor=principal.actor, action=action, target=target, details=details
            )

        return await self._transact(write)

    async def ratings(self, principal: Principal, page: ListPage) -> list[Rating]:
        """Stored ratings, newest first."""
        return await self._transact(
            lambda db: evaluation.feedback_store.newest(db, principal.tenant, page.rows, after=page.after)
        )

    async def _transact(self, work: Callable[[Connection], T]) -> T:
        return await transact(self._store, work)


def _full_name(principal: Principal, actor: str) -> str | None:
    """An actor as the log names it; of the caller's own tenant the subject will do."""
    return f"{principal.tenant}/{actor}" if actor and "/" not in actor and ":" not in actor else actor or None


def _require_own(connection: Connection, tenant: str, source: str, target: str) -> None:
    if not sources.store.is_own(connection, tenant, source) or pipeline.run_store.tenants_of(connection, target) - {
        tenant
    }:
        raise PermissionDenied(
            Reason.SCOPE_MISSING,
            f"source: name one that a connector of your tenant reads; the rest needs {PLATFORM_ADMIN}",
        )
