"""What the broker says of a topic, asked beside the consumer: its id, its partitions and their leaders, its ends."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec

from rag_assets.connectors.kafka.client import admin_config, explained
from rag_assets.connectors.kafka.options import KafkaOptions
from rag_core.errors import RagError, Reason, Unavailable

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
    """Asks about one topic. `look` never blocks; the others wait up to `ASK_SECONDS`."""

    def __init__(self, options: KafkaOptions, name: str) -> None:
        self._topic, self._name = options.topic, name
        self._admin = AdminClient(admin_config(options), error_cb=self._on_error)
        self._refusal: KafkaError | None = None
        self._asked: Future[Any] | None = None
        self._last = 0.0

    def look(self, every: float) -> Topic | RagError | None:
        """The newest answer, once; `None` while there is none. Asks again `every` so many seconds."""
        self._admin.poll(0)
        if self._asked is None and time.monotonic() - self._last >= every:
            self._asked, self._last = self._ask(), time.monotonic()
        if self._asked is None or not self._asked.done():
            return None
        asked, self._asked = self._asked, None
        try:
            return self._answer(asked)
        except RagError as error:
            return error

    def describe(self) -> Topic:
        """Raises `Unavailable` (`BROKER_UNAVAILABLE`, `BROKER_REFUSED`)."""
        return self._answer(self._ask())

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

    def _ask(self) -> Future[Any]:
        asked = self._admin.describe_topics(TopicCollection([self._topic]), request_timeout=ASK_SECONDS)
        answer: Future[Any] = asked[self._topic]
        return answer

    def _answer(self, asked: Future[Any]) -> Topic:
        try:
            said = asked.result(ASK_SECONDS + 1)
        except KafkaException as error:
            self._admin.poll(0)
            refusal, self._refusal = self._refusal, None
            # Of a broker that let nobody in, the client itself says no more than that it did not answer.
            raise explained(self._name, refusal or error.args[0]) from None
        except TimeoutError:
            raise Unavailable(Reason.BROKER_UNAVAILABLE, f"{self._name}: the broker does not answer") from None
        self._refusal = None
        leaders = {one.id: one.leader is not None and one.leader.id >= 0 for one in said.partitions}
        topic_id = str(said.topic_id or "")
        return Topic("" if topic_id == _NO_ID else topic_id, leaders)

    def _on_error(self, error: KafkaError) -> None:
        if error.code() in (KafkaError._AUTHENTICATION, KafkaError._SSL):
            self._refusal = error
