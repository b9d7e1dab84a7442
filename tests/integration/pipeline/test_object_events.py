"""Event notifications of a bucket through a queue: what changed is searchable, and what is gone is not, in one pass."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from rag_assets.config import SourceConfig
from rag_assets.connectors.s3.events import read_notification
from rag_assets.stream_worker.object_events import ObjectEvents, apply_named, event_configs
from rag_core.errors import Conflict, InvalidInput, Reason, Unavailable
from tests.support.s3 import REGION, Bucket, client
from tests.support.stream import StreamHarness
from tests.support.waiting import eventually
from tests.unit.stream_worker.conftest import stream  # noqa: F401


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


def test_only_sources_with_events_are_read(stream: StreamHarness) -> None:  # noqa: F811
    assert event_configs(stream.settings) == []


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
    ],
)  # fmt: skip
def test_every_form_of_a_notification_is_read(body: str, found: list[tuple[str, str]]) -> None:
    assert read_notification(body) == found


@pytest.mark.parametrize("body", ["", "[]", "1", "null", "{}", '{"Records": 1}', '{"Records": [{}]}', "[" * 100_000,
                                  '{"detail": "x"}', '{"Type": "Notification", "Message": "x"}'])  # fmt: skip
def test_a_message_that_is_none_has_a_typed_error(body: str) -> None:
    with pytest.raises(InvalidInput):
        read_notification(body)
