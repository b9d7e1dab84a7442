"""Kafka as a source: a topic of JSON documents. `options` is its YAML, `decode` what a message means.

There is no listing: a topic is read as a stream, by `rag stream` or by runs that drain what is there.
"""

from rag_assets.connectors.kafka.options import KafkaOptions

__all__ = ["KafkaOptions"]
