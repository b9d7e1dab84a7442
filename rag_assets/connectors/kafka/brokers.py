"""Checks of the brokers that a topic's file names, and of those that the cluster names in turn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rag_assets.connectors.kafka.options import KafkaOptions
from rag_assets.connectors.servers import BROKER_AWAY, addresses_of, is_refused, refusal
from rag_core.errors import Reason, Unavailable
from rag_core.http_client import OwnParts

if TYPE_CHECKING:
    from confluent_kafka.admin._metadata import ClusterMetadata

_PORT: Final = 9092


def require_brokers(options: KafkaOptions, own: OwnParts) -> None:
    """Check the brokers of a source file after resolution. The client resolves them again, and what the cluster names
    is checked with its first answer (`require_advertised`).

    Raises `InvalidInput` (`SSRF_BLOCKED`) and `Unavailable` (`BROKER_UNAVAILABLE`): one may not be called, or none has
    an address.
    """
    named = [(host, port or _PORT) for host, port in options.broker_endpoints]
    found = {endpoint: addresses_of(*endpoint) for endpoint in named}
    refused = [host for (host, port), addresses in found.items() if is_refused(host, port, addresses, own)]
    if refused or not any(found.values()):
        away = Unavailable(Reason.BROKER_UNAVAILABLE, BROKER_AWAY)
        raise refusal((refused or [named[0][0]])[0], "a broker", away)


def require_advertised(metadata: ClusterMetadata, own: OwnParts) -> None:
    """Check the brokers that a cluster names; the client waits for one without an address.

    Raises `Unavailable` (`BROKER_REFUSED`).
    """
    for host, port in ((str(broker.host), int(broker.port or _PORT)) for broker in metadata.brokers.values()):
        if is_refused(host, port, addresses_of(host, port), own):
            message = "the cluster names a broker that no source reads; correct its advertised.listeners"
            raise Unavailable(Reason.BROKER_REFUSED, message)
