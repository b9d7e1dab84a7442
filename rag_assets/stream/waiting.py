"""What waits in the streams, looked at from outside: without consuming, and without joining a consumer group."""

from __future__ import annotations

from dataclasses import dataclass, field

from rag_assets.connectors.kafka.options import KafkaOptions
from rag_assets.source_config import SourceConfig
from rag_assets.stream.reconcile import left
from rag_assets.stream.streams import INBOX, kafka_configs
from rag_core.pipeline.resources import Pipeline
from rag_core.store import inbox, stream_places, streams
from rag_core.store.engine import Store

MISSED_BEATS = 3


@dataclass(frozen=True, slots=True)
class Waiting:
    """Living workers; messages that wait by stream; stored documents that no index has (`unfinished`)."""

    workers: list[str]
    messages: dict[str, int] = field(default_factory=dict)
    unfinished: int = 0

    @property
    def total(self) -> int:
        return sum(self.messages.values()) + self.unfinished


def waiting_streams(pipeline: Pipeline) -> Waiting:
    """What waits now. Topics are only looked at when no worker is alive. Raises `Unavailable` when a part is away."""
    settings, store = pipeline.settings, pipeline.store
    with store.engine.connect() as connection:
        workers = streams.alive(connection, within_seconds=MISSED_BEATS * settings.stream_heartbeat_seconds)
        messages = {INBOX: inbox.pending(connection)[0]}
    if workers:
        return Waiting(workers, messages)
    for config in kafka_configs(settings):
        messages[f"kafka:{config.name}"] = behind(store, config)
    return Waiting(workers, messages, left(store))


def behind(store: Store, config: SourceConfig) -> int:
    """Messages of a topic that are not applied. Raises `Unavailable` (`BROKER_UNAVAILABLE`)."""
    from rag_assets.connectors.kafka.connector import KafkaConnector

    options = config.options
    assert isinstance(options, KafkaOptions)  # noqa: S101
    with store.engine.connect() as connection:
        known = stream_places.places(connection, f"{config.tenant}/{config.name}", options.topic)
    ends = KafkaConnector(options, config.source).ends()
    begun = {number: known[number].next_offset if number in known else low for number, (low, _) in ends.items()}
    return sum(max(0, high - begun[number]) for number, (_, high) in ends.items())
