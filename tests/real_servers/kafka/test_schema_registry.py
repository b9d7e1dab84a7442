"""Avro, Protobuf and JSON Schema values, by Confluent's own serializers, a real schema registry and Apache Kafka."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from typing import Any

import pytest
from confluent_kafka.schema_registry import Schema, SchemaReference, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.schema_registry.json_schema import JSONSerializer
from confluent_kafka.schema_registry.protobuf import ProtobufSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from rag_assets.connectors.kafka.connector import KafkaConnector
from rag_core.http_client import FetchPolicy
from tests.contract.stream.conftest import KafkaHarness
from tests.contract.stream.test_kafka import consume, letters
from tests.support.kafka.apicurio import Apicurio, start_registry
from tests.support.kafka_broker import Broker
from tests.support.stream import StreamHarness
from tests.support.waiting import eventually

pytestmark = pytest.mark.real_servers
Serialize = Callable[[Mapping[str, Any]], bytes]
_AVRO = {
    "type": "record",
    "name": "Doc",
    "fields": [
        {"name": "text", "type": "string"},
        {"name": "acl", "type": ["null", {"type": "array", "items": "string"}], "default": None},
    ],
}
_JSON = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "title": "Doc",
    "type": "object",
    "properties": {"text": {"type": "string", "maxLength": 100}},
    "required": ["text"],
}


@pytest.fixture(scope="module")
def registry() -> Iterator[Apicurio]:
    made = start_registry()
    yield made
    made.kill()
    if made.log is not None:
        shutil.rmtree(made.log.parent)


@pytest.fixture
def by_schema(stream: StreamHarness, broker: Broker, registry: Apicurio) -> KafkaHarness:
    stream.settings = stream.settings.model_copy(
        update={"fetch_allow_networks": "127.0.0.0/8", "fetch_ports": "1-65535"}
    )
    return KafkaHarness(stream, broker, registry={"url": registry.url})


def _protobuf() -> Any:
    file = descriptor_pb2.FileDescriptorProto(name="doc.proto", package="acme", syntax="proto3")
    file.message_type.add(name="Other")
    doc = file.message_type.add(name="Doc")
    doc.field.add(name="text", number=1, type=9, label=1)
    doc.field.add(name="acl", number=2, type=9, label=3)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("acme.Doc"))


@pytest.fixture
def client(registry: Apicurio) -> Iterator[SchemaRegistryClient]:
    with SchemaRegistryClient({"url": registry.url}) as made:
        yield made


def serializers(client: SchemaRegistryClient, topic: str) -> dict[str, Serialize]:
    message = _protobuf()
    made = {
        "avro": AvroSerializer(client, json.dumps(_AVRO)),
        "json": JSONSerializer(json.dumps(_JSON), client),
        "protobuf": ProtobufSerializer(message, client, {"use.deprecated.format": False}),
    }

    def serialize(kind: str) -> Serialize:
        where = SerializationContext(f"{topic}-{kind}", MessageField.VALUE)
        return lambda body: bytes(made[kind](message(**body) if kind == "protobuf" else dict(body), where) or b"")

    return {kind: serialize(kind) for kind in made}


@pytest.mark.parametrize("kind", ["avro", "json", "protobuf"])
def test_what_confluents_serializers_produce_is_consumed(
    by_schema: KafkaHarness, broker: Broker, client: SchemaRegistryClient, kind: str
) -> None:
    serialize = serializers(client, by_schema.topic)[kind]
    broker.produce(
        by_schema.topic,
        *[(f"d{number}", serialize({"text": f"Text {number}."})) for number in range(20)],
        ("d7", None),
        ("d8", serialize({"text": "Text 8, again.", "acl": ["everyone"]} if kind != "json" else {"text": "New."})),
    )
    consume(by_schema, by_schema.open(), 22)
    wanted = {f"d{number}": f"Text {number}." for number in range(20) if number != 7}
    wanted["d8"] = "New." if kind == "json" else "Text 8, again."
    assert by_schema.stream.texts() == wanted
    assert letters(by_schema) == {}
    policy = FetchPolicy.from_settings(by_schema.stream.settings)
    with closing(KafkaConnector(by_schema.options, by_schema.source, policy)) as connector:
        assert connector.check() == {"ok": True, "items": 22, "sample": ["d19", "d7", "d8"]}


def test_schemas_that_refer_to_others_are_put_together(
    by_schema: KafkaHarness, broker: Broker, client: SchemaRegistryClient
) -> None:
    line = {"type": "record", "name": "Line", "fields": [{"name": "text", "type": "string"}]}
    client.register_schema(f"{by_schema.topic}-line", Schema(json.dumps(line), "AVRO"))
    doc = {"type": "record", "name": "Doc", "fields": [{"name": "body", "type": "Line"}]}
    needed = [SchemaReference("Line", f"{by_schema.topic}-line", 1)]
    serializer = AvroSerializer(client, Schema(json.dumps(doc), "AVRO", needed))
    where = SerializationContext(by_schema.topic, MessageField.VALUE)
    fields = by_schema.options.fields.model_copy(update={"content": "body.text"})
    by_schema.options = by_schema.options.model_copy(update={"fields": fields})
    broker.produce(by_schema.topic, ("a", serializer({"body": {"text": "A line."}}, where)))
    consume(by_schema, by_schema.open(), 1)
    assert by_schema.stream.texts() == {"a": "A line."}


def test_what_no_schema_explains_is_a_dead_letter_and_the_rest_is_applied(
    by_schema: KafkaHarness, broker: Broker, client: SchemaRegistryClient
) -> None:
    serialize = serializers(client, by_schema.topic)
    good = serialize["avro"]({"text": "Fine."})
    bad = [
        (b'{"text": "plain"}', "EVENT_UNDECODABLE"),
        (b"\x00\x7f\xff\xff\xff\x02a", "SCHEMA_UNKNOWN"),
        (good[:-2], "EVENT_UNDECODABLE"),
        (serialize["json"]({"text": "x" * 90})[:5] + json.dumps({"text": "x" * 200}).encode(), "EVENT_SCHEMA"),
    ]
    broker.produce(by_schema.topic, *[(f"bad{number}", value) for number, (value, _) in enumerate(bad)], ("ok", good))
    consume(by_schema, by_schema.open(), len(bad) + 1)
    assert {row.offset: row.reason for row in letters(by_schema).values()} == {
        number: reason for number, (_, reason) in enumerate(bad)
    }
    assert {row.offset: bytes(row.payload) for row in letters(by_schema).values()} == {
        number: value for number, (value, _) in enumerate(bad)
    }
    assert by_schema.stream.texts() == {"ok": "Fine."}


def test_a_registry_that_is_killed_is_waited_for_and_nothing_is_lost(
    by_schema: KafkaHarness, broker: Broker, registry: Apicurio, client: SchemaRegistryClient
) -> None:
    if registry.process is None:
        pytest.skip("RAG_TEST_SCHEMA_REGISTRY cannot be killed here")
    values = [serializers(client, by_schema.topic)["avro"]({"text": f"Text {number}."}) for number in range(5)]
    registry.kill()
    broker.produce(by_schema.topic, *[(f"d{number}", value) for number, value in enumerate(values)])
    source = by_schema.open()
    consumer_loop, stopping = by_schema.stream.consumer_loop(source), threading.Event()
    runner = threading.Thread(target=consumer_loop.run, args=(stopping,))
    runner.start()
    try:
        assert eventually(lambda: consumer_loop.state == "waiting: REGISTRY_UNAVAILABLE")
        assert source.lag().messages == 5
        registry.start()
        assert eventually(lambda: consumer_loop.state == "running" and source.lag().messages == 0)
    finally:
        stopping.set()
        runner.join(30)
    assert by_schema.stream.texts() == {f"d{number}": f"Text {number}." for number in range(5)}
    assert letters(by_schema) == {}
