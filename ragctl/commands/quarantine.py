"""`rag quarantine`: inputs that could not be used."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from cyclopts import App

from ragctl.output import Json, emit_json, say, table

if TYPE_CHECKING:
    from sqlalchemy import Connection

app = App(
    name="quarantine", help="Inputs that could not be used: list, show, redrive, discard.", help_format="plaintext"
)
_SHOWN = ("id", "source", "locator", "stage", "reason", "attempts", "last_at")


@app.command(name="list")
def list_(
    *,
    source: str | None = None,
    reason: str | None = None,
    tenant: str = "default",
    skipped: bool = False,
    limit: int = 50,
    json: Json = False,
) -> None:
    """List quarantined inputs, newest first.

    Example: rag quarantine list --reason ENCRYPTED

    Parameters
    ----------
    source
        Only of this source.
    reason
        Only with this reason code.
    tenant
        Of this tenant.
    skipped
        Also those left out by policy (empty files, discarded entries).
    limit
        How many at most.
    """
    from sqlalchemy import select

    from rag_core.store.tables import quarantine

    columns = quarantine.c
    statement = select(quarantine).where(columns.tenant == tenant).order_by(columns.last_at.desc()).limit(limit)
    for column, wanted in ((columns.source, source), (columns.reason, reason)):
        if wanted is not None:
            statement = statement.where(column == wanted)
    if not skipped:
        statement = statement.where(columns.skipped.is_(False))
    with _database() as connection:
        rows = [dict(row._mapping) for row in connection.execute(statement)]
    if json:
        emit_json(rows)
    else:
        table(_SHOWN, [_cells(row) for row in rows], empty="nothing is quarantined")


@app.command
def show(entry: int, /, *, tenant: str = "default", json: Json = False) -> None:
    """Show one quarantined input with all that is known about it.

    Example: rag quarantine show 17
    """
    from sqlalchemy import select

    from rag_core.errors import NotFound, Reason
    from rag_core.store.tables import quarantine

    with _database() as connection:
        found = connection.execute(
            select(quarantine).where(quarantine.c.id == entry, quarantine.c.tenant == tenant)
        ).one_or_none()
    if found is None:
        raise NotFound(Reason.QUARANTINE_NOT_FOUND, f"quarantine: no entry {entry}")
    if json:
        emit_json(dict(found._mapping))
    else:
        table(("field", "value"), found._mapping.items())


@app.command
def redrive(entry: int, /, *, tenant: str = "default", json: Json = False) -> None:
    """Have the next run of the source try an input again. Recorded with your name.

    Example: rag quarantine redrive 17
    """
    from rag_core.store.quarantine import redrive as act

    with _database() as connection:
        locator = act(connection, entry, tenant=tenant, actor=_actor())
    emit_json({"redriven": locator}) if json else say(f"{locator}: the next run tries it again")


@app.command
def discard(entry: int, /, *, tenant: str = "default", json: Json = False) -> None:
    """Accept that an input stays out until it changes. Recorded with your name.

    Example: rag quarantine discard 17
    """
    from rag_core.store.quarantine import discard as act

    with _database() as connection:
        locator = act(connection, entry, tenant=tenant, actor=_actor())
    emit_json({"discarded": locator}) if json else say(f"{locator}: left out until it changes")


@contextmanager
def _database() -> Iterator[Connection]:
    """One transaction."""
    from rag_core.settings import Settings
    from rag_core.store import open_store

    store = open_store(Settings.load())
    try:
        with store.engine.begin() as connection:
            yield connection
    finally:
        store.close()


def _actor() -> str:
    return f"rag:{getpass.getuser()}"


def _cells(row: dict[str, Any]) -> list[object]:
    return [f"{row[name]:%Y-%m-%d %H:%M}" if name == "last_at" else row[name] for name in _SHOWN]
