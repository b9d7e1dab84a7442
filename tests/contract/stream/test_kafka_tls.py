"""A topic behind TLS: what is trusted and what is not. The broker of the tests has none, so a front terminates it. A
topic whose values are by a schema registry, and a registry that is away for a while."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from pytest_httpserver import HTTPServer

from benchmarks.ports import free_port
from rag_assets.connectors.kafka.client import producer_config
from rag_assets.connectors.kafka.connector import KafkaConnector
from rag_assets.connectors.kafka.options import KafkaOptions
from rag_assets.stream_worker.kafka.source import KafkaSource
from rag_core.errors import Reason, Unavailable
from tests.contract.stream.conftest import TOPIC_SOURCE, KafkaHarness
from tests.contract.stream.test_kafka import letters
from tests.support.certificates import self_signed
from tests.support.kafka_broker import Broker, start_broker
from tests.support.schema_registry import RegistryStandIn, avro, framed, written
from tests.support.stream import StreamHarness
from tests.support.tls_front import tls_front
from tests.support.waiting import eventually

SECONDS = 20.0


@dataclass
class Behind:
    """A broker that clients reach by TLS at `port`, with `certificate`."""

    port: int
    certificate: Path

    def options(self, host: str = "localhost", ca_file: Path | None = None) -> KafkaOptions:
        security = {"protocol": "SSL", "ca_file": str(ca_file or self.certificate)}
        given = {"kind": "topic", "brokers": f"{host}:{self.port}", "topic": "tickets", "security": security}
        return KafkaOptions.model_validate(given | {"session_timeout_ms": 2000})


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Behind]:
    certificate, key = self_signed(tmp_path_factory.mktemp("tls"))
    inner, outer = free_port(), free_port()
    broker = start_broker(inner, advertised=f"localhost:{outer}")
    try:
        with tls_front(outer, inner, certificate, key):
            made = Behind(outer, certificate)
            admin = AdminClient(producer_config(made.options()) | {"message.timeout.ms": 300_000})
            admin.create_topics([NewTopic("tickets", 1, 1)])["tickets"].result(SECONDS)
            yield made
    finally:
        broker.stop()


@pytest.mark.catalogue("S24")
def test_a_topic_is_produced_to_and_consumed_through_tls(behind: Behind, stream: StreamHarness) -> None:
    options = behind.options()
    producer = Producer(producer_config(options))
    producer.produce("tickets", key=b"a", value=b'{"text": "The pump leaks."}')
    assert producer.flush(SECONDS) == 0
    assert KafkaConnector(options, TOPIC_SOURCE).check() == {"ok": True, "items": 1, "sample": ["a"]}
    stream.flow.source = TOPIC_SOURCE
    consumer_loop = stream.consumer_loop(KafkaSource(options, TOPIC_SOURCE, stream.store, stream.settings))
    consumer_loop.process(consumer_loop.source.poll(SECONDS))
    assert stream.texts() == {"a": "The pump leaks."}


@pytest.mark.catalogue("S24")
@pytest.mark.parametrize("wrong", ["the name of another", "a certificate that nobody vouches for"])
def test_a_broker_that_is_not_the_one_that_was_named_is_refused(
    behind: Behind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    monkeypatch.setattr("rag_assets.connectors.kafka.connector.BROKER_SECONDS", 2.0)
    given = {"host": "127.0.0.2"} if wrong == "the name of another" else {"ca_file": self_signed(tmp_path)[0]}
    found = KafkaConnector(behind.options(**given), TOPIC_SOURCE).check()
    assert not found["ok"]
    assert str(found["error"]).startswith("BROKER_UNAVAILABLE")


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
