"""`rag audit`: list and prune the audit log."""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from cyclopts import App

from rag_core import database
from rag_core.errors import ConfigError, InvalidInput, Reason
from rag_core.governance import audit
from ragctl.commands._shared import actor as who
from ragctl.commands._shared import transaction
from ragctl.output import Json, Limit, emit, emit_json, table

if TYPE_CHECKING:
    from rag_core.governance.audit import AuditEntry

app = App(name="audit", help="The audit log: list and prune its entries.", help_format="plaintext")


@app.command(name="list")
def list_(
    *,
    actor: str | None = None,
    action: str | None = None,
    outcome: str | None = None,
    tenant: str | None = None,
    document: UUID | None = None,
    since: datetime | None = None,
    limit: Limit = 50,
    json: Json = False,
) -> None:
    """List audit entries, newest first.

    Example: rag audit list --action key.revoke --since 2026-11-01

    Parameters
    ----------
    actor
        Only entries of this actor: `tenant/subject`, or `tenant/key:<id>` for an API key.
    action
        Only this action, such as `key.create`, `token.revoke`, `index.promote` or an RPC method.
    outcome
        Only this outcome: `ok`, or a reason code.
    tenant
        Only entries about this tenant.
    document
        Only entries about this document.
    since
        Only entries at or after this time (UTC unless an offset is given).
    limit
        Maximum number of entries.
    """
    moment = since.replace(tzinfo=UTC) if since is not None and since.tzinfo is None else since
    with transaction() as connection:
        wanted = audit.AuditQuery(
            actor=actor, action=action, outcome=outcome, tenant=tenant, doc_id=document, since=moment, limit=limit
        )
        found = audit.find(connection, wanted)
    if json:
        emit_json([asdict(entry) for entry in found])
        return
    columns = ("when", "who", "what", "target", "document", "tenant", "outcome")
    rows = [
        [
            f"{entry.at:%Y-%m-%d %H:%M:%S}",
            entry.actor,
            entry.action,
            entry.target,
            _document(entry),
            entry.tenant,
            entry.outcome,
        ]
        for entry in found
    ]
    table(columns, rows, empty="no entries")


@app.command
def prune(*, days: int, json: Json = False) -> None:
    """Remove old entries and leave a checkpoint from which `rag verify` continues. Needs the database owner's role.

    Example: rag audit prune --days 400

    Parameters
    ----------
    days
        Number of days to keep.
    """
    from pydantic import SecretStr

    from rag_core.settings import Settings

    if days < 1:
        raise InvalidInput(Reason.FIELD_INVALID, "days: must be at least 1")
    settings = Settings.load()
    owner = settings.model_copy(update={"database_url": SecretStr(settings.effective_owner_url)})
    with closing(database.open_store(owner)) as store, store.engine.begin() as connection:
        if not database.roles.may_change_audit(connection):
            raise ConfigError(Reason.CONFIG_INVALID, "RAG_DATABASE_OWNER_URL: must be the owner of the schema")
        removed = audit.prune(connection, datetime.now(UTC) - timedelta(days=days), actor=who())
    emit({"removed": removed}, f"{removed} entries removed", json=json)


def _document(entry: AuditEntry) -> str:
    return entry.locator or (str(entry.doc_id) if entry.doc_id else "")
