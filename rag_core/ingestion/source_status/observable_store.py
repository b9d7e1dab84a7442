"""Listed sources whose changes a stream worker may bring in, and who observes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text

from rag_core.content.streams import store as streams
from rag_core.database import locks
from rag_core.governance.tenants import store as tenants
from rag_core.ingestion.source_status.base import RunState

SourceName = tuple[str, str]
"""(tenant, source)"""
WORKER_ENTRY = "listed sources"
"""Entry of a worker's heartbeat that is about listed sources: `observed`, `failing`, and the runs it wants."""

WORKER_SUFFIX = "-worker"
"""End of the id under which a worker's changes of a source are recorded, as those of a run are under its id."""


@dataclass(frozen=True, slots=True)
class ObservableSource:
    """A source whose change switch is on, and its newest run."""

    tenant: str
    source: str
    run_id: str | None = None
    run_state: str | None = None

    @property
    def failed(self) -> bool:
        return self.run_state == RunState.FAILED

    @property
    def under_way(self) -> bool:
        return self.run_state in (RunState.QUEUED, RunState.RUNNING)


_KNOWN = text("""
SELECT tenant, source, s.automatic AS follows, r.run_id, r.state AS run_state
FROM rag.source_states s FULL JOIN (SELECT * FROM rag.source_runs WHERE shard = 0) AS r USING (tenant, source)
""")


def observable(connection: Connection, enabled: Mapping[SourceName, bool]) -> dict[SourceName, ObservableSource]:
    """The sources of active tenants that a worker may observe, of those that are configured.

    `enabled` is what their files say, which counts until Dagster has loaded them.
    """
    closed = tenants.closed(connection)
    known = {(tenant, source): facts for tenant, source, *facts in connection.execute(_KNOWN)}
    found = {}
    for name, default in enabled.items():
        follows, run_id, run_state = known.get(name, (None, None, None))
        if (default if follows is None else follows) and name[0] not in closed:
            found[name] = ObservableSource(*name, run_id, run_state)
    return found


_BEGUN = text("""
SELECT tenant, name FROM rag.sources WHERE change_token IS NOT NULL
UNION SELECT tenant, source FROM rag.source_runs
""")


def left_to_workers(connection: Connection, sources: Iterable[SourceName], *, within_seconds: float) -> set[SourceName]:
    """Those of these listed sources whose first load is up to the living workers: no run was started or is wanted."""
    if not count_observers(connection, within_seconds=within_seconds):
        return set()
    begun = {(row.tenant, row.name) for row in connection.execute(_BEGUN)}
    return set(sources) - begun - wanted_runs(connection, within_seconds=within_seconds).keys()


@dataclass(frozen=True, slots=True)
class ListedSource:
    """The facts by which a source needs a run or not. `follows`: its change sensor is on, `None` when not known yet."""

    follows: bool | None = None
    applied: str | None = None
    stored: bool = False
    failed: bool = False


_LISTED = text("""
SELECT coalesce(s.tenant, o.tenant) AS tenant, coalesce(s.source, o.name) AS source, s.automatic AS follows,
       o.change_token AS applied, o.name IS NOT NULL AS stored, coalesce(r.failed, false) AS failed
FROM rag.source_states s
FULL JOIN rag.sources o ON o.tenant = s.tenant AND o.name = s.source
LEFT JOIN LATERAL (
    SELECT bool_or(state <> 'succeeded') AS failed FROM rag.source_runs r
    WHERE r.tenant = coalesce(s.tenant, o.tenant) AND r.source = coalesce(s.source, o.name)) AS r ON true
""")


def listed(connection: Connection) -> dict[SourceName, ListedSource]:
    """The facts about every source."""
    return {
        (row.tenant, row.source): ListedSource(row.follows, row.applied, row.stored, row.failed)
        for row in connection.execute(_LISTED)
    }


def lock_name(tenant: str, source: str) -> tuple[str, ...]:
    """The lock that the observer of a source holds as long as its session lives."""
    return "source observer", tenant, source


def observed(connection: Connection, sources: Sequence[SourceName]) -> set[SourceName]:
    """Those of the sources that a living worker observes."""
    names = {lock_name(*source): source for source in sources}
    return {names[name] for name in locks.held_of(connection, names)}


@dataclass(frozen=True, slots=True)
class WantedRun:
    """A run that a worker wants for this version tag of a source. `after`: the newest run that it knows."""

    tenant: str
    source: str
    tag: str
    after: str | None


def wanted_runs(connection: Connection, *, within_seconds: float) -> dict[SourceName, WantedRun]:
    """The runs that living workers want, by source."""
    found: dict[SourceName, WantedRun] = {}
    for worker in streams.workers(connection, within_seconds=within_seconds):
        for entry in worker["details"].get(WORKER_ENTRY, {}).get("wanted", ()):
            found[entry["tenant"], entry["source"]] = WantedRun(**entry)
    return found


def count_observers(connection: Connection, *, within_seconds: float) -> int:
    """Count the living workers that observe listed sources."""
    return sum(
        WORKER_ENTRY in worker["details"] for worker in streams.workers(connection, within_seconds=within_seconds)
    )
