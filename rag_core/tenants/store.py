"""Rows of tenants. Every change is one transaction with its audit entry."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, text

from rag_core.errors import Conflict, NotFound, Reason
from rag_core.http_client import EgressPolicy, Use
from rag_core.operations import audit_store as audit
from rag_core.settings import Settings
from rag_core.tenants.base import (
    Directory,
    Tenant,
    TenantState,
    check_name,
    check_uses,
    default_policy,
    merged,
    require_active,
)

# A tenant exists once something of it does: a row here, a source, or who may come in.
_NAMES = text("""
SELECT name FROM rag.tenants UNION SELECT tenant FROM rag.sources UNION SELECT tenant FROM rag.source_states
UNION SELECT tenant FROM rag.console_accounts UNION SELECT tenant FROM rag.api_keys
UNION SELECT DISTINCT tenant FROM rag.documents
ORDER BY 1
""")
_ROWS = text("""
SELECT t.name, t.state, t.reason, t.egress, t.egress_sources, t.created_by, t.created_at, t.changed_by, t.changed_at,
       t.erased_at, t.receipt, n.name AS wanted,
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
    """Tenants by name: those that were created, and those that hold something."""
    names = [name for name in connection.scalars(_NAMES) if name and name > after][:limit]
    return [_tenant(row) for row in connection.execute(_ROWS, {"names": names})]


def get(connection: Connection, name: str) -> Tenant:
    """One tenant. Raises `NotFound` (`TENANT_NOT_FOUND`)."""
    if not connection.scalar(_EXISTS, {"tenant": name}):
        raise NotFound(Reason.TENANT_NOT_FOUND, f"tenant: no tenant {name!r}; see `rag tenant list`")
    return _tenant(connection.execute(_ROWS, {"names": [name]}).one())


_CREATE = text("""
INSERT INTO rag.tenants AS t (name, created_by, changed_by, egress) VALUES (:name, :actor, :actor, :egress)
ON CONFLICT (name) DO UPDATE
SET state = 'active', reason = '', created_by = :actor, created_at = now(), changed_by = :actor, changed_at = now(),
    egress = :egress, egress_sources = '{}', erase_audit = NULL
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

    Raises `NotFound` (`TENANT_NOT_FOUND`), `InvalidInput` (`FIELD_INVALID`).
    """
    get(connection, name)
    uses = None if egress is None else list(check_uses(egress))
    narrower = {source: list(check_uses(given, f"source {source}")) for source, given in sorted(sources.items())}
    _change(connection, name, actor, {"egress": uses, "egress_sources": json.dumps(narrower)})
    _record(connection, actor, "egress", name, why, {"egress": uses, "sources": narrower})
    return get(connection, name)


_COLUMNS = {
    "state": "state = :state",
    "reason": "reason = :reason",
    "egress": "egress = :egress",
    "egress_sources": "egress_sources = CAST(:egress_sources AS jsonb)",
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
    """Raise `PermissionDenied` (`TENANT_SUSPENDED`, `TENANT_ERASED`) unless the tenant is active."""
    require_active(name, _state(connection, name))


# --------------------------------------------------------------------------------------------------------------------
# What every process must know of tenants.


_CLOSED = text("SELECT name, state FROM rag.tenants WHERE state <> 'active'")
_OWN = text("SELECT name, egress, egress_sources FROM rag.tenants WHERE egress IS NOT NULL OR egress_sources <> '{}'")
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
    return Directory(closed(connection), policies, default)


def egress_policy(connection: Connection, tenant: str, settings: Settings) -> EgressPolicy:
    """Where the text of one tenant may go now."""
    return directory(connection, settings).policy(tenant)


# --------------------------------------------------------------------------------------------------------------------
# Rows to values.


def _tenant(row: Row[Any]) -> Tenant:
    if row.name is None:
        return Tenant(row.wanted, sources=row.sources, documents=row.documents)
    values = {name: value for name, value in row._mapping.items() if name != "wanted"}
    values["state"] = TenantState(row.state)
    values["egress"] = None if row.egress is None else tuple(Use(use) for use in row.egress)
    values["egress_sources"] = {source: tuple(Use(use) for use in uses) for source, uses in row.egress_sources.items()}
    return Tenant(**values)
