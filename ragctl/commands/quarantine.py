"""`rag quarantine`: inputs that could not be used."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Annotated

from cyclopts import App, Parameter

from rag_core.content import quality
from rag_core.errors import InvalidInput, Reason
from ragctl.commands._shared import actor, transaction
from ragctl.output import Json, Limit, emit_json, say, table

app = App(name="quarantine", help="Quarantined inputs: list, show, redrive, discard.", help_format="plaintext")
_SHOWN = ("id", "source", "locator", "stage", "reason", "attempts", "last_at")

Entries = Annotated[
    int, Parameter(help="Numbers of entries; instead of them `--source` or `--reason` takes all that match.")
]
OfSource = Annotated[str | None, Parameter(help="All of this source.")]
WithReason = Annotated[str | None, Parameter(help="All with this reason code.")]
Tenant = Annotated[str, Parameter(help="Of this tenant.")]
Note = Annotated[str, Parameter(help="Why, for the audit.")]


@app.command(name="list")
def list_(
    *,
    source: str | None = None,
    reason: str | None = None,
    tenant: str = "default",
    skipped: bool = False,
    limit: Limit = 50,
    json: Json = False,
) -> None:
    """List quarantined inputs, newest first.

    Example: rag quarantine list --reason ENCRYPTED

    Parameters
    ----------
    source
        Only entries of this source.
    reason
        Only entries with this reason code.
    tenant
        Tenant of the entries.
    skipped
        Also show inputs skipped by policy (empty files, what is no document, discarded entries).
    limit
        Maximum number of entries.
    """
    wanted = quality.QuarantineFilter(tenant, source or "", reason or "", skipped=skipped)
    with transaction() as connection:
        rows = [asdict(row) for row in quality.page(connection, wanted, limit=limit)]
    if json:
        emit_json(rows)
    else:
        table(_SHOWN, [[row[name] for name in _SHOWN] for row in rows], empty="nothing is quarantined")


@app.command
def show(entry: int, /, *, tenant: str = "default", json: Json = False) -> None:
    """Show one quarantined input in full.

    Example: rag quarantine show 17
    """
    with transaction() as connection:
        row = quality.quarantine_read_store.entry(connection, tenant, entry)
    found = {**asdict(row), "remedy": row.remedy}
    if json:
        emit_json(found)
    else:
        table(("field", "value"), found.items())


@app.command
def redrive(
    *entries: Entries,
    source: OfSource = None,
    reason: WithReason = None,
    tenant: Tenant = "default",
    note: Note = "",
    json: Json = False,
) -> None:
    """Retry inputs at the next run of their source, with a full number of attempts. Recorded in the audit log.

    Example: rag quarantine redrive 17

    Example: rag quarantine redrive --source crm --reason PARSER_TIMEOUT --note "parser has more time now"
    """
    done = _act(quality.redrive, entries, source, reason, tenant, note)
    emit_json({"redriven": done}) if json else _say(done, "the next run tries it again")


@app.command
def discard(
    *entries: Entries,
    source: OfSource = None,
    reason: WithReason = None,
    tenant: Tenant = "default",
    note: Note = "",
    json: Json = False,
) -> None:
    """Leave inputs out until they change. Recorded in the audit log.

    Example: rag quarantine discard 17 --note "an image, nothing to read"
    """
    done = _act(quality.discard, entries, source, reason, tenant, note)
    emit_json({"discarded": done}) if json else _say(done, "left out until it changes")


def _act(
    act: Callable[..., str], entries: Sequence[int], source: str | None, reason: str | None, tenant: str, note: str
) -> list[str]:
    """All or nothing, in one transaction."""
    if bool(entries) == bool(source or reason):
        raise InvalidInput(Reason.USAGE, "name entries, or --source or --reason for all that match")
    with transaction() as connection:
        chosen = entries or [
            row.id for row in quality.page(connection, quality.QuarantineFilter(tenant, source or "", reason or ""))
        ]
        return [act(connection, entry, tenant=tenant, actor=actor(), note=note) for entry in chosen]


def _say(locators: Sequence[str], what: str) -> None:
    for locator in locators:
        say(f"{locator}: {what}")
    if not locators:
        say("nothing matches")
