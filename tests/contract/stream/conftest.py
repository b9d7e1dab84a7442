from __future__ import annotations

from collections.abc import Iterator

import pytest

from rag_assets.connectors.kafka.options import KafkaOptions
from rag_assets.stream_worker.base import StreamSource
from rag_assets.stream_worker.inbox import InboxSource
from rag_assets.stream_worker.kafka.source import KafkaSource
from rag_core.content.sources import Source
from tests.support.kafka_broker import Broker, broker  # noqa: F401
from tests.support.stream import PUSHED, StreamHarness
from tests.unit.rag_assets.stream_worker.conftest import stream  # noqa: F401

TOPIC_SOURCE = Source("tickets", "acme", "kafka", acl=("everyone",))


class InboxHarness:
    """Changes are pushed."""

    def __init__(self, stream: StreamHarness) -> None:  # noqa: F811
        self.stream = stream
        self.source = PUSHED

    def put(self, locator: str, text: str) -> None:
        self.stream.push(locator, text)

    def delete(self, locator: str) -> None:
        self.stream.push(locator, None)

    def open(self, **settings: object) -> StreamSource:
        return InboxSource(self.stream.store, self.stream.settings.model_copy(update=settings))


class KafkaHarness:
    """Changes are produced to a topic."""

    def __init__(self, stream: StreamHarness, broker: Broker, partitions: int = 1, **options: object) -> None:  # noqa: F811
        self.stream, self.broker = stream, broker
        self.source = TOPIC_SOURCE
        self.topic = broker.topic(partitions)
        self.options = KafkaOptions.model_validate(
            {
                "kind": "topic",
                "brokers": broker.address,
                "topic": self.topic,
                "group": self.topic,
                "session_timeout_ms": broker.session_timeout_ms,
                "max_poll_interval_ms": broker.session_timeout_ms,
                "metadata_refresh_ms": 200,
                **options,
            }
        )
        self.stream.flow.source = TOPIC_SOURCE

    def put(self, locator: str, text: str) -> None:
        self.broker.produce(self.topic, (locator, {"text": text}))

    def delete(self, locator: str) -> None:
        self.broker.produce(self.topic, (locator, None))

    def open(self, **settings: object) -> KafkaSource:
        made = self.stream.settings.model_copy(update=settings)
        return KafkaSource(self.options, self.source, self.stream.store, made)


@pytest.fixture(params=["inbox", "kafka"])
def harness(request: pytest.FixtureRequest, stream: StreamHarness) -> Iterator[InboxHarness | KafkaHarness]:  # noqa: F811
    if request.param == "inbox":
        yield InboxHarness(stream)
    else:
        yield KafkaHarness(stream, request.getfixturevalue("broker"))


@pytest.fixture
def topic(stream: StreamHarness, broker: Broker) -> KafkaHarness:  # noqa: F811
    return KafkaHarness(stream, broker)
