"""Positions, versions and lag as only Apache Kafka shows them: topic ids, added partitions, transactions."""

from __future__ import annotations

import threading
from contextlib import closing

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewPartitions

from rag_assets.source_config import SourceConfig
from rag_assets.stream_worker.waiting import reset_position, topic_lag
from rag_core.content.streams.offset_store import load_offsets
from rag_core.errors import Conflict, Reason
from tests.contract.stream.conftest import KafkaHarness
from tests.contract.stream.test_kafka import consume
from tests.support.kafka_broker import Broker
from tests.support.waiting import eventually

pytestmark = pytest.mark.real_servers
SECONDS = 60.0
_SOURCE = """
type: rag_assets.components.DocumentSource
attributes:
  name: tickets
  tenant: acme
  acl: [everyone]
  options: {{kind: topic, brokers: "{brokers}", topic: {topic}, group: {topic}, session_timeout_ms: 6000}}
"""


def admin(broker: Broker) -> AdminClient:
    return AdminClient({"bootstrap.servers": broker.address})


def make_again(broker: Broker, topic: str) -> None:
    client = admin(broker)
    client.delete_topics([topic])[topic].result(SECONDS)

    def made() -> bool:
        try:
            return bool(broker.topic(name=topic))
        except Exception:
            return False  # the broker is still deleting

    assert eventually(made, seconds=SECONDS)


def texts(name: str, count: int) -> list[tuple[str, dict[str, str]]]:
    return [(f"d{number}", {"text": f"{name} text {number}."}) for number in range(count)]


def write_source(topic: KafkaHarness) -> None:
    folder = topic.stream.settings.effective_sources_dir
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tickets.yaml").write_text(_SOURCE.format(brokers=topic.broker.address, topic=topic.topic))


def test_a_topic_made_again_and_refilled_past_our_position_stops_the_stream_and_a_reset_applies_all_of_it(
    topic: KafkaHarness, broker: Broker
) -> None:
    broker.produce(topic.topic, *texts("Old", 30))
    with closing(topic.open()) as source:
        consume(topic, source, 30)
    make_again(broker, topic.topic)
    broker.produce(topic.topic, *texts("New", 80))
    with closing(topic.open()) as source:
        with pytest.raises(Conflict) as stopped:
            consume(topic, source, 1)
        assert stopped.value.reason is Reason.TOPIC_RECREATED
        assert topic.stream.texts()["d0"] == "Old text 0."
    write_source(topic)
    assert reset_position(topic.stream.settings, "tickets", to="earliest", actor="test") == {0: 0}
    with closing(topic.open()) as source:
        consume(topic, source, 80)
    assert topic.stream.texts() == {key: body["text"] for key, body in texts("New", 80)}


def test_a_topic_made_again_under_a_running_stream_stops_it(topic: KafkaHarness, broker: Broker) -> None:
    broker.produce(topic.topic, *texts("Old", 5))
    source = topic.open()
    consume(topic, source, 5)
    consumer_loop, stopping = topic.stream.consumer_loop(source), threading.Event()
    runner = threading.Thread(target=consumer_loop.run, args=(stopping,))
    runner.start()
    try:
        make_again(broker, topic.topic)
        assert eventually(lambda: consumer_loop.state == "halted: TOPIC_RECREATED", seconds=SECONDS)
    finally:
        stopping.set()
        runner.join(SECONDS)


def test_a_reset_within_the_same_topic_keeps_versions_so_nothing_older_comes_back(
    topic: KafkaHarness, broker: Broker
) -> None:
    broker.produce(
        topic.topic, ("a", {"text": "First."}), ("a", {"text": "Second."}), ("b", {"text": "B."}), ("b", None)
    )
    with closing(topic.open()) as source:
        consume(topic, source, 4)
    write_source(topic)
    reset_position(topic.stream.settings, "tickets", to="earliest", actor="test")
    with closing(topic.open()) as source:
        consumer_loop = topic.stream.consumer_loop(source)
        while not source.at_end():
            if batch := source.poll(0.2):
                consumer_loop.process(batch)
        assert consumer_loop.counts["stale"] == 4
    assert topic.stream.texts() == {"a": "Second."}


def test_a_key_that_moves_to_another_partition_is_not_taken_for_stale(topic: KafkaHarness, broker: Broker) -> None:
    topic.options = topic.options.model_copy(update={"metadata_refresh_ms": 200})
    for number in range(10):
        topic.put("a", f"Text {number}.")
    with closing(topic.open()) as source:
        consume(topic, source, 10)
        client = admin(broker)
        client.create_partitions([NewPartitions(topic.topic, 2)])[topic.topic].result(SECONDS)
        broker.produce(topic.topic, ("a", {"text": "Moved."}), partition=1)
        consume(topic, source, 1)
        assert topic.stream.texts() == {"a": "Moved."}
        broker.produce(topic.topic, ("a", {"text": "Moved again."}), partition=1)
        consume(topic, source, 1)
    assert topic.stream.texts() == {"a": "Moved again."}


def test_a_topic_begun_at_its_latest_is_not_read_from_its_start_after_a_restart(
    topic: KafkaHarness, broker: Broker
) -> None:
    topic.topic = broker.topic(2)
    topic.options = topic.options.model_copy(update={"topic": topic.topic, "group": topic.topic, "start": "latest"})
    broker.produce(topic.topic, ("old", {"text": "Old."}), partition=1)
    with closing(topic.open()) as source:
        assert eventually(source.at_end, seconds=SECONDS)
    broker.produce(topic.topic, ("while away", {"text": "Came while nobody read."}), partition=0)
    with closing(topic.open()) as source:
        consume(topic, source, 1)
        assert eventually(source.at_end, seconds=SECONDS)
    assert set(topic.stream.texts()) == {"while away"}


def test_lag_reaches_nothing_behind_the_marks_of_transactions(topic: KafkaHarness, broker: Broker) -> None:
    producer = Producer({"bootstrap.servers": broker.address, "transactional.id": topic.topic, "log_level": 0})
    producer.init_transactions()
    for number, ends in enumerate((producer.commit_transaction, producer.abort_transaction)):
        producer.begin_transaction()
        producer.produce(topic.topic, key=f"d{number}", value=b'{"text": "Text."}')
        producer.flush()
        ends()
    write_source(topic)
    options = {"name": "tickets", "tenant": "acme", "acl": ["everyone"], "options": topic.options.model_dump()}
    config = SourceConfig.model_validate(options)
    with closing(topic.open()) as source:
        consume(topic, source, 1)
        consumer_loop = topic.stream.consumer_loop(source)

        def drained() -> bool:
            if batch := source.poll(0.2):
                consumer_loop.process(batch)
            return source.at_end() and source.lag().messages == 0

        assert eventually(drained, seconds=SECONDS)
        assert eventually(
            lambda: source.poll(0.1) == [] and topic_lag(topic.stream.store, config, topic.stream.settings) == 0,
            seconds=SECONDS,
        )
    with topic.stream.store.engine.connect() as connection:
        place = load_offsets(connection, source.stream, topic.topic)[0]
    assert place.next_offset == 4, "two messages and the two marks behind them"
    assert set(topic.stream.texts()) == {"d0"}
