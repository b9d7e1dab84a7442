"""Rows of tenants. Every change is one transaction with its audit entry."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, text

from rag_core.errors import Conflict, InvalidInput, NotFound, Reason
from rag_core.governance.audit import audit_store as audit
from rag_core.governance.tenants.base import (
    CANARY_TENANT,
    MAX_SOURCES,
    Directory,
    Tenant,
    TenantState,
    check_name,
    check_uses,
    default_policy,
    known_uses,
    merged,
    require_active,
)
from rag_core.http_client import EgressPolicy
from rag_core.settings import Settings

# A tenant exists once something of it does: a row here, a source, or who may come in.
_NAMES = text("""
SELECT name FROM rag.tenants UNION SELECT tenant FROM rag.sources UNION SELECT tenant FROM rag.source_states
UNION SELECT tenant FROM rag.console_accounts UNION SELECT tenant FROM rag.api_keys
UNION SELECT DISTINCT tenant FROM rag.documents
ORDER BY 1
""")
_ROWS = text("""
SELECT t.name, t.state, t.reason, t.egress, t.egress_sources, t.question_words, t.created_by, t.created_at,
       t.changed_by, t.changed_at, t.erased_at, t.receipt, n.name AS wanted,
       (SELECT count(*) FROM rag.sources s WHERE s.tenant = n.name) AS sources,
       (SELECT count(*) FROM rag.documents d WHERE d.tenant = n.name AND d.deleted_at IS NULL) AS documents
FROM unnest(CAST(:names AS text[])) AS n (name) LEFT JOIN rag.tenants t ON t.name = n.name ORDER BY n.name
""")
_EXISTS = text("""
SELECT EXISTS (SELECT FROM rag.tenants WHERE name = :tenant) OR EXISTS (SELECT FROM rag.sources WHERE tenant = :tenant)
    OR EXISTS (SELECT FROM rag.source_states WHERE tenant = :tenant)
    OR EXISTS (SELECT FROM rag.console_accounts WHERE tenant = :tenant)
    OR EXISTS (SELECT FROM rag.api_keys WHERE tenant = :tenant)
    OR EXISTS (SELECT FROM rag.documents WHERE tenant = :tenant)
""")


def listed(connection: Connection, *, after: str = "", limit: int = 1000) -> list[Tenant]:
    """Tenants by name: those that were created, and those that hold something, but the platform's own canary."""
    names = [name for name in connection.scalars(_NAMES) if name and name > after and name != CANARY_TENANT][:limit]
    return [_tenant(row) for row in connection.execute(_ROWS, {"names": names})]


def get(connection: Connection, name: str) -> Tenant:
    """One tenant. Raises `NotFound` (`TENANT_NOT_FOUND`)."""
    if name == CANARY_TENANT or not connection.scalar(_EXISTS, {"tenant": name}):
        raise NotFound(Reason.TENANT_NOT_FOUND, f"tenant: no tenant {name!r}; see `rag tenant list`")
    return _tenant(connection.execute(_ROWS, {"names": [name]}).one())


_CREATE = text("""
INSERT INTO rag.tenants AS t (name, created_by, changed_by, egress) VALUES (:name, :actor, :actor, :egress)
ON CONFLICT (name) DO UPDATE
SET state = 'active', reason = '', created_by = :actor, created_at = now(), changed_by = :actor, changed_at = now(),
    egress = :egress, egress_sources = '{}', question_words = NULL, erase_audit = NULL
WHERE t.state = 'erased' RETURNING name
""")


def create(
    connection: Connection, name: str, *, actor: str, egress: Sequence[str] | None = None, why: str = ""
) -> Tenant:
    """Create a tenant, also one whose name an erased one had.

    Raises `InvalidInput` (`ID_CHARS`, `FIELD_INVALID`), `Conflict` (`TENANT_EXISTS`).
    """
    check_name(name)
    uses = None if egress is None else list(check_uses(egress))
    before = _state(connection, name)
    known = before is not TenantState.ERASED and connection.scalar(_EXISTS, {"tenant": name})
    if known or connection.execute(_CREATE, {"name": name, "actor": actor, "egress": uses}).one_or_none() is None:
        raise Conflict(Reason.TENANT_EXISTS, f"tenant: there is a tenant {name!r}")
    _record(connection, actor, "create", name, why, {} if uses is None else {"egress": uses})
    return get(connection, name)


def suspend(connection: Connection, name: str, *, actor: str, why: str = "") -> Tenant:
    """Suspend a tenant: within a second nothing of it opens anything. Nothing is lost. Idempotent.

    Raises `NotFound` (`TENANT_NOT_FOUND`), `Conflict` (`TENANT_STATE`) for one that is being erased.
    """
    return _move(connection, name, TenantState.SUSPENDED, actor=actor, why=why)


def resume(connection: Connection, name: str, *, actor: str, why: str = "") -> Tenant:
    """End a suspension. Idempotent. Raises as `suspend`."""
    return _move(connection, name, TenantState.ACTIVE, actor=actor, why=why)


def _move(connection: Connection, name: str, state: TenantState, *, actor: str, why: str) -> Tenant:
    tenant = get(connection, name)
    if tenant.state in (TenantState.ERASING, TenantState.ERASED):
        raise Conflict(Reason.TENANT_STATE, f"tenant {name}: it is {tenant.state}; create it again, or leave it")
    if tenant.state is not state:
        _change(connection, name, actor, {"state": str(state), "reason": why})
        _record(connection, actor, "suspend" if state is TenantState.SUSPENDED else "resume", name, why, {})
    return get(connection, name)


def set_egress(
    connection: Connection,
    name: str,
    *,
    actor: str,
    egress: Sequence[str] | None,
    sources: Mapping[str, Sequence[str]],
    why: str = "",
) -> Tenant:
    """Replace the egress policy of a tenant: its own (`None`: the installation's default) and that of some sources.

    Raises `NotFound` (`TENANT_NOT_FOUND`, `SOURCE_NOT_FOUND` for a source that it does not have), `InvalidInput`
    (`FIELD_INVALID`), `PermissionDenied` (`TENANT_ERASED`).
    """
    tenant = get(connection, name)
    require_not_erased(connection, name)
    if len(sources) > MAX_SOURCES:
        raise InvalidInput(Reason.FIELD_INVALID, f"sources: at most {MAX_SOURCES}")
    uses = None if egress is None else list(check_uses(egress))
    narrower = {source: list(check_uses(given, f"source {source}")) for source, given in sorted(sources.items())}
    # One that was named before may have been removed since; saying it again is no mistake.
    new = sorted(sources.keys() - tenant.egress_sources.keys())
    if unknown := list(connection.scalars(_UNKNOWN_SOURCES, {"tenant": name, "names": new})):
        message = f"sources: tenant {name} has no source {unknown[0]!r}; `rag source list` shows them"
        raise NotFound(Reason.SOURCE_NOT_FOUND, message)
    _change(connection, name, actor, {"egress": uses, "egress_sources": json.dumps(narrower)})
    _record(connection, actor, "egress", name, why, {"egress": uses, "sources": narrower})
    return get(connection, name)


def set_question_words(
    connection: Connection, name: str, *, actor: str, readable: bool | None, why: str = ""
) -> Tenant:
    """Say whether the texts of a tenant's questions without an answer are kept, for those with the scope `admin`;
    `None`: as the setting says. With `False` those that are stored go now.

    Raises `NotFound` (`TENANT_NOT_FOUND`), `PermissionDenied` (`TENANT_ERASED`).
    """
    get(connection, name)
    require_not_erased(connection, name)
    _change(connection, name, actor, {"question_words": readable})
    if readable is False:
        connection.execute(_FORGET_QUESTIONS, {"tenant": name})
    _record(connection, actor, "questions", name, why, {"readable": readable})
    return get(connection, name)


def question_words(connection: Connection, name: str) -> bool | None:
    """The switch of a tenant for the texts of questions without an answer; `None`: it has none."""
    found = connection.scalar(text("SELECT question_words FROM rag.tenants WHERE name = :name"), {"name": name})
    return None if found is None else bool(found)


_FORGET_QUESTIONS = text("UPDATE rag.unanswered_questions SET question = NULL WHERE tenant = :tenant")
_UNKNOWN_SOURCES = text("""
SELECT n.name FROM unnest(CAST(:names AS text[])) AS n (name)
WHERE NOT EXISTS (SELECT FROM rag.sources s WHERE s.tenant = :tenant AND s.name = n.name)
    AND NOT EXISTS (SELECT FROM rag.source_states s WHERE s.tenant = :tenant AND s.source = n.name)
""")
_COLUMNS = {
    "state": "state = :state",
    "reason": "reason = :reason",
    "egress": "egress = :egress",
    "egress_sources": "egress_sources = CAST(:egress_sources AS jsonb)",
    "question_words": "question_words = :question_words",
    "erase_audit": "erase_audit = :erase_audit",
}


def _change(connection: Connection, name: str, actor: str, values: Mapping[str, Any]) -> None:
    """Change the row of a tenant, which one that nobody created gets now."""
    connection.execute(
        text("INSERT INTO rag.tenants (name, created_by, changed_by) VALUES (:name, :actor, :actor)"
             " ON CONFLICT DO NOTHING"),
        {"name": name, "actor": actor},
    )  # fmt: skip
    changed = ", ".join(_COLUMNS[column] for column in values)
    connection.execute(
        text(f"UPDATE rag.tenants SET {changed}, changed_by = :actor, changed_at = now() WHERE name = :name"),  # noqa: S608
        {**values, "name": name, "actor": actor},
    )


def _record(connection: Connection, actor: str, what: str, name: str, why: str, details: Mapping[str, Any]) -> None:
    known = {**details, **({"reason": why} if why else {})}
    audit.record(connection, actor=actor, action=f"tenant.{what}", target=name, details=known, tenant=name)


def _state(connection: Connection, name: str) -> TenantState:
    found = connection.scalar(text("SELECT state FROM rag.tenants WHERE name = :name"), {"name": name})
    return TenantState.ACTIVE if found is None else TenantState(found)


def check_active(connection: Connection, name: str) -> None:
    """Raise `PermissionDenied` (`TENANT_SUSPENDED`, `TENANT_ERASED`) unless the tenant is active.

    Rows of an erased tenant are refused without it, by the database (`rag_core/database/tables/erased_tenants.sql`).
    """
    require_active(name, _state(connection, name))


def require_not_erased(connection: Connection, name: str) -> None:
    """Raise `PermissionDenied` (`TENANT_ERASED`) for a tenant that was or is being erased, before a file is written."""
    if (state := _state(connection, name)) is not TenantState.SUSPENDED:
        require_active(name, state)


# --------------------------------------------------------------------------------------------------------------------
# Erasing: requested here, done by `rag_core.ingestion.erasure`.


_SWEPT_HOURS = 24
_RESTORED = "repeated after a restore"
_RECENT = text("""
SELECT name FROM rag.tenants WHERE state = 'erased' AND erased_at > now() - make_interval(hours => :hours)
""")
_REMOVE_AUDIT = text("UPDATE rag.tenants SET erase_audit = 'remove' WHERE name = :name AND erase_audit <> 'remove'")
_WRITERS = text("SELECT pg_advisory_xact_lock(hashtextextended('rag tenant ' || :name, 0))")
# What the first attempt found, until the receipt takes its place; one of an earlier erasure has another time.
_ASKED_AT = """to_char(changed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""
_FOUND = text(f"""
UPDATE rag.tenants SET receipt = CASE
    WHEN receipt->>'asked_at' = {_ASKED_AT} THEN receipt
    ELSE jsonb_build_object('asked_at', {_ASKED_AT}, 'found', CAST(:found AS jsonb)) END
WHERE name = :name AND state = 'erasing' RETURNING receipt
""")  # noqa: S608  constant above
_FINISH = text("""
UPDATE rag.tenants SET state = 'erased', reason = '', egress = NULL, egress_sources = '{}', question_words = NULL,
    erased_at = :at,
    receipt = CAST(:receipt AS jsonb), changed_at = now()
WHERE name = :name AND state = 'erasing'
""")


def request_erasure(
    connection: Connection, name: str, *, actor: str, remove_audit: bool = False, why: str = ""
) -> Tenant:
    """Close a tenant for good and have it erased. Idempotent.

    Raises `NotFound` (`TENANT_NOT_FOUND`), `Conflict` (`TENANT_STATE`) for one that was erased already.
    """
    tenant = get(connection, name)
    if tenant.state is TenantState.ERASED:
        raise Conflict(Reason.TENANT_STATE, f"tenant {name}: it was erased already")
    asked = "remove" if remove_audit else "keep"
    if tenant.state is not TenantState.ERASING:
        _change(connection, name, actor, {"state": "erasing", "reason": why, "erase_audit": asked})
        _record(connection, actor, "erase", name, why, {"audit": asked})
    elif remove_audit and connection.execute(_REMOVE_AUDIT, {"name": name}).rowcount:
        _record(connection, actor, "erase", name, why, {"audit": asked})
    return get(connection, name)


def repeat_erasure(connection: Connection, name: str, *, actor: str) -> None:
    """Have a tenant of a restored database erased whatever its state there: an erasure of a later time is proven."""
    _change(connection, name, actor, {"state": "erasing", "reason": _RESTORED, "erase_audit": "keep"})
    _record(connection, actor, "erase", name, _RESTORED, {"audit": "keep"})


def erasure(connection: Connection, name: str) -> tuple[Tenant, str, bool]:
    """A tenant to erase, who asked for it, and whether its audit entries go too.

    Raises `NotFound` (`TENANT_NOT_FOUND`), `Conflict` (`TENANT_STATE`) when nobody asked for it.
    """
    tenant = get(connection, name)
    if tenant.state is not TenantState.ERASING:
        raise Conflict(Reason.TENANT_STATE, f"tenant {name}: it is {tenant.state}, and nobody asked to erase it")
    asked = connection.scalar(text("SELECT erase_audit FROM rag.tenants WHERE name = :name"), {"name": name})
    return tenant, tenant.changed_by, asked == "remove"


def erasing(connection: Connection) -> list[str]:
    """The tenants whose erasure was requested and has not ended, without those whose audit entries need the owner."""
    found = text("SELECT name FROM rag.tenants WHERE state = 'erasing' AND erase_audit <> 'remove' ORDER BY changed_at")
    return list(connection.scalars(found))


def wait_for_writers(connection: Connection, name: str, *, seconds: float) -> None:
    """Wait until every transaction has ended that wrote rows of a tenant before it was closed.

    Raises `Conflict` (`SOURCE_BUSY`) after so many seconds.
    """
    connection.execute(text("SELECT set_config('lock_timeout', :ms, true)"), {"ms": str(max(1, round(seconds * 1000)))})
    connection.execute(_WRITERS, {"name": name})


def note_found(connection: Connection, name: str, found: Mapping[str, int]) -> tuple[str, dict[str, int]]:
    """Keep what the first attempt of an erasure found; returns when it was asked for, and what that attempt found.

    Raises `Conflict` (`TENANT_STATE`) when it has ended meanwhile.
    """
    noted = connection.scalar(_FOUND, {"name": name, "found": json.dumps(dict(found))})
    if noted is None:
        raise _ended(name)
    return noted["asked_at"], noted["found"]


def finish_erasure(connection: Connection, name: str, *, at: datetime, receipt: Mapping[str, Any]) -> None:
    """Store the receipt of an erasure with the tenant, of which nothing else is left.

    Raises `Conflict` (`TENANT_STATE`) when another process has done so: an erasure has one receipt.
    """
    if not connection.execute(_FINISH, {"name": name, "at": at, "receipt": json.dumps(dict(receipt))}).rowcount:
        raise _ended(name)


def _ended(name: str) -> Conflict:
    return Conflict(Reason.TENANT_STATE, f"tenant {name}: its erasure has ended; `rag tenant list` shows its state")


def recently_erased(connection: Connection) -> list[str]:
    """Tenants that were erased within a day: a process may still write what it counted before."""
    return list(connection.scalars(_RECENT, {"hours": _SWEPT_HOURS}))


def erased_since(connection: Connection, name: str, at: datetime) -> bool:
    """Return whether this database recorded an erasure of the tenant at that time or later."""
    found = connection.scalar(text("SELECT erased_at FROM rag.tenants WHERE name = :name"), {"name": name})
    return found is not None and found >= at


def is_open(connection: Connection, name: str) -> bool:
    """Return whether there is a tenant of this name that was not erased."""
    return bool(connection.scalar(_EXISTS, {"tenant": name})) and _state(connection, name) is not TenantState.ERASED


# --------------------------------------------------------------------------------------------------------------------
# What every process must know of tenants.


_CLOSED = text("SELECT name, state FROM rag.tenants WHERE state <> 'active'")
_OWN = text("SELECT name, egress, egress_sources FROM rag.tenants WHERE egress IS NOT NULL OR egress_sources <> '{}'")
_AGAIN = text("SELECT name, created_at FROM rag.tenants WHERE erased_at IS NOT NULL AND state = 'active'")
_FILES = text("SELECT tenant, name, egress FROM rag.sources WHERE egress IS NOT NULL")


def closed(connection: Connection) -> dict[str, TenantState]:
    """The tenants that are not active, by name."""
    return {row.name: TenantState(row.state) for row in connection.execute(_CLOSED)}


def directory(connection: Connection, settings: Settings) -> Directory:
    """The states and policies of all tenants, as they are now."""
    default = default_policy(settings)
    files: defaultdict[str, dict[str, Sequence[str]]] = defaultdict(dict)
    for row in connection.execute(_FILES):
        files[row.tenant][row.name] = row.egress
    own = {row.name: (row.egress, row.egress_sources) for row in connection.execute(_OWN)}
    policies = {name: merged(*own.get(name, (None, {})), files.get(name, {}), default) for name in {*own, *files}}
    # Tokens are dated in whole seconds.
    since = {row.name: row.created_at.replace(microsecond=0).timestamp() for row in connection.execute(_AGAIN)}
    return Directory(closed(connection), policies, default, since)


def narrowed_by_files(connection: Connection) -> dict[str, frozenset[str]]:
    """The sources whose own files say where their text may go, by tenant."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for row in connection.execute(_FILES):
        found[row.tenant].add(row.name)
    return {tenant: frozenset(names) for tenant, names in found.items()}


def egress_policy(connection: Connection, tenant: str, settings: Settings) -> EgressPolicy:
    """Return where the text of one tenant may go now."""
    return directory(connection, settings).policy(tenant)


# --------------------------------------------------------------------------------------------------------------------
# Rows to values.


def _tenant(row: Row[Any]) -> Tenant:
    if row.name is None:
        return Tenant(row.wanted, sources=row.sources, documents=row.documents)
    values = {name: value for name, value in row._mapping.items() if name != "wanted"}
    values["state"] = TenantState(row.state)
    if values["state"] is TenantState.ERASING:
        values["receipt"] = None  # what it holds meanwhile is no receipt yet
    values["egress"] = None if row.egress is None else known_uses(row.egress)
    values["egress_sources"] = {source: known_uses(uses) for source, uses in row.egress_sources.items()}
    return Tenant(**values)
