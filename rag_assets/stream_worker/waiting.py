"""The number of pending changes of each stream, measured without consuming or joining a consumer group."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from rag_assets.connectors import fetch_policy
from rag_assets.connectors.kafka.options import KafkaOptions
from rag_assets.source_config import SourceConfig
from rag_assets.stream_worker.maintenance import count_pending
from rag_assets.stream_worker.streams import INBOX, kafka_configs
from rag_core.content.streams import inbox_store as inbox
from rag_core.content.streams import offset_store as stream_places
from rag_core.content.streams import store as streams
from rag_core.database import Store, open_store
from rag_core.errors import NotFound, RagError, Reason
from rag_core.governance.audit import audit_store as audit
from rag_core.ingestion.pipeline import Pipeline
from rag_core.settings import Settings


@dataclass(frozen=True, slots=True)
class PendingWork:
    """Living workers; messages that wait by stream; stored documents that are pending for an index (`unfinished`)."""

    workers: list[str]
    messages: dict[str, int] = field(default_factory=dict)
    unfinished: int = 0

    @property
    def total(self) -> int:
        return sum(self.messages.values()) + self.unfinished


def pending_streams(pipeline: Pipeline) -> PendingWork:
    """Pending changes. Topics are only read when no worker is alive. Raises `Unavailable` when a service is down."""
    settings, store = pipeline.settings, pipeline.store
    with store.engine.connect() as connection:
        workers = streams.live_workers(connection, within_seconds=settings.stream_lost_seconds)
        messages = {INBOX: inbox.pending(connection)[0]}
    if workers:
        return PendingWork(workers, messages)
    for config in kafka_configs(settings):
        messages[f"kafka:{config.name}"] = topic_lag(store, config, settings)
    return PendingWork(workers, messages, count_pending(store))


def overview(settings: Settings) -> dict[str, Any]:
    """Workers, their streams and what waits, for people: `alive`, `workers`, `inbox`, `topics`, `dead_letters`.

    A worker whose heartbeat is missing has that in `shown`: what its streams said last is not true any more. Topics are
    asked only when no worker is alive to say what waits in them.
    """
    with closing(open_store(settings)) as store:
        with store.engine.connect() as connection:
            workers = streams.workers(connection)
            living = streams.live_workers(connection, within_seconds=settings.stream_lost_seconds)
            waiting, seconds = inbox.pending(connection)
            dead = streams.count_dead_letters(connection)
        topics = (
            {} if living else {f"kafka:{one.name}": _topic_lag(store, one, settings) for one in kafka_configs(settings)}
        )
    for worker in workers:
        silent = (datetime.now(UTC) - worker["beat_at"]).total_seconds()
        worker["shown"] = "" if worker["worker"] in living else f"gone: no heartbeat for {silent:.0f} s"
    found = {"waiting": waiting, "seconds": seconds}
    return {"alive": living, "inbox": found, "topics": topics, "dead_letters": dead, "workers": workers}


def _topic_lag(store: Store, config: SourceConfig, settings: Settings) -> int | str:
    try:
        return topic_lag(store, config, settings)
    except RagError as error:
        return f"unknown ({error.reason})"


def topic_lag(store: Store, config: SourceConfig, settings: Settings) -> int:
    """Messages of a topic that are not applied. Raises `Unavailable` (`BROKER_UNAVAILABLE`)."""
    from rag_assets.connectors.kafka.connector import KafkaConnector

    options = config.options
    assert isinstance(options, KafkaOptions)  # noqa: S101
    with store.engine.connect() as connection:
        known = stream_places.load_offsets(connection, f"{config.tenant}/{config.name}", options.topic)
    ends = KafkaConnector(options, config.source, fetch_policy(config, settings)).ends()
    begun = {number: known[number].next_offset if number in known else low for number, (low, _) in ends.items()}
    return sum(max(0, high - begun[number]) for number, (_, high) in ends.items())


# --------------------------------------------------------------------------------------------------------------------
# Moving the position of a topic, when an operator has decided what its lost messages mean.


def reset_position(settings: Settings, name: str, *, to: str, actor: str) -> dict[int, int]:
    """Set every partition of a source's topic to its `earliest` or `latest` offset; returns them. Audited.

    Offsets of another topic of that name are in a new epoch, so what is read then counts as newer than what was.
    Raises `NotFound` (`SOURCE_NOT_FOUND`), `Unavailable` (`BROKER_UNAVAILABLE`, `BROKER_REFUSED`).
    """
    from rag_assets.connectors.kafka.connector import KafkaConnector
    from rag_assets.stream_worker.kafka.topic import TopicObserver

    config = next((one for one in kafka_configs(settings) if one.name == name), None)
    if config is None or not isinstance(config.options, KafkaOptions):
        raise NotFound(Reason.SOURCE_NOT_FOUND, f"source: no Kafka source {name!r}")
    options, source = config.options, config.source
    policy = fetch_policy(config, settings)
    topic_id = TopicObserver(options, name, policy.own).describe().id
    ends = KafkaConnector(options, source, policy).ends()
    positions = {number: low if to == "earliest" else high for number, (low, high) in ends.items()}
    with closing(open_store(settings)) as store, store.engine.begin() as connection:
        stream = f"{source.tenant}/{source.name}"
        epoch = stream_places.reset(connection, stream, options.topic, topic_id, positions)
        details = {"to": to, "epoch": epoch, "positions": {str(number): at for number, at in positions.items()}}
        audit.record(connection, actor=actor, action="stream.reset", target=name, details=details, tenant=source.tenant)
    return positions
