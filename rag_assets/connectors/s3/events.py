"""The queue that holds the event notifications of a bucket."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rag_assets.connectors.filesystem import names
from rag_assets.connectors.s3.client import AwsClient
from rag_assets.connectors.s3.options import S3Options
from rag_core.content.streams import read_message
from rag_core.errors import ConfigError, InvalidInput, Reason
from rag_core.http_client import FetchPolicy, Pacing
from rag_core.logging import get_logger

log = get_logger(__name__)
_AT_ONCE: Final = 10
"""SQS hands out, and forgets, so many messages a request."""
_ROUNDS: Final = 20
_SPARE_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Notices:
    """Messages of a queue: the objects that something happened to, and the call that deletes the messages."""

    locators: tuple[str, ...]
    receipts: tuple[str, ...]


class EventQueue:
    """The SQS queue of a source."""

    def __init__(self, options: S3Options, policy: FetchPolicy) -> None:
        if options.events is None:
            raise ConfigError(Reason.CONFIG_INVALID, "the source has no `events`")
        events = options.events
        self._bucket, self._url, self._wait = options.bucket, events.queue_url, events.wait_seconds
        scheme, _, rest = events.queue_url.partition("://")
        self._client = AwsClient(
            "sqs",
            options.credentials,
            policy.with_seconds(events.wait_seconds + _SPARE_SECONDS),
            what="the queue of events",
            region=events.region or options.region,
            endpoint=f"{scheme}://{rest.partition('/')[0]}",
            pacing=Pacing(options.requests_per_second, options.attempts, options.max_wait_seconds),
        )

    def receive(self) -> Notices:
        """Wait for messages, and take those that are there by then. Raises as `AwsClient.call`."""
        locators: dict[str, None] = {}
        receipts: list[str] = []
        wait = self._wait
        for _ in range(_ROUNDS):
            said = self._client.call(
                "receive_message", QueueUrl=self._url, MaxNumberOfMessages=_AT_ONCE, WaitTimeSeconds=wait
            )
            messages: Sequence[Mapping[str, Any]] = said.get("Messages", ())
            for message in messages:
                receipts.append(message["ReceiptHandle"])
                locators |= dict.fromkeys(self._named(str(message.get("Body") or "")))
            if len(messages) < _AT_ONCE:
                break
            wait = 0
        return Notices(tuple(locators), tuple(receipts))

    def forget(self, notices: Notices) -> None:
        """Delete messages whose objects are up to date. Raises as `AwsClient.call`."""
        for start in range(0, len(notices.receipts), _AT_ONCE):
            part = notices.receipts[start : start + _AT_ONCE]
            entries = [{"Id": str(number), "ReceiptHandle": receipt} for number, receipt in enumerate(part)]
            said = self._client.call("delete_message_batch", QueueUrl=self._url, Entries=entries)
            if said.get("Failed"):
                code = str(said["Failed"][0].get("Code"))
                log.warning("object_events_not_forgotten", messages=len(said["Failed"]), code=code)

    def close(self) -> None:
        """Close the connections. Idempotent."""
        self._client.close()

    def _named(self, body: str) -> list[str]:
        try:
            return [names.encode(key) for bucket, key in read_message(body) if bucket == self._bucket]
        except InvalidInput as error:
            # It would come back for ever; the next listing finds whatever it was about.
            log.warning("object_event_unusable", reason=error.reason, problem=error.message)
            return []
