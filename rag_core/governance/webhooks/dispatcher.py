"""Send what is due to subscribers: signed, to checked addresses, again after failures, and fair between tenants and
receivers.

At least once: a receiver knows a repeated message by its `webhook-id`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from rag_core.database import Store
from rag_core.errors import Conflict, NotFound, RagError, Reason
from rag_core.governance.webhooks import delivery_store as deliveries
from rag_core.governance.webhooks.base import KAFKA, Delivery, ReceiverResponse, Sender, Webhook
from rag_core.governance.webhooks.delivery_store import AttemptResult
from rag_core.http_client import Fetcher, FetchLimits, FetchPolicy, retry_after
from rag_core.logging import get_logger
from rag_core.settings import Settings

PREFIX: Final = "whsec_"


def require_keys(keys: Sequence[bytes]) -> Sequence[bytes]:
    """Raise `Conflict` (`SECRET_MISSING`) where webhooks cannot be signed."""
    if not keys:
        raise Conflict(Reason.SECRET_MISSING, "webhooks need RAG_WEBHOOK_SECRET, which an administrator sets")
    return keys


def secret_of(key: bytes, webhook_id: str, number: int) -> str:
    """The signing secret of a webhook, as its receiver gets it."""
    return PREFIX + base64.b64encode(_derived(key, webhook_id, number)).decode()


def body_of(delivery: Delivery) -> bytes:
    """The body of a message: `type`, `timestamp`, `data`."""
    message = {
        "type": delivery.type,
        "timestamp": delivery.occurred_at.astimezone(UTC).isoformat(),
        "data": {"tenant": delivery.tenant, **delivery.data},
    }
    return json.dumps(message, separators=(",", ":"), ensure_ascii=False).encode()


def signed_headers(
    keys: Sequence[bytes], webhook: Webhook, message_id: str, body: bytes, now: datetime
) -> dict[str, str]:
    """The three headers. One signature for each secret that is accepted now, so that rotations overlap."""
    timestamp = str(int(now.timestamp()))
    numbers = [webhook.secret_number]
    if webhook.previous_secret_until is not None and now < webhook.previous_secret_until:
        numbers.append(webhook.secret_number - 1)
    said = message_id.encode() + b"." + timestamp.encode() + b"." + body
    signatures = [
        "v1," + base64.b64encode(hmac.new(_derived(key, webhook.id, number), said, hashlib.sha256).digest()).decode()
        for number in numbers
        for key in keys
    ]
    return {"webhook-id": message_id, "webhook-timestamp": timestamp, "webhook-signature": " ".join(signatures)}


def _derived(key: bytes, webhook_id: str, number: int) -> bytes:
    return hmac.new(key, f"webhook:{webhook_id}:{number}".encode(), hashlib.sha256).digest()


log = get_logger(__name__)
_IN_FLIGHT: Final = 32
_IN_FLIGHT_YOUNG: Final = 16
"""Messages that began a moment ago: receivers that all turn slow at once leave the other places to the rest."""
_IN_FLIGHT_OF_TENANT: Final = 4
_AT_ONCE: Final = 4
"""Messages to one webhook at the same time, when its receiver is quick."""
_IN_FLIGHT_SLOW: Final = 8
"""Messages to receivers that were not quick the last time, or are not known yet; the other places are for the rest."""
_QUICK_SECONDS: Final = 1.0
_KNOWN: Final = 10_000
"""Quick receivers that are remembered."""
_FIRST_WAIT_SECONDS: Final = 5.0
_GROWTH: Final = 4.0
_LONGEST_WAIT_SECONDS: Final = 6 * 3600.0
_LONGEST_PAUSE_SECONDS: Final = 60.0
_LEASE_BEYOND_SECONDS: Final = 30.0
_GONE: Final = 410


@dataclass(frozen=True, slots=True)
class _Message:
    """One that is under way."""

    webhook_id: str
    tenant: str
    began: float


class Dispatcher:
    """Sends deliveries that are due. Several processes may run one each: a delivery is claimed by one of them."""

    def __init__(self, store: Store, settings: Settings, *, kafka: Sender | None = None) -> None:
        """`kafka` sends what is subscribed by `kafka:SOURCE`; without it such messages wait for another process."""
        self._store, self._settings = store, settings
        self._http = HttpSender(settings)
        self._kafka = kafka
        self._keys = settings.rotating("webhook_secret")
        self._pool = ThreadPoolExecutor(_IN_FLIGHT, thread_name_prefix="webhook")
        self._guard = threading.Lock()
        self._under_way: dict[int, _Message] = {}
        """By delivery."""
        self._places: dict[str, int] = {}
        """Messages to a webhook at the same time: one more after each quick answer, forgotten after another."""
        self._finished = threading.Event()

    def run(self, stopping: threading.Event) -> None:
        """Work until `stopping` is set. While the database is away, it waits."""
        while not stopping.is_set():
            try:
                started = self.start_due()
            except RagError as error:
                log.warning("webhooks_postponed", reason=error.reason)
                started = 0
            if started:
                self._finished.wait(self._settings.webhook_poll_seconds)
                self._finished.clear()
            else:
                stopping.wait(self._settings.webhook_poll_seconds)

    def start_due(self) -> int:
        """Start sending what is due and has a place; returns how many messages that are."""
        if not self._keys:
            return 0
        with self._guard:
            under_way, known = list(self._under_way.values()), dict(self._places)
        now = time.monotonic()
        young = sum(now - one.began < _QUICK_SECONDS for one in under_way)
        free = min(_IN_FLIGHT - len(under_way), _IN_FLIGHT_YOUNG - young)
        slow_free = _IN_FLIGHT_SLOW - sum(one.webhook_id not in known for one in under_way)
        of_tenant = Counter(one.tenant for one in under_way)
        if free <= 0:
            return 0
        with self._store.engine.begin() as connection:
            found = deliveries.due(connection, sorted({one.webhook_id for one in under_way}))
        started = 0
        for webhook_id, tenant in found:
            allowed = known.get(webhook_id, min(1, slow_free))
            places = min(free - started, _IN_FLIGHT_OF_TENANT - of_tenant[tenant], allowed)
            if places <= 0:
                continue
            begun = self._start(webhook_id, places)
            of_tenant[tenant] += begun
            started += begun
            slow_free -= begun if webhook_id not in known else 0
        return started

    def deliver_due(self) -> int:
        """Send what is due now and wait for all that is under way; returns the number of messages started here."""
        sent = 0
        while True:
            busy = bool(self._under_way)  # asked first: what ends meanwhile may have kept others waiting
            started = self.start_due()
            if not started and not busy:
                return sent
            sent += started
            self._finished.wait(0.05)
            self._finished.clear()

    def close(self) -> None:
        """Wait for messages under way, no longer than each may take."""
        self._pool.shutdown(wait=True)
        self._http.close()
        if self._kafka is not None:
            self._kafka.close()

    def _start(self, webhook_id: str, places: int) -> int:
        lease = self._settings.webhook_timeout_seconds + _LEASE_BEYOND_SECONDS
        with self._store.engine.begin() as connection:
            webhook, claimed = deliveries.claim(connection, webhook_id, lease=lease, limit=places)
        for delivery in claimed:
            with self._guard:
                self._under_way[delivery.id] = _Message(webhook.id, webhook.tenant, time.monotonic())
            self._pool.submit(self._send, webhook, delivery).add_done_callback(self._log_defect)
        return len(claimed)

    def _send(self, webhook: Webhook, delivery: Delivery) -> None:
        try:
            result = self._attempt(webhook, delivery)
            self._learn(webhook.id, quick=result.delivered and result.milliseconds < _QUICK_SECONDS * 1000)
            with self._store.engine.begin() as connection:
                deliveries.record_result(connection, delivery, result)
                deliveries.record_receiver(
                    connection, webhook.id, failed=not result.delivered, most_seconds=_LONGEST_PAUSE_SECONDS
                )
                if result.status == _GONE:
                    deliveries.disable(connection, webhook, result.reason)
        except RagError as error:  # the lease ends, and it is sent again
            log.warning("webhook_result_not_stored", webhook=webhook.id, delivery=delivery.id, reason=error.reason)
        finally:
            with self._guard:
                self._under_way.pop(delivery.id, None)
            self._finished.set()

    def _learn(self, webhook_id: str, *, quick: bool) -> None:
        with self._guard:
            if quick and len(self._places) < _KNOWN:
                self._places[webhook_id] = min(_AT_ONCE, self._places.get(webhook_id, 0) + 1)
            else:
                self._places.pop(webhook_id, None)

    def _attempt(self, webhook: Webhook, delivery: Delivery) -> AttemptResult:
        body = body_of(delivery)
        with self._store.engine.connect() as connection:
            now = deliveries.moment(connection)
        headers = signed_headers(self._keys, webhook, str(delivery.event_id), body, now)
        started = time.monotonic()
        answer = ReceiverResponse()
        try:
            answer = self._sender_of(webhook).send(webhook, delivery, body, headers)
            refused = answer.status is not None and not 200 <= answer.status < 300
            reason = str(Reason.WEBHOOK_REFUSED) if refused else ""
        except RagError as error:  # also an address that is not allowed: an operator may allow it
            reason = str(error.reason)
        status, wait = answer.status, answer.wait_seconds
        took = int((time.monotonic() - started) * 1000)
        if not reason:
            return AttemptResult(delivered=True, status=status, reason="", milliseconds=took)
        log.info("webhook_failed", webhook=webhook.id, delivery=delivery.id, attempt=delivery.attempts, status=status,
                 reason=reason)  # fmt: skip
        last = status == _GONE or delivery.attempts >= self._settings.webhook_max_attempts
        delay = None if last else max(wait_seconds(delivery.attempts), min(wait or 0.0, _LONGEST_WAIT_SECONDS))
        return AttemptResult(delivered=False, status=status, reason=reason, milliseconds=took, wait_seconds=delay)

    def _sender_of(self, webhook: Webhook) -> Sender:
        if not webhook.url.startswith(KAFKA):
            return self._http
        if self._kafka is None:
            raise NotFound(Reason.SOURCE_NOT_FOUND, "this process reads no Kafka sources")
        return self._kafka

    def _log_defect(self, future: Future[None]) -> None:
        if (error := future.exception()) is not None:
            log.error("webhook_defect", error=type(error).__name__, exc_info=error)


class HttpSender:
    """Posts messages to checked addresses. Implements `Sender`."""

    def __init__(self, settings: Settings) -> None:
        seconds = settings.webhook_timeout_seconds
        policy = FetchPolicy.from_settings(settings)
        limits = FetchLimits(redirects=0, read_seconds=seconds, seconds=seconds)
        self._fetcher = Fetcher(replace(policy, limits=limits), connections=_IN_FLIGHT)

    def send(self, webhook: Webhook, delivery: Delivery, body: bytes, headers: Mapping[str, str]) -> ReceiverResponse:
        found = self._fetcher.post(webhook.url, body, {"content-type": "application/json", **headers})
        return ReceiverResponse(found.status, retry_after(found.headers.get("retry-after")))

    def close(self) -> None:
        self._fetcher.close()


def wait_seconds(attempts: int) -> float:
    """Seconds until the next try after so many: 5, 20, 80 …, six hours at most, each less a random part up to half."""
    longest = min(_FIRST_WAIT_SECONDS * _GROWTH ** (attempts - 1), _LONGEST_WAIT_SECONDS)
    return longest * random.uniform(0.5, 1.0)  # noqa: S311  spreads retries, guards nothing
