"""Dead letters on a topic whose broker has limits of its own."""

from __future__ import annotations

import hashlib

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from rag_core.errors import Reason, Unavailable
from tests.contract.stream.conftest import KafkaHarness
from tests.contract.stream.test_kafka import consume, letters
from tests.support.kafka_broker import Broker
from tests.support.waiting import eventually

pytestmark = pytest.mark.real_servers
SECONDS = 60.0
POISON = b"x" * 999_901


def dead_topic(topic: KafkaHarness, **config: str) -> str:
    name = f"{topic.topic}-dead"
    admin = AdminClient({"bootstrap.servers": topic.broker.address})
    admin.create_topics([NewTopic(name, 1, 1, config=config)])[name].result(SECONDS)
    topic.options = topic.options.model_copy(update={"dead_letter_topic": name})
    return name


def test_a_letter_as_large_as_a_message_may_be_is_sent_whole_with_its_key_and_headers(
    topic: KafkaHarness, broker: Broker
) -> None:
    dead = dead_topic(topic)
    broker.produce(topic.topic, ("a", POISON), headers={"trace": b"t" * 900})
    broker.produce(topic.topic, (b"\xff\xfe", {"text": "A key that is no text."}), headers={"trace": b"1"})
    topic.put("ok", "Fine.")
    consume(topic, topic.open(), 3)
    whole, unusable = broker.read(dead, 2)
    assert (whole.key(), whole.value()) == (b"a", POISON)
    assert dict(whole.headers())["trace"] == b"t" * 900
    assert unusable.key() == b"\xff\xfe"
    assert dict(unusable.headers())["trace"] == b"1"
    kept = letters(topic)[1]
    assert (bytes(kept.key), kept.headers) == (b"\xff\xfe", [["trace", "MQ=="]])
    assert topic.stream.texts() == {"ok": "Fine."}


def test_a_letter_that_cannot_be_sent_whole_goes_without_its_value_and_does_not_block_the_partition(
    topic: KafkaHarness, broker: Broker
) -> None:
    dead = dead_topic(topic, **{"max.message.bytes": "2000"})
    broker.produce(topic.topic, ("a", POISON), headers={"trace": b"1"})
    broker.produce(topic.topic, ("b", POISON), headers={"trace": b"t" * 5000})
    topic.put("ok", "Fine.")
    consume(topic, topic.open(), 3)
    assert topic.stream.texts() == {"ok": "Fine."}
    without_value, bare = broker.read(dead, 2)
    headers = dict(without_value.headers())
    assert (without_value.key(), without_value.value(), headers["trace"]) == (b"a", None, b"1")
    assert (headers["rag-value"], headers["rag-size"]) == (b"omitted", b"999901")
    assert headers["rag-sha256"].decode() == hashlib.sha256(POISON).hexdigest()
    assert (headers["rag-topic"].decode(), headers["rag-offset"]) == (topic.topic, b"0")
    assert "trace" not in dict(bare.headers())
    assert dict(bare.headers())["rag-offset"] == b"1"


def test_letters_that_fit_lose_nothing_beside_one_that_does_not(topic: KafkaHarness, broker: Broker) -> None:
    dead = dead_topic(topic, **{"max.message.bytes": "2000"})
    for number in range(8):
        broker.produce(topic.topic, (str(number), b"no json"), headers={"trace": b"t" * (5000 if number == 4 else 1)})
    consume(topic, topic.open(), 8)
    sent = {message.key(): (message.value(), dict(message.headers())) for message in broker.read(dead, 8)}
    assert {key for key, (value, headers) in sent.items() if value == b"no json" and headers["trace"] == b"t"} == {
        str(number).encode() for number in range(8) if number != 4
    }


def test_a_letter_that_the_broker_does_not_take_stops_the_stream_before_it(topic: KafkaHarness, broker: Broker) -> None:
    dead = f"{topic.topic}-dead"
    topic.options = topic.options.model_copy(update={"dead_letter_topic": dead})
    broker.produce(topic.topic, ("a", b"not json"))
    source = topic.open()
    consumer_loop = topic.stream.consumer_loop(source)
    batch = source.poll(SECONDS)
    with pytest.raises(Unavailable) as stopped:
        consumer_loop.process(batch)
    assert stopped.value.reason is Reason.DEAD_LETTER_UNAVAILABLE
    assert letters(topic) == {}
    broker.topic(name=dead)

    def applied() -> bool:
        try:
            consumer_loop.process(batch)
        except Unavailable:
            return False
        return True

    assert eventually(applied, seconds=SECONDS)
    assert set(letters(topic)) == {0}
    assert broker.read(dead, 1)[0].value() == b"not json"
