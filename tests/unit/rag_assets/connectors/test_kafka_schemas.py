"""Values by a schema registry: what they mean, and what is said of those that mean nothing. The registry is its REST
interface alone; a real one is in tests/real_servers/kafka. Options of the Kafka client: secrets are read where the
options say, when a client is made."""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import any_pb2, descriptor_pb2, struct_pb2, timestamp_pb2, wrappers_pb2
from pytest_httpserver import HTTPServer

from benchmarks.ports import free_port
from rag_assets.connectors.kafka.client import consumer_config, producer_config
from rag_assets.connectors.kafka.connector import KafkaConnector
from rag_assets.connectors.kafka.decode import Decoder, Record
from rag_assets.connectors.kafka.options import KafkaOptions
from rag_core.content.sources import Source
from rag_core.errors import ConfigError, InvalidInput, Reason, Unavailable
from rag_core.http_client import AddressRules, FetchPolicy
from rag_core.ingestion.pipeline import Event
from tests.support.certificates import self_signed
from tests.support.schema_registry import RegistryStandIn, avro, framed, written

SOURCE = Source("tickets", "acme", "kafka")
ANY_PORT = (range(1, 65_536),)
INSIDE = FetchPolicy(AddressRules.parse(["127.0.0.0/8"]), ANY_PORT)


class Site(RegistryStandIn):
    """With the decoder that asks it."""

    def decoder(self, policy: FetchPolicy = INSIDE, fields: Any = None, **registry: Any) -> Decoder:
        given: dict[str, Any] = {"kind": "topic", "brokers": "localhost:9092", "topic": "tickets", "version": "offset"}
        given["registry"] = {"url": self.url, **registry}
        return Decoder(KafkaOptions.model_validate(given | {"fields": fields or {}}), SOURCE, policy)

    def event(self, value: bytes, **options: Any) -> Event:
        decoder = self.decoder(**options)
        try:
            return decoder.event(record(value))
        finally:
            decoder.close()

    def refusal(self, value: bytes) -> Reason:
        with pytest.raises(InvalidInput) as refused:
            self.event(value)
        return refused.value.reason


@pytest.fixture
def site(httpserver: HTTPServer) -> Site:
    return Site(httpserver)


def record(value: bytes | None, offset: int = 0) -> Record:
    return Record("tickets", 0, offset, b"a", value)


def test_an_avro_value_is_an_event_with_what_its_fields_say(site: Site) -> None:
    said = [
        {"name": "acl", "type": {"type": "array", "items": "string"}},
        {"name": "metadata", "type": {"type": "map", "values": ["null", "string", "long"]}},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    ]
    site.hold(7, avro(*said))
    value = {"text": "The pump leaks.", "acl": ["group:ops"], "metadata": {"team": "ops", "year": 7}, "at": 86_400_000}
    event = site.event(framed(7, written(avro(*said), value)), fields={"event_time": "at"})
    assert event.content == b"The pump leaks."
    assert (event.acl, dict(event.metadata)) == (("group:ops",), {"team": "ops", "year": "7"})
    assert event.event_at.isoformat() == "1970-01-02T00:00:00+00:00"


def test_bytes_are_a_document_as_they_are(site: Site) -> None:
    fields = [{"name": "file", "type": "bytes"}, {"name": "media_type", "type": "string"}]
    site.hold(1, avro(*fields))
    value = {"text": "", "file": b"%PDF-\xff\x00", "media_type": "application/pdf"}
    event = site.event(framed(1, written(avro(*fields), value)), fields={"content": "file"})
    assert (event.content, event.media_type) == (b"%PDF-\xff\x00", "application/pdf")


def test_a_json_value_must_match_the_schema_and_what_that_refers_to(site: Site) -> None:
    schema = {"type": "object", "properties": {"text": {"$ref": "line.json"}}, "required": ["text"]}
    needed = [{"name": "line.json", "subject": "a line", "version": 2}]
    site.hold(1, {"schema": json.dumps(schema), "schemaType": "JSON", "references": needed})
    site.held["/subjects/a line/versions/2"] = {"schema": json.dumps({"type": "string", "maxLength": 9})}
    assert site.event(framed(1, b'{"text": "Short."}')).content == b"Short."
    assert site.refusal(framed(1, b'{"text": "Much too long."}')) is Reason.EVENT_SCHEMA
    assert site.refusal(framed(1, b'{"text": ')) is Reason.EVENT_UNDECODABLE
    assert site.refusal(framed(1, b"[" * 100_000)) is Reason.EVENT_UNDECODABLE


def test_a_reference_that_the_registry_did_not_give_is_not_fetched(site: Site) -> None:
    schema = {"$ref": f"{site.url}/elsewhere"}
    site.hold(1, {"schema": json.dumps(schema), "schemaType": "JSON"})
    site.held["/elsewhere"] = {"type": "object"}
    assert site.refusal(framed(1, b"{}")) is Reason.SCHEMA_UNUSABLE
    assert site.asked == ["/schemas/ids/1"]


def proto() -> descriptor_pb2.FileDescriptorProto:
    """`message Other {} message Doc { string text; int64 revision; Timestamp at; … message Part { string text; } }`."""
    file = descriptor_pb2.FileDescriptorProto(name="doc.proto", package="acme", syntax="proto3")
    file.dependency.extend(["line.proto", "google/protobuf/timestamp.proto", "google/protobuf/wrappers.proto"])
    file.dependency.extend(["google/protobuf/struct.proto", "google/protobuf/any.proto"])
    file.message_type.add(name="Other")
    doc = file.message_type.add(name="Doc")
    part = doc.nested_type.add(name="Part")
    part.field.add(name="text", number=1, type=9, label=1)
    entry = doc.nested_type.add(name="MetadataEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=9, label=1)
    entry.field.add(name="value", number=2, type=3, label=1)
    wanted = [
        ("revision", 3, 1, ""), ("at", 11, 1, ".google.protobuf.Timestamp"), ("media_type", 11, 1, ".acme.Line"),
        ("text", 11, 1, ".google.protobuf.StringValue"), ("acl", 9, 3, ""), ("kind", 14, 1, ".acme.Kind"),
        ("metadata", 11, 3, ".acme.Doc.MetadataEntry"), ("more", 11, 1, ".google.protobuf.Struct"),
        ("any", 11, 1, ".google.protobuf.Any"),
    ]  # fmt: skip
    for number, (name, kind, label, of) in enumerate(wanted, 1):
        doc.field.add(name=name, number=number, type=kind, label=label, type_name=of or None)
    kind = file.enum_type.add(name="Kind")
    kind.value.add(name="UNKNOWN", number=0)
    kind.value.add(name="REPORT", number=1)
    return file


def serialized(file: descriptor_pb2.FileDescriptorProto) -> str:
    return base64.b64encode(file.SerializeToString()).decode()


def hold_proto(site: Site, number: int = 1) -> None:
    line = descriptor_pb2.FileDescriptorProto(name="x", package="acme", syntax="proto3")
    line.message_type.add(name="Line").field.add(name="text", number=1, type=9, label=1)
    needed = [{"name": "line.proto", "subject": "line", "version": 1}]
    site.hold(number, {"schema": serialized(proto()), "schemaType": "PROTOBUF", "references": needed})
    site.held["/subjects/line/versions/1"] = {"schema": serialized(line), "schemaType": "PROTOBUF"}


def field(number: int, body: bytes) -> bytes:
    return bytes([number << 3 | 2, len(body)]) + body


def test_a_protobuf_value_is_an_event_without_generated_code(site: Site) -> None:
    hold_proto(site)
    text = wrappers_pb2.StringValue(value="The pump leaks.")
    any_value = any_pb2.Any(type_url="type.googleapis.com/acme.Nowhere")
    body = b"".join((
        b"\x08\xac\x02", field(2, timestamp_pb2.Timestamp(seconds=86_400).SerializeToString()),
        field(3, field(1, b"text/plain")), field(4, text.SerializeToString()),
        field(5, b"group:ops"), b"\x30\x01", field(7, field(1, b"year") + b"\x10\x07"),
        field(8, struct_pb2.Struct(fields={"a": struct_pb2.Value(number_value=1)}).SerializeToString()),
        field(9, any_value.SerializeToString()),
    ))  # fmt: skip
    fields = {"event_time": "at", "media_type": "media_type.text"}
    event = site.event(framed(1, b"\x02\x02" + body), fields=fields)
    assert (event.content, event.acl, event.media_type) == (b"The pump leaks.", ("group:ops",), "text/plain")
    assert dict(event.metadata) == {"year": "7"}
    assert event.event_at.isoformat() == "1970-01-02T00:00:00+00:00"


def test_the_place_of_a_protobuf_message_is_followed_into_nested_ones_and_nowhere_else(site: Site) -> None:
    hold_proto(site)
    assert site.event(framed(1, b"\x04\x02\x00" + field(1, b"A part."))).content == b"A part."
    for place in (b"", b"\x02\x14", b"\x02\x01", b"\x01", b"\xff\xff\xff\xff\x0f", b"\x80" * 9, b"\x04\x02"):
        assert site.refusal(framed(1, place)) is Reason.EVENT_UNDECODABLE
    assert site.refusal(framed(1, b"\x02\x02\x0a\x7f")) is Reason.EVENT_UNDECODABLE


def test_a_registry_that_gives_the_text_of_a_proto_is_said_to(site: Site) -> None:
    site.hold(1, {"schema": 'syntax = "proto3"; message Doc {}', "schemaType": "PROTOBUF"})
    with pytest.raises(InvalidInput, match="format=serialized") as refused:
        site.event(framed(1, b"\x00"))
    assert refused.value.reason is Reason.SCHEMA_UNUSABLE


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", Reason.EVENT_UNDECODABLE),
        (b'{"text": "plain JSON"}', Reason.EVENT_UNDECODABLE),
        (b"\x00\x00\x00", Reason.EVENT_UNDECODABLE),
        (framed(9, b"\x02a"), Reason.SCHEMA_UNKNOWN),
        (framed(1, b""), Reason.EVENT_UNDECODABLE),
        (framed(1, b"\x10cut"), Reason.EVENT_UNDECODABLE),
        (framed(1, b"\x02a and more"), Reason.EVENT_UNDECODABLE),
        (framed(1, b"\x02\xff"), Reason.EVENT_UNDECODABLE),
        (framed(1, b"\xff" * 20), Reason.EVENT_UNDECODABLE),
        (framed(2, b"\x02a"), Reason.EVENT_INVALID),
        (framed(3, b""), Reason.SCHEMA_UNUSABLE),
        (framed(4, b""), Reason.SCHEMA_UNUSABLE),
        (framed(5, b""), Reason.SCHEMA_UNUSABLE),
    ],
)
def test_a_value_that_means_nothing_is_refused_for_a_reason(site: Site, value: bytes, reason: Reason) -> None:
    site.hold(1, avro())
    site.hold(2, {"schema": '"string"'})
    site.hold(3, {"schema": "{"})
    site.hold(4, {"schema": "", "schemaType": "XML"})
    site.hold(5, {"schema": "x" * 2_000_000})
    assert site.refusal(value) is reason


@pytest.mark.parametrize(
    "hostile",
    [
        pytest.param(
            {"type": "record", "name": "N", "fields": [{"name": "next", "type": ["null", "N"]}]}, id="recursion"
        ),
        pytest.param({"type": "array", "items": "null"}, id="elements of no bytes"),
        pytest.param(
            {"type": "map", "values": {"type": "array", "items": {"type": "record", "name": "E", "fields": []}}},
            id="empty records",
        ),
    ],
)  # fmt: skip
def test_a_schema_by_which_few_bytes_fill_the_memory_or_the_stack_is_refused(site: Site, hostile: Any) -> None:
    site.hold(1, avro({"name": "more", "type": hostile}))
    assert site.refusal(framed(1, b"\x02" * 900_000)) is Reason.SCHEMA_UNUSABLE


def test_one_schema_is_asked_for_once_and_only_the_newest_are_kept(site: Site) -> None:
    for number in range(300):
        site.hold(number, avro())
    decoder = site.decoder()
    values = [framed(number, written(avro(), {"text": "a"})) for number in range(300)]
    for value in (values[0], values[0], *values):
        decoder.event(record(value))
    assert len(site.asked) == 300
    decoder.event(record(values[299]))
    assert len(site.asked) == 300
    decoder.event(record(values[0]))
    assert len(site.asked) == 301
    decoder.close()


def test_a_null_value_deletes_without_asking(site: Site) -> None:
    decoder = site.decoder()
    assert decoder.event(record(None)).content is None
    assert site.asked == []


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (500, Reason.REGISTRY_UNAVAILABLE),
        (429, Reason.REGISTRY_UNAVAILABLE),
        (302, Reason.REGISTRY_UNAVAILABLE),
        (404, Reason.REGISTRY_UNAVAILABLE),
        (401, Reason.ACCESS_REFUSED),
        (403, Reason.ACCESS_REFUSED),
    ],
)
def test_an_answer_that_says_nothing_of_the_schema_is_no_refusal_of_the_message(
    site: Site, status: int, reason: Reason
) -> None:
    site.status = status
    with pytest.raises(Unavailable) as away:
        site.event(framed(1, b"\x02a"))
    assert away.value.reason is reason


def test_a_registry_that_is_away_or_must_not_be_called_is_no_refusal_of_the_message(site: Site) -> None:
    tried: list[tuple[Callable[[], Event], Reason]] = [
        (lambda: site.event(framed(1, b""), policy=FetchPolicy(ports=ANY_PORT)), Reason.SSRF_BLOCKED),
        (lambda: site.event(framed(1, b""), policy=FetchPolicy()), Reason.URL_PORT),
        (lambda: site.event(framed(1, b""), url=f"http://127.0.0.1:{free_port()}"), Reason.REGISTRY_UNAVAILABLE),
    ]
    for ask, reason in tried:
        with pytest.raises(Unavailable) as away:
            ask()
        assert away.value.reason is reason
    assert site.asked == []


def test_credentials_come_from_where_the_options_say(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.hold(1, avro())
    site.demands = "Basic " + base64.b64encode(b"ann:s3cret").decode()
    auth = {"type": "basic", "user": "ann", "password": {"env": "RAG_SECRET_REGISTRY"}}
    value = framed(1, written(avro(), {"text": "a"}))
    with pytest.raises(Unavailable) as missing:
        site.event(value, auth=auth)
    assert missing.value.reason is Reason.SECRET_MISSING
    monkeypatch.setenv("RAG_SECRET_REGISTRY", "s3cret")
    assert site.event(value, auth=auth).content == b"a"
    with pytest.raises(Unavailable) as refused:
        site.event(value)
    assert refused.value.reason is Reason.ACCESS_REFUSED


def test_a_registry_with_a_private_ca_is_trusted_by_its_file_alone(tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with HTTPServer(host="localhost", ssl_context=context) as server:
        site = Site(server)
        site.hold(1, avro())
        value = framed(1, written(avro(), {"text": "a"}))
        assert site.event(value, ca_file=str(certificate)).content == b"a"
        with pytest.raises(Unavailable) as distrusted:
            site.event(value)
        assert distrusted.value.reason is Reason.REGISTRY_UNAVAILABLE
        with pytest.raises(ConfigError):
            site.event(value, ca_file=str(tmp_path / "nowhere"))


def options(**security: object) -> KafkaOptions:
    given = {"kind": "topic", "brokers": "localhost:9092", "topic": "tickets", "security": security}
    return KafkaOptions.model_validate(given)


def test_user_name_and_password_come_from_the_places_that_the_options_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "password").write_text("of the file\n")
    monkeypatch.setenv("RAG_SECRET_USER", "ann")
    places = {"username": {"env": "RAG_SECRET_USER"}, "password": {"file": str(tmp_path / "password")}}
    asked = options(protocol="SASL_SSL", **places)
    for config in (consumer_config(asked, SOURCE), producer_config(asked)):
        assert (config["sasl.username"], config["sasl.password"]) == ("ann", "of the file")


def test_a_secret_that_is_not_set_is_named_and_nothing_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAG_SECRET_USER", raising=False)
    place = {"env": "RAG_SECRET_USER"}
    with pytest.raises(ConfigError, match="RAG_SECRET_USER") as caught:
        consumer_config(options(protocol="SASL_SSL", username=place, password=place), SOURCE)
    assert caught.value.reason is Reason.SECRET_MISSING


def test_without_sasl_no_secret_is_needed() -> None:
    assert "sasl.username" not in consumer_config(options(), SOURCE)


def test_brokers_that_do_not_answer_are_said_once(
    capfd: pytest.CaptureFixture[str], free_tcp_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rag_assets.connectors.kafka.connector.BROKER_SECONDS", 0.5)
    topic = KafkaOptions(kind="topic", brokers=f"127.0.0.1:{free_tcp_port}", topic="events")
    found = KafkaConnector(topic, Source("events", "acme", "kafka")).check()
    assert (found["ok"], found["error"].partition(":")[0]) == (False, "BROKER_UNAVAILABLE")
    assert "".join(capfd.readouterr()) == ""
