"""What only Apache Kafka shows: leaders that are gone, brokers that are killed, refusals by their names."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from rag_assets.stream_worker.kafka.partitions import GRACE_SECONDS
from rag_assets.stream_worker.kafka.source import KafkaSource
from tests.contract.stream.conftest import KafkaHarness
from tests.support.kafka.apache import Cluster, start_cluster
from tests.support.kafka_broker import Broker
from tests.support.stream import StreamHarness
from tests.support.waiting import eventually

pytestmark = [pytest.mark.real_servers, pytest.mark.timeout(600)]
SECONDS = 60.0


@pytest.fixture(scope="module")
def pair() -> Iterator[Cluster]:
    """Two brokers; the first is the controller too."""
    cluster = start_cluster(2)
    yield cluster
    cluster.stop()


def on_both(pair: Cluster, stream: StreamHarness) -> KafkaHarness:
    """A topic whose partition 0 is on the first broker alone and partition 1 on the second."""
    harness = KafkaHarness(stream, pair.broker, partitions=1)
    admin = AdminClient({"bootstrap.servers": pair.address})
    name = f"{harness.topic}-split"
    split = NewTopic(name, num_partitions=2, replica_assignment=[[1], [2]])
    assert eventually(lambda: _created(admin, split), seconds=SECONDS), "a broker that was killed is a member again"
    harness.topic = name
    harness.options = harness.options.model_copy(update={"topic": name, "group": name})
    return harness


def _created(admin: AdminClient, topic: NewTopic) -> bool:
    try:
        admin.create_topics([topic])[topic.topic].result(SECONDS)
    except KafkaException as error:
        return error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS
    return True


def put(harness: KafkaHarness, partition: int, *locators: str) -> None:
    messages = [(locator, {"text": f"Text of {locator}."}) for locator in locators]
    harness.broker.produce(harness.topic, *messages, partition=partition)


class Running:
    """The pump of a stream on a thread of its own."""

    def __init__(self, harness: KafkaHarness, source: KafkaSource) -> None:
        self.pump = harness.stream.consumer_loop(source)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self.pump.run, args=(self._stopping,))
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(SECONDS)


def test_a_partition_without_a_leader_is_waited_for_alone_and_taken_up_when_it_has_one(
    pair: Cluster, stream: StreamHarness
) -> None:
    harness = on_both(pair, stream)
    put(harness, 0, "a0")
    put(harness, 1, "b0")
    pair.nodes[1].kill()
    source = harness.open()
    running = Running(harness, source)
    try:
        put(harness, 0, "a1")
        assert eventually(lambda: set(stream.texts()) == {"a0", "a1"}, seconds=SECONDS)
        assert eventually(lambda: running.pump.state == "waiting: BROKER_UNAVAILABLE", seconds=SECONDS)
        assert "partition 1" in str(source.problem())
        assert source.lag().seconds >= GRACE_SECONDS, "an unread partition is never reported as no lag"
        put(harness, 0, "a2")
        assert eventually(lambda: "a2" in stream.texts(), seconds=SECONDS), "the others are read meanwhile"
        pair.nodes[1].start()
        assert eventually(lambda: "b0" in stream.texts(), seconds=2 * SECONDS)
        assert eventually(lambda: running.pump.state == "running" and source.lag().messages == 0, seconds=SECONDS)
        assert source.lag().seconds == 0
    finally:
        running.stop()
        pair.revive()


def test_every_broker_away_is_said_and_over_without_a_message_when_they_are_back(
    pair: Cluster, stream: StreamHarness
) -> None:
    harness = on_both(pair, stream)
    put(harness, 0, "a0")
    put(harness, 1, "b0")
    source = harness.open()
    running = Running(harness, source)
    try:
        assert eventually(lambda: set(stream.texts()) == {"a0", "b0"}, seconds=SECONDS)
        for node in pair.nodes:
            node.kill()
        assert eventually(lambda: running.pump.state == "waiting: BROKER_UNAVAILABLE", seconds=SECONDS)
        for node in pair.nodes:
            node.start()
        assert eventually(lambda: running.pump.state == "running", seconds=2 * SECONDS), "the topic stays idle"
        put(harness, 1, "b1")
        assert eventually(lambda: "b1" in stream.texts(), seconds=SECONDS)
        assert eventually(lambda: running.pump.counts["applied"] == 3, seconds=SECONDS)
    finally:
        running.stop()
        pair.revive()


@pytest.mark.catalogue("A16")
def test_a_broker_that_is_away_during_assignment_delays_it_and_loses_nothing(
    pair: Cluster, stream: StreamHarness
) -> None:
    harness = on_both(pair, stream)
    put(harness, 0, "a0")
    put(harness, 1, "b0")
    source = harness.open()
    running = Running(harness, source)
    try:
        assert eventually(lambda: set(stream.texts()) == {"a0", "b0"}, seconds=SECONDS)
        pair.nodes[1].freeze()
        second = harness.open()  # its joining takes the group through a rebalance while half of the cluster hangs
        try:
            put(harness, 0, "a1")
            assert eventually(lambda: _drained(harness, second, "a1"), seconds=SECONDS)
        finally:
            pair.nodes[1].thaw()
            second.close()
        put(harness, 1, "b1")
        assert eventually(lambda: {"a1", "b1"} <= stream.texts().keys(), seconds=2 * SECONDS)
    finally:
        running.stop()
        pair.revive()


def _drained(harness: KafkaHarness, source: KafkaSource, locator: str) -> bool:
    if batch := source.poll(0.1):
        harness.stream.consumer_loop(source).process(batch)
    return locator in harness.stream.texts()


def test_a_session_timeout_that_the_broker_does_not_take_is_reported_by_its_name(
    stream: StreamHarness, broker: Broker
) -> None:
    harness = KafkaHarness(stream, broker, session_timeout_ms=2000, max_poll_interval_ms=2000)
    source = harness.open()
    running = Running(harness, source)
    try:
        assert eventually(lambda: running.pump.state == "waiting: BROKER_REFUSED", seconds=SECONDS)
        said = str(source.problem())
        assert "INVALID_SESSION_TIMEOUT" in said
        assert "session_timeout_ms" in said
    finally:
        running.stop()


def test_a_topic_that_does_not_exist_is_reported_and_found_once_it_does(stream: StreamHarness, broker: Broker) -> None:
    harness = KafkaHarness(stream, broker)
    missing = f"{harness.topic}-later"
    harness.options = harness.options.model_copy(update={"topic": missing, "group": missing})
    source = harness.open()
    running = Running(harness, source)
    try:
        assert eventually(lambda: running.pump.state == "waiting: BROKER_REFUSED", seconds=SECONDS)
        assert "UNKNOWN_TOPIC_OR_PART" in str(source.problem())
        harness.topic = broker.topic(name=missing)
        harness.put("a", "Text.")
        assert eventually(lambda: stream.texts() == {"a": "Text."}, seconds=SECONDS)
        assert eventually(lambda: running.pump.state == "running", seconds=SECONDS)
    finally:
        running.stop()
