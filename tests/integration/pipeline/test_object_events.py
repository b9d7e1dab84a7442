"""Event notifications of a bucket through a queue: what changed is searchable, and what is gone is not, in one pass."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from rag_assets.config import SourceConfig
from rag_assets.stream_worker.object_events import ObjectEvents, ObjectNotices, apply_named, bucket_configs
from rag_core.content.streams import notice_store, read_message
from rag_core.errors import Conflict, Exhausted, InvalidInput, NotFound, Reason, Unavailable
from tests.support.s3 import REGION, Bucket, client
from tests.support.stream import StreamHarness
from tests.support.waiting import eventually
from tests.unit.rag_assets.stream_worker.conftest import stream  # noqa: F401


class Announced:
    """A bucket whose changes go to a queue, as its source."""

    def __init__(self, harness: StreamHarness, **more: Any) -> None:
        self.bucket, self.sqs = Bucket.made(), client("sqs")
        self.url = self.sqs.create_queue(QueueName=self.bucket.name)["QueueUrl"]
        arn = f"arn:aws:sqs:{REGION}:123456789012:{self.bucket.name}"
        wanted = [{"QueueArn": arn, "Events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]}]
        self.bucket.api.put_bucket_notification_configuration(
            Bucket=self.bucket.name, NotificationConfiguration={"QueueConfigurations": wanted}
        )
        events = {"queue_url": self.url, "wait_seconds": 1}
        options = self.bucket.options(prefix="docs/", events=events, attempts=1, **more)
        attributes = {"name": "handbook", "tenant": "acme", "acl": ["everyone"], "options": options}
        self.config = SourceConfig.model_validate(attributes)
        harness.flow.source = self.config.source
        self.harness, self.states = harness, list[str]()
        self.stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        reader = ObjectEvents(self.config, self.harness, self.states.append)  # type: ignore[arg-type]
        self._thread = threading.Thread(target=reader.run, args=(self.stopping,))
        self._thread.start()

    def close(self) -> None:
        self.stopping.set()
        if self._thread is not None:
            self._thread.join(30)

    def waiting(self) -> int:
        """Messages that the queue holds, handed out or not."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        said = self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=names)["Attributes"]
        return sum(int(said[name]) for name in names)


@pytest.fixture
def announced(stream: StreamHarness, monkeypatch: pytest.MonkeyPatch) -> Iterator[Announced]:  # noqa: F811
    # Sources may reach this machine here, and no pause between requests is worth its time.
    stream.settings = stream.settings.model_copy(
        update={"fetch_allow_networks": "127.0.0.0/8,::1/128", "fetch_ports": "1-65535"}
    )
    made = Announced(stream)
    yield made
    made.close()


def test_what_a_bucket_announces_is_searchable_and_what_it_lost_is_gone(announced: Announced) -> None:
    bucket, texts = announced.bucket, announced.harness.texts
    bucket.put("docs/old.txt", b"It was there before the queue was read.")
    announced.start()
    assert eventually(lambda: texts().keys() == {"docs/old.txt"})
    bucket.put("docs/new one+.txt", b"Pump 7 needs oil.")
    bucket.put("elsewhere/x.txt", b"Not of this source.")
    assert eventually(lambda: texts().keys() == {"docs/old.txt", "docs/new one+.txt"})
    bucket.put("docs/old.txt", b"It says something else now.")
    bucket.delete("docs/new one+.txt")
    announced.sqs.send_message(QueueUrl=announced.url, MessageBody="not a notification at all")
    # moto announces no deletions, as the queue of a bucket does.
    announced.sqs.send_message(QueueUrl=announced.url, MessageBody=deleted(bucket.name, "docs/new+one%2B.txt"))
    assert eventually(lambda: texts() == {"docs/old.txt": "It says something else now."})
    assert eventually(lambda: announced.waiting() == 0)
    assert announced.states[-1] == "running"


def test_a_queue_that_is_not_there_is_a_state_and_no_end(announced: Announced) -> None:
    announced.sqs.delete_queue(QueueUrl=announced.url)
    announced.start()
    assert eventually(lambda: "waiting: SOURCE_UNAVAILABLE" in announced.states)


def test_a_message_stays_until_its_object_is_searchable(announced: Announced) -> None:
    bucket = announced.bucket
    bucket.put("docs/a.txt", b"Pump 7 needs oil.")
    apply_named(announced.harness, announced.config, ["docs/a.txt"])  # type: ignore[arg-type]
    bucket.put("docs/a.txt", b"Pump 8 needs oil.")
    bucket.drop()
    with pytest.raises(Unavailable):
        apply_named(announced.harness, announced.config, ["docs/a.txt", "docs/b.txt"])  # type: ignore[arg-type]
    assert announced.harness.texts() == {"docs/a.txt": "Pump 7 needs oil."}


def test_an_event_waits_while_deletions_are_held(announced: Announced) -> None:
    bucket = announced.bucket
    bucket.put("docs/a.txt", b"Pump 7 needs oil.")
    apply_named(announced.harness, announced.config, ["docs/a.txt"])  # type: ignore[arg-type]
    with announced.harness.store.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE rag.sources SET held_deletions = 60, held_at = now()")
    bucket.put("docs/b.txt", b"Pump 8 needs none.")
    with pytest.raises(Conflict) as refused:
        apply_named(announced.harness, announced.config, ["docs/b.txt"])  # type: ignore[arg-type]
    assert refused.value.reason is Reason.SOURCE_BUSY
    assert announced.harness.texts().keys() == {"docs/a.txt"}
    with announced.harness.store.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE rag.sources SET held_deletions = 0, held_at = NULL")
    apply_named(announced.harness, announced.config, ["docs/b.txt"])  # type: ignore[arg-type]
    assert announced.harness.texts().keys() == {"docs/a.txt", "docs/b.txt"}


def announce(announced: Announced, *keys: str, bucket: str = "") -> None:
    """Store the objects of a notification, as the API does."""
    place = (announced.config.tenant, announced.config.name)
    named = [(bucket or announced.bucket.name, key) for key in keys]
    with announced.harness.store.engine.begin() as connection:
        notice_store.add(connection, *place, named, max_pending=100)


def told(announced: Announced) -> int:
    with announced.harness.store.engine.connect() as connection:
        return int(connection.exec_driver_sql("SELECT count(*) FROM rag.object_notices").scalar_one())


def test_what_the_api_was_told_is_searchable_and_what_is_gone_is_not(announced: Announced) -> None:
    bucket, texts, states = announced.bucket, announced.harness.texts, list[str]()
    bucket.put("docs/a b.txt", b"Pump 7 needs oil.")
    apply_named(announced.harness, announced.config, ["docs/a b.txt"])  # type: ignore[arg-type]
    bucket.put("docs/new.txt", b"Pump 8 needs none.")
    bucket.delete("docs/a b.txt")
    announce(announced, "docs/a b.txt", "docs/new.txt", "docs/never.txt")
    announce(announced, "docs/new.txt", bucket="another-bucket")
    notices = ObjectNotices([announced.config], announced.harness, lambda _, state: states.append(state))  # type: ignore[arg-type]
    thread = threading.Thread(target=notices.run, args=(announced.stopping,))
    thread.start()
    try:
        assert eventually(lambda: texts() == {"docs/new.txt": "Pump 8 needs none."})
        assert eventually(lambda: told(announced) == 0)
        bucket.drop()
        announce(announced, "docs/new.txt")
        assert eventually(lambda: "waiting: SOURCE_UNAVAILABLE" in states)
        assert told(announced) == 1, "it is tried again"
    finally:
        announced.stopping.set()
        thread.join(30)
    assert texts().keys() == {"docs/new.txt"}


def test_an_event_that_comes_while_its_object_is_looked_at_is_not_forgotten(announced: Announced) -> None:
    place = (announced.config.tenant, announced.config.name)
    bring = announced.harness.flow.source
    with announced.harness.store.engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO rag.sources (tenant, name, kind, shards) VALUES (%s, %s, 's3', 1) ON CONFLICT DO NOTHING",
            (bring.tenant, bring.name),
        )
    announce(announced, "docs/a.txt", "docs/b.txt")
    with announced.harness.store.engine.begin() as connection:
        taken = notice_store.claim(connection, *place, limit=10, seconds=60)
        assert not notice_store.claim(connection, *place, limit=10, seconds=60), "another worker gets none of them"
    announce(announced, "docs/a.txt")
    with announced.harness.store.engine.begin() as connection:
        notice_store.forget(connection, *place, taken)
        assert [one.key for one in notice_store.claim(connection, *place, limit=10, seconds=60)] == ["docs/a.txt"]
        with pytest.raises(Exhausted) as full:
            notice_store.add(connection, *place, [("b", "k")], max_pending=1)
        with pytest.raises(NotFound) as unknown:
            notice_store.add(connection, place[0], "no-bucket", [("b", "k")], max_pending=1)
    assert (full.value.reason, unknown.value.reason) == (Reason.INBOX_FULL, Reason.SOURCE_NOT_FOUND)


def test_a_stack_without_buckets_looks_at_none(stream: StreamHarness) -> None:  # noqa: F811
    assert bucket_configs(stream.settings) == []


def deleted(bucket: str, key: str) -> str:
    return json.dumps({"Records": [{"eventName": "ObjectRemoved:Delete", "s3": _named(bucket, key)}]})


def _named(bucket: str, key: str) -> dict[str, Any]:
    return {"bucket": {"name": bucket}, "object": {"key": key}}


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (deleted("b", "a+b%2Bc.txt"), [("b", "a b+c.txt")]),
        (json.dumps({"source": "aws.s3", "detail-type": "Object Created", "detail": _named("b", "a+b.txt")}),
         [("b", "a+b.txt")]),
        (json.dumps({"Type": "Notification", "Message": deleted("b", "k")}), [("b", "k")]),
        (json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b"}), []),
        (json.dumps({"key": "/buckets/b/a+b.txt", "event_type": "create", "message": {}}), [("b", "a+b.txt")]),
        (json.dumps({"key": "/topics/x", "event_type": "create"}), []),
    ],
)  # fmt: skip
def test_every_form_of_a_notification_is_read(body: str, found: list[tuple[str, str]]) -> None:
    assert read_message(body) == found


@pytest.mark.parametrize("body", ["", "[]", "1", "null", "{}", '{"Records": 1}', '{"Records": [{}]}', "[" * 100_000,
                                  '{"detail": "x"}', '{"Type": "Notification", "Message": "x"}'])  # fmt: skip
def test_a_message_that_is_none_has_a_typed_error(body: str) -> None:
    with pytest.raises(InvalidInput):
        read_message(body)
