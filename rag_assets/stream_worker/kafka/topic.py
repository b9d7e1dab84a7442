"""The broker's description of a topic, requested beside the consumer: id, partitions, leaders, ends."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from confluent_kafka import KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec

from rag_assets.connectors.kafka.brokers import require_advertised
from rag_assets.connectors.kafka.client import admin_config, explained, is_about_access
from rag_assets.connectors.kafka.options import KafkaOptions
from rag_core.errors import RagError, Reason, Unavailable
from rag_core.http_client import OwnParts

ASK_SECONDS: Final = 3.0
_EARLIEST, _LATEST = OffsetSpec.earliest(), OffsetSpec.latest()  # type: ignore[no-untyped-call]
_NO_ID: Final = "AAAAAAAAAAAAAAAAAAAAAA"


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as it is now. `id` is empty when the broker gives none; `leaders` says which partitions have one."""

    id: str
    leaders: Mapping[int, bool]

    @property
    def led(self) -> list[int]:
        return [number for number, has in self.leaders.items() if has]


class TopicObserver:
    """Asks about one topic. `look` never blocks: its question is asked by a thread. The others wait for `ASK_SECONDS`
    a question."""

    def __init__(self, options: KafkaOptions, name: str, own: OwnParts) -> None:
        self._topic, self._name, self._own = options.topic, name, own
        self._admin = AdminClient(admin_config(options), error_cb=self._on_error)
        self._refusal: KafkaError | None = None
        self._asking = ThreadPoolExecutor(1, thread_name_prefix="observe-topic")
        self._asked: Future[Topic] | None = None
        self._last = 0.0

    def poll(self, every: float) -> Topic | RagError | None:
        """The newest answer, once; `None` while there is none. Asks again `every` so many seconds."""
        if self._asked is None and time.monotonic() - self._last >= every:
            self._asked, self._last = self._asking.submit(self.describe), time.monotonic()
        if self._asked is None or not self._asked.done():
            return None
        asked, self._asked = self._asked, None
        try:
            return asked.result()
        except RagError as error:
            return error

    def describe(self) -> Topic:
        """Raises `Unavailable` (`BROKER_UNAVAILABLE`, `BROKER_REFUSED`)."""
        try:
            # First, because it also updates the client's list of brokers.
            cluster = self._admin.list_topics(self._topic, timeout=ASK_SECONDS)
            require_advertised(cluster, self._own)
            found = cluster.topics[self._topic]
            if found.error is not None:
                raise explained(self._name, found.error)
            topic_id = self._id()
        except KafkaException as error:
            self._admin.poll(0)
            refusal, self._refusal = self._refusal, None
            # Of a broker that let nobody in, the client itself says no more than that it did not answer.
            raise explained(self._name, refusal or error.args[0]) from None
        except TimeoutError:
            raise Unavailable(Reason.BROKER_UNAVAILABLE, f"{self._name}: the broker does not answer") from None
        self._refusal = None
        return Topic(topic_id, {number: one.leader >= 0 for number, one in found.partitions.items()})

    def close(self) -> None:
        self._asking.shutdown(wait=False, cancel_futures=True)

    def ends(self, numbers: Iterable[int]) -> dict[int, tuple[int, int]]:
        """The first offset and the end of these partitions, as far as the broker gives them now."""
        low, high = (self._offsets(numbers, spec) for spec in (_EARLIEST, _LATEST))
        return {number: (low[number], high[number]) for number in low.keys() & high.keys()}

    def _offsets(self, numbers: Iterable[int], spec: OffsetSpec) -> dict[int, int]:
        wanted = {TopicPartition(self._topic, number): spec for number in numbers}
        if not wanted:
            return {}
        found = {}
        for place, asked in self._admin.list_offsets(wanted, request_timeout=ASK_SECONDS).items():
            try:
                found[place.partition] = int(asked.result(ASK_SECONDS + 1).offset)
            except (KafkaException, TimeoutError):
                continue
        return found

    def _id(self) -> str:
        wanted = TopicCollection([self._topic])
        try:
            asked = self._admin.describe_topics(wanted, request_timeout=ASK_SECONDS)[self._topic]
            found = str(asked.result(ASK_SECONDS + 1).topic_id or "")
        except KafkaException as error:
            if error.args[0].code() == KafkaError._UNSUPPORTED_FEATURE:
                return ""
            raise
        return "" if found == _NO_ID else found

    def _on_error(self, error: KafkaError) -> None:
        if is_about_access(error):
            self._refusal = error
