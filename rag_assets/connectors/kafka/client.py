"""Settings of the Kafka client, from the options of a source and the secrets they name."""

from __future__ import annotations

from typing import Any

from rag_assets.connectors.kafka.options import KafkaOptions
from rag_core.sources import Source


def consumer_config(options: KafkaOptions, source: Source) -> dict[str, Any]:
    """Of the consumer. Positions are ours (PostgreSQL), so the broker's are never used to start from.

    Raises `ConfigError` (`SECRET_MISSING`).
    """
    return {
        **_common(options),
        "group.id": options.group or f"rag-{source.tenant}-{source.name}",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        # A position that is not there must stop the stream; a silent jump to an end loses messages.
        "auto.offset.reset": "error",
        "session.timeout.ms": options.session_timeout_ms,
        "max.poll.interval.ms": max(options.max_poll_interval_ms, options.session_timeout_ms),
        "topic.metadata.refresh.interval.ms": options.metadata_refresh_ms,
        "heartbeat.interval.ms": max(options.session_timeout_ms // 10, 100),
        "queued.max.messages.kbytes": max(options.buffer_bytes // 1024, 1024),
        "fetch.message.max.bytes": max(options.max_message_bytes, 1_048_576),
    }


def reader_config(options: KafkaOptions, source: Source) -> dict[str, Any]:
    """Of a consumer that only looks and is told where a partition ends. Raises as `consumer_config`."""
    return {**consumer_config(options, source), "enable.partition.eof": True}


def producer_config(options: KafkaOptions) -> dict[str, Any]:
    """Of the producer of dead letters and completions: acknowledged by all replicas, in order, without repeats.

    Raises as `consumer_config`.
    """
    return {**_common(options), "enable.idempotence": True, "linger.ms": 0, "message.timeout.ms": 10_000}


def _common(options: KafkaOptions) -> dict[str, Any]:
    security = options.security
    config: dict[str, Any] = {
        "bootstrap.servers": options.brokers,
        "security.protocol": security.protocol,
        "reconnect.backoff.max.ms": 2000,
        "client.id": "rag",
    }
    if security.protocol.endswith("SSL"):
        # The client's own defaults, said aloud because releases differed in them.
        config |= {"enable.ssl.certificate.verification": True, "ssl.endpoint.identification.algorithm": "https"}
    if security.ca_file:
        config["ssl.ca.location"] = security.ca_file
    if security.protocol.startswith("SASL"):
        config["sasl.mechanism"] = security.mechanism
        for name, secret in (("sasl.username", security.username), ("sasl.password", security.password)):
            if secret is not None:
                config[name] = secret.read().get_secret_value()
    return config
