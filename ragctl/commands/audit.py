"""`rag audit`: who did what, when, and how it ended."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

from cyclopts import App

from ragctl.commands._database import transaction
from ragctl.output import Json, emit_json, table

app = App(name="audit", help="Who did what, when, and how it ended.", help_format="plaintext")


@app.command(name="list")
def list_(
    *,
    actor: str | None = None,
    action: str | None = None,
    outcome: str | None = None,
    tenant: str | None = None,
    since: datetime | None = None,
    limit: int = 50,
    json: Json = False,
) -> None:
    """List audit entries, newest first.

    Example: rag audit list --action key.revoke --since 2026-11-01

    Parameters
    ----------
    actor
        Only of this actor: `rag:<user>` for commands, the token's subject or `key:<id>` for calls.
    action
        Only this action: `key.create`, `token.revoke`, `index.promote`, or a method.
    outcome
        Only with this outcome: `ok`, or a reason code.
    tenant
        Only what concerned this tenant.
    since
        Only from this moment on (UTC unless it says otherwise).
    limit
        How many at most.
    """
    from datetime import UTC

    from rag_core.store.audit import Query, find

    moment = since.replace(tzinfo=UTC) if since is not None and since.tzinfo is None else since
    with transaction() as connection:
        wanted = Query(actor=actor, action=action, outcome=outcome, tenant=tenant, since=moment, limit=limit)
        found = find(connection, wanted)
    if json:
        emit_json([asdict(entry) for entry in found])
        return
    columns = ("when", "who", "what", "target", "tenant", "outcome")
    rows = [
        [f"{entry.at:%Y-%m-%d %H:%M:%S}", entry.actor, entry.action, entry.target, entry.tenant, entry.outcome]
        for entry in found
    ]
    table(columns, rows, empty="no entries")
