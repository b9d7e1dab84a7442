"""Moving the position of a topic, when an operator has decided what its lost messages mean."""

from __future__ import annotations

from rag_assets.connectors.kafka.options import KafkaOptions
from rag_assets.stream.streams import kafka_configs
from rag_core.errors import NotFound, Reason
from rag_core.settings import Settings
from rag_core.store import audit, open_store, streams


def reset_position(settings: Settings, name: str, *, to: str, actor: str) -> dict[int, int]:
    """Set every partition of a source's topic to its `earliest` or `latest` offset; returns them. Audited.

    Raises `NotFound` (`SOURCE_NOT_FOUND`), `Unavailable` (`BROKER_UNAVAILABLE`).
    """
    from rag_assets.connectors.kafka.connector import KafkaConnector

    config = next((one for one in kafka_configs(settings) if one.name == name), None)
    if config is None or not isinstance(config.options, KafkaOptions):
        raise NotFound(Reason.SOURCE_NOT_FOUND, f"source: no Kafka source {name!r}")
    options, source = config.options, config.source
    ends = KafkaConnector(options, source).ends()
    positions = {number: low if to == "earliest" else high for number, (low, high) in ends.items()}
    store = open_store(settings)
    try:
        with store.engine.begin() as connection:
            streams.reset(connection, f"{source.tenant}/{source.name}", options.topic, positions)
            details = {"to": to, "positions": {str(number): at for number, at in positions.items()}}
            audit.record(
                connection, actor=actor, action="stream.reset", target=name, details=details, tenant=source.tenant
            )
    finally:
        store.close()
    return positions
