"""Settings of the Kafka client, from the options of a source and the secrets they name."""

from __future__ import annotations

from typing import Any, Final

from confluent_kafka import KafkaError

from rag_assets.connectors.kafka.options import KafkaOptions, KafkaSecurity
from rag_core.content.sources import Source
from rag_core.errors import RagError, Reason, Unavailable

_HEADROOM: Final = 65_536
"""Bytes of key, headers and framing beside the value of a message."""
_REACH: Final = (
    "check brokers and security.protocol; a broker that asks for a client certificate needs certificate_file, key_file"
)
_ADVICE: Final = {
    KafkaError.INVALID_SESSION_TIMEOUT: "set session_timeout_ms to at least the broker's"
    " group.min.session.timeout.ms (6000 unless it was changed) and at most its maximum",
    KafkaError._AUTHENTICATION: "check security.mechanism, username and password",
    KafkaError.SASL_AUTHENTICATION_FAILED: "check security.mechanism, username and password",
    KafkaError.UNSUPPORTED_SASL_MECHANISM: "set security.mechanism to one that the broker offers",
    KafkaError._SSL: "check security.protocol, ca_file, certificate_file and key_file",
    KafkaError._TRANSPORT: _REACH,
    KafkaError._ALL_BROKERS_DOWN: _REACH,
    KafkaError.TOPIC_AUTHORIZATION_FAILED: "let the user read and describe the topic",
    KafkaError.GROUP_AUTHORIZATION_FAILED: "let the user read the consumer group, or set group",
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: "let the user do what the source needs in the cluster",
    KafkaError.UNKNOWN_TOPIC_OR_PART: "create the topic, or correct topic",
    KafkaError.TOPIC_EXCEPTION: "correct topic",
    KafkaError._MAX_POLL_EXCEEDED: "raise max_poll_interval_ms",
}
"""Remedies by the broker's own error."""
_UNREACHED: Final = (KafkaError._SSL, KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN)
"""Errors of a broker that has not answered yet; all others are refusals, which do not pass with time."""


def explained(name: str, error: KafkaError) -> RagError:
    """The error of a broker or of the client, by its name and with what to set."""
    said = f"{name}: {error.name()}: {error.str()}"[:400]
    advice = _ADVICE.get(error.code())
    if advice is None:
        return Unavailable(Reason.BROKER_UNAVAILABLE, said)
    reason = Reason.BROKER_REFUSED if refused(error) else Reason.BROKER_UNAVAILABLE
    return Unavailable(reason, f"{said}; {advice}")


def is_about_access(error: KafkaError) -> bool:
    """Return whether it says why a connection was not made; what a call then reports is only that there is none."""
    return error.code() in (KafkaError._AUTHENTICATION, KafkaError._SSL)


def refused(error: KafkaError) -> bool:
    """Return whether the broker answered and refused."""
    return error.code() in _ADVICE and error.code() not in _UNREACHED


def consumer_config(options: KafkaOptions, source: Source) -> dict[str, Any]:
    """Return the consumer's configuration. Positions are ours (PostgreSQL), so the broker's are never used to start
    from.

    Raises `ConfigError` (`SECRET_MISSING`).
    """
    return {
        **_common(options),
        "group.id": options.group or f"rag-{source.tenant}-{source.name}",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        # A position that is not there must stop the stream; a silent jump to an end loses messages.
        "auto.offset.reset": "error",
        # The end of a partition is where the client has passed the marks of transactions too.
        "enable.partition.eof": True,
        "session.timeout.ms": options.session_timeout_ms,
        "max.poll.interval.ms": max(options.max_poll_interval_ms, options.session_timeout_ms),
        "topic.metadata.refresh.interval.ms": options.metadata_refresh_ms,
        "heartbeat.interval.ms": max(options.session_timeout_ms // 10, 100),
        "queued.max.messages.kbytes": max(options.buffer_bytes // 1024, 1024),
        "fetch.message.max.bytes": max(options.max_message_bytes, 1_048_576),
    }


def reader_config(options: KafkaOptions, source: Source) -> dict[str, Any]:
    """Return the configuration of a consumer beside the stream, in no group's name. Raises as `consumer_config`."""
    return {**consumer_config(options, source), "client.id": "rag-reader"}


def admin_config(options: KafkaOptions) -> dict[str, Any]:
    """Return the configuration of the client that asks about a topic; it logs nothing itself. Raises as
    `consumer_config`."""
    return {**_common(options), "log_level": 0}


def producer_config(options: KafkaOptions) -> dict[str, Any]:
    """Return the configuration of the producer of dead letters and completions: acknowledged by all replicas, in order,
    without repeats.

    Raises as `consumer_config`.
    """
    return {
        **_common(options),
        "enable.idempotence": True,
        "linger.ms": 0,
        "message.timeout.ms": 10_000,
        # What could be consumed can be handed on, as far as the broker lets it.
        "message.max.bytes": max(options.max_message_bytes, 1_000_000) + _HEADROOM,
    }


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
    for name, path in (
        ("ssl.ca.location", security.ca_file),
        ("ssl.certificate.location", security.certificate_file),
        ("ssl.key.location", security.key_file),
    ):
        if path:
            config[name] = path
    if security.key_password is not None:
        config["ssl.key.password"] = security.key_password.read().get_secret_value()
    if security.protocol.startswith("SASL"):
        config |= _sasl(security)
    return config


def _sasl(security: KafkaSecurity) -> dict[str, Any]:
    config: dict[str, Any] = {"sasl.mechanism": security.mechanism}
    names = ("sasl.username", "sasl.password")
    if security.mechanism == "OAUTHBEARER":
        names = ("sasl.oauthbearer.client.id", "sasl.oauthbearer.client.secret")
        config |= {"sasl.oauthbearer.method": "oidc", "sasl.oauthbearer.token.endpoint.url": security.token_url}
        if security.scope:
            config["sasl.oauthbearer.scope"] = security.scope
        if security.ca_file:
            config["https.ca.location"] = security.ca_file
    for name, secret in zip(names, (security.username, security.password), strict=True):
        if secret is not None:
            config[name] = secret.read().get_secret_value()
    return config
