"""The sensor `source_changes`: starts the runs that listed sources need, and writes what Dagster knows of all sources.

A source that a stream worker observes costs it nothing: only the runs that the worker wants are started. It looks at
the others itself, each at its own interval. One sensor, because a tick costs more than what it finds out.
"""

# No postponed annotations: Dagster reads the type of `context` at definition.

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

import dagster as dg

from rag_assets.connectors import connector_context, open_connector
from rag_assets.defs.sources.jobs import AssetJob
from rag_assets.defs.sources.sensors import NAME, evaluate
from rag_assets.defs.sources.states import record_changed
from rag_assets.lib.failures import typed_failures
from rag_assets.source_config import SensorConfig, SourceConfig
from rag_assets.version_tags import current_version_tag, unavailable
from rag_core.errors import RagError
from rag_core.governance.tenants import store as tenants
from rag_core.ingestion.pipeline import Pipeline
from rag_core.ingestion.source_status import ListedSource, SourceName, WantedRun, observable_store
from rag_core.logging import get_logger

log = get_logger(__name__)
SENSOR_SECONDS = 5
_THREADS = 8
_TICK_SECONDS = 20.0
"""Longest wait of a tick for sources; the answer of a slower one is used by a later tick."""


@dataclass(slots=True)
class Looks:
    """Looks at sources that no worker observes. Lives as long as the process that evaluates the sensor."""

    pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(_THREADS, "source-looks"))
    last: dict[SourceName, float] = field(default_factory=dict)
    left_since: dict[SourceName, float] = field(default_factory=dict)
    pending: dict[SourceName, Future[str]] = field(default_factory=dict)

    def has_waited(self, name: SourceName, seconds: float) -> bool:
        """Return whether a source that is left to the workers has been so for that long."""
        now = time.monotonic()
        return now - self.left_since.setdefault(name, now) >= seconds

    def tags(self, configs: Sequence[SourceConfig], pipeline: Pipeline) -> Iterator[tuple[SourceConfig, str]]:
        """Look at those whose interval is over; returns the version tags that are known in time."""
        now = time.monotonic()
        for config in configs:
            name = config.tenant, config.name
            interval = (config.sensor or SensorConfig()).interval_seconds
            if name not in self.pending and self.last.get(name, -interval) + interval <= now:
                self.last[name] = now
                self.pending[name] = self.pool.submit(_look, config, pipeline)
        wait(self.pending.values(), timeout=_TICK_SECONDS)
        for config in configs:
            looked = self.pending.get((config.tenant, config.name))
            if looked is not None and looked.done():
                del self.pending[config.tenant, config.name]
                yield config, looked.result()


def _look(config: SourceConfig, pipeline: Pipeline) -> str:
    try:
        context = connector_context(config, pipeline.settings, pipeline.store, remember=False)
        with open_connector(config, context) as connector:
            return current_version_tag(connector)
    except RagError as error:  # the run that it starts fails with the reason
        return unavailable(error)
    except Exception as error:
        log.exception("source_not_looked_at", source=config.name)
        return unavailable(error)


def changes_sensor(configs: Sequence[SourceConfig], jobs: Sequence[AssetJob]) -> dg.SensorDefinition:
    """The sensor of all sources. Runs are started of those that are listed; topics have a sensor of their own."""
    listed = [config for config in configs if not config.options.is_stream and config.sensor is not None]
    looks = Looks()

    @dg.sensor(
        name=NAME,
        jobs=[*jobs] or None,
        minimum_interval_seconds=SENSOR_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Starts runs of listed sources: those that stream workers want, and of sources without a worker "
        "those that differ from their last good run. Writes the state of every source's runs and automation.",
    )
    def source_changes(
        context: dg.SensorEvaluationContext, pipeline: dg.ResourceParam[Pipeline]
    ) -> dg.SkipReason | list[dg.RunRequest]:
        with typed_failures():
            try:
                return request_runs(listed, pipeline, context.instance, looks)
            finally:
                context.update_cursor(record_changed(pipeline.store, context.instance, configs, context.cursor))

    return source_changes


def request_runs(
    configs: Sequence[SourceConfig], pipeline: Pipeline, instance: dg.DagsterInstance, looks: Looks
) -> dg.SkipReason | list[dg.RunRequest]:
    """The runs that sources need now, or how many were left as they are."""
    lost = pipeline.settings.stream_lost_seconds
    with pipeline.store.engine.connect() as connection:
        known = observable_store.listed(connection)
        closed = tenants.closed(connection)
        observed = observable_store.observed(connection, [(one.tenant, one.name) for one in configs])
        wanted = observable_store.wanted_runs(connection, within_seconds=lost)
        new = [(one.tenant, one.name) for one in configs if one.is_observable]
        left = observable_store.left_to_workers(connection, new, within_seconds=lost) - observed
    waiting = {name for name in left if not looks.has_waited(name, lost)}
    follows = [one for one in configs if one.tenant not in closed and _follows(one, known)]
    alone = [one for one in follows if (one.tenant, one.name) not in observed | waiting]
    asked = [(one, wanted[one.tenant, one.name].tag) for one in follows
             if (one.tenant, one.name) in observed & wanted.keys()]  # fmt: skip
    requests: list[dg.RunRequest] = []
    for config, tag in (*asked, *looks.tags(alone, pipeline)):
        row = known.get((config.tenant, config.name), ListedSource())
        if row.stored and row.applied == tag and not row.failed and config.shards == 1:
            continue
        found = evaluate(config, lambda tag=tag: tag, instance, now=time.time(), removed=not row.stored,  # type: ignore[misc]
                         applied=row.applied, after=_after(config, observed, wanted))  # fmt: skip
        requests += found if isinstance(found, list) else []
    return requests or dg.SkipReason(f"{len(observed)} observed by a stream worker, {len(alone)} looked at here")


def _after(
    config: SourceConfig, observed: Collection[SourceName], wanted: Mapping[SourceName, WantedRun]
) -> str | None:
    name = config.tenant, config.name
    return wanted[name].after if name in observed and name in wanted else None


def _follows(config: SourceConfig, known: Mapping[SourceName, ListedSource]) -> bool:
    row = known.get((config.tenant, config.name))
    return config.enabled if row is None or row.follows is None else row.follows
