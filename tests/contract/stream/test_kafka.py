"""What is particular to a topic: dead letters beside it, its offsets, its rebalances, its silences."""

from __future__ import annotations

import json
import threading
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import text
from standardwebhooks import Webhook as Verifier

from benchmarks.ports import free_port
from rag_assets.connectors.kafka.connector import KafkaConnector
from rag_assets.stream_worker.kafka.events import KafkaEvents
from rag_assets.stream_worker.kafka.source import KafkaSource
from rag_core.errors import Conflict, Reason
from rag_core.governance import webhooks
from tests.contract.stream.conftest import KafkaHarness
from tests.support.kafka_broker import Broker, start_broker

SECONDS = 20.0


def consume(harness: KafkaHarness, source: KafkaSource, count: int) -> None:
    """Run the pump until so many messages have gone through it."""
    consumer_loop = harness.stream.consumer_loop(source)
    deadline = time.monotonic() + SECONDS
    done = 0
    while done < count and time.monotonic() < deadline:
        batch = source.poll(0.5)
        if batch:
            consumer_loop.process(batch)
        done += len(batch)
    assert done >= count


def letters(harness: KafkaHarness) -> dict[int, Any]:
    return {row.offset: row for row in harness.stream.all("SELECT * FROM rag.dead_letters")}


@pytest.mark.catalogue("B64", "B65", "B68")
def test_what_is_no_event_is_a_dead_letter_with_its_place_and_the_rest_is_applied(
    topic: KafkaHarness, broker: Broker
) -> None:
    bad = [
        (None, {"text": "No key."}, "KEY_MISSING"),
        ("a", b"not json", "EVENT_INVALID"),
        ("a", ["a list"], "EVENT_INVALID"),
        ("a", {"title": "no text"}, "EVENT_INVALID"),
        ("a", {"text": 5}, "EVENT_INVALID"),
        ("a", {"text": "x", "tenant": "other"}, "TENANT_MISMATCH"),
        ("a", {"text": "x", "acl": ["nobody"]}, "EVENT_INVALID"),
        ("a", b"x" * 900, "MESSAGE_TOO_LARGE"),
    ]
    dead = broker.topic(name=f"{topic.topic}-dead")
    options = topic.options.model_copy(update={"dead_letter_topic": dead, "max_message_bytes": 800})
    topic.options = options
    broker.produce(topic.topic, *[(key, value) for key, value, _ in bad])
    broker.produce(topic.topic, ("ok", {"text": "Fine.", "tenant": "acme", "more": {"is": "ignored"}}))
    source = topic.open()
    consume(topic, source, len(bad) + 1)
    assert {offset: row.reason for offset, row in letters(topic).items()} == {
        number: reason for number, (_, _, reason) in enumerate(bad)
    }
    assert topic.stream.texts() == {"ok": "Fine."}
    first = broker.read(dead, len(bad))[0]
    headers = {name: value.decode() for name, value in first.headers()}
    assert headers["rag-reason"] == "KEY_MISSING"
    assert (headers["rag-stage"], headers["rag-topic"]) == ("decode", topic.topic)
    assert (headers["rag-partition"], headers["rag-offset"]) == ("0", "0")
    assert json.loads(first.value()) == {"text": "No key."}


@pytest.mark.catalogue("B64")
def test_a_null_value_deletes(topic: KafkaHarness) -> None:
    topic.put("a", "Text.")
    topic.delete("a")
    topic.delete("never seen")
    consume(topic, topic.open(), 3)
    assert topic.stream.texts() == {}


def test_a_field_orders_the_changes_whatever_their_offsets(topic: KafkaHarness, broker: Broker) -> None:
    topic.options = topic.options.model_copy(update={"version": "meta.rev"})
    for revision in (3, 1, 2):
        broker.produce(topic.topic, ("a", {"text": f"Revision {revision}.", "meta": {"rev": revision}}))
    broker.produce(topic.topic, ("a", None), headers={"source_version": b"2"})
    broker.produce(topic.topic, ("b", {"text": "No revision."}), ("c", None))
    consume(topic, topic.open(), 6)
    assert topic.stream.texts() == {"a": "Revision 3."}
    assert {row.reason for row in letters(topic).values()} == {"EVENT_INVALID"}


def test_a_schema_decides_what_a_message_may_be(topic: KafkaHarness, broker: Broker, tmp_path: Any) -> None:
    schema = tmp_path / "schema.json"
    schema.write_text(json.dumps({"type": "object", "required": ["text", "team"]}))
    topic.options = topic.options.model_copy(update={"schema_file": str(schema)})
    broker.produce(topic.topic, ("a", {"text": "No team."}), ("b", {"text": "Fine.", "team": "ops"}))
    consume(topic, topic.open(), 2)
    assert {row.reason for row in letters(topic).values()} == {"EVENT_SCHEMA"}
    assert topic.stream.texts() == {"b": "Fine."}


def test_what_became_of_a_change_is_reported_on_the_completion_topic(topic: KafkaHarness, broker: Broker) -> None:
    message = broker.topic(name=f"{topic.topic}-done")
    topic.options = topic.options.model_copy(update={"completion_topic": message})
    topic.put("a", "Text.")
    consume(topic, topic.open(), 1)
    said = json.loads(broker.read(message, 1)[0].value())
    assert (said["outcome"], said["source_version"], said["offset"]) == ("applied", 1, 0)
    assert said["doc_id"] == str(topic.stream.flow.doc_id("a"))


def test_a_subscription_sends_events_to_the_completion_topic_signed(
    topic: KafkaHarness, broker: Broker, tmp_path: Path
) -> None:
    done, moved = (broker.topic(name=f"{topic.topic}-{name}") for name in ("events", "moved"))

    def write_file(completion_topic: str) -> None:
        options = {"kind": "topic", "brokers": topic.options.brokers, "topic": topic.topic, "consume": "batch"}
        options["completion_topic"] = completion_topic
        file = {"name": "tickets", "tenant": "acme", "acl": ["everyone"], "options": options}
        component = {"type": "rag_assets.components.DocumentSource", "attributes": file}
        (tmp_path / "tickets.yaml").write_text(json.dumps(component))

    write_file(done)
    key = "0123456789abcdef0123456789abcdefXYZ"
    settings = topic.stream.settings.model_copy(update={"sources_dir": tmp_path, "webhook_secret": SecretStr(key)})
    store = topic.stream.store
    with store.engine.begin() as connection:
        wanted = webhooks.NewWebhook("acme", "kafka:tickets", ["document.*"])
        made = webhooks.store.create(connection, wanted, actor="acme/ann")
        webhooks.store.create(connection, replace(wanted, url="kafka:absent"), actor="acme/ann")
    topic.put("a", "Text.")
    consume(topic, topic.open(), 1)
    kafka = KafkaEvents(settings, read_seconds=0)
    with closing(webhooks.Dispatcher(store, settings, kafka=kafka)) as dispatcher:
        dispatcher.deliver_due()
        write_file(moved)  # the worker runs on, and sends to the new topic
        with store.engine.begin() as connection:
            webhooks.outbox_store.record_test(connection, made, actor="acme/ann")
        dispatcher.deliver_due()
    assert json.loads(broker.read(moved, 1)[0].value())["type"] == "webhook.test"
    secret = webhooks.secret_of(key.encode(), made.id, made.secret_number)
    said = []
    for message in broker.read(done, 1):
        headers = {name: value.decode() for name, value in message.headers()}
        said.append(Verifier(secret).verify(message.value(), headers))
    assert [(one["type"], one["data"]["locator"]) for one in said] == [("document.indexed", "a")]
    with store.engine.connect() as connection:
        states = {(one.webhook_id == made.id, one.state, one.reason)
                  for one in webhooks.delivery_store.find(connection, tenant="acme")}  # fmt: skip
    assert states == {(True, "delivered", ""), (False, "pending", "SOURCE_NOT_FOUND")}


@pytest.mark.catalogue("F20")
def test_a_batch_longer_than_the_poll_interval_keeps_its_place_in_the_group(topic: KafkaHarness) -> None:
    topic.put("a", "Text.")
    source = topic.open()
    consumer_loop = topic.stream.consumer_loop(source)
    batch = source.poll(SECONDS)
    # Longer than max.poll.interval.ms of this group: time itself is what is tested.
    threading.Event().wait(topic.options.max_poll_interval_ms / 1000 + 0.5)
    consumer_loop.process(batch)
    topic.put("b", "Text.")
    consume(topic, source, 1)
    assert set(topic.stream.texts()) == {"a", "b"}
    assert consumer_loop.counts["stale"] == 0


@pytest.mark.catalogue("F48")
def test_a_position_that_is_not_in_the_topic_stops_the_stream(topic: KafkaHarness) -> None:
    topic.put("a", "Text.")
    with topic.stream.store.engine.begin() as connection:
        connection.execute(
            text("INSERT INTO rag.stream_offsets VALUES ('acme/tickets', :topic, 0, 4711)"), {"topic": topic.topic}
        )
    source = topic.open()
    topic.stream.consumer_loop(source)
    with pytest.raises(Conflict) as stopped:
        consume(topic, source, 1)
    assert stopped.value.reason is Reason.OFFSET_OUT_OF_RANGE
    assert topic.stream.texts() == {}


@pytest.mark.catalogue("F48")
def test_a_position_behind_the_last_batch_is_in_the_topic_whatever_the_broker_calls_its_end(
    topic: KafkaHarness, broker: Broker
) -> None:
    """This broker names the start of its last batch as the end; after a restart that must not stop the stream."""
    broker.produce(topic.topic, *[(f"d{number}", {"text": f"Text {number}."}) for number in range(6)])
    source = topic.open()
    consume(topic, source, 6)
    source.close()
    connector = KafkaConnector(topic.options, topic.source)
    assert connector.ends() == {0: (0, 6)}, "what `rag stream reset --to latest` and `rag source check` go by"
    again = topic.open()
    while not again.at_end():
        assert again.poll(0.1) == []
    topic.put("new", "New.")
    consume(topic, again, 1)
    assert topic.stream.texts()["new"] == "New."


@pytest.mark.catalogue("F48")
def test_a_broker_that_comes_back_is_found_again_and_a_topic_made_again_is_noticed(topic: KafkaHarness) -> None:
    port = free_port()
    broker = start_broker(port)
    again = None
    try:
        broker.topic(name=topic.topic)
        topic.options = topic.options.model_copy(update={"brokers": broker.address})
        broker.produce(topic.topic, *[(f"d{number}", {"text": f"Text {number}."}) for number in range(5)])
        source = topic.open()
        consume(topic, source, 5)
        source.close()
        broker.stop()
        again = start_broker(port)  # it kept nothing: the topic is another one of the same name
        again.topic(name=topic.topic)
        again.produce(topic.topic, ("new", {"text": "New."}))
        with pytest.raises(Conflict) as stopped:
            consume(topic, topic.open(), 1)
        assert stopped.value.reason is Reason.TOPIC_RECREATED
    finally:
        broker.stop()
        if again is not None:
            again.stop()


def test_a_second_consumer_takes_its_share_and_nothing_is_lost_or_repeated(stream: Any, broker: Broker) -> None:
    harness = KafkaHarness(stream, broker, partitions=2)
    first = harness.open()
    for number in range(10):
        harness.put(f"d{number}", f"Text {number}.")
    consume(harness, first, 10)
    second = harness.open()
    pumps = [harness.stream.consumer_loop(first), harness.stream.consumer_loop(second)]
    for number in range(10, 30):
        harness.put(f"d{number}", f"Text {number}.")
    deadline = time.monotonic() + SECONDS
    while len(harness.stream.texts()) < 30 and time.monotonic() < deadline:
        for consumer_loop in pumps:
            if batch := consumer_loop.source.poll(0.2):
                consumer_loop.process(batch)
    assert len(harness.stream.texts()) == 30
    assert {row.version for row in harness.stream.all("SELECT version FROM rag.documents")} == {1}


def test_a_full_buffer_pauses_the_topic_and_memory_stays_bounded(topic: KafkaHarness) -> None:
    topic.options = topic.options.model_copy(update={"buffer_messages": 10})
    topic.broker.produce(topic.topic, *[(f"d{number}", {"text": "word " * 50}) for number in range(400)])
    source = topic.open(stream_batch_events=5)
    assert source.poll(SECONDS)
    held = 0
    for _ in range(40):
        held = max(held, len(source._buffer))
        source.poll(0.05)
    assert held <= 10 + 2 * 5
    source.close()
