"""Feeds of the stream worker: pushes into the inbox, messages on a topic."""

from __future__ import annotations

import json
import os
from typing import Protocol

from rag_core.content.streams import PushedChange
from rag_core.content.streams import inbox_store as inbox
from rag_core.database import Store, open_store
from rag_core.errors import Reason, Unavailable
from rag_core.governance.access import EVERYONE
from rag_core.ids import document_id
from rag_core.settings import Settings

TENANT = "bench"
_BROKER_SECONDS = 30.0
_SOURCE = """
type: rag_assets.components.DocumentSource
attributes:
  name: topic
  tenant: bench
  acl: [everyone]
  options: {{kind: topic, brokers: "{brokers}", topic: {topic}, session_timeout_ms: 6000}}
"""


class Feed(Protocol):
    """The interface through which the benchmark writes its changes."""

    name: str

    def push(self, number: int, content: str | None) -> str:
        """Hand a change over, durably; `None` deletes. Returns the id of the document."""
        ...

    def close(self) -> None: ...


class InboxFeed:
    """As `documents.v1` does it: one committed row per change."""

    name = "inbox"

    def __init__(self, settings: Settings) -> None:
        self._store: Store = open_store(settings)

    def push(self, number: int, content: str | None) -> str:
        raw = content.encode() if content is not None else None
        acl = (EVERYONE,) if raw is not None else None
        change = PushedChange(TENANT, "push", f"{number}.txt", "bench", raw, "text/plain", acl=acl)
        with self._store.engine.begin() as connection:
            return str(inbox.accept(connection, change, max_pending=10**6).doc_id)

    def close(self) -> None:
        self._store.close()


class TopicFeed:
    """A topic of its own on a running broker, and the source file that has the worker read it."""

    name = "topic"

    def __init__(self, settings: Settings, brokers: str) -> None:
        from confluent_kafka import Producer
        from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

        self._topic = f"rag-bench-{os.getpid()}"
        admin = AdminClient({"bootstrap.servers": brokers})
        for future in admin.create_topics([NewTopic(self._topic, 1, 1)]).values():
            future.result(_BROKER_SECONDS)
        self._producer = Producer({"bootstrap.servers": brokers, "linger.ms": 0, "acks": "all"})
        folder = settings.effective_sources_dir
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "topic.yaml").write_text(_SOURCE.format(brokers=brokers, topic=self._topic))

    def push(self, number: int, content: str | None) -> str:
        locator = f"{number}.txt"
        value = None if content is None else json.dumps({"text": content}).encode()
        self._producer.produce(self._topic, key=locator, value=value, on_delivery=_delivered)
        self._producer.poll(0)
        return str(document_id(TENANT, "topic", locator))

    def close(self) -> None:
        if left := self._producer.flush(_BROKER_SECONDS):
            raise Unavailable(Reason.BROKER_UNAVAILABLE, f"{left} messages were not delivered")


def _delivered(error: object, _message: object) -> None:
    if error is not None:
        raise Unavailable(Reason.BROKER_UNAVAILABLE, f"a message was not delivered: {error}")
