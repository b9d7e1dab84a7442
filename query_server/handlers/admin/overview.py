"""Figures of the overview, read from PostgreSQL in two statements."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rag_core.governance import audit
from rag_core.ingestion import generations
from rag_core.retrieval.index import GenerationSpec

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from rag_core.content.sources import SourceProblem
    from rag_core.governance.audit import audit_store
    from rag_core.ingestion.generations import DocumentTotals, Generation
    from rag_core.ingestion.source_status import SourceReport

# --------------------------------------------------------------------------------------------------------------------
# The report of `AdminService.GetStatus` as plain values.


@dataclass(frozen=True, slots=True)
class GenerationEvent:
    """One step in the life of a generation: `detail` says what the action met."""

    at: datetime
    actor: str
    action: str
    reason: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class GenerationRow:
    """The rows of a generation: its own, how many documents it has, and its history."""

    generation: Generation
    totals: DocumentTotals
    events: tuple[GenerationEvent, ...] = ()


@dataclass(frozen=True, slots=True)
class ComponentStatus:
    """One service: whether it works now, and why not."""

    name: str
    healthy: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class GenerationStatus:
    """A generation as the index holds it; `row` is what the database adds while it can be asked."""

    spec: GenerationSpec
    state: str
    points: int
    row: GenerationRow | None = None


@dataclass(frozen=True, slots=True)
class Status:
    """A snapshot of the platform for one tenant."""

    components: tuple[ComponentStatus, ...]
    sources: tuple[SourceReport, ...]
    generations: tuple[GenerationStatus, ...]
    server_version: str
    problems: tuple[SourceProblem, ...] = ()
    """Mistakes in source files."""


EVENTS_SHOWN = 20
_EVENTS_READ = 500
_ACTIONS = "index."


def generation_rows(connection: Connection, tenant: str | None = None) -> dict[str, GenerationRow]:
    """Rows of every generation in the database, by name.

    With a tenant its own documents are counted, and details of others are left out: who acted, why, and what the
    gate found in everybody's documents.
    """
    totals = generations.store.document_totals(connection, tenant)
    events = _events(connection) if tenant is None else defaultdict(list)
    rows = generations.store.all_of(connection)
    if tenant is not None:
        rows = [replace(row, actor="", reason="", evaluation=None) for row in rows]
    return {row.name: GenerationRow(row, totals[row.name], tuple(events[row.name])) for row in rows}


def _events(connection: Connection) -> defaultdict[str, list[GenerationEvent]]:
    """History of each generation, newest first."""
    found: defaultdict[str, list[GenerationEvent]] = defaultdict(list)
    for entry in audit.audit_store.find(
        connection,
        audit.audit_store.AuditQuery(action_start=_ACTIONS, outcome=audit.audit_store.OK, limit=_EVENTS_READ),
    ):
        if len(found[entry.target]) < EVENTS_SHOWN:
            found[entry.target].append(_event(entry))
    return found


def _event(entry: audit_store.AuditEntry) -> GenerationEvent:
    details = entry.details
    met = {
        "set aside": details.get("refused"),
        "failed": ", ".join(details.get("failed", [])),
        "from": details.get("from"),
    }
    return GenerationEvent(
        at=entry.at or datetime.now(UTC),
        actor=entry.actor,
        action=entry.action.removeprefix(_ACTIONS),
        reason=details.get("override") or details.get("reason") or "",
        detail="; ".join(f"{what}: {value}" for what, value in met.items() if value),
    )
