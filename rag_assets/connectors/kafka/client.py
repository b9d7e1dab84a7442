"""Settings of the Kafka client, from the options of a source and the secrets they name."""

from __future__ import annotations

import os
from typing import Any

from rag_assets.connectors.kafka.options import KafkaOptions
from rag_core.errors import ConfigError, Reason
from rag_core.sources import Source


def consumer_config(options: KafkaOptions, source: Source, secrets: dict[str, str]) -> dict[str, Any]:
    """Of the consumer. Positions are ours (PostgreSQL), so the broker's are never used to start from."""
    return {
        **_common(options, secrets),
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


def producer_config(options: KafkaOptions, secrets: dict[str, str]) -> dict[str, Any]:
    """Of the producer of dead letters and completions: acknowledged by all replicas, in order, without repeats."""
    return {**_common(options, secrets), "enable.idempotence": True, "linger.ms": 0, "message.timeout.ms": 10_000}


def secret_names(options: KafkaOptions) -> list[str]:
    """The environment variables that hold this source's secrets."""
    return [name for name in (options.security.username_env, options.security.password_env) if name]


def read_secrets(options: KafkaOptions) -> dict[str, str]:
    """The secrets an options block names. Raises `ConfigError` (`SECRET_MISSING`) with the name only."""
    found = {}
    for name in secret_names(options):
        value = os.environ.get(name)
        if not value:
            raise ConfigError(Reason.SECRET_MISSING, f"SECRET_MISSING: {name}")
        found[name] = value
    return found


def _common(options: KafkaOptions, secrets: dict[str, str]) -> dict[str, Any]:
    security = options.security
    config: dict[str, Any] = {
        "bootstrap.servers": options.brokers,
        "security.protocol": security.protocol,
        "reconnect.backoff.max.ms": 2000,
        "client.id": "rag",
    }
    if security.ca_file:
        config["ssl.ca.location"] = security.ca_file
    if security.protocol.startswith("SASL"):
        config["sasl.mechanism"] = security.mechanism
        config["sasl.username"] = secrets[security.username_env or ""]
        config["sasl.password"] = secrets[security.password_env or ""]
    return config
