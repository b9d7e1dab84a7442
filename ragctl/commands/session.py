"""`rag session`: open sessions of the console."""

from __future__ import annotations

from dataclasses import asdict

from cyclopts import App

from rag_core.governance import access
from ragctl.commands._shared import actor, transaction
from ragctl.output import Json, emit, emit_json, table

app = App(name="session", help="Open sessions of the console: list, end.", help_format="plaintext")


@app.command(name="list")
def list_(*, tenant: str | None = None, json: Json = False) -> None:
    """List open sessions, the one used last first. A session is a token that is used at the console.

    Example: rag session list --tenant acme

    Parameters
    ----------
    tenant
        Only sessions of this tenant.
    """
    with transaction() as connection:
        rows = access.list_sessions(connection, tenant=tenant)
    if json:
        emit_json([asdict(row) for row in rows])
        return
    cells = [
        [
            row.id[:12],
            row.tenant,
            row.subject,
            " ".join(row.scopes),
            f"{row.issued_at:%Y-%m-%d %H:%M}",
            f"{row.last_used_at:%Y-%m-%d %H:%M}",
            f"{row.expires_at:%Y-%m-%d %H:%M}",
        ]
        for row in rows
    ]
    columns = ("session", "tenant", "subject", "scopes", "issued (UTC)", "last used", "expires")
    table(columns, cells, empty="no open sessions")


@app.command
def end(session: str, /, *, json: Json = False) -> None:
    """End a session: its token is refused everywhere within a second. Recorded in the audit log.

    Example: rag session end 4f0c21d9a1b2

    Parameters
    ----------
    session
        Its id in `rag session list`, or the beginning of it.
    """
    from rag_core.settings import Settings

    lifetime = Settings.load().longest_token_seconds
    with transaction() as connection:
        found = access.find_session(connection, session)
        access.end_open_session(connection, found.id, actor=actor(), lifetime=lifetime)
    emit({"ended": found.id}, f"the session of {found.subject} ({found.tenant}) has ended", json=json)
