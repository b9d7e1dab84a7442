"""Registers the kind `kafka`: messages of a topic."""

from __future__ import annotations

from rag_assets.connectors.kafka.options import KafkaOptions
from rag_assets.connectors.kind import Card, ConnectorKind, FormField
from rag_assets.connectors.outside import ConnectorContext
from rag_core.content.sources import Connector


def connect(options: KafkaOptions, context: ConnectorContext) -> Connector:
    """Make the connector. Its libraries are imported here: most installations have no topic."""
    from rag_assets.connectors.kafka.connector import KafkaConnector

    assert context.source is not None  # noqa: S101 - `build_connector` names it
    return KafkaConnector(options, context.source, context.fetch_policy)


KIND = ConnectorKind(KafkaOptions, connect, (
    Card("topic", "Kafka topic", "Messages are documents; they are applied as they come.", "stream", "topic", (
        FormField("brokers", "Brokers (host:port, …)", required=True),
        FormField("topic", "Topic", required=True),
    )),
), readers="file or source", libraries=("confluent_kafka",))  # fmt: skip
