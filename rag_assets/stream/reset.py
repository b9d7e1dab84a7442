"""Moving the position of a topic, when an operator has decided what its lost messages mean."""

from __future__ import annotations

from rag_assets.connectors.kafka.options import KafkaOptions
from rag_assets.stream.streams import kafka_configs
from rag_core.errors import NotFound, Reason
from rag_core.settings import Settings
from rag_core.store import audit, open_store, stream_places


def reset_position(settings: Settings, name: str, *, to: str, actor: str) -> dict[int, int]:
    """Set every partition of a source's topic to its `earliest` or `latest` offset; returns them. Audited.

    Offsets of another topic of that name are in a new epoch, so what is read then counts as newer than what was.
    Raises `NotFound` (`SOURCE_NOT_FOUND`), `Unavailable` (`BROKER_UNAVAILABLE`, `BROKER_REFUSED`).
    """
    from rag_assets.connectors.kafka.connector import KafkaConnector
    from rag_assets.stream.kafka_topic import TopicObserver

    config = next((one for one in kafka_configs(settings) if one.name == name), None)
    if config is None or not isinstance(config.options, KafkaOptions):
        raise NotFound(Reason.SOURCE_NOT_FOUND, f"source: no Kafka source {name!r}")
    options, source = config.options, config.source
    topic_id = TopicObserver(options, name).describe().id
    ends = KafkaConnector(options, source).ends()
    positions = {number: low if to == "earliest" else high for number, (low, high) in ends.items()}
    store = open_store(settings)
    try:
        with store.engine.begin() as connection:
            stream = f"{source.tenant}/{source.name}"
            epoch = stream_places.reset(connection, stream, options.topic, topic_id, positions)
            details = {"to": to, "epoch": epoch, "positions": {str(number): at for number, at in positions.items()}}
            audit.record(
                connection, actor=actor, action="stream.reset", target=name, details=details, tenant=source.tenant
            )
    finally:
        store.close()
    return positions
