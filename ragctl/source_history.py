"""The state of sources and what has happened to them, read from the rows that the console shows too."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rag_core.errors import RagError
from ragctl.output import note

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from rag_assets.source_config import SourceConfig
    from rag_core.errors import Reason
    from rag_core.ingestion.pipeline import Stage
    from rag_core.ingestion.source_status import SourceReport

_STAGES_OF_A_RUN = 4
_UNKNOWN = ("documents", "pending", "quarantined", "needs_attention")
"""Fields of a source that are `None` while its rows cannot be read: neither zero nor no."""


def status_of(configs: Iterable[SourceConfig]) -> tuple[dict[str, SourceReport], Reason | None]:
    """Return what the platform says of sources, by name; a source that it has not seen yet is new.

    Without the database: nothing, a note, and the reason, so that the command does not succeed.
    """
    from rag_core.ingestion.source_status import read

    known = list(configs)
    tenants = {config.tenant for config in known}
    found, unknown = _reports(lambda connection: [(one, each) for one in tenants for each in read(connection, one)])
    return ({}, unknown) if unknown else (_by_name(known, found), None)


def status_of_all(
    configs: Iterable[SourceConfig],
) -> tuple[dict[str, SourceReport], list[SourceReport], Reason | None]:
    """As `status_of`, and the sources with documents that no source file configures, by one reading of all."""
    from rag_core.ingestion.source_status import read_all

    found, unknown = _reports(read_all)
    orphans = [report for _, report in found if report.orphaned]
    return ({} if unknown else _by_name(configs, found)), orphans, unknown


def _by_name(configs: Iterable[SourceConfig], found: list[tuple[str, SourceReport]]) -> dict[str, SourceReport]:
    known = {(tenant, report.counts.name): report for tenant, report in found}
    return {
        config.name: known.get((config.tenant, config.name))
        or report_of(config.name, config.options.kind, config.tenant)
        for config in configs
    }


def _reports(
    read: Callable[[Connection], Iterable[tuple[str, SourceReport]]],
) -> tuple[list[tuple[str, SourceReport]], Reason | None]:
    from rag_core.database import open_store
    from rag_core.settings import Settings

    try:
        with closing(open_store(Settings.load())) as store, store.engine.connect() as connection:
            return list(read(connection)), None
    except RagError as error:
        note(f"the states of the sources are not known: {error.reason}: {error.message}")
        return [], error.reason


def report_of(name: str, kind: str, tenant: str, mistake: str = "") -> SourceReport:
    """The state of a source that the platform has not seen yet, or whose file has a mistake."""
    from rag_core.ingestion.generations import SourceCounts
    from rag_core.ingestion.pipeline import Coverage
    from rag_core.ingestion.source_status import Facts, SourceReport, decide

    status = decide(Facts(name, kind, mistake=mistake), datetime.now(UTC))
    return SourceReport(SourceCounts(name, kind), status, Coverage(tenant, name))


def state_fields(report: SourceReport | None) -> dict[str, Any]:
    """The state as fields of a row; `unknown` while the database is down."""
    from rag_core.ingestion.source_status import SourceState, describe, needs_attention

    if report is None:
        return {"state": "unknown", "status": "unknown", "since": "", **dict.fromkeys(_UNKNOWN),
                "reason": "", "message": "", "remedy": "", "run_id": "", "needs_attention": False}  # fmt: skip
    status, counts = report.status, report.counts
    progress = {"percent": status.percent} if status.state is SourceState.EMBEDDING else {}
    left = {"seconds_left": round(status.seconds_left)} if status.seconds_left is not None else {}
    return {
        "state": str(status.state),
        "status": describe(status),
        "since": status.since.isoformat(timespec="seconds") if status.since else "",
        **progress,
        **left,
        "documents": counts.documents,
        "pending": counts.pending,
        "quarantined": counts.quarantined,
        "reason": status.reason,
        "message": status.message,
        "remedy": status.remedy,
        "run_id": status.run_id,
        "needs_attention": needs_attention(status),
    }


def read_history(config: SourceConfig, limit: int) -> list[dict[str, Any]]:
    """The newest runs of a source, and actions of operators on it, newest first."""
    from rag_core.database import open_store
    from rag_core.governance.audit import audit_store as audit
    from rag_core.ingestion.pipeline import run_store as runs
    from rag_core.settings import Settings

    with closing(open_store(Settings.load())) as store, store.engine.connect() as connection:
        stages = runs.newest(connection, config.tenant, source=config.name, limit=limit * _STAGES_OF_A_RUN)
        targets = (config.name, f"{config.key}_sync", f"{config.key}_changes")
        actions = [
            entry
            for target in targets
            for entry in audit.find(connection, audit.AuditQuery(tenant=config.tenant, target=target, limit=limit))
        ]
    entries = [*map(_run, _by_run(stages)), *({
        "at": entry.at, "what": entry.action, "result": entry.outcome, "seconds": "", "actor": entry.actor, "run": "",
    } for entry in actions)]  # fmt: skip
    return sorted(entries, key=lambda row: row["at"], reverse=True)[:limit]


def _by_run(stages: Iterable[Stage]) -> Iterable[list[Stage]]:
    found: dict[tuple[str, int], list[Stage]] = {}
    for stage in stages:
        found.setdefault((stage.run_id, stage.shard), []).append(stage)
    return found.values()


def _run(stages: list[Stage]) -> dict[str, Any]:
    from rag_core.ingestion.source_status import WORKER_SUFFIX

    counts = next((stage.counts for stage in stages if stage.stage == "documents"), {})
    changes = ", ".join(f"{count} {name}" for name in ("added", "updated", "deleted", "quarantined", "held")
                        if (count := counts.get(name, 0)))  # fmt: skip
    problem = next((stage.problem for stage in stages if stage.problem), None)
    shard = f" of shard {stages[0].shard}" if any(stage.shard for stage in stages) else ""
    return {
        "at": max(stage.finished_at for stage in stages),
        "what": "worker" if stages[0].run_id.endswith(WORKER_SUFFIX) else f"run{shard}",
        "result": problem or changes or "nothing changed",
        "seconds": round(sum(stage.seconds for stage in stages), 1),
        "actor": "",
        "run": stages[0].run_id[:8],
    }
