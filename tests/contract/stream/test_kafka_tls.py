"""A topic behind TLS: what is trusted and what is not. The broker of the tests has none, so a front terminates it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from benchmarks.ports import free_port
from rag_assets.connectors.kafka.client import producer_config
from rag_assets.connectors.kafka.connector import KafkaConnector
from rag_assets.connectors.kafka.options import KafkaOptions
from rag_assets.stream_worker.kafka.source import KafkaSource
from tests.contract.stream.conftest import TOPIC_SOURCE
from tests.support.certificates import self_signed
from tests.support.kafka_broker import start_broker
from tests.support.stream import StreamHarness
from tests.support.tls_front import tls_front

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
def test_a_broker_with_the_name_of_another_is_refused(behind: Behind, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rag_assets.connectors.kafka.connector.BROKER_SECONDS", 2.0)
    found = KafkaConnector(behind.options(host="127.0.0.2"), TOPIC_SOURCE).check()
    assert not found["ok"]
    assert str(found["error"]).startswith("BROKER_UNAVAILABLE")


@pytest.mark.catalogue("S24")
def test_a_broker_whose_certificate_nobody_vouches_for_is_refused(
    behind: Behind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rag_assets.connectors.kafka.connector.BROKER_SECONDS", 2.0)
    other, _ = self_signed(tmp_path)
    found = KafkaConnector(behind.options(ca_file=other), TOPIC_SOURCE).check()
    assert not found["ok"]
    assert str(found["error"]).startswith("BROKER_UNAVAILABLE")
