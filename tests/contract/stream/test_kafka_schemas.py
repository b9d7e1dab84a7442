"""A topic whose values are by a schema registry, and a registry that is away for a while."""

from __future__ import annotations

import threading

import pytest
from pytest_httpserver import HTTPServer

from rag_core.errors import Reason, Unavailable
from tests.contract.stream.conftest import KafkaHarness
from tests.contract.stream.test_kafka import letters
from tests.support.kafka_broker import Broker
from tests.support.schema_registry import RegistryStandIn, avro, framed, written
from tests.support.stream import StreamHarness
from tests.support.waiting import eventually


def test_a_registry_that_is_away_is_waited_for_and_no_message_is_lost_or_given_up(
    stream: StreamHarness, broker: Broker, httpserver: HTTPServer
) -> None:
    registry = RegistryStandIn(httpserver)
    registry.hold(1, avro())
    registry.status = 503
    topic = KafkaHarness(stream, broker, registry={"url": registry.url})
    values = [(f"d{number}", framed(1, written(avro(), {"text": f"Text {number}."}))) for number in range(5)]
    broker.produce(topic.topic, *values, ("bad", framed(2, b"\x02a")))
    source = topic.open(fetch_allow_networks="127.0.0.0/8", fetch_ports="1-65535")
    consumer_loop, stopping = stream.consumer_loop(source), threading.Event()
    runner = threading.Thread(target=consumer_loop.run, args=(stopping,))
    runner.start()
    try:
        assert eventually(lambda: consumer_loop.state == "waiting: REGISTRY_UNAVAILABLE")
        assert eventually(lambda: source.lag().messages == 6)
        assert source.lag().seconds > 0
        registry.status = 200
        assert eventually(lambda: consumer_loop.state == "running" and source.lag().messages == 0)
        assert source.lag().seconds == 0
    finally:
        stopping.set()
        runner.join(30)
    assert stream.texts() == {f"d{number}": f"Text {number}." for number in range(5)}
    assert [row.reason for row in letters(topic).values()] == ["SCHEMA_UNKNOWN"]


def test_a_registry_inside_the_network_is_called_only_where_that_is_allowed(
    stream: StreamHarness, broker: Broker, httpserver: HTTPServer
) -> None:
    registry = RegistryStandIn(httpserver)
    registry.hold(1, avro())
    topic = KafkaHarness(stream, broker, registry={"url": registry.url})
    broker.produce(topic.topic, ("a", framed(1, written(avro(), {"text": "a"}))))
    source = topic.open(fetch_ports="1-65535")
    stream.consumer_loop(source)
    assert eventually(lambda: source.lag().messages == 1)
    with pytest.raises(Unavailable) as blocked:
        source.poll(5.0)
    assert blocked.value.reason is Reason.SSRF_BLOCKED
    assert registry.asked == []
